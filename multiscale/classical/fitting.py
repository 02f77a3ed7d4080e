"""Fitting a model to measured tests by least squares, with bounds, from several starts, and the errors of its parameters.

    minimise  sum_k (predicted_k - measured_k)^2 / error_k^2

over all points of all tests, by the trust-region reflective method (Branch, Coleman and Li, SIAM J. Sci. Comput. 21 (1999) 1; scipy).
Points without a standard error weigh alike: the plain least squares of the literature. At the minimum the covariance of the
parameters is s^2 (J^T J)^-1; s^2 is the mean square of the residuals per degree of freedom where errors are not given, and at least one
where they are, so that a law that misses its data does not claim their precision.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray
from scipy.optimize import least_squares

from fem.law import Law
from multiscale.classical.isotropic import IsotropicLaw
from multiscale.classical.models import Model, Parameter
from multiscale.classical.potentials import BeyondLocking, InvalidParameters, NeoHooke
from multiscale.data.stress_units import UnitError
from multiscale.laws.reference_state import FitError
from multiscale.measured.measured_test import MeasuredTest
from multiscale.measured.specimen import NoEquilibrium, isochoric_deformation, predicted_stress

STARTS: Final = 8
SHORT, LONG = 60, 600
"""Starts, and evaluations at most of each and of the best one's polish (those of the Jacobian not counted)."""

TINIEST: Final = 1e-20
"""The smallest size, in its unit, of a parameter that is fitted by its logarithm."""

IMPOSSIBLE: Final = 1e6
"""Residual of a point where the law has no answer (beyond locking, no equilibrium): the step is rejected."""

BULK: Final = Parameter("bulk_modulus", (2.0, 2000.0), logarithmic=True)

SMALLEST_SINGULAR: Final = 1e-7
"""Directions of the parameters that change the residuals by less than this fraction are not determined. The Jacobian is one of
differences, good to 1e-10."""


class Undetermined(UserWarning):
    """The tests leave a parameter undetermined."""


@dataclass(frozen=True)
class ModelFit:
    """A fitted law and what is known of its parameters.

    Attributes:
        model: the family.
        law: the member; its stress is in `unit`.
        values, errors: parameter -> value, standard error (infinite where undetermined or at a bound).
        unit: of stress and of the parameters that are moduli.
        chi_square: mean square of the weighted residuals per degree of freedom.
        relative_error: root mean square of predicted less measured stress over that of the measured.
    """

    model: Model
    law: Law
    values: dict[str, float]
    errors: dict[str, float]
    unit: str
    chi_square: float
    relative_error: float

    def __str__(self) -> str:
        listed = ", ".join(f"{name} = {value:.6g} +- {self.errors[name]:.2g}" for name, value in self.values.items())
        return f"{self.model.name}: {listed} (moduli in {self.unit}); misses its tests by {100 * self.relative_error:.2g} %"


