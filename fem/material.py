"""The laws of a solid as nodal forces and stiffness: what a Newton method asks of them.

Everything that can go wrong in a law is turned here into one decision which all ranks share: either every rank has the
response, or every rank knows that this displacement is rejected, or every rank raises.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Protocol

from mpi4py import MPI  # isort: skip

import numpy as np
from dolfinx import fem as dfem
from jaxtyping import Float
from petsc4py import PETSc

from fem.constitution import Constitution
from fem.kind import Kind
from fem.law import Response
from fem.loads import add_ghosts
from fem.point_arrays import Condensation
from fem.quadrature import Quadrature


class LawFailed(RuntimeError):
    """The law raised something unforeseen on another rank, or cannot be evaluated at F = I; the message says which."""


class Evaluation(Protocol):
    """How laws become nodal forces and stiffness: `fem.point_arrays` for all, `fem.cell_kernel` for those given in C.

    Attributes:
        forces: linear form of R at what was stored last.
        tangents: bilinear forms whose sum is K there.
    """

    forces: dfem.Form
    tangents: list[dfem.Form]

    def evaluate(self) -> str:
        """Ask the laws at the present displacement; why it is rejected, "" if it is not."""

    def store(self) -> None:
        """Take over what `evaluate` found."""

    def add_forces(self, f: PETSc.Vec) -> None:
        """Add the nodal forces stored last; ghosts keep theirs."""

    def add_stiffness(self, matrix: PETSc.Mat, conditions: Sequence[dfem.DirichletBC]) -> None:
        """Add K of what was stored last, assembled; rows and columns of what is prescribed are the identity's."""

    def objection(self) -> str:
        """Why the stiffness assembled last is of no use, "" if it is."""

    def energy(self) -> float:
        """Of what was stored last, on this rank."""

    def stiffness(self) -> float:
        """Largest component of the laws' tangents in the undeformed state, on this rank."""


class Material:
    """A body's laws at the present displacement, as nodal forces and stiffness.

    Args:
        laws: at the points.
        displacement: u.
        kind: of the problem.
        quadrature: the points.
        evaluation: of the laws.
        condensation: what comes before the law.

    Attributes:
        quadrature: the points.
        rejection: why the last displacement was rejected, "" if it was not.
        seconds: wall time spent in `update` so far, on this rank: in the law, and in the forces where the cell kernel has both.
    """

    def __init__(
        self,
        laws: Constitution,
        displacement: dfem.Function,
        kind: Kind,
        quadrature: Quadrature,
        evaluation: Evaluation,
        condensation: Condensation,
    ) -> None:
        self.quadrature = quadrature
        self.rejection = ""
        self.seconds = 0.0
        self._laws, self._kind, self._evaluation, self._condensation = laws, kind, evaluation, condensation
        self._comm = quadrature.domain.comm
        self._gradient = quadrature.expression(kind.gradient(displacement))

    def deformation_gradient(self) -> Float[np.ndarray, "n 3 3"]:
        """F at the points of this rank, as the law sees it: I + grad u; in plane stress with the third column that leaves the faces
        free; in a mixed form with the volume ratio of the cell's own.

        Raises:
            InadmissibleDeformation: there is no such F.
        """
        return self._condensation.seen(self._kind.deformation_gradient(self.quadrature.evaluate(self._gradient)))

    def update(self) -> bool:
        """Ask the law at the present displacement (whose ghosts are up to date). Collective.

        Returns:
            True with forces and stiffness there, or False, on all ranks, where the law cannot be evaluated (`rejection` says why).

        Raises:
            ShapeError, or whatever the law raises, on the rank where it happened; LawFailed on the others.
        """
        start = time.perf_counter()
        rejection, failure = "", None
        try:
            rejection = self._evaluation.evaluate()
        except Exception as error:  # told to the other ranks, then raised again
            failure = error
        self.seconds += time.perf_counter() - start

        verdicts = self._comm.allgather(
            (rejection, None if failure is None else f"{type(failure).__name__}: {failure}")
        )
        if failure is not None:
            raise failure
        for rank, (_, message) in enumerate(verdicts):
            if message is not None:
                raise LawFailed(f"the law failed on rank {rank}: {message}")
        self.rejection = next((r for r, _ in verdicts if r), "")
        if not self.rejection:
            self._evaluation.store()
        return not self.rejection

    def nodal_forces(self, f: PETSc.Vec) -> None:
        """Those of the stress at the last successful update, supports' reactions included. Collective."""
        with f.localForm() as local:
            local.set(0.0)
        self._evaluation.add_forces(f)
        add_ghosts(f)

    def add_stiffness(self, matrix: PETSc.Mat, conditions: Sequence[dfem.DirichletBC]) -> None:
        """Add K at the last successful update; rows and columns of what is prescribed are the identity's. Collective."""
        self._evaluation.add_stiffness(matrix, conditions)

    def objection(self) -> str:
        """Of the law to the stiffness assembled last, "" if it has none; the same on all ranks. Collective."""
        return next((found for found in self._comm.allgather(self._evaluation.objection()) if found), "")

    def respond(self, F: Float[np.ndarray, "n 3 3"], *, tangent: bool, trust: bool = False) -> Response:
        """The laws at F, one for each point of this rank, with checked shapes; a rank without points does not ask them."""
        return self._laws.evaluate(F, tangent=tangent, trust=trust)

    def energy(self) -> float:
        """Strain energy of the whole body at the last successful update. Collective."""
        return float(self._comm.allreduce(self._evaluation.energy()))

    def stiffness(self) -> float:
        """Largest component of the laws' tangent in the undeformed state, where the body was updated. Collective."""
        return float(self._comm.allreduce(self._evaluation.stiffness(), MPI.MAX))

    def volume(self) -> float:
        """Of the undeformed body. Collective."""
        return float(self._comm.allreduce(float(self.quadrature.weights().sum())))
