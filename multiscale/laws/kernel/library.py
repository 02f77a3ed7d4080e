"""Laws in C: one source (law.c) for all, compiled on first use (`atomistic.compiler`) for the kind and number of the law's arguments.

What differs from law to law of one kind is a block of parameters (multiscale.laws.kernel.parameter_block); the text is not. A text with the
weights written out gains nothing, since they are read from the first-level cache as an operand of the multiplication either way, and would
take a compilation of seconds for every fit.

Without a compiler, laws run on numpy, and a warning says so.
"""

import os
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Final

from atomistic.compiler import VECTORS, built_library, library_or_warning
from fem.c_function import HEADER, SYMBOL, CFunction
from multiscale.laws.kernel.parameter_block import ORIENTATION, TEMPERATURE, Temperature, parameter_block, tag
from multiscale.laws.network_terms import NetworkTerms
from multiscale.trust.gauge import Gauge

FOLDER: Final = Path(__file__).parent

NO_KERNEL_VARIABLE: Final = "ATOMLAW_NUMPY_LAWS"
"""Environment variable that, set to anything, keeps laws on numpy."""

INTERFACE: Final = f"""
int64_t {SYMBOL}(int64_t n, const double *F, const double *state, const void *parameters,
                 double *W, double *P, double *A, double *trust);
"""


def compiled(
    terms: Sequence[NetworkTerms], gauge: Gauge | None, temperature: Temperature | None = None
) -> CFunction | None:
    """The terms as a C function, with trust where there is a gauge (of the first of them).

    Several terms are the W_k of a law of temperature; they differ in amplitudes, constant, linear and quadratic part alone, and their
    terms of J are those of W_0. None where the function cannot be built (with the warning `KernelUnavailable`, once).
    """
    if NO_KERNEL_VARIABLE in os.environ:
        return None
    library = library_of(terms[0].arguments.kernel, len(terms[0].linear))
    if library is None:
        return None
    state = (ORIENTATION,) if temperature is None else (ORIENTATION, TEMPERATURE)
    return CFunction(library, parameter_block(terms, gauge, temperature), state, gauge is not None)


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
    about = f'#include <string.h>\n#define KIND "{tag(kind).decode()}"\n#define ARGUMENTS {arguments}\n'
    parts = [FOLDER / "block.h", FOLDER / f"{kind}.h", FOLDER / "law.c"]
    return "".join([VECTORS.read_text(), HEADER.read_text(), about, *(part.read_text() for part in parts)])
