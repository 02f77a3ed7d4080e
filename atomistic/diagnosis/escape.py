r"""Saddles of the loss: made by splitting a neuron, and left along their negative curvature.

A neuron with incoming weights w and outgoing ones v becomes two, with the same w and with s v and (1 - s) v. The function is the same
for every s, and what is stationary stays so, with a zero mode along s. The curvature of moving the twins apart is s (1 - s) times a
matrix, so that a minimum becomes a saddle for s in (0, 1), or for s outside of [0, 1], or both (Fukumizu and Amari, Neural Networks 13
(2000) 317). At s = 0 or 1 one twin is dead and its incoming weights are zero modes. To split a neuron of a trained network and to leave
the saddle is a way to let it grow (Wu, Wang and Liu, NeurIPS 2019). With l2 regularisation the split point is not stationary, but the
minimum among identical twins is (`twin_subspace`).

Beside a saddle the gradient flow leaves as u(t) = u(0) e^(-h t) along a direction of curvature h < 0.
"""

from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from atomistic.diagnosis.gradient_flow import Flow, gradient_flow
from atomistic.diagnosis.landscape import Landscape
from atomistic.diagnosis.stationary import StationaryPoint
from atomistic.training_loss import Model


class NoWayDown(ValueError):
    """A point without negative curvature, from which there is nothing to escape along."""


def escape(
    landscape: Landscape,
    theta: Float[ndarray, "parameters"],
    saddle: StationaryPoint,
    *,
    distance: float = 1e-3,
    **flow: Any,
) -> Flow:
    """Leave a saddle along its most negative curvature, to the side on which the loss is lower, and follow the gradient flow.

    Args:
        landscape: E.
        theta: the saddle.
        saddle: what `classify` said of it.
        distance: of the start from the saddle.
        flow: further arguments of `gradient_flow`.

    Raises:
        NoWayDown: where no curvature is negative.
        FlowFailed, HessianTooLarge, NonFiniteLoss: as `gradient_flow`.
    """
    if saddle.index == 0:
        raise NoWayDown(
            f"a {saddle.kind} without negative curvature, expected a saddle: there is no direction to leave along"
        )
    step = distance * saddle.directions[:, 0]
    start = min((theta + step, theta - step), key=landscape.at)
    return gradient_flow(landscape, start, **flow)


def split_neuron(
    model: Model, theta: Float[ndarray, "parameters"], *, layer: int, neuron: int, share: float = 0.5
) -> tuple[Model, Float[ndarray, "wider"]]:
    """The same function by a network with one more neuron: one becomes two that share its outgoing weights.

    Args:
        model: networks of all elements; each has this neuron split.
        theta: its parameters.
        layer: hidden layer, from 0.
        neuron: in it, from 0; its twin is the last of the layer.
        share: s of the module's docstring, what the neuron itself keeps.

    Raises:
        ValueError: for a layer or neuron that the networks do not have.
    """
    hidden = model.widths[1:-1]
    if not 0 <= layer < len(hidden) or not 0 <= neuron < hidden[layer]:
        raise ValueError(
            f"neuron {neuron} of hidden layer {layer}, expected one of a network with hidden layers {hidden}, counted from 0"
        )
    parts = []
    for own in np.split(theta, len(model.numbers)):
        start = 0
        for k, (inputs, outputs) in enumerate(model.shapes):
            weight = own[start : start + inputs * outputs].reshape(outputs, inputs)
            bias = own[start + inputs * outputs : start + (inputs + 1) * outputs]
            start += (inputs + 1) * outputs
            if k == layer:
                weight, bias = np.vstack([weight, weight[neuron]]), np.append(bias, bias[neuron])
            if k == layer + 1:
                weight = np.column_stack([weight, (1.0 - share) * weight[:, neuron]])
                weight[:, neuron] *= share
            parts += [weight.ravel(), bias]
        parts.append(own[start:])
    widths = tuple(width + (k == layer + 1) for k, width in enumerate(model.widths))
    return Model(model.numbers, widths, model.unit), np.concatenate(parts)


def twin_subspace(model: Model, *, layer: int, neuron: int) -> Float[ndarray, "wider parameters"]:
    """Orthonormal basis of the parameters, of the network with this neuron split, for which the twins are identical.

    Exchange of the twins is a symmetry of the loss, with or without regularisation, so that the gradient flow never leaves this
    subspace: its minima there are stationary points of the whole, saddles where the twins would part.

    Raises:
        ValueError: for a layer or neuron that the networks do not have.
    """
    columns = [split_neuron(model, unit, layer=layer, neuron=neuron)[1] for unit in np.eye(len(model))]
    return np.stack([column / np.linalg.norm(column) for column in columns], axis=1)
