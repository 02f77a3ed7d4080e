r"""Atom-centred symmetry functions after Behler, J. Chem. Phys. 134 (2011) 074106.

Radial, his G^2, one for each neighbour element a:

    G2_i = sum_{j in a} exp(-eta (r_ij - r_s)^2) f_c(r_ij)

Angular, his G^5 (no dependence on r_jk), one for each pair of neighbour elements a <= b, with the shift r_s that later codes add:

    G5_i = 2^(1-zeta) sum_{j in a, k in b, pairs} (1 + lambda cos theta_ijk)^zeta g(r_ij) g(r_ik),
    g(r) = exp(-eta (r - r_s)^2) f_c(r)

Each pair of neighbours counts once. For integer zeta the double sum is never formed. With the unit vectors u_j = r_ij / |r_ij|
and the moments M_p = sum_j g(r_ij) u_j (x) ... (x) u_j (p factors),

    sum_{j,k} cos^p(theta_jk) g_j g_k = M_p . M_p,        (1 + lambda c)^zeta = sum_p binomial(zeta, p) lambda^p c^p,

so the cost grows with the number of neighbours, not its square; the terms j = k, (1 + lambda)^zeta g_j^2, are subtracted. A moment of
order p has (p+1)(p+2)/2 different components x^a y^b z^c, each standing p!/(a! b! c!) times in M_p . M_p.
"""

import math
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations_with_replacement
from typing import ClassVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from atomistic.cutoff_functions import CUTOFF_FUNCTIONS


