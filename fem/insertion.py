"""Element matrices straight into the arrays of PETSc's matrix.

MatSetValues looks for each entry of an element matrix in the matrix's row: with P2 tetrahedra that is two thirds of an assembly. The place
does not change, so it is looked up once, for each pair of nodes of a cell, and an assembly only adds. That is done for cells whose nodes
all belong to this rank; the few others have rows on other ranks, and MatSetValues sends those.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

from mpi4py import MPI  # isort: skip  # noqa: F401

import numpy as np
from dolfinx import fem as dfem
from dolfinx.fem.petsc import get_petsc_lib
from jaxtyping import Float, Int
from petsc4py import PETSc


def is_inside(space: dfem.FunctionSpace, cells: int) -> np.ndarray:
    """Which of the first cells of this rank have no node of another."""
    return np.asarray((space.dofmap.list[:cells] < space.dofmap.index_map.size_local).all(axis=1))


class Insertion:
    """Where in a matrix the entries of cells go.

    Args:
        module: of the compiled kernel (cell_kernel.c), its functions `locate` and `add_stiffness`.
        space: of the unknowns.
        matrix: of type AIJ, assembled or not, its pattern that of all cells.
        cells: of each law, with nodes of this rank alone.

    Raises:
        ValueError: the matrix is not one for this form.
    """

    def __init__(
        self, module: Any, space: dfem.FunctionSpace, matrix: PETSc.Mat, cells: Sequence[Int[np.ndarray, " cells"]]
    ) -> None:
        self._module = module
        self._unknowns = (space.dofmap.index_map.size_local + space.dofmap.index_map.num_ghosts) * space.dofmap.bs
        owned = space.dofmap.index_map.size_local * space.dofmap.bs
        if matrix.getLocalSize() != (owned, owned):
            raise ValueError(f"the matrix has {matrix.getLocalSize()} rows and columns here, expected {owned} of both")
        rows, columns = matrix.getDiagonalBlock().getRowIJ()
        self._rows = np.array(rows)
        self._nodes = [np.ascontiguousarray(space.dofmap.list[each]) for each in cells]
        self._places = [np.empty((*nodes.shape, nodes.shape[1]), dtype=np.int32) for nodes in self._nodes]
        for nodes, places in zip(self._nodes, self._places, strict=True):
            module.lib.locate(len(nodes), *map(self._pointer, (nodes, self._rows, columns, places)))
            if places.min(initial=0) < 0:
                raise ValueError(
                    "the matrix has no place for some entries of the cells, expected one made for this form"
                )

    def add(
        self,
        matrix: PETSc.Mat,
        coefficients: Sequence[Float[np.ndarray, "cells m"]],
        constants: Float[np.ndarray, " n"],
        conditions: Sequence[dfem.DirichletBC],
    ) -> None:
        """Add the stiffness of the cells, save rows and columns of what is prescribed.

        Args:
            matrix: that of before, or one of the same pattern.
            coefficients: of each law's cells, in their order; more may follow.
            constants: of the form.
            conditions: what is prescribed.
        """
        held = np.zeros(self._unknowns, dtype=np.uint8)
        for condition in conditions:
            held[condition.dof_indices()[0]] = 1
        with _values(matrix.getDiagonalBlock()) as values:
            for w, nodes, places in zip(coefficients, self._nodes, self._places, strict=True):
                arrays = map(self._pointer, (w, constants, nodes, self._rows, places, held))
                self._module.lib.add_stiffness(self._module.ffi.cast("double*", values), len(nodes), *arrays)

    def _pointer(self, array: np.ndarray) -> Any:
        names = {np.dtype(PETSc.IntType): _integer(), np.dtype(np.int32): "int32_t", np.dtype(np.uint8): "uint8_t"}
        kind = names.get(array.dtype, "double")
        return self._module.ffi.cast(f"{kind}*", array.ctypes.data)


def _integer() -> str:
    """PETSc's integer in C."""
    return f"{np.dtype(PETSc.IntType).name}_t"


@contextmanager
def _values(matrix: PETSc.Mat) -> Iterator[int]:
    """Address of the entries of a matrix of type SeqAIJ, which PETSc knows to have changed afterwards."""
    pointer = ctypes.c_void_p()
    get, restore = _array_functions()
    for_this = ctypes.c_void_p(matrix.handle), ctypes.byref(pointer)
    if failure := get(*for_this):
        raise PETSc.Error(failure)
    try:
        yield int(pointer.value or 0)
    finally:
        restore(*for_this)


@cache
def _array_functions() -> tuple[Any, Any]:
    library = ctypes.CDLL(str(get_petsc_lib()))
    return library.MatSeqAIJGetArray, library.MatSeqAIJRestoreArray
