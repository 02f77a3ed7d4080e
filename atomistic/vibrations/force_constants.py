r"""Force constants of a crystal: second derivatives of its energy by the positions, between all pairs of atoms that feel each other.

    Phi_na,n'b(R) = d2E / dx_na(0) dx_n'b(R),
    D_na,n'b(q) = (m_n m_n')^-1/2 sum_R Phi_na,n'b(R) exp(i q . (x_n'(R) - x_n(0))),        D(q) e = omega^2 e

with all lattice translations R (Born and Huang 1954, sec. 26; Gonze and Lee, Phys. Rev. B 55 (1997) 10355). An energy of atoms
that see their neighbours within r_c couples neighbours of neighbours: Phi reaches to 2 r_c, however many layers the network has. A
supercell must not let an atom meet two images of another within that reach, so its shortest vector is to be longer than 4 r_c. The exact
route needs none: derivatives by the edges of one primitive cell hold all pairs, each with its own R.
"""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from ase import Atoms, units
from ase.geometry import minkowski_reduce
from jaxtyping import Complex, Float, Int
from numpy import ndarray
from numpy.typing import ArrayLike

from atomistic.crystal import check_crystal

SUM_TOLERANCE: Final = 1e-4
"""How far the sums over pairs may be from zero, as a share of the largest block: differences of forces keep it to round-off."""

