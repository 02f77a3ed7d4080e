"""Compressible neo-Hooke."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from fem.law import Response
from fem.laws.kinematics import IDENTITY4, Kinematics


@dataclass(frozen=True)
class NeoHooke:
    """W = lambda/2 ln^2 J - mu ln J + mu/2 (I1 - 3)

    P = lambda ln J F^-T + mu (F - F^-T)
    A[i,J,k,L] = mu d_ik d_JL + (mu - lambda ln J) G_iL G_kJ + lambda G_iJ G_kL,  G = F^-T

    Bonet and Wood, Nonlinear Continuum Mechanics for Finite Element Analysis, section 6.4.3; the law of the libCEED
    solids benchmark.

    Args:
        mu: shear modulus of the linear limit.
        lmbda: first Lame parameter of the linear limit.
    """

    mu: float
    lmbda: float

    def __post_init__(self) -> None:
        if not (self.mu > 0.0 and self.lmbda + 2.0 / 3.0 * self.mu > 0.0):
            raise ValueError(
                f"mu = {self.mu} and lmbda = {self.lmbda}: expected mu > 0 and a bulk modulus lmbda + 2 mu/3 > 0"
            )

    @classmethod
    def from_young(cls, young: float, poisson: float) -> NeoHooke:
        """The law whose linear limit has Young's modulus and Poisson's ratio as given."""
        if not (young > 0.0 and -1.0 < poisson < 0.5):
            raise ValueError(f"young = {young}, poisson = {poisson}: expected young > 0 and -1 < poisson < 0.5")
        return cls(young / (2.0 * (1.0 + poisson)), young * poisson / ((1.0 + poisson) * (1.0 - 2.0 * poisson)))

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
        G, pressure = k.inverse_transpose, self.lmbda * k.ln_J
        energy = 0.5 * pressure * k.ln_J + 0.5 * self.mu * k.I1_minus_3_minus_2_ln_J
        # F - F^-T = F^-T (C - I): no cancellation near F = I
        first_piola = pressure[:, None, None] * G + self.mu * (G @ k.C_minus_I)
        if not tangent:
            return Response(energy, first_piola, None)
        A = self.mu * IDENTITY4 + (self.mu - pressure)[:, None, None, None, None] * np.einsum("niL,nkJ->niJkL", G, G)
        A += self.lmbda * np.einsum("niJ,nkL->niJkL", G, G)
        return Response(energy, first_piola, A)
