"""A law at the quadrature points of a solid: the plug-in between arrays and UFL.

Everything that can go wrong in a law is turned here into one decision which all ranks share: either every rank has the
response, or every rank knows that this displacement is rejected, or every rank raises.
"""

from __future__ import annotations

import time

from mpi4py import MPI  # isort: skip  # noqa: F401

import numpy as np
import ufl
from dolfinx import fem as dfem
from jaxtyping import Float

from fem.law import InadmissibleDeformation, Law, Response, check_response
from fem.quadrature import Quadrature


class LawFailed(RuntimeError):
    """The law raised something unforeseen on another rank, or cannot be evaluated at F = I; the message says which."""


class Material:
    """First Piola-Kirchhoff stress and tangent of a law as fields which UFL can integrate.

    In the plane, F33 = 1 and the other out-of-plane components vanish (plane strain): the law sees the full 3x3
    gradient, the forms use the in-plane block.

    Attributes:
        quadrature: the points.
        first_piola, tangent: P (d, d) and A (d, d, d, d) at the points, d = dimension of the mesh.
        rejection: why the last displacement was rejected, "" if it was not.
        seconds: wall time spent in the law so far, on this rank.
    """

    def __init__(self, law: Law, displacement: dfem.Function, quadrature: Quadrature) -> None:
        self.law = law
        self.quadrature = quadrature
        self.rejection = ""
        self.seconds = 0.0
        self._displacement = displacement
        self._comm = quadrature.domain.comm
        self._dimension = d = quadrature.domain.geometry.dim
        self.first_piola = quadrature.function((d, d))
        self.tangent = quadrature.function((d, d, d, d))
        self._gradient = quadrature.expression(ufl.grad(displacement))
        self._weights = quadrature.weights()
        self._response: Response | None = None

    def deformation_gradient(self) -> Float[np.ndarray, "n 3 3"]:
        """F = I + grad u at the points of this rank."""
        F = np.zeros((self.quadrature.size, 3, 3))
        F[:, : self._dimension, : self._dimension] = self.quadrature.evaluate(self._gradient)
        F[:, range(3), range(3)] += 1.0
        return F

    def update(self) -> bool:
        """Ask the law at the present displacement (whose ghosts are up to date). Collective.

        Returns:
            True with P and A set, or False, on all ranks, where the law cannot be evaluated (`rejection` says why).

        Raises:
            ShapeError, or whatever the law raises, on the rank where it happened; LawFailed on the others.
        """
        start = time.perf_counter()
        rejection, failure = "", None
        F = self.deformation_gradient()
        try:
            self._response = self.respond(F, tangent=True)
            rejection = self._nonsense(self._response)
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
        self._store(self._response)
        return True

    def respond(self, F: Float[np.ndarray, "n 3 3"], *, tangent: bool, trust: bool = False) -> Response:
        """The law at F with checked shapes; a rank without points does not ask it."""
        if len(F) == 0:
            return Response(np.empty(0), np.empty((0, 3, 3)), np.empty((0, 3, 3, 3, 3)))
        return check_response(self.law.evaluate(F, tangent=tangent, trust=trust), len(F), tangent=tangent)

    def energy(self) -> float:
        """Strain energy of the whole body at the last successful update. Collective."""
        assert self._response is not None
        return float(self._comm.allreduce(float(self._weights @ self._response.energy)))

    def volume(self) -> float:
        """Of the undeformed body. Collective."""
        return float(self._comm.allreduce(float(self._weights.sum())))

    def _store(self, response: Response | None) -> None:
        assert response is not None and response.tangent is not None
        d = self._dimension
        self.quadrature.assign(self.first_piola, np.asarray(response.first_piola)[:, :d, :d])
        self.quadrature.assign(self.tangent, np.asarray(response.tangent)[:, :d, :d, :d, :d])

    def _nonsense(self, response: Response) -> str:
        """Name the first field of the response which is not finite, "" if all are."""
        for name in ("energy", "first_piola", "tangent"):
            values = np.asarray(getattr(response, name))
            # one pass and no temporaries: a sum is finite unless something in it is not (or overflows: as bad)
            if not np.isfinite(np.sum(values)):
                point = int(np.argmax(~np.isfinite(values.reshape(len(values), -1)).all(axis=1)))
                return f"the law returned a {name} that is not finite near X = {self._place(point)}"
        return ""

    def _place(self, point: int) -> str:
        return "(" + ", ".join(f"{x:.4g}" for x in self.quadrature.coordinates()[point]) + ")"
