"""The weak form of equilibrium: nodal forces of the stress, and their derivative by the displacement.

    R(u; v) = int P(F) : grad v dV,    K(u; v, du) = int grad v : A(F) : grad du dV
"""

from __future__ import annotations

from mpi4py import MPI  # isort: skip  # noqa: F401

import ufl
from dolfinx import fem as dfem

from fem.law import Law
from fem.material import Material
from fem.mesh import Mesh
from fem.quadrature import Quadrature


class WeakForm:
    """Internal forces of a body and their tangent, as forms which dolfinx assembles.

    Attributes:
        mesh: the body's.
        displacement: u at present.
        material: the law at the quadrature points.
        internal: linear form, R at what the material last stored.
        tangents: bilinear forms whose sum is K.
    """

    def __init__(self, mesh: Mesh, law: Law, space: dfem.FunctionSpace, quadrature_degree: int) -> None:
        self.mesh = mesh
        self.displacement = dfem.Function(space, name="displacement")
        self.material = Material(law, self.displacement, Quadrature(mesh.domain, quadrature_degree))
        P, A, dx = self.material.first_piola, self.material.tangent, self.material.quadrature.measure
        v, du = ufl.TestFunction(space), ufl.TrialFunction(space)
        i, J, k, L = ufl.indices(4)
        stress_change = ufl.as_tensor(A[i, J, k, L] * ufl.grad(du)[k, L], (i, J))
        self.internal = dfem.form(ufl.inner(P, ufl.grad(v)) * dx)
        self.tangents = [dfem.form(ufl.inner(stress_change, ufl.grad(v)) * dx)]
