"""The gradient flow: exact on a quadratic, dissipation, monotone fall; failures keep the last state."""

import numpy as np
import pytest
import torch

from atomistic.diagnosis import Flow, FlowFailed, Landscape, gradient_flow
from tests.atomistic.diagnosis.curves import curve

STIFF = np.logspace(-2, 6, 9)
START = np.random.default_rng(0).normal(size=4)


def stiff() -> Landscape:
    return Landscape(lambda theta: 0.5 * (torch.from_numpy(STIFF) * theta.square()).sum())


@pytest.fixture(scope="module")
def flow() -> Flow:
    return gradient_flow(curve(1), START, gradient_below=1e-7)


def test_stiff_quadratic_follows_its_exponentials() -> None:
    """Eight decades of curvature, ten decay times of a middle one: an explicit method would need some 1e7 steps."""
    start = np.ones(9)
    flow = gradient_flow(stiff(), start, until=10.0, relative_error=1e-5)
    assert flow.ended == "time" and flow.times[-1] == 10.0 and len(flow.times) < 400
    np.testing.assert_allclose(flow.theta, np.exp(-STIFF * 10.0), atol=1e-6)
    assert flow.imbalance < 1e-6


def test_the_loss_falls_by_what_is_dissipated(flow: Flow) -> None:
    assert flow.ended == "stationary" and flow.gradient_norms[-1] <= 1e-7
    assert (np.diff(flow.losses) < 0.0).all()
    assert flow.losses[-1] < 0.01 * flow.losses[0]
    assert flow.imbalance < 1e-6


def test_rate_of_the_loss_is_minus_the_square_of_the_gradient(flow: Flow) -> None:
    """By differences in time: the flow restarted from points along it, 1e-3 of the time since the start further."""
    landscape = curve(1)
    theta = START
    for until in (1e-3, 0.1, 1.0):
        theta = gradient_flow(landscape, theta, until=until).theta
        _, gradient = landscape.gradient(theta)
        step = 1e-2 / np.linalg.norm(landscape.point(theta).hessian(), 2)
        losses = [landscape.at(theta)]
        for k in range(1, 5):
            further = gradient_flow(landscape, theta, until=k * step, relative_error=1e-11, absolute_error=1e-13)
            losses.append(landscape.at(further.theta))
        rate = np.array([-25.0, 48.0, -36.0, 16.0, -3.0]) @ losses / (12.0 * step)
        assert rate == pytest.approx(-gradient @ gradient, rel=1e-6)


def test_backward_differentiation_formulas_arrive_at_the_same_place(flow: Flow) -> None:
    other = gradient_flow(curve(1), START, gradient_below=1e-7, method="BDF", relative_error=1e-6)
    assert (np.diff(other.losses) < 0.0).all()
    np.testing.assert_allclose(other.theta, flow.theta, atol=1e-4)


def test_a_gradient_of_something_else_is_found_out_and_the_last_state_kept() -> None:
    class Sideways(torch.autograd.Function):
        @staticmethod
        def forward(_: object, theta: torch.Tensor) -> torch.Tensor:
            return theta.square().sum()

        @staticmethod
        def backward(_: object, along: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
            return -along * torch.ones(2, dtype=torch.float64)

    with pytest.raises(FlowFailed, match="the loss rises at time 0 however small") as caught:
        gradient_flow(Landscape(lambda theta: Sideways.apply(theta) + 0.0 * theta.square().sum()), np.array([1.0, 2.0]))
    np.testing.assert_array_equal(caught.value.flow.theta, [1.0, 2.0])
    assert caught.value.flow.ended == "failed"


def test_an_infinite_slope_on_the_way_keeps_the_last_state() -> None:
    """E = sqrt(theta) falls into its kink at zero in finite time."""
    with pytest.raises(FlowFailed) as caught:
        gradient_flow(Landscape(lambda theta: theta.sqrt().sum()), np.array([1.0]), most_steps=500)
    flow = caught.value.flow
    assert 0.0 < flow.theta[0] < 1e-3
    assert flow.losses[-1] == pytest.approx(np.sqrt(flow.theta[0]), rel=1e-12)
    # d theta/dt = -1/2 theta^(-1/2): theta^(3/2) falls linearly
    assert flow.times[-1] == pytest.approx(4.0 / 3.0, abs=1e-3)


def test_steps_and_arguments_run_out() -> None:
    with pytest.raises(
        FlowFailed, match=r"after 5 steps the flow is at time .* go on from its last parameters"
    ) as caught:
        gradient_flow(curve(1), START, most_steps=5)
    further = gradient_flow(curve(1), caught.value.flow.theta, until=1.0)
    assert further.losses[0] == caught.value.flow.losses[-1]
    with pytest.raises(ValueError, match=r"until = 0\.0, expected a positive"):
        gradient_flow(curve(1), START, until=0.0)


def test_a_stationary_start_stays() -> None:
    flow = gradient_flow(stiff(), np.zeros(9))
    assert flow.ended == "stationary" and len(flow.times) == 1 and flow.imbalance == 0.0
