"""Which strains to compute: before there is a law, once there is one, and a space-filling design to test it on.

A state is worth computing for what its label would tell. With g_k the derivatives of its stress by what is unknown, in coordinates in
which that is of unit covariance, and a label's standard error sigma, it adds the information

    I_k = 1/2 log det(1 + g_k g_k^T / sigma^2),

leaves the covariance (1 + g_k^T g_k / sigma^2)^-1, and so takes from the variance of the stress, averaged over all candidates m,

    V_k = tr[(1 + g_k g_k^T / sigma^2)^-1 g_k M g_k^T] / sigma^2,    M = mean over m of g_m^T g_m.

No label is needed to choose. Both are taken greedily: the best candidate, coordinates in which what is left is unity, and on.

- For a first design, the unknown are the amplitudes of many random neurons of the crystal's symmetry: a Gaussian process, of which
  the networks that are fitted later are draws. The greatest I_k is D-optimal (MacKay, Neural Comput. 4 (1992) 590; within 1 - 1/e
  of the best set, the gain being submodular: Krause, Singh and Guestrin, J. Mach. Learn. Res. 9 (2008) 235), and goes to the corners.
- For the next states, they are the parameters of the law: its posterior (multiscale.trust.uncertainty). The greatest V_k is I-optimal
  (MacKay's mean information; Cohn, Ghahramani and Jordan, J. Artif. Intell. Res. 4 (1996) 129), since a law is judged by its mean
  square error where it is used. Corners alone would have a network, which misses its labels by its form, miss less there and more
  between them.

Few Sobol points in six dimensions leave out some corner, where a law of them then misses the atoms a hundred times more than
elsewhere; which one, the seed decides.
"""

from collections.abc import Callable
from typing import Final

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.stats import qmc

from fem.law import check_deformation_gradient
from multiscale.fits.observations import Observations
from multiscale.fits.orbit_law import strain_size
from multiscale.fits.orbit_least_squares import OrbitFit, random_neurons
from multiscale.laws.fields import NoUncertainty
from multiscale.laws.reference_state import ReferenceState
from multiscale.laws.strain import SHEAR_DOUBLING, green_lagrange, strain_tensor, stretch_of_log_strain
from multiscale.laws.strain_potential import StrainPotential
from multiscale.symmetry.point_group import PointGroup

POOL: Final = 1024
"""Sobol points that a first design is chosen from."""

CHOSEN: Final = 256
"""At most so many are chosen; the others follow in Sobol's order, and add what neurons of the prior do not show."""

PRIOR_NEURONS: Final = 256
"""Random neurons that stand for what is not known."""

PRIOR_ERROR: Final = 0.01
"""Standard error of a label as a fraction of the prior's stress."""


class InvalidDesign(ValueError):
    """The number of states, the largest strain or the candidates make no design."""


def strain_design(states: int, max_strain: float, seed: int) -> Float[ndarray, "states 3 3"]:
    """Symmetric right stretches F = exp(H), the six tensor components of H a scrambled Sobol sequence in [-max, max]^6.

    Sobol (1967), scrambled after Owen (1998) by scipy.stats.qmc. The same seed gives the same design, and its first m
    states are the design of m states: adding states keeps those already computed.

    Raises:
        InvalidDesign: fewer than one state, or max_strain outside (0, 1].
    """
    check_design(states, max_strain)
    sobol = qmc.Sobol(d=6, scramble=True, rng=np.random.default_rng(seed))
    # drawn to the next power of two, where scipy's balance holds; the first `states` points are still space-filling
    points = sobol.random_base2(max(0, (states - 1).bit_length()))[:states]
    return stretch_of_log_strain((2.0 * points - 1.0) * max_strain * SHEAR_DOUBLING)


def check_design(states: int, max_strain: float) -> None:
    """Refuse a design without states or with strains that are none.

    Raises:
        InvalidDesign: names the number.
    """
    if states < 1:
        raise InvalidDesign(f"states is {states}, expected at least 1")
    if not 0.0 < max_strain <= 1.0:
        raise InvalidDesign(f"max_strain is {max_strain}, expected a logarithmic strain in (0, 1], such as 0.06")


