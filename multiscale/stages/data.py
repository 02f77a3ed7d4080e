"""Stage 3: strained states at 0 K, relaxed by the potential: those the law is made from and those it is tested on."""

import numpy as np

import multiscale
from atomistic import NeuralPotential
from multiscale.laws.strain import elastic_constants_of_tangent
from multiscale.sampling.relaxed_states import crystal_from_record
from multiscale.stages.engine import Finding, Job, Stage
from multiscale.stages.inputs import read_crystal
from multiscale.stages.potential import POTENTIAL_FILE
from multiscale.stages.reference import cubic_constants, described, volume_per_atom

STATES = "states.h5"
HELD_OUT_STATES = "held_out.h5"


def sample_states(job: Job) -> Finding:
    """W, P and A at every state of two designs, drawn from two seeds."""
    configuration = job.configuration
    potential = NeuralPotential.load(job.upstream("potential", POTENTIAL_FILE))
    crystal = read_crystal(configuration)
    wanted, held_out = configuration.data.states, configuration.data.held_out_states
    share = wanted / (wanted + held_out)
    states = multiscale.sample(
        crystal,
        potential,
        max_strain=configuration.max_strain,
        states=wanted,
        seed=configuration.seed,
        progress=lambda fraction, message: job.progress(share * fraction, message),
    )
    states.write(job.folder / STATES)
    multiscale.sample(
        crystal,
        potential,
        max_strain=configuration.max_strain,
        states=held_out,
        seed=configuration.seed + 1,
        design="sobol",
        progress=lambda fraction, message: job.progress(share + (1.0 - share) * fraction, f"held out: {message}"),
    ).write(job.folder / HELD_OUT_STATES)
    constants = elastic_constants_of_tangent(states.labels("reference_tangent"), states.reference_stress)
    metrics = cubic_constants("nnp", constants) | {
        "states": len(states),
        "states_unstable": int(np.sum(~states.admissible)),
        "nnp_residual_stress_gpa": float(np.abs(states.reference_stress).max()),
        "nnp_volume_angstrom3_atom": volume_per_atom(crystal_from_record(states.crystal)),
    }
    return Finding(
        f"{len(states)} relaxed states of W, P and A, {held_out} held out; {described(metrics, 'nnp')}", metrics
    )


DATA = Stage(
    name="data",
    reads=("seed", "max_strain", "crystal", "data"),
    needs=("potential",),
    outputs=(STATES, HELD_OUT_STATES),
    work=sample_states,
)
