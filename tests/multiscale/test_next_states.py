"""Choosing the next states: the most telling first, none twice, blind to rotation, and better than going on with Sobol."""

from dataclasses import replace

import numpy as np
import pytest

from fem.laws import NeoHooke
from multiscale.data.dataset import StressStrainData
from multiscale.fits.fit import Mode, fit
from multiscale.fits.judgement import normalised_mse
from multiscale.fits.orbit_law import fit_orbit_law
from multiscale.laws.fields import NoUncertainty
from multiscale.laws.orbit_network import OrbitLaw
from multiscale.laws.strain import strain_tensor
from multiscale.sampling.design import InvalidDesign, informative_design, next_states, strain_design
from multiscale.symmetry.material_symmetry import InfiniteGroup
from multiscale.symmetry.point_group import PointGroup

from .random_laws import random_law, random_rotations
from .stillinger_weber import silicon_data


@pytest.fixture(scope="module")
def law(silicon_40: StressStrainData, cubic: PointGroup) -> OrbitLaw:
    return fit_orbit_law(replace(silicon_40, tangent=None), cubic, neurons=6, starts=2)


def test_the_most_uncertain_come_first_and_none_twice(law: OrbitLaw) -> None:
    candidates = strain_design(128, 0.06, seed=7)
    chosen = next_states(law, candidates, 20)
    assert len(set(chosen.tolist())) == 20
    assert np.array_equal(chosen[:5], next_states(law, candidates, 5))
    bar = np.linalg.norm(law.stress_error(candidates), axis=(1, 2))
    assert np.median(bar[chosen]) > 1.3 * np.median(bar)
    everything = next_states(law, candidates[:8], 8)
    assert sorted(everything.tolist()) == list(range(8))


def test_what_the_law_knows_comes_last(law: OrbitLaw) -> None:
    candidates = np.concatenate([np.eye(3)[None], strain_design(16, 0.06, seed=8)])
    assert next_states(law, candidates, 17)[-1] == 0
    # a repetition of the first choice, turned in space and by the crystal's own symmetry, tells little
    first = int(next_states(law, candidates, 1)[0])
    turned = random_rotations(np.random.default_rng(0), 1) @ candidates[first] @ law.symmetry.rotations[5]
    again = next_states(law, np.concatenate([candidates, turned]), 6)
    assert (again == first).sum() + (again == 17).sum() == 1


def test_the_gain_is_the_posterior_s(law: OrbitLaw) -> None:
    """Brute force: each of the first choices leaves, with those before it, the least mean variance of the stress."""
    candidates = strain_design(24, 0.06, seed=9)
    chosen = next_states(law, candidates, 3).tolist()
    assert law.uncertainty is not None and law.domain is not None
    g = law.uncertainty.stress_derivatives(candidates).reshape(24, 9, -1)
    stretches = np.linalg.cholesky(2.0 * strain_tensor(law.domain.strain) + np.eye(3)).transpose(0, 2, 1)
    g = g / np.sqrt(np.mean(law.uncertainty.stress_error(stretches) ** 2))

    def variance(members: list[int]) -> float:
        covariance = np.linalg.inv(np.eye(g.shape[2]) + sum(g[k].T @ g[k] for k in members))
        return float(np.einsum("mcr,rs,mcs->", g, covariance, g))

    for taken in range(3):
        before = chosen[:taken]
        left = [variance([*before, k]) if k not in before else np.inf for k in range(24)]
        assert int(np.argmin(left)) == chosen[taken]


@pytest.mark.parametrize("mode", ["free", "polyconvex"])
def test_laws_of_other_kinds_choose_as_well(mode: Mode) -> None:
    F, candidates = strain_design(40, 0.05, seed=0), strain_design(64, 0.1, seed=7)
    data = StressStrainData(F, first_piola=NeoHooke(mu=1.0, lmbda=2.0).evaluate(F).first_piola)
    law = fit(data, InfiniteGroup("isotropic"), mode=mode, neurons=2, starts=1)
    bar = np.linalg.norm(law.stress_error(candidates), axis=(1, 2))
    assert np.median(bar[next_states(law, candidates, 8)]) > 1.3 * np.median(bar)


def test_refusals(law: OrbitLaw, cubic: PointGroup) -> None:
    with pytest.raises(InvalidDesign, match="5 states are asked of 4 candidates, expected 1 to 4"):
        next_states(law, strain_design(4, 0.06, seed=0), 5)
    with pytest.raises(NoUncertainty, match="no posterior"):
        next_states(random_law(cubic, 0), strain_design(4, 0.06, seed=0), 2)


@pytest.mark.slow
def test_a_hundred_chosen_states_beat_two_hundred_of_sobol(
    silicon_held_out: StressStrainData, cubic: PointGroup
) -> None:
    """Forty of a first design, then twice thirty that the law asks for. The held-out states are Sobol's own.

    Measured, five seeds: stress 1.1e-7 against 4.2e-7 in the mean, 1.8e-7 against 1.7e-6 at the worst seed, and no different in the median,
    which takes ten seeds to tell (benchmarks/silicon_law.py); tangent 2.8e-6 against 2.7e-5 in the mean.
    """

    def labelled(F: np.ndarray) -> StressStrainData:
        data = silicon_data(F)
        return replace(data.select(data.admissible), tangent=None)

    def joined(data: StressStrainData, more: StressStrainData) -> StressStrainData:
        fields = ("deformation_gradient", "energy", "first_piola", "admissible")
        return replace(data, **{name: np.concatenate([getattr(data, name), getattr(more, name)]) for name in fields})

    def chosen(seed: int) -> StressStrainData:
        data, candidates = labelled(informative_design(40, 0.06, cubic, seed)), strain_design(2048, 0.06, seed + 100)
        for _ in range(2):
            law = fit_orbit_law(data, cubic, seed=seed)
            data = joined(data, labelled(candidates[next_states(law, candidates, 30)]))
        return data

    def errors(data: StressStrainData, seed: int) -> tuple[float, float]:
        response = fit_orbit_law(data, cubic, seed=seed).evaluate(silicon_held_out.deformation_gradient)
        assert response.tangent is not None
        return (
            normalised_mse(response.first_piola, silicon_held_out.labels("first_piola")),
            normalised_mse(response.tangent, silicon_held_out.labels("tangent")),
        )

    hundred = np.array([errors(chosen(seed), seed) for seed in range(5)])
    two_hundred = np.array([errors(labelled(strain_design(200, 0.06, seed)), seed) for seed in range(5)])
    assert (hundred.mean(axis=0) < 0.5 * two_hundred.mean(axis=0)).all()
    assert (hundred.max(axis=0) < 0.5 * two_hundred.max(axis=0)).all()
