"""A symmetric bilinear form given by a few vectors in each cell: the element matrix sum_a (c_a g_a^T + g_a c_a^T).

UFL has no word for it (a product of two integrals over the cell), so the element kernel is a dozen lines of C, compiled as FFCx
compiles forms, by cffi into dolfinx' cache. The vectors reach it as a coefficient that is constant in each cell.
"""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path
from typing import Any

from mpi4py import MPI  # isort: skip  # noqa: F401

import basix.ufl
import cffi
import numpy as np
from dolfinx import fem as dfem
from dolfinx import jit
from jaxtyping import Float

_SIGNATURE = (
    "void element_matrix(double* A, const double* w, const double* c, const double* x, const int* entity, "
    "const uint8_t* permutation, void* data)"
)
_SOURCE = """
#include <stdint.h>

enum {{ RANK = {rank}, SIZE = {size} }};

{signature}
{{
  const double *v = w, *g = w + RANK * SIZE;
  for (int a = 0; a < RANK; ++a, v += SIZE, g += SIZE)
    for (int i = 0; i < SIZE; ++i)
      for (int j = 0; j < SIZE; ++j)
        A[i * SIZE + j] += v[i] * g[j] + g[i] * v[j];
}}
"""


class LowRankForm:
    """The form over all cells of this rank, zero to begin with. Collective.

    Args:
        space: of both arguments.
        rank: number of pairs of vectors in a cell.

    Attributes:
        form: for dolfinx to assemble.
    """

    def __init__(self, space: dfem.FunctionSpace, rank: int) -> None:
        domain = space.mesh
        self._size = space.dofmap.list.shape[1] * space.dofmap.bs
        constant = basix.ufl.element("DG", domain.basix_cell(), 0, shape=(2 * rank * self._size,))
        self._vectors = dfem.Function(dfem.functionspace(domain, constant))
        self._cells = np.arange(domain.topology.index_map(domain.topology.dim).size_local, dtype=np.int32)
        self._rows = self._vectors.function_space.dofmap.list[: self._cells.size, 0]
        module = _compiled(domain.comm, rank, self._size)
        address = int(module.ffi.cast("uintptr_t", module.ffi.addressof(module.lib, "element_matrix")))
        compiled = dfem.form_cpp_class(np.float64)(
            [space._cpp_object] * 2,
            {dfem.IntegralType.cell: [(0, address, self._cells, np.array([0], dtype=np.int8))]},
            [self._vectors._cpp_object],
            [],
            False,
            [],
            domain._cpp_object,
        )
        self.form = dfem.Form(compiled, module=module)

    def assign(self, c: Float[np.ndarray, "cells a k"], g: Float[np.ndarray, "cells a k"]) -> None:
        """Set the vectors, by unknown of the cell: node by node, components together."""
        width = self._vectors.function_space.dofmap.bs
        values = self._vectors.x.array.reshape(-1, width)
        values[self._rows] = np.concatenate([c, g], axis=1).reshape(len(c), width)


@jit.mpi_jit_decorator  # type: ignore[untyped-decorator]
def _compiled(rank: int, size: int) -> Any:
    """The kernel's module: compiled by the communicator's first rank where it is not in the cache, loaded by the others."""
    source = _SOURCE.format(rank=rank, size=size, signature=_SIGNATURE)
    options = jit.get_options()
    flags = ["-O3", "-march=native"]
    name = "atomlaw_low_rank_" + hashlib.sha256((source + " ".join(flags)).encode()).hexdigest()[:16]
    folder = Path(options["cache_dir"])
    folder.mkdir(parents=True, exist_ok=True)
    found = sorted(folder.glob(f"{name}.*.so"))
    if not found:
        ffi = cffi.FFI()
        ffi.cdef(_SIGNATURE + ";")
        ffi.set_source(name, source, extra_compile_args=flags)
        found = [Path(ffi.compile(tmpdir=str(folder)))]
    spec = importlib.util.spec_from_file_location(name, found[0])
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
