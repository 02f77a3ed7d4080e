"""A linear term beside the layers of a network, carried through the layers: for formats that have layers only.

One node more of each hidden layer takes it, with nothing from or to the others: tanh(d x) / d is x to the last digit for d = 2^-40/eV,
where the relative accuracy of tanh at small arguments is that of the C library.
"""

from typing import Final

import torch

from atomistic.network import Layers, Network

STRAIGHT: Final = 2.0**-40
"""1/eV; where tanh is a straight line in double precision."""


def through_layers(network: Network) -> Network:
    """The network without `skip`, one node wider where it had one.

    Raises:
        ValueError: for a skip beside layers that are not of tanh or linear.
    """
    if network.skip is None:
        return network
    if not set(network.activations) <= {"tanh", "linear"}:
        raise ValueError(
            f"a linear term (skip) beside layers with activations {network.activations}, expected tanh or linear ones"
        )
    (weight, bias), *others = network.layers
    if not others:
        return Network(((weight + network.skip, bias),))
    layers = [(torch.cat([weight, network.skip[None] * STRAIGHT]), torch.cat([bias, bias.new_zeros(1)]))]
    for weight, bias in others[:-1]:
        layers.append((torch.block_diag(weight, weight.new_ones(1, 1)), torch.cat([bias, bias.new_zeros(1)])))
    weight, bias = others[-1]
    layers.append((torch.cat([weight, weight.new_full((1, 1), 1.0 / STRAIGHT)], dim=1), bias))
    return Network(tuple(layers), network.activations)


def beside_layers(network: Network) -> Network:
    """The inverse: the same network with `skip` where its last nodes are what `through_layers` adds; else itself.

    Evaluated so, it needs no accuracy of tanh at small arguments, and fewer nodes.
    """
    first, *middle, last = network.layers if len(network.layers) > 1 else (None, None)
    if first is None or last is None or network.skip is not None or not set(network.activations) <= {"tanh", "linear"}:
        return network
    straight = last[0][0, -1] == 1.0 / STRAIGHT and first[1][-1] == 0.0 and len(first[1]) > 1
    for weight, bias in middle:
        alone = weight[-1, -1] == 1.0 and bias[-1] == 0.0 and not weight[-1, :-1].any() and not weight[:-1, -1].any()
        straight = straight and alone and len(bias) > 1
    if not straight:
        return network
    layers: Layers = (
        (first[0][:-1].clone(), first[1][:-1].clone()),
        *((weight[:-1, :-1].clone(), bias[:-1].clone()) for weight, bias in middle),
        (last[0][:, :-1].clone(), last[1]),
    )
    return Network(layers, network.activations, first[0][-1] / STRAIGHT)
