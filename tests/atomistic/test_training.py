"""Training: the dense rows are the potential's own derivatives; the result is reproducible, resumes, and generalises."""

from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk

import atomistic
from atomistic import InvalidTrainingData, TrainingSettings
from atomistic.training_rows import descriptor_rows

Trained = tuple[list[Atoms], atomistic.Training]
QUICK = TrainingSettings(radial=4, angular=2, hidden=(5,), cycles=3, iterations=10)


def errors(potential: atomistic.NeuralPotential, structures: list[Atoms]) -> tuple[float, float, float]:
    predictions = atomistic.predict_all(potential, structures)
    pairs = list(zip(predictions, structures, strict=True))
    energy = [(p.energy - a.get_potential_energy()) / len(a) for p, a in pairs]
    force = np.concatenate([np.ravel(p.forces - a.get_forces()) for p, a in pairs])
    stress = np.concatenate([np.ravel(p.stress - a.get_stress(voigt=False)) for p, a in pairs])
    scale = atomistic.EV_PER_CUBIC_ANGSTROM_IN_GPA
    return float(np.std(energy)), float(np.sqrt(np.mean(force**2))), scale * float(np.sqrt(np.mean(stress**2)))


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
        np.testing.assert_allclose(columns[k, :-6].reshape(-1, 3), prediction.forces, atol=1e-10)
        expected = prediction.stress[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]]
        np.testing.assert_allclose(columns[k, -6:], expected, atol=1e-11)


def test_held_out_errors_of_a_short_training(small_training: Trained) -> None:
    """A quarter of the demo's data, a few seconds: already within a few meV/atom; the full size is tested slowly."""
    configurations, training = small_training
    energy, force, stress = errors(training.potential, [a for a in configurations if a.info["split"] == "test"])
    assert energy < 4e-3
    assert force < 0.12
    assert stress < 0.4
    assert (np.diff(training.history[:, 1]) <= 0).all()


def test_same_seed_same_potential_and_exact_resume(small_training: Trained, tmp_path: Path) -> None:
    configurations = small_training[0][::6]

    class Stop(Exception):
        pass

    def interrupt(fraction: float, _: str) -> None:
        if fraction > 0.5:
            raise Stop

    whole = atomistic.train(configurations, QUICK, seed=1)
    path = tmp_path / "checkpoint.safetensors"
    with pytest.raises(Stop):
        atomistic.train(configurations, QUICK, seed=1, checkpoint=path, progress=interrupt)
    fractions: list[float] = []
    resumed = atomistic.train(
        configurations, QUICK, seed=1, checkpoint=path, progress=lambda fraction, _: fractions.append(fraction)
    )
    assert fractions == [1.0]
    np.testing.assert_array_equal(resumed.history, whole.history)
    atoms = configurations[0]
    assert resumed.potential.predict(atoms).energy == whole.potential.predict(atoms).energy
    fewer = atomistic.train(configurations[1:], QUICK, seed=1, checkpoint=path)
    assert fewer.potential.predict(atoms).energy != whole.potential.predict(atoms).energy
    other = atomistic.train(configurations, QUICK, seed=2, checkpoint=path)
    assert other.potential.predict(atoms).energy != whole.potential.predict(atoms).energy


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


@pytest.mark.parametrize("name", ["energy", "forces", "stress"])
def test_missing_and_non_finite_labels_are_named(small_training: Trained, name: str) -> None:
    atoms = small_training[0][0].copy()
    atoms.calc = small_training[0][0].calc
    results = dict(atoms.calc.results)
    from ase.calculators.singlepoint import SinglePointCalculator

    broken = {key: value for key, value in results.items() if key in ("energy", "forces", "stress") and key != name}
    atoms.calc = SinglePointCalculator(atoms, **broken)
    with pytest.raises(InvalidTrainingData, match=f"configuration 0 .* has no {name}"):
        atomistic.train([atoms], QUICK, seed=0)
    atoms.calc = SinglePointCalculator(atoms, **{**broken, name: results[name] * np.nan})
    with pytest.raises(InvalidTrainingData, match=f"a {name} that is not finite"):
        atomistic.train([atoms], QUICK, seed=0)
    with pytest.raises(InvalidTrainingData, match="no training configurations"):
        atomistic.train([], QUICK, seed=0)
