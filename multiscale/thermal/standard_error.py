"""Error bars of whatever follows from a fitted free energy: the delta method."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from multiscale.laws.fields import NoUncertainty
from multiscale.thermal.law import PARAMETERS, ThermalLaw

STEP: Final = 0.1
"""Of the differences, in standard errors of the parameters: small enough for their nonlinearity, large against round-off."""


def standard_error(law: ThermalLaw, quantity: Callable[[ThermalLaw], ndarray]) -> ndarray:
    """Standard error of a quantity of a fitted law, from the errors of the data that it was fitted to.

    `quantity` takes a law and returns an array, such as `lambda law: multiscale.elastic_constants_at(law, 300.0)`; it is
    differentiated along each column of the covariance's factor (ThermalLaw.uncertainty) by central differences.

    Raises:
        NoUncertainty: the law was not fitted.
    """
    if law.uncertainty is None:
        raise NoUncertainty("this law has no error bar; expected one made by multiscale.fit_thermal")
    parameters, variance = parameters_of(law), np.zeros(())
    for column in law.uncertainty.T:
        ahead, behind = (
            np.asarray(quantity(with_parameters(law, parameters + sign * column))) for sign in (STEP, -STEP)
        )
        variance = variance + ((ahead - behind) / (2.0 * STEP)) ** 2
    return np.asarray(np.sqrt(variance))


def parameters_of(law: ThermalLaw) -> Float[ndarray, "y"]:
    """All that a fit determines, as one vector: `PARAMETERS`, then the heat capacity."""
    return np.concatenate([*(getattr(law, name).ravel() for name in PARAMETERS), [law.heat_capacity or 0.0]])


def with_parameters(law: ThermalLaw, parameters: Float[ndarray, "y"]) -> ThermalLaw:
    """The law with other parameters, without error bars and domain."""
    fields: dict[str, Any] = {}
    start = 0
    for name in PARAMETERS:
        array = getattr(law, name)
        fields[name] = parameters[start : start + array.size].reshape(array.shape)
        start += array.size
    heat_capacity = None if law.heat_capacity is None else float(parameters[-1])
    return replace(law, **fields, heat_capacity=heat_capacity, domain=None, uncertainty=None)
