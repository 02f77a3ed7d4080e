"""What all kernels share: the C text around their own, and how they are called."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from cffi import FFI
from jaxtyping import Float, Int32
from numpy import ndarray

from atomistic.compiler import VECTORS
from atomistic.neighbour_list import NeighbourRows, overlap

FOLDER: Final = Path(__file__).parent
CUTOFF_HEADER: Final = FOLDER / "cutoff_functions.h"


def kernel_source(macros: Mapping[str, Any], own: str) -> str:
    """The C source of a kernel: `own` computes the descriptors, and the macros give its dimensions."""
    defines = "".join(f"#define {name} {value}\n" for name, value in macros.items())
    before = [path.read_text() for path in (VECTORS, CUTOFF_HEADER, FOLDER / "network.h", FOLDER / "environment.h")]
    return "\n".join([defines, *before, own, (FOLDER / "evaluation.h").read_text()])


def cutoff_name(name: str) -> str:
    """The function of cutoff_functions.h for a name in `atomistic.cutoff_functions.CUTOFF_FUNCTIONS`."""
    return f"{name.replace('-', '_')}_cutoff"


def evaluate(
    ffi: FFI,
    function: Any,
    model: Any,
    elements_known: int,
    neighbours: NeighbourRows,
    positions: Float[ndarray, "all 3"],
    elements: Int32[ndarray, "atoms"],
    threads: int,
) -> tuple[Float[ndarray, "atoms"], Float[ndarray, "atoms 3"], Float[ndarray, "3 3"]]:
    """Energies (eV), forces (eV/A) and virial sum dE/dr (x) r (eV) by evaluation.h; the interpreter lock is released meanwhile.

    Raises:
        InvalidStructure: where atoms are on top of each other.
        MemoryError: where there is no room for the kernel's workspace.
    """
    buffer, count = ffi.from_buffer, len(elements)
    rows = ffi.new("neighbour_rows *")
    # with one element the kernel asks for those of the atoms alone
    kept = [
        buffer("int64_t[]", neighbours.first),
        buffer("int32_t[]", neighbours.neighbours),
        buffer("double[]", positions),
        buffer("int32_t[]", elements[neighbours.owner] if elements_known > 1 else elements),
        buffer("int32_t[]", neighbours.owner),
    ]
    rows.first, rows.neighbours, rows.positions, rows.elements, rows.owner = kept
    energies, forces, virial = np.empty(count), np.zeros((count, 3)), np.empty((3, 3))
    outputs = [buffer("double[]", array) for array in (energies, forces, virial)]
    problem = function(model, rows, count, count, threads, *outputs)
    if problem == -2:
        raise MemoryError("no memory for the kernel's workspace")
    if problem >= 0:
        raise overlap(neighbours, positions, problem)
    return energies, forces, virial
