"""The stress-free crystal at a temperature: where it is, how it expands, its constants, and strains counted from it."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multiscale.laws.strain import elastic_constants_of_tangent, green_lagrange, strain_tensor
from multiscale.measured.specimen import NoEquilibrium
from multiscale.symmetry.point_group import GENERATORS, PointGroup
from multiscale.thermal.expansion import (
    elastic_constants_at,
    free_stretch,
    grueneisen_tensor,
    referred_to,
    thermal_expansion,
)
from multiscale.thermal.law import ThermalLaw
from multiscale.thermal.temperature import InvalidTemperature

from .random_laws import random_strains
from .random_thermal_laws import random_thermal_law

LAWS = {"seed": st.integers(0, 10_000), "laue": st.sampled_from(sorted(GENERATORS)), "T": st.floats(0.0, 700.0)}


def gentle(laue: str, seed: int, *, caloric: bool = False) -> ThermalLaw:
    """Without neurons' own softening at F = I the stress-free crystal is stable at every temperature asked for."""
    law = random_thermal_law(PointGroup.named(laue), seed, caloric=caloric)
    return replace(law, amplitudes=0.2 * law.amplitudes)


@given(**LAWS)
@settings(max_examples=20, deadline=None)
def test_free_stretch_and_expansion(seed: int, laue: str, T: float) -> None:
    law = gentle(laue, seed)
    U = free_stretch(law, T)
    P = law.evaluate(U[None], {"temperature": np.array([T])}, tangent=False).first_piola
    assert np.abs(P).max() < 1e-11 and np.array_equal(U, U.T)
    for R in law.symmetry.rotations:
        np.testing.assert_allclose(R @ U @ R.T, U, atol=1e-13)
    h = 0.5 + 0.1 * T / 700.0
    T = max(T, h)
    rate = (free_stretch(law, T + h) - free_stretch(law, T - h)) / (2.0 * h)
    U = free_stretch(law, T)
    inverse = np.linalg.inv(U)
    # the rate of deformation: the symmetric part of dU/dT U^-1
    np.testing.assert_allclose(
        thermal_expansion(law, T),
        0.5 * (rate @ inverse + inverse @ rate),
        rtol=1e-4,
        atol=1e-5 * np.abs(rate).max(),
    )


def test_reference_temperature_is_at_rest() -> None:
    law = random_thermal_law(PointGroup.named("mmm"), 0)
    np.testing.assert_array_equal(free_stretch(law, 200.0), np.eye(3))


@given(**LAWS)
@settings(max_examples=15, deadline=None)
def test_same_material_in_a_new_reference(seed: int, laue: str, T: float) -> None:
    law = gentle(laue, seed, caloric=True)
    new, U = referred_to(law, T), free_stretch(law, T)
    assert new.reference_temperature == T
    rest = new.evaluate(np.eye(3)[None], {"temperature": np.array([T])})
    assert np.abs(rest.first_piola).max() <= 1e-12 and rest.tangent is not None
    np.testing.assert_allclose(
        elastic_constants_of_tangent(rest.tangent[0], np.zeros((3, 3))), elastic_constants_at(law, T), atol=1e-9
    )
    F, temperatures = random_strains(seed, 5), np.array([0.0, 100.0, 300.0, 500.0, 900.0])
    there = new.evaluate(F, {"temperature": temperatures})
    here = law.evaluate(F @ U, {"temperature": temperatures})
    volume = np.linalg.det(U)
    scale = np.abs(here.first_piola).max()
    np.testing.assert_allclose(there.energy, here.energy / volume, atol=1e-10 * scale)
    np.testing.assert_allclose(there.first_piola, here.first_piola @ U / volume, atol=1e-11 * scale)
    warm = temperatures + 1.0
    np.testing.assert_allclose(new.entropy(F, warm), law.entropy(F @ U, warm) / volume, atol=1e-11 * scale)
    # and back again
    back = referred_to(new, law.reference_temperature)
    np.testing.assert_allclose(back.constants, law.constants, atol=1e-8)
    np.testing.assert_allclose(back.weights, law.weights, atol=1e-8)


def test_domain_follows_the_reference() -> None:
    law = gentle("m-3m", 4)
    new, U = referred_to(law, 600.0), free_stretch(law, 600.0)
    assert law.domain is not None and new.domain is not None
    F = np.swapaxes(np.linalg.cholesky(np.eye(3) + 2.0 * strain_tensor(law.domain.strain)), 1, 2)
    np.testing.assert_allclose(new.domain.strain, green_lagrange(F @ np.linalg.inv(U)), atol=1e-14)
    assert np.abs(new.domain.strain - law.domain.strain).max() > 1e-4


def test_cubic_constants_and_grueneisen_by_hand() -> None:
    """Duhamel and Neumann's law in Green's strain: psi = 1/2 e.C.e - 3 K alpha (T - T0) tr E, in closed form."""
    K, mu, alpha, c = 98.0, 60.0, 4e-6, 2.5e-3
    group = PointGroup.named("m-3m")
    C = np.diag([2.0 * mu] * 3 + [mu] * 3)
    C[:3, :3] += K - 2.0 * mu / 3.0
    law = ThermalLaw(
        symmetry=group,
        weights=np.zeros((0, 6)),
        biases=np.zeros(0),
        amplitudes=np.zeros((2, 0)),
        constants=np.array([C, np.zeros((6, 6))]),
        reference_stress=np.array([np.zeros((3, 3)), -3.0 * K * alpha * 600.0 * np.eye(3)]),
        reference_temperature=0.0,
        temperature_span=600.0,
        heat_capacity=c,
    )
    U = free_stretch(law, 300.0)
    np.testing.assert_allclose(U, np.sqrt(1.0 + 2.0 * alpha * 300.0) * np.eye(3), rtol=1e-14)
    np.testing.assert_allclose(
        thermal_expansion(law, 300.0), alpha / (1.0 + 2.0 * alpha * 300.0) * np.eye(3), atol=1e-18
    )
    # S = lambda^-1 sigma J and so on: C_spatial = lambda C for a cubic material under U = lambda 1
    np.testing.assert_allclose(elastic_constants_at(law, 300.0), U[0, 0] * C, rtol=1e-13)
    at_zero = grueneisen_tensor(law, 0.0)
    np.testing.assert_allclose(at_zero, 3.0 * K * alpha / c * np.eye(3), rtol=1e-9)
    np.testing.assert_allclose(grueneisen_tensor(law, 0.0, heat_capacity=2.0 * c), 0.5 * at_zero, rtol=1e-9)
    with pytest.raises(InvalidTemperature, match="pass heat_capacity"):
        grueneisen_tensor(replace(law, heat_capacity=None), 0.0)


def test_no_stress_free_state() -> None:
    law = random_thermal_law(PointGroup.named("m-3m"), 0)
    law = replace(law, reference_stress=law.reference_stress - 300.0 * np.eye(3))
    with pytest.raises(NoEquilibrium, match="500 K"):
        free_stretch(law, 500.0)
