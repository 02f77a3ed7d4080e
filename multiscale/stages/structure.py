"""Stage 6: the body made of the law, clamped and loaded in steps by FEniCSx."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

import fem
from fem.law import Law
from multiscale.configuration import Configuration
from multiscale.laws.files import load_fitted_law
from multiscale.laws.strain import log_strain, strain_tensor
from multiscale.stages.arrays import write_arrays
from multiscale.stages.engine import Finding, Job, Progress, Stage
from multiscale.stages.law import LAW_FILE

SOLUTION = "solution.vtkhdf"
STRESS_PICTURE = "stress.png"
TRUST_PICTURE = "trust.png"
NEWTON = "newton.json"
POINTS = "points.h5"


def solve_structure(job: Job) -> Finding:
    """Solve, write the solution and draw it."""
    configuration, structure = job.configuration, job.configuration.structure
    law = load_fitted_law(job.upstream("law", LAW_FILE))
    try:
        solution = solve(configuration, structure.mesh, law, structure.degree, structure.load_steps, job.progress)
    except fem.LoadNotConverged as error:
        left = job.run_folder / "last_converged.vtkhdf"
        error.solution.write(left)
        error.add_note(f"it is written to {left}; change [structure] traction_gpa or load_steps")
        raise
    solution.write(job.folder / SOLUTION)
    solution.plot(job.folder / STRESS_PICTURE, field="stress", unit="GPa")
    solution.plot(job.folder / TRUST_PICTURE, field="trust")
    points = solution.at_quadrature()
    trust = points.response.trust
    strain = strain_tensor(log_strain(points.deformation_gradient))
    largest = np.abs(np.linalg.eigvalsh(strain)).max(1)
    write_arrays(job.folder / POINTS, {"trust": trust, "largest_strain": largest, "volume": points.weight})
    steps = [asdict(step) for step in solution.steps]
    (job.folder / NEWTON).write_text(json.dumps({"steps": steps, "seconds": dict(solution.seconds)}))
    space = solution.displacement.function_space
    dofs = space.dofmap.index_map.size_global * space.dofmap.index_map_bs
    metrics = {
        "fe_dofs": int(dofs),
        "fe_newton_iterations": solution.iterations,
        "fe_load_steps": len(solution.steps),
        "fe_energy": solution.energy,
        "fe_largest_displacement": float(np.linalg.norm(solution.displacement.x.array.reshape(-1, 3), axis=1).max()),
        "fe_largest_log_strain": float(largest.max()),
        "fe_largest_von_mises_gpa": float(points.von_mises.max()),
        "fe_trusted_volume_fraction": float(points.weight[trust >= 1.0].sum() / points.weight.sum()),
        "fe_lowest_trust": float(trust.min()),
    }
    return Finding(
        f"{dofs} degrees of freedom, {len(solution.steps)} load steps, {solution.iterations} Newton iterations; strain up to "
        f"{100.0 * metrics['fe_largest_log_strain']:.1f} %, "
        f"{100.0 * metrics['fe_trusted_volume_fraction']:.1f} % of the volume inside the data",
        metrics,
    )


def solve(
    configuration: Configuration,
    mesh: Path,
    law: Law,
    degree: int,
    load_steps: int,
    progress: Progress,
    *,
    tolerance: float = 1e-10,
) -> Any:
    """The body of the configuration on a mesh, with any law; returns fem.Solution."""
    body = fem.Solid(fem.read_mesh(mesh), law, degree=degree)
    for surface in configuration.structure.clamp:
        body.clamp(surface)
    for surface, traction in configuration.structure.traction_gpa.items():
        body.traction(surface, traction)
    return body.solve(load_steps=load_steps, progress=progress, tolerance=tolerance)


STRUCTURE = Stage(
    name="structure",
    reads=("structure",),
    needs=("law",),
    outputs=(SOLUTION, STRESS_PICTURE, TRUST_PICTURE, NEWTON, POINTS),
    work=solve_structure,
)
