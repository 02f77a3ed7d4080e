r"""Real spherical harmonics of a unit vector, and the coefficients that couple three of them to a scalar.

Racah's normalisation: sum_m Y_lm(u) Y_lm(v) = P_l(u . v), so Y_l0 = P_l(z). With u = (x, y, z) and (x + iy)^m = C_m + i S_m,

    Y_l,+m = N_lm Q_lm(z) C_m,    Y_l,-m = N_lm Q_lm(z) S_m,    N_lm = sqrt((2 - delta_m0) (l - m)! / (l + m)!),
    Q_mm = (2m - 1)!!,   Q_{m+1,m} = (2m + 1) z Q_mm,   (l - m) Q_lm = (2l - 1) z Q_{l-1,m} - (l + m - 1) Q_{l-2,m},

where Q_lm (1 - z^2)^(m/2) is the associated Legendre function without the Condon-Shortley sign (Abramowitz and Stegun, ch. 8).
Component (l, m) stands at l^2 + l + m.
"""

import math
from functools import cache
from itertools import product

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor


def spherical_harmonics(unit: Float[Tensor, "*shape 3"], degree: int) -> Float[Tensor, "*shape components"]:
    """All Y_lm of unit vectors for l = 0 ... degree, (degree + 1)^2 components; polynomials, differentiable."""
    x, y, z = unit.unbind(-1)
    cosine, sine = [torch.ones_like(x)], [torch.zeros_like(x)]
    for _ in range(degree):
        cosine.append(x * cosine[-1] - y * sine[-1])
        sine.append(x * sine[-1] + y * cosine[-2])
    values: list[Tensor] = [torch.empty(0)] * (degree + 1) ** 2
    for m in range(degree + 1):
        before, legendre = torch.zeros_like(z), torch.full_like(z, math.prod(range(1, 2 * m, 2)))
        for order in range(m, degree + 1):
            scale = math.sqrt((2 - (m == 0)) * math.factorial(order - m) / math.factorial(order + m))
            centre = order * order + order
            values[centre + m] = scale * legendre * cosine[m]
            if m:
                values[centre - m] = scale * legendre * sine[m]
            following = ((2 * order + 1) * z * legendre - (order + m) * before) / (order + 1 - m)
            before, legendre = legendre, following
    return torch.stack(values, dim=-1)


@cache
def coupling(first: int, second: int, third: int) -> Float[ndarray, "m1 m2 m3"]:
    """(1/4pi) int Y_{l1 m1} Y_{l2 m2} Y_{l3 m3} dOmega, exact: the coefficients of a scalar of three harmonics.

    Zero unless l1 + l2 + l3 is even and each l is at most the sum of the others.
    """
    unit, shares = quadrature(3 * max(first, second, third))
    harmonics = spherical_harmonics(unit, max(first, second, third)).numpy()
    a, b, c = (harmonics[:, order * order : (order + 1) ** 2] for order in (first, second, third))
    value = np.einsum("p,pa,pb,pc->abc", shares, a, b, c)
    return np.where(np.abs(value) < 1e-14, 0.0, value)


def quadrature(degree: int) -> tuple[Float[Tensor, "points 3"], Float[ndarray, "points"]]:
    """Unit vectors and weights (of sum 1) that average polynomials up to `degree` over the sphere exactly: Gauss-Legendre by trapezium."""
    nodes, weights = np.polynomial.legendre.leggauss(degree // 2 + 1)
    angles = 2.0 * math.pi * np.arange(degree + 1) / (degree + 1)
    points = np.array(
        [(math.sqrt(1 - z * z) * math.cos(a), math.sqrt(1 - z * z) * math.sin(a), z) for z, a in product(nodes, angles)]
    )
    return torch.from_numpy(points), np.repeat(weights, len(angles)) / (2.0 * len(angles))
