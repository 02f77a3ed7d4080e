"""The state of a law of temperature: T at every point, in K, and the orientation of the material if need be; functions of T alone."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from fem.law import ShapeError
from multiscale.laws.fields import UnknownState
from multiscale.laws.kernel import parameter_block

TEMPERATURE, ORIENTATION = parameter_block.TEMPERATURE.name, parameter_block.ORIENTATION.name
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


def powers(
    temperature: Float[ndarray, "n"], origin: float, span: float, count: int
) -> tuple[Float[ndarray, "n k"], Float[ndarray, "n k"]]:
    """theta^k, theta = (T - origin) / span, for k < count, and their derivatives by T.

    Raises:
        InvalidTemperature: negative or not finite.
    """
    theta, order = (check_temperature(temperature) - origin) / span, np.arange(count)
    value = theta[:, None] ** order
    slope = np.zeros_like(value)
    slope[:, 1:] = order[1:] * value[:, :-1] / span
    return value, slope


def temperature_trust(T: Float[ndarray, "n"], known: Float[ndarray, "t"], span: float) -> Float[ndarray, "n"]:
    """1 within the range of the temperatures that are known, span / (span + distance) outside."""
    if len(known) == 0:
        return np.ones(len(T))
    distance = np.maximum(np.maximum(known.min() - T, T - known.max()), 0.0)
    return np.asarray(span / (span + distance))


def caloric(
    T: Float[ndarray, "n"], heat_capacity: float, span: float
) -> tuple[Float[ndarray, "n"], Float[ndarray, "n"]]:
    """-c (T ln(T / span) - T) and its derivative -c ln(T / span), c in GPa/K; T = 0 is as T = 1 in the logarithm, which diverges there."""
    logarithm = np.log(np.where(T > 0.0, T, 1.0) / span)
    return -heat_capacity * T * (logarithm - 1.0), -heat_capacity * logarithm
