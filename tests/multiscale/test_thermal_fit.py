"""A free energy fitted to data at several temperatures: what is in its span exactly, a crystal closely, and what is refused."""

import warnings
from dataclasses import replace

import numpy as np
import pytest

from multiscale.data.broken_symmetry import BrokenSymmetry
from multiscale.data.closed_cycles import NotAPotential
from multiscale.data.dataset import InvalidData, StressStrainData
from multiscale.fits.judgement import PoorFit, normalised_mse
from multiscale.fits.orbit_law import TooFewStates
from multiscale.laws.reference_state import ContradictoryReferenceStress, FitError, ReferenceState
from multiscale.sampling.design import strain_design
from multiscale.symmetry.point_group import PointGroup
from multiscale.thermal.expansion import (
    elastic_constants_at,
    free_stretch,
    grueneisen_tensor,
    referred_to,
    thermal_expansion,
)
from multiscale.thermal.fitting import DifferentReferences, TooFewTemperatures, fit_thermal
from multiscale.thermal.law import ThermalLaw
from multiscale.thermal.least_squares import ThermalFit
from multiscale.thermal.standard_error import parameters_of, standard_error

from . import quasi_harmonic as crystal
from .quasi_harmonic import quasi_harmonic_data
from .random_thermal_laws import random_thermal_law

CUBIC = PointGroup.named("m-3m")
THREE = ([0, 0, 3], [0, 1, 3])


def data_of(law: ThermalLaw, F: np.ndarray, T: float, *, energies: bool = False) -> StressStrainData:
    state = {"temperature": np.full(len(F), T)}
    return StressStrainData(
        F,
        first_piola=law.evaluate(F, state, tangent=False).first_piola,
        internal_energy=law.internal_energy(F, state["temperature"]) if energies else None,
        temperature=T,
    )


def linear_law(laue: str, *, degree: int = 2) -> ThermalLaw:
    """A law without neurons: thermoelasticity with constants and thermal stresses that are polynomials in T."""
    law = random_thermal_law(PointGroup.named(laue), 1, degree=degree, caloric=True, neurons=0)
    rest = law.rest_energy.copy()
    rest[1] = 0.0  # the entropy constant that nothing determines
    return replace(law, reference_temperature=0.0, rest_energy=rest, growth_modulus=0.0, growth_threshold=0.0)


