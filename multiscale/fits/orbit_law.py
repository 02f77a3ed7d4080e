"""Fitting an orbit law to strain-stress data.

A start draws random neurons, picks the most useful by orthogonal matching pursuit (Pati, Rezaiifar and Krishnaprasad, Asilomar 1993),
and is improved by Levenberg-Marquardt, on some of the states where they are many; the best few are polished on all states, and the
deepest minimum is the law. A start may lead into a minimum whose error is a hundred times higher, which a few states held out do not
always tell; its cost on all states does. States left out judge the result, to first order and without a second fit
(multiscale.trust.uncertainty), and what is known of its errors is said (multiscale.fits.judgement).
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Final, Literal, get_args

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from multiscale.data.dataset import StressStrainData
from multiscale.fits.judgement import judged, rest_is_unknown, warn_of_stress_at_rest
from multiscale.fits.levenberg_marquardt import Minimum, levenberg_marquardt
from multiscale.fits.matching_pursuit import matching_pursuit
from multiscale.fits.observations import Observations
from multiscale.fits.orbit_least_squares import OrbitFit, quadratic_columns
from multiscale.fits.penalty import penalised_minimum
from multiscale.laws.orbit_network import OrbitLaw
from multiscale.laws.reference_state import FitError, ReferenceState, ReferenceStress
from multiscale.laws.strain import determinant, strain_norm_components, stress_tensor
from multiscale.symmetry.point_group import PointGroup
from multiscale.trust.domain import Domain
from multiscale.trust.uncertainty import Uncertainty

Progress = Callable[[float, str], None]

Mode = Literal["free", "penalised"]

SHORT, LONG = 100, 300
"""Iterations of a start, and of a polish."""

POLISHED: Final = 3
"""Starts that are polished."""

STRESSED: Final = 2
"""Starts of a law with a stress at F = I, which is only looked at."""

PRIOR: Final = 1.0
"""Standard deviation of the dimensionless neuron parameters (OrbitFit)."""

START_STATES: Final = 128
"""States that a start sees, or so many that they give twice as many numbers as there are unknowns."""

HELD_OUT: Final = 0.2
"""Share of the states that choose among the starts of other laws."""

GROWTH_MARGIN: Final = 0.9
"""The growth term starts at this fraction of the smallest det F of the data."""

GROWTH_STIFFNESS: Final = 10.0
"""Its modulus in units of the mean diagonal elastic constant."""


class TooFewStates(FitError):
    """Fewer numbers than unknowns."""


def fit_orbit_law(
    data: StressStrainData,
    symmetry: PointGroup,
    *,
    neurons: int = 12,
    seed: int = 0,
    starts: int = 8,
    progress: Progress | None = None,
    reference_stress: ReferenceStress = "zero",
    mode: Mode = "free",
) -> OrbitLaw:
    """The orbit law of a material from its strain-stress data, of which W, P and A are each optional.

    The elastic constants are those of `data.reference_tangent`, exactly; they are fitted where it is missing. States
    flagged inadmissible are left out. The same data, arguments and machine give the same law.

    Args:
        data: at least as many numbers as unknowns (eight a neuron, and what is fitted at F = I).
        symmetry: the group that the law is to have.
        neurons: of the hidden layer, before the group's images are written out.
        seed: of the candidates, and of the states that the starts see.
        starts: the best of so many is kept.
        progress: called with the fraction done and a message.
        reference_stress: at F = I: "zero", "fit", or its value in GPa.
        mode: "free", or "penalised": negative acoustic eigenvalues cost (multiscale.fits.penalty).

    Raises:
        FitError: one of TooFewStates, ContradictorySymmetry, ContradictoryReferenceStress, or itself.
    """
    report = progress or (lambda fraction, message: None)
    check_sizes(neurons, starts)
    if mode not in get_args(Mode):
        raise FitError(f"mode is {mode!r}, expected one of {', '.join(get_args(Mode))}")
    data = usable(data)
    rng = np.random.default_rng(seed)
    everything = least_squares_problem(data, symmetry, neurons, ReferenceState.of(data, symmetry, reference_stress))
    check_enough_states(everything, len(data))
    few = everything.on(states_of_starts(everything, len(data), rng))
    found: list[Minimum] = []
    for start in range(starts):
        found.append(levenberg_marquardt(few.residual, few.linearisation, matching_pursuit(few, rng), iterations=SHORT))
        report((start + 1) / (starts + POLISHED), f"start {start + 1} of {starts}: cost {found[-1].cost:.4g}")
    found.sort(key=lambda minimum: minimum.cost)
    # where the starts saw a part of the states, all of them settle the order first
    many = len(few.observations.strain) < len(data)
    polished = []
    for k, minimum in enumerate(found[:POLISHED]):
        polished.append(polish(everything, minimum, SHORT if many else LONG))
        report((starts + k + 1) / (starts + POLISHED + 1), f"polish {k + 1}: cost {polished[-1].cost:.4g}")
    best = min(polished, key=lambda minimum: minimum.cost)
    if many:
        best = polish(everything, best, LONG)
    parameters, penalty = best.parameters, np.zeros((0, everything.unknowns))
    if mode == "penalised":
        domain = Domain(everything.observations.strain, symmetry)
        parameters, penalty = penalised_minimum(
            everything, parameters, domain, seed=seed, progress=penalty_report(report)
        )
    if rest_is_unknown(data, reference_stress):
        warn_of_stress_at_rest(stressed(everything, data, rng), data)
    summary = f"{mode}, {neurons} neurons, seed {seed}, {starts} starts; chi square {everything.chi_square(parameters):.3g} a number"
    law, summary = judged(finished(everything, parameters, data, penalty), data, summary)
    report(1.0, summary)
    return law


def finished(
    problem: OrbitFit, parameters: Float[ndarray, "p"], data: StressStrainData, penalty: Float[ndarray, "q p"]
) -> OrbitLaw:
    """The law of a minimum with its error bar."""
    law = law_of(problem, parameters, data)
    stress = law.evaluate(data.deformation_gradient, tangent=False).first_piola
    return replace(law, uncertainty=Uncertainty.of(problem, parameters, data, stress, penalty))


def stressed(problem: OrbitFit, data: StressStrainData, rng: np.random.Generator) -> OrbitLaw:
    """A law of the same data with a stress at F = I that is fitted; from starts of its own: a law without one hides it."""
    reference = ReferenceState.of(data, problem.group, "fit")
    free = least_squares_problem(data, problem.group, problem.neurons, reference)
    found = [
        levenberg_marquardt(free.residual, free.linearisation, matching_pursuit(free, rng), iterations=SHORT)
        for _ in range(STRESSED)
    ]
    best = min(found, key=lambda minimum: minimum.cost)
    return finished(free, best.parameters, data, np.zeros((0, free.unknowns)))


def polish(problem: OrbitFit, minimum: Minimum, iterations: int) -> Minimum:
    """Go on from there."""
    return levenberg_marquardt(problem.residual, problem.linearisation, minimum.parameters, iterations=iterations)


def check_sizes(neurons: int, starts: int) -> None:
    """Refuse a network without neurons and a fit without starts."""
    if neurons < 1 or starts < 1:
        raise FitError(f"neurons is {neurons} and starts is {starts}, expected at least 1 of each")


def usable(data: StressStrainData) -> StressStrainData:
    """The admissible states of data that a fit can use."""
    if data.energy is None and data.first_piola is None and data.tangent is None:
        raise FitError("the data have neither energy nor stress nor tangent, expected at least one of them")
    if not data.admissible.any():
        raise TooFewStates(f"none of the {len(data)} states is admissible; sample at smaller strains")
    return data.select(data.admissible)


def strain_size(observations: Observations) -> float:
    """The half-width of a box in which strains like these are spread evenly."""
    size = float(np.sqrt(3.0 * np.mean(strain_norm_components(observations.strain) ** 2)))
    if size == 0.0:
        raise FitError("no state is strained: F is a rotation in all of them; expected strained states")
    return size


def growth_threshold(data: StressStrainData) -> float:
    """J0, below every det F of the data and of F = I."""
    return GROWTH_MARGIN * min(1.0, float(determinant(data.deformation_gradient).min()))


def penalty_report(report: Progress) -> Callable[[int, int, float], None]:
    """What the rounds of the penalty tell the caller's progress."""

    def told(turn: int, lost: int, smallest: float) -> None:
        report(
            0.95, f"penalty round {turn}: {lost} states not elliptic, smallest acoustic eigenvalue {smallest:.3g} GPa"
        )

    return told


