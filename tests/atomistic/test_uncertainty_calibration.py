"""Calibration: known scales are found again, intervals cover what they say, also where errors have heavy tails; bad input."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator
from hypothesis import given, settings
from hypothesis import strategies as st

import atomistic
from atomistic import InvalidCalibrationData
from atomistic.calibration import Scale
from atomistic.label_checks import InvalidTrainingData

from .conftest import random_potential_of


def synthetic(seed: int, count: int, tails: float | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Figures, and errors of standard deviation sqrt(0.02^2 + (0.5 u)^2); Student's t with `tails` degrees of freedom, or normal."""
    generator = np.random.default_rng(seed)
    figures = generator.lognormal(-2.0, 0.8, count)
    deviates = generator.normal(size=count) if tails is None else generator.standard_t(tails, count)
    return figures, deviates * np.hypot(0.02, 0.5 * figures)


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 2**31))
def test_normal_errors_give_their_scale_and_coverage(seed: int) -> None:
    scale = Scale.fit(*synthetic(seed, 4000))
    grid = np.linspace(0.02, 0.6, 20)
    np.testing.assert_allclose(scale.deviation(grid), np.hypot(0.02, 0.5 * grid), rtol=0.15)
    figures, errors = synthetic(seed + 1, 4000)
    for level in (0.5, 0.9, 0.95):
        covered = np.mean(np.abs(errors) <= scale.width(figures, level))
        assert abs(covered - level) < 0.05 * (1.0 - level) ** 0.5 + 0.015
    assert abs(scale.multiplier(0.9) - 1.645) < 0.15


@pytest.mark.parametrize("power", [0.5, 2.0])
def test_figures_without_a_unit_are_bent_into_shape(power: float) -> None:
    figures, errors = synthetic(3, 4000)
    scale = Scale.fit(1e3 * figures**power, errors)
    assert abs(scale.power - 1.0 / power) < 0.15 / power
    np.testing.assert_allclose(scale.deviation(1e3 * figures**power), np.hypot(0.02, 0.5 * figures), rtol=0.2)


def test_heavy_tails_are_covered_as_said() -> None:
    scale = Scale.fit(*synthetic(0, 20_000, tails=2.5))
    figures, errors = synthetic(1, 20_000, tails=2.5)
    for level in (0.5, 0.8, 0.9, 0.95):
        assert abs(np.mean(np.abs(errors) <= scale.width(figures, level)) - level) < 0.025
    gaussian = np.mean(np.abs(errors) <= 1.645 * scale.deviation(figures))
    assert gaussian > 0.925, "a normal interval would not have done: that the quantile is used is what is tested here"


def test_few_data_cover_conservatively() -> None:
    """The guarantee of split conformal prediction: at least the level on average over held-out sets."""
    covered = []
    for seed in range(60):
        scale = Scale.fit(*synthetic(seed, 19))
        figures, errors = synthetic(10_000 + seed, 200)
        covered.append(np.mean(np.abs(errors) <= scale.width(figures, 0.9)))
    assert 0.86 < np.mean(covered) < 0.97


def test_constant_figures_give_the_mean_square() -> None:
    errors = np.random.default_rng(0).normal(0.0, 0.3, 500)
    for figures in (np.zeros(500), np.ones(500)):
        deviation = Scale.fit(figures, errors).deviation(figures)
        np.testing.assert_allclose(deviation, np.sqrt(np.mean(errors**2)), rtol=0.02)


def test_unusable_data_are_named() -> None:
    figures, errors = synthetic(0, 50)
    with pytest.raises(InvalidCalibrationData, match="9 errors"):
        Scale.fit(figures[:9], errors[:9])
    with pytest.raises(InvalidCalibrationData, match="not finite"):
        Scale.fit(figures * np.nan, errors)
    with pytest.raises(InvalidCalibrationData, match="negative"):
        Scale.fit(-figures, errors)
    with pytest.raises(InvalidCalibrationData, match="all held-out errors are zero"):
        Scale.fit(figures, 0.0 * errors)
    scale = Scale.fit(figures, errors)
    for coverage in (0.0, 0.995, 1.0, float("nan")):
        with pytest.raises(ValueError, match=r"expected between 0\.05 and 0\.98"):
            scale.multiplier(coverage)


def structures(count: int) -> list[Atoms]:
    generator = np.random.default_rng(0)
    teacher = random_potential_of("wide", (14,), seed=5)
    answer = []
    for _ in range(count):
        atoms = bulk("Si", a=5.43, cubic=True)
        atoms.positions += generator.normal(0.0, 0.1, atoms.positions.shape)
        truth = teacher.predict(atoms)
        atoms.calc = SinglePointCalculator(atoms, energy=truth.energy, forces=truth.forces, stress=truth.stress)
        answer.append(atoms)
    return answer


def test_held_out_structures_are_checked_and_their_gate_is_theirs() -> None:
    potential = random_potential_of("wide", (14,), seed=6)
    train, held_out = structures(40)[:10], structures(40)[10:]
    estimator = atomistic.NearestNeighbourDistance.fit(potential, train)
    uncertainty = atomistic.calibrate(estimator, held_out)
    every = np.concatenate([uncertainty.evaluate(atoms).forces for atoms in held_out])
    assert np.mean(every > uncertainty.threshold(0.1)) == pytest.approx(0.1, abs=0.01)
    assert uncertainty.threshold(0.0) == every.max()
    errors = np.concatenate([np.abs(potential.predict(a).forces - a.get_forces()) for a in held_out])
    widths = np.concatenate([uncertainty.interval(atoms, 0.9).forces for atoms in held_out])
    assert np.mean(errors <= widths[:, None]) == pytest.approx(0.9, abs=0.01)
    with pytest.raises(ValueError, match=r"false_alarms = 1\.5"):
        uncertainty.threshold(1.5)
    with pytest.raises(InvalidCalibrationData, match="9 held-out structures"):
        atomistic.calibrate(estimator, held_out[:9])
    unlabelled = [atoms.copy() for atoms in held_out]
    with pytest.raises(InvalidTrainingData, match="has no energy"):
        atomistic.calibrate(estimator, unlabelled)
    held_out[0].calc.results["forces"][0, 0] = np.inf
    with pytest.raises(InvalidTrainingData, match="has a forces that is not finite"):
        atomistic.calibrate(estimator, held_out)


def test_forces_that_are_zero_by_symmetry_are_no_errors() -> None:
    """Perfect crystals among the held-out structures change neither scale nor intervals."""
    potential = random_potential_of("wide", (14,), seed=6)
    estimator = atomistic.MahalanobisDistance.fit(potential, structures(10))
    crystals = []
    for a in np.linspace(5.2, 5.7, 10):
        atoms = bulk("Si", a=a)
        truth = potential.predict(atoms)
        atoms.calc = SinglePointCalculator(atoms, energy=truth.energy, forces=0.0 * truth.forces, stress=truth.stress)
        crystals.append(atoms)
    without, among = (atomistic.calibrate(estimator, structures(20) + more).forces for more in ([], crystals))
    assert (without.noise, without.factor, without.power) == (among.noise, among.factor, among.power)
    np.testing.assert_array_equal(without.multipliers, among.multipliers)
