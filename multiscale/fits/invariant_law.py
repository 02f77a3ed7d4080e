"""Fitting invariant and polyconvex laws to strain-stress data, by Levenberg-Marquardt from several starts.

The invariant law has the elastic constants of `data.reference_tangent` exactly (fitted where it is missing); a polyconvex law
cannot be given any: its constants are what the fit finds.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Final, Literal

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from multiscale.data.dataset import StressStrainData
from multiscale.fits.argument_forms import InvariantForm, PolyconvexForm
from multiscale.fits.argument_least_squares import ArgumentFit
from multiscale.fits.convex_start import convex_start
from multiscale.fits.judgement import judged, rest_is_unknown, warn_of_stress_at_rest
from multiscale.fits.levenberg_marquardt import levenberg_marquardt
from multiscale.fits.observations import Observations
from multiscale.fits.orbit_law import (
    GROWTH_STIFFNESS,
    START_STATES,
    STRESSED,
    Progress,
    TooFewStates,
    check_sizes,
    growth_threshold,
    held_out_states,
    hooke_stiffness,
    penalty_report,
    stiffness_size,
    strain_size,
    usable,
)
from multiscale.fits.penalty import penalised_minimum
from multiscale.fits.starts import best_of_starts
from multiscale.laws.invariant_network import InvariantLaw
from multiscale.laws.polyconvex_network import PolyconvexLaw
from multiscale.laws.reference_state import ReferenceState, ReferenceStress
from multiscale.laws.strain import stress_tensor
from multiscale.symmetry.material_symmetry import MaterialSymmetry
from multiscale.trust.argument_uncertainty import ArgumentUncertainty
from multiscale.trust.domain import Domain

SHORT, LONG = 60, 300
"""Iterations of a start, and of the polish."""

PRIOR: Final = 1.0
"""Standard deviation of the dimensionless parameters."""

START: Final = 0.5
"""That of a start."""


def fit_invariant_law(
    data: StressStrainData,
    symmetry: MaterialSymmetry,
    *,
    neurons: int = 6,
    seed: int = 0,
    starts: int = 4,
    progress: Progress | None = None,
    reference_stress: ReferenceStress = "zero",
    mode: Literal["free", "penalised"] = "free",
) -> InvariantLaw:
    """The network of invariants of a material; arguments as of multiscale.fit.

    Raises:
        FitError: TooFewStates, ContradictorySymmetry, ContradictoryReferenceStress, or itself.
    """
    check_sizes(neurons, starts)
    data = usable(data)
    reference = ReferenceState.of(data, symmetry, reference_stress)
    observations, s, K = scales(data, symmetry)
    form = InvariantForm(data.deformation_gradient, symmetry, reference, s, K)
    problem = ArgumentFit(observations, form, neurons, strain_scale=s, stiffness_scale=K, prior=PRIOR)
    parameters, summary = minimised(problem, len(data), seed, starts, progress, random_start)
    if rest_is_unknown(data, reference_stress):
        warn_of_stress_at_rest(stressed(problem, form, data, seed), data)
    penalty = np.zeros((0, problem.unknowns))
    if mode == "penalised":
        told = penalty_report(progress or (lambda fraction, message: None))
        domain = Domain(observations.strain, symmetry)
        parameters, penalty = penalised_minimum(problem, parameters, domain, seed=seed, progress=told)
        summary = f"penalised, {summary}, {problem.chi_square(parameters):.3g} with the penalty"
    law, summary = judged(
        with_error_bar(law_of(problem, form, parameters, data), problem, parameters, data, penalty), data, summary
    )
    if progress is not None:
        progress(1.0, summary)
    return law


def law_of(
    problem: ArgumentFit, form: InvariantForm, parameters: Float[ndarray, "p"], data: StressStrainData
) -> InvariantLaw:
    """The law with these parameters, in GPa."""
    rows, linear, extras = problem.split(parameters)
    reference, symmetry, s, K = form.reference, form.symmetry, problem.strain_scale, problem.stiffness_scale
    r, m = form.raw, len(reference.stiffness_basis)
    stiffness = reference.stiffness + K * np.einsum("m,mij->ij", extras[:m], reference.stiffness_basis)
    stress = reference.stress + K * s * extras[m:] @ reference.stress_basis
    return InvariantLaw(
        symmetry=symmetry,
        weights=rows[:, :r] / form.sizes,
        biases=rows[:, r],
        amplitudes=rows[:, r + 1] * K * s**2,
        skip=linear / form.sizes * K * s**2,
        constants=symmetry.project_stiffness(stiffness),
        reference_stress=stress_tensor(symmetry.project_stress(stress)),
        growth_modulus=GROWTH_STIFFNESS * K,
        growth_threshold=growth_threshold(data),
        domain=Domain(problem.observations.strain, symmetry),
        provenance={**data.provenance, "states": str(len(data)), "temperature": f"{data.temperature:g} K"},
    )


def with_error_bar[L: (InvariantLaw, PolyconvexLaw)](
    law: L,
    problem: ArgumentFit,
    parameters: Float[ndarray, "p"],
    data: StressStrainData,
    penalty: Float[ndarray, "q p"],
) -> L:
    """The law of a minimum with its posterior."""
    stress = law.evaluate(data.deformation_gradient, tangent=False).first_piola
    return replace(law, uncertainty=ArgumentUncertainty.of(problem, parameters, data, stress, penalty))


def stressed(problem: ArgumentFit, form: InvariantForm, data: StressStrainData, seed: int) -> InvariantLaw:
    """A law of the same data with a stress at F = I that is fitted; from starts of its own: a law without one hides it."""
    s, K, reference = problem.strain_scale, problem.stiffness_scale, ReferenceState.of(data, form.symmetry, "fit")
    freed = InvariantForm(data.deformation_gradient, form.symmetry, reference, s, K, form.sizes)
    free = ArgumentFit(problem.observations, freed, problem.neurons, strain_scale=s, stiffness_scale=K, prior=PRIOR)
    rng = np.random.default_rng(seed)
    found = [
        levenberg_marquardt(free.residual, free.linearisation, random_start(free, rng), iterations=LONG)
        for _ in range(STRESSED)
    ]
    parameters = min(found, key=lambda minimum: minimum.cost).parameters
    return with_error_bar(law_of(free, freed, parameters, data), free, parameters, data, np.zeros((0, free.unknowns)))


def fit_polyconvex_law(
    data: StressStrainData,
    symmetry: MaterialSymmetry,
    *,
    neurons: int = 6,
    seed: int = 0,
    starts: int = 4,
    progress: Progress | None = None,
) -> PolyconvexLaw:
    """The polyconvex law of a material; arguments as of multiscale.fit. Its stress at F = I is zero.

    Raises:
        FitError: TooFewStates, ContradictorySymmetry, ContradictoryReferenceStress, or itself.
    """
    check_sizes(neurons, starts)
    data = usable(data)
    ReferenceState.of(data, symmetry, "zero")
    observations, s, K = scales(data, symmetry)
    form = PolyconvexForm(data.deformation_gradient, symmetry, s)
    problem = ArgumentFit(observations, form, neurons, strain_scale=s, stiffness_scale=K, prior=PRIOR)
    parameters, summary = minimised(
        problem, len(data), seed, starts, progress, lambda part, rng: convex_start(part, form, rng)
    )
    rows, linear, extras = problem.split(parameters)
    made = [form.weights(row[: form.raw])[0] / form.sizes for row in rows]
    law = PolyconvexLaw(
        symmetry=symmetry,
        weights=np.stack(made),
        biases=rows[:, form.raw],
        amplitudes=rows[:, form.raw + 1] ** 2 * K * s**2,
        skip=form.weights(linear)[0] / form.sizes * K * s**2,
        bulk=float(extras[0] ** 2) * K,
        growth_modulus=GROWTH_STIFFNESS * K,
        growth_threshold=growth_threshold(data),
        domain=Domain(observations.strain, symmetry),
        provenance={**data.provenance, "states": str(len(data)), "temperature": f"{data.temperature:g} K"},
    )
    law = with_error_bar(law, problem, parameters, data, np.zeros((0, problem.unknowns)))
    remedy = "use more neurons, check the data and the symmetry, or give up polyconvexity"
    law, summary = judged(law, data, summary, remedy=remedy)
    if progress is not None:
        progress(1.0, summary)
    return law


def minimised(
    problem: ArgumentFit,
    states: int,
    seed: int,
    starts: int,
    progress: Progress | None,
    initial: Callable[[ArgumentFit, np.random.Generator], Float[ndarray, "p"]],
) -> tuple[Float[ndarray, "p"], str]:
    """The parameters of the best start by held-out states, polished on all of them, and what to say of it."""
    report: Callable[[float, str], None] = progress or (lambda fraction, message: None)
    rng = np.random.default_rng(seed)
    held_out = held_out_states(states, rng)
    count = int((~held_out).sum()) * len(problem.observations.columns)
    if count < problem.unknowns:
        raise TooFewStates(
            f"{states} admissible states give {count} numbers for training, fewer than the {problem.unknowns} unknowns of "
            f"{problem.neurons} neurons; add states, or use fewer neurons"
        )
    # where there are many states, a start sees a part of them, and all of them settle the order
    enough = max(START_STATES, -(-2 * problem.unknowns // len(problem.observations.columns)))
    seen = ~held_out
    many = int(seen.sum()) > enough
    if many:
        seen[rng.permutation(np.flatnonzero(seen))[enough:]] = False
    training = problem.on(seen)
    minimum = best_of_starts(
        problem,
        training,
        problem.on(held_out),
        lambda: initial(training, rng),
        starts=starts,
        short=SHORT,
        settle=SHORT if many else LONG,
        long=LONG,
        report=report,
    )
    polished = minimum.parameters
    summary = f"{problem.neurons} neurons, seed {seed}, {starts} starts; chi square {problem.chi_square(polished):.3g} a number"
    return polished, summary


def random_start(problem: ArgumentFit, rng: np.random.Generator) -> Float[ndarray, "p"]:
    """Parameters drawn at random."""
    return rng.normal(scale=START, size=problem.unknowns)


def scales(data: StressStrainData, symmetry: MaterialSymmetry) -> tuple[Observations, float, float]:
    """The observations, the size of the strains, and that of the stiffness by a fit of Hooke's law."""
    observations = Observations.of(data)
    s = strain_size(observations)
    stiffness = hooke_stiffness(observations, symmetry.invariant_stiffnesses(), np.zeros((0, 6)), symmetry.name)
    return observations, s, stiffness_size(stiffness)
