"""Trust: whether the law was ever told anything about a state like this one, from its own neurons at its training states.

With the stress that each elastic constant of the symmetry (C_m an invariant basis, of the size of C) and each of the law's neurons
contribute at a strain e, beyond what they take off at F = I,

    G_m = C_m e,     G_h = x'(e)^T sum_k v_k sigma(u_k.x + b_k) u_k - S_h - D_h e     (k the images of neuron h, x arguments of strain),

the stress is linear in their amplitudes, and least squares on the training states' stresses would leave it the variance

    q(e) = sum over components of |L^T G(e)|^2,     (L L^T)^-1 = N = ridge + sum over training states of G^T G,

in units of the error of a label: the leverage of the state e, the Mahalanobis distance of what the neurons see there from what they saw
in training. It inherits the law's symmetry and objectivity, and is zero at F = I, where nothing is fitted. The border q0 is the
level under which 95 % of the training states lie, each judged by the others: with the leverage H_k = G_k N^-1 G_k^T of state k
itself, q without it is tr (1 - H_k)^-1 H_k. And

    trust = min(1, sqrt(q0 / q)),

1 inside, and falling as the error bar of the stress grows outside (about like one over the strain, far away).
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.linalg import cholesky, solve_triangular
from scipy.special import expit

from multiscale.laws.network_terms import CHUNK, NetworkTerms
from multiscale.laws.strain import SHEAR_DOUBLING, green_lagrange, strain_tensor
from multiscale.symmetry.material_symmetry import MaterialSymmetry

COVERED: Final = 0.95
"""Share of the training states inside, each judged by the others."""

RIDGE: Final = 1e-7
"""Added to N, in units of what C e makes of it: a neuron whose stress is below 3e-4 of it, which is what good laws miss, is idle."""

ALONE: Final = 0.5
"""A state's own leverage counts up to this: one that alone settles a direction would call everything inside."""


@dataclass(frozen=True, eq=False)
class Gauge:
    """The closed form above, of one law.

    With y_h = sum_k v_k sigma(u_k.x + b_k) u_k the factor, offset and slope are folded such that

        q = sum_r |x'^T sum_h factor_hr y_h - offset_r - slope_r e|^2,    |s|^2 = s_1^2 + s_2^2 + s_3^2 + 2 (s_4^2 + s_5^2 + s_6^2).

    Attributes:
        terms: of the law.
        neurons: the images of each neuron, as indices of `terms`.
        factor: (h, r), r = h + m. offset: (r, 6). slope: (r, 6, 6).
        border: q0.
    """

    terms: NetworkTerms
    neurons: tuple[Int[ndarray, "_"], ...]
    factor: Float[ndarray, "h r"]
    offset: Float[ndarray, "r 6"]
    slope: Float[ndarray, "r 6 6"]
    border: float

    @classmethod
    def of(cls, terms: NetworkTerms, strain: Float[ndarray, "n 6"], symmetry: MaterialSymmetry) -> "Gauge":
        """The gauge of a law of this symmetry by its training states e (n, 6)."""
        neurons = neurons_of(terms)
        h, rest = len(neurons), np.eye(3)[None]
        parts = [alone(terms, members).potential(rest) for members in neurons]
        # elastic constants come first, as slopes without neurons
        constants, basis = terms.potential(rest)[2][0], symmetry.invariant_stiffnesses()
        m = len(basis)
        basis = basis * (np.linalg.norm(constants) / np.linalg.norm(basis, axis=(1, 2)))[:, None, None]
        bare = cls(
            terms,
            neurons,
            np.eye(h, h + m, m),
            np.concatenate([np.zeros((m, 6)), *(S for _, S, _ in parts)]),
            np.concatenate([-basis, *(D for _, _, D in parts)]),
            0.0,
        )
        F = np.swapaxes(np.linalg.cholesky(np.eye(3) + 2.0 * strain_tensor(strain)), -1, -2)
        G = bare.stresses(F) * np.sqrt(SHEAR_DOUBLING)
        normal = np.einsum("nri,nsi->rs", G, G)
        # a law without stiffness has no stress to be judged by: q vanishes, and everything is inside
        ridge = RIDGE * float(np.square((strain @ constants) * np.sqrt(SHEAR_DOUBLING)).sum()) or 1.0
        normal += ridge * np.eye(h + m)
        L = solve_triangular(cholesky(normal, lower=True), np.eye(h + m), lower=True).T
        leverage = np.linalg.svd(np.einsum("nri,rs->nsi", G, L), compute_uv=False) ** 2
        leverage = np.minimum(leverage, ALONE)
        border = float(np.quantile((leverage / (1.0 - leverage)).sum(axis=1), COVERED)) or 1.0
        return cls(
            terms,
            neurons,
            L[m:],
            np.einsum("hr,hi->ri", L, bare.offset),
            np.einsum("hr,hij->rij", L, bare.slope),
            border,
        )

    def trust(self, deformation_gradient: Float[ndarray, "n 3 3"]) -> Float[ndarray, "n"]:
        """min(1, sqrt(q0 / q)) at F (n, 3, 3), in (0, 1]."""
        return np.asarray(np.sqrt(self.border / np.maximum(self.leverage(deformation_gradient), self.border)))

    def leverage(self, deformation_gradient: Float[ndarray, "n 3 3"]) -> Float[ndarray, "n"]:
        """q at F (n, 3, 3)."""
        q = np.empty(len(deformation_gradient))
        for start in range(0, len(q), CHUNK):
            part = slice(start, start + CHUNK)
            q[part] = np.square(self.stresses(deformation_gradient[part])).sum(axis=1) @ SHEAR_DOUBLING
        return q

    def stresses(self, F: Float[ndarray, "n 3 3"]) -> Float[ndarray, "n r 6"]:
        """x'^T sum_h factor_hr y_h - offset_r - slope_r e."""
        terms = self.terms
        jet = terms.arguments.jet(F)
        sizes = expit(jet.value @ terms.weights.T + terms.biases) * terms.amplitudes
        y = np.empty((len(F), len(self.neurons), jet.value.shape[1]))
        for h, members in enumerate(self.neurons):
            y[:, h] = sizes[:, members] @ terms.weights[members]
        r = self.factor.shape[1]
        linear = (green_lagrange(F) @ np.swapaxes(self.slope, 1, 2).transpose(1, 0, 2).reshape(6, 6 * r)).reshape(
            -1, r, 6
        )
        return np.asarray(self.factor.T @ y @ jet.gradient - self.offset - linear)


def neurons_of(terms: NetworkTerms) -> tuple[Int[ndarray, "_"], ...]:
    """The images of each neuron: those of one bias and one amplitude (an orbit's images share their multiplicity)."""
    pairs = np.stack([terms.amplitudes, terms.biases], axis=1)
    _, owner = np.unique(pairs, axis=0, return_inverse=True)
    return tuple(np.flatnonzero(owner.ravel() == h) for h in range(owner.max(initial=-1) + 1))


def alone(terms: NetworkTerms, members: Int[ndarray, "k"]) -> NetworkTerms:
    """One neuron of a law, as a law."""
    m = len(terms.linear)
    return NetworkTerms(
        terms.arguments,
        terms.weights[members],
        terms.biases[members],
        terms.amplitudes[members],
        0.0,
        np.zeros(m),
        np.zeros((m, m)),
    )
