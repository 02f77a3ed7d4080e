"""A free energy psi(F, T): its derivatives, its symmetry at every temperature, what it refuses, and its file."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atomistic.network_file import NetworkFileError
from fem.c_function import NoCFunction
from fem.law import InadmissibleDeformation, ShapeError, check_response
from multiscale.laws.fields import InvalidLaw, NoUncertainty, UnknownState
from multiscale.laws.kernel import library
from multiscale.laws.orbit_network import OrbitLaw
from multiscale.laws.strain import tangent as tangent_of
from multiscale.symmetry.point_group import GENERATORS, PointGroup
from multiscale.thermal.law import ThermalLaw
from multiscale.thermal.standard_error import parameters_of, standard_error, with_parameters
from multiscale.thermal.temperature import InvalidTemperature

from .random_laws import random_law, random_rotations, random_strains
from .random_thermal_laws import random_thermal_law

SEEDS = st.integers(0, 10_000)


def free_energy(law: ThermalLaw, F: np.ndarray, T: np.ndarray) -> np.ndarray:
    return law.evaluate(F, {"temperature": T}, tangent=False).energy


def stress(law: ThermalLaw, F: np.ndarray, T: np.ndarray) -> np.ndarray:
    return law.evaluate(F, {"temperature": T}, tangent=False).first_piola


@given(seed=SEEDS, laue=st.sampled_from(sorted(GENERATORS)), degree=st.integers(1, 3), caloric=st.booleans())
@settings(max_examples=15, deadline=None)
def test_derivatives_agree_with_differences(seed: int, laue: str, degree: int, caloric: bool) -> None:
    law = random_thermal_law(PointGroup.named(laue), seed, degree=degree, caloric=caloric, stressed=True)
    rng = np.random.default_rng(seed)
    F, T, direction = random_strains(seed, 4), rng.uniform(50.0, 800.0, 4), rng.normal(size=(4, 3, 3))
    response = law.evaluate(F, {"temperature": T[:, None]})
    assert response.tangent is not None
    check_response(response, 4, tangent=True)
    h, k = 3e-6, 0.05
    by_F = (free_energy(law, F + h * direction, T) - free_energy(law, F - h * direction, T)) / (2 * h)
    np.testing.assert_allclose(
        np.einsum("nij,nij->n", response.first_piola, direction), by_F, atol=1e-7 * np.abs(response.first_piola).max()
    )
    by_F = (stress(law, F + h * direction, T) - stress(law, F - h * direction, T)) / (2 * h)
    np.testing.assert_allclose(
        np.einsum("nijkl,nkl->nij", response.tangent, direction), by_F, atol=1e-7 * np.abs(response.tangent).max()
    )
    entropy, dP_dT = law.entropy(F, T), law.stress_temperature_derivative(F, T)
    by_T = (free_energy(law, F, T + k) - free_energy(law, F, T - k)) / (2 * k)
    np.testing.assert_allclose(entropy, -by_T, atol=1e-8 * np.abs(free_energy(law, F, T)).max())
    by_T = (stress(law, F, T + k) - stress(law, F, T - k)) / (2 * k)
    np.testing.assert_allclose(dP_dT, by_T, atol=1e-8 * np.abs(response.first_piola).max())
    # Maxwell: dP/dT = -d eta/dF
    by_F = (law.entropy(F + h * direction, T) - law.entropy(F - h * direction, T)) / (2 * h)
    np.testing.assert_allclose(np.einsum("nij,nij->n", dP_dT, direction), -by_F, atol=1e-7 * np.abs(dP_dT).max())
    np.testing.assert_allclose(law.internal_energy(F, T), response.energy + T * entropy, rtol=1e-10, atol=1e-10)


@given(seed=SEEDS, laue=st.sampled_from(sorted(GENERATORS)))
@settings(max_examples=15, deadline=None)
def test_symmetry_and_objectivity_at_every_temperature(seed: int, laue: str) -> None:
    group = PointGroup.named(laue)
    law, F = random_thermal_law(group, seed, stressed=True), random_strains(seed, 3)
    rng = np.random.default_rng(seed)
    T = rng.uniform(0.0, 900.0, 3)
    P, scale = stress(law, F, T), np.abs(stress(law, F, T)).max()
    for R in group.rotations:
        np.testing.assert_allclose(stress(law, F @ R, T) @ R.T, P, atol=1e-12 * scale)
    Q = random_rotations(rng, 3)
    np.testing.assert_allclose(stress(law, Q @ F, T), Q @ P, atol=1e-12 * scale)
    np.testing.assert_allclose(law.entropy(Q @ F, T), law.entropy(F, T), atol=1e-12 * scale)


def test_less_symmetry_is_not_made_up() -> None:
    """A turn that is none of the group's changes the stress, at the reference temperature and away from it."""
    law, F = random_thermal_law(PointGroup.named("m-3"), 1), random_strains(0, 3)
    R = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    for T in (np.full(3, 200.0), np.full(3, 700.0)):
        P = stress(law, F, T)
        assert np.abs(stress(law, F @ R, T) @ R.T - P).max() > 1e-3 * np.abs(P).max()


