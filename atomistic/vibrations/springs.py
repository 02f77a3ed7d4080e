r"""Atoms joined by springs: the potential whose lattice vibrations are known in closed form.

    E_i = 1/4 sum_m K (r_im - r_0)^2 over edges shorter than the cutoff.

A chain of period a with one atom (mass m) or two (masses m and M, r_0 = a / 2) has along its axis

    omega^2 = 4 K / m sin^2(q a / 2),
    omega^2 = K (1/m + 1/M) -+ K sqrt((1/m + 1/M)^2 - 4 sin^2(q a / 2) / (m M))

(Born and Huang 1954, sec. 5; Ashcroft and Mermin 1976, ch. 22), and nothing across it as long as the springs are at rest.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from ase import Atoms
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from atomistic.neighbours import NeighbourTable
from atomistic.vibrations.force_constants import terahertz

WIDTH = 20.0


@dataclass(frozen=True)
class Springs:
    """Springs between all atoms nearer than the cutoff.

    Attributes:
        stiffness: K, eV/A^2.
        length: r_0, Angstrom.
        cutoff: Angstrom.
    """

    stiffness: float
    length: float
    cutoff: float

    @property
    def device(self) -> torch.device:
        """Springs are computed on the CPU."""
        return torch.device("cpu")

    def check_elements(self, atoms: Atoms) -> None:
        """Every element will do."""

    def atomic_energies(self, table: NeighbourTable) -> Float[Tensor, "atoms"]:
        """Half of each spring's energy at either end, eV."""
        # padded edges have no direction, and no derivative of their length
        away = torch.where(table.mask[..., None], table.vectors, torch.ones_like(table.vectors))
        extension: Tensor = (away.norm(dim=-1) - self.length) * table.mask
        energies: Tensor = 0.25 * self.stiffness * extension.square().sum(1)
        return energies


def chain(springs: Springs, masses: Sequence[float]) -> Atoms:
    """One period of a chain along x, springs at rest; its neighbours are out of reach."""
    count = len(masses)
    positions = [[k * springs.length, 0.0, 0.0] for k in range(count)]
    return Atoms(
        f"H{count}",
        positions=positions,
        masses=list(masses),
        cell=[count * springs.length, WIDTH, WIDTH],
        pbc=True,
    )


def chain_frequencies(
    springs: Springs, masses: Sequence[float], wave_vectors: Float[ndarray, "n"]
) -> Float[ndarray, "n branches"]:
    """The closed form, THz, ascending; wave vectors q a / 2 pi along the chain.

    Raises:
        ValueError: for other than one or two masses.
    """
    given = np.asarray(masses, dtype=np.float64)
    sine = np.sin(np.pi * np.asarray(wave_vectors)) ** 2
    K = springs.stiffness
    if len(given) == 1:
        return terahertz(4.0 * K / given[0] * sine)[:, None]
    if len(given) != 2:
        raise ValueError(f"{len(given)} masses, expected one or two")
    both, product = (1.0 / given).sum(), given.prod()
    optical = K * (both + np.sqrt(both**2 - 4.0 * sine / product))
    # by the product of the two roots: their difference loses the acoustic one near q = 0
    acoustic = 4.0 * K**2 * sine / (product * optical)
    return terahertz(np.column_stack([acoustic, optical]))
