"""Intersections are found where they are known to be, and the phase around them is -1."""

import numpy as np
import pytest

from atomistic.excited import CoarseLoop, NoIntersection, adiabatic_states, conical_intersection, geometric_phase
from atomistic.excited.models import LinearVibronicCoupling, SimpleAvoidedCrossing

from .models import ThreeStates

ANGLE = np.linspace(0.0, 2.0 * np.pi, 60, endpoint=False)
CIRCLE = np.stack([np.cos(ANGLE), np.sin(ANGLE)], axis=1)


def test_the_cone_of_linear_vibronic_coupling() -> None:
    model = LinearVibronicCoupling()
    found = conical_intersection(model, np.array([0.6, 0.4]))
    np.testing.assert_allclose(found.point, model.intersection, atol=1e-10)
    assert found.energy == pytest.approx(0.5 * model.intersection[0] ** 2, rel=1e-10)
    # the branching plane is all of it: the cone opens with tuning and coupling whatever pair of vectors is taken
    product = abs(np.linalg.det(found.branching))
    assert product == pytest.approx(model.tuning * model.coupling, rel=1e-8)


def test_of_a_seam_the_lowest_point_is_found_with_a_third_state_near() -> None:
    model = ThreeStates()
    found = conical_intersection(model, np.array([0.1, 0.3, 0.5]))
    assert found.gap < 1e-8
    # the seam: no point of it nearby is lower
    normal = np.linalg.svd(found.branching)[2][2]
    gradient = adiabatic_states(model, found.point[None]).gradients[0][:2].mean(0)
    assert abs(gradient @ normal) < 1e-5
    assert np.linalg.norm(gradient) > 1e-3  # it is no minimum of the mean energy otherwise


def test_signs_change_around_the_cone_and_not_beside_it() -> None:
    model = LinearVibronicCoupling()
    around, beside = np.array(model.intersection) + 0.3 * CIRCLE, np.array([0.5, 0.0]) + 0.3 * CIRCLE
    np.testing.assert_array_equal(geometric_phase(model, around), [-1, -1])
    np.testing.assert_array_equal(geometric_phase(model, beside), [1, 1])
    np.testing.assert_array_equal(geometric_phase(model, np.concatenate([around, around])), [1, 1])  # twice


def test_nonsense_is_refused() -> None:
    model = LinearVibronicCoupling()
    with pytest.raises(CoarseLoop, match="take more points"):
        geometric_phase(model, np.array(model.intersection) + 0.3 * CIRCLE[::20])
    with pytest.raises(ValueError, match="at least three"):
        geometric_phase(model, CIRCLE[:2])
    with pytest.raises(ValueError, match="lower = 1"):
        conical_intersection(model, np.zeros(2), lower=1)
    with pytest.raises(NoIntersection, match="still"):
        conical_intersection(SimpleAvoidedCrossing(), np.array([0.5]))
