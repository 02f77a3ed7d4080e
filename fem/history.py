"""What a solve leaves behind as it goes: the record of each step, the checkpoint, the line on the terminal."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from mpi4py import MPI  # isort: skip  # noqa: F401

from fem.attempt import Attempt
from fem.checkpoint import Checkpoint
from fem.load_step import LoadStep
from fem.probes import Probes
from fem.progress import Progress, time_left
from fem.residual import Residual


class History:
    """Collects the steps of one solve. Collective.

    Args:
        residual: the body's; its present state is where the history goes on.
        steps: which led to the present state.
        load_factor: of the present state.
        watched: points whose displacement is recorded, by name.
        checkpoint: written after each step; None for none.
        progress: called on rank 0; None for silence.

    Attributes:
        steps: converged so far.
    """

    def __init__(
        self,
        residual: Residual,
        steps: Sequence[LoadStep] = (),
        load_factor: float = 0.0,
        watched: Mapping[str, Sequence[float]] | None = None,
        checkpoint: Checkpoint | None = None,
        progress: Progress | None = None,
    ) -> None:
        self.steps = list(steps)
        self._residual = residual
        self._comm = residual.displacement.function_space.mesh.comm
        self._names = list(watched or {})
        domain = residual.displacement.function_space.mesh
        self._probes = Probes(domain, [watched[name] for name in self._names]) if watched else None
        self._checkpoint = checkpoint
        self._progress = progress
        self._begun = self._last = time.perf_counter()
        self._first_load = load_factor
        # a state taken over from elsewhere has cost what it has stored
        self._work = steps[-1].work if steps else residual.material.energy()
        self._cut_backs = 0
        self._forces, _ = residual.nodal_forces()
        self._displacement = self._residual.owned()

    def record(self, load_factor: float, attempt: Attempt) -> LoadStep:
        """Take down the present state, converged at that load factor."""
        forces, reactions = self._residual.nodal_forces()
        displacement = self._residual.owned()
        increment = 0.5 * float((self._forces + forces) @ (displacement - self._displacement))
        self._forces, self._displacement = forces, displacement
        self._work += float(self._comm.allreduce(increment))
        u = self._residual.displacement
        probed = {} if self._probes is None else dict(zip(self._names, self._probes.values(u).tolist(), strict=True))
        now = time.perf_counter()
        step = LoadStep(
            load_factor=load_factor,
            iterations=attempt.iterations,
            residuals=attempt.residuals,
            energy=self._residual.material.energy(),
            seconds=now - self._last,
            cut_backs=self._cut_backs,
            stagnated=attempt.stagnated,
            work=self._work,
            linear_iterations=attempt.linear_iterations,
            reactions=reactions,
            probes={name: tuple(values) for name, values in probed.items()},
        )
        self.steps.append(step)
        self._last, self._cut_backs = now, 0
        if self._checkpoint is not None:
            self._checkpoint.write(self.steps)
        done = (load_factor - self._first_load) / (1.0 - self._first_load) if self._first_load < 1.0 else 1.0
        left = time_left(done, now - self._begun)
        self._tell(
            load_factor,
            f"load {load_factor:.4g}: {attempt.iterations} iterations, |R| {attempt.residuals[-1]:.1e}{left}",
        )
        return step

    def failed(self, load_factor: float, attempt: Attempt, next_factor: float) -> None:
        """Count an attempt at that load factor which found no equilibrium."""
        self._cut_backs += 1
        reached = self.steps[-1].load_factor if self.steps else 0.0
        self._tell(reached, f"load {load_factor:.4g} failed ({attempt.reason}): trying {next_factor:.4g}")

    def _tell(self, load_factor: float, message: str) -> None:
        """Call `progress` on rank 0; what it raises stops all ranks."""
        problem: BaseException | None = None
        if self._progress is not None and self._comm.rank == 0:
            try:
                self._progress(load_factor, message)
            except BaseException as error:
                problem = error
        stopped = self._comm.bcast(problem is not None) if self._progress is not None else False
        if problem is not None:
            raise problem
        if stopped:
            raise RuntimeError("the progress function failed on rank 0, which says why")
