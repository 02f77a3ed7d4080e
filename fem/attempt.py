"""What comes of looking for equilibrium, and when a residual that gets no better is as good as it will be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

STAGNANT = 1e-6
"""A residual this small beside the nodal forces which gets no better is as good as the law's stress allows."""


class ResidualStagnated(UserWarning):
    """Equilibrium holds to the digits of the law's stress, not to the tolerance asked for."""


@dataclass(frozen=True)
class Attempt:
    """Outcome of one Newton solve.

    Attributes:
        converged: whether equilibrium was reached.
        iterations: Newton iterations done.
        residuals: |R| before the first iteration and after each, with prescribed values counted as residuals.
        reason: PETSc's name for the outcome, what is left of the residual, and the law's objection if that was it.
        stagnated: converged to the floor of the law's noise only, see `Equilibrium`.
        linear_iterations: of the linear solver, all Newton iterations together.
    """

    converged: bool
    iterations: int
    residuals: tuple[float, ...]
    reason: str
    stagnated: bool = False
    linear_iterations: int = 0


@dataclass(frozen=True)
class Look:
    """A displacement and load factor, in equilibrium or not.

    Attributes:
        residual: |R|, with prescribed values counted as residuals.
        balanced: whether that is as good as equilibrium.
        nearly: whether it is so small that noise in the law's stress may be all of it.
    """

    residual: float
    balanced: bool
    nearly: bool


def no_better(residuals: Sequence[float]) -> bool:
    """Whether neither of the last two iterations took a tenth off the smallest residual before them."""
    before, last = residuals[:-2], residuals[-2:]
    return bool(before) and min(last) > 0.9 * min(before)
