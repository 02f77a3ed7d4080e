"""Stage 5: the hyperelastic network, exactly symmetric under the crystal's group or the one asked for; its test on held-out states."""

import numpy as np

import multiscale
from multiscale.sampling.relaxed_states import crystal_from_record
from multiscale.stages.arrays import write_arrays
from multiscale.stages.data import HELD_OUT_STATES, STATES
from multiscale.stages.engine import Finding, Job, Stage
from multiscale.stages.reference import cubic_constants

LAW_FILE = "law.safetensors"
PARITY = "parity.h5"


def fit_law(job: Job) -> Finding:
    """Fit, then compare with the potential on the stable held-out states."""
    configuration = job.configuration
    data = multiscale.StressStrainData.read(job.upstream("data", STATES))
    asked = configuration.law.symmetry
    symmetry = (
        multiscale.symmetry_named(asked) if asked else multiscale.PointGroup.of(crystal_from_record(data.crystal))
    )
    law = multiscale.fit(
        data,
        symmetry,
        mode=configuration.law.mode,
        neurons=configuration.law.neurons,
        starts=configuration.law.starts,
        seed=configuration.seed,
        progress=job.progress,
    )
    law.save(job.folder / LAW_FILE)
    held_out = multiscale.StressStrainData.read(job.upstream("data", HELD_OUT_STATES))
    held_out = held_out.select(held_out.admissible)
    answer = law.evaluate(held_out.deformation_gradient)
    tangent = np.asarray(answer.tangent)
    write_arrays(
        job.folder / PARITY,
        {
            "energy": answer.energy,
            "energy_potential": held_out.labels("energy"),
            "stress": answer.first_piola,
            "stress_potential": held_out.labels("first_piola"),
            "tangent": tangent,
            "tangent_potential": held_out.labels("tangent"),
        },
    )
    metrics = cubic_constants("law", law.elastic_constants()) | {
        "law_stress_nmse": multiscale.normalised_mse(answer.first_piola, held_out.labels("first_piola")),
        "law_tangent_nmse": multiscale.normalised_mse(tangent, held_out.labels("tangent")),
        "law_energy_nmse": multiscale.normalised_mse(answer.energy, held_out.labels("energy")),
        "law_stress_rmse_gpa": float(np.sqrt(np.mean((answer.first_piola - held_out.first_piola) ** 2))),
        "law_parameters": int(law.weights.size + law.biases.size + law.amplitudes.size),
        "held_out_states": len(held_out),
    }
    return Finding(
        f"{configuration.law.mode} law of {len(law.biases)} neurons under {symmetry.name}, on {len(held_out)} held-out states: "
        f"NMSE of stress {metrics['law_stress_nmse']:.1e}, tangent {metrics['law_tangent_nmse']:.1e}",
        metrics,
    )


LAW = Stage(name="law", reads=("seed", "law"), needs=("data",), outputs=(LAW_FILE, PARITY), work=fit_law)
