"""Estimators of a potential's errors: closed forms, invariances, what they must say of training data, files, bad input."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from scipy.spatial.transform import Rotation

import atomistic
from atomistic import (
    CalibratedUncertainty,
    EnsembleSpread,
    InvalidEstimator,
    LastLayerLaplace,
    MahalanobisDistance,
    NearestNeighbourDistance,
    NetworkFileError,
    NeuralPotential,
    PotentialEnsemble,
    UncertainCalculator,
    UncertaintyEstimator,
    UnknownElement,
)
from atomistic.descriptor_distance import atomic_descriptors, farthest_points, nearest
from atomistic.label_checks import InvalidTrainingData
from atomistic.last_layer import directions, feature_rows, last_layer_weights, with_last_layer
from atomistic.network import Network
from atomistic.training_rows import descriptor_rows
from atomistic.whitening import ErrorScales

from .conftest import DESCRIPTORS, random_potential_of

SCALES = ErrorScales(energy=0.01, force=0.1, stress=0.002)


def labelled(count: int, seed: int, teacher: NeuralPotential, rattle: float = 0.1) -> list[Atoms]:
    """Strained and rattled gallium arsenide with the labels of another potential."""
    generator = np.random.default_rng(seed)
    structures = []
    for _ in range(count):
        atoms = bulk("GaAs", "zincblende", a=5.65, cubic=True)
        atoms = atomistic.deform(atoms, np.eye(3) + generator.normal(0.0, 0.02, (3, 3)))
        atoms.positions += generator.normal(0.0, rattle, atoms.positions.shape)
        answer = teacher.predict(atoms)
        atoms.calc = SinglePointCalculator(atoms, energy=answer.energy, forces=answer.forces, stress=answer.stress)
        structures.append(atoms)
    return structures


def with_skip(potential: NeuralPotential, seed: int) -> NeuralPotential:
    generator = np.random.default_rng(seed)
    networks = {
        z: replace(network, skip=torch.from_numpy(generator.normal(0.0, 0.1, network.inputs)))
        for z, network in potential.networks.items()
    }
    return replace(potential, networks=networks)


@cache
def problem() -> tuple[NeuralPotential, NeuralPotential, list[Atoms], list[Atoms]]:
    """A potential, another that labels, training and held-out structures."""
    potential, teacher = (random_potential_of("body-ordered", (31, 33), seed=seed) for seed in (1, 2))
    return potential, teacher, labelled(8, 0, teacher), labelled(12, 1, teacher)


ESTIMATORS: dict[str, Callable[[], UncertaintyEstimator]] = {
    "spread": lambda: EnsembleSpread(PotentialEnsemble(problem()[:2])),
    "laplace": lambda: LastLayerLaplace.fit(problem()[0], problem()[2]),
    "nearest": lambda: NearestNeighbourDistance.fit(problem()[0], problem()[2]),
    "mahalanobis": lambda: MahalanobisDistance.fit(problem()[0], problem()[2]),
}


@cache
def estimator(name: str) -> UncertaintyEstimator:
    return ESTIMATORS[name]()


@pytest.mark.parametrize("kind", DESCRIPTORS)
@pytest.mark.parametrize("skip", [False, True])
def test_rows_times_weights_are_the_potential(kind: str, skip: bool) -> None:
    potential = random_potential_of(kind, (31, 33))
    potential = with_skip(potential, 3) if skip else potential
    (atoms,) = labelled(1, 5, potential)
    weights = last_layer_weights(potential)
    rows = feature_rows(directions(potential, np.eye(len(weights))), atoms)
    expected = potential.predict(atoms)
    assert abs((rows.atomic @ weights).sum() - expected.energy) <= 1e-9 * max(1.0, abs(expected.energy))
    np.testing.assert_allclose(rows.forces @ weights, expected.forces, atol=1e-9)
    np.testing.assert_allclose(rows.stress @ weights, expected.stress, atol=1e-11)
    other = np.random.default_rng(0).normal(size=len(weights))
    changed = with_last_layer(potential, other)
    np.testing.assert_array_equal(last_layer_weights(changed), other)
    np.testing.assert_allclose(rows.forces @ other, changed.predict(atoms).forces, atol=1e-9)


def test_laplace_is_the_posterior_of_linear_regression() -> None:
    """On a linear potential, with rows from the training code: covariance and every variance by the textbook's formula."""
    descriptors = atomistic.SymmetryFunctions.spread((31, 33), nearest=2.4, cutoff=4.6, radial=3, angular=1)
    generator = np.random.default_rng(0)
    functions = descriptors.count(31)
    networks = {
        z: Network(((torch.from_numpy(generator.normal(size=(1, functions))), torch.zeros(1, dtype=torch.float64)),))
        for z in (31, 33)
    }
    potential = NeuralPotential(descriptors, networks, {})
    structures = labelled(5, 0, potential)
    columns = 2 * (functions + 1)
    prior = generator.uniform(0.5, 2.0, columns)
    (rows,) = descriptor_rows(descriptors, structures)

    def design(k: int) -> np.ndarray:
        """Rows of the energy, the forces and the stress of structure k."""
        values, numbers = rows.values[k].numpy(), rows.numbers[k].numpy()
        jacobian = rows.jacobian[k].numpy().reshape(len(values), functions, -1)
        parts = []
        for z in (31, 33):
            own = numbers == z
            energy = np.append(values[own].sum(0), own.sum())
            slopes = np.concatenate([jacobian[own].sum(0), np.zeros((1, jacobian.shape[2]))])
            parts.append(np.column_stack([energy, slopes]))
        return np.concatenate(parts).T

    size = len(structures[0])
    errors = np.concatenate([[SCALES.energy * size], np.full(3 * size, SCALES.force), np.full(6, SCALES.stress)])
    stacked = np.concatenate([design(k) / errors[:, None] for k in range(4)])
    covariance = np.linalg.inv(stacked.T @ stacked + np.diag(prior))
    laplace = LastLayerLaplace.fit(potential, structures[:4], errors=SCALES, prior_precision=prior)
    np.testing.assert_allclose(laplace.covariance, covariance, rtol=1e-6, atol=1e-9 * np.abs(covariance).max())
    variance = np.einsum("rp,pq,rq->r", design(4), covariance, design(4))
    answer = laplace.evaluate(structures[4])
    assert answer.energy is not None and answer.forces is not None and answer.stress is not None
    np.testing.assert_allclose(answer.energy**2, variance[0], rtol=1e-7)
    np.testing.assert_allclose(answer.forces**2, variance[1:-6].reshape(-1, 3).mean(1), rtol=1e-7)
    np.testing.assert_allclose(answer.stress[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]] ** 2, variance[-6:], rtol=1e-7)


