"""Dense neighbour tables: for every atom, the vectors to all neighbours within a cutoff, padded to a common length.

A dense table turns descriptors into batched matrix products and lets atoms of many structures share one batch. The list
itself is vesin's; any cell is allowed, also one much smaller than the cutoff (an atom is then a neighbour of its own images).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from ase import Atoms
from jaxtyping import Bool, Float, Int
from torch import Tensor
from vesin import NeighborList


@dataclass(frozen=True)
class NeighbourTable:
    """Neighbours of every atom of a batch.

    Attributes:
        vectors: r_j - r_i to each neighbour image (Angstrom); padded entries are zero.
        index: which atom of the batch the neighbour is (0 where padded).
        mask: True where the entry is a neighbour.
        numbers: atomic numbers of the atoms of the batch.
    """

    vectors: Float[Tensor, "atoms neighbours 3"]
    index: Int[Tensor, "atoms neighbours"]
    mask: Bool[Tensor, "atoms neighbours"]
    numbers: Int[Tensor, "atoms"]

    @property
    def neighbour_numbers(self) -> Int[Tensor, "atoms neighbours"]:
        """Atomic number of each neighbour."""
        return self.numbers[self.index]

    def to(self, device: torch.device) -> "NeighbourTable":
        """The same table on another device."""
        return NeighbourTable(*(tensor.to(device) for tensor in (self.vectors, self.index, self.mask, self.numbers)))


def neighbour_table(atoms: Atoms, cutoff: float) -> NeighbourTable:
    """The neighbours of every atom of `atoms` within `cutoff` (Angstrom), periodic images included."""
    neighbours = NeighborList(cutoff=cutoff, full_list=True, sorted=True, n_threads=1)
    first, second, vectors = neighbours.compute(
        points=np.ascontiguousarray(atoms.positions),
        box=np.ascontiguousarray(atoms.cell.array),
        periodic=[bool(p) for p in atoms.pbc],
        quantities="ijD",
    )
    first, second = first.astype(np.int64), second.astype(np.int64)
    counts = np.bincount(first, minlength=len(atoms))
    column = np.arange(len(first)) - np.repeat(np.cumsum(counts) - counts, counts)
    shape = (len(atoms), max(1, int(counts.max(initial=0))))
    dense_vectors = np.zeros((*shape, 3))
    dense_index = np.zeros(shape, dtype=np.int64)
    mask = np.zeros(shape, dtype=bool)
    dense_vectors[first, column] = vectors
    dense_index[first, column] = second
    mask[first, column] = True
    return NeighbourTable(
        vectors=torch.from_numpy(dense_vectors),
        index=torch.from_numpy(dense_index),
        mask=torch.from_numpy(mask),
        numbers=torch.from_numpy(atoms.numbers.astype(np.int64)),
    )


def join_tables(tables: Sequence[NeighbourTable]) -> NeighbourTable:
    """One table for several structures: atoms are numbered consecutively, rows padded to the longest."""
    width = max(table.mask.shape[1] for table in tables)
    start = 0
    vectors, index, mask = [], [], []
    for table in tables:
        missing = width - table.mask.shape[1]
        vectors.append(torch.nn.functional.pad(table.vectors, (0, 0, 0, missing)))
        index.append(torch.nn.functional.pad(table.index + start, (0, missing)))
        mask.append(torch.nn.functional.pad(table.mask, (0, missing)))
        start += len(table.numbers)
    return NeighbourTable(
        vectors=torch.cat(vectors),
        index=torch.cat(index),
        mask=torch.cat(mask),
        numbers=torch.cat([table.numbers for table in tables]),
    )
