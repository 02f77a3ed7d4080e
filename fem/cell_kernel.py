r"""Nodal forces and stiffness of laws given as C functions, cell by cell and without arrays of quadrature points.

With the gradients G_b = dN_b/dX at the points of a cell

    F = I + sum_b u_b (x) G_b,    f_bi = sum_q dV P_iJ G_bJ,    K_aibj = sum_q dV G_aJ A_iJjL G_bL ,

all four of them small dense products, the matrix one product over points and J for each pair (i, j) with i <= j since A_iJjL = A_jLiJ.
In an orientation R of the material (`fem.orientation`) F R = R + sum_b u_b (x) R^T G_b is what the law sees and the rest holds with
R^T G_b in place of G_b: turning costs nothing.

The kernel (cell_kernel.c) is compiled for the element and handed to dolfinx as a custom integral; the stiffness of a Newton step goes
straight into PETSc's arrays (`fem.insertion`). docs/assembly.md says how that was chosen, `benchmarks/newton.py` what it is worth.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import Any, Final

from mpi4py import MPI  # isort: skip  # noqa: F401

import basix.ufl
import dolfinx
import dolfinx.fem.petsc as petsc_fem
import numpy as np
from dolfinx import fem as dfem
from jaxtyping import Float, Int
from petsc4py import PETSc

from fem.c_function import CFunction, NoCFunction
from fem.compiled_kernel import ARGUMENTS, address, compiled
from fem.constitution import Constitution
from fem.insertion import Insertion, is_inside
from fem.law import Law
from fem.point_arrays import near
from fem.quadrature import Quadrature

_SOURCE: Final = Path(__file__).with_name("cell_kernel.c")
_INTEGER: Final = f"{np.dtype(PETSc.IntType).name}_t"
_DECLARATIONS: Final = f"""
void nodal_forces{ARGUMENTS};
void stiffness{ARGUMENTS};
void locate(int64_t cells, const int32_t* nodes, const {_INTEGER}* rows, const {_INTEGER}* columns, int32_t* places);
void add_stiffness(double* values, int64_t cells, const double* w, const double* c, const int32_t* nodes, const {_INTEGER}* rows,
                   const int32_t* places, const uint8_t* held);
