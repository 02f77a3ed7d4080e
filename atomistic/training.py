"""Training a neural potential on energies, forces and stresses together.

The loss is the sum of three mean squares, each in units of the error aimed at and weighted by structure,

    L = <(dE/N)^2>/s_E^2 + <df^2>/s_F^2 + <dsigma^2>/s_S^2 + decay |theta|^2,

minimised by L-BFGS over the whole set (scipy) in cycles; between cycles the weights are written, so that a run that was interrupted
resumes and ends with the same potential. Descriptors enter the network whitened, x = (G - mean) T, by the spectrum of what they say
of energies, forces and stresses; the linear map is folded into the first layer at the end.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from ase import Atoms
from jaxtyping import Float
from numpy import ndarray
from scipy.optimize import minimize
from torch import Tensor

from atomistic.crystal import nearest_distance
from atomistic.network import Layers, Network
from atomistic.network_file import read_network_file, write_network_file
from atomistic.potential import NeuralPotential
from atomistic.symmetry_functions import SymmetryFunctions
from atomistic.training_rows import InvalidTrainingData, Rows, descriptor_rows
from atomistic.units import EV_PER_CUBIC_ANGSTROM_IN_GPA
from atomistic.whitening import whitened, whitening

Progress = Callable[[float, str], None]

CHECKPOINT_SCHEMA: Final = "atomlaw/training"


class TrainingFailed(RuntimeError):
    """The loss is not finite."""


@dataclass(frozen=True)
class TrainingSettings:
    """How a potential is trained.

    Attributes:
        cutoff_over_nearest: cutoff in units of the configurations' median nearest-neighbour distance.
        radial, angular: numbers of radial functions and of angular radial parts for each element (pair).
        hidden: widths of the hidden layers.
        cycles, iterations: L-BFGS cycles, and iterations in each.
        energy_error, force_error, stress_error: scales of the loss, eV/atom, eV/A, GPa.
        decay: weight of the squares of the weights.
        whitening_floor: eigenvalues of the Gram matrix below this fraction of the largest are not amplified further.
    """

    cutoff_over_nearest: float = 1.85
    radial: int = 12
    angular: int = 7
    hidden: tuple[int, ...] = (20, 20)
    cycles: int = 8
    iterations: int = 250
    energy_error: float = 0.5e-3
    force_error: float = 20e-3
    stress_error: float = 0.05
    decay: float = 1e-6
    whitening_floor: float = 1e-10


@dataclass(frozen=True)
class Training:
    """A trained potential and its learning curve.

    Attributes:
        potential: the neural potential.
        history: one row a cycle: iterations so far, loss, RMSE of energy (eV/atom), force (eV/A), stress (GPa) on the training set.
    """

    potential: NeuralPotential
    history: Float[ndarray, "cycles 5"]


def train(
    configurations: list[Atoms],
    settings: TrainingSettings | None = None,
    *,
    seed: int,
    checkpoint: Path | None = None,
    progress: Progress | None = None,
    device: str = "cpu",
) -> Training:
    """Train a potential on labelled configurations (all that are given: leave the held-out ones away).

    Raises:
        InvalidTrainingData: for missing or non-finite labels.
        TrainingFailed: where the loss is not finite.
        NetworkFileError: where `checkpoint` is another kind of file.
    """
    settings = settings or TrainingSettings()
    numbers = tuple(sorted({int(z) for atoms in configurations for z in atoms.numbers}))
    if not numbers:
        raise InvalidTrainingData("no training configurations; expected at least one")
    nearest = float(np.median([nearest_distance(atoms) for atoms in configurations]))
    descriptors = SymmetryFunctions.spread(
        numbers,
        nearest=nearest,
        cutoff=settings.cutoff_over_nearest * nearest,
        radial=settings.radial,
        angular=settings.angular,
    )
    rows = [block.to(device) for block in descriptor_rows(descriptors, configurations)]
    shift = _energy_shift(rows, numbers)
    mean, transform = whitening(
        rows,
        energy_error=settings.energy_error,
        force_error=settings.force_error,
        stress_error=settings.stress_error / EV_PER_CUBIC_ANGSTROM_IN_GPA,
        floor=settings.whitening_floor,
    )
    model = _Model(numbers, (descriptors.count(numbers[0]), *settings.hidden, 1))
    objective = _Objective([whitened(block, mean, transform) for block in rows], model, shift, settings)
    theta = model.initial(seed)
    fingerprint = json.dumps({"seed": seed, "data": _digest(rows), **asdict(settings)})
    done, history, theta = _resume(checkpoint, fingerprint, theta)
    for cycle in range(done, settings.cycles):
        result = minimize(
            objective, theta, jac=True, method="L-BFGS-B",
            options={"maxiter": settings.iterations, "maxfun": 2 * settings.iterations, "maxcor": 40, "ftol": 0.0, "gtol": 0.0},
        )  # fmt: skip
        theta = result.x
        errors = objective.errors(theta)
        history.append(((cycle + 1.0) * settings.iterations, float(result.fun), *errors))
        if checkpoint is not None:
            _write_checkpoint(checkpoint, fingerprint, history, theta)
        if progress is not None:
            energy, force, stress = errors
            progress(
                (cycle + 1) / settings.cycles, f"{1e3 * energy:.2f} meV/atom {1e3 * force:.1f} meV/A {stress:.3f} GPa"
            )
    networks = {
        number: Network(_folded(layers, mean[number], transform, shift[number]))
        for number, layers in model.layers(torch.from_numpy(theta).to(device)).items()
    }
    potential = NeuralPotential(
        descriptors, networks, {"training": fingerprint, "configurations": str(len(configurations))}
    )
    return Training(potential, np.array(history))


class _Model:
    """Layers of all elements as slices of one flat vector of parameters."""

    def __init__(self, numbers: tuple[int, ...], widths: tuple[int, ...]) -> None:
        self.numbers = numbers
        self.widths = widths

    def layers(self, theta: Tensor) -> dict[int, Layers]:
        """The layers of each element, views of `theta`."""
        networks: dict[int, Layers] = {}
        start = 0
        for number in self.numbers:
            layers = []
            for inputs, outputs in zip(self.widths[:-1], self.widths[1:], strict=True):
                weight = theta[start : start + inputs * outputs].reshape(outputs, inputs)
                bias = theta[start + inputs * outputs : start + inputs * outputs + outputs]
                start += (inputs + 1) * outputs
                layers.append((weight, bias))
            networks[number] = tuple(layers)
        return networks

    def initial(self, seed: int) -> ndarray:
        """Weights normal with variance 1/inputs, biases normal: reproducible from the seed."""
        generator = np.random.default_rng(seed)
        parts = []
        for _ in self.numbers:
            for inputs, outputs in zip(self.widths[:-1], self.widths[1:], strict=True):
                parts += [generator.normal(0.0, inputs**-0.5, inputs * outputs), generator.normal(0.0, 0.1, outputs)]
        return np.concatenate(parts)


class _Objective:
    """The loss and its gradient as a function of the flat parameters."""

    def __init__(self, rows: list[Rows], model: _Model, shift: dict[int, float], settings: TrainingSettings) -> None:
        self.rows, self.model, self.settings = rows, model, settings
        self.device = rows[0].values.device
        self.rest = [
            block.energy - sum(value * (block.numbers == number).sum(1) for number, value in shift.items())
            for block in rows
        ]
        self.structures = sum(len(block.energy) for block in rows)
        self.force_components = sum(block.targets[:, :-6].numel() for block in rows)

    def __call__(self, flat: ndarray) -> tuple[float, ndarray]:
        theta = torch.from_numpy(flat).to(self.device, copy=True).requires_grad_()
        energy, force, stress = self._mean_squares(theta, weighted=True)
        settings = self.settings
        loss = energy / settings.energy_error**2 + force / settings.force_error**2 + stress / settings.stress_error**2
        loss = loss + settings.decay * theta.square().sum()
        (gradient,) = torch.autograd.grad(loss, theta)
        if not torch.isfinite(loss):
            raise TrainingFailed(f"the loss became {float(loss)}; check the labels, or lower the network's size")
        return loss.item(), gradient.cpu().numpy()

    def errors(self, flat: ndarray) -> tuple[float, float, float]:
        """Root mean square errors, all structures alike: eV/atom, eV/A, GPa."""
        energy, force, stress = self._mean_squares(torch.from_numpy(flat).to(self.device), weighted=False)
        return energy.item() ** 0.5, force.item() ** 0.5, stress.item() ** 0.5

    def _mean_squares(self, theta: Tensor, *, weighted: bool) -> tuple[Tensor, Tensor, Tensor]:
        networks = self.model.layers(theta)
        energy = force = stress = theta.new_zeros(())
        for block, rest in zip(self.rows, self.rest, strict=True):
            atoms = block.numbers.shape[1]
            weight = block.weight if weighted else torch.ones_like(block.weight)
            total, pull = _energy_and_pull(networks, block)
            columns = torch.bmm(pull[:, None, :], block.jacobian)[:, 0] - block.targets
            energy = energy + (weight * ((total - rest) / atoms).square()).sum()
            force = force + (weight[:, None] * columns[:, :-6].square()).sum()
            stress = stress + (weight[:, None] * columns[:, -6:].square()).sum()
        scale = EV_PER_CUBIC_ANGSTROM_IN_GPA**2
        return energy / self.structures, force / self.force_components, stress * scale / (6 * self.structures)


def _energy_and_pull(networks: dict[int, Layers], block: Rows) -> tuple[Tensor, Tensor]:
    """Energies of the structures, and dE/dx of all their atoms, (structures, atoms*functions), both differentiable.

    The gradient is written out, backwards through the tanh layers: cheaper than a second pass of automatic differentiation.
    """
    shape = block.values.shape
    flat, species = block.values.reshape(-1, shape[-1]), block.numbers.reshape(-1)
    energies = flat.new_zeros(len(flat))
    pulls = torch.zeros_like(flat)
    for number, layers in networks.items():
        rows = torch.nonzero(species == number)[:, 0]
        hidden, slopes = flat[rows], []
        for weight, bias in layers[:-1]:
            hidden = torch.tanh(torch.addmm(bias, hidden, weight.T))
            slopes.append(1.0 - hidden * hidden)
        weight, bias = layers[-1]
        energy = (hidden @ weight.T + bias)[:, 0]
        pull = weight.expand(len(energy), -1)
        for (weight, _), slope in zip(reversed(layers[:-1]), reversed(slopes), strict=True):
            pull = (pull * slope) @ weight
        energies = energies.index_add(0, rows, energy)
        pulls = pulls.index_add(0, rows, pull)
    return energies.reshape(shape[:2]).sum(1), pulls.reshape(shape[0], -1)


def _energy_shift(rows: list[Rows], numbers: tuple[int, ...]) -> dict[int, float]:
    """Energy of a free-standing atom of each element by least squares: what the networks need not learn."""
    counts = torch.cat([torch.stack([(block.numbers == z).sum(1) for z in numbers], 1) for block in rows]).double()
    energies = torch.cat([block.energy for block in rows])
    size = counts.sum(1, keepdim=True)
    solution = np.linalg.lstsq((counts / size).cpu().numpy(), (energies / size[:, 0]).cpu().numpy(), rcond=None)[0]
    return {z: float(value) for z, value in zip(numbers, solution, strict=True)}


def _folded(layers: Layers, mean: Tensor, transform: Tensor, shift: float) -> Layers:
    """The same network of plain descriptors: W x = W T^T (G - mean); the element's energy goes into the last bias."""
    (weight, bias), *inner, (last_weight, last_bias) = layers
    plain = weight @ transform.T
    return (
        (plain.clone(), bias - plain @ mean),
        *((w.clone(), b.clone()) for w, b in inner),
        (last_weight.clone(), last_bias + shift),
    )


def _digest(rows: list[Rows]) -> str:
    """Tells one training set from another: a hash of its descriptors and labels."""
    digest = hashlib.sha256()
    for block in rows:
        for tensor in (block.values, block.energy, block.targets, block.weight):
            digest.update(tensor.cpu().numpy().tobytes())
    return digest.hexdigest()[:16]


def _write_checkpoint(path: Path, fingerprint: str, history: list[tuple[float, ...]], theta: ndarray) -> None:
    arrays = {"theta": theta, "history": np.array(history)}
    write_network_file(path, CHECKPOINT_SCHEMA, 1, {"training": fingerprint}, arrays)


def _resume(path: Path | None, fingerprint: str, theta: ndarray) -> tuple[int, list[tuple[float, ...]], ndarray]:
    """Cycles done, history and parameters of a checkpoint of the same training; a start where there is none."""
    if path is None or not path.is_file():
        return 0, [], theta
    header, arrays = read_network_file(path, CHECKPOINT_SCHEMA, 1, ("theta", "history"))
    if header.get("training") != fingerprint:
        return 0, [], theta
    return len(arrays["history"]), [tuple(row) for row in arrays["history"].tolist()], arrays["theta"]
