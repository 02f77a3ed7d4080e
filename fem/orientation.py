"""Orientation of a material: a rotation R from the material's axes to the laboratory's, at each point.

    W(F) = W_material(F R),    P = P_material(F R) R^T,    A_iJkL = R_JM R_LN A_material_iMkN(F R)

In a polycrystal every grain is one law and a rotation of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from fem.law import Response, determinant
from fem.mesh import Mesh

Orientation = ArrayLike | Mapping[str, ArrayLike]
"""One rotation (3, 3); one for each cell of the mesh as it was made (cells, 3, 3); or one for each named volume."""

# of R R^T - I
_TOLERANCE = 1e-8


class OrientationError(ValueError):
    """Orientations which are no rotations, or which do not fit the mesh; names the cell or volume."""


def rotate_back(response: Response, R: Float[np.ndarray, "n 3 3"]) -> Response:
    """P and A in the laboratory's axes, from what a law answered at F R."""
    P = response.first_piola @ R.transpose(0, 2, 1)
    if response.tangent is None:
        return replace(response, first_piola=P)
    n = len(R)
    # A_iMkN R_JM R_LN, as two products of small matrices a point
    last = response.tangent.reshape(n, 27, 3) @ R.transpose(0, 2, 1)
    middle = R[:, None] @ last.reshape(n, 3, 3, 9)
    return replace(response, first_piola=P, tangent=middle.reshape(n, 3, 3, 3, 3))


def cell_orientations(orientation: Orientation | None, mesh: Mesh) -> Float[np.ndarray, "cells 3 3"] | None:
    """R of each cell of this rank, None for a material in the laboratory's axes. Collective.

    Cells of an array are counted as the mesh was made (`topology.original_cell_index`), whatever the distribution.

    Raises:
        OrientationError: another shape, no rotation, a volume left out; alike on all ranks.
        MeshNameError: no such volume.
    """
    if orientation is None:
        return None
    topology = mesh.domain.topology
    owned = topology.index_map(topology.dim).size_local
    if isinstance(orientation, Mapping):
        R = np.zeros((owned, 3, 3))
        for name, value in orientation.items():
            cells = mesh.cells(name)
            R[cells[cells < owned]] = _checked(value, (3, 3), f"the orientation of {name!r}")
        missing = mesh.domain.comm.allreduce(int((~R.any(axis=(1, 2))).sum()))
        if missing:
            raise OrientationError(
                f"{missing} cells have no orientation, expected volumes which cover the mesh; given: "
                f"{', '.join(map(repr, orientation))}"
            )
        return R
    if np.shape(orientation) == (3, 3):
        return np.broadcast_to(_checked(orientation, (3, 3), "the orientation"), (owned, 3, 3))
    count = topology.index_map(topology.dim).size_global
    everywhere = _checked(orientation, (count, 3, 3), "the orientation of the cells")
    return np.asarray(everywhere[topology.original_cell_index[:owned]])


def _checked(orientation: ArrayLike, shape: tuple[int, ...], what: str) -> Float[np.ndarray, "... 3 3"]:
    R = np.asarray(orientation, dtype=np.float64)
    if R.shape != shape:
        raise OrientationError(f"{what} has shape {R.shape}, expected {shape}")
    error = np.abs(R @ np.swapaxes(R, -1, -2) - np.eye(3)).max(axis=(-1, -2))
    # written so that NaN is no rotation
    det = determinant(R.reshape(-1, 3, 3)).reshape(error.shape)
    wrong = ~((error <= _TOLERANCE) & (det > 0.0))
    if wrong.any():
        first = int(np.argmax(wrong))
        place = f" of cell {first}" if R.ndim == 3 else ""
        raise OrientationError(
            f"{what} is no rotation: the matrix{place} has det {det.flat[first]:.6g} and differs from an orthogonal one by "
            f"{error.flat[first]:.2g}"
        )
    return R