"""
_TROUBLES: Final = ("", "refused", "energy", "first_piola", "tangent")
_NUMBERS = count(1)


def c_functions(laws: tuple[Law, ...]) -> tuple[CFunction, ...] | None:
    """Of all the laws, where each of them has one that needs no state."""
    functions = []
    for law in laws:
        make = getattr(law, "c_function", None)
        try:
            function = None if make is None else make()
        except NoCFunction:
            return None
        if not isinstance(function, CFunction) or any(field.default is None for field in function.state):
            return None
        functions.append(function)
    return tuple(functions)


class CellKernel:
    """Forces and stiffness of a body whose laws are C functions, in space or in plane strain. Collective.

    Args:
        functions: of the laws, in their order.
        laws: which law and which orientation each cell has.
        displacement: u.
        quadrature: the points.

    Attributes:
        forces: linear form, R at the present displacement.
        tangents: one bilinear form, K there.
    """

    def __init__(
        self,
        functions: tuple[CFunction, ...],
        laws: Constitution,
        displacement: dfem.Function,
        quadrature: Quadrature,
    ) -> None:
        space, domain = displacement.function_space, quadrature.domain
        self._dimension = domain.geometry.dim
        position = dfem.Function(dfem.functionspace(domain, domain.ufl_domain().ufl_coordinate_element()))
        position.interpolate(lambda X: X[: domain.geometry.dim])
        self._functions, self._laws = functions, laws  # they own the parameters
        self._report = np.zeros(6)
        self._energy = 0.0
        inside = is_inside(space, len(laws.law_of_cell))
        runs, order = _runs(laws.law_of_cell, inside)
        self._inside = [cells[inside[cells]] for cells in order]
        fields = [displacement, position]
        if laws.orientation is not None:
            fields.append(_cellwise(domain, laws.orientation.reshape(-1, 9)))
        fields.append(_cellwise(domain, runs))
        addresses = [float(n) for f in functions for n in (f.address, f.parameters_address)]
        constants = dfem.Constant(domain, np.array([float(self._report.ctypes.data), next(_NUMBERS), *addresses]))
        source = _source(space, quadrature, oriented=laws.orientation is not None)
        module = self._module = compiled(domain.comm, "cell_kernel", source, _DECLARATIONS)
        active = np.arange(len(fields), dtype=np.int8)

        def form(rank: int, kernel: str, order: list[np.ndarray]) -> dfem.Form:
            integrals = [(number, address(module, kernel), cells, active) for number, cells in enumerate(order)]
            cpp = dfem.form_cpp_class(np.float64)(
                [space._cpp_object] * rank,
                {dfem.IntegralType.cell: integrals},
                [field._cpp_object for field in fields],
                [constants._cpp_object],
                False,
                [],
                domain._cpp_object,
            )
            return dfem.Form(cpp, module=module)

        self.forces, self.tangents = form(1, "nodal_forces", order), [form(2, "stiffness", order)]
        self._edge = form(2, "stiffness", [cells[~inside[cells]] for cells in order])
        self._space = space
        self._insertion: tuple[PETSc.Mat, Insertion] | None = None

    def evaluate(self) -> str:
        """Assemble the forces of this rank's cells at the present displacement; why it is rejected, "" if it is not."""
        self._report[:] = 0.0
        self._assembled = dfem.assemble_vector(self.forces)
        return self.objection()

    def store(self) -> None:
        """Take over what `evaluate` found."""
        self._forces, self._energy = self._assembled, float(self._report[0])

    def add_forces(self, f: PETSc.Vec) -> None:
        """Add the nodal forces stored last; ghosts keep theirs."""
        with f.localForm() as local:
            local.array_w += self._forces.array

    def add_stiffness(self, matrix: PETSc.Mat, conditions: Sequence[dfem.DirichletBC]) -> None:
        """Add K at the present displacement; rows and columns of what is prescribed are the identity's."""
        edge = self.tangents[0]
        if matrix.assembled and matrix.getType() in ("seqaij", "mpiaij"):  # a new matrix has no columns yet
            edge = self._edge
            if self._insertion is None or self._insertion[0] is not matrix:
                self._insertion = matrix, Insertion(self._module, self._space, matrix, self._inside)
            packed = dolfinx.cpp.fem.pack_coefficients(self.tangents[0]._cpp_object)
            constants = dolfinx.cpp.fem.pack_constants(self.tangents[0]._cpp_object)
            self._insertion[1].add(matrix, list(packed.values()), constants, conditions)
        petsc_fem.assemble_matrix(matrix, edge, conditions, diag=1.0)
        matrix.assemble()

    def objection(self) -> str:
        """What was wrong in the assembly of forces or stiffness since `evaluate` began."""
        _, trouble, *place, determinant = self._report.tolist()
        where = near(place[: self._dimension])
        if _TROUBLES[int(trouble)] == "refused":
            return f"det F = {determinant:.4g} {where}"
        return f"the law returned a {_TROUBLES[int(trouble)]} that is not finite {where}" if trouble else ""

    def energy(self) -> float:
        """Of what was stored last, on this rank."""
        return self._energy

    def stiffness(self) -> float:
        """Largest component of the laws' tangents in the undeformed state, on this rank."""
        _, cells = np.unique(self._laws.law_of_cell, return_index=True)
        F = np.tile(np.eye(3), (len(cells), 1, 1))
        A = self._laws.evaluate(F, tangent=True, points=cells * self._laws.points_per_cell).tangent
        return float(np.max(np.abs(np.asarray(A)), initial=0.0))


