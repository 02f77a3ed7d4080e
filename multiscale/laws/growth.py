"""The growth term: energy without bound as J -> 0+, identically zero inside the data."""

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from multiscale.laws.strain import COLUMNS, ROWS, stress_components


def growth(
    F: Float[ndarray, "n 3 3"], J: Float[ndarray, "n"], modulus: float, threshold: float
) -> tuple[Float[ndarray, "n"], Float[ndarray, "n 6"], Float[ndarray, "n 6 6"]]:
    """g = gamma (J0/J - 1)^4 and its derivatives by e, at points with J < J0: gamma the modulus, J0 the threshold.

    dJ/dE = J C^-1 and d2J/dE2 = J (C^-1 x C^-1 - 2 C^-1 o C^-1), (A o A)_IJKL = (A_IK A_JL + A_IL A_JK) / 2.
    (J0/J - 1)_+^4 is convex in J: a non-negative convex function to the fourth power.
    """
    inverse = np.linalg.inv(F)
    B = inverse @ np.swapaxes(inverse, -1, -2)
    ratio = threshold / J
    x = ratio - 1.0
    # J g' and J (J g')' = J^2 g'' + J g'
    first = -4.0 * modulus * x**3 * ratio
    second = modulus * (12.0 * x**2 * ratio**2 + 4.0 * x**3 * ratio)
    b = stress_components(B)
    mixed = (
        B[:, ROWS[:, None], ROWS] * B[:, COLUMNS[:, None], COLUMNS]
        + B[:, ROWS[:, None], COLUMNS] * B[:, COLUMNS[:, None], ROWS]
    )
    stiffness = second[:, None, None] * b[:, :, None] * b[:, None, :] - first[:, None, None] * mixed
    return modulus * x**4, first[:, None] * b, stiffness
