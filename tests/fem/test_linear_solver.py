"""The linear solver that a body gets, and what it is told."""

from mpi4py import MPI  # isort: skip

import dolfinx
import numpy as np
import pytest
from petsc4py import PETSc

import fem
import fem.residual
from fem import linear_solver
from fem.laws import SaintVenantKirchhoff, SplitNeoHooke

from .conftest import unit_mesh
from .test_driver import EULER, beam

SILICON = SaintVenantKirchhoff.cubic(165.7, 63.9, 79.6)


def sheared(cells: int) -> fem.Solid:
    body = fem.Solid(unit_mesh("tetrahedron", cells), SILICON, degree=2)
    body.clamp("left")
    body.traction("right", (0.0, 0.0, 1.0))
    return body


def iterations(cells: int) -> float:
    """Of conjugate gradients, for one Newton step."""
    step = sheared(cells).solve(petsc_options=linear_solver.MULTIGRID).steps[0]
    return step.linear_iterations / step.iterations


def test_multigrid_iterations_hardly_grow() -> None:
    few, many = iterations(3), iterations(6)  # 1,029 and 6,591 unknowns
    assert many <= 20
    assert many <= 1.4 * few


def test_multigrid_needs_to_know_the_rigid_motions(monkeypatch: pytest.MonkeyPatch) -> None:
    told = iterations(5)
    monkeypatch.setattr(fem.residual, "tell_rigid_motions", lambda matrix, space: None)
    assert iterations(5) > 1.5 * told


def test_same_solution_by_every_solver() -> None:
    direct = sheared(3).solve()
    assert direct.steps[0].linear_iterations == direct.iterations
    others = [
        linear_solver.MULTIGRID,
        {"ksp_type": "gmres", "pc_type": "jacobi", "ksp_rtol": 1e-10, "ksp_max_it": 2000},
    ]
    for options in others:
        solution = sheared(3).solve(petsc_options=options)
        assert solution.steps[0].linear_iterations > solution.iterations
        u = direct.displacement.x.array
        assert np.abs(solution.displacement.x.array - u).max() <= 1e-9 * np.abs(u).max()
    # nothing of ours is left behind for the next solver under that prefix
    assert not PETSc.Options("solid_").getAll()


def rubber(cell: str, cells: int, nu: float, **options: object) -> fem.Solution:
    body = fem.Solid(unit_mesh(cell, cells), SplitNeoHooke(1.0, 2.0 * (1 + nu) / 3 / (1 - 2 * nu)), formulation="mixed")
    body.clamp("left")
    body.traction("right", (0.0, 0.0, 0.02))
    body.pressure("top", 0.01)
    return body.solve(petsc_options=options or None)


@pytest.mark.parametrize("cell", ["hexahedron", "tetrahedron"])
def test_blocks_do_not_mind_the_bulk_modulus(cell: str) -> None:
    # multigrid of all of it takes 340 iterations where Poisson's ratio is 0.4999 (27 hexahedra), and 12 where it is 0.3
    counts = []
    for cells, nu in ((2, 0.4), (2, 0.4999), (2, 0.499999), (4, 0.4999)):
        step = rubber(cell, cells, nu, **linear_solver.BLOCKS).steps[0]
        counts.append(step.linear_iterations / step.iterations)
    assert max(counts) <= 30


def test_blocks_solve_the_same_problem() -> None:
    direct = rubber("hexahedron", 2, 0.4999).displacement.x.array
    blocks = rubber("hexahedron", 2, 0.4999, **linear_solver.BLOCKS).displacement.x.array
    assert np.abs(blocks - direct).max() <= 1e-9 * np.abs(direct).max()
    # options of the user reach the blocks; nothing of ours is left behind
    few = rubber("hexahedron", 2, 0.4999, **{**linear_solver.BLOCKS, "block_fieldsplit_u_pc_type": "lu"}).steps[0]
    assert few.linear_iterations / few.iterations <= 15
    assert not PETSc.Options("solid_").getAll()


def test_options_of_the_user_win() -> None:
    database = PETSc.Options("mine_")
    database["ksp_type"], database["pc_type"], database["ksp_rtol"] = "cg", "jacobi", 1e-10
    database["ksp_max_it"] = 2000
    try:
        solution = sheared(2).solve(petsc_options_prefix="mine_")
        assert solution.steps[0].linear_iterations > 10 * solution.iterations
        assert database["pc_type"] == "jacobi"
    finally:
        for name in ("ksp_type", "pc_type", "ksp_rtol", "ksp_max_it"):
            database.delValue(name)


def test_choice_by_size_and_matrix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear_solver, "LARGEST_DIRECT", 500)

    def chosen(domain: dolfinx.mesh.Mesh, **kind: bool) -> object:
        space = dolfinx.fem.functionspace(domain, ("Lagrange", 2, (domain.geometry.dim,)))
        return linear_solver.solver_options(space, **{"symmetric": True, **kind})["ksp_type"]

    small = dolfinx.mesh.create_unit_cube(MPI.COMM_WORLD, 2, 2, 2)
    large = dolfinx.mesh.create_unit_cube(MPI.COMM_WORLD, 3, 3, 3)
    plane = dolfinx.mesh.create_unit_square(MPI.COMM_WORLD, 12, 12)
    assert chosen(small) == "preonly"
    assert chosen(large) == "cg"
    assert chosen(large, symmetric=False) == "gmres"
    assert chosen(large, mixed=True) == "python"
    assert chosen(plane) == "preonly"
    assert sheared(3).solve().steps[0].linear_iterations > 20


def test_indefinite_tangent_is_solved_by_gmres() -> None:
    # far beyond the buckling load the straight branch has an indefinite tangent, where conjugate gradients stop
    options = {"ksp_type": "cg", "pc_type": "jacobi", "ksp_rtol": 1e-9, "ksp_max_it": 3000, "ksp_gmres_restart": 500}
    straight = beam().solve(load_steps=2, petsc_options=options, stable=False)
    assert straight.load_factor == 1.0
    assert all(step.cut_backs == 0 for step in straight.steps)
    assert -straight.steps[-1].reactions["right"][0] > 10.0 * EULER
