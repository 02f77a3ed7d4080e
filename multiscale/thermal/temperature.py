"""The state of a law of temperature: T at every point, in K, and the orientation of the material if need be."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from fem.law import ShapeError
from multiscale.laws import kernel
from multiscale.laws.fields import UnknownState

TEMPERATURE, ORIENTATION = kernel.TEMPERATURE.name, kernel.ORIENTATION.name
"""Their names in the state."""


class InvalidTemperature(ValueError):
    """A temperature that is negative, not finite, or at which the quantity asked for does not exist."""


def temperature_of(state: Mapping[str, ndarray] | None, points: int) -> Float[ndarray, "n"]:
    """The temperatures that a state holds.

    Raises:
        fem.law.ShapeError: none, or another shape. UnknownState: the state holds something that no thermal law depends on.
    """
    unknown = sorted((state or {}).keys() - {TEMPERATURE, ORIENTATION})
    if unknown:
        raise UnknownState(f"the state holds {unknown}, expected {TEMPERATURE!r}, and {ORIENTATION!r} if need be")
    if not state or TEMPERATURE not in state:
        raise ShapeError(f"the state has no {TEMPERATURE}, expected T in K of shape ({points},) or ({points}, 1)")
    T = np.asarray(state[TEMPERATURE], dtype=np.float64)
    if T.shape not in ((points,), (points, 1)):
        raise ShapeError(f"{TEMPERATURE} has shape {T.shape}, expected T in K of shape ({points},) or ({points}, 1)")
    return T.reshape(points)


def check_temperature(temperature: Float[ndarray, "n"]) -> Float[ndarray, "n"]:
    """T as float64, once it is one.

    Raises:
        InvalidTemperature: negative or not finite; names the point.
    """
    T = np.asarray(temperature, dtype=np.float64)
    bad = ~((T >= 0.0) & np.isfinite(T))
    if bad.any():
        point = int(np.argmax(bad))
        raise InvalidTemperature(f"temperature is {T[point]} K at point {point}, expected a finite number >= 0")
    return T
