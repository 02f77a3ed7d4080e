"""Run by test_checkpoint.py, on one rank or several: solves a part of the path, or the rest of it; rank 0 prints JSON."""

import json
import sys
from pathlib import Path

from mpi4py import MPI  # isort: skip

import dolfinx
import numpy as np

import fem
from fem.laws import NeoHooke


def body(cells: int) -> fem.Solid:
    domain = dolfinx.mesh.create_box(
        MPI.COMM_WORLD, [[0.0, 0.0, 0.0], [2.0, 1.0, 1.0]], [cells, 2, 2], dolfinx.mesh.CellType.tetrahedron
    )
    mesh = fem.Mesh.of(domain, {"left": lambda X: np.isclose(X[0], 0.0), "right": lambda X: np.isclose(X[0], 2.0)})
    solid = fem.Solid(mesh, NeoHooke.from_young(2.8, 0.4), degree=2)
    solid.clamp("left")
    solid.traction("right", (0.0, 0.02, -0.05))
    return solid


def main(part: str, file: Path) -> None:
    result: dict[str, object] = {}
    try:
        match part:
            case "all":
                solution = body(4).solve(load_steps=16)
            case "half":
                solution = body(4).trace(2, first_step=0.2, checkpoint=file)
            case "rest":
                solution = body(4).solve(load_steps=16, start=file)
            case "many":
                solution = body(4).solve(load_steps=400, checkpoint=file)
            case _:
                solution = body(5).solve(start=file)
        result = {
            "load_factor": solution.load_factor,
            "steps": len(solution.steps),
            "energy": solution.energy,
            "work": solution.work,
            "tip": solution.probe([2.0, 0.3, 0.7])[0].tolist(),
        }
    except Exception as error:
        result = {"error": type(error).__name__}
    if MPI.COMM_WORLD.rank == 0:
        print(json.dumps(result))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
