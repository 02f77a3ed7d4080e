"""From the stress that was measured or computed to the first Piola-Kirchhoff stress of a law.

    P = J sigma F^-T    (Cauchy's sigma),        P = F S    (second Piola-Kirchhoff S)

Both are linear in six components of a symmetric tensor, P_a = sum_b L_ab s_b with L from F, so standard errors of independent
components propagate as var P_a = sum_b L_ab^2 var s_b. (The errors of P are then correlated; a fit that takes them as independent
weighs nearly right.)
"""

from typing import Literal

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from multiscale.laws.strain import COLUMNS, ROWS, determinant, stress_tensor

StressMeasure = Literal["P", "sigma", "S"]

NAMES: dict[StressMeasure, str] = {
    "P": "the first Piola-Kirchhoff stress",
    "sigma": "Cauchy's stress",
    "S": "the second Piola-Kirchhoff stress",
}

UNSYMMETRIC = 1e-6
"""Largest difference from the transpose, as a fraction of the largest component, of a tensor that counts as symmetric."""


class UnsymmetricStress(ValueError):
    """sigma or S that are not symmetric: no stress of a material without couples."""


def first_piola_of(
    measure: StressMeasure,
    F: Float[ndarray, "n 3 3"],
    stress: Float[ndarray, "n 3 3"],
    error: Float[ndarray, "n 3 3"] | None = None,
) -> tuple[Float[ndarray, "n 3 3"], Float[ndarray, "n 3 3"] | None]:
    """P and its standard error.

    Raises:
        UnsymmetricStress: sigma or S differs from its transpose.
    """
    if measure == "P":
        return stress, error
    skew = np.abs(stress - stress.transpose(0, 2, 1)).max(axis=(1, 2))
    scale = float(np.abs(stress).max())
    if (skew > UNSYMMETRIC * scale).any():
        state = int(np.argmax(skew))
        raise UnsymmetricStress(
            f"{NAMES[measure]} differs from its transpose by {skew[state]:.3g} at state {state} (its components reach "
            f"{scale:.3g}), expected a symmetric tensor. Is it the first Piola-Kirchhoff stress?"
        )
    L = linear_map(measure, F)
    P = np.einsum("nab,nb->na", L, stress[:, ROWS, COLUMNS]).reshape(-1, 3, 3)
    if error is None:
        return P, None
    return P, np.sqrt(np.einsum("nab,nb->na", L**2, error[:, ROWS, COLUMNS] ** 2)).reshape(-1, 3, 3)


def linear_map(measure: StressMeasure, F: Float[ndarray, "n 3 3"]) -> Float[ndarray, "n 9 6"]:
    """L: the nine components of P of unit values of the six of the symmetric tensor."""
    units = stress_tensor(np.eye(6))[None]
    if measure == "S":
        P = F[:, None] @ units
    else:
        inverse = np.linalg.inv(F)
        P = determinant(F)[:, None, None, None] * units @ inverse.transpose(0, 2, 1)[:, None]
    return np.ascontiguousarray(P.reshape(len(F), 6, 9).transpose(0, 2, 1))
