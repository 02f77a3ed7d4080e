"""Elastic constants of second and third order: those that made the data come back, those of silicon are the atoms'."""

import numpy as np
import pytest

from multiscale.classical.crystal_fit import fit_elastic_constants
from multiscale.classical.third_order import ThirdOrderElasticity
from multiscale.data.dataset import StressStrainData
from multiscale.fits.judgement import normalised_mse
from multiscale.fits.orbit_law import TooFewStates
from multiscale.laws.reference_state import FitError
from multiscale.laws.strain import elastic_constants_of_tangent
from multiscale.sampling.design import strain_design
from multiscale.symmetry.point_group import GENERATORS, PointGroup


def random_crystal(group: PointGroup, seed: int) -> ThirdOrderElasticity:
    rng = np.random.default_rng(seed)
    third = np.einsum(
        "k,kabc->abc", 300.0 * rng.normal(size=len(group.invariant_third_order())), group.invariant_third_order()
    )
    factor = rng.normal(size=(6, 6))
    return ThirdOrderElasticity(group.project_stiffness(20.0 * factor @ factor.T + 50.0 * np.eye(6)), third)


@pytest.mark.parametrize("laue", GENERATORS)
def test_constants_come_back(laue: str) -> None:
    group, F = PointGroup.named(laue), strain_design(30, 0.05, seed=1)
    law = random_crystal(group, 0)
    found = fit_elastic_constants(StressStrainData(F, first_piola=law.evaluate(F).first_piola), group).law
    assert np.allclose(found.elastic_constants, law.elastic_constants, atol=1e-8)
    assert np.allclose(found.third_order_constants, law.third_order_constants, atol=1e-6)


def test_brugger_constants_of_a_cubic_crystal_are_six() -> None:
    """The named constructor spans the group's invariant constants."""
    named = [ThirdOrderElasticity.cubic(3, 1, 1, *row).third_order_constants.ravel() for row in np.eye(6)]
    basis = PointGroup.named("m-3m").invariant_third_order().reshape(6, -1)
    assert np.linalg.matrix_rank(np.concatenate([named, basis]), tol=1e-9) == 6


def test_silicon(silicon_40: StressStrainData, silicon_held_out: StressStrainData, cubic: PointGroup) -> None:
    """Third order finds the constants at rest within 3 %, and beats second order by far on states that neither saw."""
    linear, cubic_law = (fit_elastic_constants(silicon_40, cubic, order=order) for order in (2, 3))
    F, P = silicon_held_out.deformation_gradient, silicon_held_out.labels("first_piola")
    errors = [normalised_mse(fit.law.evaluate(F, tangent=False).first_piola, P) for fit in (linear, cubic_law)]
    assert errors[1] < 0.1 * errors[0] and errors[1] < 5e-3
    atoms = elastic_constants_of_tangent(silicon_40.labels("reference_tangent"), silicon_40.reference_stress)
    missed = [np.abs(fit.law.elastic_constants - atoms).max() for fit in (linear, cubic_law)]
    assert missed[1] < 0.03 * np.abs(atoms).max()
    # dC/dp of a crystal under pressure is negative in C111: it stiffens when compressed
    assert cubic_law.law.third_order_constants[0, 0, 0] < -3.0 * atoms[0, 0]


def test_errors_are_those_of_repetition(cubic: PointGroup) -> None:
    law, F = random_crystal(cubic, 3), strain_design(20, 0.03, seed=2)
    P = law.evaluate(F).first_piola
    noise = 0.05 * float(np.sqrt(np.mean(P**2)))
    scores = []
    for seed in range(40):
        label = P + noise * np.random.default_rng(seed).normal(size=P.shape)
        found = fit_elastic_constants(
            StressStrainData(F, first_piola=label, first_piola_error=np.full(P.shape, noise)), cubic
        )
        missed = found.law.elastic_constants - law.elastic_constants
        third = found.law.third_order_constants - law.third_order_constants
        scores.append([missed[i] / found.elastic_errors[i] for i in ((0, 0), (0, 1), (3, 3))])
        scores[-1] += [third[i] / found.third_order_errors[i] for i in ((0, 0, 0), (0, 0, 1), (3, 4, 5))]
    assert 0.8 < np.std(scores) < 1.2


def test_refusals(silicon_40: StressStrainData, cubic: PointGroup) -> None:
    with pytest.raises(FitError, match="order is 4, expected 2 or 3"):
        fit_elastic_constants(silicon_40, cubic, order=4)
    with pytest.raises(FitError, match="neither energy nor stress nor tangent"):
        fit_elastic_constants(StressStrainData(silicon_40.deformation_gradient), cubic)
    stretched = np.eye(3)[None] + np.linspace(-0.05, 0.05, 20)[:, None, None] * np.diag([1.0, 0.0, 0.0])
    P = ThirdOrderElasticity.cubic(160.0, 60.0, 80.0, *(0.0,) * 6).evaluate(stretched).first_piola
    with pytest.raises(FitError, match="of 9 constants undetermined; add strains in other directions"):
        fit_elastic_constants(StressStrainData(stretched, first_piola=P), cubic)
    with pytest.raises(TooFewStates, match="the states give 6 numbers for 77 constants"):
        fit_elastic_constants(
            StressStrainData(strain_design(1, 0.05, seed=0), first_piola=P[:1]), PointGroup.named("-1")
        )
