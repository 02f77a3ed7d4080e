r"""Descriptors that change sign in a mirror: what tells a molecule from its image, which distances and angles cannot.

Rotations mix the components of the moments of an atom's neighbours j of element a,

    M_ak,lm = sum_j f_k(r_j) Y_lm(u_j),        f_k(r) = T_k(2 r / r_c - 1) f_c(r / r_c),      u_j = r_j / |r_j|

(those of `atomistic.body_ordered`), among those of one l, and the inversion multiplies them by (-1)^l; a reflection is an inversion and a
rotation. So an invariant product of moments of degrees l1, l2, ... is even in a mirror where their sum is even, and odd where it is odd.
Two moments are invariant only for l1 = l2: every two- and three-body function is even. Three are for each triangle of degrees, and the
sums that are odd are the pseudo-scalars

    o_{n1 n2 n3, l1 l2 l3} = sum_m  E_{m1 m2 m3}  M_{n1, l1 m1} M_{n2, l2 m2} M_{n3, l3 m3},        n = (a, k),   l1 + l2 + l3 odd,
    E_{m1 m2 m3} = (1/4pi) int Y_{l3 m3} u . (grad Y_{l1 m1} x grad Y_{l2 m2}) dOmega,

E, the only isotropic tensor of these degrees up to a factor, is written as a Poisson bracket on the sphere (Hoppe, thesis, MIT 1982), and
is antisymmetric in moments of the same degree: they need different n. As sums over three neighbours, g = f_k of those of element a,

    (1, 1, 1):   1/3 sum_ijk g_1(r_i) g_2(r_j) g_3(r_k)  u_i . (u_j x u_k),                eps_abc v1_a v2_b v3_c of vectors v,
    (1, 2, 2):   3/5 sum_ijk g_1(r_i) g_2(r_j) g_3(r_k)  u_i . (u_j x u_k) (u_j . u_k),   eps_abc v_a (S T)_bc of tensors S, T,

and any other is the first times a polynomial of the cosines between the directions. They are four-body: a centre and three neighbours
that do not lie in one plane with it are the least that has a hand. The even sums of the same products are the bispectrum (Bartok, Kondor
and Csanyi, Phys. Rev. B 87 (2013) 184115); both belong to the atomic cluster expansion (Drautz, Phys. Rev. B 99 (2019) 014104). Four-body
functions do not tell all environments apart either (Pozdnyakov and others, Phys. Rev. Lett. 125 (2020) 166001): an atom whose pseudo-
scalars vanish may have a hand of a higher order in bodies or degree. The centre of a propeller, six equal neighbours, has none below
degree 4.

An energy is even: a potential of these needs their products or squares. They are for telling hands apart.
"""

from dataclasses import dataclass
from functools import cache, cached_property
from itertools import combinations, combinations_with_replacement, product
from typing import ClassVar, Final

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from torch import Tensor

from atomistic.body_ordered import BodyOrdered
from atomistic.harmonics import quadrature, spherical_harmonics

LARGEST: Final = 20_000
"""Functions of an atom beyond which a set is refused: it is a slip, and takes gigabytes."""


