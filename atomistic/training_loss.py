"""The loss of a training and its gradient: errors of energies, forces and stresses, each in units of the error aimed at.

    L = <w dE^2/N^2>/s_E^2 + <w df^2>/s_F^2 + <w dsigma^2>/s_S^2 + decay |theta|^2,

means over structures, force components and stress components, with the weights w of each structure.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from atomistic.network import Network
from atomistic.training_rows import Rows
from atomistic.units import EV_PER_CUBIC_ANGSTROM_IN_GPA
from atomistic.whitening import ErrorScales


class TrainingFailed(RuntimeError):
    """The loss is not finite."""


class Errors(NamedTuple):
    """Root mean square errors: eV/atom, eV/A, GPa."""

    energy: float
    force: float
    stress: float

    def __str__(self) -> str:
        return f"{1e3 * self.energy:.2f} meV/atom {1e3 * self.force:.1f} meV/A {self.stress:.3f} GPa"


class Model:
    """Networks of all elements, tanh layers and a linear skip, as slices of one flat vector of parameters."""

    def __init__(self, numbers: tuple[int, ...], widths: tuple[int, ...], unit: float = 1.0) -> None:
        self.numbers = numbers
        self.widths = widths
        self.unit = unit
        self.shapes = list(pairwise(widths))
        self.one = sum((inputs + 1) * outputs for inputs, outputs in self.shapes) + widths[0]

    def __len__(self) -> int:
        """Number of parameters."""
        return self.one * len(self.numbers)

    def networks(self, theta: Float[Tensor, "parameters"]) -> dict[int, Network]:
        """The networks, views of `theta`."""
        networks = {}
        for number, own in zip(self.numbers, theta.split(self.one), strict=True):
            layers, start = [], 0
            for inputs, outputs in self.shapes:
                weight = own[start : start + inputs * outputs].reshape(outputs, inputs)
                layers.append((weight, own[start + inputs * outputs : start + (inputs + 1) * outputs]))
                start += (inputs + 1) * outputs
            # Energies in a unit in which the parameters of the last layer are of order one, as those of the others are.
            layers[-1] = (layers[-1][0] * self.unit, layers[-1][1] * self.unit)
            networks[number] = Network(tuple(layers), skip=own[start:] * self.unit)
        return networks

    def initial(self, seed: int, skip: dict[int, Tensor]) -> Float[ndarray, "parameters"]:
        """Weights normal with variance 1/inputs, biases normal, the last layer a tenth of that: the linear model starts alone."""
        generator = np.random.default_rng(seed)
        parts = []
        for number in self.numbers:
            for inputs, outputs in self.shapes:
                parts += [generator.normal(0.0, inputs**-0.5, inputs * outputs), generator.normal(0.0, 0.1, outputs)]
            parts[-1] = 0.0 * parts[-1]
            parts.append(skip[number].cpu().numpy() / self.unit)
        return np.concatenate(parts)


class Loss:
    """Loss, gradient and errors of whitened rows as functions of the flat parameters."""

    def __init__(
        self, rows: Sequence[Rows], model: Model, shift: dict[int, float], scales: ErrorScales, decay: float
    ) -> None:
        self.model, self.scales, self.decay, self.shift = model, scales, decay, shift
        self.rows = [block for block in rows if len(block)]
        self.counts = torch.tensor(
            [
                sum(len(block) for block in self.rows),
                sum(block.targets[:, :-6].numel() for block in self.rows),
                6 * sum(len(block) for block in self.rows),
            ],
            dtype=torch.float64,
        )
        self.units = torch.tensor([scales.energy, scales.force, scales.stress], dtype=torch.float64)

    @property
    def device(self) -> torch.device:
        """Where the rows are."""
        return self.rows[0].values.device

    def value(self, theta: Float[Tensor, "parameters"], rows: Sequence[Rows] | None = None) -> Float[Tensor, ""]:
        """L, differentiable; of some rows (a batch) alone, an estimate of the whole, where they are given."""
        chosen = self.rows if rows is None else rows
        counts = self.counts
        if rows is not None:
            structures = sum(len(block) for block in rows)
            counts = counts * (structures / self.counts[0])
        squares = self.squares(theta, chosen, weighted=True)
        loss = (squares / (counts.to(squares) * self.units.to(squares).square())).sum()
        return loss + self.decay * theta.square().sum()

    def gradient(
        self, flat: Float[ndarray, "parameters"], rows: Sequence[Rows] | None = None
    ) -> tuple[float, Float[ndarray, "parameters"]]:
        """L and dL/dtheta.

        Raises:
            TrainingFailed: where the loss is not finite.
        """
        theta = self.tensor(flat).requires_grad_()
        loss = self.value(theta, rows)
        (gradient,) = torch.autograd.grad(loss, theta)
        if not torch.isfinite(loss):
            raise TrainingFailed(f"the loss became {float(loss)}; check the labels, or lower the network's size")
        return loss.item(), gradient.cpu().numpy()

    def tensor(self, flat: Float[ndarray, "parameters"]) -> Float[Tensor, "parameters"]:
        """Parameters where the rows are, a copy."""
        return torch.from_numpy(flat).to(self.device, copy=True)

    def at(self, flat: Float[ndarray, "parameters"]) -> float:
        """L."""
        with torch.no_grad():
            return self.value(self.tensor(flat)).item()

    def errors(self, flat: Float[ndarray, "parameters"]) -> Errors:
        """Root mean square errors, all structures alike."""
        with torch.no_grad():
            squares = self.squares(self.tensor(flat), self.rows, weighted=False).cpu()
        energy, force, stress = (squares / self.counts).sqrt().tolist()
        return Errors(energy, force, stress * EV_PER_CUBIC_ANGSTROM_IN_GPA)

    def squares(self, theta: Tensor, rows: Sequence[Rows], *, weighted: bool) -> Float[Tensor, "3"]:
        """Sums of the squared errors of energy per atom, force and stress components."""
        networks = self.model.networks(theta)
        total = theta.new_zeros(3)
        for block in rows:
            energy_error, column_errors = self.residuals(networks, block)
            weights = block.weights if weighted else torch.ones_like(block.weights)
            total = total + torch.stack(
                [
                    weights[:, 0] @ energy_error.square(),
                    weights[:, 1] @ column_errors[:, :-6].square().sum(1),
                    weights[:, 2] @ column_errors[:, -6:].square().sum(1),
                ]
            )
        return total

    def residuals(
        self, networks: dict[int, Network], block: Rows
    ) -> tuple[Float[Tensor, "structures"], Float[Tensor, "structures columns"]]:
        """Predicted minus given energy (eV/atom), and forces and stress."""
        energy, pull = energy_and_pull(networks, block)
        columns = torch.bmm(pull[:, None, :].to(block.jacobian.dtype), block.jacobian)[:, 0].to(pull.dtype)
        rest = block.energy - sum(value * (block.numbers == z).sum(1) for z, value in self.shift.items())
        return (energy - rest) / block.numbers.shape[1], columns - block.targets


def energy_and_pull(
    networks: dict[int, Network], block: Rows
) -> tuple[Float[Tensor, "structures"], Float[Tensor, "structures atoms_functions"]]:
    """Energies of the structures, and dE/dx of all their atoms, both differentiable.

    The gradient is written out, backwards through the tanh layers: cheaper than a second pass of automatic differentiation.
    """
    shape = block.values.shape
    flat, species = block.values.reshape(-1, shape[-1]), block.numbers.reshape(-1)
    if len(networks) == 1:
        (network,) = networks.values()
        energies, pulls = _network_and_slope(network, flat)
    else:
        energies, pulls = flat.new_zeros(len(flat)), torch.zeros_like(flat)
        for number, network in networks.items():
            rows = torch.nonzero(species == number)[:, 0]
            energy, pull = _network_and_slope(network, flat[rows])
            energies, pulls = energies.index_add(0, rows, energy), pulls.index_add(0, rows, pull)
    return energies.reshape(shape[:2]).sum(1), pulls.reshape(shape[0], -1)


def _network_and_slope(network: Network, inputs: Tensor) -> tuple[Tensor, Tensor]:
    hidden, slopes = inputs, []
    for weight, bias in network.layers[:-1]:
        hidden = torch.tanh(torch.addmm(bias, hidden, weight.T))
        slopes.append(1.0 - hidden * hidden)
    weight, bias = network.layers[-1]
    energy = torch.addmm(bias, hidden, weight.T)[:, 0]
    pull = weight.expand(len(inputs), -1)
    for (weight, _), slope in zip(reversed(network.layers[:-1]), reversed(slopes), strict=True):
        pull = (pull * slope) @ weight
    if network.skip is None:
        return energy, pull
    return energy + inputs @ network.skip, pull + network.skip
