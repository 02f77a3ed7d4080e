"""Deformation measures which keep their digits next to F = I.

With H = F - I, everything which vanishes at F = I is written in H (J - 1, C - I, I1 - 3, ln J), not as a difference
of numbers close to one: a strain of 1e-8 then has 16 good digits instead of eight.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from fem.law import check_deformation_gradient

IDENTITY = np.eye(3)
# (d_ik d_JL): derivative of F by itself.
IDENTITY4 = np.einsum("ik,JL->iJkL", IDENTITY, IDENTITY)


@dataclass(frozen=True)
class Kinematics:
    """F and what the classical laws make of it, at n points.

    Attributes:
        F: deformation gradient.
        inverse_transpose: F^-T.
        J_minus_1: det F - 1.
        ln_J: ln det F.
        C_minus_I: C - I = H + H^T + H^T H (twice the Green-Lagrange strain).
        I1_minus_3: tr C - 3.
        I1_minus_3_minus_2_ln_J: tr C - 3 - 2 ln J, of second order in H.
    """

    F: Float[np.ndarray, "n 3 3"]
    inverse_transpose: Float[np.ndarray, "n 3 3"]
    J_minus_1: Float[np.ndarray, " n"]
    ln_J: Float[np.ndarray, " n"]
    C_minus_I: Float[np.ndarray, "n 3 3"]
    I1_minus_3: Float[np.ndarray, " n"]
    I1_minus_3_minus_2_ln_J: Float[np.ndarray, " n"]

    @classmethod
    def of(cls, deformation_gradient: ArrayLike) -> Kinematics:
        """Kinematics of F; raises what `check_deformation_gradient` raises."""
        F = check_deformation_gradient(deformation_gradient)
        H = F - IDENTITY
        trace = H[:, 0, 0] + H[:, 1, 1] + H[:, 2, 2]
        cofactor = np.stack(
            [np.cross(F[:, 1], F[:, 2]), np.cross(F[:, 2], F[:, 0]), np.cross(F[:, 0], F[:, 1])], axis=1
        )
        # det(I + H) - 1 = tr H + (sum of principal 2x2 minors) + det H
        minors = (
            H[:, 0, 0] * H[:, 1, 1]
            - H[:, 0, 1] * H[:, 1, 0]
            + H[:, 0, 0] * H[:, 2, 2]
            - H[:, 0, 2] * H[:, 2, 0]
            + H[:, 1, 1] * H[:, 2, 2]
            - H[:, 1, 2] * H[:, 2, 1]
        )
        higher = minors + np.einsum("ni,ni->n", H[:, 0], np.cross(H[:, 1], H[:, 2]))
        j = trace + higher
        squares = np.einsum("niJ,niJ->n", H, H)
        Ht = H.transpose(0, 2, 1)
        return cls(
            F=F,
            inverse_transpose=cofactor / (1.0 + j)[:, None, None],
            J_minus_1=j,
            ln_J=np.log1p(j),
            C_minus_I=H + Ht + Ht @ H,
            I1_minus_3=2.0 * trace + squares,
            # 2 tr H + H:H - 2 ln(1 + j), with tr H = j - higher
            I1_minus_3_minus_2_ln_J=squares - 2.0 * higher + 2.0 * minus_log1p(j),
        )


def minus_log1p(x: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """x - ln(1 + x) = x^2/2 - x^3/3 + ..., by its series where the difference would cancel."""
    small = np.where(np.abs(x) < 0.03, x, 0.0)
    series = np.zeros_like(small)
    for power in range(11, 1, -1):
        series = (-1.0) ** power / power + small * series
    return np.where(np.abs(x) < 0.03, small * small * series, x - np.log1p(x))


def minus_expm1(x: Float[np.ndarray, " *shape"]) -> Float[np.ndarray, " *shape"]:
    """exp(x) - 1 - x = x^2/2 + x^3/6 + ..., by its series where the difference would cancel."""
    small = np.where(np.abs(x) < 0.1, x, 0.0)
    series = np.zeros_like(small)
    for power in range(11, 2, -1):
        series = (1.0 + series) * small / power
    return np.where(np.abs(x) < 0.1, 0.5 * small * small * (1.0 + series), np.expm1(x) - x)