def test_more_data_less_posterior_variance() -> None:
    potential, _, train, held_out = problem()
    few = LastLayerLaplace.fit(potential, train[:1], errors=SCALES, prior_precision=np.ones(14))
    many = LastLayerLaplace.fit(potential, train[:3], errors=SCALES, prior_precision=np.ones(14))
    first, second = few.evaluate(held_out[0]), many.evaluate(held_out[0])
    assert first.forces is not None and second.forces is not None
    assert (second.forces < first.forces).all()


def test_draws_from_the_posterior_spread_as_it_says() -> None:
    laplace = estimator("laplace")
    assert isinstance(laplace, LastLayerLaplace)
    atoms = problem()[3][0]
    exact, (prediction, drawn) = laplace.evaluate(atoms), EnsembleSpread(laplace.draw(40, seed=0)).predict(atoms)
    np.testing.assert_allclose(prediction.forces, laplace.potential.predict(atoms).forces, atol=1e-8)
    assert (
        exact.forces is not None and drawn.forces is not None and exact.energy is not None and drawn.energy is not None
    )
    # Relative standard error of a standard deviation from 40 draws: 11 %, for a force about 7 %.
    np.testing.assert_allclose(drawn.forces, exact.forces, rtol=0.25)
    np.testing.assert_allclose(drawn.energy, exact.energy, rtol=0.35)


def test_spread_of_identical_members_is_zero_and_of_two_their_difference() -> None:
    potential, teacher, _, held_out = problem()
    atoms = held_out[0]
    same = EnsembleSpread(PotentialEnsemble((potential, potential))).evaluate(atoms)
    assert same.energy == 0.0 and same.forces is not None and not same.forces.any()
    prediction, two = estimator("spread").predict(atoms)
    first, second = potential.predict(atoms), teacher.predict(atoms)
    np.testing.assert_allclose(prediction.forces, 0.5 * (first.forces + second.forces), atol=1e-12)
    assert two.forces is not None and two.stress is not None
    expected = np.sqrt(0.5 * np.square(first.forces - second.forces).mean(1))
    np.testing.assert_allclose(two.forces, expected, atol=1e-12)
    np.testing.assert_allclose(two.stress, np.abs(first.stress - second.stress) / np.sqrt(2.0), atol=1e-12)


