"""Training: dense rows are the potential's own derivatives; results are reproducible, resume exactly, and generalise."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator

import atomistic
from atomistic import InvalidTrainingData, TrainingSettings
from atomistic.descriptor_jacobian import _by_function, values_and_jacobian
from atomistic.linear_fit import ridge_regression
from atomistic.neighbours import neighbour_table
from atomistic.training_loss import Loss, Model
from atomistic.training_rows import Rows, descriptor_rows
from atomistic.whitening import ErrorScales, whiten, whitening

Trained = tuple[list[Atoms], atomistic.Training]
VOIGT = ([0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1])
ADAM = TrainingSettings(radial=4, angular=2, degree=2, hidden=(5,), epochs=4, batches=5, cycles=2, iterations=8)
KALMAN = replace(ADAM, optimiser="kalman", force_components=6)


def errors(potential: atomistic.NeuralPotential, structures: list[Atoms]) -> tuple[float, float, float]:
    predictions = atomistic.predict_all(potential, structures)
    pairs = list(zip(predictions, structures, strict=True))
    energy = [(p.energy - a.get_potential_energy()) / len(a) for p, a in pairs]
    force = np.concatenate([np.ravel(p.forces - a.get_forces()) for p, a in pairs])
    stress = np.concatenate([(p.stress - a.get_stress(voigt=False))[VOIGT] for p, a in pairs])
    scale = atomistic.EV_PER_CUBIC_ANGSTROM_IN_GPA
    return (
        float(np.sqrt(np.mean(np.square(energy)))),
        float(np.sqrt(np.mean(force**2))),
        scale * float(np.sqrt(np.mean(stress**2))),
    )


def salt() -> Atoms:
    atoms: Atoms = bulk("NaCl", "rocksalt", a=4.2).repeat((2, 1, 1))
    atoms.rattle(0.1, seed=1)
    return atoms


MIXED = tuple(tuple(map(tuple, rows)) for rows in np.random.default_rng(0).normal(size=(4, 2, 3)).tolist())


@pytest.mark.parametrize(
    "descriptors",
    [
        atomistic.BodyOrdered((11, 17), cutoff=4.0, angular_cutoff=3.0, radial=4, angular=3, degree=4),
        atomistic.BodyOrdered(
            (11, 17), cutoff=4.0, angular_cutoff=3.5, radial=3, angular=3, degree=3,
            channels=MIXED, pairs=((0, 0), (0, 1), (1, 3), (2, 2)),
        ),
    ],
)  # fmt: skip
def test_derivatives_through_moments_equal_those_function_by_function(descriptors: atomistic.BodyOrdered) -> None:
    table = neighbour_table(salt(), descriptors.cutoff)
    values, slopes = values_and_jacobian(descriptors, table)
    expected_values, expected = _by_function(descriptors, 11, table.vectors, table.neighbour_numbers, table.mask)
    np.testing.assert_allclose(values, expected_values, atol=1e-13)
    np.testing.assert_allclose(slopes, expected, atol=1e-12)
    assert expected.abs().max() > 0.1


def test_rows_give_the_forces_and_stress_of_the_potential(small_training: Trained) -> None:
    configurations, training = small_training
    potential = training.potential
    chosen = [a for a in configurations if a.info["group"] == "strained and rattled small"][:3]
    (rows,) = descriptor_rows(potential.descriptors, chosen)
    values = rows.values.clone().requires_grad_()
    energy = potential.networks[14](values.reshape(-1, values.shape[-1])).sum()
    (pull,) = torch.autograd.grad(energy, values)
    columns = torch.einsum("sk,skc->sc", pull.reshape(len(chosen), -1), rows.jacobian).numpy()
    for k, atoms in enumerate(chosen):
        prediction = potential.predict(atoms)
        np.testing.assert_allclose(columns[k, :-6].reshape(-1, 3), prediction.forces, atol=1e-9)
        expected = prediction.stress[VOIGT]
        np.testing.assert_allclose(columns[k, -6:], expected, atol=1e-10)


def two_element_loss() -> tuple[Loss, np.ndarray]:
    """Random labels and weights on a salt: enough to test derivatives."""
    generator = np.random.default_rng(0)
    descriptors = atomistic.BodyOrdered((11, 17), cutoff=4.0, angular_cutoff=3.0, radial=3, angular=2, degree=2)
    structures = []
    for k in range(3):
        atoms = salt()
        atoms.rattle(0.05, seed=k)
        atoms.calc = SinglePointCalculator(
            atoms, energy=-3.0 + k, forces=generator.normal(size=(4, 3)), stress=generator.normal(size=6) * 0.01
        )
        atoms.info.update(weight=1.0 + k, forces_weight=0.5)
        structures.append(atoms)
    scales = ErrorScales(1e-2, 0.1, 1e-3)
    rows = descriptor_rows(descriptors, structures)
    white = whitening(rows, scales, floor=1e-10)
    rows = whiten(rows, white)
    linear = ridge_regression(rows, (11, 17), scales, ridge=1e-3)
    model = Model((11, 17), (rows[0].values.shape[-1], 4, 1), unit=0.1)
    return Loss(rows, model, linear.shift, scales, 1e-3), model.initial(3, linear.coefficients)


def test_gradient_of_the_loss_against_differences() -> None:
    loss, theta = two_element_loss()
    _, gradient = loss.gradient(theta)
    direction = np.random.default_rng(1).normal(size=theta.shape)
    step = 1e-5
    difference = (loss.at(theta + step * direction) - loss.at(theta - step * direction)) / (2 * step)
    assert gradient @ direction == pytest.approx(difference, rel=1e-7)


def test_batches_share_the_loss() -> None:
    loss, theta = two_element_loss()
    parts = [loss.gradient(theta, [block[k : k + 1]])[0] for block in loss.rows for k in range(len(block))]
    assert np.mean(parts) == pytest.approx(loss.at(theta), rel=1e-12)


def test_weights_multiply_squared_errors() -> None:
    loss, _ = two_element_loss()
    (block,) = loss.rows
    np.testing.assert_allclose(block.weights, [[1.0, 0.5, 1.0], [2.0, 1.0, 2.0], [3.0, 1.5, 3.0]])
    assert isinstance(block, Rows)


def test_a_trained_network_equals_its_folded_potential(small_training: Trained) -> None:
    """The errors that the training reports are those of the potential it returns."""
    configurations, training = small_training
    structures = [a for a in configurations if a.info["split"] == "train"]
    energy, force, stress = errors(training.potential, structures)
    assert training.history[-1, 3] == pytest.approx(force, rel=1e-6)
    assert training.history[-1, 4] == pytest.approx(stress, rel=1e-6)
    assert training.history[-1, 2] == pytest.approx(energy, rel=1e-4)


def test_the_objective_made_again_is_the_one_that_was_minimised(small_training: Trained) -> None:
    configurations, training = small_training
    objective = training.objective()
    assert objective.loss.at(training.parameters) == pytest.approx(training.history[-1, 1], rel=1e-12)
    again = objective.potential(training.parameters, {})
    atoms = configurations[0]
    assert again.predict(atoms).energy == pytest.approx(training.potential.predict(atoms).energy, rel=1e-12)


def test_held_out_errors_of_a_short_training(small_training: Trained) -> None:
    """A quarter of the demo's data, a few seconds: already within a few meV/atom; the full size is tested slowly."""
    configurations, training = small_training
    energy, force, stress = errors(training.potential, [a for a in configurations if a.info["split"] == "test"])
    assert energy < 3e-3
    assert force < 0.08
    assert stress < 0.3


