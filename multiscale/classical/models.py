"""The classical laws as candidates for a fit: which parameters, within which bounds, from which starts.

A modulus is drawn in units of the shear modulus that the neo-Hookean law takes in the same tests.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from fem.law import Law
from fem.laws import SaintVenantKirchhoff
from multiscale.classical.isotropic import IsotropicLaw
from multiscale.classical.potentials import ArrudaBoyce, Carroll, Gent, MooneyRivlin, NeoHooke, Ogden, Parameters, Yeoh
from multiscale.measured.measured_test import MeasuredTest


@dataclass(frozen=True)
class Parameter:
    """One number of a law.

    Attributes:
        name: of the law's field.
        start: the range that starts are drawn from, evenly.
        lower, upper: bounds.
        modulus: whether it is a stress, so that start and bounds are in units of the neo-Hookean shear modulus.
        floor: the lower bound, and the unit of start and upper bound, that the largest Ibar1 - 3 of the tests sets, for a law that locks.
        logarithmic: whether it is fitted, and its starts drawn, by its logarithm; its sign is that of `start`,
            bounds are of its size.
        prior: standard deviation about zero, of a parameter that the tests may leave undetermined. Infinite: none.
    """

    name: str
    start: tuple[float, float]
    lower: float = -np.inf
    upper: float = np.inf
    modulus: bool = True
    floor: Callable[[float], float] | None = None
    logarithmic: bool = False
    prior: float = np.inf


@dataclass(frozen=True)
class Model:
    """A family of laws.

    Attributes:
        name: for tables and messages.
        parameters: what is fitted.
        build: the law of a row of values, and of a bulk modulus or None for an incompressible material.
        volumetric: whether the bulk modulus is a parameter besides these, where a test is not incompressible.
    """

    name: str
    parameters: tuple[Parameter, ...]
    build: Callable[[Sequence[float], float | None], Law]
    volumetric: bool = True

    def fit(self, tests: Sequence[MeasuredTest], *, seed: int) -> Law:
        """The law of least squares; `fit_model` tells its parameters and their errors as well."""
        from multiscale.classical.fitting import fit_model

        return fit_model(self, tests, seed=seed).law


def isotropic(name: str, potential: type[Parameters], *parameters: Parameter) -> Model:
    """The model of an isotropic potential."""

    def build(values: Sequence[float], bulk_modulus: float | None) -> Law:
        return IsotropicLaw(potential.of(values), bulk_modulus)  # type: ignore[arg-type]

    return Model(name, parameters, build)


def saint_venant_kirchhoff(values: Sequence[float], bulk_modulus: float | None) -> Law:
    """Of shear and bulk modulus, both in the first argument: where the volume is kept the second still shapes the stress."""
    mu, kappa = values
    return SaintVenantKirchhoff.cubic(kappa + 4.0 / 3.0 * mu, kappa - 2.0 / 3.0 * mu, mu)


def ogden(terms: int = 3) -> Model:
    """Ogden's law whose terms are convex in the stretches: mu_p alpha_p > 0 and |alpha_p| >= 1, every third exponent negative."""
    parameters: list[Parameter] = []
    for p in range(terms):
        sign = -1.0 if p % 3 == 2 else 1.0
        # a modulus falls by orders where its exponent rises by one: by its logarithm the two are nearly proportional
        parameters.append(Parameter(f"mu{p + 1}", (sign * 1e-4, sign * 1.0), logarithmic=True))
        start, bounds = sorted((sign * 1.2, sign * 6.0)), sorted((sign * 1.0, sign * 20.0))
        parameters.append(Parameter(f"alpha{p + 1}", (start[0], start[1]), bounds[0], bounds[1], modulus=False))
    return isotropic("Ogden", Ogden, *parameters)


def classical_models() -> tuple[Model, ...]:
    """Every isotropic classical law, as candidates for `rank` or one by one for `fit_model`."""
    return (
        isotropic("neo-Hooke", NeoHooke, Parameter("mu", (0.5, 1.5), lower=0.0)),
        isotropic("Mooney-Rivlin", MooneyRivlin, Parameter("c1", (0.1, 0.5)), Parameter("c2", (0.0, 0.2))),
        isotropic(
            "Yeoh",
            Yeoh,
            Parameter("c1", (0.2, 0.5), lower=0.0),
            Parameter("c2", (-1e-3, 1e-3)),
            Parameter("c3", (0.0, 1e-4)),
        ),
        ogden(),
        isotropic(
            "Gent",
            Gent,
            Parameter("mu", (0.3, 1.0), lower=0.0),
            Parameter(
                "jm", (1.05, 3.0), upper=1e4, modulus=False, floor=lambda largest: 1.0001 * largest, logarithmic=True
            ),
        ),
        isotropic(
            "Arruda-Boyce",
            ArrudaBoyce,
            Parameter("c", (0.3, 1.0), lower=0.0),
            Parameter(
                "n",
                (1.05, 3.0),
                upper=1e4,
                modulus=False,
                floor=lambda largest: 1.0001 * (1.0 + largest / 3.0),
                logarithmic=True,
            ),
        ),
        isotropic(
            "Carroll",
            Carroll,
            Parameter("a", (0.1, 0.5), lower=0.0),
            Parameter("b", (0.0, 1e-6), lower=0.0),
            Parameter("c", (0.0, 0.5), lower=0.0),
        ),
        Model(
            "Saint Venant-Kirchhoff",
            (Parameter("mu", (0.1, 1.0), lower=1e-6), Parameter("kappa", (0.1, 10.0), lower=1e-6)),
            saint_venant_kirchhoff,
            volumetric=False,
        ),
    )
