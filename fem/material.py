"""A law at the quadrature points of a solid: the plug-in between arrays and UFL.

Everything that can go wrong in a law is turned here into one decision which all ranks share: either every rank has the
response, or every rank knows that this displacement is rejected, or every rank raises.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from mpi4py import MPI  # isort: skip

import numpy as np
import ufl
from dolfinx import fem as dfem
from jaxtyping import Float

from fem.constitution import Constitution
from fem.kind import Kind
from fem.law import InadmissibleDeformation, Response
from fem.low_rank import LowRankForm
from fem.mixed import Averaged, MeanVolume
from fem.plane_stress import NoPlaneStress, PlaneStress, condense
from fem.quadrature import Quadrature


class LawFailed(RuntimeError):
    """The law raised something unforeseen on another rank, or cannot be evaluated at F = I; the message says which."""


class Material:
    """Stress and tangent of a body's laws as fields which UFL can integrate.

    Args:
        laws: at the points.
        displacement: u.
        kind: of the problem.
        quadrature: the points.
        plane_stress: finds the deformation out of the plane; in plane stress.
        mean_volume: finds the volume ratio of each cell; in a mixed form, with `low_rank`.
        low_rank: takes what the mixed form adds to the tangent.

    Attributes:
        quadrature: the points.
        first_piola, tangent: the active components (m,) of P and (m, m) of A at the points, see `fem.kind`.
        rejection: why the last displacement was rejected, "" if it was not.
        seconds: wall time spent in the law so far, on this rank.
    """

    def __init__(
        self,
        laws: Constitution,
        displacement: dfem.Function,
        kind: Kind,
        quadrature: Quadrature,
        plane_stress: PlaneStress | None = None,
        mean_volume: MeanVolume | None = None,
        low_rank: LowRankForm | None = None,
    ) -> None:
        self.quadrature = quadrature
        self.rejection = ""
        self.seconds = 0.0
        self._laws, self._kind = laws, kind
        self._plane_stress, self._mean_volume, self._low_rank = plane_stress, mean_volume, low_rank
        self._comm = quadrature.domain.comm
        m = len(kind.components)
        self.first_piola = quadrature.function((m,))
        self.tangent = quadrature.function((m, m))
        self._gradient = quadrature.expression(kind.gradient(displacement))
        self._weights = quadrature.weights()
        self._last: _Answer | None = None

    def virtual_work(self, v: Any) -> ufl.Form:
        """int P : grad v dV of the stress stored last."""
        return ufl.inner(self.first_piola, self._kind.gradient(v)) * self._kind.width * self.quadrature.measure

    def deformation_gradient(self) -> Float[np.ndarray, "n 3 3"]:
        """F at the points of this rank, as the law sees it: I + grad u; in plane stress with the third column that leaves the faces
        free; in a mixed form with the volume ratio of the cell's own.

        Raises:
            InadmissibleDeformation: there is no such F.
        """
        F = self._kind.deformation_gradient(self.quadrature.evaluate(self._gradient))
        if self._plane_stress is not None:
            F, _ = self._plane_stress.close(F)
        return F if self._mean_volume is None else self._mean_volume.seen(F)

    def update(self) -> bool:
        """Ask the law at the present displacement (whose ghosts are up to date). Collective.

        Returns:
            True with P and A set, or False, on all ranks, where the law cannot be evaluated (`rejection` says why).

        Raises:
            ShapeError, or whatever the law raises, on the rank where it happened; LawFailed on the others.
        """
        start = time.perf_counter()
        rejection, failure, answer = "", None, None
        F = self._kind.deformation_gradient(self.quadrature.evaluate(self._gradient))
        try:
            answer = self._answer(F)
            rejection = self._nonsense(answer)
        except NoPlaneStress as error:
            rejection = f"no thickness leaves the faces free of stress near X = {self._place(error.point)}"
        except InadmissibleDeformation as error:
            rejection = f"det F = {error.determinant:.4g} near X = {self._place(error.point)}"
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
        if self.rejection:
            return False
        assert answer is not None
        self._store(answer)
        return True

    def respond(self, F: Float[np.ndarray, "n 3 3"], *, tangent: bool, trust: bool = False) -> Response:
        """The laws at F, one for each point of this rank, with checked shapes; a rank without points does not ask them."""
        return self._laws.evaluate(F, tangent=tangent, trust=trust)

    def energy(self) -> float:
        """Strain energy of the whole body at the last successful update. Collective."""
        assert self._last is not None
        return float(self._comm.allreduce(float(self._weights @ self._last.energy)))

    def stiffness(self) -> float:
        """Largest component of the laws' tangent at the last successful update. Collective."""
        assert self._last is not None
        averaged = self._last.averaged
        A = np.asarray(self._last.tangent if averaged is None else averaged.response.tangent)
        return float(self._comm.allreduce(float(np.max(np.abs(A), initial=0.0)), MPI.MAX))

    def volume(self) -> float:
        """Of the undeformed body. Collective."""
        return float(self._comm.allreduce(float(self._weights.sum())))

    def _answer(self, F: Float[np.ndarray, "n 3 3"]) -> _Answer:
        if self._mean_volume is not None:
            averaged = self._mean_volume.respond(F)
            return _Answer(averaged.response.energy, averaged.first_piola, averaged.tangent, averaged)
        if self._plane_stress is not None:
            response = condense(self._plane_stress.close(F)[1])
        else:
            response = self._laws.evaluate(F, tangent=True)
        assert response.tangent is not None
        P, A = np.asarray(response.first_piola), np.asarray(response.tangent)
        return _Answer(np.asarray(response.energy), self._kind.active(P), self._kind.active_tangent(A))

    def _store(self, answer: _Answer) -> None:
        self._last = answer
        self.quadrature.assign(self.first_piola, answer.first_piola)
        self.quadrature.assign(self.tangent, answer.tangent)
        if self._low_rank is not None and answer.averaged is not None:
            self._low_rank.assign(answer.averaged.volumetric, answer.averaged.coupled)

    def _nonsense(self, answer: _Answer) -> str:
        """Name the first field of the answer which is not finite, "" if all are."""
        for name in ("energy", "first_piola", "tangent"):
            values = getattr(answer, name)
            # one pass and no temporaries: a sum is finite unless something in it is not (or overflows: as bad)
            if not np.isfinite(np.sum(values)):
                point = int(np.argmax(~np.isfinite(values.reshape(len(values), -1)).all(axis=1)))
                return f"the law returned a {name} that is not finite near X = {self._place(point)}"
        return ""

    def _place(self, point: int) -> str:
        return "(" + ", ".join(f"{x:.4g}" for x in self.quadrature.coordinates()[point]) + ")"


@dataclass(frozen=True)
class _Answer:
    """W, and the active components of P and A, at the points; and the rest of what a mixed form knows."""

    energy: Float[np.ndarray, " n"]
    first_piola: Float[np.ndarray, "n m"]
    tangent: Float[np.ndarray, "n m m"]
    averaged: Averaged | None = None
