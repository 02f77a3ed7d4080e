"""Cutoff functions f_c(x), x = r / r_c, which take an interaction smoothly to zero at the cutoff."""

import math
from collections.abc import Callable

import torch
from torch import Tensor


def cosine_cutoff(x: Tensor) -> Tensor:
    """f_c = (cos(pi x) + 1) / 2; once continuously differentiable at x = 1 (Behler 2011, eq. 4)."""
    return 0.5 * (torch.cos(math.pi * x) + 1.0)


def tanh_cutoff(x: Tensor) -> Tensor:
    """f_c = tanh^3(1 - x); twice continuously differentiable at x = 1 (Behler 2011, eq. 5)."""
    return torch.tanh(1.0 - x) ** 3


def polynomial_cutoff(x: Tensor) -> Tensor:
    """f_c = 1 - x^3 (10 - 15 x + 6 x^2); twice continuously differentiable, as a smooth tangent needs."""
    return 1.0 - x**3 * (10.0 - 15.0 * x + 6.0 * x * x)


CUTOFF_FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "cosine": cosine_cutoff,
    "tanh3": tanh_cutoff,
    "polynomial": polynomial_cutoff,
}
