"""How a kernel is called: rows of neighbours in, energies, forces and virial out (evaluation.h)."""

from typing import Any

import numpy as np
from cffi import FFI
from jaxtyping import Float, Int32
from numpy import ndarray

from atomistic.neighbour_list import NeighbourRows, overlap


def cutoff_name(name: str) -> str:
    """The function of vectors.h for a name in `atomistic.cutoff_functions.CUTOFF_FUNCTIONS`."""
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
    """Energies (eV), forces (eV/A) and virial sum dE/dr (x) r (eV); the interpreter lock is released meanwhile.

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
