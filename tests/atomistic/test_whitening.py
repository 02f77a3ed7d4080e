"""Whitened inputs: their Gram matrix is a power of that of the descriptors, and a decay of weights acts as a prior in them."""

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator

import atomistic
from atomistic.linear_fit import ridge_regression
from atomistic.training_rows import Rows, descriptor_rows
from atomistic.whitening import ErrorScales, design, whiten, whitening

SCALES = ErrorScales(1e-2, 0.1, 1e-3)


def rows() -> list[Rows]:
    generator = np.random.default_rng(0)
    structures: list[Atoms] = []
    for k in range(12):
        atoms = bulk("Si", cubic=True)
        atoms.rattle(0.2, seed=k)
        atoms.calc = SinglePointCalculator(
            atoms, energy=-30.0 + k, forces=generator.normal(size=(8, 3)), stress=generator.normal(size=6) * 0.01
        )
        structures.append(atoms)
    descriptors = atomistic.BodyOrdered((14,), cutoff=4.0, angular_cutoff=3.0, radial=4, angular=2, degree=2)
    return descriptor_rows(descriptors, structures)


def gram(blocks: list[Rows], mean: torch.Tensor) -> torch.Tensor:
    total = torch.zeros(len(mean), len(mean), dtype=torch.float64)
    for block in blocks:
        energy, columns = design(block, 14, mean)
        forces, stress = columns[:, :-6].flatten(0, 1), columns[:, -6:].flatten(0, 1)
        for part, scale in ((energy, SCALES.energy), (forces, SCALES.force), (stress, SCALES.stress)):
            total += part.T @ part / scale**2
    return total


@pytest.mark.parametrize("power", [1.0, 0.6, 0.0])
def test_the_gram_matrix_of_the_inputs_is_a_power_of_that_of_the_descriptors(power: float) -> None:
    white = whitening(rows(), SCALES, floor=0.0, power=power)
    plain = torch.linalg.eigvalsh(gram(rows(), white.mean[14]))
    found = gram(whiten(rows(), white), torch.zeros_like(white.mean[14]))
    expected = plain ** (1.0 - power)
    scale = float(found.diagonal().sum() / expected.sum())
    off = found - torch.diag(found.diagonal())
    assert off.abs().max() < 1e-7 * float(found.diagonal().max())
    torch.testing.assert_close(found.diagonal().sort().values, scale * expected, rtol=1e-5, atol=0.0)


@pytest.mark.parametrize("power", [1.0, 0.6, 0.0])
def test_the_inputs_of_all_atoms_have_a_mean_square_of_one(power: float) -> None:
    inputs = torch.cat([block.values for block in whiten(rows(), whitening(rows(), SCALES, floor=1e-13, power=power))])
    assert float(inputs.square().mean()) == pytest.approx(1.0, rel=1e-10)


def test_a_smaller_power_takes_less_of_what_the_data_hardly_show() -> None:
    """At one loss on the labels, the part of the linear model along the weak half of the directions shrinks with the power."""
    weak = []
    for power in (1.0, 0.5):
        white = whitening(rows(), SCALES, floor=1e-13, power=power)
        blocks = whiten(rows(), white)
        strength = gram(blocks, torch.zeros_like(white.mean[14])).diagonal()
        ridge = 10.0 * float(strength.max()) / sum(block.targets.numel() for block in blocks)
        coefficients = ridge_regression(blocks, (14,), SCALES, ridge).coefficients[14]
        effect = coefficients.square() * strength
        half = len(effect) // 2
        weak.append(float(effect[:half].sum() / effect.sum()))  # Eigenvalues ascend
    assert weak[1] < 0.5 * weak[0]


def test_factors_act_as_descriptors_scaled_by_them() -> None:
    factor = torch.linspace(0.2, 2.0, rows()[0].values.shape[-1], dtype=torch.float64)
    scaled = rows()
    for block in scaled:
        structures, atoms, functions = block.values.shape
        block.values.mul_(factor)
        block.jacobian.reshape(structures, atoms, functions, -1).mul_(factor[:, None])
    wanted = whiten(scaled, whitening(scaled, SCALES, floor=1e-13, power=0.5))
    found = whiten(rows(), whitening(rows(), SCALES, floor=1e-13, power=0.5, factors={14: factor}))
    for one, other in zip(found, wanted, strict=True):  # distances know nothing of the eigenvectors' signs
        torch.testing.assert_close(
            torch.cdist(one.values, one.values), torch.cdist(other.values, other.values), rtol=1e-6, atol=1e-6
        )
    without = whiten(rows(), whitening(rows(), SCALES, floor=1e-13, power=0.5))
    assert not torch.allclose(
        torch.cdist(found[0].values, found[0].values), torch.cdist(without[0].values, without[0].values), rtol=1e-2
    )
