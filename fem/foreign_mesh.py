"""Mesh files of other programs, read by meshio: Abaqus, VTK, Exodus, MED and whatever else it knows.

What a file names becomes the mesh's surfaces and volumes:

| in the file | becomes |
|---|---|
| sets of cells (Abaqus *ELSET, ...) | volumes, or surfaces where the cells are facets of the solid |
| sets of nodes (Abaqus *NSET, Exodus node sets) | surfaces: boundary facets all of whose corners are in the set |
| a whole number for each cell (VTK, VTU, MED's families, ...) | volumes and surfaces, by the family's names or else the number |
| several blocks of cells, nothing named (Exodus) | volumes "block 1", "block 2", ... |
"""

from __future__ import annotations

import contextlib
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mpi4py import MPI  # isort: skip

import basix.ufl
import dolfinx
import numpy as np
import ufl
from dolfinx.mesh import CellType, create_mesh
from jaxtyping import Float, Int

from fem.mesh import Mesh, MeshError
from fem.mesh_check import FACETS, complaint

# meshio's name of a cell: dolfinx' name, degree of its geometry
_SOLIDS = {
    "triangle": ("triangle", 1),
    "triangle6": ("triangle", 2),
    "quad": ("quadrilateral", 1),
    "quad9": ("quadrilateral", 2),
    "tetra": ("tetrahedron", 1),
    "tetra10": ("tetrahedron", 2),
    "hexahedron": ("hexahedron", 1),
    "hexahedron27": ("hexahedron", 2),
}
_DIMENSION = {"line": 1, "triangle": 2, "quad": 2, "tetra": 3, "hexahedron": 3, "wedge": 3, "pyramid": 3}
_CORNERS = {"line": 2, "triangle": 3, "quad": 4, "tetra": 4, "hexahedron": 8}


@dataclass(frozen=True)
class _File:
    """What a file holds: nodes, cells of one type in VTK's order, and named parts; facets by their corners."""

    cell: str
    degree: int
    points: Float[np.ndarray, "n d"]
    cells: Int[np.ndarray, "m k"]
    surfaces: dict[str, Int[np.ndarray, "f c"]]
    volumes: dict[str, Int[np.ndarray, " v"]]


def read(path: Path, comm: MPI.Intracomm) -> Mesh:
    """Read a mesh file by meshio on the first rank and distribute it. Collective.

    Raises:
        MeshError: unreadable, or unsuitable; alike on all ranks.
    """
    file, problem = None, ""
    if comm.rank == 0:
        try:
            file = _load(path)
        except MeshError as error:
            problem = str(error)
    problem = comm.bcast(problem)
    if problem:
        raise MeshError(problem)
    cell, degree, gdim, surfaces, volumes = comm.bcast(
        None if file is None else (file.cell, file.degree, file.points.shape[1], file.surfaces, file.volumes)
    )
    element = basix.ufl.element("Lagrange", cell, degree, shape=(gdim,))
    nodes = element.dim // gdim
    order = np.array(dolfinx.cpp.io.perm_vtk(getattr(CellType, cell), nodes))
    # the first rank has all nodes, the others none, until the mesh is distributed
    cells = np.empty((0, nodes), dtype=np.int64) if file is None else file.cells[:, order]
    points = np.empty((0, gdim)) if file is None else file.points
    domain = create_mesh(comm, cells, ufl.Mesh(element), points)
    return Mesh(domain, _local_facets(domain, surfaces), _local_cells(domain, volumes))


def _local_facets(domain: dolfinx.mesh.Mesh, surfaces: dict[str, np.ndarray]) -> dict[str, Int[np.ndarray, " facets"]]:
    """The facets of this rank which have the corners named."""
    dimension = domain.topology.dim - 1
    domain.topology.create_entities(dimension)
    domain.topology.create_connectivity(dimension, dimension + 1)
    facets = domain.topology.index_map(dimension)
    local = np.arange(facets.size_local + facets.num_ghosts, dtype=np.int32)
    nodes = dolfinx.mesh.entities_to_geometry(domain, dimension, local)
    corners = np.sort(domain.geometry.input_global_indices[nodes], axis=1) if local.size else nodes
    return {name: local[_rows_in(corners, wanted)] for name, wanted in surfaces.items()}


def _local_cells(domain: dolfinx.mesh.Mesh, volumes: dict[str, np.ndarray]) -> dict[str, Int[np.ndarray, " cells"]]:
    numbers = domain.topology.original_cell_index
    return {name: np.flatnonzero(np.isin(numbers, wanted)).astype(np.int32) for name, wanted in volumes.items()}


def _rows_in(rows: Int[np.ndarray, "n c"], wanted: Int[np.ndarray, "f c"]) -> np.ndarray:
    """Which rows occur among those wanted, both sorted within each row."""
    if len(rows) == 0 or len(wanted) == 0:
        return np.zeros(len(rows), dtype=bool)
    _, number = np.unique(np.concatenate([wanted, rows]), axis=0, return_inverse=True)
    number = number.reshape(-1)
    return np.isin(number[len(wanted) :], number[: len(wanted)])