class Stop(Exception):
    pass


@pytest.mark.parametrize(("settings", "after"), [(ADAM, 2), (ADAM, 4), (ADAM, 5), (KALMAN, 2)])
def test_same_seed_same_potential_and_exact_resume(
    small_training: Trained, tmp_path: Path, settings: TrainingSettings, after: int
) -> None:
    configurations = small_training[0][::6]
    settings = replace(settings, validation=0.2)
    count = 0

    def interrupt(fraction: float, _: str) -> None:
        nonlocal count
        count += 1
        if count == after:
            raise Stop

    whole = atomistic.train(configurations, settings, seed=1)
    path = tmp_path / "checkpoint.safetensors"
    with pytest.raises(Stop):
        atomistic.train(configurations, settings, seed=1, checkpoint=path, progress=interrupt)
    messages: list[str] = []
    resumed = atomistic.train(
        configurations, settings, seed=1, checkpoint=path, progress=lambda _, message: messages.append(message)
    )
    assert len(messages) == len(whole.history) - after
    assert messages[-1].endswith("0 s left")
    np.testing.assert_array_equal(resumed.history, whole.history)
    np.testing.assert_array_equal(resumed.validation, whole.validation)
    assert resumed.phases == whole.phases
    atoms = configurations[0]
    assert resumed.potential.predict(atoms).energy == whole.potential.predict(atoms).energy


