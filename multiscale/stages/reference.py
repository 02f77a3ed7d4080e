"""Stage 1: what the reference model says of the crystal, computed now or recorded before, and the configurations it has labelled."""

import json

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator
from ase.io import write
from jaxtyping import Float
from numpy import ndarray

import atomistic
from atomistic import EV_PER_CUBIC_ANGSTROM_IN_GPA
from multiscale.data.recorded import RecordedReference
from multiscale.sampling.relaxed_states import crystal_record
from multiscale.stages.arrays import write_arrays
from multiscale.stages.engine import Finding, Job, Stage
from multiscale.stages.inputs import read_crystal, recorded_reference, reference_model

CONFIGURATIONS = "configurations.extxyz"
CRYSTAL = "crystal.json"
REFERENCE_PATH = "path.h5"
PATH_POINTS = 25


def find_reference(job: Job) -> Finding:
    """Relaxed crystal, its elastic constants and its stress along a stretch; labelled configurations to train and to test on."""
    reference = job.configuration.reference
    if reference.dataset is None:
        configurations, record = computed(job)
    else:
        configurations, record = recorded_reference(job.configuration)
    path = record.uniaxial_strain
    write(job.folder / CONFIGURATIONS, configurations, format="extxyz")
    (job.folder / CRYSTAL).write_text(json.dumps(record.crystal.model_dump()))
    write_arrays(job.folder / REFERENCE_PATH, {"strain": path.strain, "stress": path.stress})
    metrics = cubic_constants("reference", np.array(record.elastic_constants_gpa)) | {
        "reference_c44_clamped": record.clamped_elastic_constants_gpa[3][3],
        "configurations": len(configurations),
        "configurations_held_out": sum(atoms.info["split"] == "test" for atoms in configurations),
        "reference_volume_angstrom3_atom": volume_per_atom(record.crystal.atoms),
    }
    return Finding(
        f"{len(configurations)} configurations labelled by {reference.name}; {described(metrics, 'reference')}", metrics
    )


def computed(job: Job) -> tuple[list[Atoms], RecordedReference]:
    """Ask the reference model."""
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
    strain = np.linspace(-configuration.max_strain, configuration.max_strain, PATH_POINTS)
    record = record_reference(configuration.reference.name, crystal, calculator, strain)
    return configurations, record


def record_reference(
    model: str, crystal: Atoms, calculator: Calculator, strain: Float[ndarray, "n"]
) -> RecordedReference:
    """What `calculator` says of its relaxed crystal: elastic constants by differences, and the stress along x at 0 K.

    A strain at which the cell does not relax is left out.
    """
    relaxed, clamped = (
        (EV_PER_CUBIC_ANGSTROM_IN_GPA * atomistic.elastic_constants(crystal, calculator, relaxed=relaxed)).tolist()
        for relaxed in (True, False)
    )
    path = {}
    for value, F in zip(strain.tolist(), stretches(strain), strict=True):
        atoms = atomistic.deform(crystal, F)
        try:
            atoms = atomistic.relax_positions(atoms, calculator, force_tolerance=1e-6)
        except atomistic.RelaxationFailed:
            continue
        stress = atomistic.first_piola(atoms.get_stress(voigt=False), F)
        path[value] = (EV_PER_CUBIC_ANGSTROM_IN_GPA * stress).tolist()
    return RecordedReference.model_validate_json(
        json.dumps(
            {
                "model": model,
                "crystal": crystal_record(crystal),
                "elastic_constants_gpa": relaxed,
                "clamped_elastic_constants_gpa": clamped,
                "uniaxial_strain": {"log_strain": list(path), "first_piola_gpa": list(path.values())},
            }
        )
    )


def stretches(strain: Float[ndarray, "n"]) -> Float[ndarray, "n 3 3"]:
    """F = diag(exp(strain), 1, 1): uniaxial strain along x."""
    F = np.tile(np.eye(3), (len(strain), 1, 1))
    F[:, 0, 0] = np.exp(strain)
    return F


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
    outputs=(CONFIGURATIONS, CRYSTAL, REFERENCE_PATH),
    work=find_reference,
)
