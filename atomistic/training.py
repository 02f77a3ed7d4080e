"""Training a neural potential on energies, forces and stresses together.

Descriptors are computed once, with their derivatives (`atomistic.training_rows`), and enter the networks whitened by what they say of the
labels (`atomistic.whitening`). The networks start as the linear model of ridge regression, in their skip, beside small random layers.
The loss (`atomistic.training_loss`) is minimised by Adam on batches, then by L-BFGS on the whole; or by an extended Kalman filter.
After every epoch or cycle the state is written, so that a run that was interrupted resumes and ends with the same potential. The linear
map of the whitening is folded into the first layer at the end.
"""

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Final, Literal

import numpy as np
from ase import Atoms
from jaxtyping import Float
from numpy import ndarray

from atomistic.body_ordered import BodyOrdered
from atomistic.crystal import nearest_distance
from atomistic.descriptors import Descriptors, descriptors_to_header
from atomistic.kalman_filter import KalmanFilter
from atomistic.label_checks import InvalidTrainingData, check_labels, warn_of_suspect_structures
from atomistic.linear_fit import ridge_regression
from atomistic.network_file import read_network_file, write_network_file
from atomistic.optimisers import LBFGS, Adam, Optimiser, State, batches
from atomistic.potential import NeuralPotential
from atomistic.stress_check import warn_of_inconsistent_stresses
from atomistic.training_loss import Loss, Model
from atomistic.training_objective import Objective, spread_of_energies, stored
from atomistic.training_rows import Rows, descriptor_rows
from atomistic.units import EV_PER_CUBIC_ANGSTROM_IN_GPA
from atomistic.whitening import ErrorScales, whiten, whitening

Progress = Callable[[float, str], None]

CHECKPOINT_SCHEMA: Final = "atomlaw/training"
CHECKPOINT_VERSION: Final = 2


@dataclass(frozen=True)
class TrainingSettings:
    """How a potential is trained.

    Attributes:
        cutoff_over_nearest, angular_cutoff_over_nearest: cutoffs in units of the configurations' median nearest-neighbour distance.
        radial, angular, degree: size of the default descriptors (`BodyOrdered`).
        hidden: widths of the hidden layers.
        optimiser: "adam" (Adam, then L-BFGS) or "kalman" (extended Kalman filter, for up to about 5,000 parameters).
        epochs: of Adam or of the Kalman filter.
        batches: that an epoch of Adam is divided into.
        learning_rate: the largest of Adam.
        cycles, iterations: L-BFGS cycles after Adam, and iterations in each.
        force_components: of each structure in an update of the Kalman filter.
        energy_error, force_error, stress_error: scales of the loss, eV/atom, eV/A, GPa; their ratios matter.
        decay: weight of the squares of the parameters.
        precision: of the stored derivatives of descriptors; "single" halves memory and time and changes forces by some 1e-6 of them.
        whitening_floor: eigenvalues of the Gram matrix below this fraction of the largest are not amplified further.
        whitening_power: 1 whitens, less makes the networks smoother along what the data hardly show (`atomistic.whitening`).
        validation: fraction of the configurations kept for early stopping; 0 for none.
        patience: epochs or cycles without a better validation loss after which the training stops.
    """

    cutoff_over_nearest: float = 2.55
    angular_cutoff_over_nearest: float = 2.13
    radial: int = 12
    angular: int = 8
    degree: int = 4
    hidden: tuple[int, ...] = (30, 30)
    optimiser: Literal["adam", "kalman"] = "adam"
    epochs: int = 60
    batches: int = 60
    learning_rate: float = 3e-3
    cycles: int = 4
    iterations: int = 50
    force_components: int = 24
    energy_error: float = 5e-3
    force_error: float = 0.05
    stress_error: float = 0.1
    decay: float = 5e-3
    precision: Literal["double", "single"] = "double"
    whitening_floor: float = 1e-13
    whitening_power: float = 0.5
    validation: float = 0.0
    patience: int = 20

    def __post_init__(self) -> None:
        for name in ("batches", "iterations", "force_components", "patience"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} = {getattr(self, name)}, expected a positive number")
        for name in ("learning_rate", "energy_error", "force_error", "stress_error"):
            if not getattr(self, name) > 0.0:
                raise ValueError(f"{name} = {getattr(self, name)}, expected a positive number")
        if not 0.0 <= self.validation < 1.0:
            raise ValueError(f"validation = {self.validation}, expected a fraction of the data from 0 to below 1")

    @property
    def scales(self) -> ErrorScales:
        """The scales of the loss, stress in eV/A^3."""
        return ErrorScales(self.energy_error, self.force_error, self.stress_error / EV_PER_CUBIC_ANGSTROM_IN_GPA)


