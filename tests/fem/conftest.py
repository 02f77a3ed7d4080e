"""Meshes and laws of the finite element tests."""

# ruff: noqa: E402  the hook comes before the modules that it instruments
import pytest
from jaxtyping import install_import_hook

# what checks a user's input itself is left alone: its own errors are under test
COMPUTING = (
    "laws.kinematics",
    "quadrature",
    "line_search",
    "load_stepping",
    "gathering",
    "mixed",
    "block_solver",
    "plane_stress",
    "constitution",
    "stability",
    "arc_length",
    "rigid_motions",
    "residual",
    "supports",
    "law_check",
)
install_import_hook([f"fem.{name}" for name in COMPUTING], "beartype.beartype")

from mpi4py import MPI  # isort: skip

import dolfinx
import numpy as np
from dolfinx.mesh import CellType

import fem

CELLS = {
    "triangle": CellType.triangle,
    "quadrilateral": CellType.quadrilateral,
    "tetrahedron": CellType.tetrahedron,
    "hexahedron": CellType.hexahedron,
}


def unit_mesh(cell: str, cells_per_side: int, comm: MPI.Intracomm = MPI.COMM_WORLD) -> fem.Mesh:
    """Unit square or cube with its sides named left, right, front, back (y), bottom, top (last axis), and "boundary"."""
    n = cells_per_side
    if cell in ("triangle", "quadrilateral"):
        domain = dolfinx.mesh.create_unit_square(comm, n, n, CELLS[cell])
    else:
        domain = dolfinx.mesh.create_unit_cube(comm, n, n, n, CELLS[cell])
    last = domain.geometry.dim - 1
    sides = {"left": (0, 0.0), "right": (0, 1.0), "front": (1, 0.0), "back": (1, 1.0), "bottom": (last, 0.0)}
    sides["top"] = (last, 1.0)
    markers = {name: (lambda X, i=i, x=x: np.isclose(X[i], x)) for name, (i, x) in sides.items()}
    return fem.Mesh.of(domain, {**markers, "boundary": lambda X: np.full(X.shape[1], True)})


@pytest.fixture(scope="session")
def cube() -> fem.Mesh:
    """The libCEED cube: 2 x 2 x 2 hexahedra."""
    return unit_mesh("hexahedron", 2)
