"""A solve from beginning to end: the discrete problem, where it starts, the path it follows, what it leaves behind."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mpi4py import MPI  # isort: skip

from dolfinx import fem as dfem

from fem.checkpoint import Checkpoint, CheckpointError, check_folder
from fem.conditions import ConditionError
from fem.equilibrium import Equilibrium
from fem.history import History
from fem.load_step import LoadStep
from fem.load_stepping import LoadNotConverged
from fem.progress import Progress
from fem.solution import Solution

Follow = Callable[[Equilibrium, History, float], str]
"""Follows a path of equilibria from the present state at a load factor; returns why it stopped short, "" if it did not."""


@dataclass(frozen=True)
class Journey:
    """Where a solve starts and what it leaves behind.

    Attributes:
        start: a solution of the same mesh, or a checkpoint's file; None for the undeformed body.
        checkpoint: file to which each step goes; None for none.
        watched: points whose displacement is recorded at each step, by name.
        progress: called on rank 0; None for silence.
    """

    start: Solution | str | Path | None = None
    checkpoint: str | Path | None = None
    watched: Mapping[str, Sequence[float]] | None = None
    progress: Progress | None = None

    def check(self, comm: MPI.Intracomm) -> None:
        """What is wrong with it, before anything is built. Collective.

        Raises:
            ValueError: a start or progress of a wrong type.
            CheckpointError: there is no file to start from.
            OSError: the checkpoint cannot be written.
        """
        if not (self.progress is None or callable(self.progress)):
            raise ValueError(f"progress is {self.progress!r}, expected a function of load factor and message, or None")
        if not (self.start is None or isinstance(self.start, (Solution, str, Path))):
            raise ValueError(
                f"start is a {type(self.start).__name__}, expected a fem.Solution or the file of a checkpoint"
            )
        if self.checkpoint is not None:
            check_folder(Path(self.checkpoint), comm)
        if isinstance(self.start, (str, Path)) and not comm.bcast(Path(self.start).is_file()):
            raise CheckpointError(f"checkpoint {str(self.start)!r} does not exist")


def travel(equilibrium: Equilibrium, journey: Journey, follow: Follow) -> Solution:
    """Set out from the start and follow a path. Collective.

    Raises:
        LoadNotConverged: it stopped short, or the start is near no equilibrium.
        CheckpointError: the file to start from is no checkpoint of this mesh and element.
        OSError: the checkpoint cannot be written.
    """
    state = {"displacement": equilibrium.residual.displacement}
    try:
        checkpoint = None if journey.checkpoint is None else Checkpoint(Path(journey.checkpoint), state)
        steps: list[LoadStep] = []
        load, obstacle = 0.0, ""
        if isinstance(journey.start, Solution):
            _take_over(journey.start, equilibrium.residual.displacement)
            load = journey.start.load_factor
        elif journey.start is not None:
            steps = Checkpoint(Path(journey.start), state).read()
            load = steps[-1].load_factor if steps else 0.0
        if journey.start is not None:
            attempt = equilibrium.solve(load)
            obstacle = "" if attempt.converged else f"the start is near no equilibrium at that load: {attempt.reason}"
        history = History(equilibrium.residual, steps, load, journey.watched, checkpoint, journey.progress)
        if not obstacle:
            if isinstance(journey.start, Solution):
                history.record(load, attempt)
            obstacle = follow(equilibrium, history, load)
        solution = Solution.of(equilibrium, history.steps)
    finally:
        equilibrium.destroy()
    if obstacle:
        kept = "" if checkpoint is None or not history.steps else str(journey.checkpoint)
        raise LoadNotConverged(max((step.load_factor for step in history.steps), default=0.0), obstacle, solution, kept)
    return solution


def _take_over(start: Solution, displacement: dfem.Function) -> None:
    space = displacement.function_space
    if start.displacement.function_space.mesh is not space.mesh:
        raise ConditionError(
            "the solution to start from is of another mesh object, expected one of this body's mesh; for a mesh read "
            "anew, start from a checkpoint's file"
        )
    if start.displacement.function_space.element == space.element:
        displacement.x.array[:] = start.displacement.x.array
    else:
        displacement.interpolate(start.displacement)