@given(seed=SEEDS, laue=st.sampled_from(sorted(GENERATORS)))
@settings(max_examples=10, deadline=None)
def test_reference_state(seed: int, laue: str) -> None:
    """Energy and stress are zero at F = I and the reference temperature; elsewhere the stress is the thermal one."""
    law = random_thermal_law(PointGroup.named(laue), seed)
    at_rest = law.evaluate(np.eye(3)[None], {"temperature": np.array([200.0])})
    assert abs(at_rest.energy[0]) <= 1e-12 and np.abs(at_rest.first_piola).max() <= 1e-12
    C = tangent_of(np.eye(3)[None], np.zeros((1, 6)), law.constants[:1])
    np.testing.assert_allclose(at_rest.tangent, C, atol=1e-11)
    warm = stress(law, np.eye(3)[None], np.array([500.0]))[0]
    np.testing.assert_allclose(warm, 0.5 * law.reference_stress[1] + 0.25 * law.reference_stress[2], atol=1e-12)
    assert np.abs(warm).max() > 1e-6


@pytest.mark.parametrize("laue", ["m-3m", "2/m"])
def test_at_one_temperature_it_is_an_orbit_law(laue: str) -> None:
    law, F = random_thermal_law(PointGroup.named(laue), 2, caloric=True), random_strains(1, 6)
    T = np.full(6, 431.0)
    cold, warm = law.at(431.0).evaluate(F), law.evaluate(F, {"temperature": T}, trust=True)
    rest = free_energy(law, np.eye(3)[None], T[:1])
    np.testing.assert_allclose(cold.energy + rest, warm.energy, rtol=1e-11)
    np.testing.assert_allclose(cold.first_piola, warm.first_piola, atol=1e-11)
    np.testing.assert_allclose(cold.tangent, warm.tangent, atol=1e-9)
    np.testing.assert_array_equal(law.coefficients[0].evaluate(F, trust=True).trust, warm.trust)
    assert isinstance(law.at(431.0), OrbitLaw)


def test_oriented_crystals() -> None:
    law, F, R = (
        random_thermal_law(PointGroup.named("4/m"), 5),
        random_strains(3, 4),
        random_rotations(np.random.default_rng(7), 4),
    )
    T = np.array([0.0, 100.0, 400.0, 600.0])
    turned = law.evaluate(F, {"temperature": T, "orientation": R}, tangent=False).first_piola
    np.testing.assert_allclose(turned, stress(law, F @ R, T) @ np.swapaxes(R, 1, 2), atol=1e-11)