def fit_model(model: Model, tests: Sequence[MeasuredTest], *, seed: int, starts: int = STARTS) -> ModelFit:
    """The member of a model that fits the tests best.

    Raises:
        FitError: no tests, fewer points than parameters, or no start that led anywhere.
        UnitError: the tests are in different units (MeasuredTest.in_unit converts).
    """
    unit = one_unit(tests)
    scale = neo_hookean_modulus(tests)
    bulk = model.volumetric and not all(test.incompressible for test in tests)
    parameters = (*model.parameters, BULK) if bulk else model.parameters
    measured = np.concatenate([test.stress for test in tests])
    if len(measured) <= len(parameters):
        raise FitError(
            f"{len(measured)} points and {len(parameters)} parameters of {model.name}, expected more points; add tests"
        )
    space = Space.of(parameters, float(invariants(tests)[:, 0].max()), scale)
    weight = weights(tests)
    prior = np.array([parameter.prior for parameter in parameters])

    def law_of(z: Float[ndarray, "p"]) -> Law:
        values = [float(value) for value in space.values(z)]
        return model.build(values[:-1], values[-1]) if bulk else model.build(values, None)

    def residual(z: Float[ndarray, "p"]) -> Float[ndarray, "r"]:
        try:
            with np.errstate(over="ignore", invalid="ignore"):
                missed = (predicted_stress(law_of(z), tests) - measured) * weight
        except (BeyondLocking, InvalidParameters, NoEquilibrium, np.linalg.LinAlgError):
            missed = np.full(len(measured), IMPOSSIBLE)
        return np.concatenate([np.nan_to_num(missed, nan=IMPOSSIBLE, posinf=IMPOSSIBLE, neginf=-IMPOSSIBLE), z / prior])

    rng = np.random.default_rng(seed)
    best = None
    bounds = (space.lower, space.upper)
    for _ in range(starts):
        found = least_squares(residual, space.start(rng), bounds=bounds, x_scale="jac", max_nfev=SHORT)
        if np.abs(found.fun).max() < IMPOSSIBLE and (best is None or found.cost < best.cost):
            best = found
    if best is None:
        raise FitError(
            f"{model.name} has no answer for these tests from any of {starts} starts; fit smaller deformations"
        )
    best = least_squares(residual, best.x, "3-point", bounds, x_scale="jac", max_nfev=LONG)
    points = len(measured)
    chi_square = float(np.sum(best.fun[:points] ** 2)) / (points - len(parameters))
    inflation = chi_square if any(test.stress_error is None for test in tests) else max(1.0, chi_square)
    at_bound = best.active_mask != 0
    errors = standard_errors(best.jac, at_bound) * np.sqrt(inflation) * space.slope(best.x)
    names = [parameter.name for parameter in parameters]
    warn_of_undetermined(model, names, best.jac, at_bound)
    return ModelFit(
        model=model,
        law=law_of(best.x),
        values=dict(zip(names, (float(value) for value in space.values(best.x)), strict=True)),
        errors=dict(zip(names, (float(error) for error in errors), strict=True)),
        unit=unit,
        chi_square=chi_square,
        relative_error=float(np.linalg.norm(best.fun[:points] / weight) / np.linalg.norm(measured)),
    )


def one_unit(tests: Sequence[MeasuredTest]) -> str:
    """The unit of all tests."""
    if not tests:
        raise FitError("no tests are given, expected at least one")
    units = sorted({test.unit for test in tests})
    if len(units) > 1:
        raise UnitError(f"the tests are in {' and '.join(units)}, expected one unit; convert with MeasuredTest.in_unit")
    return units[0]


def weights(tests: Sequence[MeasuredTest]) -> Float[ndarray, "n"]:
    """One over the standard error; over the root mean square of all stresses where a test has none."""
    typical = float(np.sqrt(np.mean(np.concatenate([test.stress for test in tests]) ** 2)))
    return np.concatenate(
        [np.full(len(test), 1.0 / typical) if test.stress_error is None else 1.0 / test.stress_error for test in tests]
    )


def neo_hookean_modulus(tests: Sequence[MeasuredTest]) -> float:
    """The modulus that sets the scale: mu of incompressible neo-Hooke, linear least squares; from volumetric tests the bulk modulus."""
    kept = [replace(test, incompressible=True) for test in tests if test.kind != "volumetric"]
    if kept:
        unit_stress = predicted_stress(IsotropicLaw(NeoHooke(1.0)), kept)
        measured = np.concatenate([test.stress for test in kept])
    else:
        unit_stress = predicted_stress(IsotropicLaw(NeoHooke(1.0), 1.0), tests)
        measured = np.concatenate([test.stress for test in tests])
    modulus = float(unit_stress @ measured / (unit_stress @ unit_stress))
    if not modulus > 0.0:
        raise FitError(
            f"the stiffness of the tests is {modulus:.3g}, expected > 0: tension is positive, and the deformation is a stretch (1 at rest)"
        )
    return modulus


