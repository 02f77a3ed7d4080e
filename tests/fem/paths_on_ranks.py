"""Run under mpiexec by test_ranks_of_paths.py: loads, supports and paths of every kind; rank 0 prints what came out as JSON."""

import json
from typing import Any

from mpi4py import MPI  # isort: skip

import dolfinx
import numpy as np

import fem
from fem import linear_solver
from fem.laws import NeoHooke
from tests.fem.test_driver import arch, beam


def block() -> fem.Solid:
    domain = dolfinx.mesh.create_box(
        MPI.COMM_WORLD, [[0.0, 0.0, 0.0], [2.0, 1.0, 1.0]], [4, 2, 2], dolfinx.mesh.CellType.tetrahedron
    )
    sides = {"left": (0, 0.0), "right": (0, 2.0), "bottom": (2, 0.0), "top": (2, 1.0)}
    markers = {name: (lambda X, i=i, x=x: np.isclose(X[i], x)) for name, (i, x) in sides.items()}
    body = fem.Solid(fem.Mesh.of(domain, markers), NeoHooke.from_young(2.8, 0.4))
    body.clamp("left")
    body.rotate("right", 0.5, (1.0, 0.0, 0.0), along=None)
    body.pressure("top", 0.1)
    body.foundation("bottom", normal=0.2, tangential=0.1)
    body.body_force((0.0, 0.01, -0.02))
    body.watch("a", (1.1, 0.3, 0.8))
    return body


def facts(solution: fem.Solution) -> dict[str, Any]:
    last = solution.steps[-1]
    return {
        "steps": [step.load_factor for step in solution.steps],
        "energy": last.energy,
        "work": last.work,
        "reactions": [x for reaction in last.reactions.values() for x in reaction],
        "probes": [x for probe in last.probes.values() for x in probe],
    }


def stopped() -> list[str]:
    """What each rank hears when the progress function, called on rank 0, raises."""

    def interrupt(load_factor: float, message: str) -> None:
        raise KeyError("progress")

    try:
        block().solve(progress=interrupt)
    except (KeyError, RuntimeError) as error:
        return MPI.COMM_WORLD.allgather(type(error).__name__)
    return []


def main() -> None:
    twisted = block().solve(load_steps=3)
    results: dict[str, Any] = {
        "twisted": {**facts(twisted), "moment": twisted.moment("right", (2.0, 0.5, 0.5)).tolist()}
    }
    results["multigrid"] = facts(
        block().solve(load_steps=3, petsc_options={**linear_solver.MULTIGRID, "ksp_type": "gmres", "ksp_rtol": 1e-12})
    )
    snapped = arch()
    snapped.traction("crown", (0.0, -0.5))
    results["arch"] = facts(snapped.trace(first_step=0.05, longest_step=0.2))
    buckled = beam()
    buckled.body_force((0.0, 0.01))
    results["beam"] = facts(buckled.solve(load_steps=5))
    results["stopped"] = stopped()
    if MPI.COMM_WORLD.rank == 0:
        print(json.dumps(results))


if __name__ == "__main__":
    main()
