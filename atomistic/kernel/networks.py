"""Networks laid out for the C kernels (network.h)."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from atomistic.kernel.arrays import Arrays
from atomistic.network import Network

OUTPUTS: Final = 10
"""Rows of weights in a tile, as in network.h."""

ACTIVATION_CODES: Final = {"tanh": 0, "softplus": 1, "logistic": 2, "linear": 3, "radial": 4}
"""Activations that the kernels know, by their number in network.h."""

NETWORKS_INTERFACE: Final = """
typedef struct {
    int64_t inputs, outputs;
    int64_t activation;
    const double *forward;
    const double *backward;
    const double *bias;
} network_layer;
typedef struct {
    int64_t hidden;
    const network_layer *layers;
    const double *last;
    double last_bias;
    const double *skip;
} atomic_network;
"""


def padded(array: ndarray) -> ndarray:
    """The rows of an array filled up with zeros to whole tiles."""
    missing = -len(array) % OUTPUTS
    return np.concatenate([array, np.zeros((missing, *array.shape[1:]))])


def tiles(weight: Float[ndarray, "outputs inputs"]) -> Float[ndarray, "numbers"]:
    """Weights in the order (tile of rows, column, row in tile)."""
    rows = padded(weight)
    return rows.reshape(-1, OUTPUTS, weight.shape[1]).transpose(0, 2, 1).ravel()


def add_networks(networks: Sequence[Network], arrays: Arrays) -> Any:
    """Address of the structures `atomic_network`, one a network.

    Raises:
        KeyError: an activation that the kernels do not know.
    """
    return arrays.add("atomic_network", [_structure(network, arrays) for network in networks])


def _structure(network: Network, arrays: Arrays) -> tuple[Any, ...]:
    def address(array: ndarray) -> Any:
        return arrays.add("double", array)

    layers = [tuple(tensor.detach().cpu().numpy() for tensor in layer) for layer in network.layers]
    hidden = [
        (
            weight.shape[1],
            weight.shape[0],
            ACTIVATION_CODES[activation],
            address(tiles(weight)),
            address(tiles(weight.T)),
            address(padded(bias)),
        )
        for (weight, bias), activation in zip(layers, network.activations, strict=False)
    ]
    weight, bias = layers[-1]
    skip = np.zeros(network.inputs) if network.skip is None else network.skip.detach().cpu().numpy()
    return (
        len(hidden),
        arrays.add("network_layer", hidden),
        address(padded(weight[0])),
        float(bias[0]),
        address(padded(skip)),
    )
