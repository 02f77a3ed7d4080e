"""The error bar of a fitted law: exact derivatives, leaving out as refitting, coverage, and what a file keeps of it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr

from atomistic.network_file import NetworkFileError
from multiscale.data.dataset import StressStrainData
from multiscale.fits.levenberg_marquardt import levenberg_marquardt
from multiscale.fits.orbit_law import fit_orbit_law, law_of, least_squares_problem
from multiscale.fits.orbit_least_squares import OrbitFit
from multiscale.laws.fields import NoUncertainty
from multiscale.laws.orbit_network import OrbitLaw
from multiscale.laws.reference_state import ReferenceState
from multiscale.sampling.design import informative_design, strain_design
from multiscale.symmetry.point_group import PointGroup
from multiscale.trust.posterior import DEVIATIONS, InvalidUncertainty
from multiscale.trust.uncertainty import Uncertainty

from .random_laws import random_law, random_rotations
from .stillinger_weber import silicon_data


@pytest.fixture(scope="module")
def energies_and_stresses(silicon_40: StressStrainData) -> StressStrainData:
    return replace(silicon_40, tangent=None)


@pytest.fixture(scope="module")
def law(energies_and_stresses: StressStrainData, cubic: PointGroup) -> OrbitLaw:
    return fit_orbit_law(energies_and_stresses, cubic, seed=0)


def test_nine_of_ten_intervals_cover_the_stress_of_states_held_out(
    law: OrbitLaw, silicon_held_out: StressStrainData
) -> None:
    F = silicon_held_out.deformation_gradient
    missed = np.abs(law.evaluate(F).first_piola - silicon_held_out.labels("first_piola"))
    covered = float(np.mean(missed < DEVIATIONS * law.stress_error(F)))
    assert 0.85 <= covered <= 0.95


def test_outside_the_data_the_error_bar_ranks_the_states(law: OrbitLaw) -> None:
    beyond = silicon_data(strain_design(128, 0.12, seed=2))
    beyond = beyond.select(beyond.admissible)
    F = beyond.deformation_gradient
    missed = np.linalg.norm(law.evaluate(F).first_piola - beyond.labels("first_piola"), axis=(1, 2))
    bar = np.linalg.norm(law.stress_error(F), axis=(1, 2))
    assert spearmanr(bar, missed)[0] >= 0.7


def test_symmetry_and_objectivity(law: OrbitLaw, cubic: PointGroup) -> None:
    F, rng = strain_design(8, 0.08, seed=3), np.random.default_rng(0)
    size = np.linalg.norm(law.stress_error(F), axis=(1, 2))
    R = cubic.rotations[rng.integers(cubic.order, size=8)]
    turned = np.linalg.norm(law.stress_error(random_rotations(rng, 8) @ F @ R), axis=(1, 2))
    assert np.allclose(size, turned, rtol=1e-6)
    # energy, stress and constants are given at F = I: nothing is uncertain there
    assert law.stress_error(np.eye(3)[None]).max() < 1e-12 and law.uncertainty is not None
    assert law.uncertainty.constants_error().max() == 0.0


def test_derivatives_are_those_of_the_law(energies_and_stresses: StressStrainData, cubic: PointGroup) -> None:
    data = replace(energies_and_stresses, reference_tangent=None)
    problem = least_squares_problem(data, cubic, 3, ReferenceState.of(data, cubic, "fit"))
    x, h = np.random.default_rng(0).normal(size=problem.unknowns), 1e-6
    F = data.deformation_gradient[:3]

    def stress(parameters: np.ndarray) -> np.ndarray:
        return law_of(problem, parameters, data).evaluate(F).first_piola

    posterior = Uncertainty(
        cubic,
        x,
        problem.strain_scale,
        problem.stiffness_scale,
        problem.reference.stiffness_basis,
        problem.reference.stress_basis,
        np.eye(len(x)),
        0.0,
    )
    differences = np.stack([(stress(x + h * d) - stress(x - h * d)) / (2 * h) for d in np.eye(len(x))], axis=3)
    assert np.abs(posterior.stress_derivatives(F) - differences).max() < 1e-7 * np.abs(differences).max()
    expected = problem.stiffness_scale * np.sqrt(np.square(problem.reference.stiffness_basis).sum(axis=0))
    assert np.allclose(posterior.constants_error(), expected)


def test_leaving_out_is_refitting_to_first_order(energies_and_stresses: StressStrainData, cubic: PointGroup) -> None:
    # few neurons and many numbers: the fit is nearly linear in its moves, and one state moves it little
    data = energies_and_stresses
    problem = least_squares_problem(data, cubic, 2, ReferenceState.of(data, cubic, "zero"))
    start = np.random.default_rng(1).normal(size=problem.unknowns)
    full = levenberg_marquardt(problem.residual, problem.linearisation, start, iterations=500, tolerance=1e-14)
    x = full.parameters
    F = data.deformation_gradient
    residual, J = problem.linearisation(x)
    L = np.linalg.inv(np.linalg.cholesky(J.T @ J)).T
    count = problem.observations.count
    unit = replace(posterior_of(problem, x, data), factor=L)
    move, variance = unit.without_each(F, (J[:count] @ L).reshape(40, -1, len(x)), residual[:count].reshape(40, -1, 1))
    assert (variance >= np.square(unit.stress_derivatives(F)).sum(axis=3) - 1e-15).all()
    agreement = []
    for k in range(6):
        rest = problem.on(np.arange(40) != k)
        again = levenberg_marquardt(rest.residual, rest.linearisation, x, iterations=500, tolerance=1e-14).parameters
        moved = (
            law_of(problem, again, data).evaluate(F[k : k + 1]).first_piola[0]
            - law_of(problem, x, data).evaluate(F[k : k + 1]).first_piola[0]
        )
        agreement.append(np.linalg.norm(move[k] - moved) / np.linalg.norm(moved))
    assert np.median(agreement) < 0.3


def posterior_of(problem: OrbitFit, x: np.ndarray, data: StressStrainData) -> Uncertainty:
    stress = law_of(problem, x, data).evaluate(data.deformation_gradient).first_piola
    return Uncertainty.of(problem, x, data, stress, np.zeros((0, len(x))))


def noisy_constants(
    silicon_40: StressStrainData, cubic: PointGroup, repetitions: int, neurons: int, starts: int
) -> np.ndarray:
    """(fitted - true) / standard error of C11, C12 and C44 where 5 % of noise is all that P holds besides (as at a temperature)."""
    exact = silicon_40.labels("first_piola")
    truth = np.array([151.424, 76.422, 56.449])
    sigma = 0.05 * float(np.sqrt(np.mean(exact**2)))
    found = []
    for seed in range(repetitions):
        noisy = exact + sigma * np.random.default_rng(seed).normal(size=exact.shape)
        data = replace(
            silicon_40,
            energy=None,
            tangent=None,
            reference_tangent=None,
            first_piola=noisy,
            first_piola_error=np.full(exact.shape, sigma),
            temperature=300.0,
        )
        law = fit_orbit_law(data, cubic, neurons=neurons, starts=starts, seed=seed)
        assert law.uncertainty is not None
        bar = law.uncertainty.constants_error()[[0, 0, 3], [0, 1, 3]]
        assert (bar > 0.0).all() and (bar < 0.2 * truth).all()
        found.append((law.elastic_constants()[[0, 0, 3], [0, 1, 3]] - truth) / bar)
    return np.array(found)


def test_stated_errors_are_believed(silicon_40: StressStrainData, cubic: PointGroup) -> None:
    assert (np.abs(noisy_constants(silicon_40, cubic, 3, neurons=6, starts=2)) < 2.5).sum() >= 8  # of nine


@pytest.mark.slow
def test_constants_from_noisy_stresses_lie_within_two_standard_errors(
    silicon_40: StressStrainData, cubic: PointGroup
) -> None:
    off = np.abs(noisy_constants(silicon_40, cubic, 20, neurons=12, starts=3))
    assert ((off < 2.0).mean(axis=0) >= 0.9).all()
    assert (off**2).mean() > 0.2  # and the bars are not idly long


@pytest.mark.slow
@pytest.mark.parametrize("tangents", [False, True])
def test_coverage_of_any_seed(tangents: bool, silicon_held_out: StressStrainData, cubic: PointGroup) -> None:
    """Inside, 90 % intervals cover 85 to 95 % over the seeds, and no seed is far off."""
    F, covered = silicon_held_out.deformation_gradient, []
    for seed in range(5):
        data = silicon_data(informative_design(20 if tangents else 40, 0.06, cubic, seed))
        data = data.select(data.admissible)
        law = fit_orbit_law(data if tangents else replace(data, tangent=None), cubic, seed=seed)
        missed = np.abs(law.evaluate(F).first_piola - silicon_held_out.labels("first_piola"))
        covered.append(float(np.mean(missed < DEVIATIONS * law.stress_error(F))))
    assert 0.85 <= np.mean(covered) <= 0.95
    assert min(covered) >= 0.8 and max(covered) <= 0.98


def test_a_file_keeps_it(law: OrbitLaw, tmp_path: Path) -> None:
    law.save(tmp_path / "law.safetensors")
    back, F = OrbitLaw.load(tmp_path / "law.safetensors"), strain_design(8, 0.06, seed=9)
    assert np.array_equal(back.stress_error(F), law.stress_error(F))
    assert law.uncertainty is not None and back.uncertainty is not None
    assert back.uncertainty.left_out == law.uncertainty.left_out
    replace(law, uncertainty=None).save(tmp_path / "bare.safetensors")
    assert OrbitLaw.load(tmp_path / "bare.safetensors").uncertainty is None
    # a posterior of another network is refused when it is read
    object.__setattr__(law.uncertainty, "factor", law.uncertainty.factor[:-1])
    try:
        law.save(tmp_path / "broken.safetensors")
    finally:
        object.__setattr__(law.uncertainty, "factor", back.uncertainty.factor)
    with pytest.raises(NetworkFileError, match="no consistent law"):
        OrbitLaw.load(tmp_path / "broken.safetensors")


def test_refusals(cubic: PointGroup) -> None:
    with pytest.raises(NoUncertainty, match="no error bar"):
        random_law(cubic, 0).stress_error(np.eye(3)[None])
    arrays = np.zeros(9), 1.0, 1.0, np.zeros((0, 6, 6)), np.zeros((0, 6))
    with pytest.raises(InvalidUncertainty, match="eight parameters a neuron"):
        Uncertainty(cubic, *arrays, np.eye(9), 0.0)
    with pytest.raises(InvalidUncertainty, match="expected them positive"):
        Uncertainty(cubic, np.zeros(8), 0.0, 1.0, np.zeros((0, 6, 6)), np.zeros((0, 6)), np.eye(8), 0.0)