def least_squares_problem(
    data: StressStrainData, group: PointGroup, neurons: int, reference: ReferenceState
) -> OrbitFit:
    """The problem on all states, with its scales: strain from the states, stiffness from what is known or from Hooke's law."""
    observations = Observations.of(data)
    s = strain_size(observations)
    stiffness = reference.stiffness
    if len(reference.stiffness_basis):
        stiffness = hooke_stiffness(observations, reference.stiffness_basis, reference.stress_basis, group.name)
    K = stiffness_size(stiffness)
    return OrbitFit(observations, group, neurons, reference, strain_scale=s, stiffness_scale=K, prior=PRIOR)


def hooke_stiffness(
    observations: Observations, basis: Float[ndarray, "m 6 6"], stress_basis: Float[ndarray, "k 6"], name: str
) -> Float[ndarray, "6 6"]:
    """Hooke's law of the data by least squares: elastic constants in the basis of a symmetry of this name."""
    columns = quadratic_columns(observations.strain, basis, stress_basis)
    rows = (observations.rows @ columns[:, observations.columns]).reshape(observations.count, -1)
    coefficients, m = np.linalg.lstsq(rows, observations.targets.ravel())[0], len(basis)
    if np.linalg.matrix_rank(rows[:, :m]) < m:
        raise TooFewStates(
            f"{len(observations.strain)} states do not determine the {m} elastic constants of {name}; add strains in other directions"
        )
    return np.asarray(np.einsum("m,mij->ij", coefficients[:m], basis))


