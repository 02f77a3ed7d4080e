"""Stage 1: the reference model relaxes the crystal and labels configurations."""

import json

import numpy as np
from ase import Atoms
from ase.io import write

import atomistic
from atomistic import EV_PER_CUBIC_ANGSTROM_IN_GPA
from multiscale.sampling import crystal_record
from multiscale.stages.engine import Finding, Job, Stage
from multiscale.stages.inputs import read_crystal, reference_model

CONFIGURATIONS = "configurations.extxyz"
CRYSTAL = "crystal.json"


def label_configurations(job: Job) -> Finding:
    """Relaxed crystal, its elastic constants, and labelled configurations to train and to test on."""
    configuration = job.configuration
    calculator = reference_model(configuration)
    crystal = atomistic.relax_crystal(read_crystal(configuration), calculator).atoms
    configurations = atomistic.label_configurations(
        crystal,
        calculator,
        max_strain=configuration.max_strain,
        seed=configuration.seed,
        groups=atomistic.default_groups(configuration.reference.configurations_scale),
        progress=job.progress,
    )
    relaxed, clamped = (
        EV_PER_CUBIC_ANGSTROM_IN_GPA * atomistic.elastic_constants(crystal, calculator, relaxed=relaxed)
        for relaxed in (True, False)
    )
    write(job.folder / CONFIGURATIONS, configurations, format="extxyz")
    (job.folder / CRYSTAL).write_text(json.dumps(crystal_record(crystal)))
    metrics = cubic_constants("reference", relaxed) | {
        "reference_c44_clamped": float(clamped[3, 3]),
        "configurations": len(configurations),
        "configurations_held_out": sum(atoms.info["split"] == "test" for atoms in configurations),
        "reference_volume_angstrom3_atom": volume_per_atom(crystal),
    }
    return Finding(
        f"{len(configurations)} configurations labelled by {configuration.reference.name}; {described(metrics, 'reference')}",
        metrics,
    )


def cubic_constants(owner: str, constants: np.ndarray) -> dict[str, float]:
    """The entries C11, C12, C44 of a 6 x 6 matrix (GPa), which are all there is in a cubic crystal along its axes."""
    return {f"{owner}_c{i}{j}": float(constants[i - 1, j - 1]) for i, j in ((1, 1), (1, 2), (4, 4))}


def described(metrics: dict[str, float], owner: str) -> str:
    """Elastic constants in a line."""
    return "C11 C12 C44 = {:.1f} {:.1f} {:.1f} GPa".format(
        *(metrics[f"{owner}_{name}"] for name in ("c11", "c12", "c44"))
    )


def volume_per_atom(crystal: Atoms) -> float:
    """Cubic Angstrom an atom."""
    return float(crystal.get_volume()) / len(crystal)


REFERENCE = Stage(
    name="reference",
    reads=("seed", "max_strain", "crystal", "reference"),
    needs=(),
    outputs=(CONFIGURATIONS, CRYSTAL),
    work=label_configurations,
)
