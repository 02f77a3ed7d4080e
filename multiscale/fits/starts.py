"""The best of several starts of a nonlinear least-squares fit.

Each start is improved on the training states; held-out states put the starts in order; the best few are polished on all states, and the
deepest minimum wins: a few states held out do not always tell a good start from one whose error is a hundred times higher, the cost of
several that were polished does.
"""

from collections.abc import Callable
from typing import Final, Protocol

from jaxtyping import Float
from numpy import ndarray

from multiscale.fits.levenberg_marquardt import Minimum, levenberg_marquardt

POLISHED: Final = 3
"""Starts that are polished."""


class Problem(Protocol):
    """Weighted residuals as functions of parameters."""

    def residual(self, parameters: Float[ndarray, "p"]) -> Float[ndarray, "r"]:
        """The residuals."""
        ...

    def linearisation(self, parameters: Float[ndarray, "p"]) -> tuple[Float[ndarray, "r"], Float[ndarray, "r p"]]:
        """Residuals and their Jacobian."""
        ...

    def chi_square(self, parameters: Float[ndarray, "p"]) -> float:
        """Mean square of the residuals of the data."""
        ...


def best_of_starts(
    everything: Problem,
    training: Problem,
    validation: Problem,
    initial: Callable[[], Float[ndarray, "p"]],
    *,
    starts: int,
    short: int,
    settle: int,
    long: int,
    report: Callable[[float, str], None],
) -> Minimum:
    """The deepest polished minimum.

    Args:
        everything, training, validation: one problem on all states, on those that a start sees, and on those held out.
        initial: draws the parameters of a start.
        starts: how many. short: iterations of a start. settle: of each polish, after which the order is final. long: of the deepest.
        report: told the fraction done and a message.
    """
    found: list[tuple[float, Minimum]] = []
    for start in range(starts):
        minimum = levenberg_marquardt(training.residual, training.linearisation, initial(), iterations=short)
        found.append((validation.chi_square(minimum.parameters), minimum))
        report(
            (start + 1) / (starts + POLISHED),
            f"start {start + 1} of {starts}: held-out chi square {found[-1][0]:.3g} a number",
        )
    found.sort(key=lambda pair: pair[0])
    polished = [
        levenberg_marquardt(everything.residual, everything.linearisation, minimum.parameters, iterations=settle)
        for _, minimum in found[:POLISHED]
    ]
    best = min(polished, key=lambda minimum: minimum.cost)
    if settle >= long:
        return best
    return levenberg_marquardt(everything.residual, everything.linearisation, best.parameters, iterations=long)