@dataclass(frozen=True)
class Training:
    """A trained potential and its learning curve.

    Attributes:
        potential: the neural potential, with the best parameters on the validation set where there is one, else with the last.
        history: one row an epoch or cycle: its number, loss, RMSE of energy (eV/atom), force (eV/A), stress (GPa) on the training set.
        validation: the same of the validation set: loss, RMSE of energy, force, stress; no columns where there is none.
        phases: the optimiser of each row.
        parameters: of the potential, as the loss takes them.
        objective: makes the loss and its data again; a training does not hold them, they fill the memory.
    """

    potential: NeuralPotential
    history: Float[ndarray, "epochs 5"]
    validation: Float[ndarray, "epochs columns"]
    phases: tuple[str, ...]
    parameters: Float[ndarray, "parameters"]
    objective: Callable[[], Objective]


@dataclass
class _Progress:
    """What a checkpoint holds: where the training is."""

    theta: ndarray
    best: ndarray
    best_loss: float = 1e300
    best_step: int = 0
    history: list[tuple[float, ...]] = field(default_factory=list)
    validation: list[tuple[float, ...]] = field(default_factory=list)
    state: State = field(default_factory=dict)


def train(
    configurations: Sequence[Atoms],
    settings: TrainingSettings | None = None,
    *,
    seed: int,
    descriptors: Descriptors | None = None,
    validation: Sequence[Atoms] | None = None,
    checkpoint: Path | None = None,
    progress: Progress | None = None,
    device: str = "cpu",
) -> Training:
    """Train a potential on labelled configurations (all that are given: leave the held-out ones away).

    Args:
        configurations: structures with energy, forces and stress; ``info["weight"]``, ``info["energy_weight"]``,
            ``info["forces_weight"]`` and ``info["stress_weight"]`` weight them in the loss.
        settings: how to train.
        seed: of the initial weights, the orders and the validation split.
        descriptors: in place of the default ones, which follow the nearest-neighbour distance.
        validation: structures for early stopping, in place of ``settings.validation``.
        checkpoint: file from which an interrupted training with the same data and settings goes on.
        progress: called with the fraction done and a message.
        device: of torch.

    Raises:
        InvalidTrainingData: for missing or non-finite labels.
        TrainingFailed: where the loss is not finite or the Kalman filter diverges.
        NetworkFileError: where `checkpoint` is another kind of file.
    """
    settings = settings or TrainingSettings()
    check_labels(configurations)
    warn_of_suspect_structures(configurations)
    given, kept = _split(list(configurations), settings.validation, validation, seed)
    descriptors = descriptors or default_descriptors(given, settings)
    objective = _objective(given, descriptors, settings, device)
    loss, white = objective.loss, objective.whitening
    held = None
    if kept:
        held_rows = [block.to(device) for block in descriptor_rows(descriptors, kept)]
        held_rows = [stored(block, settings.precision) for block in whiten(held_rows, white)]
        held = Loss(held_rows, loss.model, loss.shift, settings.scales, 0.0)
    fingerprint = json.dumps(
        {
            "seed": seed,
            "descriptors": descriptors_to_header(descriptors),
            "data": _digest(loss.rows + ([] if held is None else held.rows)),
            **asdict(settings),
        }
    )
    initial = objective.initial(seed)
    at = _resume(checkpoint, fingerprint) or _Progress(initial, initial)
    phases = _optimise(
        _optimisers(loss, settings, seed), loss, held, settings.patience, at, checkpoint, fingerprint, progress
    )
    best = at.theta if held is None else at.best
    provenance = {"training": fingerprint, "configurations": str(len(given))}
    potential = objective.potential(best, provenance)
    steps = len(at.history)
    validated = np.array(at.validation).reshape(steps, 0 if held is None else 4)
    again = partial(_objective, given, descriptors, settings, device)
    return Training(potential, np.array(at.history).reshape(steps, 5), validated, phases, best, again)


def _objective(given: list[Atoms], descriptors: Descriptors, settings: TrainingSettings, device: str) -> Objective:
    """Loss of the structures in whitened inputs, and the linear model that its networks start from."""
    rows = [block.to(device) for block in descriptor_rows(descriptors, given)]
    white = whitening(rows, settings.scales, floor=settings.whitening_floor, power=settings.whitening_power)
    rows = whiten(rows, white)
    numbers = tuple(sorted(white.mean))
    sizes = sorted({len(atoms) for atoms in given})
    groups = [[str(a.info.get("group", "")) for a in given if len(a) == n] for n in sizes]
    warn_of_inconsistent_stresses(rows, groups, numbers, settings.scales)
    linear = ridge_regression(rows, numbers, settings.scales)
    unit = 0.1 * spread_of_energies(rows, linear) or 1.0
    if settings.decay > 0.0:  # The decay holds the skip too: start where it leaves the linear model
        linear = ridge_regression(rows, numbers, settings.scales, settings.decay / unit**2)
    rows = [stored(block, settings.precision) for block in rows]
    model = Model(numbers, (rows[0].values.shape[-1], *settings.hidden, 1), unit)
    return Objective(descriptors, Loss(rows, model, linear.shift, settings.scales, settings.decay), white, linear)


