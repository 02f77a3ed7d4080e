"""Fitting a classical isotropic model to strain-stress data: the stress of states F instead of tests of a machine.

The same least squares as multiscale.classical.fitting, with P of every state for what a test measures. The bulk modulus is always
fitted: states of any volume are among the data. Scales come from neo-Hooke's law, whose stress is linear in both of its moduli.
"""

from typing import Final

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.optimize import least_squares

from fem.law import Law
from multiscale.classical.fitting import BULK, IMPOSSIBLE, LONG, SHORT, STARTS, Space
from multiscale.classical.isotropic import IsotropicLaw
from multiscale.classical.models import Model
from multiscale.classical.potentials import BeyondLocking, InvalidParameters, NeoHooke
from multiscale.data.dataset import StressStrainData
from multiscale.fits.orbit_law import TooFewStates
from multiscale.laws.reference_state import FitError
from multiscale.laws.strain import determinant

SMALLEST: Final = 1e-6
"""Of Ibar1 - 3, where no state changes its shape."""


def fit_model_to_states(model: Model, data: StressStrainData, *, seed: int, starts: int = STARTS) -> Law:
    """The member of a model that follows the stress of the admissible states best, in GPa.

    Raises:
        InvalidData: the data have no stress.
        TooFewStates: fewer numbers than parameters.
        FitError: no stiff material, or no start that led anywhere.
    """
    data = data.select(data.admissible)
    F, P = data.deformation_gradient, data.labels("first_piola")
    mu, kappa = neo_hookean_moduli(F, P)
    parameters = (*model.parameters, BULK) if model.volumetric else model.parameters
    if P.size <= len(parameters):
        raise TooFewStates(
            f"{P.size} numbers for {len(parameters)} parameters of {model.name}, expected more; add states"
        )
    errors = data.first_piola_error
    typical = float(np.sqrt(np.mean(P**2)))
    weight = np.full(P.shape, 1.0 / typical) if errors is None else 1.0 / np.maximum(errors, 1e-6 * typical)
    space = Space.of(parameters, largest_invariant(F), mu)
    prior = np.array([parameter.prior for parameter in parameters])
    ratio = np.log(kappa / mu)

    def law_of(z: Float[ndarray, "p"]) -> Law:
        values = [float(value) for value in space.values(z)]
        return model.build(values[:-1], values[-1]) if model.volumetric else model.build(values, None)

    def residual(z: Float[ndarray, "p"]) -> Float[ndarray, "r"]:
        try:
            with np.errstate(over="ignore", invalid="ignore"):
                missed = ((law_of(z).evaluate(F, tangent=False).first_piola - P) * weight).ravel()
        except (BeyondLocking, InvalidParameters):
            missed = np.full(P.size, IMPOSSIBLE)
        return np.concatenate([np.nan_to_num(missed, nan=IMPOSSIBLE, posinf=IMPOSSIBLE, neginf=-IMPOSSIBLE), z / prior])

    rng = np.random.default_rng(seed)
    best = None
    for _ in range(starts):
        z = space.start(rng)
        if model.volumetric:
            z[-1] = np.clip(ratio, space.lower[-1] + 1e-9, space.upper[-1] - 1e-9)
        found = least_squares(residual, z, bounds=(space.lower, space.upper), x_scale="jac", max_nfev=SHORT)
        if np.abs(found.fun).max() < IMPOSSIBLE and (best is None or found.cost < best.cost):
            best = found
    if best is None:
        raise FitError(f"{model.name} has no answer for these states from any of {starts} starts; fit smaller strains")
    best = least_squares(residual, best.x, "3-point", (space.lower, space.upper), x_scale="jac", max_nfev=LONG)
    return law_of(best.x)


def neo_hookean_moduli(F: Float[ndarray, "n 3 3"], P: Float[ndarray, "n 3 3"]) -> tuple[float, float]:
    """Shear and bulk modulus of neo-Hooke's law, by linear least squares."""
    one, two = (
        IsotropicLaw(NeoHooke(1.0), kappa).evaluate(F, tangent=False).first_piola.ravel() for kappa in (1.0, 2.0)
    )
    columns = np.stack([2.0 * one - two, two - one], axis=1)
    (mu, kappa), _, rank, _ = np.linalg.lstsq(columns, P.ravel())
    if rank < 2 or not (mu > 0.0 and kappa > 0.0):
        raise FitError(
            f"neo-Hooke's law takes the moduli {mu:.3g} and {kappa:.3g} GPa in these states, expected both > 0 and determined: "
            "states that change shape and volume, tension positive"
        )
    return float(mu), float(kappa)


def largest_invariant(F: Float[ndarray, "n 3 3"]) -> float:
    """The largest Ibar1 - 3 of the states."""
    return max(float((np.cbrt(determinant(F)) ** -2 * np.sum(F**2, axis=(1, 2)) - 3.0).max()), SMALLEST)
