"""The weak form of equilibrium: nodal forces of the stress, and their derivative by the displacement.

    R(u; v) = int P . H(v) w dV,    K(u; v, du) = int H(v) . A H(du) w dV  (+ a part of low rank in each cell, `fem.mixed`)

over the active components of the kind of problem and its width w (`fem.kind`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from mpi4py import MPI  # isort: skip

from dolfinx import fem as dfem

from fem.c_function import CFunction
from fem.cell_kernel import CellKernel, c_functions
from fem.constitution import Constitution
from fem.kind import Kind, KindError
from fem.law import Law
from fem.law_symmetry import check_symmetry
from fem.low_rank import LowRankForm
from fem.material import Evaluation, Material
from fem.mesh import Mesh
from fem.mixed import MeanVolume
from fem.orientation import Orientation
from fem.plane_stress import PlaneStress
from fem.point_arrays import Condensation, PointArrays
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
        in_cells: whether laws that are C functions are asked by the cell kernel, where it knows the problem; as arrays otherwise.
    """

    laws: Law | Mapping[str, Law]
    orientation: Orientation | None
    kind: Kind
    formulation: Formulation
    quadrature_degree: int
    in_cells: bool = True

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
        internal: linear form, R at what the material last took over.
        tangents: bilinear forms whose sum is K.
        mean_volume: what a mixed form has eliminated; None in displacements alone.

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
        condensation = Condensation()
        if physics.formulation == "mixed":
            mean_volume = MeanVolume(laws, self.kind, space, quadrature)
            condensation = Condensation(mean_volume=mean_volume, low_rank=LowRankForm(space, mean_volume.rank))
        elif self.kind.name == "plane_stress":
            condensation = Condensation(plane_stress=PlaneStress(laws, quadrature.size))
        evaluation: Evaluation
        functions = self._c_functions(laws, physics)
        if functions is None:
            evaluation = PointArrays(laws, self.displacement, self.kind, quadrature, condensation)
        else:
            evaluation = CellKernel(functions, laws, self.displacement, quadrature)
        self.material = Material(laws, self.displacement, self.kind, quadrature, evaluation, condensation)
        self.internal, self.tangents = evaluation.forces, evaluation.tangents
        self.mean_volume = condensation.mean_volume

    def _c_functions(self, laws: Constitution, physics: Physics) -> tuple[CFunction, ...] | None:
        """Of the laws, where the cell kernel takes them: all of them in C, displacements alone, in space or in plane strain."""
        known = self.kind.name == "3d" or (self.kind.name == "plane_strain" and laws.orientation is None)
        if not (physics.in_cells and known and self.formulation == "displacement"):
            return None
        functions = c_functions(laws.laws)
        return functions if self.mesh.domain.comm.allreduce(functions is not None, MPI.LAND) else None
