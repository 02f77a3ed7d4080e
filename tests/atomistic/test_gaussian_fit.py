"""Gaussians about environments, fitted in closed form: what is left out is predicted as said, and the network is the model fitted."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator

import atomistic
from atomistic.gaussian_fit import _Observation, farthest, left_out_errors
from atomistic.last_layer import last_layer_weights
from atomistic.network import Network
from atomistic.units import EV_PER_CUBIC_ANGSTROM_IN_GPA

from .conftest import random_networks

DESCRIPTORS = atomistic.BodyOrdered((14,), cutoff=5.0, angular_cutoff=4.2, radial=6, angular=4, degree=3)


def labelled(count: int, seed: int, rattle: float = 0.12) -> list[Atoms]:
    """Rattled and strained silicon by Stillinger and Weber."""
    generator = np.random.default_rng(seed)
    structures = []
    for _ in range(count):
        atoms = bulk("Si", a=5.43)
        atoms.set_cell(atoms.cell.array @ (np.eye(3) + generator.normal(0.0, 0.03, (3, 3))), scale_atoms=True)
        atoms.positions += generator.normal(0.0, rattle, atoms.positions.shape)
        atoms.calc = atomistic.reference_calculator("stillinger-weber")
        atoms.get_potential_energy(), atoms.get_stress()
        structures.append(atoms)
    return structures


def test_left_out_errors_are_those_of_fits_without_the_structure() -> None:
    generator = np.random.default_rng(0)
    unknowns = 12
    observations = [
        _Observation(
            *(torch.from_numpy(generator.normal(size=shape)) for shape in ((10, unknowns), 10)), torch.ones(10)
        )
        for _ in range(5)
    ]
    prior = torch.eye(unknowns, dtype=torch.float64)

    def fitted(some: Sequence[_Observation]) -> tuple[torch.Tensor, torch.Tensor]:
        factor = torch.linalg.cholesky(sum((o.rows.T @ o.rows for o in some), prior))
        right = sum((o.rows.T @ o.labels for o in some), torch.zeros(unknowns, dtype=torch.float64))
        return factor, torch.cholesky_solve(right[:, None], factor)[:, 0]

    residuals = []
    for k, left in enumerate(observations):
        _, theta = fitted(observations[:k] + observations[k + 1 :])
        residuals.append((left.labels - left.rows @ theta).numpy())
    wanted = np.array(residuals)
    errors = left_out_errors(observations, *fitted(observations))
    assert errors.energy == pytest.approx(np.sqrt(np.mean(wanted[:, 0] ** 2)), rel=1e-10)
    assert errors.force == pytest.approx(np.sqrt(np.mean(wanted[:, 1:-6] ** 2)), rel=1e-10)
    assert errors.stress == pytest.approx(
        EV_PER_CUBIC_ANGSTROM_IN_GPA * np.sqrt(np.mean(wanted[:, -6:] ** 2)), rel=1e-10
    )


def test_the_error_of_structures_left_out_is_that_of_structures_held_out() -> None:
    fit = atomistic.fit_gaussians(labelled(60, 0), descriptors=DESCRIPTORS)
    held_out = labelled(60, 1)
    predicted = atomistic.predict_all(fit.potential, held_out)
    force = np.sqrt(np.mean([(p.forces - a.get_forces()) ** 2 for p, a in zip(predicted, held_out, strict=True)]))
    assert 0.5 < force / fit.left_out.force < 2.0
    linear = atomistic.fit_linear(labelled(60, 0), DESCRIPTORS)
    predicted = atomistic.predict_all(linear, held_out)
    by_linear = np.sqrt(np.mean([(p.forces - a.get_forces()) ** 2 for p, a in zip(predicted, held_out, strict=True)]))
    assert force < by_linear


def test_labels_without_noise_are_met() -> None:
    """More unknowns than labels, and errors that allow nothing: the network goes through the data."""
    structures = labelled(3, 2)
    settings = atomistic.TrainingSettings(energy_error=1e-5, force_error=1e-5, stress_error=1e-5)
    fit = atomistic.fit_gaussians(structures, settings, descriptors=DESCRIPTORS, amplitudes=(10.0,))
    for atoms in structures:
        predicted = fit.potential.predict(atoms)
        assert predicted.energy == pytest.approx(atoms.get_potential_energy(), abs=1e-3)
        np.testing.assert_allclose(predicted.forces, atoms.get_forces(), atol=1e-2)


def test_two_elements() -> None:
    structures = labelled(12, 3)
    for atoms in structures:
        labels = SinglePointCalculator(
            atoms, energy=atoms.get_potential_energy(), forces=atoms.get_forces(), stress=atoms.get_stress()
        )
        atoms.numbers[:] = 14, 32
        atoms.calc = None
        labels.atoms = atoms.copy()
        atoms.calc = labels
    descriptors = atomistic.BodyOrdered((14, 32), cutoff=5.0, angular_cutoff=4.2, radial=5, angular=3, degree=2)
    fit = atomistic.fit_gaussians(structures, descriptors=descriptors)
    error = np.mean([np.abs(fit.potential.predict(atoms).forces - atoms.get_forces()).max() for atoms in structures])
    assert error < 0.1 * np.mean([np.abs(atoms.get_forces()).max() for atoms in structures])


def test_environments_are_chosen_far_from_one_another_and_once() -> None:
    points = torch.tensor([[0.0], [0.1], [5.0], [5.0], [2.0]], dtype=torch.float64)
    assert farthest(points, 3).tolist() == [0, 2, 4]
    assert sorted(farthest(points, 9).tolist()) == [0, 1, 2, 4]


@pytest.mark.parametrize("first", [False, True], ids=["after a linear layer", "on the descriptors"])
def test_radial_layers_are_gaussians_in_kernel_and_torch(first: bool) -> None:
    generator = np.random.default_rng(4)
    count = DESCRIPTORS.count(14)
    template = random_networks(DESCRIPTORS, seed=0, scale=0.3)
    linear = template.networks[14].layers[0]
    inputs = count if first else 8
    centres = torch.from_numpy(generator.normal(0.0, 0.5, (13, inputs)))
    amplitudes = torch.from_numpy(generator.normal(0.0, 1.0, (1, 13)))
    radial = (centres, -0.5 * centres.square().sum(1))
    layers = (radial, (amplitudes, torch.zeros(1).double()))
    activations = ("radial",)
    if not first:
        layers, activations = (linear, *layers), ("linear", *activations)
    skip = torch.from_numpy(generator.normal(0.0, 0.1, count))
    network = Network(layers, activations, skip)
    x = torch.from_numpy(generator.normal(0.0, 0.3, (5, count)))
    seen = x if first else x @ linear[0].T + linear[1]
    by_hand = torch.exp(-0.5 * torch.cdist(seen, centres).square()) @ amplitudes[0] + x @ skip
    np.testing.assert_allclose(network(x), by_hand, rtol=1e-12)
    potential = atomistic.NeuralPotential(DESCRIPTORS, {14: network}, {})
    atoms = labelled(1, 5)[0].repeat((2, 2, 2))
    compiled, (energies, forces, _) = potential.predict(atoms), potential._by_torch(atoms)
    np.testing.assert_allclose(compiled.energies, energies, rtol=1e-10)
    np.testing.assert_allclose(compiled.forces, forces, atol=1e-10 * np.abs(forces).max())


@pytest.mark.parametrize(
    "bad", [{"centres": 0}, {"length": -1.0}, {"slope": 0.0}, {"amplitudes": (0.1, -0.1)}, {"radial_decay": 1.2}]
)
def test_nonsense_is_refused(bad: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"expected (a positive number|at most 1)"):
        atomistic.fit_gaussians(labelled(2, 6), descriptors=DESCRIPTORS, **bad)  # type: ignore[arg-type]


def test_the_radial_decay_is_that_of_the_polynomials() -> None:
    """Channels 0.7^k f_k counted alike make the same potential as channels f_k that count 0.7^k."""
    training, held = labelled(12, 0), labelled(3, 1)
    scale = np.diag(0.7 ** np.arange(4.0))[:, None, :]
    sizes = {"numbers": (14,), "cutoff": 5.0, "angular_cutoff": 4.2, "radial": 1, "angular": 4, "degree": 3}
    plain = atomistic.BodyOrdered(**sizes)
    scaled = atomistic.BodyOrdered(**sizes, channels=tuple(tuple(map(tuple, rows)) for rows in scale.tolist()))

    def predictions(descriptors: atomistic.BodyOrdered, decay: float) -> np.ndarray:
        fit = atomistic.fit_gaussians(training, centres=20, radial_decay=decay, descriptors=descriptors)
        return np.concatenate([fit.potential.predict(atoms).forces for atoms in held])

    expected = predictions(scaled, 1.0)
    np.testing.assert_allclose(predictions(plain, 0.7), expected, rtol=0, atol=1e-6 * np.abs(expected).max())
    assert np.abs(predictions(plain, 1.0) - expected).max() > 1e-3 * np.abs(expected).max()


def test_the_posterior_gives_the_errors_of_the_weights() -> None:
    """Of a structure among the data the variance is below its error's; far from them it is larger; draws scatter as it says."""
    settings = atomistic.TrainingSettings(radial=6, angular=4, degree=3)
    training = labelled(12, seed=4, rattle=0.05)
    fit = atomistic.fit_gaussians(training, settings, centres=20, amplitudes=(0.1,), descriptors=DESCRIPTORS)
    known = fit.posterior.evaluate(training[3])
    strange = fit.posterior.evaluate(labelled(1, seed=5, rattle=0.5)[0])
    assert 0.0 < known.energy / 2.0 < settings.energy_error
    assert np.all(known.forces < settings.force_error)
    assert np.all(strange.forces > 3.0 * known.forces.max())
    assert np.allclose(last_layer_weights(fit.posterior.potential), last_layer_weights(fit.potential), rtol=0, atol=0)
    drawn = fit.posterior.draw(400, seed=0)
    energies = [member.predict(training[3]).energy for member in drawn.members]
    assert np.std(energies) == pytest.approx(known.energy, rel=0.15)
