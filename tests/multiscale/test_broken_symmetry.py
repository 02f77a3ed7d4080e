"""Data that break the symmetry of their law are told from data that have it."""

import warnings
from dataclasses import replace

import numpy as np
import pytest

from multiscale.data.broken_symmetry import BrokenSymmetry, symmetry_check, warn_of_broken_symmetry
from multiscale.data.dataset import InvalidData, StressStrainData
from multiscale.fits.fit import fit
from multiscale.laws.orbit_network import OrbitLaw
from multiscale.sampling.design import strain_design
from multiscale.symmetry.point_group import PointGroup

from .random_laws import random_law

CUBIC = PointGroup.named("m-3m")


def stresses(law: OrbitLaw, seed: int, noise: float = 0.0, extra: float = 0.0) -> StressStrainData:
    """The law's stress with this much relative noise, and with `extra` GPa more of C11 than cubic symmetry allows."""
    F = strain_design(60, 0.05, seed=seed)
    P = law.evaluate(F, tangent=False).first_piola
    E = 0.5 * (np.swapaxes(F, 1, 2) @ F - np.eye(3))
    P = P + F @ (E * np.diag([extra, 0.0, 0.0]))
    error = noise * float(np.sqrt(np.mean(P**2)))
    P = P + error * np.random.default_rng(seed).normal(size=P.shape)
    return StressStrainData(F, first_piola=P, first_piola_error=np.full(P.shape, error) if noise else None)


@pytest.mark.parametrize("noise", [0.0, 0.05])
def test_no_false_alarm(noise: float) -> None:
    """Of a law that has the symmetry and misses the data by its form (no neurons), or by their noise."""
    for seed in range(10):
        law = random_law(CUBIC, seed)
        found = symmetry_check(replace(law, amplitudes=np.zeros(5)), stresses(law, seed, noise), CUBIC)
        assert not found.broken and found.chance > 1e-5


def test_a_broken_constant_is_found_and_named() -> None:
    law = random_law(CUBIC, 0)
    for noise in (0.0, 0.01):
        data = stresses(law, 0, noise, extra=6.0)
        with pytest.warns(
            BrokenSymmetry, match=r"break the symmetry m-3m: .* % of their stress .* constant C11 is [34][.\d]* GPa off"
        ):
            found = warn_of_broken_symmetry(law, data, CUBIC)
        # two thirds of it are off the average over the group
        assert found.forbidden[0, 0] == pytest.approx(4.0, abs=0.5)
        assert found.forbidden[1, 1] == pytest.approx(-2.0, abs=0.5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_broken_symmetry(law, stresses(law, 0), CUBIC)


def test_fit_warns(silicon_40: StressStrainData) -> None:
    cubic_stresses = replace(silicon_40, energy=None, tangent=None, reference_tangent=None)
    with pytest.warns(BrokenSymmetry, match="break the symmetry 6/mmm"), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="the law misses")
        fit(cubic_stresses, PointGroup.named("6/mmm"), neurons=4, starts=1)


def test_states_that_cannot_tell() -> None:
    law = random_law(CUBIC, 0)
    found = symmetry_check(law, stresses(law, 0, extra=50.0).select(np.arange(60) < 8), CUBIC)
    assert found.chance == 1.0 and not found.broken
    # stretches along x alone say nothing of a symmetry between x and y
    F = np.eye(3) + np.linspace(-0.05, 0.05, 40)[:, None, None] * np.diag([1.0, 0.0, 0.0])
    P = 100.0 * (F - np.eye(3)) + 500.0 * (F - np.eye(3)) ** 2
    assert symmetry_check(law, StressStrainData(F, first_piola=P), CUBIC).chance > 1e-6
    with pytest.raises(InvalidData, match="no first_piola"):
        symmetry_check(law, StressStrainData(F), CUBIC)
