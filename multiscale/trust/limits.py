"""Where a fitted law should not be used: its domain, where it is not strongly elliptic, where its error bars are too large.

Everything is measured on the law itself, at states of its own domain; what cannot be measured is said to be unknown.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from multiscale.data.dataset import StressStrainData
from multiscale.fits.fit import FittedLaw
from multiscale.fits.judgement import normalised_mse
from multiscale.laws.strain import log_strain, strain_norm_components
from multiscale.trust.ellipticity import STATES, Ellipticity, check_ellipticity

COMPONENTS: Final = ("xx", "yy", "zz", "yz", "xz", "xy")

LARGE_BAR: Final = 0.05
"""An error bar (90 %) of the stress above this fraction of the stress (both root mean squares over the domain) is worth a word."""

LARGE_MISS: Final = 0.03
"""So is a miss of the law's own data above this fraction (root mean square)."""

LARGE_CONSTANT: Final = 0.05
"""And a standard error of an elastic constant above this fraction of the largest."""

DEVIATIONS: Final = 1.6448536269514722
"""Standard deviations of a 90 % interval."""


@dataclass(frozen=True, eq=False)
class Limits:
    """What was found.

    Attributes:
        sentences: where not to use the law, and why, in the order of weight.
        ellipticity: at 2000 states of the domain.
        log_strain: (n, 6) of the data, shear doubled.
        error_bar: root mean square of the 90 % error bar of P over that of P, at states of the domain; None where the law has none.
        share_lost: of those states, the part at which the law is not strongly elliptic.
        nearest_loss: the norm of the log-strain of the nearest of them; None where there is none.
    """

    sentences: tuple[str, ...]
    ellipticity: Ellipticity
    log_strain: Float[ndarray, "n 6"]
    error_bar: float | None
    share_lost: float
    nearest_loss: float | None


def limits_of(law: FittedLaw, data: StressStrainData, warned: Sequence[str] = (), *, seed: int = 0) -> Limits:
    """Look for the limits of a law.

    Args:
        data: what it was fitted to.
        warned: what the fit warned of.
        seed: of the states drawn from the domain.
    """
    data = data.select(data.admissible)
    ellipticity = check_ellipticity(law, states=STATES, seed=seed)
    lost = float(ellipticity.lost.mean())
    strain = log_strain(data.deformation_gradient)
    bar = relative_error_bar(law, ellipticity.deformation_gradient)
    sentences = [
        domain_sentence(strain),
        f"Where det F < {law.growth_threshold:.3g}: a growth term that keeps elements from inverting rules there, not the material.",
        temperature_sentence(data),
        *ellipticity_sentences(ellipticity),
        *error_sentences(law, data, bar),
        *constants_sentences(law),
        *(f"The fit warned: {message}." for message in warned),
    ]
    nearest = float(losses(ellipticity).min()) if lost else None
    return Limits(tuple(sentences), ellipticity, strain, bar, lost, nearest)


def domain_sentence(strain: Float[ndarray, "n 6"]) -> str:
    """The box of the data."""
    low, high = 100.0 * strain.min(axis=0) / DOUBLED, 100.0 * strain.max(axis=0) / DOUBLED
    ranges = ", ".join(f"{name} {a:.1f} to {b:.1f} %" for name, a, b in zip(COMPONENTS, low, high, strict=True))
    return (
        f"Outside of its data, log-strains {ranges} and what the symmetry makes of them: there it extrapolates. "
        "evaluate(F, trust=True).trust is below 1 there."
    )


DOUBLED: Final = np.array([1.0, 1.0, 1.0, 2.0, 2.0, 2.0])


def temperature_sentence(data: StressStrainData) -> str:
    return f"At other temperatures than {data.temperature:g} K, the data's: it does not know them."


def losses(found: Ellipticity) -> Float[ndarray, "m"]:
    """Norms of the log-strain where ellipticity is lost."""
    F = found.deformation_gradient[found.lost]
    return np.asarray(np.linalg.norm(strain_norm_components(log_strain(F)), axis=1))


def ellipticity_sentences(found: Ellipticity) -> list[str]:
    """Where it is lost, how near to F = I, how to get another law."""
    if not found.lost.any():
        return []
    size = losses(found)
    nearest = found.deformation_gradient[found.lost][int(np.argmin(size))]
    return [
        f"Where it is not strongly elliptic: at {100.0 * found.lost.mean():.2g} % of its domain's states (smallest acoustic eigenvalue "
        f"{found.smallest:.3g} GPa), the nearest at a log-strain of norm {100.0 * float(size.min()):.2g} %, "
        f"F = {np.round(nearest, 3).tolist()}. "
        "A mesh decides there where bands form; modes 'penalised' and 'polyconvex' avoid it at a price."
    ]


def relative_error_bar(law: FittedLaw, F: Float[ndarray, "n 3 3"]) -> float | None:
    """The 90 % error bar over the stress, root mean squares over these states."""
    if law.uncertainty is None:
        return None
    P = law.evaluate(F, tangent=False).first_piola
    return float(DEVIATIONS * np.sqrt(np.mean(law.stress_error(F) ** 2) / np.mean(P**2)))


def error_sentences(law: FittedLaw, data: StressStrainData, bar: float | None) -> list[str]:
    """What is known of the error of the stress."""
    found = []
    if bar is None:
        found.append("Where its error matters and nobody has checked it: this kind of law has no error bars.")
    elif bar > LARGE_BAR:
        found.append(
            f"Where more than a rough stress is needed: its 90 % error bars are {100.0 * bar:.2g} % of the stress in its own domain. "
            "Add states (multiscale.next_states chooses them)."
        )
    if data.first_piola is not None:
        stress, errors = law.evaluate(data.deformation_gradient, tangent=False).first_piola, data.first_piola_error
        noise = 0.0 if errors is None else float(np.mean(errors**2) / np.mean(data.first_piola**2))
        miss = float(np.sqrt(max(normalised_mse(stress, data.first_piola) - noise, 0.0)))
        if miss > LARGE_MISS:
            found.append(
                f"Where an error of {100.0 * miss:.2g} % of the stress is too much: so far it misses its own data "
                "(root mean square, beyond their noise)."
            )
    return found


def constants_sentences(law: FittedLaw) -> list[str]:
    """Elastic constants that are no material's, or badly known."""
    C = law.elastic_constants()
    found = []
    smallest = float(np.linalg.eigvalsh(C)[0])
    if not smallest > 0.0:
        found.append(
            f"Near F = I: its elastic constants have the eigenvalue {smallest:.3g} GPa, the unstrained material is unstable."
        )
    if law.uncertainty is not None:
        error = law.uncertainty.constants_error()
        worst = float(error.max() / np.abs(C).max())
        if worst > LARGE_CONSTANT:
            a, b = (int(k) for k in np.unravel_index(np.argmax(np.round(error / error.max(), 6)), (6, 6)))
            found.append(
                f"Where small strains decide: C{a + 1}{b + 1} = {C[a, b]:.3g} GPa has a standard error of {error[a, b]:.2g} GPa."
            )
    return found
