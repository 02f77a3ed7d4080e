"""What law.c reads of one law: the block of its parameters (block.h), and the state that it is called with."""

import sys
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from typing import Final

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from fem.c_function import StateField
from multiscale.laws.network_terms import NetworkTerms
from multiscale.trust.gauge import Gauge

IMAGES_PER_RUN: Final = 512
PADDED_TO: Final = 4
"""The C source's limits on runs of images: their product of numbers in [1, 2] must not overflow; four share a division."""

IDLE_BIAS: Final = -800.0
"""Bias of the images that fill a run up: softplus and sigmoid of it are zero."""

ORIENTATION: Final = StateField("orientation", (3, 3), tuple(np.eye(3).ravel().tolist()))
"""R, from the crystal's axes to the laboratory's: P(F) = P_crystal(F R) R^T."""

TEMPERATURE: Final = StateField("temperature", ())
"""T in K, >= 0."""

RECORD_AT_MOST: Final = 14 + 1 + 105
"""Length of a record of the largest integrity basis."""

LAYOUT: Final = 1
"""Of the block of parameters; block.h has the same."""

HEAD: Final = 32
"""Numbers before the first section."""


@dataclass(frozen=True)
class Temperature:
    """What a law of temperature adds to its terms: W = sum_k theta^k W_k - c (T ln(T / span) - T), theta = (T - origin) / span, T in K.

    Attributes:
        heat_capacity: c. lowest, highest: temperatures of the data, outside which trust falls.
    """

    origin: float = 0.0
    span: float = 1.0
    heat_capacity: float = 0.0
    lowest: float = 0.0
    highest: float = np.inf


def tag(kind: str) -> bytes:
    """The eight bytes by which a block and its function know each other."""
    return kind[:8].ljust(8, "_").encode()


def parameter_block(
    terms: Sequence[NetworkTerms], gauge: Gauge | None, temperature: Temperature | None
) -> Float[ndarray, "p"]:
    """The terms laid out as law_parameters (block.h): a head, then sections that begin at multiples of eight doubles."""
    first = terms[0]
    runs = [run[k : k + IMAGES_PER_RUN] for run in neurons_of(terms) for k in range(0, len(run), IMAGES_PER_RUN)]
    images = [records(first, members) for members in runs]
    trust = [] if gauge is None else [gauge_factor(first, gauge, runs), gauge.offset, gauge.slope]
    sections = {
        "begin": np.cumsum([0, *(len(run) for run in images)]).astype(np.int64).view(np.float64),
        "amplitude": np.array([[each.amplitudes[members[0]] for each in terms] for members in runs]),
        # the kernel's last tile reads beyond a record's end
        "images": np.concatenate([*(run.ravel() for run in images), np.zeros(RECORD_AT_MOST)]),
        "constant": np.array([each.constant for each in terms]),
        "linear": np.stack([each.linear for each in terms], axis=-1),
        "quadratic": np.stack([each.quadratic for each in terms], axis=-1),
        "tables": first.arguments.tables,
        "gauge": np.concatenate([np.zeros(0), *(array.ravel() for array in trust)]),
    }
    offset, placed = {}, [np.zeros(HEAD)]
    for name, array in sections.items():
        offset[name] = sum(map(len, placed))
        placed.append(np.append(array.ravel(), np.zeros(-array.size % 8)))
    integers = [
        int.from_bytes(tag(first.arguments.kernel), sys.byteorder),
        LAYOUT,
        len(first.linear),
        len(runs),
        *(offset[name] for name in ("begin", "amplitude", "images", "constant", "linear", "quadratic", "tables")),
        len(first.arguments.tables),
        0 if gauge is None else gauge.factor.shape[1],
        offset["gauge"],
        len(terms),
        ORIENTATION.size + (0 if temperature is None else TEMPERATURE.size),
    ]
    border = 0.0 if gauge is None else gauge.border
    numbers = [first.log_volume, first.growth_modulus, first.growth_threshold, border]
    numbers += astuple(temperature or Temperature())
    placed[0][: len(integers)] = np.array(integers, dtype=np.int64).view(np.float64)
    placed[0][len(integers) : len(integers) + len(numbers)] = numbers
    block = np.concatenate(placed)
    block.flags.writeable = False
    return block


def neurons_of(terms: Sequence[NetworkTerms]) -> list[Int[ndarray, "k"]]:
    """The images of one bias and one amplitude in each of the terms, for every such set."""
    rows = np.stack([*(each.amplitudes for each in terms), terms[0].biases], axis=1)
    _, owner = np.unique(rows, axis=0, return_inverse=True)
    return [np.flatnonzero(owner.ravel() == h) for h in range(owner.max(initial=-1) + 1)]


def gauge_factor(terms: NetworkTerms, gauge: Gauge, runs: Sequence[Int[ndarray, "k"]]) -> Float[ndarray, "g r"]:
    """The gauge's factor of each run, times the amplitude that the C text leaves out of a neuron's sums."""
    owner = np.zeros(len(terms.biases), dtype=int)
    for h, members in enumerate(gauge.neurons):
        owner[members] = h
    some = [run[0] for run in runs]
    return np.asarray(gauge.factor[owner[some]] * terms.amplitudes[some, None])


def records(terms: NetworkTerms, members: ndarray) -> Float[ndarray, "k r"]:
    """u, b and u u^T of the images, filled up with idle ones."""
    u = terms.weights[members]
    rows, columns = np.triu_indices(u.shape[1])
    idle = -len(members) % PADDED_TO
    return np.concatenate(
        [
            np.pad(u, ((0, idle), (0, 0))),
            np.pad(terms.biases[members, None], ((0, idle), (0, 0)), constant_values=IDLE_BIAS),
            np.pad(u[:, rows] * u[:, columns], ((0, idle), (0, 0))),
        ],
        axis=1,
    )