@pytest.mark.parametrize("laue", ["m-3m", "-3m", "2/m"])
def test_thermoelasticity_is_recovered(laue: str) -> None:
    """Constants, thermal stresses, heat capacity: all in the span of the law, hence exact."""
    truth, F = linear_law(laue), strain_design(20, 0.03, seed=0)
    law = fit_thermal(
        [data_of(truth, F, T, energies=True) for T in (600.0, 0.0, 300.0)], truth.symmetry, neurons=2, starts=1
    )
    assert law.reference_temperature == 0.0 and law.temperature_span == 600.0
    np.testing.assert_allclose(law.constants, truth.constants, atol=1e-5)
    np.testing.assert_allclose(law.reference_stress, truth.reference_stress, atol=1e-7)
    np.testing.assert_allclose(law.rest_energy, truth.rest_energy, atol=1e-7)
    assert law.heat_capacity == pytest.approx(truth.heat_capacity, rel=1e-6)
    T = np.linspace(10.0, 700.0, 20)
    np.testing.assert_allclose(law.entropy(F, T), truth.entropy(F, T), atol=1e-9)
    np.testing.assert_allclose(thermal_expansion(law, 450.0), thermal_expansion(truth, 450.0), atol=1e-11)


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few iterations, for what does not depend on a deep minimum."""
    monkeypatch.setattr("multiscale.thermal.fitting.SHORT", 10)
    monkeypatch.setattr("multiscale.thermal.fitting.LONG", 10)


@pytest.fixture(scope="module")
def quasi_harmonic() -> ThermalLaw:
    sets = [
        quasi_harmonic_data(strain_design(30, 0.03, seed=k), T, energies=True)
        for k, T in enumerate((0.0, 300.0, 600.0))
    ]
    return fit_thermal(sets, CUBIC, degree=1, neurons=6, starts=2, seed=0)


def test_quasi_harmonic_crystal(quasi_harmonic: ThermalLaw) -> None:
    """At a temperature and states never seen: stress, entropy, constants, expansion against closed forms."""
    law, F, T = quasi_harmonic, strain_design(50, 0.03, seed=9), np.full(50, 450.0)
    P = law.evaluate(F, {"temperature": T}, tangent=False).first_piola
    assert normalised_mse(P, crystal.stress(F, 450.0)) < 1e-6
    relative = law.entropy(F, T) - law.entropy(np.eye(3)[None], T[:1])
    assert normalised_mse(relative, crystal.entropy(F)) < 1e-3
    assert normalised_mse(law.internal_energy(F, T), crystal.internal_energy(F, 450.0)) < 1e-8
    stiffness = 0.5 * crystal.DEPTH * 2.0 * crystal.RANGE**2
    C = law.at(0.0).elastic_constants()
    np.testing.assert_allclose(C[THREE], [2.0 * stiffness, stiffness, stiffness], rtol=3e-3)
    assert law.heat_capacity == pytest.approx(crystal.HEAT_CAPACITY, rel=1e-3)


def test_expansion_of_the_crystal(quasi_harmonic: ThermalLaw) -> None:
    for T in (150.0, 450.0):
        assert free_stretch(quasi_harmonic, T)[0, 0] - 1.0 == pytest.approx(crystal.lattice_stretch(T) - 1.0, rel=2e-3)
        rate = (crystal.lattice_stretch(T + 1.0) - crystal.lattice_stretch(T - 1.0)) / 2.0 / crystal.lattice_stretch(T)
        assert thermal_expansion(quasi_harmonic, T)[0, 0] == pytest.approx(rate, rel=1e-2)
    # Grueneisen's parameter, -d ln omega / d ln V = -g / 3 at F = I
    gamma = grueneisen_tensor(quasi_harmonic, 0.0)
    np.testing.assert_allclose(gamma, -crystal.SOFTENING / 3.0 * np.eye(3), atol=0.01)


def test_reference_of_a_chosen_temperature(quasi_harmonic: ThermalLaw) -> None:
    warm = referred_to(quasi_harmonic, 300.0)
    P = warm.evaluate(np.eye(3)[None], {"temperature": np.array([300.0])}, tangent=False).first_piola
    assert np.abs(P).max() <= 1e-13
    # the same from data counted from that crystal
    U = crystal.lattice_stretch(300.0)
    F = strain_design(30, 0.03, seed=3)
    sets = [
        StressStrainData(F, first_piola=crystal.stress(U * F, T) * U / U**3, temperature=T) for T in (300.0, 0.0, 600.0)
    ]
    law = fit_thermal(sets, CUBIC, degree=1, neurons=4, starts=1, reference_temperature=300.0)
    P = law.evaluate(np.eye(3)[None], {"temperature": np.array([300.0])}, tangent=False).first_piola
    assert np.abs(P).max() <= 1e-13
    np.testing.assert_allclose(
        elastic_constants_at(law, 300.0)[THREE], elastic_constants_at(quasi_harmonic, 300.0)[THREE], rtol=5e-3
    )
    np.testing.assert_allclose(free_stretch(law, 600.0), free_stretch(warm, 600.0), atol=2e-5)


@pytest.mark.slow
def test_error_bars_cover_the_truth(quasi_harmonic: ThermalLaw) -> None:
    """5 % noise on P alone, twenty repetitions: nine in ten of the constants and expansions at 300 K lie within 1.645 standard errors."""
    F = strain_design(24, 0.03, seed=0)
    noise = 0.05 * float(np.sqrt(np.mean(crystal.stress(F, 300.0) ** 2)))

    def figures(law: ThermalLaw) -> np.ndarray:
        return np.array([*elastic_constants_at(law, 300.0)[THREE], 1e6 * thermal_expansion(law, 300.0)[0, 0]])

    truth, inside = figures(quasi_harmonic), []
    for repetition in range(20):
        noisy = [quasi_harmonic_data(F, T, noise=noise, seed=100 * repetition + int(T)) for T in (0.0, 300.0, 600.0)]
        sets = [replace(one, energy=None) for one in noisy]
        law = fit_thermal(sets, CUBIC, degree=1, neurons=4, starts=2, seed=repetition)
        inside.append(np.abs(figures(law) - truth) < 1.645 * standard_error(law, figures))
    assert 0.85 <= np.mean(inside) <= 0.99


def test_error_bars_shrink_with_the_noise() -> None:
    """They are about the noise: ten times less of it, bars a tenth; and one quantity's bar does not depend on the others asked for."""
    F = strain_design(24, 0.03, seed=0)

    def constants(law: ThermalLaw) -> np.ndarray:
        return elastic_constants_at(law, 300.0)[THREE]

    bars = []
    for noise in (0.5, 0.05):
        sets = [quasi_harmonic_data(F, T, noise=noise, seed=int(T)) for T in (0.0, 600.0)]
        law = fit_thermal([replace(one, energy=None) for one in sets], CUBIC, neurons=2, starts=1)
        bars.append(standard_error(law, constants))
        alone = standard_error(law, lambda one: constants(one)[:1])
        np.testing.assert_allclose(alone, bars[-1][:1], rtol=1e-12)
    assert np.all(bars[0] > 3.0 * bars[1]) and np.all(bars[1] > 0.0)


