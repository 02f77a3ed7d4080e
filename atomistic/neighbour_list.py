r"""Neighbour lists with a skin, right for atoms that move and a cell that deforms; what the compiled kernels work on.

A list holds, for each atom, all atoms and periodic images within r_c + s. Images are atoms of their own ("ghosts"), each stored once; their
positions follow from their owners' and the cell. A list made at positions x0 and cell H0 (rows) serves positions x and cell H as long as
no pair that it lacks can have come within r_c. Let D be the deformation of the lattice, H = H0 D along the periodic vectors (the least
change of the identity that does it), and u_i = x_i - x0_i D. A pair at r0 then stands at

    r = r0 D + u_j - u_i,     so  |r0| <= (|r| + |u_j - u_i|) / sigma_min(D) <= (|r| + 2 max_i |u_i - c|) / sigma_min(D)

for any c (the middle of the u is taken: a crystal that drifts needs no new list). So all pairs with |r| < r_c are in the list while

    r_c + 2 max_i |u_i - c|  <=  sigma_min(D) (r_c + s),

which is exact in D: strains and rotations of any size are allowed.
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from ase import Atoms
from jaxtyping import Float, Int, Int32
from numpy import ndarray
from vesin import NeighborList

CLOSEST: Final = 0.1
"""Distance (Angstrom) below which two atoms are on top of each other; the kernels refuse them (environment.h)."""

DENSEST: Final = 2.0
"""Atoms in a cubic Angstrom beyond which a structure is refused: ten times diamond's density."""


class InvalidStructure(ValueError):
    """A structure for which no energy can be computed: positions that are not numbers, a flat cell, atoms on top of each other."""


@dataclass(frozen=True)
class NeighbourRows:
    """Neighbours of every atom, in compressed rows.

    Attributes:
        first: begin of each atom's row; one more at the end.
        neighbours: indices of atoms; those from the number of atoms on are ghosts.
        owner: the atom that each atom or ghost is an image of.
        shifts: of the ghosts, whole numbers of the three cell vectors.
    """

    first: Int[ndarray, "rows"]
    neighbours: Int32[ndarray, "neighbours"]
    owner: Int32[ndarray, "all"]
    shifts: Float[ndarray, "ghosts 3"]


def neighbour_rows(atoms: Atoms, cutoff: float, *, threads: int = 1) -> NeighbourRows:
    """All neighbours within `cutoff` (Angstrom), any cell and any periodicity.

    Raises:
        InvalidStructure: positions or cell are not finite, periodic cell vectors span no volume, or an atom has more neighbours than
            matter can (a wrong unit of length?).
    """
    check_structure(atoms, cutoff)
    lists = NeighborList(cutoff=cutoff, full_list=True, n_threads=threads)  # owns the arrays: must outlive them
    first, second, shifts = lists.compute(
        points=np.ascontiguousarray(atoms.positions),
        box=np.ascontiguousarray(atoms.cell.array),
        periodic=[bool(p) for p in atoms.pbc],
        quantities="ijS",
        copy=False,
    )
    count, pairs = len(atoms), len(first)
    # numpy sorts integers of 16 bits by radix, in linear time
    order = np.argsort(first.astype(np.uint16 if count <= 2**16 else np.int64), kind="stable")
    lengths = np.bincount(first, minlength=count) if pairs else np.zeros(count, np.int64)
    most = int(lengths.max(initial=0))
    if most > 64 + DENSEST * 4.0 / 3.0 * np.pi * cutoff**3:
        raise InvalidStructure(
            f"atom {int(lengths.argmax())} has {most} neighbours within {cutoff:g} A, more than {DENSEST:g} atoms/A^3: are the lengths "
            "in Angstrom?"
        )
    neighbours = second.astype(np.int32)
    ghostly = np.flatnonzero(shifts.any(axis=1))
    owner, image_shifts = second[:0].astype(np.int32), np.zeros((0, 3))
    if len(ghostly):
        images = shifts[ghostly]
        low = images.min(axis=0)
        spans = images.max(axis=0) - low + 1
        code = (images - low).astype(np.int64) @ np.array([spans[1] * spans[2], spans[2], 1], dtype=np.int64)
        code += second[ghostly].astype(np.int64) * int(spans.prod(dtype=np.int64))
        _, where, ghost = np.unique(code, return_index=True, return_inverse=True)
        neighbours[ghostly] = count + ghost
        owner, image_shifts = second[ghostly[where]].astype(np.int32), images[where].astype(np.float64)
    return NeighbourRows(
        first=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        neighbours=neighbours[order],
        owner=np.concatenate([np.arange(count, dtype=np.int32), owner]),
        shifts=image_shifts,
    )


