"""The quadrature points of a mesh: where a law is asked and what it answers is stored.

A quadrature element has one degree of freedom for each point of its rule, so a field known at the points only can stand
in a UFL form. The rule of the form's measure has to be the element's own, or dolfinx interpolates nothing sensible:
both come from here.
"""

from __future__ import annotations

from typing import Any

from mpi4py import MPI  # isort: skip  # noqa: F401

import basix
import basix.ufl
import numpy as np
import ufl
from dolfinx import fem as dfem
from dolfinx.mesh import Mesh as Domain
from jaxtyping import Float

from fem.mesh import MeshError


def default_quadrature_degree(cell: str, degree: int) -> int:
    """The rule by which an element of that degree is usually integrated.

    Simplices: 2 (p - 1), exact for the linear problem on straight cells (1, 4 and 14 points on tetrahedra of degree
    1, 2, 3). Quadrilaterals and hexahedra: 2 p, that is p + 1 Gauss points a direction.
    """
    return max(1, 2 * (degree - 1)) if cell in ("triangle", "tetrahedron") else 2 * degree


class Quadrature:
    """Quadrature points of the cells owned by this rank, ordered by cell and then by point of the rule.

    Attributes:
        domain: dolfinx mesh.
        degree: of the rule.
        measure: dx with this very rule.
        points, rule_weights: of the rule, on the reference cell.
        size: number of points on this rank.

    Args:
        width: of the body across the mesh, a UFL expression which multiplies dV.

    Raises:
        MeshError: a cell without volume, or inverted in a part of it.
    """

    def __init__(self, domain: Domain, degree: int, width: Any = 1.0) -> None:
        self.domain = domain
        self.degree = degree
        self.measure = ufl.Measure(
            "dx", domain=domain, metadata={"quadrature_degree": degree, "quadrature_rule": "default"}
        )
        self.points, self.rule_weights = basix.make_quadrature(domain.basix_cell(), degree)
        self._cells = np.arange(domain.topology.index_map(domain.topology.dim).size_local, dtype=np.int32)
        self.size = self._cells.size * len(self.rule_weights)
        # Compiling is collective, and some ranks alone may ask for coordinates later: so it is done here.
        self._volume_ratio = self.expression(width * ufl.JacobianDeterminant(domain))
        self._position = self.expression(ufl.SpatialCoordinate(domain))
        self._check_cells()

    def function(self, shape: tuple[int, ...]) -> dfem.Function:
        """A field of tensors of that shape, known at the points (zero to begin with)."""
        element = basix.ufl.quadrature_element(self.domain.basix_cell(), shape, scheme="default", degree=self.degree)
        space = dfem.functionspace(self.domain, element)
        numbering = space.dofmap.list[: self._cells.size].reshape(-1)
        assert np.array_equal(numbering, np.arange(self.size)), "dolfinx numbers quadrature points in another order"
        return dfem.Function(space)

    def expression(self, formula: ufl.core.expr.Expr) -> dfem.Expression:
        """Compile a UFL formula for evaluation at the points."""
        return dfem.Expression(formula, self.points)

    def evaluate(self, expression: dfem.Expression) -> Float[np.ndarray, "n ..."]:
        """Values of a compiled expression at the points, shape (n, *shape of the formula)."""
        shape = tuple(int(s) for s in expression.value_shape)
        return np.asarray(expression.eval(self.domain, self._cells)).reshape(self.size, *shape)

    def assign(self, function: dfem.Function, values: Float[np.ndarray, "n ..."]) -> None:
        """Store values (n, *shape) into a field made by `function`."""
        # The points of a cell are numbered one after the other, cell by cell: a plain copy, which `function` checks.
        components = function.function_space.dofmap.bs
        function.x.array[: self.size * components] = values.reshape(-1)

    def weights(self) -> Float[np.ndarray, " n"]:
        """dV of each point: weight of the rule times the volume ratio of the cell and the width; sums to the volume."""
        return np.asarray(np.abs(self.evaluate(self._volume_ratio)) * np.tile(self.rule_weights, self._cells.size))

    def coordinates(self) -> Float[np.ndarray, "n gdim"]:
        """X of each point."""
        return self.evaluate(self._position)

    def cell_mean(self, values: Float[np.ndarray, "n ..."]) -> Float[np.ndarray, "cells ..."]:
        """Volume average of a field over each cell of this rank."""
        cells = self._cells.size
        weights = self.weights().reshape(cells, len(self.rule_weights))
        blocks = values.reshape(*weights.shape, *values.shape[1:])
        return np.asarray(np.einsum("cq,cq...->c...", weights / weights.sum(axis=1, keepdims=True), blocks))

    def _check_cells(self) -> None:
        """Raise MeshError, on all ranks alike, for cells whose volume vanishes or changes its sign from point to point."""
        ratio = self.evaluate(self._volume_ratio).reshape(self._cells.size, len(self.rule_weights))
        # the cells of a rule with one point have a sign each, which means nothing: a neighbour is numbered the other way round
        least, largest = ratio.min(axis=1, initial=np.inf), ratio.max(axis=1, initial=-np.inf)
        typical = np.abs(ratio).max(initial=0.0)
        inverted = least * largest < 0.0
        flat = np.maximum(np.abs(least), np.abs(largest)) <= 1e-14 * typical
        problem = ""
        if not np.all(np.isfinite(ratio)) or (inverted | flat).any():
            cell = int(np.argmax(inverted | flat))
            number = int(self.domain.topology.original_cell_index[cell])
            middle = self.coordinates().reshape(self._cells.size, -1, self.domain.geometry.dim)[cell].mean(axis=0)
            what = "is turned inside out in a part of it" if inverted[cell] else "has no volume"
            problem = f"cell {number} near X = ({', '.join(f'{x:.4g}' for x in middle)}) {what}; mend the mesh"
        for found in self.domain.comm.allgather(problem):
            if found:
                raise MeshError(found)