def test_internal_energies_are_optional() -> None:
    """Without them entropy is relative to F = I at the same temperature."""
    F = strain_design(24, 0.03, seed=0)
    law = fit_thermal([quasi_harmonic_data(F, T) for T in (0.0, 600.0)], CUBIC, neurons=4, starts=1)
    assert law.heat_capacity is None and len(law.constants) == 2
    assert law.entropy(np.eye(3)[None], np.array([0.0])) == pytest.approx(0.0, abs=1e-15)
    assert normalised_mse(law.entropy(F, np.full(24, 300.0)), crystal.entropy(F)) < 1e-2


@pytest.mark.usefixtures("hasty")
def test_the_same_seed_gives_the_same_law() -> None:
    F = strain_design(16, 0.03, seed=0)
    sets = [quasi_harmonic_data(F, T) for T in (0.0, 600.0)]
    told: list[str] = []
    first, second = (
        fit_thermal(sets, CUBIC, neurons=1, starts=1, seed=5, progress=lambda _, text: told.append(text))
        for _ in range(2)
    )
    np.testing.assert_array_equal(parameters_of(first), parameters_of(second))
    assert told[0].startswith("start 1 of 1") and told[1] == first.provenance["fit"]
    other = fit_thermal(sets, CUBIC, neurons=1, starts=1, seed=6)
    assert np.abs(parameters_of(other) - parameters_of(first)).max() > 0.0


@pytest.mark.parametrize("laue", ["m-3m", "-3m"])
def test_jacobian_and_cost(laue: str) -> None:
    group, rng = PointGroup.named(laue), np.random.default_rng(0)
    sets = [
        quasi_harmonic_data(strain_design(6, 0.03, seed=k), T, energies=True) for k, T in enumerate((0.0, 250.0, 600.0))
    ]
    reference = ReferenceState.of(sets[0], group, "zero")
    problem = ThermalFit(sets, group, 2, 2, reference, reference_temperature=0.0, stiffness_scale=100.0)
    x = rng.normal(size=problem.unknowns)
    residual, J = problem.linearisation(x)
    np.testing.assert_allclose(residual, problem.residual(x), rtol=1e-10, atol=1e-9)
    h = 1e-6
    for column, direction in zip(J.T, np.eye(len(x)), strict=True):
        difference = (problem.residual(x + h * direction) - problem.residual(x - h * direction)) / (2.0 * h)
        np.testing.assert_allclose(column, difference, atol=1e-7 * np.abs(J).max())

    def cost(parameters: np.ndarray) -> float:
        """Of the law itself, up to a constant; unit of weights by hand."""
        law, total = problem.law(parameters), 0.0
        spread = np.sqrt(np.mean([np.var(one.labels("internal_energy")) for one in sets]))
        for one in sets:
            T = np.full(len(one), one.temperature)
            response = law.evaluate(one.deformation_gradient, {"temperature": T}, tangent=False)
            labels = [
                (response.first_piola, one.labels("first_piola"), np.sqrt(np.mean(one.labels("first_piola") ** 2)))
            ]
            labels.append((law.internal_energy(one.deformation_gradient, T), one.labels("internal_energy"), spread))
            if one.energy is not None:
                at_rest = law.evaluate(np.eye(3)[None], {"temperature": T[:1]}, tangent=False).energy
                labels.append((response.energy - at_rest, one.energy, np.sqrt(np.mean(one.energy**2))))
            total += sum(float(np.sum((a - b) ** 2)) / (3e-4 * scale) ** 2 for a, b, scale in labels)
        return total

    other = rng.normal(size=problem.unknowns)
    compressed = [float(np.sum(problem.residual(y)[: problem.count] ** 2)) for y in (x, other)]
    assert cost(x) - cost(other) == pytest.approx(compressed[0] - compressed[1], rel=1e-7)


