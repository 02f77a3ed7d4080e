r"""Steps of the quadratic model m(s) = g . s + s . B s / 2 towards a minimum or a saddle of given order.

In the eigenbasis of B, lambda_1 <= lambda_2 ..., with gradient components c_k all steps are level shifts,

    s_k = -c_k / (lambda_k + mu_k) .

*Newton-Raphson*: mu = 0, to the stationary point of the model; it needs as many negative eigenvalues as the order of the saddle.

*Trust region*: least m within |s| <= radius. mu >= max(0, -lambda_1) is 0 where B is positive definite and the Newton step fits, else
|s(mu)| = radius; where c_1 = 0 the rest of the radius is filled along the first eigenvector, the hard case (More and Sorensen, SIAM J. Sci.
Stat. Comput. 4 (1983) 553). Thus an indefinite B is no obstacle: the step follows negative curvature downhill.

*Rational function*: mu = -nu, nu the lowest eigenvalue of [[B, g], [g^T, 0]], which is below lambda_1 and below zero (Banerjee, Adams,
Simons and Shepard, J. Phys. Chem. 89 (1985) 52).

Saddles of order n: the n followed modes (the lowest, or those nearest to the ones followed before) change the sign of lambda_k and c_k, and
the model is minimised as before: the trust-region image (Helgaker, Chem. Phys. Lett. 182 (1991) 503); with a shift of its own for either
partition it is partitioned rational function optimisation. Rational steps longer than the radius are replaced by the image's step of that
length, which has the same form with one shift (Besalu and Bofill, Theor. Chem. Acc. 100 (1998) 265).

Without a matrix, conjugate gradients give the step for minima (Steihaug, SIAM J. Numer. Anal. 20 (1983) 626): they end at the radius, and
along the first direction of negative curvature at the radius too.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.optimize import brentq

METHODS: Final = ("newton", "trust-region", "rfo")

HARD: Final = 1e-12
"""Of the gradient: components along the lowest mode that count as none."""


class WrongIndex(RuntimeError):
    """A Hessian has another number of negative eigenvalues than the stationary point sought: a Newton-Raphson step would leave it."""


@dataclass(frozen=True)
class Step:
    """A step of the model.

    Attributes:
        displacement: s, Angstrom.
        change: m(s), eV.
        negative: number of negative eigenvalues of B; with conjugate gradients 1 where negative curvature was met.
        bounded: whether the radius determined its length.
        followed: the modes along which the model was maximised.
    """

    displacement: Float[ndarray, "coordinates"]
    change: float
    negative: int
    bounded: bool
    followed: Float[ndarray, "coordinates order"]


def quadratic_step(
    gradient: Float[ndarray, "coordinates"],
    hessian: Float[ndarray, "coordinates coordinates"],
    *,
    method: str = "trust-region",
    order: int = 0,
    radius: float = np.inf,
    follow: Float[ndarray, "coordinates order"] | None = None,
) -> Step:
    """The step of a method.

    Args:
        gradient: g, eV/A.
        hessian: B, eV/A^2, without the zero eigenvalues of rigid motions.
        method: "newton", "trust-region" or "rfo".
        order: number of negative eigenvalues at the point sought: 0 for a minimum, 1 for a transition state.
        radius: bound on |s|, Angstrom; a Newton-Raphson step that is longer is scaled.
        follow: modes to be followed uphill; the lowest where None.

    Raises:
        ValueError: for an unknown method, an order below 0 or above the number of coordinates, a radius that is not positive.
        WrongIndex: for a Newton-Raphson step with another number of negative eigenvalues than `order`; for a trust-region step without a
            bound, where there is no least m.
    """
    if method not in METHODS:
        raise ValueError(f"method {method!r}, expected one of {METHODS}")
    if not 0 <= order <= len(gradient):
        raise ValueError(f"order = {order}, expected 0 for a minimum, 1 for a transition state")
    if not radius > 0.0:
        raise ValueError(f"radius = {radius} A, expected a positive length")
    eigenvalues, modes = np.linalg.eigh(hessian)
    negative = int((eigenvalues < 0.0).sum())
    if follow is None:
        chosen = np.arange(order)
    else:
        chosen = np.argsort(-np.square(modes.T @ follow).sum(1), kind="stable")[:order]
    sign = np.ones(len(eigenvalues))
    sign[chosen] = -1.0
    components = modes.T @ gradient
    image, slopes = sign * eigenvalues, sign * components
    if method == "newton":
        if negative != order:
            raise WrongIndex(
                f"the Hessian has {negative} negative eigenvalues (the lowest {eigenvalues[0]:.3g} eV/A^2), expected {order}: the "
                "Newton-Raphson step leads elsewhere; take method='trust-region' or 'rfo', which do not mind"
            )
        step = -components / eigenvalues
        length = float(np.linalg.norm(step))
        step, bounded = step * min(1.0, radius / max(length, np.finfo(float).tiny)), length > radius
    elif method == "trust-region":
        step, bounded = _within(image, slopes, radius)
    else:
        shift = np.empty_like(image)
        for part in (sign < 0.0, sign > 0.0):
            if part.any():
                shift[part] = _rational_shift(image[part], slopes[part])
        step = -np.divide(slopes, image - shift, out=np.zeros_like(image), where=slopes != 0.0)
        bounded = bool(np.linalg.norm(step) > radius)
        if bounded:
            step, bounded = _within(image, slopes, radius)
    change = float(components @ step + 0.5 * eigenvalues @ np.square(step))
    return Step(modes @ step, change, negative, bounded, modes[:, chosen])


def _rational_shift(eigenvalues: Float[ndarray, "n"], slopes: Float[ndarray, "n"]) -> float:
    """nu, the lowest eigenvalue of the augmented matrix."""
    augmented = np.diag(np.append(eigenvalues, 0.0))
    augmented[-1, :-1] = augmented[:-1, -1] = slopes
    return float(np.linalg.eigvalsh(augmented)[0])


def _within(
    eigenvalues: Float[ndarray, "n"], slopes: Float[ndarray, "n"], radius: float
) -> tuple[Float[ndarray, "n"], bool]:
    """The least of sum slopes s + eigenvalues s^2 / 2 within |s| <= radius, and whether it lies on the bound."""
    lowest = float(eigenvalues.min())
    if lowest > 0.0:
        newton = -slopes / eigenvalues
        if np.linalg.norm(newton) <= radius:
            return newton, False
    if not np.isfinite(radius):
        raise WrongIndex(f"the lowest curvature is {lowest:.3g} eV/A^2: the model has no minimum; give a finite radius")
    pole = max(0.0, -lowest)
    size = float(np.linalg.norm(slopes))
    edge = eigenvalues - lowest <= HARD * max(1.0, float(np.abs(eigenvalues).max()))
    if lowest <= 0.0 and np.linalg.norm(slopes[edge]) <= HARD * max(size, HARD):
        step = np.zeros_like(slopes)
        step[~edge] = -slopes[~edge] / (eigenvalues[~edge] + pole)
        missing = radius**2 - float(step @ step)
        if missing >= 0.0:
            step[np.flatnonzero(edge)[0]] = np.sqrt(missing)
            return step, True

    def excess(shift: float) -> float:
        """1/radius - 1/|s|, nearly linear in the shift."""
        return 1.0 / radius - 1.0 / float(np.linalg.norm(slopes / (eigenvalues + pole + shift)))

    # The component along the lowest mode alone, and all of the gradient along it, bracket the shift.
    least, most = float(np.linalg.norm(slopes[edge])) / radius - (lowest + pole), size / radius - (lowest + pole)
    least, most = max(least, 1e-14 * max(pole, 1.0)), max(most, 1e-14 * max(pole, 1.0))
    shift = (
        least if excess(least) <= 0.0 else float(brentq(excess, least, most * (1.0 + 1e-10), xtol=1e-14, rtol=1e-12))
    )
    step = -slopes / (eigenvalues + pole + shift)
    return step * (radius / float(np.linalg.norm(step))), True


def steihaug_step(
    gradient: Float[ndarray, "coordinates"],
    product: Callable[[Float[ndarray, "coordinates"]], Float[ndarray, "coordinates"]],
    *,
    radius: float,
    tolerance: float = 0.01,
) -> Step:
    """The trust-region step towards a minimum by conjugate gradients, from products B v alone.

    Args:
        gradient: g, eV/A.
        product: v -> B v.
        radius: bound on |s|, Angstrom.
        tolerance: |g + B s| / |g| at which an inner step is good enough.
    """
    step, residual = np.zeros_like(gradient), gradient.copy()
    along = -residual
    change = 0.0
    target = tolerance * float(np.linalg.norm(gradient))
    none = np.zeros((len(gradient), 0))
    for _ in range(2 * len(gradient)):
        if np.linalg.norm(residual) <= target:
            break
        pushed = product(along)
        curvature, slope = float(along @ pushed), float(residual @ along)
        square = float(residual @ residual)
        length = square / curvature if curvature > 0.0 else np.inf
        if curvature <= 0.0 or np.linalg.norm(step + length * along) >= radius:
            # To the sphere: |step + t along| = radius, t > 0
            a, b, c = float(along @ along), float(step @ along), float(step @ step) - radius**2
            t = (-b + np.sqrt(b * b - a * c)) / a
            change += float(t * slope + 0.5 * t * t * curvature)
            return Step(step + t * along, change, int(curvature <= 0.0), True, none)
        step = step + length * along
        change += length * slope + 0.5 * length**2 * curvature
        residual = residual + length * pushed
        along = -residual + (float(residual @ residual) / square) * along
    return Step(step, change, 0, False, none)
