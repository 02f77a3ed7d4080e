r"""Whitening of descriptors by what they say of energies, forces and stresses.

The Gram matrix K = V diag(lambda) V^T of the rows of a linear model in the descriptors spans some fifteen decades. In the inputs

    x = (G - mean) T,    T = V diag(lambda)^(-power/2)

it is diag(lambda)^(1 - power): near the identity for power = 1, where first-order optimisers get to the bottom several times sooner.
There weights of one size make every direction equally likely, those included which the data hardly show; a power below 1 makes these
less likely, as the kernels of Gaussian processes do, and the networks smoother. What is known of the descriptors before any data enters
as factors d: with D = diag(d) the Gram matrix is D K D and x = (G - mean) D T, whose power below 1 leaves small what d makes small.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from atomistic.network import Network
from atomistic.training_rows import Rows


@dataclass(frozen=True)
class ErrorScales:
    """Errors that count alike: energy (eV/atom), force (eV/A), stress (eV/A^3)."""

    energy: float
    force: float
    stress: float


@dataclass(frozen=True)
class Whitening:
    """x = (G - mean) T of each element, keyed by atomic number."""

    mean: dict[int, Float[Tensor, "functions"]]
    transform: dict[int, Float[Tensor, "functions inputs"]]

    def folded(self, network: Network, number: int, shift: float, functions: int) -> Network:
        """The network of plain descriptors that equals `network` of whitened ones, plus `shift`: W x = W T^T (G - mean).

        `functions` is the number of descriptors of the element, which may be smaller than that of the padded rows.
        """
        mean, transform = self.mean[number], self.transform[number]
        (weight, bias), *inner = network.layers
        plain = weight @ transform.T
        layers = [(plain[:, :functions].clone(), bias - plain @ mean), *((w.clone(), b.clone()) for w, b in inner)]
        skip = None if network.skip is None else transform @ network.skip
        constant = shift if skip is None else shift - skip @ mean
        layers[-1] = (layers[-1][0], layers[-1][1] + constant)
        return Network(tuple(layers), network.activations, None if skip is None else skip[:functions].clone())


def whitening(
    rows: list[Rows],
    scales: ErrorScales,
    *,
    floor: float,
    power: float = 1.0,
    factors: Mapping[int, Float[Tensor, "functions"]] | None = None,
) -> Whitening:
    """Mean descriptors of each element and T, so that the inputs of all atoms have a mean square of 1.

    The Gram matrix sums the rows of energies per atom, forces and stresses in units of their scales, weighted as in the loss; eigenvalues
    below `floor` times the largest are not amplified further.
    """
    functions = rows[0].values.shape[-1]
    species = torch.cat([block.numbers.reshape(-1) for block in rows])
    values = torch.cat([block.values.reshape(-1, functions) for block in rows])
    mean = {int(z): values[species == z].mean(0) for z in species.unique()}
    transform = {}
    for number in mean:
        gram = values.new_zeros(functions, functions)
        for block in rows:
            energy, columns = design(block, number, mean[number])
            energy = energy * (block.weights[:, :1].sqrt() / scales.energy)
            forces = columns[:, :-6] * (block.weights[:, 1, None, None].sqrt() / scales.force)
            stress = columns[:, -6:] * (block.weights[:, 2, None, None].sqrt() / scales.stress)
            for part in (energy, forces.flatten(0, 1), stress.flatten(0, 1)):
                gram += part.T @ part
        factor = gram.new_ones(functions)
        if factors is not None:
            factor[: len(factors[number])] = factors[number]
        eigenvalues, eigenvectors = torch.linalg.eigh(factor[:, None] * gram * factor)
        largest = eigenvalues[-1].clamp(min=torch.finfo(gram.dtype).tiny)
        amplified = factor[:, None] * eigenvectors / (eigenvalues.clamp(min=0.0) / largest + floor) ** (0.5 * power)
        inputs = (values[species == number] - mean[number]) @ amplified
        size = inputs.square().mean().sqrt()
        transform[number] = amplified / size if size > 0.0 else amplified
    return Whitening(mean, transform)


def design(block: Rows, number: int, mean: Tensor) -> tuple[Tensor, Tensor]:
    """Rows of a model linear in G - mean of one element: of the energy an atom (structures, functions), and of forces and stress."""
    structures, atoms, functions = block.values.shape
    of_element = (block.numbers == number).to(block.values)
    energy = torch.einsum("sa,sad->sd", of_element, block.values - mean) / atoms
    jacobian = block.jacobian.reshape(structures, atoms, functions, -1)
    if bool(of_element.all()):
        return energy, jacobian.sum(1).transpose(1, 2)
    return energy, torch.einsum("sa,sadc->scd", of_element, jacobian)


def whiten(rows: list[Rows], by: Whitening) -> list[Rows]:
    """The same rows in whitened inputs. The Jacobians, which fill the memory, are overwritten: `rows` are spent."""
    whitened = []
    for block in rows:
        structures, atoms, functions = block.values.shape
        values = torch.empty_like(block.values)
        jacobian = block.jacobian.reshape(structures, atoms, functions, -1)
        for number in by.mean:
            chosen = block.numbers == number
            values[chosen] = (block.values[chosen] - by.mean[number]) @ by.transform[number]
            for k in range(structures):
                own = chosen[k]
                jacobian[k, own] = by.transform[number].T @ jacobian[k, own]
        whitened.append(
            Rows(
                numbers=block.numbers,
                values=values,
                jacobian=jacobian.reshape(block.jacobian.shape),
                energy=block.energy,
                targets=block.targets,
                weights=block.weights,
            )
        )
    return whitened
