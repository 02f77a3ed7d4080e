"""Cutoff functions f_c(x), x = r / r_c in [0, 1], which take an interaction smoothly to zero at the cutoff.

With an inner cutoff alpha r_c, up to which nothing is cut, x = (r - alpha r_c) / (r_c - alpha r_c) instead, and f_c = 1 below it.
"""

import math
from collections.abc import Callable
from typing import Final

import torch
from torch import Tensor


def cosine_cutoff(x: Tensor) -> Tensor:
    """f_c = (cos(pi x) + 1) / 2; once continuously differentiable at x = 1 (Behler 2011, eq. 4)."""
    return 0.5 * (torch.cos(math.pi * x) + 1.0)


def tanh_cutoff(x: Tensor) -> Tensor:
    """f_c = tanh^3(1 - x); twice continuously differentiable at x = 1 (Behler 2011, eq. 5)."""
    return torch.tanh(1.0 - x) ** 3


def normalised_tanh_cutoff(x: Tensor) -> Tensor:
    """f_c = tanh^3(1 - x) / tanh^3(1), so that f_c(0) = 1."""
    return tanh_cutoff(x) / math.tanh(1.0) ** 3


def exponential_cutoff(x: Tensor) -> Tensor:
    """f_c = exp(1 - 1 / (1 - x^2)), smooth to all orders at x = 1."""
    inside = x < 1.0
    return torch.where(inside, torch.exp(1.0 - 1.0 / torch.where(inside, 1.0 - x * x, 1.0)), 0.0)


def cubic_cutoff(x: Tensor) -> Tensor:
    """f_c = 1 - x^2 (3 - 2 x); once continuously differentiable."""
    return 1.0 - x**2 * (3.0 - 2.0 * x)


def polynomial_cutoff(x: Tensor) -> Tensor:
    """f_c = 1 - x^3 (10 - 15 x + 6 x^2); twice continuously differentiable, as a smooth tangent needs."""
    return 1.0 - x**3 * (10.0 - 15.0 * x + 6.0 * x * x)


def septic_cutoff(x: Tensor) -> Tensor:
    """f_c = 1 - x^4 (35 - 84 x + 70 x^2 - 20 x^3); three times continuously differentiable."""
    return 1.0 - x**4 * (35.0 - x * (84.0 - x * (70.0 - 20.0 * x)))


def nonic_cutoff(x: Tensor) -> Tensor:
    """f_c = 1 - x^5 (126 - 420 x + 540 x^2 - 315 x^3 + 70 x^4); four times continuously differentiable."""
    return 1.0 - x**5 * (126.0 - x * (420.0 - x * (540.0 - x * (315.0 - 70.0 * x))))


CUTOFF_FUNCTIONS: Final[dict[str, Callable[[Tensor], Tensor]]] = {
    "cosine": cosine_cutoff,
    "tanh3": tanh_cutoff,
    "normalised-tanh3": normalised_tanh_cutoff,
    "exponential": exponential_cutoff,
    "cubic": cubic_cutoff,
    "polynomial": polynomial_cutoff,
    "septic": septic_cutoff,
    "nonic": nonic_cutoff,
}

WITHOUT_INNER_CUTOFF: Final = frozenset({"tanh3", "normalised-tanh3"})
"""Those whose slope at x = 0 is not zero: an inner cutoff would put a kink there."""
