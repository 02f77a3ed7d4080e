"""From a state in equilibrium to the full load in steps, shortened where Newton fails and lengthened where it is quick."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fem.attempt import Attempt
from fem.equilibrium import Equilibrium
from fem.history import History
from fem.stability import Stability

if TYPE_CHECKING:
    from fem.solution import Solution

# A step shorter than this part of the asked one means that the load cannot be carried along this path.
_SHORTEST = 2.0**-10
# Newton iterations: with fewer the next step is longer in proportion, by a factor of two at most; with more than the second it is halved.
_WANTED, _TOO_MANY = 6, 10


class LoadNotConverged(RuntimeError):
    """The full load was not reached.

    Attributes:
        load_factor: the largest one in equilibrium.
        solution: the body there.
    """

    def __init__(self, load_factor: float, reason: str, solution: Solution, checkpoint: str = "") -> None:
        self.load_factor, self.solution = load_factor, solution
        kept = f" and in {checkpoint!r}" if checkpoint else ""
        super().__init__(
            f"no equilibrium found beyond {load_factor:.4g} of the load: {reason}. The last converged state is in "
            f"`.solution`{kept}. Try more load_steps, a smaller load, or a finer mesh where the body is distorted; a load past "
            "the strength of the structure or of the material has no equilibrium, and trace(...) follows what comes after it"
        )


@dataclass
class _Path:
    """The states that the next one is extrapolated from, the last one at the end."""

    loads: list[float]
    states: list[np.ndarray]

    def add(self, load: float, state: np.ndarray) -> None:
        self.loads, self.states = [*self.loads[-2:], load], [*self.states[-2:], state]

    def extrapolated(self, load: float) -> np.ndarray:
        """The polynomial through the states, of second degree at most."""
        value = np.zeros_like(self.states[0])
        for i, state in enumerate(self.states):
            others = [x for j, x in enumerate(self.loads) if j != i]
            value += float(np.prod([(load - x) / (self.loads[i] - x) for x in others])) * state
        return value


def follow_load(
    equilibrium: Equilibrium, history: History, *, start: float, longest: float, first: float, stable: bool
) -> str:
    """Solve at rising load factors from `start`, where the present displacement is in equilibrium, up to 1. Collective.

    A step starts from the last three states extrapolated, or, should that lead nowhere, from the last one. Its length follows the
    iterations of the last one, and is halved if it fails.

    Args:
        equilibrium: the problem.
        history: takes down the converged steps.
        start: load factor of the present state.
        longest: no step is longer.
        first: length of the first step.
        stable: leave states which are no minimum of the potential (`fem.stability`).

    Returns:
        Why it stopped: "" at full load. The displacement is that of the last converged step.
    """
    u = equilibrium.residual.displacement.x.array
    path = _Path([start], [u.copy()])
    step = min(first, longest)
    shortest = _SHORTEST * step
    failures = 0
    stability = (
        Stability(equilibrium)
        if stable and equilibrium.residual.loads.conservative and equilibrium.has_factors
        else None
    )
    while path.loads[-1] < 1.0:
        load = path.loads[-1]
        # never leave a crumb for the last step
        target = 1.0 if load + 1.001 * step >= 1.0 else load + step
        attempt = _attempt(equilibrium, path, target)
        moved = False
        if stability is not None:
            attempt, moved = stability.settle(target, attempt)
        if attempt.converged:
            if moved:
                path = _Path([], [])  # nothing to extrapolate from on the new branch
            path.add(target, u.copy())
            history.record(target, attempt)
            step *= (
                0.5
                if attempt.iterations > _TOO_MANY
                else float(np.clip(_WANTED / max(1, attempt.iterations), 1.0, 2.0))
            )
            step = min(step, longest)
            failures = 0
        else:
            failures += 1
            # the first failure may be bad luck, a second one means far too long
            step = (0.5 if failures == 1 else 0.25) * (target - load)
            if step < shortest:
                residual = equilibrium.residual
                residual.set_owned(path.states[-1][: residual.held().size])
                equilibrium.look(residual.owned(), load)
                return attempt.reason
            history.failed(target, attempt, load + step)
    return ""


def _attempt(equilibrium: Equilibrium, path: _Path, target: float) -> Attempt:
    u = equilibrium.residual.displacement.x.array
    if len(path.states) > 1:
        u[:] = path.extrapolated(target)
        attempt = equilibrium.solve(target)
        if attempt.converged:
            return attempt
    u[:] = path.states[-1]
    return equilibrium.solve(target)
