"""Fitting a free energy psi(F, T) to strain-stress data at several temperatures.

A start draws random neurons that do not change with temperature, picks the most useful by matching pursuit
(multiscale.fits.orbit_law), and is improved by Levenberg-Marquardt on all unknowns (multiscale.thermal.least_squares); the best starts
are polished, and the deepest minimum is the law. Standard errors of the labels weigh the fit, and go on to the law's parameters.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from multiscale.data.broken_symmetry import warn_of_broken_symmetry
from multiscale.data.closed_cycles import warn_of_open_cycles
from multiscale.data.dataset import StressStrainData
from multiscale.fits.judgement import normalised_mse, warn_if_poor
from multiscale.fits.levenberg_marquardt import levenberg_marquardt
from multiscale.fits.orbit_law import (
    GROWTH_STIFFNESS,
    LONG,
    POLISHED,
    SHORT,
    TooFewStates,
    check_sizes,
    growth_threshold,
    least_squares_problem,
    usable,
)
from multiscale.laws.reference_state import FitError, ReferenceState, ReferenceStress
from multiscale.laws.strain import green_lagrange
from multiscale.symmetry.point_group import PointGroup
from multiscale.thermal.law import ThermalLaw
from multiscale.thermal.least_squares import ThermalFit, has_mechanical_labels
from multiscale.trust.domain import Domain

Progress = Callable[[float, str], None]

SAME_CRYSTAL: Final = 1e-6
"""Cells (Angstrom) closer than this are the same reference."""


class TooFewTemperatures(FitError):
    """Fewer temperatures than coefficients of the polynomial in T."""


class DifferentReferences(FitError):
    """Data sets whose deformation gradients are counted from different crystals."""


def fit_thermal(
    data: Sequence[StressStrainData],
    symmetry: PointGroup,
    *,
    degree: int | None = None,
    neurons: int = 8,
    reference_temperature: float | None = None,
    reference_stress: ReferenceStress = "zero",
    seed: int = 0,
    starts: int = 4,
    progress: Progress | None = None,
) -> ThermalLaw:
    """The free energy of a material from strain-stress data at several temperatures, one set each.

    All F are counted from one crystal. Labels are P at every temperature; W and A where they are free energies and their derivatives, as
    at 0 K; internal energies, optionally (without them entropy is known only up to a function of T). Standard errors weigh the
    fit, and multiscale.standard_error carries them to whatever follows from the law. The same data, arguments and machine give the
    same law.

    Args:
        data: sets of at least degree + 1 temperatures.
        symmetry: the group that the law is to have.
        degree: of the polynomial in T; by default 2, or 1 where there are only two temperatures.
        neurons: of the hidden layer, before the group's images are written out.
        reference_temperature: of the set whose crystal F = I is free of stress (or under `reference_stress`); by default the lowest.
            To count strains from the stress-free crystal of another temperature: multiscale.referred_to.
        reference_stress: at F = I and that temperature: "zero", "fit", or its value in GPa.
        seed: of the candidate neurons. starts: the best of so many is kept.
        progress: called with the fraction done and a message.

    Raises:
        FitError: one of TooFewTemperatures, TooFewStates, DifferentReferences, ContradictorySymmetry,
            ContradictoryReferenceStress, or itself.

    Warns:
        NotAPotential, BrokenSymmetry, PoorFit: stress at one of the temperatures that no law of this kind can follow, with a number.
    """
    report = progress or (lambda fraction, message: None)
    check_sizes(neurons, starts)
    sets = sorted((usable_at_temperature(one) for one in data), key=lambda one: one.temperature)
    for one in sets:
        if one.first_piola is not None:
            warn_of_open_cycles(one)
    degree = checked_degree([one.temperature for one in sets], degree)
    check_one_reference(sets)
    at_reference = set_of_reference(sets, reference_temperature)
    reference = ReferenceState.of(at_reference, symmetry, reference_stress)
    scale = least_squares_problem(at_reference, symmetry, neurons, reference).stiffness_scale
    problem = ThermalFit(
        sets,
        symmetry,
        neurons,
        degree,
        reference,
        reference_temperature=at_reference.temperature,
        stiffness_scale=scale,
    )
    check_determined(problem, len(sets))
    rng = np.random.default_rng(seed)
    minima = []
    for start in range(starts):
        minima.append(
            levenberg_marquardt(problem.residual, problem.linearisation, problem.start(rng), iterations=SHORT)
        )
        report((start + 1) / (starts + POLISHED), f"start {start + 1} of {starts}: cost {minima[-1].cost:.4g}")
    minima.sort(key=lambda minimum: minimum.cost)
    polished = [
        levenberg_marquardt(problem.residual, problem.linearisation, minimum.parameters, iterations=LONG)
        for minimum in minima[:POLISHED]
    ]
    x = min(polished, key=lambda minimum: minimum.cost).parameters
    law = completed(problem, x, sets, f"degree {degree}, {neurons} neurons, seed {seed}, {starts} starts")
    report(1.0, law.provenance["fit"])
    return law


def completed(
    problem: ThermalFit, x: Float[ndarray, "p"], sets: Sequence[StressStrainData], settings: str
) -> ThermalLaw:
    """The law of a minimum with all that it knows of its data; a warning where it misses them."""
    law = problem.law(x)
    misses = []
    for one in sets:
        if one.first_piola is not None:
            state = {"temperature": np.full(len(one), one.temperature)}
            stress = law.evaluate(one.deformation_gradient, state, tangent=False).first_piola
            miss = normalised_mse(stress, one.first_piola)
            warn_if_poor(miss, one, remedy="use more neurons, or check the data, the symmetry and the degree", depth=4)
            warn_of_broken_symmetry(law.at(one.temperature), one, problem.group)
            misses.append(f"{miss:.2g} at {one.temperature:g} K")
    chi_square = float(np.sum(problem.residual(x)[: problem.count] ** 2)) / problem.count
    strain = np.concatenate([green_lagrange(one.deformation_gradient) for one in sets])
    return replace(
        law,
        growth_modulus=GROWTH_STIFFNESS * problem.stiffness_scale,
        growth_threshold=min(growth_threshold(one) for one in sets),
        domain=Domain(strain, problem.group),
        temperatures=np.unique([one.temperature for one in sets]),
        provenance={
            **{f"{one.temperature:g} K {name}": value for one in sets for name, value in one.provenance.items()},
            "states": ", ".join(f"{len(one)} at {one.temperature:g} K" for one in sets),
            "fit": f"{settings}; chi square {chi_square:.3g} a number, stress NMSE {', '.join(misses) or 'unknown'}",
        },
        uncertainty=problem.factor(x),
    )


def usable_at_temperature(data: StressStrainData) -> StressStrainData:
    """The admissible states of a set, which may hold internal energies alone."""
    if not has_mechanical_labels(data) and data.internal_energy is not None and data.admissible.any():
        return data.select(data.admissible)
    return usable(data)


def checked_degree(temperatures: Sequence[float], degree: int | None) -> int:
    """The degree asked for, once the temperatures determine it."""
    different = np.unique(temperatures)
    if len(different) < 2:
        raise TooFewTemperatures(
            f"the data are of the temperatures {different.tolist()} K, expected at least two; one alone is what multiscale.fit is for"
        )
    if degree is None:
        return min(2, len(different) - 1)
    if degree < 1:
        raise FitError(f"degree is {degree}, expected at least 1")
    if len(different) <= degree:
        raise TooFewTemperatures(
            f"the data are of {len(different)} temperatures ({', '.join(f'{T:g}' for T in different)} K), which do not determine a "
            f"polynomial of degree {degree}; add temperatures, or ask for degree {len(different) - 1}"
        )
    return degree


def check_one_reference(sets: Sequence[StressStrainData]) -> None:
    """Refuse sets whose F = I are different crystals."""
    cells = [(one.temperature, np.array(one.crystal["cell"])) for one in sets if "cell" in one.crystal]
    for temperature, cell in cells[1:]:
        apart = float(np.abs(cell - cells[0][1]).max()) if cell.shape == cells[0][1].shape else np.inf
        if apart > SAME_CRYSTAL:
            raise DifferentReferences(
                f"the crystals at F = I of the data at {cells[0][0]:g} K and {temperature:g} K differ by {apart:.3g} A; count all "
                "F from one crystal: pass the same one to every call of sample_thermal"
            )


def set_of_reference(sets: Sequence[StressStrainData], temperature: float | None) -> StressStrainData:
    """The data of the reference temperature, the lowest by default."""
    chosen = sets[0].temperature if temperature is None else temperature
    for one in sets:
        if one.temperature == chosen and has_mechanical_labels(one):
            return one
    raise FitError(
        f"reference_temperature is {chosen} K, expected one at which there are stresses: "
        f"{', '.join(f'{one.temperature:g}' for one in sets if has_mechanical_labels(one))} K"
    )


def check_determined(problem: ThermalFit, sets: int) -> None:
    """Refuse fewer numbers than unknowns, and constants or a heat capacity that the data leave open."""
    if problem.count < problem.unknowns:
        per_neuron = 8 + problem.degree
        affordable = max(problem.neurons - -(-(problem.unknowns - problem.count) // per_neuron), 0)
        raise TooFewStates(
            f"{problem.count} numbers of {sets} data sets are fewer than the {problem.unknowns} unknowns of {problem.neurons} neurons and "
            f"degree {problem.degree}; add states, or use at most {affordable} neurons"
        )
    linear = problem.linearisation(np.zeros(problem.unknowns))[1][: problem.count, problem.linear_unknowns]
    scaled = linear / np.maximum(np.linalg.norm(linear, axis=0), np.finfo(float).tiny)
    rank = int(np.linalg.matrix_rank(scaled, tol=1e-9 * np.sqrt(linear.shape[1])))
    if rank < linear.shape[1]:
        raise TooFewStates(
            f"the data determine {rank} of the {linear.shape[1]} elastic constants, stresses at F = I and heat capacities of degree "
            f"{problem.degree} in T; add strains in other directions or internal energies at more temperatures, or lower the degree"
        )
