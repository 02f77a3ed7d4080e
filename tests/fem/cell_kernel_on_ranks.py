"""Run under mpiexec by test_cell_kernel.py: two materials, turned, through the cell kernel; rank 0 prints what came out as JSON."""

import json

from mpi4py import MPI  # isort: skip

import dolfinx
import dolfinx.fem.petsc as petsc_fem
import numpy as np
from scipy.spatial.transform import Rotation

import fem
from fem.kind import Kind
from fem.laws import NeoHooke
from fem.weak_form import Physics, WeakForm

from .c_laws import NeoHookeInC

COMM = MPI.COMM_WORLD


def inserted(mesh: fem.Mesh, laws: dict[str, NeoHookeInC], R: np.ndarray) -> float:
    """How far the stiffness put straight into PETSc's arrays is off the one that dolfinx assembles from the same kernel."""
    physics = Physics(laws, R, Kind.of(mesh.domain, None), "displacement", 4)
    weak = WeakForm(mesh, dolfinx.fem.functionspace(mesh.domain, ("Lagrange", 2, (3,))), physics)
    weak.displacement.interpolate(lambda X: 0.03 * np.sin(2.0 * X[[1, 2, 0]]))
    assert weak.material.update()
    held = dolfinx.fem.locate_dofs_geometrical(weak.displacement.function_space, lambda X: np.isclose(X[0], 0.0))
    conditions = [dolfinx.fem.dirichletbc(np.zeros(3), held, weak.displacement.function_space)]
    expected = petsc_fem.assemble_matrix(weak.tangents[0], conditions)
    expected.assemble()
    matrix = expected.duplicate()
    matrix.assemble()
    weak.material.add_stiffness(matrix, conditions)
    matrix.axpy(-1.0, expected)
    return float(matrix.norm() / expected.norm())


def main() -> None:
    domain = dolfinx.mesh.create_box(COMM, [[0, 0, 0], [2, 1, 1]], [4, 2, 2], dolfinx.mesh.CellType.hexahedron)
    sides = {"left": 0.0, "right": 2.0}
    mesh = fem.Mesh.of(
        domain,
        {name: (lambda X, x=x: np.isclose(X[0], x)) for name, x in sides.items()},
        {"soft": lambda X: X[0] <= 1.0, "stiff": lambda X: X[0] >= 1.0},
    )
    laws = {name: NeoHookeInC(NeoHooke.from_young(E, 0.3)) for name, E in (("soft", 1.0), ("stiff", 10.0))}
    R = Rotation.from_rotvec([0.3, -0.5, 0.2]).as_matrix()
    off = inserted(mesh, laws, R)
    body = fem.Solid(mesh, laws, degree=2, orientation=R)
    body.clamp("left")
    body.traction("right", (0.0, 0.05, 0.1))
    solution = body.solve(load_steps=2)
    reaction = solution.resultant("left").tolist()
    tip = solution.probe([2.0, 0.5, 0.5])[0].tolist()
    spoilt = fem.Solid(mesh, NeoHookeInC(NeoHooke.from_young(1.0, 0.3), spoilt="first_piola", strain=0.1))
    spoilt.clamp("left")
    spoilt.traction("right", (0.0, 0.0, 0.5))
    try:
        spoilt.solve()
        failure = "none"
    except fem.LoadNotConverged as error:
        failure = str(error).split(" near")[0]
    failures = COMM.allgather(failure)
    if COMM.rank == 0:
        steps = [step.iterations for step in solution.steps]
        print(
            json.dumps(
                {
                    "inserted": off,
                    "energy": solution.energy,
                    "tip": tip,
                    "reaction": reaction,
                    "steps": steps,
                    "failures": failures,
                }
            )
        )


main()
