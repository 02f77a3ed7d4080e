"""Stage 2: a neural network potential is trained on the labelled configurations and tested on those held out."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
import torch
from ase import Atoms
from ase.io import read

import atomistic
from atomistic import EV_PER_CUBIC_ANGSTROM_IN_GPA, NeuralPotential, PotentialEnsemble, TrainingSettings
from atomistic.gaussian_fit import CENTRES
from multiscale.configuration import Configuration, Potential
from multiscale.stages.arrays import write_arrays
from multiscale.stages.engine import Finding, Job, Stage
from multiscale.stages.reference import CONFIGURATIONS

Progress = Callable[[float, str], None]

POTENTIAL_FILE = "potential.safetensors"
HELD_OUT = "held_out.h5"
HISTORY = "history.h5"


def train_potential(job: Job) -> Finding:
    """Train, with a checkpoint after each epoch and cycle, and predict the held-out configurations."""
    configurations = read(job.upstream("reference", CONFIGURATIONS), index=":")
    split = {name: [atoms for atoms in configurations if atoms.info["split"] == name] for name in ("train", "test")}
    torch.set_num_threads(job.threads)
    potential, history = trained(split["train"], job.configuration, checkpoints=job.folder, progress=job.progress)
    torch.set_num_threads(1)
    potential.save(job.folder / POTENTIAL_FILE)
    held_out = predictions(potential, split["test"])
    write_arrays(job.folder / HELD_OUT, held_out)
    write_arrays(job.folder / HISTORY, {"history": history})
    metrics = {
        "nnp_energy_rmse_mev_atom": rmse(held_out["energy"], held_out["energy_reference"]),
        "nnp_force_rmse_ev_a": rmse(held_out["force"], held_out["force_reference"]),
        "nnp_stress_rmse_gpa": rmse(held_out["stress"], held_out["stress_reference"]),
        "nnp_parameters": sum(
            tensor.numel() for network in potential.networks.values() for tensor in network.parameters
        ),
    }
    return Finding(
        f"trained on {len(split['train'])}, held out {len(split['test'])}: {metrics['nnp_energy_rmse_mev_atom']:.2f} meV/atom, "
        f"{1e3 * metrics['nnp_force_rmse_ev_a']:.1f} meV/A, {metrics['nnp_stress_rmse_gpa']:.3f} GPa (RMSE)",
        metrics,
    )


def trained(
    structures: list[Atoms],
    configuration: Configuration,
    *,
    checkpoints: Path | None = None,
    progress: Progress | None = None,
) -> tuple[NeuralPotential, np.ndarray]:
    """The potential that a configuration asks for, and its learning curve (of several members the first one's; Gaussians have none).

    The mean of several members is one potential (`atomistic.PotentialEnsemble.mean`). Each has a checkpoint of its own in the folder
    `checkpoints`.
    """
    section = configuration.potential
    if section.model == "gaussians":
        centres = section.centres or CENTRES
        fit = atomistic.fit_gaussians(structures, settings(section), centres=centres, progress=progress)
        return fit.potential, np.empty((0, 5))
    members = section.members
    trainings = [
        atomistic.train(
            structures,
            settings(section),
            seed=configuration.seed + SEEDS_APART * k,
            checkpoint=None if checkpoints is None else checkpoints / f"checkpoint_{k}.safetensors",
            progress=None if progress is None else partly(progress, k, members),
        )
        for k in range(members)
    ]
    potentials = tuple(training.potential for training in trainings)
    potential = potentials[0] if members == 1 else PotentialEnsemble(potentials).mean()
    return potential, trainings[0].history


def partly(progress: Progress, member: int, members: int) -> Progress:
    """Progress of one member as a part of the whole."""
    return lambda fraction, message: progress(
        (member + fraction) / members, message if members == 1 else f"member {member + 1}/{members}, {message}"
    )


SEEDS_APART: Final = 1000
"""Between the members, so that runs from neighbouring seeds share none."""

NAMES: Final = {
    "radial_functions": "radial",
    "angular_functions": "angular",
    "iterations_per_cycle": "iterations",
    "energy_error_ev_atom": "energy_error",
    "force_error_ev_angstrom": "force_error",
    "stress_error_gpa": "stress_error",
}
"""Names of the configuration that differ from those of the atomistic room."""


def settings(potential: Potential) -> TrainingSettings:
    """The configuration in the terms of the atomistic room."""
    given = potential.model_dump(exclude_none=True, exclude={"model", "centres", "members"})
    return TrainingSettings(**{NAMES.get(name, name): value for name, value in given.items()})


def predictions(potential: NeuralPotential, structures: list[Atoms]) -> dict[str, np.ndarray]:
    """Predicted and reference energies (meV an atom), force components (eV/A) and stress components (GPa), flat."""
    predicted = atomistic.predict_all(potential, structures)
    sizes = np.array([len(atoms) for atoms in structures])
    return {
        "energy": 1e3 * np.array([one.energy for one in predicted]) / sizes,
        "energy_reference": 1e3 * np.array([atoms.get_potential_energy() for atoms in structures]) / sizes,
        "force": np.concatenate([one.forces.ravel() for one in predicted]),
        "force_reference": np.concatenate([atoms.get_forces().ravel() for atoms in structures]),
        "stress": EV_PER_CUBIC_ANGSTROM_IN_GPA * np.array([one.stress for one in predicted]).ravel(),
        "stress_reference": EV_PER_CUBIC_ANGSTROM_IN_GPA
        * np.array([atoms.get_stress(voigt=False) for atoms in structures]).ravel(),
    }


def rmse(prediction: np.ndarray, reference: np.ndarray) -> float:
    """Root mean square error."""
    return float(np.sqrt(np.mean((prediction - reference) ** 2)))


POTENTIAL = Stage(
    name="potential",
    reads=("seed", "potential"),
    needs=("reference",),
    outputs=(POTENTIAL_FILE, HELD_OUT, HISTORY),
    work=train_potential,
)