def default_descriptors(configurations: Sequence[Atoms], settings: TrainingSettings) -> BodyOrdered:
    """Body-ordered descriptors for the elements of the configurations, cutoffs by their median nearest-neighbour distance."""
    numbers = tuple(sorted({int(z) for atoms in configurations for z in atoms.numbers}))
    nearest = float(np.median([nearest_distance(atoms) for atoms in configurations]))
    return BodyOrdered(
        numbers,
        cutoff=settings.cutoff_over_nearest * nearest,
        angular_cutoff=settings.angular_cutoff_over_nearest * nearest,
        radial=settings.radial,
        angular=settings.angular,
        degree=settings.degree,
    )


def _split(
    configurations: list[Atoms], fraction: float, validation: Sequence[Atoms] | None, seed: int
) -> tuple[list[Atoms], list[Atoms]]:
    """Training and validation structures, the former in random order, so that batches of neighbours in memory are random."""
    order = np.random.default_rng((seed, 1)).permutation(len(configurations))
    shuffled = [configurations[k] for k in order]
    if validation is not None:
        return shuffled, list(validation)
    count = round(fraction * len(shuffled))
    if count == len(shuffled):
        raise InvalidTrainingData(f"{count} of {count} configurations are for validation, none is left to train on")
    return shuffled[count:], shuffled[:count]


def _optimisers(loss: Loss, settings: TrainingSettings, seed: int) -> list[Optimiser]:
    if settings.optimiser == "kalman":
        return [KalmanFilter(loss, settings.epochs, settings.force_components, seed)]
    dealt = batches(loss.rows, settings.batches)
    return [
        Adam(loss, dealt, settings.epochs, settings.learning_rate, seed),
        LBFGS(loss, settings.cycles, settings.iterations),
    ]


def _optimise(
    optimisers: list[Optimiser],
    loss: Loss,
    held: Loss | None,
    patience: int,
    at: _Progress,
    checkpoint: Path | None,
    fingerprint: str,
    progress: Progress | None,
) -> tuple[str, ...]:
    """Advances `at` to the end; returns the phase of each step taken."""
    plan = [(optimiser, step) for optimiser in optimisers for step in range(optimiser.steps)]
    first, began = len(at.history), time.monotonic()
    for k in range(first, len(plan)):
        if held is not None and k - at.best_step >= patience:
            break
        optimiser, step = plan[k]
        at.theta, at.state = optimiser.advance(step, at.theta, at.state if step else {})
        errors = loss.errors(at.theta)
        at.history.append((k + 1.0, loss.at(at.theta), *errors))
        message = f"{optimiser.name} {step + 1}/{optimiser.steps}: {errors}"
        if held is not None:
            value, held_errors = held.at(at.theta), held.errors(at.theta)
            at.validation.append((value, *held_errors))
            message += f", validation {held_errors}"
            if value < at.best_loss:
                at.best, at.best_loss, at.best_step = at.theta, value, k + 1
        if checkpoint is not None:
            _write_checkpoint(checkpoint, fingerprint, at)
        if progress is not None:
            left = (time.monotonic() - began) / (k + 1 - first) * (len(plan) - k - 1)
            progress((k + 1) / len(plan), f"{message}, {left:.0f} s left")
    return tuple(optimiser.name for optimiser, _ in plan[: len(at.history)])


def _digest(rows: list[Rows]) -> str:
    """Tells one training set from another: a hash of its descriptors and labels."""
    digest = hashlib.sha256()
    for block in rows:
        for tensor in (block.values, block.energy, block.targets, block.weights):
            digest.update(tensor.cpu().numpy().tobytes())
    return digest.hexdigest()[:16]


def _write_checkpoint(path: Path, fingerprint: str, at: _Progress) -> None:
    arrays = {
        "theta": at.theta,
        "best": at.best,
        "best_of": np.array([at.best_loss, at.best_step]),
        "history": np.array(at.history),
        "validation": np.array(at.validation).reshape(len(at.validation), -1 if at.validation else 0),
    }
    state = {f"state/{name}": array for name, array in at.state.items()}
    write_network_file(path, CHECKPOINT_SCHEMA, CHECKPOINT_VERSION, {"training": fingerprint}, arrays | state)


def _resume(path: Path | None, fingerprint: str) -> _Progress | None:
    """Where a checkpoint of the same training left it."""
    if path is None or not path.is_file():
        return None
    header, arrays = read_network_file(path, CHECKPOINT_SCHEMA, CHECKPOINT_VERSION)
    if header.get("training") != fingerprint:
        return None
    return _Progress(
        theta=arrays["theta"],
        best=arrays["best"],
        best_loss=float(arrays["best_of"][0]),
        best_step=int(arrays["best_of"][1]),
        history=[tuple(row) for row in arrays["history"].tolist()],
        validation=[tuple(row) for row in arrays["validation"].tolist()],
        state={name.removeprefix("state/"): array for name, array in arrays.items() if name.startswith("state/")},
    )
