"""How a law's error on states held out falls with the number of states that it was made from: would more states help?"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from fem.law import Law
from multiscale.data.dataset import StressStrainData
from multiscale.fits.fit import Mode, fitted_law
from multiscale.fits.judgement import normalised_mse
from multiscale.fits.orbit_law import Progress, TooFewStates, usable
from multiscale.laws.reference_state import FitError, ReferenceStress
from multiscale.symmetry.material_symmetry import MaterialSymmetry

HELD_OUT: Final = 0.2
"""Share of the states that judge."""

SHARES: Final = (0.25, 0.5, 1.0)
"""Of the others, the shares that laws are made from where nobody says."""

LABELS: Final = {"first_piola": "stress", "tangent": "tangent", "energy": "energy"}
"""Field of the data -> its name."""


@dataclass(frozen=True)
class LearningCurve:
    """What was measured.

    Attributes:
        states: how many each law was made from, rising.
        held_out: how many judged.
        errors: "stress", "tangent", "energy" (those that the data have) -> normalised mean square error of each law.
    """

    states: tuple[int, ...]
    held_out: int
    errors: dict[str, tuple[float, ...]]

    def __str__(self) -> str:
        lines = [f"{'states':>8}" + "".join(f"{name:>12}" for name in self.errors)]
        for k, count in enumerate(self.states):
            lines.append(f"{count:>8}" + "".join(f"{values[k]:>12.2g}" for values in self.errors.values()))
        return "\n".join([*lines, f"normalised mean square errors on {self.held_out} states held out"])


def learning_curve(
    data: StressStrainData,
    symmetry: MaterialSymmetry,
    *,
    mode: Mode = "free",
    neurons: int | None = None,
    seed: int = 0,
    starts: int = 8,
    reference_stress: ReferenceStress = "zero",
    states: Sequence[int] | None = None,
    progress: Progress | None = None,
) -> LearningCurve:
    """Fits to growing parts of the data, judged by a fifth of the states that none of them sees. Arguments as of `fit`, and

    Args:
        states: how many states to fit to; by default a quarter, half, and all of those not held out. Parts of the data that are too
            small for the network are left out.

    Raises:
        FitError: a number of states beyond what there is, or no part that is large enough.
    """
    report = progress or (lambda fraction, message: None)
    data = usable(data)
    order = np.random.default_rng(seed).permutation(len(data))
    held_out = max(1, round(HELD_OUT * len(data)))
    rest = len(data) - held_out
    sizes = sorted({round(share * rest) for share in SHARES} if states is None else set(states))
    if not sizes or sizes[0] < 1 or sizes[-1] > rest:
        raise FitError(f"the learning curve is asked for {sizes} states, expected numbers from 1 to {rest}")
    judges = chosen(data, order[:held_out])
    found: list[tuple[int, dict[str, float]]] = []
    for k, size in enumerate(sizes):
        report(k / len(sizes), f"learning curve: {size} states")
        part = chosen(data, order[held_out : held_out + size])
        try:
            with warnings.catch_warnings():
                # the fit to all of the data has said it, and parts of it are worse
                warnings.simplefilter("ignore", UserWarning)
                law = fitted_law(part, symmetry, mode, neurons, seed, starts, reference_stress, None)
        except TooFewStates:
            continue
        found.append((size, errors_of(law, judges)))
    if not found:
        raise FitError(
            f"{sizes[-1]} of {len(data)} states are too few for this network; add states, or use fewer neurons"
        )
    report(1.0, "learning curve")
    names = found[0][1].keys()
    return LearningCurve(
        states=tuple(size for size, _ in found),
        held_out=held_out,
        errors={name: tuple(errors[name] for _, errors in found) for name in names},
    )


def errors_of(law: Law, data: StressStrainData) -> dict[str, float]:
    """Normalised mean square error of each label that the data have."""
    response = law.evaluate(data.deformation_gradient)
    return {
        name: normalised_mse(getattr(response, field), getattr(data, field))
        for field, name in LABELS.items()
        if getattr(data, field) is not None
    }


def chosen(data: StressStrainData, states: np.ndarray) -> StressStrainData:
    """The data of these states."""
    mask = np.zeros(len(data), dtype=bool)
    mask[states] = True
    return data.select(mask)
