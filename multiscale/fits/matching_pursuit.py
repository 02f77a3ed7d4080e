"""Neurons to start a fit from: of many random ones, those that explain most of the data, each beside those already picked.

Orthogonal matching pursuit (Pati, Rezaiifar and Krishnaprasad, Asilomar 1993).
"""

from typing import Final, Protocol

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from multiscale.fits.orbit_least_squares import random_neurons

CANDIDATES: Final = 200
"""Random neurons that a start is picked from."""


class Pursuable(Protocol):
    """A least-squares problem in neurons' weights w (h, 6) and biases b (h,), and linearly in their amplitudes and other unknowns."""

    @property
    def neurons(self) -> int:
        """How many are wanted."""
        ...

    @property
    def prior(self) -> float:
        """Standard deviation of a normal prior about zero."""
        ...

    @property
    def target(self) -> Float[ndarray, "r"]:
        """What the rows are to reproduce."""
        ...

    def candidate_rows(self, w: Float[ndarray, "h 6"], b: Float[ndarray, "h"]) -> Float[ndarray, "r q"]:
        """Rows of neurons of unit amplitude, then of the other linear unknowns."""
        ...


def matching_pursuit(problem: Pursuable, rng: np.random.Generator) -> Float[ndarray, "p"]:
    """Parameters to start from: weights, biases, amplitudes of the neurons picked, and the other linear unknowns."""
    w, b = random_neurons(CANDIDATES, rng)
    rows, target = problem.candidate_rows(w, b), problem.target
    rows, linear = rows[:, :CANDIDATES] / np.linalg.norm(rows[:, :CANDIDATES], axis=0), rows[:, CANDIDATES:]
    remaining, residual = rows.copy(), target.copy()
    basis, _ = np.linalg.qr(linear)
    remaining -= basis @ (basis.T @ remaining)
    residual -= basis @ (basis.T @ residual)
    picked: list[int] = []
    for _ in range(problem.neurons):
        norm = np.linalg.norm(remaining, axis=0)
        # a candidate that is nearly spanned by those picked would enter with a huge amplitude
        gain = np.where(norm > 1e-4, np.abs(residual @ remaining) / np.maximum(norm, 1e-4), -1.0)
        gain[picked] = -1.0
        picked.append(int(np.argmax(gain)))
        direction = remaining[:, picked[-1]] / norm[picked[-1]]
        remaining -= np.outer(direction, direction @ remaining)
        residual -= direction * (direction @ residual)
    w, b = w[picked], b[picked]
    rows = problem.candidate_rows(w, b)
    normal = rows.T @ rows
    ridge = np.diag(1.0 / problem.prior**2 + 1e-10 * np.diag(normal))
    coefficients = np.linalg.solve(normal + ridge, rows.T @ target)
    return np.concatenate([w.ravel(), b, coefficients])
