"""A large body: P2 tetrahedra, the default cubic law fitted to silicon, conjugate gradients with GAMG.

    python benchmarks/million.py                              # 128,625 unknowns
    mpiexec -n 2 python benchmarks/million.py --cells 35      # 1,073,733 unknowns
    python benchmarks/million.py --efficiency                 # the first, on one rank and on two in turns

A cube clamped on one side and sheared by a dead traction on the other, one load step. Prints the seconds of each phase (the slowest
rank's), the iterations of the linear solver a Newton step and the memory that all ranks took at their peaks; rank 0 adds them to
results.json. The efficiency of two ranks is the seconds of one over twice the seconds of two.
"""

# ruff: noqa: E402  MPI before dolfinx, the number of threads before numpy
import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(variable, "1")
sys.path.insert(0, str(Path(__file__).parents[1]))

from mpi4py import MPI  # isort: skip

import dolfinx
import numpy as np

import fem
from fem import linear_solver

RESULTS: Final = Path(__file__).parent / "results.json"
COMM: Final = MPI.COMM_WORLD


FIT: Final = """
import sys
from multiscale import PointGroup, fit
from multiscale.sampling.design import informative_design
from tests.multiscale.stillinger_weber import silicon_data
cubic = PointGroup.named("m-3m")
fit(silicon_data(informative_design(20, 0.04, cubic, 0)), symmetry=cubic, seed=0).save(sys.argv[1])
"""


def learned_law() -> fem.Law:
    """The default law of a cubic crystal, fitted to 20 states of Stillinger-Weber silicon with tangents."""
    from multiscale import load_law

    with tempfile.TemporaryDirectory() as folder:
        path = Path(COMM.bcast(folder)) / "law.safetensors"
        if COMM.rank == 0:
            # in a process of its own, whose memory is not counted, and which is no rank
            environment = {name: v for name, v in os.environ.items() if not name.startswith(("PMI", "MPI", "HYDRA"))}
            root = str(Path(__file__).parents[1])
            subprocess.run([sys.executable, "-c", FIT, str(path)], check=True, cwd=root, env=environment)
        COMM.barrier()
        law = load_law(path)
        COMM.barrier()
    return law


def main() -> None:
    """Solve, print, record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, default=17, help="cells along each side, each cut into six tetrahedra")
    parser.add_argument("--efficiency", action="store_true")
    parser.add_argument("--unrecorded", action="store_true", help="print alone")
    given = parser.parse_args()
    numbers = efficiency(given.cells) if given.efficiency else solve(given.cells)
    if COMM.rank:
        return
    for key, value in numbers.items():
        print(f"{key:<44} {value:>12.5g}")
    if not given.unrecorded:
        record(numbers)


def efficiency(cells: int, rounds: int = 2) -> dict[str, float]:
    """Of two ranks, by phase: the least seconds of one rank over twice the least of two."""
    mpiexec = str(Path(sys.executable).with_name("mpiexec"))
    least: dict[int, dict[str, float]] = {1: {}, 2: {}}
    for _ in range(rounds):
        for ranks, known in least.items():
            command = [mpiexec, "-n", str(ranks), sys.executable, __file__, "--cells", str(cells), "--unrecorded"]
            output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            for line in output.splitlines():
                name, value = line.split()
                known[name] = min(known.get(name, np.inf), float(value))
    numbers = {
        name.replace("_seconds", "_two_rank_efficiency"): one / (2.0 * least[2][name])
        for name, one in least[1].items()
        if name.endswith("_seconds")
    }
    whole = next(name for name in numbers if name.endswith("dofs_two_rank_efficiency"))
    return {"fem_two_rank_efficiency": numbers[whole]} | numbers


def solve(cells: int) -> dict[str, float]:
    """The figures of one body. Collective."""
    law = learned_law()
    domain = dolfinx.mesh.create_unit_cube(COMM, cells, cells, cells, dolfinx.mesh.CellType.tetrahedron)
    markers = {name: (lambda X, x=x: np.isclose(X[0], x)) for name, x in (("left", 0.0), ("right", 1.0))}
    body = fem.Solid(fem.Mesh.of(domain, markers), law, degree=2)
    body.clamp("left")
    body.traction("right", (0.0, 0.0, 1.0))  # GPa: strains of a few per cent
    start = time.perf_counter()
    solution = body.solve(petsc_options=linear_solver.MULTIGRID)
    seconds = COMM.allreduce(time.perf_counter() - start, MPI.MAX)
    phases = {name: COMM.allreduce(value, MPI.MAX) for name, value in solution.seconds.items()}
    peak = COMM.allreduce(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) / 2**20
    step = solution.steps[0]
    unknowns = 3 * (2 * cells + 1) ** 3
    name = "million" if unknowns > 900_000 else f"{unknowns}_dofs"
    numbers = {f"{name}_dofs_seconds" if name == "million" else f"{name}_seconds": seconds, "ranks": float(COMM.size)}
    numbers |= {f"{name}_{phase.replace(' ', '_')}_seconds": value for phase, value in phases.items()}
    numbers[f"{name}_dofs_peak_gib" if name == "million" else f"{name}_peak_gib"] = peak
    iterations = "amg_iterations_1m" if name == "million" else "amg_iterations_125k"
    numbers[iterations] = step.linear_iterations / step.iterations
    numbers["newton_iterations"] = float(step.iterations)
    return numbers


def record(numbers: dict[str, float]) -> None:
    """Add to results.json."""
    results = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}
    results |= {f"million.{key}": float(f"{value:.5g}") for key, value in numbers.items()}
    unfinished = RESULTS.with_suffix(".partial")
    unfinished.write_text(json.dumps(results, indent=2, sort_keys=True) + "\n")
    unfinished.replace(RESULTS)


if __name__ == "__main__":
    main()
