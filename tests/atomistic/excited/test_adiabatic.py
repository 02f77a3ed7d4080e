"""Energies, gradients and couplings against differences and closed forms, at an intersection too."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atomistic.excited import DegenerateStates, adiabatic_states, slopes_along
from atomistic.excited.hamiltonian import random_network
from atomistic.excited.models import TULLY, LinearVibronicCoupling

from .models import ThreeStates

STEP = 1e-5


@given(st.integers(0, 1000))
@settings(max_examples=10, deadline=None)
def test_gradients_and_couplings_are_differences(seed: int) -> None:
    generator = np.random.default_rng(seed)
    points = generator.normal(size=(5, 3))
    network = random_network(3, points, energies=generator.normal(size=(5, 3)), hidden=(8,), generator=generator)
    for model in (ThreeStates(), network):
        here = adiabatic_states(model, points)
        couplings = here.couplings()
        np.testing.assert_allclose(couplings, -couplings.transpose(0, 2, 1, 3), atol=1e-9 * np.abs(couplings).max())
        for d in range(3):
            after, before = (adiabatic_states(model, points + sign * STEP * np.eye(3)[d]) for sign in (1.0, -1.0))
            slope = (after.energies - before.energies) / (2.0 * STEP)
            np.testing.assert_allclose(here.gradients[..., d], slope, rtol=0, atol=1e-6 * np.abs(slope).max())
            ends = []
            for other in (after, before):  # signs as at the middle
                overlap = np.einsum("pki,pki->pi", other.vectors, here.vectors)
                ends.append(other.vectors * np.sign(overlap)[:, None, :])
            differences = np.einsum("pki,pkj->pij", here.vectors, (ends[0] - ends[1]) / (2.0 * STEP))
            gap = np.abs(np.diff(here.energies, axis=1)).min()
            if gap > 0.05:  # differences of vectors err by step^2 / gap^3
                np.testing.assert_allclose(
                    couplings[..., d], differences, rtol=1e-6, atol=1e-6 * np.abs(couplings).max()
                )


def test_couplings_of_linear_vibronic_coupling_are_half_the_slope_of_the_mixing_angle() -> None:
    model = LinearVibronicCoupling()
    points = np.random.default_rng(0).uniform(-1.0, 1.0, (50, 2))
    half = model.gap + model.tuning * points[:, 0]
    off = model.coupling * points[:, 1]
    # theta = atan2(off, half), d = grad(theta) / 2
    expected = 0.5 * np.stack([-off * model.tuning, half * model.coupling], axis=1) / (half**2 + off**2)[:, None]
    found = adiabatic_states(model, points).couplings()[:, 0, 1]
    np.testing.assert_allclose(np.abs(found), np.abs(expected), rtol=1e-10)


def test_at_an_intersection_slopes_are_those_of_the_cone_and_couplings_are_refused() -> None:
    model = LinearVibronicCoupling()
    tip = np.array(model.intersection)
    for angle in (0.0, 0.7, 2.0):
        u = np.array([np.cos(angle), np.sin(angle)])
        common = model.stiffness[0] * tip[0] * u[0]
        cone = np.hypot(model.tuning * u[0], model.coupling * u[1])
        np.testing.assert_allclose(slopes_along(model, tip, u), [common - cone, common + cone], atol=1e-12)
        ends = adiabatic_states(model, np.array([tip, tip + 1e-6 * u])).energies
        np.testing.assert_allclose((ends[1] - ends[0]) / 1e-6, [common - cone, common + cone], atol=1e-5)
    with pytest.raises(DegenerateStates, match="states 0 and 1"):
        adiabatic_states(model, tip[None]).couplings()


def test_tully_s_problems_have_his_parameters() -> None:
    states = {name: adiabatic_states(model, np.array([[0.0], [-9.0], [9.0]])) for name, model in TULLY.items()}
    simple = states["simple avoided crossing"]
    np.testing.assert_allclose(simple.energies, [[-0.005, 0.005], [-0.01, 0.01], [-0.01, 0.01]], atol=1e-7)
    assert abs(simple.couplings()[0, 0, 1, 0]) == pytest.approx(0.016 / 0.005 / 2.0, rel=1e-12)
    np.testing.assert_allclose(
        states["dual avoided crossing"].energies[0], [-0.05 - 0.015**2 / 0.05, 0.015**2 / 0.05], atol=5e-4
    )
    np.testing.assert_allclose(states["extended coupling"].energies[0], [-0.1, 0.1], rtol=2e-5)
    np.testing.assert_allclose(states["extended coupling"].energies[2], [-0.2, 0.2], rtol=2e-4)


@pytest.mark.parametrize("name", TULLY)
def test_slopes_of_tully_s_problems_hold_where_two_formulas_meet(name: str) -> None:
    here, after, before = (adiabatic_states(TULLY[name], np.array([[x], [0.7]])) for x in (0.0, 1e-6, -1e-6))
    differences = (after.energies[0] - before.energies[0]) / 2e-6
    np.testing.assert_allclose(here.gradients[0, :, 0], differences, atol=1e-6)  # curvatures jump


def test_coordinates_must_fit() -> None:
    with pytest.raises(ValueError, match=r"expected \(points, 2\)"):
        adiabatic_states(LinearVibronicCoupling(), np.zeros((4, 3)))
    with pytest.raises(ValueError, match="point 1 are not finite"):
        adiabatic_states(LinearVibronicCoupling(), np.array([[0.0, 0.0], [np.nan, 0.0]]))
