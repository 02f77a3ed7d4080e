"""Strain measures, and the exact way from a potential of strain to stress and tangent.

The laws of this package are potentials W(e) of the six components

    e = (E_xx, E_yy, E_zz, 2 E_yz, 2 E_xz, 2 E_xy),    E = (C - I) / 2,    C = F^T F,

of the Green-Lagrange strain, Voigt order, shear doubled. With that doubling W = 1/2 e.C.e holds with the tabulated Voigt
constants C, S = dW/de is the second Piola-Kirchhoff stress (its shear components not doubled) and D = d2W/de2 its
derivative dS/dE, again in Voigt components. Potentials of e are objective by construction.
"""

from typing import Final

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

ROWS: Final[Int[ndarray, "6"]] = np.array([0, 1, 2, 1, 0, 0])
COLUMNS: Final[Int[ndarray, "6"]] = np.array([0, 1, 2, 2, 2, 1])
SHEAR_DOUBLING: Final[Float[ndarray, "6"]] = np.array([1.0, 1.0, 1.0, 2.0, 2.0, 2.0])
"""Voigt component a is the tensor component (ROWS[a], COLUMNS[a]), times SHEAR_DOUBLING[a] for a strain."""

VOIGT: Final[Int[ndarray, "3 3"]] = np.array([[0, 5, 4], [5, 1, 3], [4, 3, 2]])
"""Tensor component (I, J) is Voigt component VOIGT[I, J]."""

UPPER_ROWS: Final[Int[ndarray, "21"]] = np.triu_indices(6)[0]
UPPER_COLUMNS: Final[Int[ndarray, "21"]] = np.triu_indices(6)[1]
"""The 21 independent components of a symmetric 6 x 6 matrix, row by row of its upper triangle."""


def green_lagrange(F: Float[ndarray, "*n 3 3"]) -> Float[ndarray, "*n 6"]:
    """Components e of E = (F^T F - I) / 2, from H = F - I as E = (H + H^T + H^T H) / 2: no digits lost near F = I."""
    H = F - np.eye(3)
    E = 0.5 * (H + np.swapaxes(H, -1, -2) + np.swapaxes(H, -1, -2) @ H)
    return np.asarray(E[..., ROWS, COLUMNS] * SHEAR_DOUBLING)


def strain_tensor(e: Float[ndarray, "*n 6"]) -> Float[ndarray, "*n 3 3"]:
    """The symmetric tensor whose components (shear doubled) are e."""
    return np.asarray((e / SHEAR_DOUBLING)[..., VOIGT])


def strain_norm_components(e: Float[ndarray, "*n 6"]) -> Float[ndarray, "*n 6"]:
    """The same strain in components whose Euclidean norm is the Frobenius norm of E (shear times sqrt 2: Mandel's)."""
    return np.asarray(e / np.sqrt(SHEAR_DOUBLING))


def stress_tensor(S: Float[ndarray, "*n 6"]) -> Float[ndarray, "*n 3 3"]:
    """The symmetric tensor with Voigt stress components S."""
    return np.asarray(S[..., VOIGT])


def stress_components(stress: Float[ndarray, "*n 3 3"]) -> Float[ndarray, "*n 6"]:
    """Voigt components of a stress tensor, its symmetric part where it is not symmetric."""
    return np.asarray(0.5 * (stress + np.swapaxes(stress, -1, -2))[..., ROWS, COLUMNS])


def stiffness_tensor(D: Float[ndarray, "*n 6 6"]) -> Float[ndarray, "*n 3 3 3 3"]:
    """The tensor D_MJNL with Voigt components D."""
    return np.asarray(D[..., VOIGT[:, :, None, None], VOIGT[None, None, :, :]])


def stiffness_components(stiffness: Float[ndarray, "*n 3 3 3 3"]) -> Float[ndarray, "*n 6 6"]:
    """Voigt components of a tensor with both minor symmetries (the first of each pair of equal components is read)."""
    a, b = np.arange(6)[:, None], np.arange(6)[None, :]
    return np.asarray(stiffness[..., ROWS[a], COLUMNS[a], ROWS[b], COLUMNS[b]])


