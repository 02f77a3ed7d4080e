r"""Model Hamiltonians whose answers are known: linear vibronic coupling, and Tully's three problems in one dimension.

*Linear vibronic coupling*, two states along a tuning mode x and a coupling mode y (Koppel, Domcke, Cederbaum, Adv.
Chem. Phys. 57 (1984) 59),

    H = (k_x x^2 + k_y y^2) / 2 + [[-D - kappa x,  lambda y], [lambda y,  D + kappa x]] ;

its surfaces meet in one point, x = -D / kappa, y = 0, as a cone.

*Tully* (J. Chem. Phys. 93 (1990) 1061), atomic units, mass 2000:

    1  simple   H11 = -H22 = A sgn(x) (1 - exp(-B |x|)),  H12 = C exp(-D x^2);   A 0.01, B 1.6, C 0.005, D 1
    2  dual     H11 = 0,  H22 = -A exp(-B x^2) + E0,  H12 = C exp(-D x^2);   A 0.1, B 0.28, E0 0.05, C 0.015, D 0.06
    3  extended H11 = -H22 = A,  H12 = B exp(C x), x < 0,  B (2 - exp(-C x)), x > 0;  A 6e-4, B 0.1, C 0.9
"""

from dataclasses import dataclass
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor

TULLY_MASS: Final = 2000.0


@dataclass(frozen=True)
class LinearVibronicCoupling:
    """Two states that meet in a cone at (-gap / tuning, 0)."""

    stiffness: tuple[float, float] = (1.0, 1.3)
    gap: float = 0.4
    tuning: float = 0.8
    coupling: float = 0.6

    states: int = 2
    dimensions: int = 2

    @property
    def intersection(self) -> tuple[float, float]:
        """Where the two surfaces meet."""
        return (-self.gap / self.tuning, 0.0)

    def matrix(self, coordinates: Float[Tensor, "points 2"]) -> Float[Tensor, "points 2 2"]:
        """H at each point."""
        x, y = coordinates.unbind(1)
        common = 0.5 * (self.stiffness[0] * x**2 + self.stiffness[1] * y**2)
        half = self.gap + self.tuning * x
        return _two_by_two(common - half, self.coupling * y, common + half)


@dataclass(frozen=True)
class SimpleAvoidedCrossing:
    """Tully's first problem."""

    states: int = 2
    dimensions: int = 1

    def matrix(self, coordinates: Float[Tensor, "points 1"]) -> Float[Tensor, "points 2 2"]:
        """H at each point."""
        x = coordinates[:, 0]
        diagonal = 0.01 * torch.sign(x) * -torch.expm1(-1.6 * x.abs())
        # sgn(x) has no derivative at 0, the product has: A B
        diagonal = torch.where(x == 0.0, 0.016 * x, diagonal)
        return _two_by_two(diagonal, 0.005 * torch.exp(-(x**2)), -diagonal)


@dataclass(frozen=True)
class DualAvoidedCrossing:
    """Tully's second problem."""

    states: int = 2
    dimensions: int = 1

    def matrix(self, coordinates: Float[Tensor, "points 1"]) -> Float[Tensor, "points 2 2"]:
        """H at each point."""
        x = coordinates[:, 0]
        upper = 0.05 - 0.1 * torch.exp(-0.28 * x**2)
        return _two_by_two(torch.zeros_like(x), 0.015 * torch.exp(-0.06 * x**2), upper)


@dataclass(frozen=True)
class ExtendedCoupling:
    """Tully's third problem."""

    states: int = 2
    dimensions: int = 1

    def matrix(self, coordinates: Float[Tensor, "points 1"]) -> Float[Tensor, "points 2 2"]:
        """H at each point."""
        x = coordinates[:, 0]
        # each side by its own formula, which has the slope B C at 0 as the other has
        negative, nothing = x < 0.0, torch.zeros_like(x)
        left = torch.exp(0.9 * torch.where(negative, x, nothing))
        right = 2.0 - torch.exp(-0.9 * torch.where(negative, nothing, x))
        diagonal = torch.full_like(x, 6e-4)
        return _two_by_two(diagonal, 0.1 * torch.where(negative, left, right), -diagonal)


TULLY: Final = {
    "simple avoided crossing": SimpleAvoidedCrossing(),
    "dual avoided crossing": DualAvoidedCrossing(),
    "extended coupling": ExtendedCoupling(),
}


def _two_by_two(first: Tensor, off: Tensor, second: Tensor) -> Tensor:
    return torch.stack([torch.stack([first, off], dim=-1), torch.stack([off, second], dim=-1)], dim=-2)
