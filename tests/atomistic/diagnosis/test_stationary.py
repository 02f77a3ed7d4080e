"""Stationary points of known index and number of zero modes, by all eigenvalues and by Lanczos; saddles are escaped from."""

import warnings

import numpy as np
import pytest
import torch

from atomistic.diagnosis import (
    Landscape,
    NotStationary,
    NoWayDown,
    StationaryPoint,
    classify,
    escape,
    gradient_flow,
    polished,
    split_neuron,
    twin_subspace,
)
from atomistic.training_loss import Model
from tests.atomistic.diagnosis.curves import curve, twins


@pytest.fixture(scope="module")
def one_neuron() -> np.ndarray:
    """The minimum of the network of one neuron."""
    start = np.random.default_rng(0).normal(size=4)
    return polished(curve(1), gradient_flow(curve(1), start, gradient_below=1e-6).theta)


def quadratic(curvatures: np.ndarray) -> Landscape:
    """1/2 theta^T Q diag(curvatures) Q^T theta, Q random."""
    rotation = np.linalg.qr(np.random.default_rng(1).normal(size=(len(curvatures), len(curvatures))))[0]
    matrix = torch.from_numpy(rotation * curvatures @ rotation.T)
    return Landscape(lambda theta: 0.5 * theta @ matrix @ theta)


@pytest.mark.parametrize(
    ("negative", "zero", "kind"),
    [(0, 0, "minimum"), (0, 11, "degenerate minimum"), (3, 0, "saddle"), (9, 7, "saddle"), (25, 0, "saddle"), (40, 0, "maximum")],
)  # fmt: skip
@pytest.mark.parametrize("dense", [True, False])
def test_index_and_zero_modes(negative: int, zero: int, kind: str, dense: bool) -> None:
    """Multiple zeros included, which Lanczos from one start is prone to miss."""
    signs = np.repeat([-1.0, 0.0, 1.0], (negative, zero, 40 - negative - zero))
    curvatures = signs * np.random.default_rng(2).uniform(0.01, 10.0, 40)
    found = classify(quadratic(curvatures), np.zeros(40), dense=dense)
    assert (found.kind, found.index, found.zero_modes, found.complete) == (kind, negative, zero, True)
    assert found.directions.shape == (40, negative)
    np.testing.assert_allclose(found.eigenvalues[:negative], np.sort(curvatures)[:negative], rtol=1e-6)


def test_lanczos_says_where_it_stopped_counting() -> None:
    curvatures = np.linspace(-1.0, 1.0, 300)
    found = classify(quadratic(curvatures), np.zeros(300), dense=False, limit=20)
    assert not found.complete and found.index >= 20
    assert "at least" in str(found)


def test_a_slope_is_named() -> None:
    curvatures = np.linspace(0.1, 1.0, 30)
    theta = np.ones(30)
    for dense in (True, False):
        with pytest.warns(NotStationary, match="the spectrum is that of a slope"):
            found = classify(quadratic(curvatures), theta, dense=dense)
        assert found.kind == "slope"
        # Of a quadratic all that lies above its minimum would fall
        assert found.fall == pytest.approx(found.loss, rel=1e-9)


def test_minimum_of_one_neuron(one_neuron: np.ndarray) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = classify(curve(1), one_neuron)
    assert (found.kind, found.index, found.zero_modes) == ("minimum", 0, 0)
    assert found.gradient_norm < 1e-13 and found.loss > 1e-3


@pytest.mark.parametrize("dense", [True, False])
@pytest.mark.parametrize(("share", "index", "zero"), [(0.5, 1, 1), (1.5, 1, 1), (1.0, 0, 3)])
def test_identical_neurons_and_dead_ones(
    one_neuron: np.ndarray, share: float, index: int, zero: int, dense: bool
) -> None:
    """Twins have one zero mode, along the share; a dead one three, along its incoming weight, its bias and the share."""
    found = classify(curve(2), twins(one_neuron, share), dense=dense)
    assert (found.index, found.zero_modes) == (index, zero)
    assert found.kind == ("saddle" if index else "degenerate minimum")
    assert found.loss == pytest.approx(curve(1).at(one_neuron), rel=1e-14)