def test_distance_is_zero_on_training_atoms_and_grows_away_from_them() -> None:
    _, teacher, train, _ = problem()
    distance = estimator("nearest")
    for atoms in train:
        assert distance.evaluate(atoms).atomic.max() <= 1e-6
    near, far = (labelled(4, 7, teacher, rattle) for rattle in (0.1, 0.4))
    for name in ("nearest", "mahalanobis"):
        means = [np.mean([estimator(name).evaluate(a).atomic.mean() for a in group]) for group in (near, far)]
        assert means[1] > 2.0 * means[0]


def test_mahalanobis_is_the_form_with_the_regularised_covariance() -> None:
    potential, _, train, held_out = problem()
    floor = 1e-2
    values = np.concatenate([atomic_descriptors(potential, atoms)[31][1] for atoms in train])
    scale = values.std(0)
    correlation = np.corrcoef(values.T)
    largest = np.linalg.eigvalsh(correlation)[-1]
    covariance = np.outer(scale, scale) * (correlation + floor * largest * np.eye(len(scale)))
    own, new = atomic_descriptors(potential, held_out[0])[31]
    away = new - values.mean(0)
    expected = np.sqrt(np.einsum("ad,de,ae->a", away, np.linalg.inv(covariance), away))
    answer = MahalanobisDistance.fit(potential, train, floor=floor).evaluate(held_out[0])
    np.testing.assert_allclose(answer.atomic[own], expected, rtol=1e-6)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**31), count=st.integers(1, 30))
def test_nearest_and_farthest_points(seed: int, count: int) -> None:
    generator = np.random.default_rng(seed)
    references, points = generator.normal(3.0, 1.0, (30, 5)), generator.normal(3.0, 1.0, (20, 5))
    np.testing.assert_allclose(nearest(points, references), cdist(points, references).min(1), rtol=1e-12)
    kept = farthest_points(references, count)
    assert len(kept) == count
    if 1 < count < 30:
        between = cdist(kept, kept)[np.triu_indices(count, 1)].min()
        assert nearest(references, kept).max() <= between * (1.0 + 1e-9)


@pytest.mark.parametrize("name", ESTIMATORS)
@settings(max_examples=3, deadline=None)
@given(seed=st.integers(0, 2**31))
def test_rotation_permutation_and_translation(name: str, seed: int) -> None:
    generator = np.random.default_rng(seed)
    (atoms,) = labelled(1, seed, problem()[1])
    Q = Rotation.random(rng=generator).as_matrix()
    turned = Atoms(atoms.numbers, cell=atoms.cell.array @ Q.T, positions=atoms.positions @ Q.T + 1.7, pbc=True)
    order = generator.permutation(len(atoms))
    before, after = estimator(name).evaluate(atoms), estimator(name).evaluate(turned[order])
    np.testing.assert_allclose(after.atomic, before.atomic[order], rtol=1e-5, atol=1e-9)
    if (
        before.forces is not None
        and after.forces is not None
        and before.energy is not None
        and after.energy is not None
    ):
        np.testing.assert_allclose(after.forces, before.forces[order], rtol=1e-6, atol=1e-9)
        assert abs(after.energy - before.energy) <= 1e-6 * max(1.0, before.energy)


@cache
def calibrated(name: str) -> CalibratedUncertainty:
    return atomistic.calibrate(estimator(name), problem()[3])