def test_checkpoint_of_other_data_or_another_seed_is_not_used(small_training: Trained, tmp_path: Path) -> None:
    configurations = small_training[0][::12]
    quick = replace(ADAM, epochs=1, cycles=0)
    path = tmp_path / "checkpoint.safetensors"
    atoms = configurations[0]
    energies = {
        atomistic.train(structures, quick, seed=seed, checkpoint=path).potential.predict(atoms).energy
        for structures, seed in ((configurations, 1), (configurations[1:], 1), (configurations, 2))
    }
    assert len(energies) == 3


def test_early_stopping_keeps_the_best_parameters(small_training: Trained) -> None:
    """Few structures, many parameters: the validation loss soon rises."""
    configurations = [a for a in small_training[0] if a.info["group"] == "strained and rattled small"]
    settings = replace(ADAM, hidden=(20, 20), epochs=0, cycles=30, iterations=20, patience=3)
    held = configurations[4:12]
    training = atomistic.train(configurations[:4], settings, seed=0, validation=held)
    losses = training.validation[:, 0]
    assert len(losses) == losses.argmin() + 1 + 3 < 30
    _, force, stress = errors(training.potential, held)
    assert force == pytest.approx(training.validation[losses.argmin(), 2], rel=1e-6)
    assert stress == pytest.approx(training.validation[losses.argmin(), 3], rel=1e-6)
    assert (np.diff(training.history[:, 1]) <= 0.0).all()


def test_ensembles_in_processes_equal_those_in_turn(small_training: Trained) -> None:
    configurations = small_training[0][::12]
    quick = replace(ADAM, epochs=1, cycles=1)
    messages: list[str] = []
    alone = atomistic.train_ensemble(
        configurations, quick, seeds=(1, 2), progress=lambda _, message: messages.append(message)
    )
    assert messages == ["1 of 2 members trained", "2 of 2 members trained"]
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as executor:
        spawned = atomistic.train_ensemble(configurations, quick, seeds=(1, 2), executor=executor)
    prediction, other = (ensemble.predict(configurations[0]) for ensemble in (alone, spawned))
    assert prediction.mean.energy == pytest.approx(other.mean.energy, abs=1e-9)
    assert prediction.energy_spread > 0.0
    with pytest.raises(ValueError, match="at least two different"):
        atomistic.train_ensemble(configurations, quick, seeds=(1, 1))


def test_single_precision_of_the_rows_changes_little(small_training: Trained) -> None:
    configurations = small_training[0][::12]
    double, single = (
        atomistic.train(configurations, replace(ADAM, cycles=0, precision=precision), seed=0)
        for precision in ("double", "single")
    )
    np.testing.assert_allclose(single.history, double.history, rtol=1e-4)
    assert (single.history[:, 1:] != double.history[:, 1:]).all()


def test_other_descriptors_may_be_given(small_training: Trained) -> None:
    configurations = small_training[0][::12]
    descriptors = atomistic.SymmetryFunctions.spread((14,), nearest=2.35, cutoff=4.3, radial=4, angular=2)
    training = atomistic.train(configurations, replace(ADAM, epochs=1), seed=0, descriptors=descriptors)
    assert training.potential.descriptors == descriptors


def test_configurations_are_reproducible_and_say_how_they_were_made(small_training: Trained) -> None:
    configurations = small_training[0]
    assert {a.info["split"] for a in configurations} == {"train", "test"}
    assert {len(a) for a in configurations} == {2, 16}
    calculator = atomistic.reference_calculator("emt")
    groups = (atomistic.ConfigurationGroup("few", 3, 1, 1.0, 0.1, False),)
    copper = bulk("Cu", a=3.6)
    first, second = (
        atomistic.label_configurations(copper, calculator, max_strain=0.05, seed=4, groups=groups) for _ in range(2)
    )
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a.cell.array, b.cell.array)
        assert a.get_potential_energy() == b.get_potential_energy()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batches": 0}, "batches = 0"),
        ({"force_error": 0.0}, "force_error = 0.0"),
        ({"validation": 1.0}, "validation = 1.0"),
    ],
)
def test_settings_out_of_range_are_named(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(ADAM, **changes)  # type: ignore[arg-type]


def test_nothing_left_to_train_on(small_training: Trained) -> None:
    with pytest.raises(InvalidTrainingData, match="none is left"):
        atomistic.train(small_training[0][:1], replace(ADAM, validation=0.9), seed=0)
