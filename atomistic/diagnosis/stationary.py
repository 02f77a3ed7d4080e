r"""What kind of stationary point a training has come to, or that it is none.

The signs of the Hessian's eigenvalues h_i tell: none negative is a minimum, all negative a maximum, and the number of negative ones is
the index of a saddle. Eigenvalues that vanish to round-off belong to directions along which the loss does not change to second order: a
symmetry, a neuron that is dead or has a twin, or parameters that the data do not determine. The spectrum of a slope tells none of that;
how far the point is from stationary is measured by what the loss would still fall by if it were quadratic,

    fall = 1/2 g^T |H|^-1 g,    g = grad E,

from Gauss quadrature started at g (`atomistic.diagnosis.lanczos`) or from all eigenvectors; |h_i| no less than the limit for zero modes.
"""

import warnings
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.sparse.linalg import ArpackNoConvergence, eigsh

from atomistic.diagnosis.lanczos import lowest, quadrature
from atomistic.diagnosis.landscape import Landscape, Point

SMALL: Final = 400
"""Parameters up to which all eigenvalues cost no more than the lowest ones by Lanczos."""

LEAST: Final = 16
"""Parameters below which Lanczos has nothing to save."""

ZERO: Final = 1e-9
"""Curvatures below this part of the largest count as zero: well above round-off, and below what data determine."""

STATIONARY: Final = 1e-6
"""Part of the loss by which it may still fall at a stationary point."""


class NotStationary(UserWarning):
    """The spectrum is that of a slope: index and zero modes say nothing of a stationary point."""


@dataclass(frozen=True)
class StationaryPoint:
    """A point of a landscape and its curvatures.

    Attributes:
        kind: "minimum", "degenerate minimum" (with zero modes), "saddle", "maximum", or "slope" where it is not stationary.
        index: number of negative curvatures.
        zero_modes: number of curvatures that vanish.
        complete: whether all of these were found; else there are at least so many.
        eigenvalues: of the Hessian, ascending: all, or the lowest with the largest.
        directions: unit vectors of the negative curvatures, the most negative first.
        loss, gradient_norm: E and |grad E|.
        fall: by which the loss would still fall if it were quadratic.
        zero: |curvature| up to which it counts as zero.
    """

    kind: str
    index: int
    zero_modes: int
    complete: bool
    eigenvalues: Float[ndarray, "found"]
    directions: Float[ndarray, "parameters negative"]
    loss: float
    gradient_norm: float
    fall: float
    zero: float

    def __str__(self) -> str:
        """In words."""
        least = "" if self.complete else "at least "
        counted = f"{least}{self.index} negative and {self.zero_modes} zero curvatures"
        return f"{self.kind}, {counted}, |grad E| = {self.gradient_norm:.2g}, E = {self.loss:.6g}"


def classify(
    landscape: Landscape,
    theta: Float[ndarray, "parameters"],
    *,
    dense: bool | None = None,
    zero: float = ZERO,
    tolerance: float = STATIONARY,
    limit: int = 64,
    seed: int = 0,
) -> StationaryPoint:
    """Index and zero modes of a stationary point.

    Args:
        landscape: E.
        theta: where.
        dense: from the whole Hessian, or by Lanczos on products with it; None for what is cheaper.
        zero: curvatures up to this part of the largest are zero modes.
        tolerance: the point is stationary where the loss would fall by no more than this part of it (or of this part of one unit).
        limit: number of negative and zero curvatures that Lanczos looks for.
        seed: of Lanczos's starts.

    Warns:
        NotStationary: where the point is none.

    Raises:
        HessianTooLarge: where `dense` does not fit into memory.
        NonFiniteLoss: where the loss or its derivatives are not finite.
        NoParameters: where `theta` is empty.
    """
    point = landscape.point(theta)
    found = classify_point(point, dense=dense, zero=zero, tolerance=tolerance, limit=limit, seed=seed)
    warn_of_slope(found, stacklevel=3)
    return found


