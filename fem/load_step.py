"""What is known of each step on the way to the full load."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mpi4py import MPI  # isort: skip

from fem.output import write_whole

Vector = tuple[float, ...]


@dataclass(frozen=True)
class LoadStep:
    """One converged load step.

    Attributes:
        load_factor: load reached.
        iterations: Newton iterations.
        residuals: |R| before the first iteration and after each one.
        energy: strain energy of the body.
        seconds: wall time, failed attempts since the previous step included.
        cut_backs: failed attempts since the previous step.
        stagnated: the residual stopped at the noise of the law, above the tolerance (`fem.ResidualStagnated`).
        work: done on the body by loads, springs and supports since the undeformed state, by the trapezoidal rule over the steps;
            beside `energy` it is the balance of work, to the square of the step length.
        reactions: force of each support on the body, by the name of its surface.
        linear_iterations: of the linear solver, all Newton iterations together.
        probes: displacement at each point asked for by `Solid.watch`.
    """

    load_factor: float
    iterations: int
    residuals: Vector
    energy: float
    seconds: float
    cut_backs: int = 0
    stagnated: bool = False
    work: float = 0.0
    linear_iterations: int = 0
    reactions: Mapping[str, Vector] = field(default_factory=dict)
    probes: Mapping[str, Vector] = field(default_factory=dict)

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> LoadStep:
        """The step whose fields a file holds."""
        tuples = {name: {k: tuple(v) for k, v in record[name].items()} for name in ("reactions", "probes")}
        return cls(**{**record, **tuples, "residuals": tuple(record["residuals"])})


def write_curve(steps: Sequence[LoadStep], path: Path, comm: MPI.Intracomm) -> None:
    """Write one row a step, the undeformed state first; see `Solution.write_curve`. Collective."""

    def write(unfinished: Path) -> None:
        with unfinished.open("w", newline="") as file:
            rows = csv.writer(file)
            vectors = [
                (kind, name, v) for kind in ("reactions", "probes") for name, v in getattr(steps[0], kind).items()
            ]
            labels = [
                f"{'reaction' if k == 'reactions' else 'u'} {n} {'xyz'[i]}"
                for k, n, v in vectors
                for i in range(len(v))
            ]
            rows.writerow(["load_factor", "iterations", "energy", "work", *labels])
            rows.writerow([0.0, 0, 0.0, 0.0] + [0.0] * len(labels))
            for step in steps:
                values = [x for kind, name, _ in vectors for x in getattr(step, kind)[name]]
                rows.writerow([step.load_factor, step.iterations, step.energy, step.work, *values])

    write_whole(path, write, comm)
