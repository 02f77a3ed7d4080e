"""Cook's membrane by Taylor-Hood elements, displacement and continuous pressure, in UFL alone: nothing of `fem` but mesh and law."""

from mpi4py import MPI  # isort: skip  # noqa: F401

import basix.ufl
import dolfinx
import numpy as np
import ufl
from dolfinx import fem as dfem
from dolfinx.fem.petsc import NonlinearProblem

import fem


def deflection(mesh: fem.Mesh, law: fem.laws.SplitNeoHooke, traction: float, steps: int) -> float:
    """u_y of the upper corner of "right": W = mu/2 (J^(-2/3) I1 - 3) + p ln J - p^2 / (2 kappa), P2/P1, full Newton steps."""
    domain = mesh.domain
    cell = domain.basix_cell()
    pair = [basix.ufl.element("Lagrange", cell, 2, shape=(2,)), basix.ufl.element("Lagrange", cell, 1)]
    space = dfem.functionspace(domain, basix.ufl.mixed_element(pair))
    w, test = dfem.Function(space), ufl.TestFunction(space)
    u, p = ufl.split(w)
    H = ufl.grad(u)
    F = ufl.as_tensor([[1 + H[0, 0], H[0, 1], 0], [H[1, 0], 1 + H[1, 1], 0], [0, 0, 1]])
    J = ufl.det(F)
    energy = law.mu / 2 * (J ** (-2 / 3) * ufl.inner(F, F) - 3) + p * ufl.ln(J) - p**2 / (2 * law.kappa)
    facets = mesh.facets("right")
    tags = dolfinx.mesh.meshtags(domain, 1, facets, np.full(len(facets), 7, dtype=np.int32))
    ds = ufl.Measure("ds", domain=domain, subdomain_data=tags, subdomain_id=7)
    load = dfem.Constant(domain, 0.0)
    internal = ufl.derivative(energy * ufl.dx(metadata={"quadrature_degree": 4}), w, test)
    displacements, _ = space.sub(0).collapse()
    nodes = dfem.locate_dofs_topological((space.sub(0), displacements), 1, mesh.facets("left"))
    clamped = dfem.dirichletbc(dfem.Function(displacements), nodes, space.sub(0))
    options = {"ksp_type": "preonly", "pc_type": "lu", "pc_factor_mat_solver_type": "mumps", "snes_rtol": 1e-10}
    problem = NonlinearProblem(
        internal - load * ufl.split(test)[0][1] * ds,
        w,
        bcs=[clamped],
        petsc_options={**options, "snes_atol": 1e-9, "snes_linesearch_type": "basic"},
        petsc_options_prefix="taylor_hood_",
    )
    for step in range(1, steps + 1):
        load.value = traction * step / steps
        problem.solve()
        assert problem.solver.getConvergedReason() > 0
    found = w.sub(0).collapse()
    highest = displacements.tabulate_dof_coordinates()[:, :2].sum(axis=1).argmax()
    return float(found.x.array.reshape(-1, 2)[highest, 1])
