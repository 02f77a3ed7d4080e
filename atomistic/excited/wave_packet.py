r"""Exact quantum dynamics of coupled states in one dimension, on a grid: what surface hopping is measured against.

i psi' = (-1/(2 M) d^2/dx^2 + H(x)) psi, hbar = 1, by the split operator (Feit, Fleck, Steiger, J. Comput. Phys. 47
(1982) 412)

    psi(t + dt) = exp(-i H dt/2) F^-1 exp(-i k^2 dt / (2 M)) F exp(-i H dt/2) psi(t) ,

unitary and of second order; exp of the matrix H at each point by its eigenvectors. Populations are those of the
adiabatic states, V^T psi.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Complex, Float

from atomistic.excited.hamiltonian import Hamiltonian


class GridTooSmall(RuntimeError):
    """The packet reached the edge of the grid, or holds momenta that the grid cannot carry."""


@dataclass(frozen=True)
class WavePacket:
    """A packet followed in time.

    Attributes:
        grid: x.
        times: at which populations are kept.
        populations: of the adiabatic states.
        end: psi in the end, in the diabatic basis.
        channels: reflected (first row, x < 0) and transmitted parts of each adiabatic state in the end.
    """

    grid: Float[np.ndarray, "points"]
    times: Float[np.ndarray, "times"]
    populations: Float[np.ndarray, "times states"]
    end: Complex[np.ndarray, "points states"]
    channels: Float[np.ndarray, "2 states"]


def propagate(
    hamiltonian: Hamiltonian,
    *,
    position: float,
    momentum: float,
    width: float,
    mass: float,
    timestep: float,
    steps: int,
    state: int = 0,
    edge: float = 40.0,
    points: int = 2048,
    every: int = 10,
) -> WavePacket:
    """Propagate a Gaussian packet exp(-(x - position)^2 / (4 width^2) + i momentum x) that starts in an adiabatic state.

    Args:
        width: standard deviation of the density.
        edge: of the grid, -edge ... edge.
        every: steps between the populations kept.

    Raises:
        ValueError: for a Hamiltonian of more than one dimension, or a grid too coarse for the momentum.
        GridTooSmall: where more than 1e-6 of the packet is within a tenth of the edge in the end, or left in momenta
        near the largest of the grid.
    """
    if hamiltonian.dimensions != 1:
        raise ValueError(f"a Hamiltonian of {hamiltonian.dimensions} dimensions, expected one")
    grid = np.linspace(-edge, edge, points, endpoint=False)
    spacing = grid[1] - grid[0]
    k = 2.0 * np.pi * np.fft.fftfreq(points, spacing)
    if abs(momentum) + 2.0 / width > 0.7 * np.abs(k).max():
        raise ValueError(
            f"momentum {momentum:g} on a grid that carries {np.abs(k).max():.3g}: take more points or a smaller edge"
        )
    energies, vectors = np.linalg.eigh(hamiltonian.matrix(torch.from_numpy(grid[:, None])).detach().numpy())
    half = np.einsum("pki,pi,pli->pkl", vectors, np.exp(-0.5j * timestep * energies), vectors)
    kinetic = np.exp(-0.5j * timestep * k**2 / mass)[:, None]
    start = np.exp(-((grid - position) ** 2) / (4.0 * width**2) + 1j * momentum * grid)
    psi = vectors[:, :, state] * start[:, None]
    psi = _continuous(psi, vectors[:, :, state])
    psi /= np.sqrt(np.sum(np.abs(psi) ** 2) * spacing)
    times, populations = [0.0], [_populations(psi, vectors, spacing).sum(0)]
    for step in range(1, steps + 1):
        psi = np.einsum("pkl,pl->pk", half, psi)
        psi = np.fft.ifft(kinetic * np.fft.fft(psi, axis=0), axis=0)
        psi = np.einsum("pkl,pl->pk", half, psi)
        if step % every == 0 or step == steps:
            times.append(step * timestep)
            populations.append(_populations(psi, vectors, spacing).sum(0))
    density = _populations(psi, vectors, spacing)
    outside = float(density[np.abs(grid) > 0.9 * edge].sum())
    spectrum = np.abs(np.fft.fft(psi, axis=0)) ** 2
    fast = float(spectrum[np.abs(k) > 0.9 * np.abs(k).max()].sum() / spectrum.sum())
    if outside > 1e-6 or fast > 1e-6:
        raise GridTooSmall(
            f"{outside:.1e} of the packet is near the edges +-{edge:g} and {fast:.1e} near the largest momentum: take a "
            f"wider grid, more points or fewer steps"
        )
    sides = np.stack([density[grid < 0.0].sum(0), density[grid >= 0.0].sum(0)])
    return WavePacket(grid, np.array(times), np.array(populations), psi, sides)


def _continuous(psi: np.ndarray, vectors: np.ndarray) -> Complex[np.ndarray, "points states"]:
    """The packet with eigenvectors whose arbitrary signs do not jump from point to point."""
    overlaps = np.einsum("pk,pk->p", vectors[1:], vectors[:-1])
    signs = np.concatenate([[1.0], np.cumprod(np.where(overlaps < 0.0, -1.0, 1.0))])
    followed: np.ndarray = signs[:, None] * psi
    return followed


def _populations(psi: np.ndarray, vectors: np.ndarray, spacing: float) -> Float[np.ndarray, "points states"]:
    density: np.ndarray = np.abs(np.einsum("pki,pk->pi", vectors, psi)) ** 2 * spacing
    return density