@dataclass(frozen=True)
class SymmetryFunctions:
    """A set of radial and angular symmetry functions for the elements `numbers`.

    Attributes:
        numbers: atomic numbers of the elements known, ascending.
        cutoff: r_c (Angstrom), common to all functions.
        radial: pairs (eta, r_s) of the radial functions, 1/A^2 and A.
        angular: pairs (eta, r_s) of the angular functions; each is combined with every zeta and lambda = +1, -1.
        zetas: the exponents zeta, positive integers.
        cutoff_function: a name in `CUTOFF_FUNCTIONS`.
    """

    kind: ClassVar[str] = "symmetry-functions"

    numbers: tuple[int, ...]
    cutoff: float
    radial: tuple[tuple[float, float], ...]
    angular: tuple[tuple[float, float], ...]
    zetas: tuple[int, ...] = (1, 2, 4)
    cutoff_function: str = "polynomial"

    def __post_init__(self) -> None:
        if not self.cutoff > 0.0:
            raise ValueError(f"cutoff = {self.cutoff} A, expected a positive length")
        if any(zeta < 1 or zeta != int(zeta) for zeta in self.zetas):
            raise ValueError(f"zetas = {self.zetas}, expected positive integers")
        if self.cutoff_function not in CUTOFF_FUNCTIONS:
            raise ValueError(f"cutoff function {self.cutoff_function!r}, expected one of {sorted(CUTOFF_FUNCTIONS)}")
        if self.numbers != tuple(sorted(set(self.numbers))):
            raise ValueError(f"elements {self.numbers}, expected different atomic numbers in ascending order")

    @classmethod
    def spread(
        cls, numbers: tuple[int, ...], *, nearest: float, cutoff: float, radial: int = 10, angular: int = 5
    ) -> "SymmetryFunctions":
        """A set that covers all distances of a crystal whose nearest neighbours are `nearest` (Angstrom) apart.

        Radial centres are spaced evenly from 0.75 `nearest` to the cutoff, each as wide as the spacing (eta = 1/(2 spacing^2)). The
        angular functions are centred at the atom; their exp(-eta r^2) at the nearest neighbour runs evenly from 0.9 to 0.1.
        """
        first = 0.75 * nearest
        spacing = (cutoff - first) / radial
        centres = [first + spacing * k for k in range(radial)]
        heights = [0.9 - 0.8 * k / max(1, angular - 1) for k in range(angular)]
        return cls(
            numbers=numbers,
            cutoff=cutoff,
            radial=tuple((0.5 / spacing**2, centre) for centre in centres),
            angular=tuple((-math.log(height) / nearest**2, 0.0) for height in heights),
        )

    def count(self, number: int) -> int:
        """Number of symmetry functions of an atom of element `number`."""
        species = len(self.numbers)
        pairs = species * (species + 1) // 2
        return species * len(self.radial) + pairs * len(self.angular) * 2 * len(self.zetas)

    @cached_property
    def _monomials(self) -> tuple[tuple[tuple[int, int], ...], Tensor]:
        """How to build the monomials of a unit vector, and the matrix from squared moments to their orders.

        Monomial n > 0 is (parent, axis): monomial `parent` times component `axis`. Row p of the matrix holds p!/(a! b! c!).
        """
        powers: list[tuple[int, ...]] = [(0, 0, 0)]
        steps: list[tuple[int, int]] = []
        for order in range(1, max(self.zetas) + 1):
            for axes in combinations_with_replacement(range(3), order):
                power = tuple(axes.count(axis) for axis in range(3))
                parent = tuple(count - (axis == axes[-1]) for axis, count in enumerate(power))
                steps.append((powers.index(parent), axes[-1]))
                powers.append(power)
        to_order = torch.zeros(max(self.zetas) + 1, len(powers), dtype=torch.float64)
        for n, power in enumerate(powers):
            order = sum(power)
            to_order[order, n] = math.factorial(order) / math.prod(math.factorial(count) for count in power)
        return tuple(steps), to_order

    @cached_property
    def _expansion(self) -> tuple[Tensor, Tensor]:
        """Coefficients of (1 + lambda c)^zeta / 2^zeta in the powers of c, and its value at c = 1; lambda = +1 first."""
        pairs = [(zeta, sign) for zeta in self.zetas for sign in (1, -1)]
        rows = [[math.comb(zeta, p) * sign**p / 2.0**zeta for p in range(max(self.zetas) + 1)] for zeta, sign in pairs]
        coefficients = torch.tensor(rows, dtype=torch.float64)
        return coefficients, coefficients.sum(dim=1)

    def values(
        self,
        number: int,
        vectors: Float[Tensor, "atoms neighbours 3"],
        neighbour_numbers: Int[Tensor, "atoms neighbours"],
        mask: Bool[Tensor, "atoms neighbours"],
    ) -> Float[Tensor, "atoms functions"]:
        """Values of all symmetry functions of atoms of element `number`; differentiable in `vectors`."""
        outside = vectors.new_tensor((self.cutoff, 0.0, 0.0))
        vectors = torch.where(mask[..., None], vectors, outside)
        distance = vectors.square().sum(-1).sqrt()
        scaled = (distance / self.cutoff).clamp(max=1.0)
        envelope = CUTOFF_FUNCTIONS[self.cutoff_function](scaled)
        of_species = [envelope * (neighbour_numbers == number) for number in self.numbers]

        eta, centre = vectors.new_tensor(self.radial).T
        radial = torch.exp(-eta * (distance[..., None] - centre) ** 2)
        parts = [torch.einsum("am,amr->ar", weight, radial) for weight in of_species]

        eta, centre = vectors.new_tensor(self.angular).T
        angular = torch.exp(-eta * (distance[..., None] - centre) ** 2)
        steps, to_order = self._monomials
        unit = (vectors / distance[..., None]).unbind(-1)
        monomials = [torch.ones_like(distance)]
        for parent, axis in steps:
            monomials.append(monomials[parent] * unit[axis])
        shape = torch.stack(monomials, dim=-1)
        weighted = [weight[..., None] * angular for weight in of_species]
        moments = [torch.bmm(weight.transpose(1, 2), shape) for weight in weighted]
        coefficients, at_one = (tensor.to(vectors) for tensor in self._expansion)
        for a in range(len(self.numbers)):
            for b in range(a, len(self.numbers)):
                contraction = (moments[a] * moments[b]) @ (coefficients @ to_order.to(vectors)).T
                if a == b:
                    contraction = contraction - weighted[a].square().sum(1)[..., None] * at_one
                # 2^(1-zeta) over unordered pairs: half of the ordered sum within an element, all of it between two.
                parts.append((contraction if a == b else 2.0 * contraction).flatten(1))
        return torch.cat(parts, dim=1)
