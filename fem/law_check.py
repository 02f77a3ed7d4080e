"""Whether a law's stress is the derivative of its energy, and its tangent that of its stress.

Newton converges to the same state with a wrong tangent, slowly or not at all, and a wrong energy misleads the line search;
central differences find both in a handful of points:

    P : D = (W(F + h D) - W(F - h D)) / 2h,    A : D = (P(F + h D) - P(F - h D)) / 2h

for random directions D with |D| = 1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from fem.law import Response

_STEP = 1e-5
# What differences cannot tell: truncation is 1e-10 times third derivatives, the round-off of P 1e-11. A mistake is far larger.
_TOLERANCE = 1e-5


class InconsistentLaw(ValueError):
    """A law whose stress is no derivative of its energy, or whose tangent is none of its stress."""


@dataclass(frozen=True)
class LawErrors:
    """Largest differences from central differences, beside the largest derivative compared.

    Attributes:
        stress: of P : D.
        tangent: of A : D.
    """

    stress: float
    tangent: float

    @property
    def complaint(self) -> str:
        """What is wrong with the law, "" if nothing is."""
        found = []
        # written so that NaN is a complaint
        if not self.stress <= _TOLERANCE:
            found.append(f"first_piola differs from the derivative of energy by {self.stress:.2g} of its size")
        if not self.tangent <= _TOLERANCE:
            found.append(f"tangent differs from the derivative of first_piola by {self.tangent:.2g} of its size")
        if not found:
            return ""
        return f"the law is inconsistent: {' and '.join(found)} (central differences, expected {_TOLERANCE:g} at most)"


def law_errors(
    respond: Callable[[Float[np.ndarray, "n 3 3"], bool], Response], F: Float[np.ndarray, "n 3 3"]
) -> LawErrors:
    """Compare a law with differences, two random directions a point.

    Args:
        respond: the law at F, with or without the tangent.
        F: deformation gradients at which the law can be asked, and a little beside them.
    """
    random = np.random.default_rng(0)
    response = respond(F, True)
    assert response.tangent is not None
    stress = tangent = 0.0
    for _ in range(2):
        D = random.standard_normal(F.shape)
        D /= np.linalg.norm(D, axis=(1, 2), keepdims=True)
        ahead, behind = respond(F + _STEP * D, False), respond(F - _STEP * D, False)
        slope = (ahead.energy - behind.energy) / (2.0 * _STEP)
        curvature = (ahead.first_piola - behind.first_piola) / (2.0 * _STEP)
        stiffness = np.einsum("niJkL,nkL->niJ", response.tangent, D)
        size = np.abs(stiffness).max(initial=0.0)
        # next to F = I the stress itself is nothing: then it is compared with what a strain of 1 % gives
        energy_size = max(np.abs(response.first_piola).max(initial=0.0), 0.01 * size)
        stress = max(stress, _ratio(slope - np.einsum("niJ,niJ->n", response.first_piola, D), energy_size))
        tangent = max(tangent, _ratio(curvature - stiffness, size))
    return LawErrors(stress, tangent)


def _ratio(difference: Float[np.ndarray, " *shape"], size: float) -> float:
    largest = float(np.max(np.abs(difference), initial=0.0))
    return largest / size if size > 0.0 else largest
