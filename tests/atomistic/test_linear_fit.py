"""The closed-form linear fit: it recovers what is linear, and generalised cross-validation chooses a sensible ridge."""

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator

import atomistic
from atomistic.linear_fit import ridge_regression
from atomistic.network import Network
from atomistic.training_rows import descriptor_rows
from atomistic.whitening import ErrorScales, whiten, whitening

DESCRIPTORS = atomistic.BodyOrdered((14, 32), cutoff=4.2, angular_cutoff=3.6, radial=5, angular=3, degree=2)


def linear_potential() -> atomistic.NeuralPotential:
    generator = np.random.default_rng(0)
    networks = {}
    for number in DESCRIPTORS.numbers:
        weight = torch.from_numpy(generator.normal(0.0, 0.1, (1, DESCRIPTORS.count(number))))
        networks[number] = Network(((weight, torch.tensor([-4.0 - 0.01 * number], dtype=torch.float64)),))
    return atomistic.NeuralPotential(DESCRIPTORS, networks, {})


def structures(count: int, seed: int) -> list[Atoms]:
    generator = np.random.default_rng(seed)
    made = []
    for k in range(count):
        atoms = bulk("Si", a=5.5).repeat((2, 1, 1 + k % 2))
        atoms.numbers[generator.integers(0, len(atoms), 1 + k % 3)] = 32
        atoms.set_cell(atoms.cell.array @ (np.eye(3) + generator.normal(0.0, 0.03, (3, 3))), scale_atoms=True)
        atoms.positions += generator.normal(0.0, 0.15, atoms.positions.shape)
        made.append(atoms)
    return made


def labelled(atoms: Atoms, potential: atomistic.NeuralPotential) -> Atoms:
    prediction = potential.predict(atoms)
    atoms.calc = SinglePointCalculator(
        atoms, energy=prediction.energy, forces=prediction.forces, stress=prediction.stress
    )
    return atoms


def test_a_linear_potential_is_recovered() -> None:
    truth = linear_potential()
    fitted = atomistic.fit_linear([labelled(atoms, truth) for atoms in structures(24, 1)], DESCRIPTORS)
    for atoms in structures(4, 2):
        expected, found = truth.predict(atoms), fitted.predict(atoms)
        assert found.energy == pytest.approx(expected.energy, rel=1e-8)
        np.testing.assert_allclose(found.forces, expected.forces, atol=1e-8)
        np.testing.assert_allclose(found.stress, expected.stress, atol=1e-8)
    assert all(len(network.layers) == 1 for network in fitted.networks.values())


def test_a_given_ridge_solves_the_normal_equations() -> None:
    """The gradient of |b - A theta|^2 + lambda |theta|^2 vanishes: checked through the errors of rows, not the solver's algebra."""
    truth = linear_potential()
    data = [labelled(atoms, truth) for atoms in structures(6, 3)]
    scales = ErrorScales(1e-2, 0.1, 1e-3)
    rows = descriptor_rows(DESCRIPTORS, data)
    rows = whiten(rows, whitening(rows, scales, floor=1e-12))
    model = ridge_regression(rows, (14, 32), scales, ridge=0.3)

    def objective(coefficients: dict[int, torch.Tensor], shift: dict[int, torch.Tensor]) -> torch.Tensor:
        energy = force = stress = torch.zeros((), dtype=torch.float64)
        for block in rows:
            atoms = block.numbers.shape[1]
            pull = torch.where((block.numbers == 14)[..., None], coefficients[14], coefficients[32])
            own = torch.where(block.numbers == 14, shift[14], shift[32])
            total = (block.values * pull).sum((1, 2)) + own.sum(1)
            columns = torch.einsum("sk,skc->sc", pull.flatten(1), block.jacobian) - block.targets
            energy = energy + ((total - block.energy) / atoms).square().sum()
            force = force + columns[:, :-6].square().sum()
            stress = stress + columns[:, -6:].square().sum()
        count, components = sum(len(block) for block in rows), sum(block.targets[:, :-6].numel() for block in rows)
        return (
            energy / count / scales.energy**2
            + force / components / scales.force**2
            + stress / (6 * count) / scales.stress**2
            + 0.3 * sum(c.square().sum() for c in coefficients.values())
        )

    coefficients = {z: c.clone().requires_grad_() for z, c in model.coefficients.items()}
    shift = {z: torch.tensor(value, dtype=torch.float64, requires_grad=True) for z, value in model.shift.items()}
    value = objective(coefficients, shift)
    gradients = torch.autograd.grad(value, [*coefficients.values(), *shift.values()])
    for gradient in gradients:
        assert gradient.abs().max() < 1e-7 * max(1.0, float(value))


def test_cross_validation_regularises_noise_and_not_exact_labels() -> None:
    truth = linear_potential()
    scales = ErrorScales(1e-2, 0.1, 1e-3)
    generator = np.random.default_rng(5)
    ridges = []
    for noise in (0.0, 0.3):
        data = [labelled(atoms, truth) for atoms in structures(6, 4)]
        for atoms in data:
            results = atoms.calc.results
            forces = results["forces"] + noise * generator.normal(size=results["forces"].shape)
            atoms.calc = SinglePointCalculator(atoms, energy=results["energy"], forces=forces, stress=results["stress"])
        rows = descriptor_rows(DESCRIPTORS, data)
        rows = whiten(rows, whitening(rows, scales, floor=1e-12))
        ridges.append(ridge_regression(rows, (14, 32), scales).ridge)
    assert ridges[1] > 1e3 * ridges[0]
