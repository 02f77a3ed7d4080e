"""Mesh files of other programs, read by meshio and handed to gmsh.

Named sets of cells (`cell_sets` of meshio: Abaqus' *ELSET and others) one dimension below the solid become its surfaces.
"""

from __future__ import annotations

import contextlib
import io
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from fem.mesh import MeshError

_DIMENSION = {"line": 1, "triangle": 2, "quad": 2, "tetra": 3, "hexahedron": 3, "wedge": 3, "pyramid": 3}


def merge(gmsh: Any, path: Path) -> None:
    """Read a mesh file by meshio into gmsh's current model.

    Raises:
        MeshError: unreadable; no cells of a solid, or named surfaces which overlap.
    """
    import meshio

    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            source = meshio.read(path)
    except SystemExit:  # so meshio 5.3 gives up
        raise MeshError(f"mesh file {str(path)!r} cannot be read: {' '.join(said.getvalue().split())}") from None
    dimensions = [_DIMENSION.get(block.type.rstrip("0123456789"), 0) for block in source.cells]
    solid = max(dimensions, default=0)
    if solid < 2:
        raise MeshError(f"mesh file {str(path)!r} has no solid cells, found {[b.type for b in source.cells]}")
    tags, names = _tags(source, dimensions)
    blocks, data = [], []
    for block, tag, dimension in zip(source.cells, tags, dimensions, strict=True):
        if dimension == solid:
            tag = np.where(tag > 0, tag, 1)  # the solid needs no name
            keep = np.ones(len(tag), dtype=bool)
        elif dimension == solid - 1:
            keep = tag > 0
        else:
            continue
        if keep.any():
            blocks.append((block.type, block.data[keep]))
            data.append(tag[keep].astype(np.int32))
    points = np.zeros((len(source.points), 3))
    points[:, : source.points.shape[1]] = source.points
    field_data = {name: np.array([tag, solid - 1]) for name, tag in names.items()}
    copy = meshio.Mesh(
        points, blocks, cell_data={"gmsh:physical": data, "gmsh:geometrical": data}, field_data=field_data
    )
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "mesh.msh"
        meshio.write(file, copy, file_format="gmsh22", binary=True)
        gmsh.merge(str(file))


def _tags(source: Any, dimensions: list[int]) -> tuple[list[np.ndarray], dict[str, int]]:
    """A number for each cell (0: in no named set) and the number of each surface name."""
    tags = [np.zeros(len(block.data), dtype=np.int64) for block in source.cells]
    names: dict[str, int] = {}
    for name, members in source.cell_sets.items():
        for tag, inside, dimension in zip(tags, members, dimensions, strict=True):
            if inside is None or len(inside) == 0 or dimension != max(dimensions) - 1:
                continue
            cells = np.asarray(inside, dtype=np.int64)
            if np.any(tag[cells] > 0):
                raise MeshError(f"surface {name!r} overlaps another named set of cells, expected disjoint ones")
            tag[cells] = names.setdefault(name, len(names) + 2)
    return tags, names
