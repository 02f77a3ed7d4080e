"""Designs of strains: Sobol, and the most telling first."""

import warnings

import numpy as np
import pytest

from multiscale.laws.strain import SHEAR_DOUBLING, green_lagrange, log_strain
from multiscale.sampling.design import InvalidDesign, informative_design, most_telling, strain_design
from multiscale.symmetry.point_group import PointGroup
from multiscale.trust.gauge import Gauge

from .random_laws import random_law


def test_reproducible_extensible_and_silent() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        design = strain_design(100, 0.06, seed=3)
    assert np.array_equal(design, strain_design(100, 0.06, seed=3))
    assert np.array_equal(design[:37], strain_design(37, 0.06, seed=3))
    assert not np.array_equal(design, strain_design(100, 0.06, seed=4))


def test_fills_the_box_of_logarithmic_strain() -> None:
    F = strain_design(256, 0.06, seed=0)
    h = log_strain(F) / SHEAR_DOUBLING
    assert np.array_equal(F, np.swapaxes(F, 1, 2))
    assert np.abs(h).max() <= 0.06
    # Sobol: every component's 256 values fall one into each of 256 intervals
    for component in h.T:
        assert len(set(np.floor((component / 0.06 + 1.0) * 128).astype(int))) >= 255


@pytest.mark.parametrize(("states", "largest"), [(0, 0.06), (10, 0.0), (10, 2.0), (10, float("nan"))])
def test_refusals(states: int, largest: float) -> None:
    with pytest.raises(InvalidDesign, match="expected"):
        strain_design(states, largest, seed=0)


def test_a_first_design_is_reproducible_and_extensible(cubic: PointGroup) -> None:
    design = informative_design(24, 0.06, cubic, seed=1)
    assert np.array_equal(design[:7], informative_design(7, 0.06, cubic, seed=1))
    assert not np.array_equal(design, informative_design(24, 0.06, cubic, seed=2))
    h = log_strain(design) / SHEAR_DOUBLING
    assert design.shape == (24, 3, 3) and np.abs(h).max() <= 0.06
    assert len(np.unique(design.reshape(24, 9), axis=0)) == 24


def test_a_long_design_goes_on_in_the_order_of_sobol(cubic: PointGroup, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("multiscale.sampling.design.CHOSEN", 5)
    monkeypatch.setattr("multiscale.sampling.design.POOL", 64)
    F = informative_design(80, 0.06, cubic, seed=0)
    assert len(np.unique(F.reshape(80, 9), axis=0)) == 80
    sobol = strain_design(80, 0.06, seed=0).reshape(80, 9)
    assert sorted(map(tuple, F.reshape(80, 9))) == sorted(map(tuple, sobol))
    assert np.array_equal(F[:70], informative_design(70, 0.06, cubic, seed=0))


def test_a_first_design_leaves_no_corner_out(cubic: PointGroup) -> None:
    """The box holds no state as far from what neurons of any law see there, whichever law and seed."""
    box = strain_design(256, 0.06, seed=99)
    for seed in range(3):
        terms = random_law(cubic, seed, neurons=8).terms
        designs = informative_design(40, 0.06, cubic, seed), strain_design(40, 0.06, seed)
        chosen, drawn = (Gauge.of(terms, green_lagrange(F), cubic).leverage(box).max() for F in designs)
        assert chosen < 0.75 * drawn


def test_greedy_choice_is_the_determinant_s() -> None:
    """Brute force over all pairs that hold the first."""
    g = np.random.default_rng(0).normal(size=(12, 2, 5))
    chosen = most_telling(g, 3)

    def determinant(members: list[int]) -> float:
        return float(np.linalg.det(np.eye(5) + sum(g[k].T @ g[k] for k in members)))

    for taken in range(3):
        before = chosen[:taken].tolist()
        gain = [determinant([*before, k]) if k not in before else -1.0 for k in range(12)]
        assert int(np.argmax(gain)) == chosen[taken]
