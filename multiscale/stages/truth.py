"""Stage 7: the same problem on a coarse mesh with the law, and with the potential itself asked at every quadrature point."""

import time
from collections.abc import Callable
from statistics import median

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray

import multiscale
from atomistic import NeuralPotential
from fem.law import Law
from multiscale.laws.cauchy_born import CauchyBornLaw
from multiscale.laws.files import load_fitted_law
from multiscale.sampling.relaxed_states import crystal_from_record
from multiscale.stages.arrays import write_arrays
from multiscale.stages.data import STATES
from multiscale.stages.engine import Finding, Job, Stage
from multiscale.stages.law import LAW_FILE
from multiscale.stages.potential import POTENTIAL_FILE
from multiscale.stages.structure import solve

COMPARISON = "comparison.h5"
ROUNDS = 3
RESIDUAL_TOLERANCE = 1e-7
"""Relative: the atoms' stress is only as exact as their relaxation and the round-off in their descriptors."""
POINTS_FOR_THE_LAW = 20_000
"""The law is timed on so many points at once, as in a structure; fewer would time the call."""


def compare_with_atoms(job: Job) -> Finding:
    """Both solutions, how far they are apart, and what one constitutive evaluation costs each."""
    configuration, truth = job.configuration, job.configuration.truth
    law = load_fitted_law(job.upstream("law", LAW_FILE))
    crystal = crystal_from_record(multiscale.StressStrainData.read(job.upstream("data", STATES)).crystal)
    atoms = CauchyBornLaw(crystal, NeuralPotential.load(job.upstream("potential", POTENTIAL_FILE)))
    torch.set_num_threads(job.threads)
    problem = (configuration, truth.mesh)
    steps = (truth.degree, truth.load_steps)
    of_law = solve(*problem, law, *steps, lambda fraction, message: None, tolerance=RESIDUAL_TOLERANCE)
    of_atoms = solve(*problem, atoms, *steps, job.progress, tolerance=RESIDUAL_TOLERANCE)
    torch.set_num_threads(1)
    displacement, true_displacement = (solution.displacement.x.array.reshape(-1, 3) for solution in (of_law, of_atoms))
    points, true_points = of_law.at_quadrature(), of_atoms.at_quadrature()
    stress, true_stress = points.cauchy_stress, true_points.cauchy_stress
    write_arrays(
        job.folder / COMPARISON,
        {
            "displacement": displacement,
            "displacement_atoms": true_displacement,
            "stress": stress,
            "stress_atoms": true_stress,
        },
    )
    F = true_points.deformation_gradient
    chosen = np.linspace(0, len(F) - 1, min(truth.timed_points, len(F))).astype(int)
    law_seconds, atoms_seconds = seconds_per_point(law, atoms, F[chosen])
    metrics = {
        "truth_displacement_error": float(
            np.linalg.norm(displacement - true_displacement, axis=1).max()
            / np.linalg.norm(true_displacement, axis=1).max()
        ),
        "truth_stress_nmse": multiscale.normalised_mse(stress, true_stress),
        "truth_dofs": int(true_displacement.size),
        "truth_points": len(F),
        "truth_newton_iterations": of_atoms.iterations,
        "truth_newton_iterations_law": of_law.iterations,
        "truth_speedup": atoms_seconds / law_seconds,
        "truth_us_per_point_law": 1e6 * law_seconds,
        "truth_us_per_point_atoms": 1e6 * atoms_seconds,
    }
    return Finding(
        f"{len(F)} points asked of the atoms: displacement off by {100.0 * metrics['truth_displacement_error']:.3f} %, stress NMSE "
        f"{metrics['truth_stress_nmse']:.1e}, law {metrics['truth_speedup']:.0f} times faster a point",
        metrics,
    )


def seconds_per_point(law: Law, atoms: Law, deformation_gradient: Float[ndarray, "n 3 3"]) -> tuple[float, float]:
    """Seconds a point for W, P and A of both laws, in turns, one thread, the atoms relaxed from a cold start; medians."""
    repeats = -(-POINTS_FOR_THE_LAW // len(deformation_gradient))
    many = np.tile(deformation_gradient, (repeats, 1, 1))
    law.evaluate(many[:8])  # compiles
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        rounds = [
            (
                _seconds(law.evaluate, many) / len(many),
                _seconds(atoms.evaluate, deformation_gradient) / len(deformation_gradient),
            )
            for _ in range(ROUNDS)
        ]
    finally:
        torch.set_num_threads(threads)
    return median(first for first, _ in rounds), median(second for _, second in rounds)


def _seconds(evaluate: Callable[[ndarray], object], deformation_gradient: Float[ndarray, "n 3 3"]) -> float:
    start = time.perf_counter()
    evaluate(deformation_gradient)
    return time.perf_counter() - start


TRUTH = Stage(
    name="truth",
    reads=("structure", "truth"),
    needs=("potential", "data", "law"),
    outputs=(COMPARISON,),
    work=compare_with_atoms,
)
