"""The weak form of equilibrium: nodal forces of the stress, and their derivative by the displacement.

    R(u; v) = int P . H(v) w dV,    K(u; v, du) = int H(v) . A H(du) w dV  (+ a part of low rank in each cell, `fem.mixed`)

over the active components of the kind of problem and its width w (`fem.kind`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from mpi4py import MPI  # isort: skip  # noqa: F401

import ufl
from dolfinx import fem as dfem

from fem.constitution import Constitution
from fem.kind import Kind, KindError
from fem.law import Law
from fem.law_symmetry import check_symmetry
from fem.low_rank import LowRankForm
from fem.material import Material
from fem.mesh import Mesh
from fem.mixed import MeanVolume
from fem.orientation import Orientation
from fem.plane_stress import PlaneStress
from fem.quadrature import Quadrature

Formulation = Literal["displacement", "mixed"]


@dataclass(frozen=True)
class Physics:
    """What a body is made of and how it deforms.

    Attributes:
        laws: one, or one for each named volume.
        orientation: of the material's axes, see `fem.orientation`.
        kind: of the problem.
        formulation: in displacements alone, or mixed.
        quadrature_degree: of the volume integrals.
    """

    laws: Law | Mapping[str, Law]
    orientation: Orientation | None
    kind: Kind
    formulation: Formulation
    quadrature_degree: int

    def __post_init__(self) -> None:
        if self.formulation not in get_args(Formulation):
            raise KindError(f"formulation is {self.formulation!r}, expected one of {', '.join(get_args(Formulation))}")
        if self.formulation == "mixed" and self.kind.name == "plane_stress":
            raise KindError(
                "plane stress does not lock (the thickness follows the area), expected formulation='displacement'"
            )


class WeakForm:
    """Internal forces of a body and their tangent, as forms which dolfinx assembles. Collective.

    Args:
        mesh: the body's.
        space: of the displacement.
        physics: what it is made of.

    Attributes:
        mesh: the body's.
        kind: of the problem.
        formulation: in displacements alone, or mixed.
        displacement: u at present.
        material: the law at the quadrature points.
        internal: linear form, R at what the material last stored.
        tangents: bilinear forms whose sum is K.

    Raises:
        KindError: a law without the symmetry that the kind of problem needs; a mixed form that the cells cannot have.
        MeshError: cells which are inverted or have no volume; volumes which overlap, or cells without a law.
        OrientationError: orientations which are no rotations, or do not fit the mesh.
    """

    def __init__(self, mesh: Mesh, space: dfem.FunctionSpace, physics: Physics) -> None:
        self.mesh, self.kind, self.formulation = mesh, physics.kind, physics.formulation
        self.displacement = dfem.Function(space, name="displacement")
        quadrature = Quadrature(mesh.domain, physics.quadrature_degree, self.kind.width)
        laws = Constitution.of(mesh, physics.laws, physics.orientation, len(quadrature.points))
        check_symmetry(laws, self.kind)
        mean_volume = plane_stress = low_rank = None
        if physics.formulation == "mixed":
            mean_volume = MeanVolume(laws, self.kind, space, quadrature)
            low_rank = LowRankForm(space, mean_volume.rank)
        elif self.kind.name == "plane_stress":
            plane_stress = PlaneStress(laws, quadrature.size)
        self.material = Material(laws, self.displacement, self.kind, quadrature, plane_stress, mean_volume, low_rank)
        v, du = ufl.TestFunction(space), ufl.TrialFunction(space)
        stress_change = ufl.dot(self.material.tangent, self.kind.gradient(du))
        self.internal = dfem.form(self.material.virtual_work(v))
        self.tangents = [
            dfem.form(ufl.inner(stress_change, self.kind.gradient(v)) * self.kind.width * quadrature.measure)
        ]
        if low_rank is not None:
            self.tangents.append(low_rank.form)
