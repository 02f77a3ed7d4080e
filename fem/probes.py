"""Displacements at points of the undeformed body."""

from __future__ import annotations

from mpi4py import MPI  # isort: skip  # noqa: F401

import numpy as np
from dolfinx import fem as dfem
from dolfinx import geometry
from dolfinx.mesh import Mesh as Domain
from jaxtyping import Float
from numpy.typing import ArrayLike

from fem.law import ShapeError


class PointOutside(ValueError):
    """A point asked for lies in no cell of the undeformed body."""


class Probes:
    """Points whose cells have been found. Collective.

    Args:
        domain: the mesh.
        points: X, (n, gdim) or one point (gdim,); the same on all ranks.

    Raises:
        ShapeError: another number of coordinates.
        PointOutside: no cell contains a point.
    """

    def __init__(self, domain: Domain, points: ArrayLike) -> None:
        gdim = domain.geometry.dim
        X = np.atleast_2d(np.asarray(points, dtype=np.float64))
        if X.ndim != 2 or X.shape[1] != gdim:
            raise ShapeError(f"points have shape {np.shape(points)}, expected (n, {gdim})")
        self._comm = domain.comm
        self._X = np.zeros((len(X), 3))
        self._X[:, :gdim] = X
        size = float(np.ptp(domain.geometry.x, axis=0).max()) if domain.geometry.x.size else 0.0
        tree = geometry.bb_tree(domain, domain.topology.dim, padding=1e-10 * size)
        candidates = geometry.compute_collisions_points(tree, self._X)
        colliding = geometry.compute_colliding_cells(domain, candidates, self._X)
        links = [colliding.links(i) for i in range(len(X))]
        self._here = np.array([len(cells) > 0 for cells in links], dtype=bool)
        self._cells = np.array([cells[0] for cells in links if len(cells)], dtype=np.int32)
        found = np.stack(self._comm.allgather(self._here))
        if not found.any(axis=0).all():
            outside = X[int(np.argmin(found.any(axis=0)))]
            raise PointOutside(f"point {tuple(outside.tolist())} lies outside the undeformed body")
        self._first = found.argmax(axis=0)

    def values(self, function: dfem.Function) -> Float[np.ndarray, "n d"]:
        """The function at the points, the same on all ranks. Collective."""
        values = np.zeros((len(self._X), function.function_space.dofmap.bs))
        if self._here.any():
            values[self._here] = function.eval(self._X[self._here], self._cells).reshape(len(self._cells), -1)
        # a continuous function: any rank which has the point may answer; the first does, so that all hear the same
        answers = np.stack(self._comm.allgather(values))
        return np.asarray(answers[self._first, np.arange(len(self._X))])