def stiffness_size(stiffness: Float[ndarray, "6 6"]) -> float:
    """K, the root mean square of the diagonal."""
    K = float(np.linalg.norm(np.diag(stiffness)) / np.sqrt(6.0))
    if not (np.isfinite(K) and K > 0.0):
        raise FitError(
            f"the elastic constants at F = I have diagonal {np.diag(stiffness).tolist()} GPa, expected a stiff material"
        )
    return K


def held_out_states(states: int, rng: np.random.Generator) -> Bool[ndarray, "states"]:
    """Which states choose among the starts: a fifth, at least one."""
    held_out = np.zeros(states, dtype=bool)
    held_out[rng.permutation(states)[: max(1, round(HELD_OUT * states))]] = True
    return held_out


def states_of_starts(problem: OrbitFit, states: int, rng: np.random.Generator) -> Bool[ndarray, "n"]:
    """Which states the starts are improved on."""
    enough = max(START_STATES, -(-2 * problem.unknowns // len(problem.observations.columns)))
    seen = np.zeros(states, dtype=bool)
    seen[rng.permutation(states)[:enough]] = True
    return seen


def check_enough_states(problem: OrbitFit, states: int) -> None:
    """Refuse a network with more unknowns than there are numbers to fit."""
    numbers = states * len(problem.observations.columns)
    if numbers < problem.unknowns:
        affordable = max((numbers - problem.unknowns) // 8 + problem.neurons, 0)
        raise TooFewStates(
            f"{states} admissible states give {numbers} numbers, fewer than the {problem.unknowns} unknowns of {problem.neurons} "
            f"neurons; add states, or use at most {affordable} neurons"
        )


def law_of(problem: OrbitFit, parameters: Float[ndarray, "p"], data: StressStrainData) -> OrbitLaw:
    """The law with these parameters, in GPa."""
    s, K, reference = problem.strain_scale, problem.stiffness_scale, problem.reference
    w, b, v, rest = problem.split(parameters)
    m = len(reference.stiffness_basis)
    stiffness = reference.stiffness + K * np.einsum("m,mij->ij", rest[:m], reference.stiffness_basis)
    stress = reference.stress + K * s * rest[m:] @ reference.stress_basis
    return OrbitLaw(
        symmetry=problem.group,
        weights=w / s,
        biases=b,
        amplitudes=v * K * s**2,
        constants=problem.group.project_stiffness(stiffness),
        reference_stress=stress_tensor(problem.group.project_stress(stress)),
        growth_modulus=GROWTH_STIFFNESS * K,
        growth_threshold=growth_threshold(data),
        domain=Domain(problem.observations.strain, problem.group),
        provenance={**data.provenance, "states": str(len(data)), "temperature": f"{data.temperature:g} K"},
    )
