"""Meshes that define no body: cells without volume, inverted, duplicate, overlapping, or in parts that do not hang together.

Meshes of files are looked at on one rank before they are distributed, by the corners of their cells in the order of VTK (and gmsh); the
shapes of all cells once more by whoever solves, as a mesh may be made and moved elsewhere.
"""

from __future__ import annotations

from math import factorial

import numpy as np
from dolfinx.mesh import Mesh as Domain
from jaxtyping import Float, Int
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from fem.mesh import MeshError

FACETS = {
    "triangle": ((1, 2), (0, 2), (0, 1)),
    "quadrilateral": ((0, 1), (1, 2), (2, 3), (3, 0)),
    "tetrahedron": ((1, 2, 3), (0, 2, 3), (0, 1, 3), (0, 1, 2)),
    "hexahedron": ((0, 3, 2, 1), (4, 5, 6, 7), (0, 1, 5, 4), (1, 2, 6, 5), (2, 3, 7, 6), (3, 0, 4, 7)),
}
"""Corners of the facets of a cell; in simplices facet i lies opposite corner i."""

# dolfinx' corners in the order of VTK
_VTK = {
    "quadrilateral": [0, 1, 3, 2],
    "hexahedron": [0, 1, 3, 2, 4, 5, 7, 6],
    "triangle": [0, 1, 2],
    "tetrahedron": [0, 1, 2, 3],
}

# each corner and its neighbours, in an order that makes the volume they span positive
_FRAMES = {
    "triangle": ((0, 1, 2),),
    "quadrilateral": ((0, 1, 3), (1, 2, 0), (2, 3, 1), (3, 0, 2)),
    "tetrahedron": ((0, 1, 2, 3),),
    "hexahedron": (
        (0, 1, 3, 4),
        (1, 2, 0, 5),
        (2, 3, 1, 6),
        (3, 0, 2, 7),
        (4, 7, 5, 0),
        (5, 4, 6, 1),
        (6, 5, 7, 2),
        (7, 6, 4, 3),
    ),
}
# of the cube of the longest edge
_FLAT = 1e-12


def complaint(points: Float[np.ndarray, "n d"], corners: Int[np.ndarray, "m k"], cell: str) -> str:
    """What is wrong with the cells, "" if nothing is.

    Args:
        points: all nodes.
        corners: of each cell, in VTK's order.
        cell: its type.
    """
    wrong = _shapes(points, corners, cell, np.arange(len(corners)))
    if wrong:
        return wrong
    _, first, times = np.unique(np.sort(corners, axis=1), axis=0, return_index=True, return_counts=True)
    if np.any(times > 1):
        twice = np.zeros(len(corners), dtype=bool)
        twice[first[times > 1]] = True
        return f"{_which(twice, points, corners, np.arange(len(corners)))} a duplicate with the same corners"
    return _neighbours(points, corners, cell)


def check_cells(domain: Domain) -> None:
    """Look at the shapes of all cells as they are now. Collective.

    Raises:
        MeshError: a coordinate which is not finite, a cell without volume or with corners turned inside out; alike on all ranks.
    """
    cell, d = domain.topology.cell_name(), domain.geometry.dim
    owned = domain.topology.index_map(domain.topology.dim).size_local
    corners = domain.geometry.dofmaps[0][:owned][:, _VTK[cell]]
    mine = _shapes(domain.geometry.x[:, :d], corners, cell, domain.topology.original_cell_index)
    for wrong in domain.comm.allgather(mine):
        if wrong:
            raise MeshError(f"{wrong}; mend the mesh")


def _shapes(
    points: Float[np.ndarray, "n d"], corners: Int[np.ndarray, "m k"], cell: str, numbers: Int[np.ndarray, " m2"]
) -> str:
    """What is wrong with single cells."""
    if not np.all(np.isfinite(points[corners])):
        return "a node has a coordinate that is not finite"
    volumes = np.stack([_spanned(points, corners[:, list(frame)]) for frame in _FRAMES[cell]], axis=1)
    edges = np.linalg.norm(points[corners] - points[np.roll(corners, 1, axis=1)], axis=2).max(axis=1)
    size = edges ** points.shape[1]
    flat = np.abs(volumes).max(axis=1) <= _FLAT * size
    if flat.any():
        return f"{_which(flat, points, corners, numbers)} no volume"
    inverted = (volumes > 0.0).any(axis=1) & (volumes < 0.0).any(axis=1)
    if inverted.any():
        return f"{_which(inverted, points, corners, numbers)} corners turned inside out"
    return ""


def _neighbours(points: Float[np.ndarray, "n d"], corners: Int[np.ndarray, "m k"], cell: str) -> str:
    """Facets have two sides, one for each cell; and neighbours lead from any cell to any other."""
    count = len(corners)
    local = FACETS[cell]
    facets = np.concatenate([corners[:, list(facet)] for facet in local])
    owner = np.tile(np.arange(count), len(local))
    _, number, times = np.unique(np.sort(facets, axis=1), axis=0, return_inverse=True, return_counts=True)
    number = number.reshape(-1)
    if np.any(times > 2):
        crowded = np.zeros(count, dtype=bool)
        crowded[owner[times[number] > 2]] = True
        return f"{_which(crowded, points, corners, np.arange(count))} a facet which belongs to more than two cells"
    order = np.argsort(number, kind="stable")
    pairs = order[np.repeat(times == 2, times)].reshape(-1, 2)
    if cell in ("triangle", "tetrahedron"):
        opposite = np.concatenate([corners[:, i] for i in range(len(local))])
        same_facet = facets[pairs[:, 0]]
        sides = [_spanned(points, np.column_stack([same_facet, opposite[pairs[:, i]]])) for i in (0, 1)]
        overlapping = sides[0] * sides[1] > 0.0
        if overlapping.any():
            both = np.zeros(count, dtype=bool)
            both[owner[pairs[overlapping, 0]]] = True
            which = _which(both, points, corners, np.arange(count))
            return f"{which} a neighbour on its own side of their common facet: one of them is inverted"
    links = coo_array((np.ones(len(pairs)), (owner[pairs[:, 0]], owner[pairs[:, 1]])), shape=(count, count))
    parts, part = connected_components(links, directed=False)
    if parts > 1:
        sizes = np.bincount(part)
        lesser = part == int(np.argmin(sizes))
        middle = points[corners[lesser]].mean(axis=(0, 1))
        return (
            f"the cells fall into {parts} parts which share no facet, the smallest of {sizes.min()} cells around "
            f"({', '.join(f'{x:.4g}' for x in middle)}): merge the nodes of the interface, or solve the bodies apart"
        )
    return ""


def _spanned(points: Float[np.ndarray, "n d"], frame: Int[np.ndarray, "m k"]) -> Float[np.ndarray, " m"]:
    """Signed volume of the simplices."""
    edges = points[frame[:, 1:]] - points[frame[:, :1]]
    return np.asarray(np.linalg.det(edges) / factorial(edges.shape[1]))


def _which(
    found: np.ndarray,
    points: Float[np.ndarray, "n d"],
    corners: Int[np.ndarray, "m k"],
    numbers: Int[np.ndarray, " m2"],
) -> str:
    """The first cell found and where it is, and how many more."""
    first = int(np.argmax(found))
    middle = ", ".join(f"{x:.4g}" for x in points[corners[first]].mean(axis=0))
    more = int(found.sum()) - 1
    return f"cell {numbers[first]} near ({middle}){f' and {more} more' if more else ''} has"
