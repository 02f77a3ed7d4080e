"""A quasi-harmonic crystal in closed form: data of a free energy psi(F, T) that no code under test has touched.

Bonds along the twelve <110> directions n, of stretch l = |F n|, with the Morse energy phi(l) = D (1 - exp(-a (l - 1)))^2, six modes a
cell of frequency omega_n^2 ~ 1 + g (l^2 - 1): classically

    psi = W + c T (1/6 sum_n ln omega_n - ln T/T0 + 1),    W = sum_n phi(l_n),    U = W + c T,

so that C11 = 2 C12 = 2 C44 at 0 K (Cauchy), and everything else follows by hand. P and the rest by automatic differentiation.
"""

import numpy as np
import torch
from torch.func import grad, vmap

from multiscale.data.dataset import StressStrainData

DEPTH, RANGE, SOFTENING, HEAT_CAPACITY = 8.0, 3.0, -1.8, 2.5e-3
NORMALS = torch.tensor(
    [[0, 1, 1], [0, 1, -1], [1, 0, 1], [1, 0, -1], [1, 1, 0], [1, -1, 0]], dtype=torch.float64
) / np.sqrt(2.0)


def stretches(F: torch.Tensor) -> torch.Tensor:
    return torch.linalg.vector_norm(NORMALS @ F.T, dim=1)


def cold_energy(F: torch.Tensor) -> torch.Tensor:
    return (DEPTH * (1.0 - torch.exp(-RANGE * (stretches(F) - 1.0))) ** 2).sum()


def vibrations(F: torch.Tensor) -> torch.Tensor:
    """1/6 sum_n ln omega_n, zero at F = I."""
    return 0.5 * torch.log(1.0 + SOFTENING * (stretches(F) ** 2 - 1.0)).mean()


def free_energy(F: torch.Tensor, T: torch.Tensor) -> torch.Tensor:
    """psi(F, T) less its value at F = I."""
    return cold_energy(F) + HEAT_CAPACITY * T * vibrations(F)


def stress(F: np.ndarray, temperature: float) -> np.ndarray:
    T = torch.full((len(F),), temperature, dtype=torch.float64)
    return np.asarray(vmap(grad(free_energy))(torch.tensor(F), T))


def entropy(F: np.ndarray) -> np.ndarray:
    """Relative to F = I at the same temperature."""
    return -HEAT_CAPACITY * np.asarray(vmap(vibrations)(torch.tensor(F)))


def internal_energy(F: np.ndarray, temperature: float) -> np.ndarray:
    return np.asarray(vmap(cold_energy)(torch.tensor(F))) + HEAT_CAPACITY * temperature


def quasi_harmonic_data(
    F: np.ndarray, temperature: float, *, energies: bool = False, noise: float = 0.0, seed: int = 0
) -> StressStrainData:
    """P, and W at 0 K; internal energies where asked for; P with errors of standard deviation `noise` (GPa), and stating it."""
    P = stress(F, temperature)
    disturbed = P + noise * np.random.default_rng(seed).normal(size=P.shape)
    return StressStrainData(
        deformation_gradient=F,
        energy=internal_energy(F, 0.0) if temperature == 0.0 else None,
        first_piola=disturbed,
        first_piola_error=np.full(P.shape, noise) if noise else None,
        internal_energy=internal_energy(F, temperature) if energies else None,
        temperature=temperature,
    )


def lattice_stretch(temperature: float) -> float:
    """The stretch at which the crystal is free of stress, by bisection."""
    low, high = 0.95, 1.05
    for _ in range(60):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if stress(middle * np.eye(3)[None], temperature)[0, 0, 0] < 0.0 else (low, middle)
    return middle
