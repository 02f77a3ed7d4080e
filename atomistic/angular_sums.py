r"""Sums over pairs of neighbours, S = sum_{j<k} w_jk (1 + lambda cos theta_jk)^zeta, by pairs or by moments.

By pairs it is the sum as written; by moments, where w_jk = a_j b_k and zeta is a small integer, it is never formed. With the unit
vectors u_j and the moments M_p[a] = sum_j a_j u_j (x) ... (x) u_j (p factors),

    sum_{j,k} cos^p(theta_jk) a_j b_k = M_p[a] . M_p[b],        (1 + lambda c)^zeta = sum_p binomial(zeta, p) lambda^p c^p,

so the cost grows with the number of neighbours, not its square; the terms j = k, a_j b_j at c = 1, are subtracted. A moment of order p
has (p+1)(p+2)/2 different components x^a y^b z^c, each standing p!/(a! b! c!) times in M_p . M_p.
"""

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import combinations_with_replacement
from typing import Final

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.utils.checkpoint import checkpoint

GROUP_NUMBERS: Final = 2**24
"""Numbers that one group of atoms may hold at a time in `sums_by_pairs`."""


@lru_cache(maxsize=16)
def monomials(degree: int) -> tuple[tuple[tuple[int, int], ...], Tensor]:
    """How to build the monomials of a unit vector, and the matrix from products of moments to their orders.

    Monomial n > 0 is (parent, axis): monomial `parent` times component `axis`. Row p of the matrix holds p!/(a! b! c!).
    """
    powers: list[tuple[int, ...]] = [(0, 0, 0)]
    steps: list[tuple[int, int]] = []
    for order in range(1, degree + 1):
        for axes in combinations_with_replacement(range(3), order):
            power = tuple(axes.count(axis) for axis in range(3))
            parent = tuple(count - (axis == axes[-1]) for axis, count in enumerate(power))
            steps.append((powers.index(parent), axes[-1]))
            powers.append(power)
    to_order = torch.zeros(degree + 1, len(powers), dtype=torch.float64)
    for n, power in enumerate(powers):
        order = sum(power)
        to_order[order, n] = math.factorial(order) / math.prod(math.factorial(count) for count in power)
    return tuple(steps), to_order


def sums_by_moments(
    unit: Float[Tensor, "atoms neighbours 3"],
    weights: Float[Tensor, "atoms neighbours columns"],
    pairs: Sequence[tuple[int, int]],
    exponents: Sequence[tuple[int, float]],
) -> Float[Tensor, "atoms functions"]:
    """For each function the columns (a, b) and (zeta, lambda): the sum over unordered pairs j, k of a_j b_k [+ b_j a_k if a, b differ]."""
    degree = max(zeta for zeta, _ in exponents)
    steps, to_order = monomials(degree)
    components = unit.unbind(-1)
    shape = [torch.ones_like(components[0])]
    for parent, axis in steps:
        shape.append(shape[parent] * components[axis])
    moments = torch.bmm(weights.transpose(1, 2), torch.stack(shape, dim=-1))

    distinct = sorted(set(pairs))
    first, second = (torch.tensor(column, device=unit.device) for column in zip(*distinct, strict=True))
    orders = (moments.index_select(1, first) * moments.index_select(1, second)) @ to_order.to(moments).T
    with_itself = (weights.index_select(2, first) * weights.index_select(2, second)).sum(1)
    # An element's pairs stand twice in the ordered sum; those of two elements once, without terms j = k.
    orders = (orders - with_itself[..., None]) * orders.new_tensor([0.5 if a == b else 1.0 for a, b in distinct])[
        :, None
    ]
    expansion = [[math.comb(zeta, p) * sign**p for p in range(degree + 1)] for zeta, sign in exponents]
    of_function = torch.tensor([distinct.index(pair) for pair in pairs], device=unit.device)
    return (orders.index_select(1, of_function) * orders.new_tensor(expansion)).sum(-1)


def sums_by_pairs(
    vectors: Float[Tensor, "atoms neighbours 3"],
    weights: Float[Tensor, "atoms neighbours columns"],
    pairs: Sequence[tuple[int, int]],
    exponents: Sequence[tuple[float, float]],
    third: Sequence[int],
    third_weights: Callable[[Float[Tensor, "*shape"]], Float[Tensor, "*shape shapes"]],
) -> Float[Tensor, "atoms functions"]:
    """As `sums_by_moments` for any zeta >= 1, and with a factor h(r_jk): column `third` of `third_weights(r_jk)`, none where negative.

    Memory grows with neighbours squared: atoms are taken in groups, whose intermediate values are computed again for a derivative.
    """
    distinct = sorted(set(zip(pairs, third, strict=True)))
    angles = sorted(set(exponents))
    j, k = torch.triu_indices(vectors.shape[1], vectors.shape[1], 1, device=vectors.device)
    inside = weights.detach().abs().sum(-1) > 0.0

    def group(
        vectors: Float[Tensor, "atoms neighbours 3"],
        weights: Float[Tensor, "atoms neighbours columns"],
        inside: Bool[Tensor, "atoms neighbours"],
    ) -> Float[Tensor, "atoms functions"]:
        square = vectors.square().sum(-1)
        unit = vectors / square.sqrt()[..., None]
        both = inside.index_select(1, j) & inside.index_select(1, k)
        cosine = torch.bmm(unit, unit.transpose(1, 2)).flatten(1).index_select(1, j * vectors.shape[1] + k)
        # Pairs that do not count may lie on top of each other, where the distance has no derivative.
        cosine = torch.where(both, cosine, 0.0)
        opposite = (vectors.index_select(1, j) - vectors.index_select(1, k)).square().sum(-1)
        closing = third_weights(torch.where(both, opposite, 1.0).sqrt()) if max(third) >= 0 else None
        left, right = (weights.index_select(1, one).unbind(-1) for one in (j, k))
        products = []
        for (a, b), shape in distinct:
            product = left[a] * right[b] if a == b else left[a] * right[b] + left[b] * right[a]
            products.append(product if shape < 0 or closing is None else product * closing[..., shape])
        powers = []
        for zeta, sign in angles:
            base = 1.0 + sign * cosine
            # A float exponent has no value where rounding takes the base below zero; an integer one is a product.
            powers.append(base ** int(zeta) if zeta == int(zeta) else base.clamp(min=0.0) ** zeta)
        return torch.bmm(torch.stack(products, dim=1), torch.stack(powers, dim=2)).flatten(1)

    wanted = [
        distinct.index(one) * len(angles) + angles.index(other)
        for one, other in zip(zip(pairs, third, strict=True), exponents, strict=True)
    ]
    size = max(1, GROUP_NUMBERS // max(1, len(j) * (len(distinct) + len(angles) + 12)))
    if size >= len(vectors):
        sums = group(vectors, weights, inside)
    else:
        parts = zip(vectors.split(size), weights.split(size), inside.split(size), strict=True)
        sums = torch.cat([checkpoint(group, *part, use_reentrant=False) for part in parts])
    return sums.index_select(1, torch.tensor(wanted, device=vectors.device))