@pytest.mark.parametrize("name", ESTIMATORS)
def test_file_round_trip_and_refusals(name: str, tmp_path: Path) -> None:
    path = tmp_path / "uncertainty.safetensors"
    calibrated(name).save(path)
    loaded = CalibratedUncertainty.load(path)
    (atoms,) = labelled(1, 9, problem()[1], 0.2)
    (first, before), (second, after) = calibrated(name).predict(atoms), loaded.predict(atoms)
    np.testing.assert_array_equal(first.forces, second.forces)
    np.testing.assert_array_equal(before.forces, after.forces)
    assert before.energy == after.energy
    assert loaded.threshold(0.05) == calibrated(name).threshold(0.05)
    np.testing.assert_array_equal(loaded.interval(atoms, 0.8).forces, calibrated(name).interval(atoms, 0.8).forces)
    whole = path.read_bytes()
    for broken in (whole[: len(whole) // 2], b"", b"something else"):
        path.write_bytes(broken)
        with pytest.raises(NetworkFileError):
            CalibratedUncertainty.load(path)
    problem()[0].save(path)
    with pytest.raises(NetworkFileError, match="expected 'atomlaw/uncertainty'"):
        CalibratedUncertainty.load(path)
    path.write_bytes(whole.replace(name_in_file(name), name_in_file(name)[::-1]))
    with pytest.raises(NetworkFileError, match="no consistent uncertainty"):
        CalibratedUncertainty.load(path)


def name_in_file(name: str) -> bytes:
    return estimator(name).kind.encode()


@pytest.mark.parametrize("name", ESTIMATORS)
def test_calculator_returns_the_uncertainties(name: str) -> None:
    (atoms,) = labelled(1, 4, problem()[1])
    prediction, deviation = calibrated(name).predict(atoms)
    atoms.calc = UncertainCalculator(calibrated(name))
    np.testing.assert_array_equal(atoms.get_forces(), prediction.forces)
    assert atoms.get_potential_energy() == prediction.energy
    results = atoms.calc.results
    np.testing.assert_array_equal(results["forces_uncertainty"], deviation.forces)
    assert results["forces_uncertainty"].shape == results["novelty"].shape == (len(atoms),)
    assert ("energy_uncertainty" in results) == (deviation.energy is not None)
    assert ("stress_uncertainty" in results) == (deviation.stress is not None)
    largest = atoms.calc.largest_force_uncertainty(atoms)
    assert largest == calibrated(name).largest_force_uncertainty(atoms) == results["forces_uncertainty"].max()
    assert atoms.calc.results is results, "the structure has not changed: nothing is to be computed again"
    atoms.positions[0, 0] = np.nan
    with pytest.raises(atomistic.InvalidStructure, match="NaN"):
        atoms.get_forces()


def test_guard_stops_on_a_threshold_of_the_held_out_atoms() -> None:
    uncertainty = calibrated("nearest")
    guard = atomistic.UncertaintyGuard(uncertainty.largest_force_uncertainty, threshold=uncertainty.threshold(0.0))
    guard(problem()[2][0])
    with pytest.raises(atomistic.UncertainStructure) as stopped:
        guard(labelled(1, 3, problem()[1], 0.5)[0])
    assert stopped.value.atoms is not None


def test_default_is_the_last_layer_and_draws_are_of_it() -> None:
    potential, _, train, held_out = problem()
    exact, drawn = (atomistic.fit_uncertainty(potential, train, held_out, draws=draws) for draws in (None, 6))
    assert exact.evaluate(train[0]).energy == calibrated("laplace").evaluate(train[0]).energy
    assert drawn.estimator.kind == EnsembleSpread.kind
    forces = [one.predict(train[0])[0].forces for one in (exact, drawn)]
    np.testing.assert_allclose(*forces, atol=1e-8)


def test_structures_without_a_period_have_no_stress_uncertainty() -> None:
    (atoms,) = labelled(1, 4, problem()[1])
    atoms.calc = None
    atoms.pbc = (True, True, False)
    for name in ("spread", "laplace"):
        answer = calibrated(name).evaluate(atoms)
        assert answer.stress is None and answer.forces is not None and np.isfinite(answer.forces).all()


@pytest.mark.parametrize("name", ESTIMATORS)
def test_unknown_elements_are_named(name: str) -> None:
    with pytest.raises(UnknownElement, match="element Si is unknown"):
        estimator(name).evaluate(bulk("Si", a=5.43))


def test_bad_training_structures_and_settings_are_named() -> None:
    potential, _, train, _ = problem()
    with pytest.raises(InvalidEstimator, match="references = 0"):
        NearestNeighbourDistance.fit(potential, train, references=0)
    for fit in (NearestNeighbourDistance.fit, MahalanobisDistance.fit):
        with pytest.raises(InvalidEstimator, match=r"floor = 0\.0"):
            fit(potential, train, floor=0.0)
        with pytest.raises(InvalidEstimator, match="0 atoms of Ga in 0 structures"):
            fit(potential, [])
    perfect = bulk("GaAs", "zincblende", a=5.65, cubic=True)
    with pytest.raises(InvalidEstimator, match="the same descriptors"):
        MahalanobisDistance.fit(potential, [perfect])
    with pytest.raises(InvalidEstimator, match="no structures"):
        LastLayerLaplace.fit(potential, [])
    with pytest.raises(InvalidTrainingData, match="has no energy"):
        LastLayerLaplace.fit(potential, [perfect])
    with pytest.raises(InvalidEstimator, match="positive"):
        LastLayerLaplace.fit(potential, train, errors=ErrorScales(0.01, -0.1, 0.01))
    with pytest.raises(InvalidEstimator, match="expected 14 positive numbers"):
        LastLayerLaplace.fit(potential, train, errors=SCALES, prior_precision=np.zeros(14))
    silent = with_last_layer(potential, np.zeros(14))
    with pytest.raises(InvalidEstimator, match="train it first"):
        LastLayerLaplace.fit(silent, train, errors=SCALES)
