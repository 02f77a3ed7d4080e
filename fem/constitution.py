"""Which law answers at each point of a body, and in which orientation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from fem.law import InadmissibleDeformation, Law, Response, check_response
from fem.mesh import Mesh, MeshError
from fem.orientation import Orientation, cell_orientations, rotate_back


@dataclass(frozen=True)
class Constitution:
    """The laws of a body at its quadrature points, which are ordered by cell and have `points_per_cell` each.

    Attributes:
        laws: one for each material.
        law_of_cell: its index, for each cell of this rank.
        orientation: R of each cell; None where the materials' axes are the laboratory's.
        points_per_cell: of the quadrature rule.
    """

    laws: tuple[Law, ...]
    law_of_cell: Int[np.ndarray, " cells"]
    orientation: Float[np.ndarray, "cells 3 3"] | None
    points_per_cell: int

    @classmethod
    def of(
        cls, mesh: Mesh, laws: Law | Mapping[str, Law], orientation: Orientation | None, points_per_cell: int
    ) -> Constitution:
        """One law everywhere, or one for each named volume. Collective.

        Raises:
            MeshNameError: no such volume.
            MeshError: volumes which overlap with different laws, or cells without a law; alike on all ranks.
            OrientationError: orientations which are no rotations, or do not fit the mesh.
        """
        topology = mesh.domain.topology
        owned = topology.index_map(topology.dim).size_local
        R = cell_orientations(orientation, mesh)
        if not isinstance(laws, Mapping):
            return cls((laws,), np.zeros(owned, dtype=np.int64), R, points_per_cell)
        law_of_cell = np.full(owned, -1)
        for number, name in enumerate(laws):
            cells = mesh.cells(name)
            cells = cells[cells < owned]
            twice = mesh.domain.comm.allreduce(int((law_of_cell[cells] >= 0).sum()))
            if twice:
                raise MeshError(
                    f"{twice} cells of volume {name!r} belong to another volume with a law, expected one each"
                )
            law_of_cell[cells] = number
        bare = mesh.domain.comm.allreduce(int((law_of_cell < 0).sum()))
        if bare:
            raise MeshError(
                f"{bare} cells have no law: laws are given for {', '.join(map(repr, laws))}, volumes of this mesh: "
                f"{', '.join(map(repr, mesh.volumes))}"
            )
        return cls(tuple(laws.values()), law_of_cell, R, points_per_cell)

    def evaluate(
        self,
        F: Float[np.ndarray, "n 3 3"],
        *,
        tangent: bool,
        trust: bool = False,
        points: Int[np.ndarray, " n"] | None = None,
    ) -> Response:
        """What the laws answer, in the laboratory's axes, with shapes checked.

        Args:
            F: at the points.
            tangent, trust: what is wanted besides energy and stress. A law without a gauge counts as trusted (1) beside laws with one.
            points: indices of the points asked; all of them when None.

        Raises:
            InadmissibleDeformation: with `point` an index into F.
            ShapeError, AsymmetricTangent, or whatever a law raises.
        """
        if len(F) == 0:
            return Response(np.empty(0), np.empty((0, 3, 3)), np.empty((0, 3, 3, 3, 3)))
        every = np.arange(len(self.law_of_cell))
        cells = np.repeat(every, self.points_per_cell) if points is None else points // self.points_per_cell
        if len(self.laws) == 1:
            return self._ask(self.laws[0], F, cells, tangent, trust)
        n = len(F)
        energy, P = np.empty(n), np.empty((n, 3, 3))
        A = np.empty((n, 3, 3, 3, 3)) if tangent else None
        gauge = np.ones(n)
        gauged = False
        law_of_point = self.law_of_cell[cells]
        for number, law in enumerate(self.laws):
            mine = np.flatnonzero(law_of_point == number)
            if mine.size == 0:
                continue
            try:
                answer = self._ask(law, F[mine], cells[mine], tangent, trust)
            except InadmissibleDeformation as error:
                raise InadmissibleDeformation(int(mine[error.point]), error.determinant) from error
            energy[mine], P[mine] = answer.energy, answer.first_piola
            if A is not None and answer.tangent is not None:
                A[mine] = answer.tangent
            if answer.trust is not None:
                gauge[mine], gauged = answer.trust, True
        return Response(energy, P, A, gauge if gauged else None)

    def _ask(
        self, law: Law, F: Float[np.ndarray, "n 3 3"], cells: Int[np.ndarray, " n"], tangent: bool, trust: bool
    ) -> Response:
        R = None if self.orientation is None else self.orientation[cells]
        answer = law.evaluate(F if R is None else F @ R, tangent=tangent, trust=trust)
        checked = check_response(answer, len(F), tangent=tangent)
        return checked if R is None else rotate_back(checked, R)
