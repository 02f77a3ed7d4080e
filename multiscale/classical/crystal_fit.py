"""Second- and third-order elastic constants of a crystal from its strain-stress data, by linear least squares.

The law of multiscale.classical.third_order is linear in its constants. With bases B_m and T_k of the constants that the crystal's symmetry
leaves as they are, W, S and D of unit coefficients are

    1/2 e.B_m.e,  B_m e,  B_m        and        1/6 T_k e e e,  1/2 T_k e e,  T_k e,

and the labels W, P and A, weighed as for the networks (multiscale.fits.observations), determine the coefficients at once. Their
covariance is s^2 (R^T R)^-1 with s^2 the mean square of the weighted residuals per degree of freedom, at least one: what the cubic
polynomial misses of the data widens the errors.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from multiscale.classical.third_order import ThirdOrderElasticity
from multiscale.data.dataset import StressStrainData
from multiscale.fits.observations import Observations
from multiscale.fits.orbit_law import TooFewStates, usable
from multiscale.fits.orbit_least_squares import quadratic_columns
from multiscale.laws.reference_state import FitError
from multiscale.laws.strain import UPPER_COLUMNS, UPPER_ROWS
from multiscale.symmetry.material_symmetry import MaterialSymmetry

SAME = 1e-10
"""Singular values below this fraction of the largest leave a constant undetermined."""


@dataclass(frozen=True, eq=False)
class ElasticConstantsFit:
    """What was fitted.

    Attributes:
        law: with these constants; zero stress at F = I.
        elastic_errors, third_order_errors: standard errors of the law's C_ab (6, 6) and C_abc (6, 6, 6), GPa.
        chi_square: mean square of the weighted residuals per degree of freedom; the weights are those of multiscale.fits.observations.
    """

    law: ThirdOrderElasticity
    elastic_errors: Float[ndarray, "6 6"]
    third_order_errors: Float[ndarray, "6 6 6"]
    chi_square: float


def fit_elastic_constants(data: StressStrainData, symmetry: MaterialSymmetry, *, order: int = 3) -> ElasticConstantsFit:
    """Elastic constants up to second order (Saint Venant and Kirchhoff's law) or third, of the admissible states.

    Raises:
        FitError: an order that is neither, or strains that leave a constant undetermined.
        TooFewStates: fewer numbers than constants.
    """
    if order not in (2, 3):
        raise FitError(f"order is {order}, expected 2 or 3")
    observations = Observations.of(usable(data))
    second = symmetry.invariant_stiffnesses()
    third = symmetry.invariant_third_order() if order == 3 else np.zeros((0, 6, 6, 6))
    e = observations.strain
    scale = float(np.sqrt(np.mean(e**2)))
    if scale == 0.0:
        raise FitError("no state is strained: F is a rotation in all of them; expected strained states")
    # third-order constants in units that make their columns as long as the others
    columns = np.concatenate([quadratic_columns(e, second, np.zeros((0, 6))), cubic_columns(e, third / scale)], axis=2)
    rows = (observations.rows @ columns[:, observations.columns]).reshape(observations.count, -1)
    target, unknowns = observations.targets.ravel(), rows.shape[1]
    if len(target) <= unknowns:
        raise TooFewStates(
            f"the states give {len(target)} numbers for {unknowns} constants of {order} orders; add states"
        )
    left, singular, right = np.linalg.svd(rows, full_matrices=False)
    if not singular[-1] > SAME * singular[0]:
        lost = int((singular <= SAME * singular[0]).sum())
        raise FitError(
            f"the strains of the states leave {lost} of {unknowns} constants undetermined; add strains in other directions"
        )
    coefficients = right.T @ ((left.T @ target) / singular)
    chi_square = float(np.sum((rows @ coefficients - target) ** 2)) / (len(target) - unknowns)
    root = right.T / singular * np.sqrt(max(1.0, chi_square))
    m = len(second)
    return ElasticConstantsFit(
        law=ThirdOrderElasticity(
            np.einsum("m,mab->ab", coefficients[:m], second), np.einsum("k,kabc->abc", coefficients[m:] / scale, third)
        ),
        elastic_errors=np.linalg.norm(np.einsum("mp,mab->abp", root[:m], second), axis=-1),
        third_order_errors=np.linalg.norm(np.einsum("kp,kabc->abcp", root[m:] / scale, third), axis=-1),
        chi_square=chi_square,
    )


def cubic_columns(e: Float[ndarray, "n 6"], third: Float[ndarray, "k 6 6 6"]) -> Float[ndarray, "n 28 k"]:
    """x = (W, S, D) of the energies 1/6 T e e e for each T."""
    x = np.zeros((len(e), 28, len(third)))
    rise = np.einsum("kabc,nc->nabk", third, e)
    stress = 0.5 * np.einsum("nabk,nb->nak", rise, e)
    x[:, 0] = np.einsum("na,nak->nk", e, stress) / 3.0
    x[:, 1:7] = stress
    x[:, 7:] = rise[:, UPPER_ROWS, UPPER_COLUMNS]
    return x
