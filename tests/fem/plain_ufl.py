"""The same problems written in UFL alone, solved by dolfinx' own NonlinearProblem: nothing of `fem` but the mesh."""

from dataclasses import dataclass

from mpi4py import MPI  # isort: skip

import dolfinx
import numpy as np
import ufl
from dolfinx import fem as dfem
from dolfinx.fem.petsc import NonlinearProblem, assemble_vector
from petsc4py import PETSc

import fem


@dataclass(frozen=True)
class PlainSolution:
    displacement: np.ndarray
    energy: float
    iterations: list[int]


def solve_neo_hooke(
    mesh: fem.Mesh, law: fem.laws.NeoHooke, degree: int, quadrature_degree: int, traction: tuple[float, ...], steps: int
) -> PlainSolution:
    """Clamped at "left", dead traction on "right", full Newton steps; each load starts from the last two extrapolated."""
    domain = mesh.domain
    d = domain.geometry.dim
    V = dfem.functionspace(domain, ("Lagrange", degree, (d,)))
    u, v = dfem.Function(V), ufl.TestFunction(V)
    dx = ufl.dx(domain, metadata={"quadrature_degree": quadrature_degree})
    facets = mesh.facets("right")
    tags = dolfinx.mesh.meshtags(domain, d - 1, facets, np.full(len(facets), 7, dtype=np.int32))
    ds = ufl.Measure("ds", domain=domain, subdomain_data=tags, subdomain_id=7)

    H = ufl.grad(u)
    F = (
        ufl.Identity(d) + H
        if d == 3
        else ufl.as_tensor([[1 + H[0, 0], H[0, 1], 0], [H[1, 0], 1 + H[1, 1], 0], [0, 0, 1]])
    )
    lnJ = ufl.ln(ufl.det(F))
    W = law.lmbda / 2 * lnJ**2 - law.mu * lnJ + law.mu / 2 * (ufl.inner(F, F) - 3)
    load = dfem.Constant(domain, 0.0)
    t = ufl.as_vector(traction)
    internal = ufl.derivative(W * dx, u, v)
    external = load * ufl.inner(t, v) * ds
    bc = dfem.dirichletbc(np.zeros(d), dfem.locate_dofs_topological(V, d - 1, mesh.facets("left")), V)
    options = {
        "ksp_type": "preonly",
        "pc_type": "lu",
        "pc_factor_mat_solver_type": "mumps",
        "snes_linesearch_type": "basic",
    }
    problem = NonlinearProblem(internal - external, u, bcs=[bc], petsc_options=options, petsc_options_prefix="plain_")
    internal_form, external_form = dfem.form(internal), dfem.form(external)

    def converged(snes, iteration, norms):  # type: ignore[no-untyped-def]
        forces = []
        for form in (internal_form, external_form):
            vector = assemble_vector(form)
            vector.ghostUpdate(addv=PETSc.InsertMode.ADD, mode=PETSc.ScatterMode.REVERSE)
            forces.append(vector.norm())
            vector.destroy()
        return 3 if norms[2] <= 1e-10 * max(forces) else 0

    problem.solver.setConvergenceTest(converged)
    states, iterations = [np.zeros_like(u.x.array)], []
    for step in range(1, steps + 1):
        load.value = step / steps
        # extrapolated from the last three states, of equal steps
        weights = {1: [1], 2: [-1, 2]}.get(step, [1, -3, 3])
        u.x.array[:] = sum(w * state for w, state in zip(weights, states[-3:], strict=True))
        problem.solve()
        assert problem.solver.getConvergedReason() > 0
        iterations.append(problem.solver.getIterationNumber())
        states.append(u.x.array.copy())
    energy = domain.comm.allreduce(dfem.assemble_scalar(dfem.form(W * dx)), MPI.SUM)
    return PlainSolution(u.x.array.copy(), float(energy), iterations)
