r"""Stresses held against energies and forces: unit, sign and order of the components.

A model linear in the descriptors, fitted to energies and forces alone, predicts stresses p; with the given ones s the slope of the
regression s = k p is one where both say the same. Stresses in another unit or with the other sign give another k, components in another
order (a frequent difference between programs) another correlation. Nothing is said where the fit does not predict stresses.
"""

import warnings
from collections.abc import Sequence
from itertools import permutations
from typing import Final

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from atomistic.linear_fit import ridge_regression
from atomistic.training_rows import Rows
from atomistic.units import EV_PER_CUBIC_ANGSTROM_IN_GPA
from atomistic.whitening import ErrorScales, design

SLOPES: Final = {
    -1.0: "the other sign: tension must be positive, as in ASE",
    EV_PER_CUBIC_ANGSTROM_IN_GPA: f"GPa: divide by {EV_PER_CUBIC_ANGSTROM_IN_GPA:.1f}",
    10.0 * EV_PER_CUBIC_ANGSTROM_IN_GPA: f"kbar: divide by {10.0 * EV_PER_CUBIC_ANGSTROM_IN_GPA:.0f}",
    1.0
    / EV_PER_CUBIC_ANGSTROM_IN_GPA: f"a conversion to eV/A^3 done twice: multiply by {EV_PER_CUBIC_ANGSTROM_IN_GPA:.1f}",
    0.1: "a conversion from kbar to GPa done once too often: multiply by 10",
    10.0: "a conversion from kbar to GPa left out: divide by 10",
}
"""Slope k of given on predicted -> the unit or sign that it betrays; each also with the other sign."""

SHEAR: Final = ("yz", "xz", "xy")


class InconsistentStress(UserWarning):
    """Stresses that disagree with energies and forces by sign, unit or order."""


def warn_of_inconsistent_stresses(
    rows: Sequence[Rows],
    groups: Sequence[Sequence[str]],
    numbers: tuple[int, ...],
    scales: ErrorScales,
    *,
    least_correlation: float = 0.9,
    tolerance: float = 0.3,
) -> None:
    """Warn where stresses have another sign, unit or order than energies and forces imply.

    Args:
        rows: whitened rows of the training set.
        groups: of each structure of each block; each group is looked at by itself, and all together.
        numbers: atomic numbers of the elements.
        scales: of the loss.
        least_correlation: of given and predicted stresses, below which nothing is concluded from the slope.
        tolerance: largest ln k for which the slope passes.
    """
    predicted, given = _predicted_and_given(rows, numbers, scales)
    names = np.array([name for block in groups for name in block])
    suspicious: dict[str, list[str]] = {}
    for name in dict.fromkeys(names.tolist()):
        chosen = names == name
        finding = _finding(predicted[chosen], given[chosen], least_correlation, tolerance)
        if finding:
            suspicious.setdefault(finding, []).append(f"{name or 'all'} ({int(chosen.sum())})")
    for finding, members in suspicious.items():
        warnings.warn(
            f"the stresses of the configurations of group {', '.join(members)} {finding}",
            InconsistentStress,
            stacklevel=4,
        )


def _predicted_and_given(
    rows: Sequence[Rows], numbers: tuple[int, ...], scales: ErrorScales
) -> tuple[Float[ndarray, "structures 6"], Float[ndarray, "structures 6"]]:
    """Stresses (eV/A^3) of a linear model of energies and forces, and the labels."""
    model = ridge_regression(rows, numbers, ErrorScales(scales.energy, scales.force, 1e6))
    predicted = []
    for block in rows:
        zero = block.values.new_zeros(block.values.shape[-1])
        parts = [design(block, z, zero)[1][:, -6:] @ model.coefficients[z] for z in numbers]
        predicted.append(np.sum([part.cpu().numpy() for part in parts], axis=0))
    return np.concatenate(predicted), np.concatenate([block.targets[:, -6:].cpu().numpy() for block in rows])


def _finding(predicted: ndarray, given: ndarray, least_correlation: float, tolerance: float) -> str | None:
    scale = float(np.sqrt(np.sum(predicted**2) * np.sum(given**2)))
    if len(given) < 3 or scale == 0.0:
        return None
    order = _order(predicted, given)
    if order is not None:
        return (
            f"agree with energies and forces if their last three components are {', '.join(order)}: expected xx, yy, zz, yz, xz, xy; "
            "reorder them"
        )
    correlation = float(np.sum(predicted * given)) / scale
    if abs(correlation) < least_correlation:
        return None
    slope = float(np.sum(predicted * given) / np.sum(predicted**2))
    if slope > 0.0 and abs(np.log(slope)) < tolerance:
        return None
    known = {sign * k: text for k, text in SLOPES.items() for sign in (1.0, -1.0) if sign * k != 1.0}
    near = min(known, key=lambda k: abs(np.log(abs(slope / k))) + 100.0 * (slope * k < 0.0))
    cause = "neither a known unit nor sign; check their unit"
    if slope * near > 0.0 and abs(np.log(slope / near)) < tolerance:
        opposite = near < 0.0 and near != -1.0
        cause = SLOPES[near if near in SLOPES else -near] + (", with the other sign" if opposite else "")
    return f"are {slope:.4g} times what energies and forces imply (correlation {correlation:.3f}), expected 1: {cause}"


def _order(predicted: ndarray, given: ndarray) -> tuple[str, ...] | None:
    """The order of the given shear components that fits, where another than the expected one fits far better."""
    size = float(np.sum(given[:, 3:] ** 2))
    normal = float(np.sum(given[:, :3] * predicted[:, :3])) / max(float(np.sum(predicted[:, :3] ** 2)), 1e-300)
    if size < 1e-6 * float(np.sum(given**2)):
        return None
    misfit = {}
    for order in permutations(range(3)):
        # given[:, 3 + m] is the component order[m]
        wanted = predicted[:, 3:][:, list(order)] * normal
        misfit[order] = float(np.sum((given[:, 3:] - wanted) ** 2)) / size
    best = min(misfit, key=lambda order: misfit[order])
    if best == (0, 1, 2) or misfit[best] > 0.25 or misfit[best] > 0.25 * misfit[0, 1, 2]:
        return None
    return tuple(SHEAR[k] for k in best)
