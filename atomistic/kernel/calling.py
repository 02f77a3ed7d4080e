"""What all kernels share: the C text around their own, and the call."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, final

import numpy as np
from jaxtyping import Float, Int32
from numpy import ndarray

from atomistic.compiler import VECTORS
from atomistic.kernel.arrays import ArraysInMemory
from atomistic.kernel.networks import NETWORKS_INTERFACE
from atomistic.neighbour_list import NeighbourRows, overlap

FOLDER: Final = Path(__file__).parent
CUTOFF_HEADER: Final = FOLDER / "cutoff_functions.h"


def kernel_source(name: str, macros: Mapping[str, Any], own: str) -> str:
    """The C source of a kernel: `own` defines `name`_model and computes the descriptors, the macros give its dimensions."""
    every = {"MODEL": f"{name}_model", "EVALUATE": f"{name}_evaluate", **macros}
    defines = "".join(f"#define {key} {value}\n" for key, value in every.items())
    before = [path.read_text() for path in (VECTORS, CUTOFF_HEADER, FOLDER / "network.h", FOLDER / "environment.h")]
    return "\n".join([defines, *before, own, (FOLDER / "evaluation.h").read_text()])


def kernel_interface(name: str, own: str) -> str:
    """Declarations of a kernel; `own` declares `name`_model."""
    return f"""
{NETWORKS_INTERFACE}
typedef struct {{
    const int64_t *first;
    const int32_t *neighbours;
    const double *positions;
    const int32_t *elements;
    const int32_t *owner;
}} neighbour_rows;
{own}
int64_t {name}_evaluate(const {name}_model *model, const neighbour_rows *rows, int64_t atoms, int64_t owners, int64_t threads,
                        double *energies, double *forces, double *virial);
"""


def cutoff_name(name: str) -> str:
    """The function of cutoff_functions.h for a name in `atomistic.cutoff_functions.CUTOFF_FUNCTIONS`."""
    return f"{name.replace('-', '_')}_cutoff"


@final
class Kernel:
    """A model bound to its compiled library; safe from any thread."""

    def __init__(self, library: Any, name: str, model: tuple[Any, ...], elements: int, arrays: ArraysInMemory) -> None:
        self.library, self._arrays, self._elements_known = library, arrays, elements
        self._evaluate = getattr(library, f"{name}_evaluate")
        self._model = arrays.add(f"{name}_model", [model])

    def evaluate(
        self,
        neighbours: NeighbourRows,
        positions: Float[ndarray, "all 3"],
        elements: Int32[ndarray, "atoms"],
        threads: int,
    ) -> tuple[Float[ndarray, "atoms"], Float[ndarray, "atoms 3"], Float[ndarray, "3 3"]]:
        """Energies (eV), forces (eV/A) and virial sum dE/dr (x) r (eV); `elements` are places in the descriptors' `numbers`.

        The interpreter lock is released meanwhile.

        Raises:
            InvalidStructure: where atoms are on top of each other.
            MemoryError: where there is no room for the kernel's workspace.
        """
        ffi, count = self._arrays.ffi, len(elements)
        buffer = ffi.from_buffer
        rows = ffi.new("neighbour_rows *")
        # with one element the kernel asks for those of the atoms alone
        kept = [
            buffer("int64_t[]", neighbours.first),
            buffer("int32_t[]", neighbours.neighbours),
            buffer("double[]", positions),
            buffer("int32_t[]", elements[neighbours.owner] if self._elements_known > 1 else elements),
            buffer("int32_t[]", neighbours.owner),
        ]
        rows.first, rows.neighbours, rows.positions, rows.elements, rows.owner = kept
        energies, forces, virial = np.empty(count), np.zeros((count, 3)), np.empty((3, 3))
        outputs = [buffer("double[]", array) for array in (energies, forces, virial)]
        problem = self._evaluate(self._model, rows, count, count, threads, *outputs)
        if problem == -2:
            raise MemoryError("no memory for the kernel's workspace")
        if problem >= 0:
            raise overlap(neighbours, positions, problem)
        return energies, forces, virial
