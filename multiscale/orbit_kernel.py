"""The orbit law in C (orbit_kernel.c), compiled on first use (`atomistic.compiler`).

Without a compiler, laws run on numpy, and a warning says so.
"""

import os
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from cffi import FFI
from jaxtyping import Float
from numpy import ndarray

from atomistic.compiler import VECTORS, library_or_warning
from multiscale.orbit_terms import OrbitTerms
from multiscale.strain import UPPER_COLUMNS, UPPER_ROWS

SOURCE: Final = Path(__file__).with_suffix(".c")
NO_KERNEL_VARIABLE: Final = "ATOMLAW_NUMPY_LAWS"
"""Environment variable that, set to anything, keeps laws on numpy."""

IMAGES_PER_RUN: Final = 512
PADDED_TO: Final = 4
"""The C source's limits on runs of images: their product of numbers in [1, 2] must not overflow; four share a division."""

IDLE_BIAS: Final = -800.0
"""Bias of the images that fill a run up: softplus and sigmoid of it are zero."""

INTERFACE: Final = """
typedef struct {
    int64_t groups;
    const int64_t *begin;
    const double *amplitude;
    const double *images;
    double constant;
    const double *linear;
    const double *quadratic;
    double growth_modulus;
    double growth_threshold;
} orbit_terms;
int64_t orbit_law(int64_t n, const double *F, const orbit_terms *terms, double *W, double *P, double *A);
"""


class CompiledTerms:
    """The terms of a law laid out for the C kernel; evaluation releases the interpreter lock and is safe from any thread."""

    def __init__(self, library: Any, ffi: FFI, terms: OrbitTerms) -> None:
        runs = runs_of_equal_amplitude(terms)
        images = [records(terms, members) for members in runs]
        self._library, self._ffi = library, ffi
        self._arrays = (
            np.cumsum([0, *(len(run) for run in images)]).astype(np.int64),
            np.array([terms.amplitudes[members[0]] for members in runs], dtype=np.float64),
            np.concatenate([np.zeros((0, 34)), *images]),
            np.ascontiguousarray(terms.linear),
            np.ascontiguousarray(terms.quadratic),
        )
        begin, amplitude, image, linear, quadratic = self._arrays
        self._terms = ffi.new("orbit_terms *")
        self._terms.groups = len(runs)
        self._terms.begin = ffi.cast("const int64_t *", begin.ctypes.data)
        self._terms.amplitude = self._pointer(amplitude)
        self._terms.images = self._pointer(image)
        self._terms.constant = terms.constant
        self._terms.linear = self._pointer(linear)
        self._terms.quadratic = self._pointer(quadratic)
        self._terms.growth_modulus = terms.growth_modulus
        self._terms.growth_threshold = terms.growth_threshold

    def _pointer(self, array: ndarray | None) -> Any:
        return self._ffi.NULL if array is None else self._ffi.cast("double *", array.ctypes.data)

    def evaluate(
        self, F: Float[ndarray, "n 3 3"], *, tangent: bool
    ) -> tuple[Float[ndarray, "n"], Float[ndarray, "n 3 3"], Float[ndarray, "n 3 3 3 3"] | None]:
        """W, P and, where asked, A; F is float64, C-contiguous and has been checked."""
        n = len(F)
        W, P = np.empty(n), np.empty((n, 3, 3))
        A = np.empty((n, 3, 3, 3, 3)) if tangent else None
        point = self._library.orbit_law(
            n, self._pointer(F), self._terms, self._pointer(W), self._pointer(P), self._pointer(A)
        )
        assert point == -1, f"det F <= 0 at point {point} of checked deformation gradients"
        return W, P, A


def compiled(terms: OrbitTerms) -> CompiledTerms | None:
    """The terms bound to the C kernel, or None where it cannot be built (with the warning `KernelUnavailable`, once)."""
    kernel = load_kernel()
    return None if kernel is None else CompiledTerms(*kernel, terms)


def runs_of_equal_amplitude(terms: OrbitTerms) -> list[ndarray]:
    """Indices of images, one array a run."""
    order = np.argsort(terms.amplitudes, kind="stable")
    cuts = np.flatnonzero(np.diff(terms.amplitudes[order])) + 1
    runs = [run for run in np.split(order, cuts) if len(run)]
    return [run[k : k + IMAGES_PER_RUN] for run in runs for k in range(0, len(run), IMAGES_PER_RUN)]


def records(terms: OrbitTerms, members: ndarray) -> Float[ndarray, "k 34"]:
    """u, b, v u and v u u^T of the images, filled up with idle ones."""
    u, v = terms.weights[members], terms.amplitudes[members, None]
    record = np.zeros((-(-len(members) // PADDED_TO) * PADDED_TO, 34))
    record[:, 6] = IDLE_BIAS
    record[: len(members)] = np.concatenate(
        [u, terms.biases[members, None], v * u, v * u[:, UPPER_ROWS] * u[:, UPPER_COLUMNS]], axis=1
    )
    return record


@cache
def load_kernel() -> tuple[Any, FFI] | None:
    """The loaded library, compiled if the cache lacks it; None with a warning where it cannot be built."""
    if NO_KERNEL_VARIABLE in os.environ:
        return None
    source, without = VECTORS.read_text() + SOURCE.read_text(), "an orbit law runs on numpy, several times slower"
    return library_or_warning("orbit_kernel", source, INTERFACE, without=without, variable=NO_KERNEL_VARIABLE)
