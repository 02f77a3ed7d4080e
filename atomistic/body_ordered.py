r"""Body-ordered descriptors whose cost grows with the number of neighbours, not its square: the default set.

With Chebyshev polynomials under a cutoff, f_k(r) = T_k(2 r / r_c - 1) f_c(r / r_c), and the neighbours j of element a,

    two-body     R_ak    = sum_j f_k(r_j)                                        (r_c = cutoff)
    moments      M_ak,lm = sum_j f_k(r_j) Y_lm(u_j),   u_j = r_j / |r_j|         (r_c = angular_cutoff)
    channels     A_n,lm  = sum_ak c_nak M_ak,lm
    three-body   p_nn'l  = sum_m A_n,lm A_n',lm = sum_jk g_n(r_j) g_n'(r_k) P_l(u_j . u_k)
    four-body    b_n,l1l2l3 = sum_m A_n,l1m1 A_n,l2m2 A_n,l3m3 (1/4pi) int Y_l1m1 Y_l2m2 Y_l3m3 dOmega

The sum over pairs in p is the addition theorem read backwards (Racah's normalisation, `atomistic.harmonics`); the construction is that
of the atomic cluster expansion (Drautz, Phys. Rev. B 99 (2019) 014104) with the radial functions mixed as in Fan and others, Phys. Rev. B
104 (2021) 104309. The coefficients c may be trained. Everything is a polynomial in the moments, so forces are linear in the gradient with
respect to them.
"""

from dataclasses import dataclass
from functools import cached_property
from itertools import combinations_with_replacement
from typing import ClassVar, Final

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from atomistic.cutoff_functions import CUTOFF_FUNCTIONS
from atomistic.harmonics import coupling, spherical_harmonics

Channels = tuple[tuple[tuple[float, ...], ...], ...]

REACH: Final = 3
"""Measured on a fold of the mlearn silicon set: forces off by 0.110 eV/A with equal channels alone, 0.096 with these, 0.103 with all."""


