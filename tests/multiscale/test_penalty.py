"""The penalised mode: exact derivatives of acoustic eigenvalues, and a law that keeps its ellipticity."""

from dataclasses import replace

import numpy as np
import pytest

from multiscale.data.dataset import StressStrainData
from multiscale.fits.judgement import normalised_mse
from multiscale.fits.orbit_law import fit_orbit_law, law_of, least_squares_problem
from multiscale.fits.penalty import EllipticityPenalty, eigenvalue_rows
from multiscale.laws.reference_state import FitError, ReferenceState
from multiscale.symmetry.point_group import PointGroup
from multiscale.trust.ellipticity import acoustic_minimum, check_ellipticity

from .random_laws import random_law, random_strains


def test_the_eigenvalue_is_linear_in_stress_and_stiffness() -> None:
    law, F = random_law(PointGroup.named("-1"), 0, stressed=True), random_strains(0, 20, largest=0.05)
    A = law.evaluate(F).tangent
    assert A is not None
    _, S, D = law.terms.potential(F)
    assert D is not None
    i, j = np.triu_indices(6)
    found = acoustic_minimum(A)
    x = np.concatenate([np.zeros((20, 1)), S, D[:, i, j]], axis=1)
    assert np.allclose((eigenvalue_rows(F, found) * x).sum(axis=1), found.eigenvalue, atol=1e-8)


@pytest.mark.parametrize("laue", ["m-3m", "mmm"])
def test_rows_and_jacobian(silicon_40: StressStrainData, laue: str) -> None:
    data, group = replace(silicon_40, reference_tangent=None), PointGroup.named(laue)
    problem = least_squares_problem(data, group, 3, ReferenceState.of(data, group, "zero"))
    x = np.random.default_rng(0).normal(size=problem.unknowns)
    F = data.deformation_gradient[:12]
    law = law_of(problem, x, data)
    A = law.evaluate(F).tangent
    assert A is not None
    eigenvalue = acoustic_minimum(A).eigenvalue
    penalty = EllipticityPenalty(problem, F, margin=float(np.median(eigenvalue)), scale=2.0)
    assert np.allclose(penalty.tangents(x), A, atol=1e-8)
    residual, J = penalty.linearisation(x)
    assert np.allclose(residual, np.maximum(0.0, np.median(eigenvalue) - eigenvalue) / 2.0, atol=1e-6)
    assert np.allclose(residual, penalty.residual(x)) and 0 < (residual > 0.0).sum() < 12
    h = 1e-6
    differences = np.stack(
        [(penalty.residual(x + h * d) - penalty.residual(x - h * d)) / (2 * h) for d in np.eye(len(x))], 1
    )
    assert np.abs(J - differences).max() < 1e-5 * np.abs(J).max()


@pytest.mark.slow
def test_the_penalised_law_is_elliptic_where_the_free_one_is_not(
    silicon_40: StressStrainData, cubic: PointGroup
) -> None:
    told: list[str] = []
    free = fit_orbit_law(silicon_40, cubic, neurons=6, starts=2)
    held = fit_orbit_law(
        silicon_40, cubic, neurons=6, starts=2, mode="penalised", progress=lambda _, message: told.append(message)
    )
    before, after = check_ellipticity(free, states=500), check_ellipticity(held, states=500)
    assert (
        before.smallest < -10.0
        and after.lost.sum() < 0.1 * before.lost.sum()
        and after.smallest > 0.1 * before.smallest
    )
    assert any("penalty round 0" in message and "smallest acoustic eigenvalue" in message for message in told)
    F, P = silicon_40.deformation_gradient, silicon_40.labels("first_piola")
    costs = [normalised_mse(law.evaluate(F).first_piola, P) for law in (free, held)]
    assert costs[0] < costs[1] < 0.01
    assert held.uncertainty is not None and free.uncertainty is not None
    assert np.median(held.stress_error(F)) > np.median(free.stress_error(F))


def test_an_unknown_mode_is_refused(silicon_40: StressStrainData, cubic: PointGroup) -> None:
    with pytest.raises(FitError, match="mode is 'convex', expected one of free, penalised"):
        fit_orbit_law(silicon_40, cubic, mode="convex")  # type: ignore[arg-type]
