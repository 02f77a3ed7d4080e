"""Neo-Hooke with a volumetric-isochoric split."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float

from fem.law import Response
from fem.laws.kinematics import IDENTITY4, Kinematics, minus_expm1, minus_log1p

Volumetric = Literal["simo", "logarithmic", "quadratic"]


@dataclass(frozen=True)
class SplitNeoHooke:
    """W = mu/2 (J^(-2/3) I1 - 3) + U(J)

    P = mu J^(-2/3) (F - I1/3 F^-T) + J U' F^-T

    with the volumetric energy U one of

        "simo"         kappa/4 (J^2 - 1 - 2 ln J)     (Simo and Taylor 1982; Cook's membrane of deal.II)
        "logarithmic"  kappa/2 ln^2 J
        "quadratic"    kappa/2 (J - 1)^2

    Args:
        mu: shear modulus.
        kappa: bulk modulus.
        volumetric: which U.
    """

    mu: float
    kappa: float
    volumetric: Volumetric = "simo"

    def __post_init__(self) -> None:
        if not (self.mu > 0.0 and self.kappa > 0.0):
            raise ValueError(f"mu = {self.mu} and kappa = {self.kappa}: expected both > 0")
        if self.volumetric not in _VOLUMETRIC:
            raise ValueError(f"volumetric = {self.volumetric!r}: expected one of {', '.join(_VOLUMETRIC)}")

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
        G = k.inverse_transpose
        U, JU1, JJU1 = _VOLUMETRIC[self.volumetric](k.J_minus_1, k.ln_J)
        a = -2.0 / 3.0 * k.ln_J
        scale = self.mu * np.exp(a)  # mu J^(-2/3)
        # J^(-2/3) I1 - 3 = (I1 - 3 + 3a) + 3 (e^a - 1 - a) + (e^a - 1)(I1 - 3), each term of second order
        isochoric = k.I1_minus_3_minus_2_ln_J + 3.0 * minus_expm1(a) + np.expm1(a) * k.I1_minus_3
        energy = 0.5 * self.mu * isochoric + self.kappa * U
        # F - I1/3 F^-T = F^-T dev(C - I)
        deviator = k.C_minus_I - (k.I1_minus_3 / 3.0)[:, None, None] * np.eye(3)
        S = G @ deviator
        first_piola = scale[:, None, None] * S + (self.kappa * JU1)[:, None, None] * G
        if not tangent:
            return Response(energy, first_piola, None)
        five = (slice(None), None, None, None, None)
        I1 = 3.0 + k.I1_minus_3
        # d(F - I1/3 G) = dF - 2/3 (F:dF) G + I1/3 G dF^T G  and  dJ^(-2/3) = -2/3 J^(-2/3) G:dF
        A = IDENTITY4 - 2.0 / 3.0 * (np.einsum("niJ,nkL->niJkL", S, G) + np.einsum("niJ,nkL->niJkL", G, k.F))
        A *= scale[five]
        A += (scale * I1 / 3.0 - self.kappa * JU1)[five] * np.einsum("niL,nkJ->niJkL", G, G)
        A += (self.kappa * JJU1)[five] * np.einsum("niJ,nkL->niJkL", G, G)
        return Response(energy, first_piola, A)


Column = Float[np.ndarray, " n"]


# Each returns U, J U' and J (J U')', over kappa, of J - 1 and ln J.
def _simo(j: Column, ln_J: Column) -> tuple[Column, Column, Column]:
    return 0.25 * (j * j + 2.0 * minus_log1p(j)), 0.5 * j * (2.0 + j), (1.0 + j) ** 2


def _logarithmic(j: Column, ln_J: Column) -> tuple[Column, Column, Column]:
    return 0.5 * ln_J**2, ln_J, np.ones_like(j)


def _quadratic(j: Column, ln_J: Column) -> tuple[Column, Column, Column]:
    return 0.5 * j * j, (1.0 + j) * j, (1.0 + j) * (1.0 + 2.0 * j)


_VOLUMETRIC = {"simo": _simo, "logarithmic": _logarithmic, "quadratic": _quadratic}
