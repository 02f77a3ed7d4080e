r"""Potentials linear in the descriptors, fitted in closed form: ridge regression on energies, forces and stresses.

In whitened inputs x the energy is E = sum_i e_{Z_i} + c_{Z_i} . x_i; with all rows of energies per atom, forces and stresses in units
of their error scales stacked into A theta = b, and the singular values s_k of A without its free part (the e_Z),

    theta = V diag(s / (s^2 + lambda)) U^T b,     GCV(lambda) = n |b - A theta|^2 / (n - sum_k s_k^2/(s_k^2 + lambda))^2

is least at the lambda of generalised cross-validation (Golub, Heath and Wahba, Technometrics 21 (1979) 215).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from ase import Atoms
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from atomistic.descriptors import Descriptors
from atomistic.network import Network
from atomistic.potential import NeuralPotential
from atomistic.training_rows import Rows, descriptor_rows
from atomistic.units import EV_PER_CUBIC_ANGSTROM_IN_GPA
from atomistic.whitening import ErrorScales, design, whiten, whitening


@dataclass(frozen=True)
class LinearModel:
    """Coefficients of the whitened inputs and constant of each element; the ridge used."""

    coefficients: dict[int, Float[Tensor, "inputs"]]
    shift: dict[int, float]
    ridge: float


def ridge_regression(
    rows: Sequence[Rows], numbers: tuple[int, ...], scales: ErrorScales, ridge: float | None = None
) -> LinearModel:
    """The linear model of whitened rows; `ridge` is lambda, chosen by generalised cross-validation where None."""
    device = rows[0].values.device
    free, inputs, labels = _stacked(rows, numbers, scales)
    # The constants are free: project them out, fit, then let them take what is left of the energies.
    spanned, sizes, _ = np.linalg.svd(free, full_matrices=False)
    basis = spanned[:, sizes > 1e-10 * sizes[0]]
    projected = inputs - basis @ (basis.T @ inputs)
    target = labels - basis @ (basis.T @ labels)
    orthogonal, triangle = np.linalg.qr(projected)
    left, singular, right = np.linalg.svd(triangle, full_matrices=False)  # More unknowns than rows are allowed
    components = left.T @ (orthogonal.T @ target)
    outside = max(float(target @ target - components @ components), 0.0)
    size = len(labels) - basis.shape[1]
    if ridge is None:
        ridge = _generalised_cross_validation(singular, components, outside, size)
    theta = right.T @ (components * singular / (singular**2 + ridge).clip(min=1e-300))
    shifts = np.linalg.lstsq(free, labels - inputs @ theta, rcond=None)[0]
    parts = np.split(theta, len(numbers))
    return LinearModel(
        {z: torch.from_numpy(part.copy()).to(device) for z, part in zip(numbers, parts, strict=True)},
        {z: float(shift) for z, shift in zip(numbers, shifts, strict=True)},
        float(ridge),
    )


def _generalised_cross_validation(singular: ndarray, components: ndarray, outside: float, size: int) -> float:
    candidates = singular[0] ** 2 * np.logspace(-16, 0, 65)
    scores = []
    for ridge in candidates:
        kept = singular**2 / (singular**2 + ridge)
        residual = outside + float(np.sum(((1.0 - kept) * components) ** 2))
        scores.append(size * residual / (size - kept.sum()) ** 2)
    return float(candidates[int(np.argmin(scores))])


def _stacked(rows: Sequence[Rows], numbers: tuple[int, ...], scales: ErrorScales) -> tuple[ndarray, ndarray, ndarray]:
    """Columns of the elements' constants, columns of the inputs, and labels, all in units of the error scales and weighted.

    Each kind of label has the share of the loss: its rows are divided by the square root of their number.
    """
    structures = sum(len(block) for block in rows)
    components = sum(block.targets[:, :-6].numel() for block in rows)
    factors = (
        structures**-0.5 / scales.energy,
        components**-0.5 / scales.force,
        (6 * structures) ** -0.5 / scales.stress,
    )
    free, inputs, labels = [], [], []
    for block in rows:
        size = block.numbers.shape[1]
        zero = block.values.new_zeros(block.values.shape[-1])
        parts = [design(block, z, zero) for z in numbers]
        energy = torch.cat([energy for energy, _ in parts], dim=1)
        columns = torch.cat([columns for _, columns in parts], dim=2)
        shares = torch.stack([(block.numbers == z).sum(1) / size for z in numbers], 1).to(energy)
        weights = block.weights.sqrt() * block.weights.new_tensor(factors)
        free.append(shares * weights[:, :1])
        inputs.append(energy * weights[:, :1])
        labels.append(block.energy / size * weights[:, 0])
        for chosen, weight in ((slice(None, -6), weights[:, 1]), (slice(-6, None), weights[:, 2])):
            scaled = columns[:, chosen] * weight[:, None, None]
            free.append(shares.new_zeros(scaled.shape[0] * scaled.shape[1], len(numbers)))
            inputs.append(scaled.flatten(0, 1))
            labels.append((block.targets[:, chosen] * weight[:, None]).flatten())
    return torch.cat(free).cpu().numpy(), torch.cat(inputs).cpu().numpy(), torch.cat(labels).cpu().numpy()


def fit_linear(
    configurations: Sequence[Atoms],
    descriptors: Descriptors,
    *,
    ridge: float | None = None,
    energy_error: float = 2e-3,
    force_error: float = 0.05,
    stress_error: float = 0.1,
) -> NeuralPotential:
    """A potential linear in `descriptors`: a network of one layer.

    Args:
        configurations: labelled structures.
        descriptors: the set of descriptors, with all elements of the structures.
        ridge: lambda in units of the scaled rows; by generalised cross-validation where None.
        energy_error, force_error, stress_error: errors that count alike, eV/atom, eV/A, GPa.

    Raises:
        InvalidTrainingData: for missing or non-finite labels.
    """
    scales = ErrorScales(energy_error, force_error, stress_error / EV_PER_CUBIC_ANGSTROM_IN_GPA)
    rows = descriptor_rows(descriptors, configurations)
    white = whitening(rows, scales, floor=1e-15)
    numbers = tuple(sorted(white.mean))
    model = ridge_regression(whiten(rows, white), numbers, scales, ridge)
    networks = {}
    for number in numbers:
        coefficients = model.coefficients[number]
        layer = Network(((coefficients[None, :], coefficients.new_zeros(1)),))
        networks[number] = white.folded(layer, number, model.shift[number], descriptors.count(number))
    provenance = {"linear": f"ridge {model.ridge:.6g}", "configurations": str(len(configurations))}
    return NeuralPotential(descriptors, networks, provenance)
