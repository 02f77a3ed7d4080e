"""Small rigid motions: what supports must prevent, and what a multigrid preconditioner must be told of."""

from __future__ import annotations

from mpi4py import MPI  # isort: skip  # noqa: F401

import numpy as np
from dolfinx import fem as dfem
from jaxtyping import Float

RIGID_MOTIONS = {
    2: ("translation along x", "translation along y", "rotation about z"),
    3: (
        "translation along x",
        "translation along y",
        "translation along z",
        "rotation about x",
        "rotation about y",
        "rotation about z",
    ),
}


def rigid_motions(X: Float[np.ndarray, "n 3"], dimension: int) -> Float[np.ndarray, "n d m"]:
    """Displacements at the points X: d translations, then rotations (one in the plane, three in space)."""
    modes = np.zeros((len(X), dimension, len(RIGID_MOTIONS[dimension])))
    modes[:, range(dimension), range(dimension)] = 1.0
    axes = np.eye(3)[2:] if dimension == 2 else np.eye(3)
    for m, axis in enumerate(axes):
        modes[:, :, dimension + m] = np.cross(axis, X)[:, :dimension]
    return modes


def motions_of(space: dfem.FunctionSpace) -> Float[np.ndarray, "n d m"]:
    """Rigid motions of a body at its nodes, owned and ghosts; rotations about its centre, of the size of the translations. Collective."""
    comm = space.mesh.comm
    X = space.tabulate_dof_coordinates()
    owned = space.dofmap.index_map.size_local
    count = space.dofmap.index_map.size_global
    X = X - comm.allreduce(X[:owned].sum(axis=0)) / count
    X = X / np.sqrt(comm.allreduce(float((X[:owned] ** 2).sum())) / count)
    return rigid_motions(X, space.mesh.geometry.dim)
