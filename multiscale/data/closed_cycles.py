"""Whether a stress can be the derivative of a potential: do closed strain cycles close?

The work of a stress around a closed cycle of strain, the integral of S dE, is zero for every cycle if and only if S = dW/dE. Data
are scattered states, not cycles; so two models of S are fitted to them by least squares and compared:

    potential    S = dW/dE of a polynomial W, of the highest degree that leaves half of the numbers free,
    any          the same plus every field S of degree one (degree two where there are enough states), of which some have a curl.

If there is a potential the second does not fit better than chance, and F = (drop of the residual / fields added) / (residual left /
numbers left) follows Fisher's distribution (N. R. Draper and H. Smith, Applied Regression Analysis, 3rd ed. 1998, section 6.1). What the
polynomial misses of the potential acts as noise in both. The curl of the fitted S, c_ab = dS_a/de_b - dS_b/de_a, gives the
number: around a parallelogram with sides s u and s v the work is s^2 v.c.u, at most s^2 times the largest singular value of c.

Strains and stresses are in Mandel components, in which lengths do not depend on the axes.
"""

import warnings
from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import Final

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.stats import f as fisher

from multiscale.data.dataset import StressStrainData
from multiscale.laws.strain import SHEAR_DOUBLING, green_lagrange, strain_norm_components, stress_components

HIGHEST_DEGREE: Final = 4
"""Of the potential: 209 unknowns, seconds at 500 states."""

UNLIKELY, NOTICEABLE, UNBALANCED = 1e-4, 1e-3, 1e-2
"""Worth a warning: a chance below the first, of a part of the stress above the second; moments out of balance by more than the third,
and than three times what the stated errors explain."""


class NotAPotential(UserWarning):
    """The stress is the derivative of no potential, or not symmetric as equilibrium of moments demands."""


@dataclass(frozen=True)
class Integrability:
    """What the comparison found.

    Attributes:
        chance: the probability that data of a potential look as bad; 1 where the states cannot tell.
        share: root mean square of the stress that fields with a curl explain beyond the potential, over that of the stress.
        cycle_work: largest work of a closed cycle, a square with sides as long as the typical strain, GPa = GJ/m^3.
        relative_cycle_work: over the work of straining as far, 1/2 S:E, root mean square over the states.
        moment: root mean square of the skew part of F^-1 P over that of all of it; zero where moments balance.
        moment_noise: what the stated errors of P make of it.
        degree: of the potential that was fitted.
    """

    chance: float
    share: float
    cycle_work: float
    relative_cycle_work: float
    moment: float
    moment_noise: float
    degree: int

    @property
    def violated(self) -> bool:
        """Whether cycles do not close, beyond chance and by more than a thousandth of the stress."""
        return self.chance < UNLIKELY and self.share > NOTICEABLE


def integrability(data: StressStrainData) -> Integrability:
    """Compare the stress of the data with the best potential's.

    Raises:
        InvalidData: the data have no stress.
    """
    P = data.labels("first_piola")
    F = data.deformation_gradient
    full = np.linalg.solve(F, P)
    skew = 0.5 * (full - full.transpose(0, 2, 1))
    size = max(float(np.sqrt(np.mean(full**2))), np.finfo(float).tiny)
    moment = float(np.sqrt(np.mean(skew**2))) / size
    errors = data.first_piola_error
    # of nine components with this error six enter the skew part, by half their difference: F is near I
    moment_noise = 0.0 if errors is None else float(np.sqrt(np.mean(errors**2) / 3.0)) / size
    S = stress_components(full) * np.sqrt(SHEAR_DOUBLING)
    e = strain_norm_components(green_lagrange(F))
    s = float(np.sqrt(np.mean(np.sum(e**2, axis=1))))
    if s == 0.0:
        return Integrability(1.0, 0.0, 0.0, 0.0, moment, moment_noise, 0)
    n, typical = len(e), float(np.sqrt(np.mean(S**2)))
    x, weight = e / s, np.ones(n)
    if errors is not None:
        noise = np.sqrt(np.mean(errors**2, axis=(1, 2)))
        weight = 1.0 / np.sqrt(noise**2 + (NOTICEABLE * typical) ** 2)
    rows = np.repeat(weight, 6)
    target = S.ravel() * rows
    degree = 1
    while degree < HIGHEST_DEGREE and len(powers(degree + 1)) <= 3 * n:
        degree += 1
    potential = gradients(x, powers(degree)) * rows[:, None]
    order = 2 if potential.shape[1] + 6 * len(powers(2)) <= 4.5 * n else 1
    fields = vector_fields(x, powers(order)) * rows[:, None]
    without, rank_without, _ = least_squares(potential, target)
    together = np.concatenate([potential, fields], axis=1)
    both, rank_both, coefficients = least_squares(together, target)
    added, left = rank_both - rank_without, 6 * n - rank_both
    if added == 0 or left < added:
        return Integrability(1.0, 0.0, 0.0, 0.0, moment, moment_noise, degree)
    drop = max(without - both, 0.0)
    statistic = (drop / added) / max(both / left, np.finfo(float).tiny)
    curl = curls(x, coefficients[potential.shape[1] :], powers(order)) / s
    work = s**2 * np.linalg.norm(curl, ord=2, axis=(1, 2))
    straining = 0.5 * np.sqrt(np.mean(np.sum(S * e, axis=1) ** 2))
    return Integrability(
        chance=float(fisher.sf(statistic, added, left)),
        share=float(np.sqrt(drop / np.sum(target**2))),
        cycle_work=float(np.sqrt(np.mean(work**2))),
        relative_cycle_work=float(np.sqrt(np.mean(work**2)) / max(straining, np.finfo(float).tiny)),
        moment=moment,
        moment_noise=moment_noise,
        degree=degree,
    )


