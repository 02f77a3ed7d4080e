"""Functions of the invariants that carry any stress and any elastic constants at F = I, and nothing more.

Every energy of the group has the second-order expansion S0.e + 1/2 e.C.e with invariant S0 and C, k + m numbers. Invariants of first order
in strain, their products in pairs, and invariants of second order span these expansions, so some k + m of them, B_j, solve

    sum_j a_j B_j'(0) = S0,    sum_j a_j B_j''(0) = C

exactly and uniquely: ln J, 1/2 ln^2 J and Ibar_1 - 3 for an isotropic material, where a is pressure, bulk and half the shear modulus.
Unlike 1/2 e.C.e they grow at large strain as the invariants do. For a finite group, whose invariants are polynomials of e, they
are S0.e + 1/2 e.C.e itself.
"""

from functools import cached_property
from itertools import combinations_with_replacement
from typing import Final

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from multiscale.laws.jets import Jet
from multiscale.laws.strain import UPPER_COLUMNS, UPPER_ROWS
from multiscale.symmetry.invariants import Invariants

INDEPENDENT: Final = 1e-6
"""A function whose expansion lies within this distance (relative) of those taken before adds nothing."""


class QuadraticPart:
    """The functions B_j of a set of invariants.

    Attributes:
        terms: each an index of an invariant, or a pair of indices: 1/2 i_a i_b where equal, i_a i_b otherwise.
    """

    def __init__(self, invariants: Invariants) -> None:
        self.invariants = invariants
        first = [k for k, order in enumerate(invariants.orders) if order == 1]
        second = [k for k, order in enumerate(invariants.orders) if order == 2]
        candidates: list[tuple[int, ...]] = [(k,) for k in first]
        candidates += list(combinations_with_replacement(first, 2))
        candidates += [(k,) for k in second]
        columns = expansion(self._functions(self.origin, candidates))[0]
        basis = np.zeros((27, 0))
        self.terms: list[tuple[int, ...]] = []
        for term, column in zip(candidates, columns, strict=True):
            rest = column - basis @ (basis.T @ column)
            if np.linalg.norm(rest) > INDEPENDENT * np.linalg.norm(column):
                basis = np.concatenate([basis, rest[:, None] / np.linalg.norm(rest)], axis=1)
                self.terms.append(term)

    @cached_property
    def origin(self) -> Jet:
        """The invariants at F = I."""
        return self.invariants.jet(np.eye(3)[None])

    @staticmethod
    def _functions(invariants: Jet, terms: list[tuple[int, ...]]) -> Jet:
        linear = [t[0] for t in terms if len(t) == 1]
        a = [t[0] for t in terms if len(t) == 2]
        b = [t[1] for t in terms if len(t) == 2]
        parts = {1: invariants[linear], 2: invariants[a] * invariants[b]}
        position = {1: iter(range(len(linear))), 2: iter(range(len(a)))}
        order = [next(position[len(t)]) + (len(linear) if len(t) == 2 else 0) for t in terms]
        return Jet.stack([parts[1], parts[2]])[order]

    def jet(self, invariants: Jet) -> Jet:
        """B at the points where the invariants were evaluated."""
        return self._functions(invariants, self.terms)

    @cached_property
    def solver(self) -> Float[ndarray, "q 27"]:
        """The matrix that leads from gradient and Hessian at F = I (expansion below) to a."""
        return np.asarray(np.linalg.pinv(expansion(self.jet(self.origin))[0].T))

    def coefficients(self, stress: Float[ndarray, "6"], stiffness: Float[ndarray, "6 6"]) -> Float[ndarray, "q"]:
        """a of S0 and C, both invariant under the group."""
        return np.asarray(self.solver @ np.concatenate([stress, stiffness[UPPER_ROWS, UPPER_COLUMNS]]))


def expansion(jet: Jet) -> Float[ndarray, "n m 27"]:
    """Gradient and upper triangle of the Hessian."""
    return np.concatenate([jet.gradient, jet.hessian[:, :, UPPER_ROWS, UPPER_COLUMNS]], axis=2)
