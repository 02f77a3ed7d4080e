"""Curvature of the loss: products and dense, against differences; l2; what is wrong with an input is said."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import atomistic
from atomistic.diagnosis import HessianTooLarge, Landscape, NonFiniteLoss, NoParameters, classify, gradient_flow
from tests.atomistic.diagnosis.curves import curve


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10_000), l2=st.sampled_from([0.0, 0.3]))
def test_products_are_derivatives_of_the_gradient(seed: int, l2: float) -> None:
    landscape = curve(2).confined(l2)
    theta, vector = np.random.default_rng(seed).normal(size=(2, 7))
    step = 1e-5
    ahead, behind = (landscape.gradient(theta + sign * step * vector)[1] for sign in (1.0, -1.0))
    point = landscape.point(theta)
    np.testing.assert_allclose(point.product(vector), (ahead - behind) / (2 * step), atol=1e-7, rtol=1e-6)
    np.testing.assert_allclose(point.hessian() @ vector, point.product(vector), atol=1e-12, rtol=1e-12)
    np.testing.assert_allclose(point.operator() @ vector, point.product(vector), atol=0.0)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10_000), l2=st.floats(1e-6, 1e3))
def test_l2_shifts_the_spectrum_by_its_strength(seed: int, l2: float) -> None:
    theta = np.random.default_rng(seed).normal(size=7)
    free, confined = (np.linalg.eigvalsh(curve(2).confined(s).point(theta).hessian()) for s in (0.0, l2))
    np.testing.assert_allclose(confined - free, l2, atol=1e-13 * (1.0 + l2 + np.abs(free).max()))


def test_landscape_of_a_training_is_its_loss(small_training: tuple[list, atomistic.Training]) -> None:
    training = small_training[1]
    objective = training.objective()
    landscape = Landscape.of(objective)
    assert landscape.l2 == 2.0 * objective.loss.decay > 0.0
    value, gradient = objective.loss.gradient(training.parameters)
    own, own_gradient = landscape.gradient(training.parameters)
    assert own == pytest.approx(value, rel=1e-12)
    np.testing.assert_allclose(own_gradient, gradient, rtol=1e-9, atol=1e-12)


def test_restriction_to_a_subspace() -> None:
    landscape = curve(2).confined(0.1)
    generator = np.random.default_rng(0)
    basis = np.linalg.qr(generator.normal(size=(7, 3)))[0]
    x = generator.normal(size=3)
    value, gradient = landscape.gradient(basis @ x)
    own, own_gradient = landscape.restricted(basis).gradient(x)
    assert own == pytest.approx(value, rel=1e-14)
    np.testing.assert_allclose(own_gradient, basis.T @ gradient, atol=1e-13)


def test_what_is_wrong_is_named() -> None:
    with pytest.raises(NoParameters, match=r"shape \(0,\), expected one flat vector"):
        curve(1).gradient(np.zeros(0))
    with pytest.raises(NoParameters):
        gradient_flow(curve(1), np.zeros(0))
    with pytest.raises(ValueError, match="l2 = -1"):
        curve(1).confined(-1.0)
    broken = Landscape(lambda theta: torch.log(theta).sum())
    with pytest.raises(NonFiniteLoss, match="the loss is nan at parameters up to 3") as caught:
        classify(broken, np.array([1.0, -3.0]))
    np.testing.assert_array_equal(caught.value.theta, [1.0, -3.0])
    assert isinstance(caught.value, atomistic.TrainingFailed)
    kink = Landscape(lambda theta: theta.sqrt().sum())
    with pytest.raises(NonFiniteLoss, match=r"gradient of the loss is .* by parameter 1"):
        kink.gradient(np.array([1.0, 0.0]))


def test_a_hessian_too_large_says_what_it_needs_and_the_way_without_it() -> None:
    landscape = Landscape(lambda theta: theta.square().sum())
    with pytest.raises(HessianTooLarge, match=r"20000 parameters need 2\.98 GiB, expected at most 2 GiB; .*dense=False"):
        classify(landscape, np.zeros(20_000), dense=True)
    with pytest.raises(HessianTooLarge, match=r"flow of 20000 parameters and its factors need 14\.9 GiB"):
        gradient_flow(landscape, np.ones(20_000))
