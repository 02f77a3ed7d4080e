r"""A Hessian corrected by what the reference's gradients have shown of it.

A step s_j from x_j to x_j+1 shows the reference's mean Hessian along s_j, y_j = g_j+1 - g_j, and the approximation's is
(H(x_j) + H(x_j+1)) s_j / 2. Their difference d_j is the error of the approximation along s_j, which changes more slowly with the atoms than
the Hessians themselves. With S = [s_j], D = [d_j] the correction is the least symmetric one, in the metric of M = |H|, that has all of it,

    H+ = H + U D^T + D U^T - U sym(S^T D) U^T,        U = M S (S^T M S)^-1,

so H+ S = H S + D where S^T D is symmetric (of quadratic surfaces it is): the symmetric secant update of several steps at once (Greenstadt,
Math. Comput. 24 (1970) 1; Schnabel, in Nonlinear Programming (1983)), for which H need not be positive definite. |H|, with the absolute
eigenvalues, makes it independent of the units of the coordinates, as in the TS-BFGS updates of saddle searches (Hermes, Sargsyan, Najm and
Zador, J. Chem. Theory Comput. 18 (2022) 6974).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float
from numpy import ndarray

FLAT: Final = 1e-2
"""Of the largest: eigenvalues smaller than this count as this in the metric."""

NEW: Final = 0.1
"""A step tells something new where at least this part of it is independent of the later ones."""


@dataclass(frozen=True)
class Secant:
    """One step s (Angstrom) and the error d (eV/A) of the approximate Hessian along it."""

    step: Float[ndarray, "coordinates"]
    error: Float[ndarray, "coordinates"]


def corrected(
    hessian: Float[ndarray, "coordinates coordinates"],
    secants: Sequence[Secant],
    basis: Float[ndarray, "all coordinates"],
) -> Float[ndarray, "coordinates coordinates"]:
    """H+ in a basis: the Hessian in the basis, steps and errors outside of it; secants in the order of the steps."""
    eigenvalues, modes = np.linalg.eigh(hessian)
    sizes = np.maximum(np.abs(eigenvalues), FLAT * float(np.abs(eigenvalues).max(initial=0.0)))
    inside = basis @ modes
    kept: list[tuple[ndarray, ndarray, ndarray]] = []
    for secant in reversed(secants):
        length = float(np.linalg.norm(secant.step))
        if not length > 0.0:
            continue
        s, d = inside.T @ secant.step / length, inside.T @ secant.error / length
        fresh = s.copy()
        for _, _, direction in kept:
            fresh -= direction * float(direction @ fresh)
        part = float(np.linalg.norm(fresh))
        if part > NEW:
            kept.append((s, d, fresh / part))
    if not kept:
        return hessian
    S, D = (np.array([one[k] for one in kept]).T for k in (0, 1))
    weighted = sizes[:, None] * S
    U = np.linalg.solve(S.T @ weighted, weighted.T).T
    overlap = S.T @ D
    half = U @ (D - 0.25 * U @ (overlap + overlap.T)).T
    return np.asarray(hessian + modes @ (half + half.T) @ modes.T)
