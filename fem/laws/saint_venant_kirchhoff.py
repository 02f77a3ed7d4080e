"""Saint Venant-Kirchhoff: any linear elastic constants, made objective."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from fem.law import Response, ShapeError
from fem.laws.kinematics import IDENTITY, Kinematics

# xx, yy, zz, yz, xz, xy
_ROW, _COLUMN = np.array([0, 1, 2, 1, 0, 0]), np.array([0, 1, 2, 2, 2, 1])


@dataclass(frozen=True)
class SaintVenantKirchhoff:
    """W = 1/2 E : C : E,  E = (F^T F - I)/2

    S = C : E,  P = F S,  A[i,J,k,L] = d_ik S_JL + F_iI C_IJKL F_kK

    Exact for small strains and any rotation, which is what a crystal's elastic constants need. It softens in
    compression and is no model of large strains.

    Args:
        elastic_constants: (6, 6), Voigt order xx, yy, zz, yz, xz, xy, symmetric positive definite.
    """

    elastic_constants: Float[np.ndarray, "6 6"]
    _stiffness: Float[np.ndarray, "3 3 3 3"] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        c = np.asarray(self.elastic_constants, dtype=np.float64)
        if c.shape != (6, 6):
            raise ShapeError(f"elastic_constants has shape {c.shape}, expected (6, 6)")
        if not np.allclose(c, c.T, rtol=1e-10, atol=0.0):
            raise ValueError("elastic_constants is not symmetric, expected C_ij = C_ji")
        smallest = np.linalg.eigvalsh(c)[0]
        if not smallest > 0.0:
            raise ValueError(f"elastic_constants has the eigenvalue {smallest:.6g}, expected all > 0")
        full = np.zeros((3, 3, 3, 3))
        for i, j in ((_ROW, _COLUMN), (_COLUMN, _ROW)):
            for k, l in ((_ROW, _COLUMN), (_COLUMN, _ROW)):  # noqa: E741
                full[i[:, None], j[:, None], k[None, :], l[None, :]] = c
        object.__setattr__(self, "_stiffness", full)

    @classmethod
    def cubic(cls, c11: float, c12: float, c44: float) -> SaintVenantKirchhoff:
        """A cubic crystal whose axes are the coordinate axes."""
        c = np.diag([c11 - c12] * 3 + [c44] * 3).astype(np.float64)
        c[:3, :3] += c12
        return cls(c)

    def evaluate(
        self,
        deformation_gradient: Float[np.ndarray, "n 3 3"],
        state: Mapping[str, np.ndarray] | None = None,
        *,
        tangent: bool = True,
        trust: bool = False,
    ) -> Response:
        """W, P and A; see `fem.law.Law.evaluate`."""
        k = Kinematics.of(deformation_gradient)
        E, F = 0.5 * k.C_minus_I, k.F
        S = (E.reshape(-1, 9) @ self._stiffness.reshape(9, 9)).reshape(-1, 3, 3)
        energy = 0.5 * np.einsum("nIJ,nIJ->n", E, S)
        if not tangent:
            return Response(energy, F @ S, None)
        A = np.einsum("ik,nJL->niJkL", IDENTITY, S)
        A += np.einsum("niI,IJKL,nkK->niJkL", F, self._stiffness, F, optimize=True)
        return Response(energy, F @ S, A)
