"""Stage 4: stress at temperature from dynamics at prescribed stretches, and the same path at 0 K by potential and reference."""

import json

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator
from jaxtyping import Float
from numpy import ndarray

import atomistic
import multiscale
from atomistic import EV_PER_CUBIC_ANGSTROM_IN_GPA, NeuralPotential
from multiscale.cauchy_born import CauchyBornLaw
from multiscale.sampling import crystal_from_record
from multiscale.stages.arrays import write_arrays
from multiscale.stages.data import STATES
from multiscale.stages.engine import Finding, Job, Stage
from multiscale.stages.inputs import reference_model
from multiscale.stages.potential import POTENTIAL_FILE
from multiscale.stages.reference import CRYSTAL
from multiscale.stages.workers import workers

THERMAL_STATES = "states.h5"
PATH = "path.h5"
PATH_POINTS = 25


def sample_path(job: Job) -> Finding:
    """Dynamics at each stretch, in parallel; relaxed states along the path at 0 K."""
    configuration, thermal = job.configuration, job.configuration.thermal
    potential = NeuralPotential.load(job.upstream("potential", POTENTIAL_FILE))
    crystal = crystal_from_record(multiscale.StressStrainData.read(job.upstream("data", STATES)).crystal)
    with workers(min(job.threads, len(thermal.strains))) as executor:
        data = multiscale.sample_thermal(
            crystal,
            potential,
            stretches(np.array(thermal.strains)),
            temperature=thermal.temperature_k,
            steps=thermal.steps,
            timestep_fs=thermal.timestep_fs,
            minimum_atoms=thermal.minimum_atoms,
            seed=configuration.seed,
            executor=executor,
            progress=job.progress,
        )
    data.write(job.folder / THERMAL_STATES)
    strains = np.linspace(-configuration.max_strain, configuration.max_strain, PATH_POINTS)
    relaxed = CauchyBornLaw(crystal, potential).cauchy_born.evaluate(stretches(strains), tangent=False)
    of_potential = np.where(relaxed.stable[:, None, None], EV_PER_CUBIC_ANGSTROM_IN_GPA * relaxed.first_piola, np.nan)
    reference_crystal = crystal_from_record(json.loads(job.upstream("reference", CRYSTAL).read_text()))
    of_reference = relaxed_path(reference_crystal, reference_model(configuration), strains)
    write_arrays(job.folder / PATH, {"strain": strains, "potential": of_potential, "reference": of_reference})
    largest = float(np.max(data.labels("first_piola_error")))
    return Finding(
        f"NVT at {thermal.temperature_k:g} K at {len(data)} stretches, standard error of P up to {largest:.3f} GPa",
        {"thermal_stress_error_gpa": largest, "thermal_states": len(data)},
    )


def stretches(strain: Float[ndarray, "n"]) -> Float[ndarray, "n 3 3"]:
    """F = diag(exp(strain), 1, 1): uniaxial strain along x."""
    F = np.tile(np.eye(3), (len(strain), 1, 1))
    F[:, 0, 0] = np.exp(strain)
    return F


def relaxed_path(crystal: Atoms, calculator: Calculator, strain: Float[ndarray, "n"]) -> Float[ndarray, "n 3 3"]:
    """P (GPa) of any ASE calculator along the path at 0 K; NaN where the strained cell does not relax."""
    stress = np.full((len(strain), 3, 3), np.nan)
    for k, F in enumerate(stretches(strain)):
        atoms = atomistic.deform(crystal, F)
        try:
            atoms = atomistic.relax_positions(atoms, calculator, force_tolerance=1e-6)
        except atomistic.RelaxationFailed:
            continue
        stress[k] = EV_PER_CUBIC_ANGSTROM_IN_GPA * atomistic.first_piola(atoms.get_stress(voigt=False), F)
    return stress


THERMAL = Stage(
    name="thermal",
    reads=("seed", "max_strain", "reference", "thermal"),
    needs=("reference", "potential", "data"),
    outputs=(THERMAL_STATES, PATH),
    work=sample_path,
)
