"""Plane stress: the deformation out of the plane that leaves the plane's faces free.

With the in-plane part of F given, its third column f = (F13, F23, F33) makes the energy smallest,

    P_i3(F) = dW/df_i = 0,    i = 1, 2, 3        (F31 = F32 = 0: the plane stays plane)

which fixes C13, C23 and C33 and leaves S13 = S23 = S33 = 0; no symmetry of the law is asked for. Newton with the law's own tangent
B_ik = A_i3k3 at each point, all points at once. The in-plane tangent is condensed (f follows a change of the in-plane part):

    A_abcd - A_ab,i3 (B^-1)_ik A_k3,cd
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float, Int

from fem.constitution import Constitution
from fem.law import InadmissibleDeformation, Response, determinant

_ITERATIONS = 40
_HALVINGS = 12
# of a change of f, which is of the order of 1
_CONVERGED = 1e-9


class NoPlaneStress(InadmissibleDeformation):
    """No deformation out of the plane was found which leaves the faces free: the iterate is rejected."""


class PlaneStress:
    """Thickness stretch and out-of-plane shears at every point, kept from one call to the next.

    Args:
        constitution: the laws.
        size: number of points.
    """

    def __init__(self, constitution: Constitution, size: int) -> None:
        self._constitution = constitution
        self._column = np.tile([0.0, 0.0, 1.0], (size, 1))

    def close(self, F: Float[np.ndarray, "n 3 3"]) -> tuple[Float[np.ndarray, "n 3 3"], Response]:
        """F with the third column that leaves the faces free, and the laws' response there, uncondensed.

        Raises:
            NoPlaneStress: Newton found none at some point.
            InadmissibleDeformation: the in-plane part of F is turned inside out.
        """
        F = F.copy()
        plane = F[:, 0, 0] * F[:, 1, 1] - F[:, 0, 1] * F[:, 1, 0]
        if not np.all(plane > 0.0):
            point = int(np.argmin(np.where(np.isnan(plane), -np.inf, plane)))
            raise InadmissibleDeformation(point, float(plane[point]))
        F[:, :, 2] = self._column
        answer = self._constitution.evaluate(F, tangent=True)
        # filled in place from here on: what the law handed out stays its own
        response = Response(np.array(answer.energy), np.array(answer.first_piola), np.array(answer.tangent))
        todo = np.arange(len(F))
        for _ in range(_ITERATIONS):
            P3, B = _faces(response, todo)
            unknown = ~np.isfinite(np.sum(B, axis=(1, 2)) + np.sum(P3, axis=1))
            if unknown.any():
                todo = todo[unknown]
                break
            step = -_solve(B, P3)
            size = np.linalg.norm(step, axis=1) / (1.0 + np.linalg.norm(F[todo, :, 2], axis=1))
            self._advance(F, response, todo, step)
            # Newton is quadratic: what was 1e-9 before this step is round-off after it
            todo = todo[size > _CONVERGED]
            if todo.size == 0:
                self._column = F[:, :, 2].copy()
                return F, response
        raise NoPlaneStress(int(todo[0]), float(determinant(F[todo[:1]])[0]))

    def _advance(
        self,
        F: Float[np.ndarray, "n 3 3"],
        response: Response,
        todo: Int[np.ndarray, " m"],
        step: Float[np.ndarray, "m 3"],
    ) -> None:
        """Take the Newton step at the points `todo`, halved where W would not fall; F and response are changed in place."""
        start, slope = F[todo, :, 2].copy(), np.einsum("ni,ni->n", response.first_piola[todo, :, 2], step)
        energy, force = response.energy[todo].copy(), np.linalg.norm(response.first_piola[todo, :, 2], axis=1)
        part = np.ones(len(todo))
        left = np.arange(len(todo))
        for _ in range(_HALVINGS):
            trial = F[todo[left]]
            trial[:, :, 2] = start[left] + part[left, None] * step[left]
            admissible = determinant(trial) > 0.0
            accepted = np.zeros(len(left), dtype=bool)
            asked = np.flatnonzero(admissible)
            if asked.size:
                points = todo[left[asked]]
                try:
                    answer = self._constitution.evaluate(trial[asked], tangent=True, points=points)
                except InadmissibleDeformation as error:
                    raise NoPlaneStress(int(points[error.point]), error.determinant) from error
                fell = answer.energy <= energy[left[asked]] + 1e-4 * part[left[asked]] * slope[left[asked]]
                smaller = np.linalg.norm(answer.first_piola[:, :, 2], axis=1) <= 0.5 * force[left[asked]]
                small = np.linalg.norm(step[left[asked]], axis=1) <= 1e-6
                good: Bool[np.ndarray, " k"] = fell | smaller | small
                accepted[asked[good]] = True
                chosen = points[good]
                F[chosen] = trial[asked[good]]
                response.energy[chosen] = answer.energy[good]
                response.first_piola[chosen] = answer.first_piola[good]
                assert response.tangent is not None and answer.tangent is not None
                response.tangent[chosen] = answer.tangent[good]
            left = left[~accepted]
            if left.size == 0:
                return
            part[left] *= 0.5
        raise NoPlaneStress(int(todo[left[0]]), float(determinant(F[todo[left[:1]]])[0]))


def condense(response: Response) -> Response:
    """The response with its in-plane tangent condensed; the components of A out of the plane lose their meaning.

    Raises:
        NoPlaneStress: the faces are at the limit of stability, the condensed tangent does not exist.
    """
    assert response.tangent is not None
    A = response.tangent
    n = len(A)
    B, C = A[:, :, 2, :, 2], A[:, :2, :2, :, 2].reshape(n, 4, 3)
    try:
        follow = np.linalg.solve(B, C.transpose(0, 2, 1))
    except np.linalg.LinAlgError:
        point = int(np.argmin(np.abs(determinant(B))))
        raise NoPlaneStress(point, float("nan")) from None
    condensed = A.copy()
    condensed[:, :2, :2, :2, :2] -= (C @ follow).reshape(n, 2, 2, 2, 2)
    return replace(response, tangent=condensed)


def _faces(
    response: Response, points: Int[np.ndarray, " m"]
) -> tuple[Float[np.ndarray, "m 3"], Float[np.ndarray, "m 3 3"]]:
    """P_i3 and A_i3k3."""
    assert response.tangent is not None
    return response.first_piola[points, :, 2], response.tangent[points, :, 2, :, 2]


def _solve(B: Float[np.ndarray, "m 3 3"], b: Float[np.ndarray, "m 3"]) -> Float[np.ndarray, "m 3"]:
    """B^-1 b; where B is not positive definite, its eigenvalues are taken by their sizes, so that the energy falls along -B^-1 b."""
    values, vectors = np.linalg.eigh(0.5 * (B + B.transpose(0, 2, 1)))
    floor = np.maximum(1e-8 * np.abs(values).max(axis=1, keepdims=True), np.finfo(float).tiny)
    projected = np.einsum("nij,ni->nj", vectors, b) / np.maximum(np.abs(values), floor)
    return np.asarray(np.einsum("nij,nj->ni", vectors, projected))