@dataclass(frozen=True)
class BodyOrdered:
    """A body-ordered set for the elements `numbers`.

    Attributes:
        numbers: atomic numbers of the elements known, ascending.
        cutoff: of the two-body functions, Angstrom.
        angular_cutoff: of the moments, Angstrom, at most `cutoff`.
        radial: number of two-body functions for each element of the neighbours.
        angular: number of Chebyshev functions in the moments.
        degree: largest l of the harmonics.
        channels: c[n][a][k]; empty for one channel an element and Chebyshev function.
        pairs: channels (n, n') of the three-body functions; empty for those at most `REACH` Chebyshev functions apart.
        cutoff_function: a name in `CUTOFF_FUNCTIONS`.
    """

    kind: ClassVar[str] = "body-ordered"

    numbers: tuple[int, ...]
    cutoff: float = 6.0
    angular_cutoff: float = 5.0
    radial: int = 12
    angular: int = 8
    degree: int = 4
    channels: Channels = ()
    pairs: tuple[tuple[int, int], ...] = ()
    cutoff_function: str = "polynomial"

    def __post_init__(self) -> None:
        if self.numbers != tuple(sorted(set(self.numbers))) or not self.numbers:
            raise ValueError(f"elements {self.numbers}, expected different atomic numbers in ascending order")
        if not 0.0 < self.angular_cutoff <= self.cutoff:
            raise ValueError(
                f"angular_cutoff = {self.angular_cutoff} A and cutoff = {self.cutoff} A, expected 0 < angular_cutoff <= cutoff"
            )
        for name in ("radial", "angular", "degree"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} = {getattr(self, name)}, expected a positive number")
        if self.cutoff_function not in CUTOFF_FUNCTIONS:
            raise ValueError(f"cutoff function {self.cutoff_function!r}, expected one of {sorted(CUTOFF_FUNCTIONS)}")
        elements = len(self.numbers)
        if not self.channels:
            identity = np.eye(elements * self.angular).reshape(-1, elements, self.angular)
            object.__setattr__(self, "channels", tuple(tuple(map(tuple, rows)) for rows in identity.tolist()))
        if any(len(rows) != elements or {len(row) for row in rows} != {self.angular} for rows in self.channels):
            raise ValueError(
                f"channels have shape {np.shape(self.channels)}, expected (channels, {elements}, {self.angular})"
            )
        if not self.pairs:
            count = len(self.channels)
            near = ((n, m) for n in range(count) for m in range(n, count) if self._apart(n, m) <= REACH)
            object.__setattr__(self, "pairs", tuple(near))
        if any(not 0 <= n < len(self.channels) for pair in self.pairs for n in pair):
            raise ValueError(f"pairs = {self.pairs} name channels outside 0 ... {len(self.channels) - 1}")

    def _apart(self, n: int, m: int) -> int:
        """How many Chebyshev functions lie between two channels of the default set, of whichever elements."""
        return abs(n % self.angular - m % self.angular)

    @cached_property
    def triples(self) -> tuple[tuple[int, int, int], ...]:
        """Degrees l1 <= l2 <= l3 of the four-body functions: all that couple to a scalar."""
        orders = combinations_with_replacement(range(1, self.degree + 1), 3)
        return tuple((a, b, c) for a, b, c in orders if (a + b + c) % 2 == 0 and c <= a + b)

    def count(self, number: int) -> int:
        """Number of descriptors of an atom of element `number`: the same for all."""
        two_body = len(self.numbers) * self.radial
        return two_body + len(self.pairs) * self.degree + len(self.channels) * len(self.triples)

    def radial_orders(self, number: int) -> Float[np.ndarray, "functions"]:
        """Degree of each descriptor in the radial polynomials: k, k + k' and 3 k of two-, three- and four-body functions.

        A channel counts as the mean of its Chebyshev functions, by their squared coefficients.
        """
        squares = np.square(np.array(self.channels))
        of_channel = squares.sum(1) @ np.arange(self.angular) / np.maximum(squares.sum((1, 2)), np.finfo(float).tiny)
        two_body = np.tile(np.arange(self.radial, dtype=float), len(self.numbers))
        three_body = np.repeat(of_channel[np.array(self.pairs)].sum(1), self.degree)
        return np.concatenate([two_body, three_body, np.tile(3.0 * of_channel, len(self.triples))])

    def values(
        self,
        number: int,
        vectors: Float[Tensor, "atoms neighbours 3"],
        neighbour_numbers: Int[Tensor, "atoms neighbours"],
        mask: Bool[Tensor, "atoms neighbours"],
    ) -> Float[Tensor, "atoms functions"]:
        """Descriptors of atoms of element `number`; differentiable in `vectors`, twice."""
        two_body, moments = self.moments(vectors, neighbour_numbers, mask)
        return self.invariants(two_body, moments)

    def moments(
        self,
        vectors: Float[Tensor, "atoms neighbours 3"],
        neighbour_numbers: Int[Tensor, "atoms neighbours"],
        mask: Bool[Tensor, "atoms neighbours"],
    ) -> tuple[Float[Tensor, "atoms two_body"], Float[Tensor, "atoms elements angular components"]]:
        """R, flat over (a, k), and M for l = 1 ... degree."""
        vectors = torch.where(mask[..., None], vectors, vectors.new_tensor((self.cutoff, 0.0, 0.0)))
        distance = vectors.square().sum(-1).sqrt()
        harmonics = spherical_harmonics(vectors / distance[..., None], self.degree)[..., 1:]
        radial = self.basis(distance, self.cutoff, self.radial)
        angular = self.basis(distance, self.angular_cutoff, self.angular)
        of_element = torch.stack([neighbour_numbers == number for number in self.numbers], dim=-1).to(vectors)
        two_body = torch.einsum("ame,amk->aek", of_element, radial).flatten(1)
        weights = (of_element[..., :, None] * angular[..., None, :]).flatten(2)
        moments = torch.bmm(weights.transpose(1, 2), harmonics)
        return two_body, moments.unflatten(1, (len(self.numbers), self.angular))

    def basis(self, distance: Float[Tensor, "*shape"], cutoff: float, count: int) -> Float[Tensor, "*shape functions"]:
        """f_0 ... f_{count-1} at each distance; zero from the cutoff on."""
        scaled = (distance / cutoff).clamp(max=1.0)
        envelope = CUTOFF_FUNCTIONS[self.cutoff_function](scaled)
        x = 2.0 * scaled - 1.0
        terms = [torch.ones_like(x), x]
        for _ in range(count - 2):
            terms.append(2.0 * x * terms[-1] - terms[-2])
        return torch.stack(terms[:count], dim=-1) * envelope[..., None]

    def invariants(
        self,
        two_body: Float[Tensor, "atoms two_body"],
        moments: Float[Tensor, "atoms elements angular components"],
        channels: Float[Tensor, "channels elements angular"] | None = None,
    ) -> Float[Tensor, "atoms functions"]:
        """R, p (pairs, then l) and b (triples, then n) of the moments; `channels` replaces the set's own, to train them."""
        mix = moments.new_tensor(self.channels) if channels is None else channels
        A = torch.einsum("nek,aekc->anc", mix, moments)
        first, second = torch.tensor(self.pairs, device=A.device).T
        products = A[:, first] * A[:, second]
        degrees = range(1, self.degree + 1)
        three_body = torch.stack([products[..., n * n - 1 : n * (n + 2)].sum(-1) for n in degrees], dim=-1)
        parts = [two_body, three_body.flatten(1)]
        for l1, l2, l3 in self.triples:
            a, b, c = (A[..., n * n - 1 : n * (n + 2)] for n in (l1, l2, l3))
            # Two degrees are coupled to the third by one matrix product; the pair products dominate the cost.
            to_third = torch.from_numpy(coupling(l1, l2, l3)).to(A).flatten(0, 1)
            pair = (a[..., :, None] * b[..., None, :]).flatten(2)
            parts.append(((pair @ to_third) * c).sum(-1))
        return torch.cat(parts, dim=1)
