"""The body-ordered descriptors in C (body_ordered.c): its generated part, and what it is called with."""

import math
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from cffi import FFI
from jaxtyping import Int
from numpy import ndarray

from atomistic.body_ordered import BodyOrdered
from atomistic.kernel.arrays import Arrays, ArraysInMemory
from atomistic.kernel.calling import Kernel, cutoff_name, kernel_interface, kernel_source
from atomistic.kernel.four_body import four_body_source
from atomistic.kernel.networks import add_networks
from atomistic.network import Network

SOURCE: Final = Path(__file__).with_suffix(".c")
NAME: Final = "body_ordered"
BLOCK: Final = 8
"""Functions and channels are filled up to multiples of this, as in body_ordered.c."""

INTERFACE: Final = kernel_interface(
    NAME,
    """
typedef struct {
    double cutoff, angular_cutoff;
    int64_t inputs;
    const int32_t *source;
    const atomic_network *networks;
    const double *mix;
    const double *transposed_mix;
} body_ordered_model;
int64_t body_ordered_lanes(void);
""",
)


def filled(count: int) -> int:
    """`count` up to the next multiple of a block."""
    return -(-count // BLOCK) * BLOCK


def mixes(descriptors: BodyOrdered) -> bool:
    """Whether the channels are anything but one an element and Chebyshev function."""
    channels = np.array(descriptors.channels).reshape(len(descriptors.channels), -1)
    return not np.array_equal(channels, np.eye(channels.shape[1]))


def places(descriptors: BodyOrdered) -> Int[ndarray, "channels"]:
    """Where each channel stands among the filled-up ones."""
    channels = np.arange(len(descriptors.channels))
    if mixes(descriptors):
        return channels
    return channels // descriptors.angular * filled(descriptors.angular) + channels % descriptors.angular


def block_pairs(descriptors: BodyOrdered) -> list[tuple[int, int]]:
    """Pairs of blocks that hold all products of channels in equal places; empty where a product joins different places."""
    ends = places(descriptors)[np.array(descriptors.pairs)]
    if (ends[:, 0] % BLOCK != ends[:, 1] % BLOCK).any():
        return []
    return sorted({(int(a), int(b)) for a, b in ends // BLOCK})


@cache
def source(descriptors: BodyOrdered) -> str:
    """The C source for a set of descriptors, its dimensions written into it."""
    elements, degree = len(descriptors.numbers), descriptors.degree
    pairs = block_pairs(descriptors)
    orders = [(n, m) for n in range(1, degree + 1) for m in range(-n, n + 1)]
    norms = [
        math.sqrt((2 - (m == 0)) * math.factorial(n - abs(m)) / math.factorial(n + abs(m)))
        * math.prod(range(1, 2 * abs(m), 2))
        for n, m in orders
    ]
    macros = {
        "ELEMENTS": elements,
        "RADIAL": descriptors.radial,
        "ANGULAR": descriptors.angular,
        "DEGREE": degree,
        "CHANNELS": len(descriptors.channels) if mixes(descriptors) else 0,
        "CUTOFF": cutoff_name(descriptors.cutoff_function),
        "TRIPLES": len(descriptors.triples),
        "BLOCK_PAIRS": len(pairs),
        "PAIRS": "{" + ", ".join(f"{{{a}, {b}}}" for a, b in pairs) + "}",
        "NORMS": "{" + ", ".join(map(repr, norms)) + "}",
    }
    return kernel_source(NAME, macros, four_body_source(descriptors.triples) + SOURCE.read_text())


def places_of_descriptors(descriptors: BodyOrdered, lanes: int) -> Int[ndarray, "functions"]:
    """Where each descriptor stands in the kernel's own order, filled up to whole vectors."""
    elements, degree, angular = len(descriptors.numbers), descriptors.degree, filled(descriptors.angular)
    channel = places(descriptors)
    channels = filled(len(channel)) if mixes(descriptors) else elements * angular
    two_body = np.arange(elements)[:, None] * filled(descriptors.radial) + np.arange(descriptors.radial)
    start = elements * filled(descriptors.radial)
    pairs = block_pairs(descriptors)
    first, second = channel[np.array(descriptors.pairs)].T
    orders = np.arange(degree)
    if pairs:
        block = np.array([pairs.index((int(a), int(b))) for a, b in zip(first // BLOCK, second // BLOCK, strict=True)])
        vector = block * (BLOCK // lanes) + first % BLOCK // lanes
        three_body = (vector[:, None] * degree + orders) * lanes + first[:, None] % lanes
        four_body_start = start + len(pairs) * degree * BLOCK
    else:
        three_body = (orders * channels + first[:, None]) * channels + second[:, None]
        four_body_start = start + degree * channels * channels
    triples = np.arange(len(descriptors.triples))[:, None]
    four_body = (channel // lanes * len(descriptors.triples) + triples) * lanes + channel % lanes
    return np.concatenate([two_body.ravel(), start + three_body.ravel(), four_body_start + four_body.ravel()])


def mixing_matrix(descriptors: BodyOrdered) -> ndarray:
    """c[n][a][k] as a matrix from filled-up moments to filled-up channels."""
    channels = np.array(descriptors.channels)
    count, elements, angular = channels.shape
    matrix = np.zeros((elements, filled(angular), filled(count)))
    matrix[:, :angular, :count] = channels.transpose(1, 2, 0)
    return matrix.reshape(-1, filled(count))


def model(descriptors: BodyOrdered, networks: Mapping[int, Network], lanes: int, arrays: Arrays) -> tuple[Any, ...]:
    """The structure `body_ordered_model` for vectors of `lanes` numbers."""
    source = places_of_descriptors(descriptors, lanes)
    members = (
        descriptors.cutoff,
        descriptors.angular_cutoff,
        len(source),
        arrays.add("int32_t", source),
        add_networks([networks[number] for number in descriptors.numbers], arrays),
    )
    if not mixes(descriptors):
        return members
    mix = mixing_matrix(descriptors)
    return *members, arrays.add("double", mix), arrays.add("double", mix.T[: len(descriptors.channels)])


def bound(library: Any, ffi: FFI, descriptors: BodyOrdered, networks: Mapping[int, Network]) -> Kernel:
    """Descriptors and networks bound to their library."""
    arrays = ArraysInMemory(ffi)
    members = model(descriptors, networks, library.body_ordered_lanes(), arrays)
    return Kernel(library, NAME, members, len(descriptors.numbers), arrays)
