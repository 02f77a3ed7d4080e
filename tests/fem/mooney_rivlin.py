"""A nearly incompressible Mooney-Rivlin law, for closed forms of rubber elasticity."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

import fem


@dataclass(frozen=True)
class MooneyRivlin:
    """W = C1 (J^(-2/3) I1 - 3) + C2 (J^(-4/3) I2 - 3) + kappa/2 ln^2 J"""

    C1: float
    C2: float
    kappa: float

    def evaluate(
        self, F: np.ndarray, state: Mapping[str, np.ndarray] | None = None, *, tangent: bool = True, trust: bool = False
    ) -> fem.Response:
        F = fem.check_deformation_gradient(F)
        J, G, C = np.linalg.det(F), np.linalg.inv(F).transpose(0, 2, 1), F.transpose(0, 2, 1) @ F
        I1 = np.trace(C, axis1=1, axis2=2)
        I2 = 0.5 * (I1**2 - np.einsum("nij,nji->n", C, C))
        a, b = self.C1 * J ** (-2 / 3), self.C2 * J ** (-4 / 3)
        p = self.kappa * np.log(J)
        n2, n4 = (slice(None), None, None), (slice(None), None, None, None, None)
        S1 = 2 * F - 2 / 3 * I1[n2] * G
        B = 2 * (I1[n2] * F - F @ C)
        S2 = B - 4 / 3 * I2[n2] * G
        energy = a * I1 - 3 * self.C1 + b * I2 - 3 * self.C2 + p**2 / (2 * self.kappa)
        P = a[n2] * S1 + b[n2] * S2 + p[n2] * G
        if not tangent:
            return fem.Response(energy, P, None)
        eye = np.eye(3)

        def dyad(x: np.ndarray, y: np.ndarray) -> np.ndarray:
            return np.einsum("niJ,nkL->niJkL", x, y)

        crossed = np.einsum("niL,nkJ->niJkL", G, G)
        one = np.einsum("ik,JL->iJkL", eye, eye)[None]
        dB = 2 * (
            2 * dyad(F, F)
            + I1[n4] * one
            - np.einsum("ik,nLJ->niJkL", eye, C)
            - np.einsum("niL,nkJ->niJkL", F, F)
            - np.einsum("nik,JL->niJkL", F @ F.transpose(0, 2, 1), eye)
        )
        A = a[n4] * (2 * one - 4 / 3 * dyad(G, F) + 2 / 3 * I1[n4] * crossed - 2 / 3 * dyad(S1, G))
        A += b[n4] * (dB - 4 / 3 * dyad(G, B) + 4 / 3 * I2[n4] * crossed - 4 / 3 * dyad(S2, G))
        A += self.kappa * dyad(G, G) - p[n4] * crossed
        return fem.Response(energy, P, A)
