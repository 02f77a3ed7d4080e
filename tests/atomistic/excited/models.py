"""Hamiltonians of the tests."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from atomistic.excited import AdiabaticLabels, Hamiltonian, Symmetry, adiabatic_states
from atomistic.excited.models import LinearVibronicCoupling

REFLECTION = (Symmetry(np.eye(2), np.eye(2)), Symmetry(np.diag([1.0, -1.0]), np.diag([1.0, -1.0])))


@dataclass(frozen=True)
class ThreeStates:
    """The cone of linear vibronic coupling with a third state above it, coupled to both."""

    states: int = 3
    dimensions: int = 3

    def matrix(self, coordinates: Tensor) -> Tensor:
        two = LinearVibronicCoupling().matrix(coordinates[:, :2])
        z = coordinates[:, 2]
        third = torch.stack([0.2 * z + 0.1, 0.15 * coordinates[:, 0]], dim=1)
        rows = torch.cat([two + 0.5 * (z**2)[:, None, None] * torch.eye(2), third[:, None, :]], dim=1)
        last = torch.cat([third, (2.0 + 0.5 * z**2)[:, None]], dim=1)
        return torch.cat([rows, last[:, :, None]], dim=2)


@dataclass(frozen=True)
class LinearCrossing:
    """H11 = -H22 = a x, H12 = V: the model of Landau and Zener."""

    slope: float = 0.05
    coupling: float = 0.02
    states: int = 2
    dimensions: int = 1

    def matrix(self, coordinates: Tensor) -> Tensor:
        x = self.slope * coordinates[:, 0]
        off = torch.full_like(x, self.coupling)
        return torch.stack([torch.stack([x, off], dim=1), torch.stack([off, -x], dim=1)], dim=1)


def labels_of(hamiltonian: Hamiltonian, points: np.ndarray, *, couplings: bool = False) -> AdiabaticLabels:
    """Labels with the phases that the eigenvalue solver happens to give."""
    states = adiabatic_states(hamiltonian, points)
    return AdiabaticLabels(points, states.energies, states.gradients, states.interstate if couplings else None)