@dataclass(frozen=True)
class Space:
    """The dimensionless unknowns z of a fit, and the parameters they stand for: size z, or size exp z.

    Attributes:
        parameters: what they are.
        size: their units, with their sign where they are logarithmic.
        lower, upper: bounds of z.
    """

    parameters: tuple[Parameter, ...]
    size: Float[ndarray, "p"]
    lower: Float[ndarray, "p"]
    upper: Float[ndarray, "p"]

    @classmethod
    def of(cls, parameters: Sequence[Parameter], largest: float, modulus: float) -> "Space":
        """Moduli in units of `modulus`, limits of extension in units of the largest Ibar1 - 3 of the data."""
        size, lower, upper = [], [], []
        for parameter in parameters:
            unit = modulus if parameter.modulus else 1.0 if parameter.floor is None else parameter.floor(largest)
            size.append(unit * (np.sign(parameter.start[0]) if parameter.logarithmic else 1.0))
            low, high = parameter.lower if parameter.floor is None else 1.0, parameter.upper
            if parameter.logarithmic:
                low, high = np.log(max(low, TINIEST)), np.log(min(high, 1.0 / TINIEST))
            lower.append(low)
            upper.append(high)
        return cls(tuple(parameters), np.array(size), np.array(lower), np.array(upper))

    @property
    def logarithmic(self) -> Bool[ndarray, "p"]:
        return np.array([parameter.logarithmic for parameter in self.parameters])

    def start(self, rng: np.random.Generator) -> Float[ndarray, "p"]:
        """A random start inside the bounds."""
        ranges = np.array([parameter.start for parameter in self.parameters])
        ranges[self.logarithmic] = np.log(np.abs(ranges[self.logarithmic]))
        z: Float[ndarray, "p"] = np.clip(rng.uniform(ranges[:, 0], ranges[:, 1]), self.lower + 1e-9, self.upper - 1e-9)
        return z

    def values(self, z: Float[ndarray, "p"]) -> Float[ndarray, "p"]:
        """The parameters."""
        return np.asarray(self.size * np.where(self.logarithmic, np.exp(np.where(self.logarithmic, z, 0.0)), z))

    def slope(self, z: Float[ndarray, "p"]) -> Float[ndarray, "p"]:
        """Size of their derivative by z."""
        return np.asarray(
            np.abs(self.size) * np.where(self.logarithmic, np.exp(np.where(self.logarithmic, z, 0.0)), 1.0)
        )


def invariants(tests: Sequence[MeasuredTest]) -> Float[ndarray, "n 2"]:
    """Ibar1 - 3 and Ibar2 - 3 of every point, a compressible specimen taken as if it kept its volume."""
    F = np.concatenate([isochoric_deformation(test.kind, test.deformation) for test in tests])
    C = F.transpose(0, 2, 1) @ F / np.cbrt(np.linalg.det(F) ** 2)[:, None, None]
    first = np.trace(C, axis1=1, axis2=2)
    second = 0.5 * (first**2 - np.einsum("nij,nij->n", C, C))
    return np.maximum(np.stack([first, second], axis=1) - 3.0, 0.0)


def standard_errors(jacobian: Float[ndarray, "r p"], at_bound: ndarray) -> Float[ndarray, "p"]:
    """sqrt diag (J^T J)^-1 of the parameters not at a bound; infinite where the residuals do not change."""
    errors = np.full(jacobian.shape[1], np.inf)
    free = np.flatnonzero(~at_bound)
    columns = jacobian[:, free]
    length = np.linalg.norm(columns, axis=0)
    live = length > 0.0
    free, columns, length = free[live], columns[:, live], length[live]
    if not len(free):
        return errors
    _, singular, vectors = np.linalg.svd(columns / length, full_matrices=False)
    determined = singular > SMALLEST_SINGULAR * singular[0]
    variance = ((vectors[determined] / singular[determined, None]) ** 2).sum(axis=0)
    lost = (vectors[~determined] ** 2).sum(axis=0) > 1e-6
    errors[free] = np.where(lost, np.inf, np.sqrt(variance) / length)
    return errors


def warn_of_undetermined(
    model: Model, names: Sequence[str], jacobian: Float[ndarray, "r p"], at_bound: ndarray
) -> None:
    """Name the parameters that the tests do not determine."""
    errors = standard_errors(jacobian, at_bound)
    lost = [name for name, error, bound in zip(names, errors, at_bound, strict=True) if np.isinf(error) and not bound]
    if lost:
        warnings.warn(
            f"the tests do not determine {', '.join(lost)} of {model.name}; their values are one choice of many. Add another kind of test",
            Undetermined,
            stacklevel=3,
        )