def informative_design(states: int, max_strain: float, symmetry: PointGroup, seed: int) -> Float[ndarray, "states 3 3"]:
    """Symmetric right stretches in the same box, the most telling about a crystal of this symmetry first.

    The same seed gives the same design, and its first m states are the design of m states.

    Raises:
        InvalidDesign: as `strain_design`.
    """
    F = strain_design(max(states, POOL), max_strain, seed)
    rng = np.random.default_rng(seed)
    strain = green_lagrange(F[:POOL])
    unit = np.broadcast_to(np.eye(6), (POOL, 6, 6))
    stresses = Observations(strain, np.arange(1, 7), unit, np.zeros((POOL, 6)))
    nothing = ReferenceState(np.zeros((6, 6)), np.zeros(6), np.zeros((0, 6, 6)), np.zeros((0, 6)))
    problem = OrbitFit(
        stresses,
        symmetry,
        1,
        nothing,
        strain_scale=strain_size(stresses),
        stiffness_scale=1.0,
        prior=1.0,
    )
    g = problem.candidate_rows(*random_neurons(PRIOR_NEURONS, rng)).reshape(POOL, 6, PRIOR_NEURONS)
    g *= np.sqrt(SHEAR_DOUBLING)[:, None]
    g /= PRIOR_ERROR * np.sqrt(PRIOR_NEURONS * np.mean(g**2, axis=(0, 1)))
    first = most_telling(g, min(states, CHOSEN))
    rest = np.setdiff1d(np.arange(len(F)), first)
    return np.asarray(F[np.concatenate([first, rest])[:states]])


def next_states(law: StrainPotential, candidates: Float[ndarray, "m 3 3"], count: int) -> Int[ndarray, "count"]:
    """Indices of the `count` candidates F whose labels would make the law surest of the stress at all of them, the best first.

    Label them, join them to the data and fit again. Candidates fill the strains that the law is for, evenly (`strain_design`). The
    standard error of a label is taken to be what the law misses its own training states by: the root mean square of its
    error bars there.

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
    return most_calming(posterior.stress_derivatives(F).reshape(len(F), 9, -1) / sigma, count)


def most_telling(g: Float[ndarray, "m c r"], count: int) -> Int[ndarray, "count"]:
    """Greedy D-optimality: indices of `count` of m candidates by I_k, g_k / sigma as above."""

    def information(g: Float[ndarray, "m c r"]) -> Float[ndarray, "m"]:
        return np.asarray(np.linalg.slogdet(np.eye(g.shape[1]) + g @ np.swapaxes(g, 1, 2))[1])

    return greedy(g, count, information)


def most_calming(g: Float[ndarray, "m c r"], count: int) -> Int[ndarray, "count"]:
    """Greedy I-optimality: indices of `count` of m candidates by V_k, g_k / sigma as above."""

    def variance(g: Float[ndarray, "m c r"]) -> Float[ndarray, "m"]:
        rows, across = g.reshape(-1, g.shape[2]), np.swapaxes(g, 1, 2)
        seen = (g @ (rows.T @ rows / len(g))) @ across
        return np.asarray(np.trace(np.linalg.solve(np.eye(g.shape[1]) + g @ across, seen), axis1=1, axis2=2))

    return greedy(g, count, variance)


def greedy(
    g: Float[ndarray, "m c r"], count: int, gain: Callable[[Float[ndarray, "m c r"]], Float[ndarray, "m"]]
) -> Int[ndarray, "count"]:
    """Indices of `count` of m candidates, each of the greatest gain once the labels of those before it are known."""
    g, open_, chosen = g.copy(), np.ones(len(g), dtype=bool), []
    for _ in range(count):
        k = int(np.argmax(np.where(open_, gain(g), -np.inf)))
        chosen.append(k)
        open_[k] = False
        # (1 + g^T g)^-1/2 differs from unity in the few directions that the label tells of
        _, size, directions = np.linalg.svd(g[k], full_matrices=False)
        told = (1.0 - 1.0 / np.sqrt(1.0 + size**2))[:, None] * directions
        g -= (g @ directions.T) @ told
    return np.array(chosen)
