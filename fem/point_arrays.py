"""What laws answer as arrays over all quadrature points, stored where UFL can integrate it: for any law and any kind of problem."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mpi4py import MPI  # isort: skip  # noqa: F401

import dolfinx.fem.petsc as petsc_fem
import numpy as np
import ufl
from dolfinx import fem as dfem
from jaxtyping import Float
from petsc4py import PETSc

from fem.constitution import Constitution
from fem.kind import Kind
from fem.law import InadmissibleDeformation, Response
from fem.low_rank import LowRankForm
from fem.mixed import Averaged, MeanVolume
from fem.plane_stress import NoPlaneStress, PlaneStress, condense
from fem.quadrature import Quadrature


@dataclass(frozen=True)
class Condensation:
    """What is solved for at the points or in the cells before the law answers; nothing by default.

    Attributes:
        plane_stress: finds the deformation out of the plane; in plane stress.
        mean_volume: finds the volume ratio of each cell; in a mixed form, with `low_rank`.
        low_rank: takes what the mixed form adds to the tangent.
    """

    plane_stress: PlaneStress | None = None
    mean_volume: MeanVolume | None = None
    low_rank: LowRankForm | None = None

    def seen(self, F: Float[np.ndarray, "n 3 3"]) -> Float[np.ndarray, "n 3 3"]:
        """F as the law sees it.

        Raises:
            InadmissibleDeformation, NoPlaneStress: there is no such F.
        """
        if self.plane_stress is not None:
            F, _ = self.plane_stress.close(F)
        return F if self.mean_volume is None else self.mean_volume.seen(F)


class PointArrays:
    """Forces and stiffness of a body from stress and tangent stored at its points. Collective.

    Args:
        laws: at the points.
        displacement: u.
        kind: of the problem.
        quadrature: the points.
        condensation: what comes before the law.

    Attributes:
        forces: linear form, R at what was stored last.
        tangents: bilinear forms whose sum is K.
    """

    def __init__(
        self,
        laws: Constitution,
        displacement: dfem.Function,
        kind: Kind,
        quadrature: Quadrature,
        condensation: Condensation,
    ) -> None:
        self._laws, self._kind, self._quadrature, self._condensation = laws, kind, quadrature, condensation
        m = len(kind.components)
        self._first_piola = quadrature.function((m,))
        self._tangent = quadrature.function((m, m))
        self._gradient = quadrature.expression(kind.gradient(displacement))
        self._weights = quadrature.weights()
        space = displacement.function_space
        v, du = kind.gradient(ufl.TestFunction(space)), kind.gradient(ufl.TrialFunction(space))
        dV = quadrature.measure
        self.forces = dfem.form(ufl.inner(self._first_piola, v) * kind.width * dV)
        self.tangents = [dfem.form(ufl.inner(ufl.dot(self._tangent, du), v) * kind.width * dV)]
        if condensation.low_rank is not None:
            self.tangents.append(condensation.low_rank.form)
        self._answer: _Answer | None = None
        self._stored: _Answer | None = None

    def evaluate(self) -> str:
        """Ask the law at the present displacement; why it is rejected, "" if it is not. Raises whatever else the law raises."""
        try:
            answer = self._ask(self._kind.deformation_gradient(self._quadrature.evaluate(self._gradient)))
        except NoPlaneStress as error:
            return f"no thickness leaves the faces free of stress {self._place(error.point)}"
        except InadmissibleDeformation as error:
            return f"det F = {error.determinant:.4g} {self._place(error.point)}"
        self._answer = answer
        for name in ("energy", "first_piola", "tangent"):
            values = getattr(answer, name)
            # one pass and no temporaries: a sum is finite unless something in it is not (or overflows: as bad)
            if not np.isfinite(np.sum(values)):
                point = int(np.argmax(~np.isfinite(values.reshape(len(values), -1)).all(axis=1)))
                return f"the law returned a {name} that is not finite {self._place(point)}"
        return ""

    def store(self) -> None:
        """Take over what `evaluate` found."""
        answer = self._stored = self._answer
        assert answer is not None
        self._quadrature.assign(self._first_piola, answer.first_piola)
        self._quadrature.assign(self._tangent, answer.tangent)
        if self._condensation.low_rank is not None and answer.averaged is not None:
            self._condensation.low_rank.assign(answer.averaged.volumetric, answer.averaged.coupled)

    def add_forces(self, f: PETSc.Vec) -> None:
        """Add the nodal forces of what was stored last; ghosts keep theirs."""
        petsc_fem.assemble_vector(f, self.forces)

    def add_stiffness(self, matrix: PETSc.Mat, conditions: Sequence[dfem.DirichletBC]) -> None:
        """Add K of what was stored last; rows and columns of what is prescribed are the identity's."""
        for form in self.tangents:
            petsc_fem.assemble_matrix(matrix, form, conditions, diag=1.0)
            matrix.assemble()  # PETSc drops what is added after the ones of prescribed rows were inserted

    def objection(self) -> str:
        """Why the stiffness assembled last is of no use: never, it is looked at by `evaluate`."""
        return ""

    def energy(self) -> float:
        """Of what was stored last, on this rank."""
        assert self._stored is not None
        return float(self._weights @ self._stored.energy)

    def stiffness(self) -> float:
        """Largest component of the laws' tangent stored last, on this rank."""
        assert self._stored is not None
        averaged = self._stored.averaged
        A = np.asarray(self._stored.tangent if averaged is None else averaged.response.tangent)
        return float(np.max(np.abs(A), initial=0.0))

    def _place(self, point: int) -> str:
        return near(self._quadrature.coordinates()[point])

    def _ask(self, F: Float[np.ndarray, "n 3 3"]) -> _Answer:
        if self._condensation.mean_volume is not None:
            averaged = self._condensation.mean_volume.respond(F)
            return _Answer(averaged.response.energy, averaged.first_piola, averaged.tangent, averaged)
        if self._condensation.plane_stress is not None:
            response: Response = condense(self._condensation.plane_stress.close(F)[1])
        else:
            response = self._laws.evaluate(F, tangent=True)
        assert response.tangent is not None
        P, A = np.asarray(response.first_piola), np.asarray(response.tangent)
        return _Answer(np.asarray(response.energy), self._kind.active(P), self._kind.active_tangent(A))


def near(X: Iterable[float]) -> str:
    """Where something happened, for messages."""
    return f"near X = ({', '.join(f'{x:.4g}' for x in X)})"


@dataclass(frozen=True)
class _Answer:
    """W, and the active components of P and A, at the points; and the rest of what a mixed form knows."""

    energy: Float[np.ndarray, " n"]
    first_piola: Float[np.ndarray, "n m"]
    tangent: Float[np.ndarray, "n m m"]
    averaged: Averaged | None = None