def warn_of_slope(found: StationaryPoint, *, stacklevel: int) -> None:
    """Warn where the point is not stationary."""
    if found.kind == "slope":
        warnings.warn(
            f"not a stationary point: |grad E| = {found.gradient_norm:.2g} and the loss, {found.loss:.4g}, would still fall by about "
            f"{found.fall:.2g}; the spectrum is that of a slope: train on, or follow gradient_flow",
            NotStationary,
            stacklevel=stacklevel,
        )


def classify_point(
    point: Point, *, dense: bool | None, zero: float, tolerance: float, limit: int, seed: int
) -> StationaryPoint:
    """`classify` without the warning, of a point whose graph is there already."""
    size = len(point)
    if size <= SMALL if dense is None else dense or size < LEAST:
        values, vectors = np.linalg.eigh(point.hessian())
        limits = float(np.abs(values).max()) * zero
        shares, heights, complete = vectors.T @ point.gradient, np.abs(values), True
    else:
        largest = _largest(point, seed)
        limits = largest * zero
        heights, weights = quadrature(point.product, point.gradient, 100)
        shares = np.sqrt(weights) * float(np.linalg.norm(point.gradient))
        heights = np.abs(heights)
        if largest == 0.0:
            values, vectors, complete = np.zeros(size), np.eye(size, 0), True
        else:
            part = lowest(point.product, size, bound=limits, largest=largest, limit=limit, seed=seed)
            values, vectors, complete = part.values, part.vectors, part.complete
            values = np.append(values, largest) if values.max(initial=-np.inf) < largest else values
    negative = np.flatnonzero(values < -limits)
    zero_modes = int(np.sum(np.abs(values) <= limits))
    # A gradient with no curvature beside it, and curvatures that are all zero, leave no scale: the fall is then without bound.
    floor = max(limits, 1e-300)
    fall = 0.5 * float(np.sum(shares**2 / np.maximum(heights, floor)))
    if not fall <= tolerance * max(abs(point.loss), tolerance):
        kind = "slope"
    elif len(negative):
        kind = "maximum" if len(negative) == size else "saddle"
    else:
        kind = "degenerate minimum" if zero_modes else "minimum"
    return StationaryPoint(
        kind=kind,
        index=len(negative),
        zero_modes=zero_modes,
        complete=complete,
        eigenvalues=values,
        directions=vectors[:, negative],
        loss=point.loss,
        gradient_norm=float(np.linalg.norm(point.gradient)),
        fall=fall,
        zero=limits,
    )


def _largest(point: Point, seed: int) -> float:
    """The largest modulus of an eigenvalue."""
    start = np.random.default_rng((seed, 1)).normal(size=len(point))
    try:
        (value,) = eigsh(point.operator(), 1, which="LM", v0=start, tol=1e-4, return_eigenvectors=False)
    except ArpackNoConvergence:
        nodes, _ = quadrature(point.product, start, 60)
        value = np.abs(nodes).max()
    return float(abs(value))


def polished(
    landscape: Landscape, theta: Float[ndarray, "parameters"], *, steps: int = 20, zero: float = ZERO
) -> Float[ndarray, "parameters"]:
    """The stationary point next to `theta`, of whatever index, by Newton's method in the space without zero modes.

    It stops where a step no longer lowers the gradient: at round-off, or far from any stationary point.

    Raises:
        HessianTooLarge: where the Hessian does not fit into memory.
        NonFiniteLoss: where the loss or its derivatives are not finite.
    """
    point = landscape.point(theta)
    for _ in range(steps):
        values, vectors = np.linalg.eigh(point.hessian())
        kept = np.abs(values) > zero * np.abs(values).max()
        step = vectors[:, kept] @ ((vectors[:, kept].T @ point.gradient) / values[kept])
        trial = landscape.point(point.theta - step)
        if np.linalg.norm(trial.gradient) >= np.linalg.norm(point.gradient):
            break
        point = trial
    return point.theta