def test_data_that_are_refused() -> None:
    F = strain_design(16, 0.03, seed=0)
    cold, warm = quasi_harmonic_data(F, 0.0), quasi_harmonic_data(F, 300.0)
    with pytest.raises(InvalidData, match=r"energy is given at 300 K.*internal_energy"):
        StressStrainData(F, energy=np.zeros(16), temperature=300.0)
    with pytest.raises(TooFewTemperatures, match=r"\[0.0\] K, expected at least two"):
        fit_thermal([cold, cold], CUBIC)
    with pytest.raises(TooFewTemperatures, match=r"0, 300 K.*degree 1"):
        fit_thermal([cold, warm], CUBIC, degree=2)
    with pytest.raises(FitError, match="degree is 0"):
        fit_thermal([cold, warm], CUBIC, degree=0)
    with pytest.raises(FitError, match=r"reference_temperature is 100.0 K.*0, 300 K"):
        fit_thermal([cold, warm], CUBIC, reference_temperature=100.0)
    with pytest.raises(TooFewStates, match="use at most"):
        fit_thermal([cold, warm], CUBIC, neurons=40)
    few = [one.select(np.arange(16) < 3) for one in (cold, warm)]
    with pytest.raises(TooFewStates, match="elastic constants"):
        fit_thermal(few, PointGroup.named("-1"), neurons=1)
    stretched = quasi_harmonic_data(np.concatenate([F, np.eye(3)[None]]), 300.0)
    with pytest.raises(ContradictoryReferenceStress, match="F = I"):
        fit_thermal([cold, stretched], CUBIC, reference_temperature=300.0)
    cell = {"numbers": [14], "cell": (2.0 * np.eye(3)).tolist(), "positions": [[0.0, 0.0, 0.0]]}
    other = {**cell, "cell": (2.01 * np.eye(3)).tolist()}
    with pytest.raises(DifferentReferences, match=r"0 K and 300 K differ by 0.01 A"):
        fit_thermal([replace(cold, crystal=cell), replace(warm, crystal=other)], CUBIC)
    energies = [replace(one, internal_energy=np.full(16, 1.0)) for one in (cold, warm)]
    with pytest.raises(FitError, match="internal_energy is constant"):
        fit_thermal(energies, CUBIC, neurons=1)
    with pytest.raises(TooFewStates, match="heat capacities"):
        fit_thermal([quasi_harmonic_data(F, 0.0, energies=True), warm], CUBIC, neurons=1)


@pytest.mark.usefixtures("hasty")
def test_a_law_that_misses_its_data_says_so() -> None:
    F = strain_design(16, 0.03, seed=0)
    cold, warm = quasi_harmonic_data(F, 0.0), quasi_harmonic_data(F, 300.0)
    with pytest.warns(PoorFit, match="degree"):
        fit_thermal([cold, replace(warm, first_piola=np.swapaxes(warm.labels("first_piola"), 0, 1)[:, ::-1].reshape(16, 3, 3))],
                    CUBIC, neurons=1, starts=1)  # fmt: skip


@pytest.mark.usefixtures("hasty")
def test_warnings_of_data_at_each_temperature() -> None:
    """Stress at one temperature that has no potential, or breaks the symmetry, is found there."""
    F = strain_design(40, 0.03, seed=0)
    cold, warm = quasi_harmonic_data(F, 0.0), quasi_harmonic_data(F, 300.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit_thermal([cold, warm], CUBIC, neurons=3, starts=1)
    swirl = np.zeros((40, 3, 3))
    swirl[:, 0, 0], swirl[:, 1, 1] = 60.0 * (F[:, 1, 1] - 1.0), -60.0 * (F[:, 0, 0] - 1.0)
    with pytest.warns(NotAPotential, match="closed strain cycles do not close"), pytest.warns(PoorFit):
        fit_thermal(
            [cold, replace(warm, first_piola=warm.labels("first_piola") + F @ swirl)], CUBIC, neurons=1, starts=1
        )
    stretched = np.zeros((40, 3, 3))
    stretched[:, 0, 0] = 30.0 * (F[:, 0, 0] - 1.0)
    with pytest.warns(BrokenSymmetry, match="C11 is"), pytest.warns(PoorFit):
        fit_thermal(
            [cold, replace(warm, first_piola=warm.labels("first_piola") + stretched)], CUBIC, neurons=1, starts=1
        )
