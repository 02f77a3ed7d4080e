"""The closed form that an orbit law is evaluated by: one hidden layer of softplus, a quadratic, and a growth term.

W, S = dW/de and D = d2W/de2 share one sigmoid: softplus' = sigma, softplus'' = sigma (1 - sigma). On chunks of points all
of it is a handful of dense products, and one chain rule (multiscale.strain) leads to P and A.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.special import expit

from multiscale.growth import growth
from multiscale.strain import (
    UPPER_COLUMNS,
    UPPER_ROWS,
    determinant,
    first_piola,
    green_lagrange,
)
from multiscale.strain import tangent as tangent_of
from multiscale.symmetry import PointGroup

CHUNK: Final = 512
"""Points at a time: the (points, neurons x rotations) arrays stay in the second-level cache."""


@dataclass(frozen=True, eq=False)
class OrbitTerms:
    """The law as it is evaluated: one hidden layer, a quadratic, and the growth term.

    W(e) = constant + linear.e + 1/2 e.quadratic.e + sum_k amplitudes_k softplus(weights_k.e + biases_k) + growth(J)
    """

    weights: Float[ndarray, "m 6"]
    biases: Float[ndarray, "m"]
    amplitudes: Float[ndarray, "m"]
    constant: float
    linear: Float[ndarray, "6"]
    quadratic: Float[ndarray, "6 6"]
    growth_modulus: float
    growth_threshold: float

    def evaluate(
        self, F: Float[ndarray, "n 3 3"], *, tangent: bool
    ) -> tuple[Float[ndarray, "n"], Float[ndarray, "n 3 3"], Float[ndarray, "n 3 3 3 3"] | None]:
        """W, P and, where asked, A by dense products on chunks of points; F has been checked."""
        n = len(F)
        W, P = np.empty(n), np.empty((n, 3, 3))
        A = np.empty((n, 3, 3, 3, 3)) if tangent else None
        for start in range(0, n, CHUNK):
            part = slice(start, start + CHUNK)
            W[part], S, D = self.potential(F[part], hessian=tangent)
            P[part] = first_piola(F[part], S)
            if A is not None and D is not None:
                A[part] = tangent_of(F[part], S, D)
        return W, P, A

    def potential(
        self, F: Float[ndarray, "n 3 3"], *, hessian: bool
    ) -> tuple[Float[ndarray, "n"], Float[ndarray, "n 6"], Float[ndarray, "n 6 6"] | None]:
        """W, S = dW/de and D = d2W/de2."""
        e = green_lagrange(F)
        z = e @ self.weights.T + self.biases
        slope = expit(z)
        linear = e @ self.quadratic
        W = self.constant + e @ self.linear + 0.5 * np.einsum("ni,ni->n", e, linear)
        W += np.logaddexp(0.0, z) @ self.amplitudes
        S = self.linear + linear + (slope * self.amplitudes) @ self.weights
        D = None
        if hessian:
            curvature = (slope * (1.0 - slope) * self.amplitudes) @ self._weight_products
            D = np.empty((len(e), 6, 6))
            D[:, UPPER_ROWS, UPPER_COLUMNS] = curvature
            D[:, UPPER_COLUMNS, UPPER_ROWS] = curvature
            D += self.quadratic
        volume = determinant(F)
        crushed = volume < self.growth_threshold
        if crushed.any():
            energy, stress, stiffness = self.growth(F[crushed], volume[crushed])
            W[crushed] += energy
            S[crushed] += stress
            if D is not None:
                D[crushed] += stiffness
        return W, S, D

    @cached_property
    def _weight_products(self) -> Float[ndarray, "m 21"]:
        return np.asarray(self.weights[:, UPPER_ROWS] * self.weights[:, UPPER_COLUMNS])

    def growth(
        self, F: Float[ndarray, "n 3 3"], J: Float[ndarray, "n"]
    ) -> tuple[Float[ndarray, "n"], Float[ndarray, "n 6"], Float[ndarray, "n 6 6"]]:
        return growth(F, J, self.growth_modulus, self.growth_threshold)


def merged_images(
    group: PointGroup, weights: Float[ndarray, "h 6"], biases: Float[ndarray, "h"], amplitudes: Float[ndarray, "h"]
) -> tuple[Float[ndarray, "m 6"], Float[ndarray, "m"], Float[ndarray, "m"]]:
    """The images Q_R^T w_h of all neurons, amplitudes v_h / |G|; images that a neuron in special position repeats are merged."""
    rows, offsets, sizes = [], [], []
    for w, b, v in zip(weights, biases, amplitudes, strict=True):
        images = w @ group.strain_action
        scale = max(float(np.abs(w).max()), 1e-300)
        _, first, count = np.unique(np.round(images / scale, 9), axis=0, return_index=True, return_counts=True)
        rows.append(images[first])
        offsets.append(np.full(len(first), b))
        sizes.append(v * count / group.order)
    if not rows:
        return np.zeros((0, 6)), np.zeros(0), np.zeros(0)
    return np.concatenate(rows), np.concatenate(offsets), np.concatenate(sizes)
