"""Whitening of descriptors by what they say of energies, forces and stresses.

The Gram matrix of the rows of a linear model in the descriptors spans some fifteen decades; in whitened inputs x = (G - mean) T it is
near the identity, and first-order optimisers get to the bottom several times sooner.
"""

import torch
from torch import Tensor

from atomistic.training_rows import Rows


def whitening(
    rows: list[Rows], *, energy_error: float, force_error: float, stress_error: float, floor: float
) -> tuple[dict[int, Tensor], Tensor]:
    """Mean descriptors of each element and T, so that a linear model in x = (G - mean) T has a Gram matrix near the identity.

    The Gram matrix sums the rows of energies per atom, forces and stresses in units of their error scales.
    """
    functions = rows[0].values.shape[-1]
    species = torch.cat([block.numbers.reshape(-1) for block in rows])
    values = torch.cat([block.values.reshape(-1, functions) for block in rows])
    mean = {int(z): values[species == z].mean(0) for z in species.unique()}
    structures = sum(len(block.energy) for block in rows)
    components = sum(block.targets[:, :-6].numel() for block in rows)
    gram = values.new_zeros(functions, functions)
    for block in rows:
        size, atoms, _ = block.values.shape
        jacobian = block.jacobian.reshape(size, atoms, functions, -1).sum(1).transpose(1, 2)
        centred = (block.values - _centres(block, mean)).mean(1) / energy_error
        forces = jacobian[:, :-6].reshape(-1, functions) / force_error
        stress = jacobian[:, -6:].reshape(-1, functions) / stress_error
        gram += centred.T @ centred / structures + forces.T @ forces / components + stress.T @ stress / (6 * structures)
    eigenvalues, eigenvectors = torch.linalg.eigh(gram)
    transform = eigenvectors / torch.sqrt(eigenvalues.clamp(min=0.0) + floor * eigenvalues[-1])
    inputs = (values - torch.stack([mean[int(z)] for z in species])) @ transform
    return mean, transform / inputs.square().mean().sqrt()


def _centres(block: Rows, mean: dict[int, Tensor]) -> Tensor:
    """The mean descriptors of each atom's element, in the shape of `block.values`."""
    centres = torch.empty_like(block.values)
    for number, centre in mean.items():
        centres[block.numbers == number] = centre
    return centres


def whitened(block: Rows, mean: dict[int, Tensor], transform: Tensor) -> Rows:
    """The same rows in whitened inputs: values and Jacobian times T."""
    structures, atoms, functions = block.values.shape
    jacobian = block.jacobian.reshape(structures, atoms, functions, -1)
    return Rows(
        numbers=block.numbers,
        values=(block.values - _centres(block, mean)) @ transform,
        jacobian=torch.einsum("sadc,de->saec", jacobian, transform).reshape(block.jacobian.shape),
        energy=block.energy,
        targets=block.targets,
        weight=block.weight,
    )