def warn_of_open_cycles(data: StressStrainData) -> Integrability:
    """`integrability`, with a warning that gives the number where the stress has no potential or moments do not balance."""
    found = integrability(data)
    if found.violated:
        warnings.warn(
            f"the stress is the derivative of no potential: closed strain cycles do not close, with work up to "
            f"{found.cycle_work:.3g} GPa ({100 * found.relative_cycle_work:.2g} % of that of straining as far; fields with a curl explain "
            f"{100 * found.share:.2g} % of the stress that no potential does; chance {found.chance:.1g}). A hyperelastic law cannot follow "
            "it: check units, axes and history of the data",
            NotAPotential,
            stacklevel=2,
        )
    if found.moment > max(UNBALANCED, 3.0 * found.moment_noise):
        warnings.warn(
            f"the skew part of F^-1 P is {100 * found.moment:.2g} % of it, expected none: moments do not balance. Is the stress P, "
            "not its transpose; is it noisy?",
            NotAPotential,
            stacklevel=2,
        )
    return found


def powers(highest: int) -> Int[ndarray, "m 6"]:
    """Exponents of all monomials of six variables up to this degree. The constant is left out: it is no stress of a potential's, and of
    a field it is a gradient."""
    chosen = [
        np.bincount(np.array(factors, dtype=int), minlength=6)
        for degree in range(1, highest + 1)
        for factors in combinations_with_replacement(range(6), degree)
    ]
    return np.array(chosen)


def monomials(x: Float[ndarray, "n 6"], exponents: Int[ndarray, "m 6"]) -> Float[ndarray, "n m"]:
    return np.asarray(np.prod(x[:, None, :] ** exponents, axis=2))


def derivatives(x: Float[ndarray, "n 6"], exponents: Int[ndarray, "m 6"]) -> Float[ndarray, "n 6 m"]:
    """Of each monomial by each variable."""
    columns = [exponents[:, a] * monomials(x, np.maximum(exponents - np.eye(6, dtype=int)[a], 0)) for a in range(6)]
    return np.stack(columns, axis=1)


def gradients(x: Float[ndarray, "n 6"], exponents: Int[ndarray, "m 6"]) -> Float[ndarray, "r m"]:
    """Columns of S = grad of each monomial, state by state."""
    return derivatives(x, exponents).reshape(-1, len(exponents))


def vector_fields(x: Float[ndarray, "n 6"], exponents: Int[ndarray, "m 6"]) -> Float[ndarray, "r q"]:
    """Columns of S = each monomial along each axis; axis a of monomial k is column 6 k + a."""
    values = monomials(x, exponents)
    return np.asarray((values[:, None, :, None] * np.eye(6)[None, :, None, :]).reshape(len(x) * 6, -1))


def curls(
    x: Float[ndarray, "n 6"], coefficients: Float[ndarray, "q"], exponents: Int[ndarray, "m 6"]
) -> Float[ndarray, "n 6 6"]:
    """dS_a/dx_b - dS_b/dx_a of the fields; gradients have none."""
    slope = np.einsum("ka,nbk->nab", coefficients.reshape(-1, 6), derivatives(x, exponents))
    return np.asarray(slope - slope.transpose(0, 2, 1))


def least_squares(A: Float[ndarray, "r q"], b: Float[ndarray, "r"]) -> tuple[float, int, Float[ndarray, "q"]]:
    """Residual sum of squares, rank and the shortest solution."""
    solution, _, rank, _ = np.linalg.lstsq(A, b, rcond=1e-10)
    return float(np.sum((A @ solution - b) ** 2)), int(rank), solution