def _load(path: Path) -> _File:
    if not path.is_file():
        raise MeshError(f"mesh file {str(path)!r} does not exist")
    source = _meshio(path)
    families = [block.type.rstrip("0123456789") for block in source.cells]
    dimensions = [_DIMENSION.get(family, 0) for family in families]
    solid = max(dimensions, default=0)
    types = sorted({b.type for b, d in zip(source.cells, dimensions, strict=True) if d == solid})
    if solid < 2 or len(types) != 1 or types[0] not in _SOLIDS:
        raise MeshError(
            f"mesh file {str(path)!r} has {', '.join(types) or 'no'} cells, expected one kind of {', '.join(_SOLIDS)} "
            "(dolfinx 0.11 cannot assemble on the facets of prisms and pyramids, and has no serendipity cells)"
        )
    cell, degree = _SOLIDS[types[0]]
    points = np.asarray(source.points, dtype=np.float64)
    if solid == 2:
        if points.shape[1] == 3 and np.any(points[:, 2] != 0.0):
            raise MeshError(f"mesh file {str(path)!r} is a surface in space, expected all z = 0 for a plane body")
        points = points[:, :2]
    cells = np.concatenate([b.data for b, d in zip(source.cells, dimensions, strict=True) if d == solid])
    corners = _CORNERS[types[0].rstrip("0123456789")]
    wrong = complaint(points, cells[:, :corners], cell)
    if wrong:
        raise MeshError(f"mesh file {str(path)!r}: {wrong}")
    surfaces, volumes = _named(source, families, solid)
    facets = _boundary_facets(cells[:, :corners], cell)
    for name, nodes in source.point_sets.items():
        inside = np.isin(facets, np.asarray(nodes, dtype=np.int64)).all(axis=1)
        if inside.any() and name not in surfaces:
            surfaces[name] = facets[inside]
    return _File(cell, degree, points, cells.astype(np.int64), surfaces, volumes)


def _meshio(path: Path) -> Any:
    import meshio

    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            return meshio.read(path)
    except SystemExit:  # so meshio 5.3 gives up
        raise MeshError(f"mesh file {str(path)!r} cannot be read: {' '.join(said.getvalue().split())}") from None
    except Exception as error:  # meshio's readers raise all sorts on a file that is not what its name says
        raise MeshError(f"mesh file {str(path)!r} cannot be read: {error}") from error


def _named(source: Any, families: list[str], solid: int) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Corners of the facets of each named surface, numbers of the cells of each named volume."""
    surfaces: dict[str, list[np.ndarray]] = {}
    volumes: dict[str, list[np.ndarray]] = {}
    first = 0  # number of the block's first cell among the solid's
    blocks = 0
    for number, (block, family) in enumerate(zip(source.cells, families, strict=True)):
        dimension = _DIMENSION.get(family, 0)
        if dimension not in (solid, solid - 1):
            continue
        for name, members in _members(source, number, dimension):
            if dimension == solid:
                volumes.setdefault(name, []).append(first + members)
            else:
                surfaces.setdefault(name, []).append(np.sort(block.data[members][:, : _CORNERS[family]], axis=1))
        if dimension == solid:
            first += len(block.data)
            blocks += 1
    found = {name: np.unique(np.concatenate(parts)) for name, parts in volumes.items()}
    if not found and blocks > 1:
        sizes = [len(b.data) for b, f in zip(source.cells, families, strict=True) if _DIMENSION.get(f, 0) == solid]
        ends = np.cumsum([0, *sizes])
        found = {f"block {i + 1}": np.arange(ends[i], ends[i + 1]) for i in range(blocks)}
    return {name: np.concatenate(parts) for name, parts in surfaces.items()}, found


def _members(source: Any, block: int, dimension: int) -> list[tuple[str, Int[np.ndarray, " n"]]]:
    """Names which cells of the block bear, and which cells."""
    found = [
        (name, np.asarray(members[block], dtype=np.int64))
        for name, members in source.cell_sets.items()
        if members[block] is not None and len(members[block])
    ]
    # numbers of cells: names of the file's if it has any, else the numbers themselves
    names = {(int(tag), int(d)): name for name, (tag, d) in source.field_data.items()}
    families = getattr(source, "cell_tags", {})
    tagged = {
        key: np.asarray(values[block])
        for key, values in source.cell_data.items()
        if np.issubdtype(np.asarray(values[block]).dtype, np.integer) and np.ndim(values[block]) == 1
    }
    for key, tags in tagged.items():
        if key == "gmsh:geometrical":  # says which part of the drawing, not which group
            continue
        for tag in np.unique(tags):
            members = np.flatnonzero(tags == tag)
            if key == "cell_tags" and families:
                found += [(name, members) for name in families.get(int(tag), [])]
            else:
                plain = str(tag) if len(tagged) == 1 else f"{key}:{tag}"
                found.append((names.get((int(tag), dimension), plain), members))
    return found


def _boundary_facets(corners: Int[np.ndarray, "m k"], cell: str) -> Int[np.ndarray, "f c"]:
    facets = np.sort(np.concatenate([corners[:, list(local)] for local in FACETS[cell]]), axis=1)
    found, times = np.unique(facets, axis=0, return_counts=True)
    return np.asarray(found[times == 1])