IMAGES: Final = np.stack(np.meshgrid(*[np.arange(-2, 3)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)


class AcousticSumRuleViolated(ValueError):
    """Force constants by which a crystal that moves as a whole pulls itself back."""


class InvalidForceConstants(ValueError):
    """Arrays of force constants of the wrong shape, or with numbers that are not finite."""


@dataclass(frozen=True, eq=False)
class ForceConstants:
    """Phi of a crystal, without supercell: pairs of an atom in the cell and one anywhere.

    Attributes:
        crystal: the atoms at rest, masses included; the primitive cell gives the usual branches.
        first: atom in the cell, for each pair.
        second: the other atom, up to a lattice translation.
        shifts: that translation, in cell vectors.
        blocks: Phi, eV/A^2.

    Raises:
        InvalidForceConstants: for shapes that do not fit together, and NaN.
        AcousticSumRuleViolated: where sum_n'R Phi_nn'(R) is not zero.
    """

    crystal: Atoms
    first: Int[ndarray, "pairs"]
    second: Int[ndarray, "pairs"]
    shifts: Int[ndarray, "pairs 3"]
    blocks: Float[ndarray, "pairs 3 3"]

    def __post_init__(self) -> None:
        check_crystal(self.crystal)
        if not np.isfinite(self.blocks).all():
            raise InvalidForceConstants("force constants contain NaN or infinity")
        pairs = len(self.first)
        shapes = {"second": self.second.shape, "shifts": self.shifts.shape, "blocks": self.blocks.shape}
        for (name, shape), expected in zip(shapes.items(), ((pairs,), (pairs, 3), (pairs, 3, 3)), strict=True):
            if shape != expected:
                raise InvalidForceConstants(f"{name} has shape {shape}, expected {expected}")
        largest = float(np.abs(self.blocks).max(initial=0.0))
        if self.acoustic_sum > SUM_TOLERANCE * largest:
            raise AcousticSumRuleViolated(
                f"the force constants of an atom sum to {self.acoustic_sum:.3g} eV/A^2, expected zero within {SUM_TOLERANCE:g} of the "
                f"largest, {largest:.3g}: the energy changes when the crystal moves as a "
                "whole; the forces are noisy, or something holds the atoms"
            )

    @cached_property
    def vectors(self) -> Float[ndarray, "pairs 3"]:
        """From the first to the second atom, Angstrom."""
        x = self.crystal.positions
        return np.asarray(x[self.second] - x[self.first] + self.shifts @ self.crystal.cell.array)

    @property
    def reach(self) -> float:
        """Distance (Angstrom) of the farthest pair that feels each other."""
        return float(np.linalg.norm(self.vectors, axis=1).max(initial=0.0))

    @property
    def acoustic_sum(self) -> float:
        """Largest component of sum_n'R Phi_nn'(R), eV/A^2; zero but for round-off."""
        total = np.zeros((len(self.crystal), 3, 3))
        np.add.at(total, self.first, self.blocks)
        return float(np.abs(total).max())

    def dynamical_matrices(self, wave_vectors: ArrayLike) -> Complex[ndarray, "wave_vectors modes modes"]:
        """D(q), eV/A^2/amu, Hermitian; wave vectors in units of the reciprocal lattice vectors.

        Raises:
            ValueError: where the wave vectors have another shape than (n, 3), or are not finite.
        """
        q = np.asarray(wave_vectors, dtype=np.float64)
        if q.ndim != 2 or q.shape[1] != 3 or not np.isfinite(q).all():
            raise ValueError(f"wave vectors have shape {q.shape}, expected (n, 3) of finite numbers")
        # q . x without cell vectors, so that phases of lattice translations are as exact as they can be
        scaled = np.linalg.solve(self.crystal.cell.array.T, self.vectors.T)
        phases = np.exp(2j * np.pi * (q @ scaled))
        size = len(self.crystal)
        folded = np.zeros((len(q), size, 3, size, 3), dtype=complex)
        for i, j in sorted(set(zip(self.first.tolist(), self.second.tolist(), strict=True))):
            own = (self.first == i) & (self.second == j)
            folded[:, i, :, j, :] = (phases[:, own] @ self.blocks[own].reshape(-1, 9)).reshape(-1, 3, 3)
        scale = np.repeat(self.crystal.get_masses() ** -0.5, 3)
        D = scale[:, None] * folded.reshape(len(q), 3 * size, 3 * size) * scale
        return np.asarray(0.5 * (D + D.conj().transpose(0, 2, 1)))

    def frequencies(self, wave_vectors: ArrayLike = ((0.0, 0.0, 0.0),)) -> Float[ndarray, "wave_vectors modes"]:
        """omega / 2 pi in THz, ascending, 3N at each wave vector; imaginary ones are given as negative numbers.

        Raises:
            ValueError: as by `dynamical_matrices`.
        """
        return terahertz(np.linalg.eigvalsh(self.dynamical_matrices(np.asarray(wave_vectors))))


THZ_OF_ROOT: Final = units.fs * 1000.0 / (2.0 * math.pi)
"""Frequency in THz of omega = 1 (eV/A^2/amu)^1/2, which is one over ASE's unit of time."""


def terahertz(squares: Float[ndarray, "..."]) -> Float[ndarray, "..."]:
    """Frequencies of omega^2 in eV/A^2/amu; negative where omega is imaginary."""
    return np.asarray(np.sign(squares) * np.sqrt(np.abs(squares)) * THZ_OF_ROOT)


def shortest_vector(cell: Float[ndarray, "3 3"]) -> float:
    """Length of the shortest vector of a lattice, which is how far an atom is from its nearest image."""
    reduced, _ = minkowski_reduce(cell)
    return float(np.linalg.norm(reduced, axis=1).min())


def needed_repeats(cell: Float[ndarray, "3 3"], reach: float) -> tuple[int, int, int]:
    """Least repetitions of a cell, alike along all vectors, so that no pair within `reach` (Angstrom) has a second image there.

    Two images of an atom, both within reach, are at most twice the reach apart.
    """
    lengths = np.linalg.norm(cell, axis=1)
    scale = 2.0 * reach
    while True:
        repeats = np.maximum(1, np.ceil(scale / lengths - 1e-9)).astype(int)
        if shortest_vector(repeats[:, None] * cell) > 2.0 * reach - 1e-6:
            return int(repeats[0]), int(repeats[1]), int(repeats[2])
        scale += 0.5 * float(lengths.min())


def from_supercell(
    crystal: Atoms,
    repeats: tuple[int, int, int],
    second: Int[ndarray, "supercell"],
    shifts: Int[ndarray, "supercell 3"],
    blocks: Float[ndarray, "atoms supercell 3 3"],
    *,
    reach: float = math.inf,
) -> ForceConstants:
    """Force constants of a periodic supercell laid out over the nearest images of its atoms; images equally near share equally.

    Exact where the supercell has `needed_repeats`, otherwise exact at the wave vectors that fit into it.

    Args:
        crystal: the cell that was repeated.
        repeats: how often along each vector.
        second: the atom of `crystal` that each atom of the supercell repeats.
        shifts: by which translation, in cell vectors.
        blocks: second derivatives by each atom of the cell and each of the supercell, eV/A^2.
        reach: distance (Angstrom) beyond which there is nothing but round-off, to be left out.
    """
    cell = crystal.cell.array
    # images of a reduced supercell: the nearest is then among the next two along each vector
    reduced, _ = minkowski_reduce(np.array(repeats)[:, None] * cell)
    translations = np.rint(IMAGES @ reduced @ np.linalg.inv(cell)).astype(np.int64)
    atoms, far, images, values = [], [], [], []
    for n in range(len(crystal)):
        origin = crystal.positions[second] - crystal.positions[n] + shifts @ cell
        # into the reduced supercell around atom n first
        nearest = np.rint(np.rint(origin @ np.linalg.inv(reduced)) @ reduced @ np.linalg.inv(cell)).astype(np.int64)
        candidates = (shifts - nearest)[:, None] + translations
        distances = np.linalg.norm(origin[:, None] + (candidates - shifts[:, None]) @ cell, axis=-1)
        nearest_distance = distances.min(axis=1, keepdims=True)
        chosen = (distances < nearest_distance + 1e-5) & (nearest_distance <= reach)
        place, image = np.nonzero(chosen)
        atoms.append(np.full(len(place), n))
        far.append(second[place])
        images.append(candidates[place, image])
        values.append(blocks[n, place] / chosen.sum(axis=1)[place, None, None])
    return merged(crystal, np.concatenate(atoms), np.concatenate(far), np.concatenate(images), np.concatenate(values))


def merged(
    crystal: Atoms,
    first: Int[ndarray, "contributions"],
    second: Int[ndarray, "contributions"],
    shifts: Int[ndarray, "contributions 3"],
    blocks: Float[ndarray, "contributions 3 3"],
) -> ForceConstants:
    """Force constants from any number of contributions to each pair; pairs that do not feel each other are left out."""
    keys, pair = np.unique(np.column_stack([first, second, shifts]), axis=0, return_inverse=True)
    total = np.zeros((len(keys), 3, 3))
    np.add.at(total, pair.ravel(), blocks)
    felt = np.abs(total).max(axis=(1, 2)) > 0.0
    keys, total = keys[felt], total[felt]
    return ForceConstants(crystal.copy(), keys[:, 0], keys[:, 1], keys[:, 2:], total)