@pytest.mark.parametrize("turned", [True, False])
@pytest.mark.parametrize("laue", ["m-3m", "2/m"])
def test_in_c_and_in_numpy(laue: str, turned: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The compiled law is the same to round-off: energy, stress, tangent and trust."""
    law, F = random_thermal_law(PointGroup.named(laue), 2, caloric=True), random_strains(1, 40)
    if law.backend == "numpy":
        pytest.skip("no C compiler")
    state = {"temperature": np.linspace(0.0, 900.0, 40)}
    if turned:
        state["orientation"] = random_rotations(np.random.default_rng(0), 40)
    here = law.evaluate(F, state, trust=True)
    assert law.c_function().state_size == 10
    monkeypatch.setenv(library.NO_KERNEL_VARIABLE, "1")
    plain = replace(law)
    assert plain.backend == "numpy"
    with pytest.raises(NoCFunction, match="compiler"):
        plain.c_function()
    there = plain.evaluate(F, state, trust=True)
    for name, tolerance in (("energy", 1e-12), ("first_piola", 1e-12), ("tangent", 1e-12), ("trust", 1e-8)):
        expected = getattr(there, name)
        np.testing.assert_allclose(getattr(here, name), expected, atol=tolerance * np.abs(expected).max())


def test_trust_falls_outside_the_temperatures() -> None:
    law = random_thermal_law(PointGroup.named("m-3m"), 0)
    F = np.broadcast_to(np.eye(3), (5, 3, 3))
    trust = law.evaluate(
        F, {"temperature": np.array([0.0, 450.0, 600.0, 900.0, 1200.0])}, tangent=False, trust=True
    ).trust
    np.testing.assert_allclose(trust, [1.0, 1.0, 1.0, 2.0 / 3.0, 0.5])
    far = law.evaluate(1.3 * F[:2], {"temperature": np.array([300.0, 1200.0])}, tangent=False, trust=True).trust
    assert far is not None and far[0] < 0.5 and far[1] == pytest.approx(0.5 * far[0])


def test_finite_at_extreme_volumes() -> None:
    J = np.array([1e-3, 1e-2, 0.1, 10.0, 100.0])
    F = np.concatenate(
        [np.cbrt(J)[:, None, None] * np.eye(3), np.eye(3) + (J - 1.0)[:, None, None] * np.diag([1.0, 0, 0])]
    )
    law, T = random_thermal_law(PointGroup.named("m-3m"), 0), np.full(10, 300.0)
    response = law.evaluate(F, {"temperature": T}, trust=True)
    assert response.tangent is not None and response.trust is not None
    check_response(response, 10, tangent=True)
    assert response.energy[0] > response.energy[1] > response.energy[2] > 0.0 and (response.trust < 1.0).all()


def test_zero_kelvin() -> None:
    law = random_thermal_law(PointGroup.named("m-3m"), 0, caloric=True)
    F, T = random_strains(0, 2), np.array([0.0, 1e-9])
    energy, P = free_energy(law, F[[0, 0]], T), stress(law, F[[0, 0]], T)
    assert energy[0] == pytest.approx(energy[1], rel=1e-9) and np.allclose(P[0], P[1])
    with pytest.raises(InvalidTemperature, match="minus infinity"):
        law.entropy(F, T)
    assert np.isfinite(random_thermal_law(PointGroup.named("m-3m"), 0).entropy(F, T)).all()


def test_states_that_are_refused() -> None:
    law, F = random_thermal_law(PointGroup.named("m-3m"), 0), random_strains(0, 3)
    T = np.array([0.0, 100.0, 200.0])
    for state in (None, {}, {"temperature": 300.0}, {"temperature": T[:2]}, {"temperature": T.reshape(1, 3)}):
        with pytest.raises(ShapeError, match=r"temperature.* of shape \(3,\) or \(3, 1\)"):
            law.evaluate(F, state)  # type: ignore[arg-type]
    with pytest.raises(UnknownState, match="humidity"):
        law.evaluate(F, {"temperature": T, "humidity": T})
    with pytest.raises(InvalidTemperature, match=r"-1.0 K at point 1"):
        law.evaluate(F, {"temperature": np.array([0.0, -1.0, 2.0])})
    with pytest.raises(UnknownState, match="orientation at point 0 is off"):
        law.evaluate(F, {"temperature": T, "orientation": 2.0 * F})
    with pytest.raises(InadmissibleDeformation, match="point 1"):
        law.evaluate(F * np.array([1.0, -1.0, 1.0])[:, None, None], {"temperature": T})
    with pytest.raises(InvalidTemperature, match="nan"):
        law.at(float("nan"))
    with pytest.raises(ShapeError, match="2 temperatures are given for 3 F"):
        law.entropy(F, T[:2])
    with pytest.raises(UnknownState, match="temperature"):
        random_law(PointGroup.named("m-3m"), 0).evaluate(F, {"temperature": T})
    with pytest.raises(NoUncertainty, match="fit_thermal"):
        standard_error(law, lambda one: one.constants)


def test_parameters_that_are_refused() -> None:
    law = random_thermal_law(PointGroup.named("m-3m"), 0)
    with pytest.raises(InvalidLaw, match="at least 2"):
        replace(law, amplitudes=law.amplitudes[:1], constants=law.constants[:1], reference_stress=law.reference_stress[:1],
                rest_energy=law.rest_energy[:1])  # fmt: skip
    with pytest.raises(InvalidLaw, match=r"amplitudes has shape \(2, 4\), expected \(3, 4\)"):
        replace(law, amplitudes=law.amplitudes[:2])
    with pytest.raises(InvalidLaw, match="positive span"):
        replace(law, temperature_span=0.0)
    with pytest.raises(InvalidLaw, match="heat_capacity"):
        replace(law, heat_capacity=float("inf"))
    broken = law.constants.copy()
    broken[1, 0, 0] += 1.0
    with pytest.raises(InvalidLaw, match="differ from their average"):
        replace(law, constants=broken)


def test_parameters_as_a_vector() -> None:
    law, F, T = (
        random_thermal_law(PointGroup.named("-3m"), 1, caloric=True),
        random_strains(0, 3),
        np.array([0.0, 99.0, 650.0]),
    )
    back = with_parameters(law, parameters_of(law))
    np.testing.assert_array_equal(free_energy(law, F, T), free_energy(back, F, T))


@pytest.mark.parametrize("caloric", [True, False])
def test_round_trip_is_exact(caloric: bool, tmp_path: Path) -> None:
    law = random_thermal_law(PointGroup.named("-3m"), 3, caloric=caloric, stressed=True)
    law = replace(law, uncertainty=np.random.default_rng(0).normal(size=(len(parameters_of(law)), 5)))
    F, T = random_strains(0, 8), np.linspace(0.0, 900.0, 8)
    law.save(tmp_path / "law.safetensors")
    back = ThermalLaw.load(tmp_path / "law.safetensors")
    here, there = (one.evaluate(F, {"temperature": T}, trust=True) for one in (law, back))
    for name in ("energy", "first_piola", "tangent", "trust"):
        assert np.array_equal(getattr(here, name), getattr(there, name))
    assert back.heat_capacity == law.heat_capacity and back.provenance == law.provenance
    assert np.array_equal(back.uncertainty, law.uncertainty)  # type: ignore[arg-type]
    random_law(PointGroup.named("-3m"), 0).save(tmp_path / "orbit.safetensors")
    with pytest.raises(NetworkFileError, match="atomlaw/thermal-law"):
        ThermalLaw.load(tmp_path / "orbit.safetensors")
    (tmp_path / "short").write_bytes((tmp_path / "law.safetensors").read_bytes()[:-9])
    with pytest.raises(NetworkFileError, match="cannot be read"):
        ThermalLaw.load(tmp_path / "short")