def check_structure(atoms: Atoms, cutoff: float) -> None:
    """Raises InvalidStructure where a list of neighbours would be meaningless or would not fit into memory."""
    if not len(atoms):
        raise InvalidStructure("the structure has no atoms")
    cell, periodic = atoms.cell.array, np.asarray(atoms.pbc, dtype=bool)
    if not (np.isfinite(atoms.positions).all() and np.isfinite(cell).all()):
        raise InvalidStructure(
            "positions or cell contain NaN or infinity; the simulation may have blown up: use a smaller time step"
        )
    lattice = cell[periodic]
    if len(lattice) and not np.linalg.svd(lattice, compute_uv=False)[-1] > 1e-6:
        raise InvalidStructure(
            f"the periodic cell vectors {lattice.tolist()} span no volume; set the cell, or pbc to False"
        )
    if periodic.all():
        volume = abs(np.linalg.det(cell))
    elif periodic.any():
        return
    else:
        volume = float(np.prod(np.ptp(atoms.positions, axis=0) + 2.0 * cutoff))
    if len(atoms) > DENSEST * volume:
        raise InvalidStructure(
            f"{len(atoms)} atoms in {volume:.3g} A^3 are more than {DENSEST:g} atoms/A^3: are the lengths in Angstrom?"
        )


def overlap(neighbours: NeighbourRows, positions: Float[ndarray, "all 3"], place: int) -> InvalidStructure:
    """The error for the pair at a place of the list whose distance is below `CLOSEST`."""
    i = int(np.searchsorted(neighbours.first, place, side="right")) - 1
    j = int(neighbours.neighbours[place])
    distance = float(np.linalg.norm(positions[j] - positions[i]))
    image = " (a periodic image)" if j >= len(positions) - len(neighbours.shifts) else ""
    return InvalidStructure(
        f"atoms {i} and {int(neighbours.owner[j])}{image} are {distance:.3g} A apart, expected at least {CLOSEST:g} A; the structure is "
        "wrong or the simulation has blown up"
    )


class NeighbourList:
    """A list with a skin that is renewed when it has to be.

    Attributes:
        cutoff: r_c, Angstrom.
        skin: s, Angstrom.
        builds: how often the list was made.
    """

    def __init__(self, cutoff: float, skin: float = 0.7, *, threads: int = 1) -> None:
        if not (cutoff > 0.0 and skin >= 0.0):
            raise ValueError(f"cutoff = {cutoff} A and skin = {skin} A, expected cutoff > 0 and skin >= 0")
        self.cutoff, self.skin, self.threads = float(cutoff), float(skin), threads
        self.builds = 0
        self._built: tuple[ndarray, ndarray] | None = None  # positions and periodicity

    def update(self, atoms: Atoms) -> tuple[NeighbourRows, Float[ndarray, "all 3"]]:
        """Rows that hold all neighbours within the cutoff, and the positions of atoms and ghosts (valid until the next call).

        Raises:
            InvalidStructure: where the structure allows no list.
        """
        if self._built is None or not self._holds(atoms, *self._built):
            self._built = None
            self._rows = neighbour_rows(atoms, self.cutoff + self.skin, threads=self.threads)
            self._lattice = atoms.cell.array[np.asarray(atoms.pbc, dtype=bool)]
            self._inverse = np.linalg.pinv(self._lattice)
            self._owners = self._rows.owner[len(atoms) :]
            self._positions = np.empty((len(self._rows.owner), 3))
            self._offset_cell: ndarray | None = None
            self._built = (atoms.positions.copy(), atoms.pbc.copy())
            self.builds += 1
        count = len(atoms)
        self._positions[:count] = atoms.positions
        if len(self._owners):
            np.take(atoms.positions, self._owners, axis=0, out=self._positions[count:], mode="clip")
            if self._offset_cell is None or (atoms.cell.array != self._offset_cell).any():
                self._offset_cell = atoms.cell.array.copy()
                self._offsets = self._rows.shifts @ self._offset_cell
            self._positions[count:] += self._offsets
        return self._rows, self._positions

    def _holds(self, atoms: Atoms, positions: ndarray, periodic: ndarray) -> bool:
        """Whether the bound of the module's docstring holds."""
        if len(atoms) != len(positions) or (atoms.pbc != periodic).any():
            return False
        stretch = 1.0
        lattice = atoms.cell.array[periodic]
        if (lattice != self._lattice).any():
            D = np.eye(3) + self._inverse @ (lattice - self._lattice)
            if not np.isfinite(D).all():
                return False
            positions, stretch = positions @ D, math.sqrt(max(0.0, np.linalg.eigvalsh(D.T @ D)[0]))
        # a little less, so that the round-off of distances cannot matter; a NaN renews the list, which then refuses it
        reach = 0.5 * (stretch * (self.cutoff + self.skin) * (1.0 - 1e-12) - self.cutoff)
        moved = atoms.positions - positions
        distance = furthest(moved)
        if distance <= reach or (distance == 0.0 and stretch == 1.0):
            return True
        return furthest(moved - 0.5 * (moved.max(axis=0) + moved.min(axis=0))) <= reach


def furthest(vectors: Float[ndarray, "atoms 3"]) -> float:
    """Length of the longest."""
    return math.sqrt(np.einsum("ia,ia->i", vectors, vectors).max())