def elastic_constants_of_tangent(
    tangent: Float[ndarray, "3 3 3 3"], reference_stress: Float[ndarray, "3 3"]
) -> Float[ndarray, "6 6"]:
    """Elastic constants C = dS/dE at F = I from the tangent A there: C_iJkL = A_iJkL - delta_ik S_JL, symmetrised."""
    C = tangent - np.einsum("ik,jl->ijkl", np.eye(3), reference_stress)
    C = 0.25 * (C + C.transpose(1, 0, 2, 3) + C.transpose(0, 1, 3, 2) + C.transpose(1, 0, 3, 2))
    voigt = stiffness_components(C)
    return np.asarray(0.5 * (voigt + voigt.T))


def strain_action(rotations: Float[ndarray, "*n 3 3"]) -> Float[ndarray, "*n 6 6"]:
    """The matrices Q with Q e the components of R E R^T where e are those of E. Q is orthogonal only in Mandel's components."""
    unit_strains = strain_tensor(np.eye(6))
    rotated = rotations[..., None, :, :] @ unit_strains @ np.swapaxes(rotations, -1, -2)[..., None, :, :]
    return np.swapaxes(rotated[..., ROWS, COLUMNS] * SHEAR_DOUBLING, -1, -2)


def determinant(F: Float[ndarray, "*n 3 3"]) -> Float[ndarray, "*n"]:
    """det F, written out."""
    return np.asarray(
        F[..., 0, 0] * (F[..., 1, 1] * F[..., 2, 2] - F[..., 1, 2] * F[..., 2, 1])
        - F[..., 0, 1] * (F[..., 1, 0] * F[..., 2, 2] - F[..., 1, 2] * F[..., 2, 0])
        + F[..., 0, 2] * (F[..., 1, 0] * F[..., 2, 1] - F[..., 1, 1] * F[..., 2, 0])
    )


def first_piola(F: Float[ndarray, "n 3 3"], S: Float[ndarray, "n 6"]) -> Float[ndarray, "n 3 3"]:
    """First Piola-Kirchhoff stress P = F S from the second, S = dW/de."""
    return np.asarray(F @ stress_tensor(S))


def tangent(
    F: Float[ndarray, "n 3 3"], S: Float[ndarray, "n 6"], D: Float[ndarray, "n 6 6"]
) -> Float[ndarray, "n 3 3 3 3"]:
    """Tangent dP/dF: A_iJkL = delta_ik S_JL + F_iM F_kN D_MJNL. Major symmetry is exact in exact arithmetic."""
    n = len(F)
    # F_iM D_MJNL, then the same product on the second pair, each as one batched 3 x 27 product
    half = (F @ stiffness_tensor(D).reshape(n, 3, 27)).reshape(n, 3, 3, 3, 3)
    half = half.transpose(0, 3, 1, 2, 4).reshape(n, 3, 27)
    A: ndarray = (F @ half).reshape(n, 3, 3, 3, 3).transpose(0, 2, 3, 1, 4).copy()
    full_stress = stress_tensor(S)
    for i in range(3):
        A[:, i, :, i, :] += full_stress
    return A


def log_strain(F: Float[ndarray, "n 3 3"]) -> Float[ndarray, "n 6"]:
    """Components of the logarithmic (Hencky) strain H = 1/2 ln C, shear doubled; from E by log1p of its principal values."""
    principal, axes = np.linalg.eigh(strain_tensor(green_lagrange(F)))
    H = (axes * (0.5 * np.log1p(2.0 * principal))[..., None, :]) @ np.swapaxes(axes, -1, -2)
    return np.asarray(H[..., ROWS, COLUMNS] * SHEAR_DOUBLING)


def stretch_of_log_strain(h: Float[ndarray, "n 6"]) -> Float[ndarray, "n 3 3"]:
    """The symmetric right stretch F = exp(H) of a logarithmic strain with components h (shear doubled)."""
    principal, axes = np.linalg.eigh(strain_tensor(h))
    stretch = (axes * np.exp(principal)[..., None, :]) @ np.swapaxes(axes, -1, -2)
    return np.asarray(0.5 * (stretch + np.swapaxes(stretch, -1, -2)))
