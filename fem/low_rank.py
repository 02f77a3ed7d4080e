"""A symmetric bilinear form given by a few vectors in each cell: the element matrix sum_a (c_a g_a^T + g_a c_a^T).

UFL has no word for it (a product of two integrals over the cell), so the element kernel is a dozen lines of C
(`fem.compiled_kernel`). The vectors reach it as a coefficient that is constant in each cell.
"""

from __future__ import annotations

from typing import Final

from mpi4py import MPI  # isort: skip  # noqa: F401

import basix.ufl
import numpy as np
from dolfinx import fem as dfem
from jaxtyping import Float

from fem.compiled_kernel import ARGUMENTS, address, compiled

_SIGNATURE: Final = f"void element_matrix{ARGUMENTS}"
_SOURCE: Final = """
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
        source = _SOURCE.format(rank=rank, size=self._size, signature=_SIGNATURE)
        module = compiled(domain.comm, "low_rank", source, _SIGNATURE + ";")
        form = dfem.form_cpp_class(np.float64)(
            [space._cpp_object] * 2,
            {
                dfem.IntegralType.cell: [
                    (0, address(module, "element_matrix"), self._cells, np.array([0], dtype=np.int8))
                ]
            },
            [self._vectors._cpp_object],
            [],
            False,
            [],
            domain._cpp_object,
        )
        self.form = dfem.Form(form, module=module)

    def assign(self, c: Float[np.ndarray, "cells a k"], g: Float[np.ndarray, "cells a k"]) -> None:
        """Set the vectors, by unknown of the cell: node by node, components together."""
        width = self._vectors.function_space.dofmap.bs
        values = self._vectors.x.array.reshape(-1, width)
        values[self._rows] = np.concatenate([c, g], axis=1).reshape(len(c), width)
