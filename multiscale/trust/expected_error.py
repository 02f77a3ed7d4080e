"""How far a fitted law is expected to miss the stress of states that nobody labelled, from its error bar and its trust alone.

With P and its standard error at many states that fill the box of the training states' logarithmic strains,

    inside = mean |error bar|^2 over those of trust 1 / mean |P|^2,    everywhere = mean |error bar|^2 / mean |P|^2.

Inside, that is close to the true normalised mean square error. Where few states were drawn by chance, they leave some corner of
their own box out; there trust is below 1, and there nearly all of the law's error sits: the difference between a good seed and a bad one.
Beside such a corner single states of trust 1 may be missed much more than the error bar says. It holds at the typical state, and for
designs without a hole in the mean; with a hole the mean square inside may be up to five times what is expected.
"""

import warnings
from dataclasses import dataclass
from typing import Final

import numpy as np

from multiscale.laws.strain_potential import StrainPotential

STATES: Final = 256
"""Of the box."""

UNEVEN: Final = 5.0
"""A law expected to miss the box so many times more than its inside is worth a warning."""


class DesignHole(UserWarning):
    """The training states leave out part of the box that they span, and the law is expected to be poor there."""


@dataclass(frozen=True)
class ExpectedError:
    """Normalised mean square errors of stress that are expected.

    Attributes:
        inside: where trust is 1. everywhere: in the whole box. outside: share of the box where trust is below 1.
    """

    inside: float
    everywhere: float
    outside: float


def expected_error(law: StrainPotential, *, states: int = STATES, seed: int = 0) -> ExpectedError | None:
    """What is expected of a law; None where it has no domain or no error bar."""
    if law.domain is None or law.gauge is None or law.uncertainty is None:
        return None
    F = law.domain.box(states, seed)
    bar = np.square(law.stress_error(F)).sum(axis=(1, 2))
    size = float(np.square(law.evaluate(F, tangent=False).first_piola).sum(axis=(1, 2)).mean())
    trusted = law.gauge.trust(F) == 1.0
    everywhere = float(bar.mean()) / size
    inside = float(bar[trusted].mean()) / size if trusted.any() else everywhere
    return ExpectedError(inside, everywhere, float(np.mean(~trusted)))


def warn_of_hole(expected: ExpectedError, *, depth: int = 3) -> None:
    """Say so where most of the expected error lies outside; `depth` is warnings' stacklevel."""
    if expected.everywhere > UNEVEN * expected.inside:
        warnings.warn(
            f"the training states leave out {100.0 * expected.outside:.2g} % of the box of strains that they span: the law is expected "
            f"to miss the stress by a normalised mean square error of {expected.inside:.1g} where its trust is 1, and "
            f"{expected.everywhere:.1g} in the whole box; add states there (multiscale.next_states), or begin with "
            "multiscale.informative_design",
            DesignHole,
            stacklevel=depth,
        )
