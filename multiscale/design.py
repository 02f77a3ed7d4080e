"""Which strains to compute: a space-filling design in the six components of the logarithmic strain, and what to add to it.

Once a law has been fitted, its posterior (multiscale.uncertainty) says which stresses it does not know. With g_k the derivatives
of the nine components of P at candidate k along the posterior's factor, a label of standard error sigma there adds the information

    I_k = 1/2 log det(1 + g_k g_k^T / sigma^2),

and leaves the factor's coordinates with the covariance (1 + g_k^T g_k / sigma^2)^-1. To take the candidate of greatest I_k, turn to
those coordinates, and go on is greedy D-optimality (MacKay, Neural Comput. 4 (1992) 590; within 1 - 1/e of the best set,
the gain being submodular: Krause, Singh and Guestrin, J. Mach. Learn. Res. 9 (2008) 235). No label is needed to choose.
"""

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.stats import qmc

from fem.law import check_deformation_gradient
from multiscale.law_fields import NoUncertainty
from multiscale.orbit_network import OrbitLaw
from multiscale.strain import SHEAR_DOUBLING, strain_tensor, stretch_of_log_strain


class InvalidDesign(ValueError):
    """The number of states, the largest strain or the candidates make no design."""


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


def next_states(law: OrbitLaw, candidates: Float[ndarray, "m 3 3"], count: int) -> Int[ndarray, "count"]:
    """Indices of the `count` candidates F whose labels would tell most of the law, the most telling first.

    Label them, join them to the data and fit again. The standard error of a label is taken to be what the law misses its own
    training states by: the root mean square of its error bars there.

    Raises:
        InvalidDesign: count is not between 1 and the number of candidates.
        NoUncertainty: the law was not fitted.
        fem.law.ShapeError, fem.law.InadmissibleDeformation: candidates that are no deformation gradients.
    """
    F = check_deformation_gradient(candidates)
    if not 1 <= count <= len(F):
        raise InvalidDesign(f"{count} states are asked of {len(F)} candidates, expected 1 to {len(F)}")
    posterior, domain = law.uncertainty, law.domain
    if posterior is None or domain is None:
        raise NoUncertainty(
            "this law has no posterior and training states to choose by; expected one made by multiscale.fit"
        )
    known = np.linalg.cholesky(np.eye(3) + 2.0 * strain_tensor(domain.strain))
    sigma = float(np.sqrt(np.mean(posterior.stress_error(np.swapaxes(known, -1, -2)) ** 2)))
    g = posterior.stress_derivatives(F).reshape(len(F), 9, -1) / sigma
    open_, chosen = np.ones(len(F), dtype=bool), []
    for _ in range(count):
        information = np.linalg.slogdet(np.eye(9) + g @ np.swapaxes(g, 1, 2))[1]
        k = int(np.argmax(np.where(open_, information, -np.inf)))
        chosen.append(k)
        open_[k] = False
        # the covariance is (R R^T)^-1 = R^-T R^-1: the new coordinates' factor is R^-T
        triangle = np.linalg.cholesky(np.eye(g.shape[2]) + g[k].T @ g[k])
        g = np.linalg.solve(triangle, g.reshape(-1, g.shape[2]).T).T.reshape(g.shape)
    return np.array(chosen)
