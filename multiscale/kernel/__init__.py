"""Laws in C: one source (law.c) for all, compiled on first use (`atomistic.compiler`) for the kind and number of the law's arguments.

What differs from law to law of one kind is a block of parameters, made here from the law's terms; the text is not. A text with the weights
written out gains nothing, since they are read from the first-level cache as an operand of the multiplication either way, and would take a
compilation of seconds for every fit.

Without a compiler, laws run on numpy, and a warning says so.
"""

import os
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from atomistic.compiler import VECTORS, built_library, library_or_warning
from fem.c_function import HEADER, SYMBOL, CFunction, StateField
from multiscale.network_terms import NetworkTerms

FOLDER: Final = Path(__file__).parent

NO_KERNEL_VARIABLE: Final = "ATOMLAW_NUMPY_LAWS"
"""Environment variable that, set to anything, keeps laws on numpy."""

IMAGES_PER_RUN: Final = 512
PADDED_TO: Final = 4
"""The C source's limits on runs of images: their product of numbers in [1, 2] must not overflow; four share a division."""

IDLE_BIAS: Final = -800.0
"""Bias of the images that fill a run up: softplus and sigmoid of it are zero."""

ACCUMULATORS: Final = 24
"""At most so many second derivatives are summed at a time (block.h)."""

INTERFACE: Final = f"""
int64_t {SYMBOL}(int64_t n, const double *F, const double *state, const void *parameters,
                 double *W, double *P, double *A, double *trust);
"""

ORIENTATION: Final = StateField("orientation", (3, 3), tuple(np.eye(3).ravel().tolist()))
"""R, from the crystal's axes to the laboratory's: P(F) = P_crystal(F R) R^T."""


def compiled(terms: NetworkTerms) -> CFunction | None:
    """The terms as a C function, or None where it cannot be built (with the warning `KernelUnavailable`, once)."""
    if NO_KERNEL_VARIABLE in os.environ:
        return None
    library = library_of(terms.arguments.kernel, len(terms.linear))
    return None if library is None else CFunction(library, parameter_block(terms), (ORIENTATION,))


@cache
def library_of(kind: str, arguments: int) -> Path | None:
    """Path of the library for laws with so many arguments of one kind; None with a warning where it cannot be built."""
    name, text = f"law_{kind}", source(kind, arguments)
    without = "a law runs on numpy, several times slower"
    if library_or_warning(name, text, INTERFACE, without=without, variable=NO_KERNEL_VARIABLE) is None:
        return None
    return built_library(name, text)


def source(kind: str, arguments: int) -> str:
    """The C text."""
    parts = [FOLDER / "block.h", FOLDER / f"{kind}.h", FOLDER / "law.c"]
    head = [VECTORS.read_text(), HEADER.read_text(), f"#define ARGUMENTS {arguments}\n"]
    return "".join([*head, *(part.read_text() for part in parts)])


def parameter_block(terms: NetworkTerms) -> Float[ndarray, "p"]:
    """The terms laid out as law_parameters (block.h): a head of twelve numbers, then sections that begin at multiples of eight."""
    runs = runs_of_equal_amplitude(terms)
    images = [records(terms, members) for members in runs]
    begin = np.cumsum([0, *(len(run) for run in images)]).astype(np.int64)
    tables = terms.arguments.tables
    sections = [
        begin.view(np.float64),
        np.array([terms.amplitudes[members[0]] for members in runs]),
        np.concatenate([np.zeros(0), *(run.ravel() for run in images)]),
        terms.linear,
        terms.quadratic.ravel(),
        tables.ravel(),
    ]
    head, position, placed = np.zeros(16), 16, []
    offsets = []
    for numbers in sections:
        offsets.append(position)
        padded = np.zeros(-(-len(numbers) // 8) * 8)
        padded[: len(numbers)] = numbers
        placed.append(padded)
        position += len(padded)
    head[:8] = np.array([len(runs), *offsets, len(tables)], dtype=np.int64).view(np.float64)
    head[8:12] = terms.constant, terms.log_volume, terms.growth_modulus, terms.growth_threshold
    block = np.concatenate([head, *placed])
    block.flags.writeable = False
    return block


def runs_of_equal_amplitude(terms: NetworkTerms) -> list[ndarray]:
    """Indices of images, one array a run."""
    order = np.argsort(terms.amplitudes, kind="stable")
    cuts = np.flatnonzero(np.diff(terms.amplitudes[order])) + 1
    runs = [run for run in np.split(order, cuts) if len(run)]
    return [run[k : k + IMAGES_PER_RUN] for run in runs for k in range(0, len(run), IMAGES_PER_RUN)]


def records(terms: NetworkTerms, members: ndarray) -> Float[ndarray, "k r"]:
    """u, b, v u and v u u^T of the images, filled up with idle ones."""
    u, v = terms.weights[members], terms.amplitudes[members, None]
    m = u.shape[1]
    rows, columns = np.triu_indices(m)
    tiles = -(-len(rows) // ACCUMULATORS)
    width = 2 * m + 1 + tiles * -(-len(rows) // tiles)
    record = np.zeros((-(-len(members) // PADDED_TO) * PADDED_TO, width))
    record[:, m] = IDLE_BIAS
    record[: len(members), : 2 * m + 1 + len(rows)] = np.concatenate(
        [u, terms.biases[members, None], v * u, v * u[:, rows] * u[:, columns]], axis=1
    )
    return record
