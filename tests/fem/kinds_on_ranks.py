"""Run under mpiexec by test_ranks_of_kinds.py: every kind of problem; rank 0 prints what came out as JSON."""

import json
import sys
from pathlib import Path
from typing import Any

from mpi4py import MPI  # isort: skip

import dolfinx
import numpy as np
from dolfinx.mesh import CellType

import fem
from fem import linear_solver
from fem.laws import NeoHooke, SaintVenantKirchhoff, SplitNeoHooke
from tests.fem.on_ranks import all_on_rank_0, outcome

COMM = MPI.COMM_WORLD
COPPER = SaintVenantKirchhoff.cubic(168.4, 121.4, 75.4)


def named(domain: dolfinx.mesh.Mesh) -> fem.Mesh:
    sides = {"left": (0, 0.0), "right": (0, 1.0), "bottom": (1, 0.0), "top": (1, 1.0)}
    markers = {name: (lambda X, i=i, x=x: np.isclose(X[i], x)) for name, (i, x) in sides.items()}
    return fem.Mesh.of(domain, markers, {"lower": lambda X: X[1] < 0.5, "upper": lambda X: X[1] > 0.5})


def bar_of_abaqus(path: Path) -> fem.Mesh:
    """Four cubes in a row, read by all ranks from a file of the first."""
    if COMM.rank == 0:
        nodes = [(x, y, z) for z in range(2) for y in range(2) for x in range(5)]
        lines = [f"{i + 1}, {x}., {y}., {z}." for i, (x, y, z) in enumerate(nodes)]
        faces = [[x, x + 1, x + 6, x + 5] for x in range(4)]
        cells = [f"{i + 1}, " + ", ".join(str(n + 1) for n in [*f, *(n + 10 for n in f)]) for i, f in enumerate(faces)]
        sets = "*ELSET, ELSET=lower\n1, 2\n*ELSET, ELSET=upper\n3, 4\n*NSET, NSET=left\n1, 6, 11, 16\n"
        path.write_text("*NODE\n" + "\n".join(lines) + "\n*ELEMENT, TYPE=C3D8\n" + "\n".join(cells) + f"\n{sets}")
    COMM.barrier()
    return fem.read_mesh(path)


def main(distribution: str, folder: Path) -> None:
    partitioner: Any = all_on_rank_0 if distribution == "one" else None
    square = named(dolfinx.mesh.create_unit_square(COMM, 4, 4, CellType.quadrilateral, partitioner=partitioner))
    cube = named(dolfinx.mesh.create_unit_cube(COMM, 2, 2, 2, CellType.tetrahedron, partitioner=partitioner))
    owned = square.domain.topology.index_map(2).size_local
    result: dict[str, Any] = {"cells_of_ranks": COMM.allgather(owned)}

    def record(name: str, body: fem.Solid, at: list[float], **options: object) -> None:
        solution = body.solve(load_steps=2, petsc_options=options)
        result[name] = [solution.energy, *solution.probe(at)[0].tolist(), *solution.resultant("bottom").tolist()]
        result[name + " iterations"] = solution.iterations

    tyre = fem.Solid(square, SplitNeoHooke(1.0, 50.0), kind="axisymmetric", formulation="mixed")
    tyre.clamp("bottom")
    tyre.pressure("right", 0.3)
    record("axisymmetric", tyre, [1.0, 1.0])

    # angles by where the cells are: the numbers of the cells as made are the same on any number of ranks
    angles = 0.2 * np.arange(16)
    R = np.array([[[np.cos(a), -np.sin(a), 0.0], [np.sin(a), np.cos(a), 0.0], [0.0, 0.0, 1.0]] for a in angles])
    sheet = fem.Solid(square, COPPER, kind="plane_stress", orientation=R)
    sheet.clamp("bottom")
    sheet.traction("top", (4.0, 1.0))
    record("plane stress", sheet, [1.0, 1.0])

    sandwich = fem.Solid(cube, {"lower": NeoHooke(1.0, 2.0), "upper": SplitNeoHooke(0.5, 20.0)}, formulation="mixed")
    sandwich.clamp("bottom")
    sandwich.traction("top", (0.1, 0.0, 0.05))
    record("two materials", sandwich, [1.0, 1.0, 1.0])
    record("two materials by blocks", sandwich, [1.0, 1.0, 1.0], **{**linear_solver.BLOCKS, "block_ksp_rtol": 1e-12})

    mesh = bar_of_abaqus(folder / f"bar-{distribution}-{COMM.size}.inp")
    bar = fem.Solid(mesh, {"lower": NeoHooke(1.0, 2.0), "upper": NeoHooke(2.0, 1.0)}, degree=1)
    bar.clamp("left")
    bar.body_force((0.0, 0.0, 0.001))
    result["abaqus"] = bar.solve().energy

    def tilted() -> None:
        a = 0.4
        R = [[1.0, 0.0, 0.0], [0.0, np.cos(a), -np.sin(a)], [0.0, np.sin(a), np.cos(a)]]
        body = fem.Solid(square, COPPER, orientation=R)
        body.clamp("bottom")
        body.solve()

    def bare() -> None:
        body = fem.Solid(cube, {"lower": NeoHooke(1.0, 2.0)})
        body.clamp("bottom")
        body.solve()

    def unknown() -> None:
        body = fem.Solid(cube, {"middle": NeoHooke(1.0, 2.0)})
        body.clamp("bottom")
        body.solve()

    def flat() -> None:
        mesh = named(dolfinx.mesh.create_unit_square(COMM, 2, 2))
        X = mesh.domain.geometry.x
        X[(X[:, 0] > 0.9) & (X[:, 1] < 0.1)] = [0.75, 0.25, 0.0]
        body = fem.Solid(mesh, COPPER)
        body.clamp("left")
        body.solve()

    result |= {"tilted": outcome(tilted), "bare": outcome(bare), "unknown": outcome(unknown), "flat": outcome(flat)}
    if COMM.rank == 0:
        print(json.dumps(result))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
