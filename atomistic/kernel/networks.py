"""Networks laid out for the C kernels (network.h)."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from cffi import FFI
from jaxtyping import Float
from numpy import ndarray

from atomistic.network import Network

OUTPUTS: Final = 10
"""Rows of weights in a tile, as in network.h."""

ACTIVATION_CODES: Final = {"tanh": 0, "softplus": 1, "logistic": 2, "linear": 3}
"""Activations that the kernels know, by their number in network.h."""

INTERFACE: Final = """
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
typedef struct {
    const int64_t *first;
    const int32_t *neighbours;
    const double *positions;
    const int32_t *elements;
    const int32_t *owner;
} neighbour_rows;
"""


def padded(array: ndarray) -> ndarray:
    """The rows of an array filled up with zeros to whole tiles."""
    missing = -len(array) % OUTPUTS
    return np.concatenate([array, np.zeros((missing, *array.shape[1:]))])


def tiles(weight: Float[ndarray, "outputs inputs"]) -> Float[ndarray, "numbers"]:
    """Weights in the order (tile of rows, column, row in tile)."""
    rows = padded(weight)
    return np.ascontiguousarray(rows.reshape(-1, OUTPUTS, weight.shape[1]).transpose(0, 2, 1)).ravel()


class PackedNetworks:
    """C structures of the networks; `address` is valid as long as this object lives.

    Raises:
        KeyError: an activation that the kernels do not know.
    """

    def __init__(self, ffi: FFI, networks: Sequence[Network]) -> None:
        self._kept: list[Any] = []
        self._ffi = ffi
        self.address = ffi.new("atomic_network[]", len(networks))
        for k, network in enumerate(networks):
            self._pack(network, self.address[k])

    def _pointer(self, array: ndarray) -> Any:
        array = np.ascontiguousarray(array, dtype=np.float64)
        pointer = self._ffi.from_buffer("double[]", array)
        self._kept += [array, pointer]
        return pointer

    def _pack(self, network: Network, to: Any) -> None:
        layers = [tuple(tensor.detach().cpu().numpy() for tensor in layer) for layer in network.layers]
        to.hidden = len(layers) - 1
        to.layers = records = self._ffi.new("network_layer[]", len(layers))
        self._kept.append(records)
        for (weight, bias), activation, record in zip(layers, network.activations, records, strict=False):
            record.outputs, record.inputs = weight.shape
            record.activation = ACTIVATION_CODES[activation]
            record.forward, record.backward = self._pointer(tiles(weight)), self._pointer(tiles(weight.T))
            record.bias = self._pointer(padded(bias))
        weight, bias = layers[-1]
        to.last, to.last_bias = self._pointer(padded(weight[0])), float(bias[0])
        skip = np.zeros(network.inputs) if network.skip is None else network.skip.detach().cpu().numpy()
        to.skip = self._pointer(padded(skip))
