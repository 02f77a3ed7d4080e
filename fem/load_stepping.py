"""From the undeformed body to the full load in steps, shortened where Newton fails and lengthened again after."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fem.equilibrium import Attempt, Equilibrium

if TYPE_CHECKING:
    from fem.solution import Solution

Progress = Callable[[float, str], None]

# A step shorter than this part of the asked one means that the load cannot be carried along this path.
_SHORTEST = 2.0**-10


@dataclass(frozen=True)
class LoadStep:
    """One converged load step.

    Attributes:
        load_factor: load reached, in (0, 1].
        iterations: Newton iterations.
        residuals: |R| before the first iteration and after each one.
        energy: strain energy of the body.
        seconds: wall time, failed attempts since the previous step included.
        cut_backs: failed attempts since the previous step.
        stagnated: the residual stopped at the noise of the law, above the tolerance (`fem.ResidualStagnated`).
    """

    load_factor: float
    iterations: int
    residuals: tuple[float, ...]
    energy: float
    seconds: float
    cut_backs: int = 0
    stagnated: bool = False


class LoadNotConverged(RuntimeError):
    """The full load was not reached.

    Attributes:
        load_factor: the largest one in equilibrium.
        solution: the body there.
    """

    def __init__(self, load_factor: float, reason: str, solution: Solution) -> None:
        self.load_factor, self.solution = load_factor, solution
        super().__init__(
            f"no equilibrium found beyond {load_factor:.4g} of the load: {reason}. The last converged state is in "
            "`.solution`. Try more load_steps, a smaller load, or a finer mesh where the body is distorted; a load past "
            "the strength of the structure or of the material has no equilibrium"
        )


def follow_load(equilibrium: Equilibrium, load_steps: int, progress: Progress | None) -> tuple[list[LoadStep], str]:
    """Solve at rising load factors up to 1. Collective.

    A step starts from the two last states extrapolated (a straight path costs one iteration less), or, should the law
    refuse that, from the last one.

    Returns:
        The converged steps, and why it stopped: "" at full load. The displacement is that of the last converged step.
    """
    u = equilibrium.displacement.x.array
    loads, states = [0.0], [u.copy()]
    steps: list[LoadStep] = []
    longest = step = 1.0 / load_steps
    cut_backs, start = 0, time.perf_counter()
    while loads[-1] < 1.0:
        # never leave a crumb for the last step
        target = 1.0 if loads[-1] + 1.001 * step >= 1.0 else loads[-1] + step
        attempt = _attempt(equilibrium, loads, states, target)
        if attempt.converged:
            loads, states = [loads[-1], target], [states[-1], u.copy()]
            now = time.perf_counter()
            energy = equilibrium.material.energy()
            steps.append(
                LoadStep(
                    target,
                    attempt.iterations,
                    attempt.residuals,
                    energy,
                    now - start,
                    cut_backs,
                    attempt.stagnated,
                )
            )
            if progress is not None:
                progress(target, f"load {target:.3g}: {attempt.iterations} iterations, |R| {attempt.residuals[-1]:.1e}")
            step = min(longest, 2.0 * step)
            cut_backs, start = 0, now
        else:
            cut_backs += 1
            step = 0.5 * (target - loads[-1])
            if step < _SHORTEST * longest:
                u[:] = states[-1]
                equilibrium.material.update()
                return steps, attempt.reason
            if progress is not None:
                progress(loads[-1], f"load {target:.4g} failed ({attempt.reason}): trying {loads[-1] + step:.4g}")
    return steps, ""


def _attempt(equilibrium: Equilibrium, loads: list[float], states: list[np.ndarray], target: float) -> Attempt:
    u = equilibrium.displacement.x.array
    if len(states) == 2:
        ahead = (target - loads[1]) / (loads[1] - loads[0])
        u[:] = states[1] + ahead * (states[1] - states[0])
        attempt = equilibrium.solve(target)
        if attempt.converged:
            return attempt
    u[:] = states[-1]
    return equilibrium.solve(target)