@dataclass(frozen=True)
class PseudoScalars:
    """A reflection-odd set for the elements `numbers`; an `atomistic.Descriptors`.

    Attributes:
        numbers: atomic numbers of the elements known, ascending.
        cutoff: r_c, Angstrom.
        radial: number of radial functions; 3 or more distinguish one shell's neighbours by distance.
        degree: largest l of the moments.
        cutoff_function: a name in `atomistic.cutoff_functions.CUTOFF_FUNCTIONS`; with the default, functions are twice continuously
            differentiable where a neighbour enters.

    Raises:
        ValueError: for what is out of range, or so many functions that they are a slip.
    """

    kind: ClassVar[str] = "pseudo-scalars"

    numbers: tuple[int, ...]
    cutoff: float = 4.0
    radial: int = 3
    degree: int = 2
    cutoff_function: str = "polynomial"

    def __post_init__(self) -> None:
        _ = self._moments
        if not self.count(self.numbers[0]):
            raise ValueError(
                f"radial = {self.radial} functions of {len(self.numbers)} elements up to degree = {self.degree} have no pseudo-scalar; "
                "expected three of them together, or two with degree >= 2"
            )
        if self.count(self.numbers[0]) > LARGEST:
            raise ValueError(
                f"{self.count(self.numbers[0])} functions for {len(self.numbers)} elements with radial = {self.radial}, "
                f"degree = {self.degree}; expected at most {LARGEST}: reduce these"
            )

    @cached_property
    def _moments(self) -> BodyOrdered:
        """The even set whose moments these are; it checks the numbers."""
        return BodyOrdered(
            self.numbers, self.cutoff, self.cutoff, 1, self.radial, self.degree, cutoff_function=self.cutoff_function
        )

    @cached_property
    def triples(self) -> tuple[tuple[int, int, int], ...]:
        """Degrees l1 <= l2 <= l3 that couple to a pseudo-scalar: triangles of odd sum."""
        degrees = combinations_with_replacement(range(1, self.degree + 1), 3)
        return tuple((a, b, c) for a, b, c in degrees if (a + b + c) % 2 == 1 and c < a + b)

    def channels(self, triple: tuple[int, int, int]) -> list[tuple[int, int, int]]:
        """Which moments n = (a, k), flat, take part with these degrees: those of the same degree differ, each combination once."""
        a, b, c = triple
        count = range(len(self.numbers) * self.radial)
        if a == b == c:
            return list(combinations(count, 3))
        if a == b:
            return [(n, m, k) for (n, m), k in product(combinations(count, 2), count)]
        if b == c:
            return [(n, m, k) for n, (m, k) in product(count, combinations(count, 2))]
        return list(product(count, count, count))

    def count(self, number: int) -> int:
        """Number of functions of an atom of element `number`: the same for all."""
        n = len(self.numbers) * self.radial
        pairs, distinct = n * (n - 1) // 2, {1: n * (n - 1) * (n - 2) // 6, 3: n**3}
        return sum(distinct.get(len(set(triple)), n * pairs) for triple in self.triples)

    def radial_orders(self, number: int) -> Float[ndarray, "functions"]:
        """Degree of each function in the radial polynomials: k + k' + k''."""
        places = np.concatenate([np.array(self.channels(triple)) for triple in self.triples])
        return np.asarray((places % self.radial).sum(1), dtype=np.float64)

    def values(
        self,
        number: int,
        vectors: Float[Tensor, "atoms neighbours 3"],
        neighbour_numbers: Int[Tensor, "atoms neighbours"],
        mask: Bool[Tensor, "atoms neighbours"],
    ) -> Float[Tensor, "atoms functions"]:
        """o of atoms of any element; differentiable in `vectors`, twice. Odd in a mirror, invariant under rotation and permutation."""
        _, moments = self._moments.moments(vectors, neighbour_numbers, mask)
        moments = moments.flatten(1, 2)
        parts = []
        for triple in self.triples:
            a, b, c = (moments[..., degree * degree - 1 : degree * (degree + 2)] for degree in triple)
            first, second, third = torch.tensor(self.channels(triple), device=moments.device).T
            to_third = torch.from_numpy(odd_coupling(*triple)).to(moments).flatten(0, 1)
            pairs = (a[:, first][..., :, None] * b[:, second][..., None, :]).flatten(2)
            parts.append(((pairs @ to_third) * c[:, third]).sum(-1))
        return torch.cat(parts, dim=1)


@cache
def odd_coupling(first: int, second: int, third: int) -> Float[ndarray, "m1 m2 m3"]:
    """E = (1/4pi) int Y_{l3 m3} u . (grad Y_{l1 m1} x grad Y_{l2 m2}) dOmega, exact: a pseudo-scalar of three harmonics.

    Zero unless l1 + l2 + l3 is odd and each l is less than the sum of the others.
    """
    degree = max(first, second, third)
    unit, shares = quadrature(3 * degree)
    slopes = torch.func.vmap(torch.func.jacfwd(lambda u: spherical_harmonics(u, degree)))(unit).numpy()
    of = [slice(order * order, (order + 1) ** 2) for order in (first, second, third)]
    harmonics = spherical_harmonics(unit, degree).numpy()[:, of[2]]
    # Of a gradient only the part along the sphere counts in the product with u.
    brackets = np.einsum("pi,paj,pbk,ijk->pab", unit.numpy(), slopes[:, of[0]], slopes[:, of[1]], LEVI_CIVITA)
    value = np.einsum("p,pab,pc->abc", shares, brackets, harmonics)
    return np.where(np.abs(value) < 1e-13, 0.0, value)


LEVI_CIVITA: Final = np.cross(np.eye(3)[:, None], np.eye(3)[None])
"""eps_ijk."""
