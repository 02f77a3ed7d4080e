"""Stage 4: stress at temperature from dynamics at prescribed stretches, and the same path at 0 K by the potential."""

import numpy as np

import multiscale
from atomistic import EV_PER_CUBIC_ANGSTROM_IN_GPA, NeuralPotential
from multiscale.laws.cauchy_born import CauchyBornLaw
from multiscale.sampling.relaxed_states import crystal_from_record
from multiscale.stages.arrays import write_arrays
from multiscale.stages.data import STATES
from multiscale.stages.engine import Finding, Job, Stage
from multiscale.stages.potential import POTENTIAL_FILE
from multiscale.stages.reference import PATH_POINTS, stretches
from multiscale.stages.workers import workers

THERMAL_STATES = "states.h5"
PATH = "path.h5"


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
    write_arrays(job.folder / PATH, {"strain": strains, "stress": of_potential})
    largest = float(np.max(data.labels("first_piola_error")))
    return Finding(
        f"NVT at {thermal.temperature_k:g} K at {len(data)} stretches, standard error of P up to {largest:.3f} GPa",
        {"thermal_stress_error_gpa": largest, "thermal_states": len(data)},
    )


THERMAL = Stage(
    name="thermal",
    reads=("seed", "max_strain", "thermal"),
    needs=("potential", "data"),
    outputs=(THERMAL_STATES, PATH),
    work=sample_path,
)