def _runs(
    law_of_cell: Int[np.ndarray, " cells"], inside: np.ndarray
) -> tuple[Float[np.ndarray, "cells 2"], list[np.ndarray]]:
    """Of each cell the number of its law and how many cells of that law follow, itself included; and the cells of each law, those inside
    this rank's part of the mesh first."""
    runs = np.zeros((len(law_of_cell), 2))
    order = []
    for number in range(int(law_of_cell.max(initial=0)) + 1):
        cells = np.flatnonzero(law_of_cell == number).astype(np.int32)
        cells = np.concatenate([cells[inside[cells]], cells[~inside[cells]]])
        runs[cells, 0], runs[cells, 1] = number, np.arange(len(cells), 0, -1)
        order.append(cells)
    return runs, order


def _cellwise(domain: Any, values: Float[np.ndarray, "cells m"]) -> dfem.Function:
    """A field that is constant in each cell."""
    element = basix.ufl.element("DG", domain.basix_cell(), 0, shape=(values.shape[1],))
    field = dfem.Function(dfem.functionspace(domain, element))
    rows = field.function_space.dofmap.list[: len(values), 0]
    field.x.array.reshape(-1, values.shape[1])[rows] = values
    return field


def _source(space: dfem.FunctionSpace, quadrature: Quadrature, *, oriented: bool) -> str:
    """The kernel's text with the numbers and tables of the element before it."""
    domain = quadrature.domain
    d = domain.geometry.dim
    shapes = space.element.basix_element.tabulate(1, quadrature.points)[..., 0]
    geometry = domain.ufl_domain().ufl_coordinate_element().basix_element.tabulate(1, quadrature.points)[..., 0]
    nodes = shapes.shape[-1]
    lanes = 8 if nodes % 8 == 0 or nodes > 12 else 4
    padded = -(-nodes // lanes) * lanes
    gradients = np.zeros((len(quadrature.points), d, padded))
    gradients[..., :nodes] = shapes[1:].transpose(1, 0, 2)
    slopes = geometry[1:].transpose(1, 0, 2)
    numbers = {
        "DIM": d,
        "POINTS": len(quadrature.points),
        "NODES": nodes,
        "GEOMETRY_NODES": geometry.shape[-1],
        "ORIENTED": int(oriented),
        "AFFINE": int(np.allclose(slopes, slopes[0], rtol=0.0, atol=1e-14)),
        "CELLS": _block(len(quadrature.points)),
        "LANES": lanes,
        "PADDED": padded,
        "INTEGER": _INTEGER,
    }
    tables = {
        "WEIGHTS": quadrature.rule_weights,
        "GRADIENTS": gradients.reshape(*gradients.shape[:-1], -1, lanes),
        "GEOMETRY": slopes,
        "SHAPES": geometry[0],
    }
    vector = f"typedef double vd __attribute__((vector_size({8 * lanes})));\n"
    return "".join(
        [
            *(f"#define {name} {value}\n" for name, value in numbers.items()),
            vector,
            *(_table(name, "vd" if name == "GRADIENTS" else "double", table) for name, table in tables.items()),
            _SOURCE.read_text(),
        ]
    )


def _block(points: int) -> int:
    """Cells for which a law is asked at once: some thirty points or more, and few short of a multiple of eight, which laws like."""
    return next(n for n in count(-(-32 // points)) if -n * points % 8 <= 0.05 * n * points)


def _table(name: str, kind: str, values: Float[np.ndarray, "..."]) -> str:
    """A constant array of C; the last axis of one of vectors is the vector."""

    def text(part: np.ndarray) -> str:
        return "{" + ", ".join(text(row) for row in part) + "}" if part.ndim else float(part).hex()

    shape = values.shape[:-1] if kind == "vd" else values.shape
    return f"static const {kind} {name}{''.join(f'[{n}]' for n in shape)} = {text(values)};\n"
