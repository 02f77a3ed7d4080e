"""What a fit says of its law: how far it misses its own data and states left out, what is expected elsewhere, and what may be wrong.

What a law misses of the stress is a normalised mean square error; where it is far beyond the data's noise a warning says so. So does one
where a law without stress at F = I was fitted to data whose strains are counted from a strained crystal: its network takes up the
stress, misses little, and has other elastic constants than the material. A fit with a stress at F = I finds it, beyond its error bar.
"""

import warnings
from dataclasses import replace
from typing import Final

import numpy as np
from numpy import ndarray

from multiscale.data.dataset import StressStrainData
from multiscale.laws.invariant_network import InvariantLaw
from multiscale.laws.orbit_network import OrbitLaw
from multiscale.laws.polyconvex_network import PolyconvexLaw
from multiscale.laws.reference_state import ZERO_STRESS, ReferenceStress
from multiscale.trust.expected_error import expected_error, warn_of_hole

POOR_FIT: Final = 1e-3
"""Normalised mean square error of stress, beyond twice that of the data's own noise, which is worth a warning."""

REMEDY: Final = "use more neurons, or check the data and the symmetry"

AT_REST: Final = 1e-9
"""Of F - I."""


class PoorFit(UserWarning):
    """The fitted law misses its own data."""


class StressAtRest(UserWarning):
    """The data have a stress at F = I, and the law was fitted without one."""


def normalised_mse(prediction: ndarray, reference: ndarray) -> float:
    """Mean square error over mean square of the reference."""
    reference = np.asarray(reference)
    return float(np.mean((np.asarray(prediction) - reference) ** 2) / np.mean(reference**2))


def warn_if_poor(miss: float, data: StressStrainData, *, remedy: str = REMEDY, depth: int = 3) -> None:
    """Say so where the law misses the stress of its own data by more than their noise explains; `depth` is warnings' stacklevel."""
    noise = 0.0
    if data.first_piola is not None and data.first_piola_error is not None:
        noise = normalised_mse(data.first_piola + data.first_piola_error, data.first_piola)
    if miss > POOR_FIT + 2.0 * noise:
        warnings.warn(
            f"the law misses the stress of its own data by a normalised mean square error of {miss:.2g} (their noise is "
            f"{noise:.2g}, {POOR_FIT:g} is expected besides); {remedy}",
            PoorFit,
            stacklevel=depth,
        )


def rest_is_unknown(data: StressStrainData, asked: ReferenceStress) -> bool:
    """Whether zero stress at F = I is asked of data that say nothing about it."""
    at_rest = np.abs(data.deformation_gradient - np.eye(3)).max(axis=(1, 2)) < AT_REST
    zero = isinstance(asked, str) and asked == "zero"
    return zero and data.reference_tangent is None and data.first_piola is not None and not at_rest.any()


def warn_of_stress_at_rest(law: OrbitLaw | InvariantLaw, data: StressStrainData, *, depth: int = 3) -> None:
    """Say so where a law whose stress at F = I was fitted has one, beyond four standard errors; `depth` is warnings' stacklevel."""
    stress, error = law.reference_stress, law.stress_error(np.eye(3)[None])[0]
    scale = float(np.sqrt(np.mean(data.labels("first_piola") ** 2)))
    a, b = (int(k) for k in np.unravel_index(np.argmax(np.abs(stress) - 4.0 * error), (3, 3)))
    if abs(stress[a, b]) > ZERO_STRESS * scale + 4.0 * error[a, b]:
        warnings.warn(
            f"with a stress at F = I that is fitted as well, it is {np.round(stress, 4).tolist()} GPa, the largest with a standard error "
            f"of {error[a, b]:.2g} GPa, where zero was asked for; elastic constants of a law without it are others. Relax the crystal that "
            "strains are counted from, or ask for reference_stress='fit'",
            StressAtRest,
            stacklevel=depth,
        )


def judged[L: (OrbitLaw, InvariantLaw, PolyconvexLaw)](
    law: L,
    data: StressStrainData,
    summary: str,
    *,
    remedy: str = REMEDY,
    depth: int = 4,
) -> tuple[L, str]:
    """A law with an error bar, with what is known of its errors in its provenance, and that in words; warns of a poor fit and of a hole.

    Args:
        data: what it was fitted to.
        summary: of the fit so far.
        remedy: what to do where the fit is poor.
        depth: the warnings' stacklevel.
    """
    if data.first_piola is not None and law.uncertainty is not None:
        miss = normalised_mse(law.evaluate(data.deformation_gradient, tangent=False).first_piola, data.first_piola)
        warn_if_poor(miss, data, remedy=remedy, depth=depth)
        summary += f", stress NMSE {miss:.2g} on its own data, {law.uncertainty.left_out:.2g} on states left out"
        expected = expected_error(law)
        if expected is not None:
            warn_of_hole(expected, depth=depth)
            summary += (
                f"; expected {expected.inside:.2g} where trust is 1 ({100.0 * (1.0 - expected.outside):.0f} % of the box of its "
                f"states), and {expected.everywhere:.2g} in all of it"
            )
    return replace(law, provenance={**law.provenance, "fit": summary}), summary
