"""Run under mpiexec by test_ranks.py: solves, fails and writes; rank 0 prints what came out as JSON."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mpi4py import MPI  # isort: skip

import dolfinx
import dolfinx.graph
import numpy as np

import fem
from fem.laws import NeoHooke

COMM = MPI.COMM_WORLD


class FailsOnLastRank:
    """A neo-Hooke which raises, or answers NaN, on the last rank which has points and where the body is strained."""

    def __init__(self, how: str, guilty: bool) -> None:
        self.how, self.guilty, self.law = how, guilty, NeoHooke.from_young(2.8, 0.4)

    def evaluate(
        self, F: np.ndarray, state: Mapping[str, np.ndarray] | None = None, *, tangent: bool = True, trust: bool = False
    ) -> fem.Response:
        response = self.law.evaluate(F, tangent=tangent)
        if self.guilty and np.abs(F - np.eye(3)).max() > 0.02:
            if self.how == "raises":
                raise KeyError("weights")
            if self.how == "NaN":
                response.first_piola[0] = np.nan
            else:
                raise fem.InadmissibleDeformation(0, -1.0)
        return response


def body(mesh: fem.Mesh, law: Any) -> fem.Solid:
    solid = fem.Solid(mesh, law)
    solid.clamp("left")
    solid.traction("right", (0.0, 0.1, -0.3))
    solid.prescribe("tip", (None, 0.1, None))
    return solid


def outcome(call: Any) -> str:
    """What a collective call raises: the same kind on all ranks, or "none"."""
    try:
        call()
    except Exception as error:
        mine = f"{type(error).__name__}: {error}"
    else:
        mine = "none"
    return " | ".join(sorted(set(COMM.allgather(mine))))


def all_on_rank_0(comm: MPI.Intracomm, parts: int, types: Any, cells: Any) -> Any:
    """A partitioner which leaves the other ranks without cells."""
    count = len(cells[0]) // 4
    return dolfinx.graph.adjacencylist(np.zeros((count, 1), dtype=np.int32))._cpp_object


def main(folder: Path, distribution: str) -> None:
    domain = dolfinx.mesh.create_box(
        COMM,
        [[0.0, 0.0, 0.0], [2.0, 1.0, 1.0]],
        [3, 1, 1],
        dolfinx.mesh.CellType.tetrahedron,
        partitioner=all_on_rank_0 if distribution == "one" else None,
    )
    markers = {name: (lambda X, x=x: np.isclose(X[0], x)) for name, x in (("left", 0.0), ("right", 2.0))}
    mesh = fem.Mesh.of(domain, {**markers, "tip": lambda X: np.isclose(X[0], 2.0)})
    owned = domain.topology.index_map(3).size_local
    result: dict[str, Any] = {"cells_of_ranks": COMM.allgather(owned)}

    solution = body(mesh, NeoHooke.from_young(2.8, 0.4)).solve(load_steps=2)
    path = folder / f"{distribution}-{COMM.size}.vtkhdf"
    solution.write(path)
    result |= {
        "energy": solution.energy,
        "iterations": solution.iterations,
        "probe": solution.probe([[2.0, 0.5, 0.5], [1.1, 0.2, 0.3]]).tolist(),
        "reaction": solution.resultant("left").tolist(),
        "file": str(path),
        "volume": COMM.allreduce(solution.at_quadrature().weight.sum()),
    }
    guilty = COMM.rank == max(rank for rank, count in enumerate(result["cells_of_ranks"]) if count)
    for how in ("raises", "NaN", "inadmissible"):
        law = FailsOnLastRank(how, guilty)
        result[how] = outcome(lambda law=law: body(mesh, law).solve())
    result["outside"] = outcome(lambda: solution.probe([9.0, 0.0, 0.0]))
    result["unwritable"] = outcome(lambda: solution.write(folder / "missing" / "file.vtkhdf"))
    result["no mesh"] = outcome(lambda: fem.read_mesh(folder / "missing.msh"))
    result["no surface"] = outcome(lambda: body(mesh, NeoHooke(1.0, 1.0)).clamp("wall"))
    result["bracket"] = sum(COMM.allgather(read_bracket()))
    if COMM.rank == 0:
        print(json.dumps(result))


def read_bracket() -> int:
    mesh = fem.read_mesh(Path(__file__).parents[2] / "meshes" / "bracket_coarse.msh")
    return mesh.domain.topology.index_map(3).size_local


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