def test_regularisation_isolates_a_degenerate_minimum(one_neuron: np.ndarray) -> None:
    theta = twins(one_neuron, 1.0)
    free = classify(curve(2), theta)
    assert (free.kind, free.zero_modes) == ("degenerate minimum", 3)
    confined = curve(2).confined(1e-3)
    settled = polished(confined, gradient_flow(confined, theta, gradient_below=1e-6).theta)
    found = classify(confined, settled)
    assert (found.kind, found.index, found.zero_modes) == ("minimum", 0, 0)
    assert found.eigenvalues[0] > 1e-4
    assert (
        found.eigenvalues[-1] / found.eigenvalues[0] < 1e-6 * free.eigenvalues[-1] / np.abs(free.eigenvalues[:3]).max()
    )


def test_escape_from_the_saddle_of_twins(one_neuron: np.ndarray) -> None:
    """It leaves as exp(-h t) along the negative curvature h, and ends near where the curve is met exactly."""
    landscape, theta = curve(2), twins(one_neuron, 0.5)
    saddle = classify(landscape, theta)
    flow = escape(landscape, theta, saddle, gradient_below=1e-4)
    assert flow.losses[0] < saddle.loss
    assert flow.losses[0] == pytest.approx(saddle.loss, rel=1e-5)
    assert flow.losses[-1] < 1e-2 * saddle.loss
    assert (np.diff(flow.losses) < 0.0).all() and flow.imbalance < 1e-6
    grown = int(np.argmax(flow.gradient_norms > 3.0 * flow.gradient_norms[0]))
    rate = np.log(flow.gradient_norms[grown] / flow.gradient_norms[0]) / flow.times[grown]
    assert rate == pytest.approx(-saddle.eigenvalues[0], rel=0.02)


def test_there_is_no_escape_from_a_minimum(one_neuron: np.ndarray) -> None:
    with pytest.raises(NoWayDown, match="a minimum without negative curvature, expected a saddle"):
        escape(curve(1), one_neuron, classify(curve(1), one_neuron))


MODEL = Model((13, 28), (5, 4, 3, 1), unit=0.7)


@pytest.mark.parametrize("layer", [0, 1])
@pytest.mark.parametrize("share", [0.5, 1.0, -0.4])
def test_a_split_neuron_leaves_the_function_as_it_is(layer: int, share: float) -> None:
    generator = np.random.default_rng(0)
    theta, inputs = generator.normal(size=len(MODEL)), torch.from_numpy(generator.normal(size=(6, 5)))
    wider, split = split_neuron(MODEL, theta, layer=layer, neuron=1, share=share)
    assert wider.widths[layer + 1] == MODEL.widths[layer + 1] + 1 and len(wider) == len(split)
    own, other = MODEL.networks(torch.from_numpy(theta)), wider.networks(torch.from_numpy(split))
    for number in (13, 28):
        np.testing.assert_allclose(own[number](inputs), other[number](inputs), atol=1e-13)
    np.testing.assert_array_equal(theta, theta.copy())


def test_twins_stay_twins() -> None:
    basis = twin_subspace(MODEL, layer=0, neuron=2)
    np.testing.assert_allclose(basis.T @ basis, np.eye(len(MODEL)), atol=1e-14)
    theta = np.random.default_rng(1).normal(size=len(MODEL))
    _, split = split_neuron(MODEL, theta, layer=0, neuron=2)
    np.testing.assert_allclose(basis @ (basis.T @ split), split, atol=1e-14)
    with pytest.raises(
        ValueError, match=r"neuron 4 of hidden layer 0, expected one of a network with hidden layers \(4, 3\)"
    ):
        split_neuron(MODEL, theta, layer=0, neuron=4)


def test_a_point_says_in_words_what_it_is() -> None:
    found = classify(quadratic(np.array([-1.0, 2.0])), np.zeros(2))
    assert isinstance(found, StationaryPoint)
    assert str(found) == "saddle, 1 negative and 0 zero curvatures, |grad E| = 0, E = 0"
