"""Which strains to compute: a space-filling design in the six components of the logarithmic strain."""

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.stats import qmc

from multiscale.strain import SHEAR_DOUBLING, stretch_of_log_strain


class InvalidDesign(ValueError):
    """The number of states or the largest strain makes no design."""


def strain_design(states: int, max_strain: float, seed: int) -> Float[ndarray, "states 3 3"]:
    """Symmetric right stretches F = exp(H), the six tensor components of H a scrambled Sobol sequence in [-max, max]^6.

    Sobol (1967), scrambled after Owen (1998) by scipy.stats.qmc. The same seed gives the same design, and its first m
    states are the design of m states: adding states keeps those already computed.

    Raises:
        InvalidDesign: fewer than one state, or max_strain outside (0, 1].
    """
    if states < 1:
        raise InvalidDesign(f"states is {states}, expected at least 1")
    if not 0.0 < max_strain <= 1.0:
        raise InvalidDesign(f"max_strain is {max_strain}, expected a logarithmic strain in (0, 1], such as 0.06")
    sobol = qmc.Sobol(d=6, scramble=True, rng=np.random.default_rng(seed))
    # drawn to the next power of two, where scipy's balance holds; the first `states` points are still space-filling
    points = sobol.random_base2(max(0, (states - 1).bit_length()))[:states]
    return stretch_of_log_strain((2.0 * points - 1.0) * max_strain * SHEAR_DOUBLING)
