"""Polynomial invariants of strain under a finite group: how many there are, and a basis that generates all of them.

The number h_d of linearly independent invariant polynomials of degree d is a coefficient of Molien's series (T. Molien, Sitzungsber.
Preuss. Akad. Wiss. 1897, 1152)

    sum_d h_d t^d = 1/|G| sum_R 1 / det(1 - t Q_R).

The Reynolds operator makes them: powers of linear forms span the polynomials of a degree, so that the averages

    p_w(e) = 1/|G| sum_R (w.Q_R e)^d

over enough w span the invariants of degree d. Those which products of invariants of lower degree do not span are generators, and a minimal
set of them is an integrity basis: 6, 7, 7, 12, 8, 14, 9, 14, 9, 14, 9 for -1, 2/m, mmm, 4/m, 4/mmm, -3, -3m, 6/m, 6/mmm, m-3, m-3m, none of
a degree above six; G. F. Smith and R. S. Rivlin, Trans. Am. Math. Soc. 88 (1958) 175, give them as polynomials. (No generator has a
degree above |G|: E. Noether, Math. Ann. 77 (1915) 89; up to there the tests count what these make against Molien's series, in m-3m
up to degree 12 of 24.) A sum of powers needs no table of monomials,
and its derivatives are closed forms: d p_w u and d (d - 1) p u u^T with u = Q_R^T w.
"""

from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import Final

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from multiscale.laws.jets import Jet
from multiscale.laws.strain import SHEAR_DOUBLING, green_lagrange
from multiscale.symmetry.point_group import PointGroup

HIGHEST_DEGREE: Final = 6
"""No generator of a crystal class has a higher degree (Smith and Rivlin 1958)."""


def molien(group: PointGroup, degree: int) -> Int[ndarray, "d"]:
    """h_0 .. h_degree: the numbers of independent invariant polynomials of strain."""
    total = np.zeros(degree + 1)
    for Q in group.strain_action:
        # det(1 - t Q) = sum_k c_k t^k, c the characteristic polynomial's coefficients from the highest; then its reciprocal's series
        c = np.poly(Q).real
        series = np.zeros(degree + 1)
        series[0] = 1.0
        for d in range(1, degree + 1):
            series[d] = -sum(c[k] * series[d - k] for k in range(1, min(d, 6) + 1))
        total += series
    return np.round(total / group.order).astype(int)


@dataclass(frozen=True, eq=False)
class IntegrityBasis:
    """Generators p_w of degree d, one a row (multiscale.symmetry.invariants.Invariants).

    Attributes:
        group: whose invariants they are.
        forms: w (m, 6).
        degrees: d (m,).
    """

    group: PointGroup
    forms: Float[ndarray, "m 6"]
    degrees: Int[ndarray, "m"]
    kernel = "power_sums"

    @property
    def tables(self) -> Float[ndarray, "r 8"]:
        """A row for each image: u with p_w = sum (u.e)^d, its degree d, its invariant."""
        rows = []
        for index, (w, d) in enumerate(zip(self.forms, self.degrees, strict=True)):
            u = w @ self.group.strain_action / self.group.order ** (1.0 / d)
            rows += [[*image, d, index] for image in u]
        return np.array(rows)

    @property
    def orders(self) -> tuple[int, ...]:
        return tuple(int(d) for d in self.degrees)

    def values(self, e: Float[ndarray, "n 6"]) -> Float[ndarray, "n m"]:
        """The invariants of strains with components e."""
        return reynolds_powers(self.group, self.forms, self.degrees, e)

    def jet(self, F: Float[ndarray, "n 3 3"]) -> Jet:
        e = green_lagrange(F)
        u = np.einsum("mi,rij->mrj", self.forms, self.group.strain_action)
        y, d, g = np.einsum("ni,mri->nmr", e, u), self.degrees[:, None], self.group.order
        first = d * y ** (d - 1) / g
        second = np.where(d > 1, d * (d - 1) * y ** np.maximum(d - 2, 0), 0.0) / g
        return Jet(
            (y**d).mean(axis=2),
            np.einsum("nmr,mri->nmi", first, u),
            np.einsum("nmr,mri,mrj->nmij", second, u, u, optimize=True),
        )


def integrity_basis(group: PointGroup) -> IntegrityBasis:
    """A minimal set of generators, the same for the same group.

    Forms are drawn from a fixed sequence, and of each degree those are taken, one by one, that products of lower generators
    and those already taken do not span, most independent ones first (a pivoted Gram-Schmidt of their values at random strains).
    """
    rng = np.random.default_rng(0)
    count = molien(group, HIGHEST_DEGREE)
    points = rng.normal(size=(2 * int(count.max()) + 20, 6)) * np.sqrt(SHEAR_DOUBLING)
    forms, degrees = np.zeros((0, 6)), np.zeros(0, dtype=int)
    for degree in range(1, HIGHEST_DEGREE + 1):
        products = products_of_degree(reynolds_powers(group, forms, degrees, points), degrees, degree)
        products /= np.maximum(np.linalg.norm(products, axis=0), 1e-300)
        left, singular, _ = np.linalg.svd(products, full_matrices=False)
        spanned = left[:, singular > 1e-8]
        missing = int(count[degree]) - spanned.shape[1]
        if missing <= 0:
            continue
        candidates = rng.normal(size=(2 * int(count[degree]) + 10, 6)) / np.sqrt(SHEAR_DOUBLING)
        candidates /= np.linalg.norm(candidates * np.sqrt(SHEAR_DOUBLING), axis=1)[:, None]
        columns = reynolds_powers(group, candidates, np.full(len(candidates), degree), points)
        columns /= np.linalg.norm(columns, axis=0)
        columns -= spanned @ (spanned.T @ columns)
        picked = []
        for _ in range(missing):
            norm = np.linalg.norm(columns, axis=0)
            picked.append(int(np.argmax(norm)))
            direction = columns[:, picked[-1]] / norm[picked[-1]]
            columns -= np.outer(direction, direction @ columns)
        forms = np.concatenate([forms, candidates[picked]])
        degrees = np.concatenate([degrees, np.full(missing, degree)])
    return IntegrityBasis(group, forms, degrees)


def reynolds_powers(
    group: PointGroup, forms: Float[ndarray, "m 6"], degrees: Int[ndarray, "m"], e: Float[ndarray, "n 6"]
) -> Float[ndarray, "n m"]:
    """1/|G| sum_R (w.Q_R e)^d for each form w and its degree d."""
    total = np.zeros((len(e), len(forms)))
    for Q in group.strain_action:
        total += (e @ Q.T @ forms.T) ** degrees
    return total / group.order


def products_of_degree(values: Float[ndarray, "n m"], degrees: Int[ndarray, "m"], degree: int) -> Float[ndarray, "n q"]:
    """All products of two or more generators whose degrees add up to this one."""
    found = [
        values[:, list(factors)].prod(axis=1)
        for size in range(2, degree + 1)
        for factors in combinations_with_replacement(range(len(degrees)), size)
        if degrees[list(factors)].sum() == degree
    ]
    return np.stack(found, axis=1) if found else np.zeros((len(values), 0))
