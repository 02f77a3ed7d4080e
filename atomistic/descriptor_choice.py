r"""Symmetry functions chosen from data, out of a large pool.

The pool follows Imbalzano and others, J. Chem. Phys. 148 (2018) 241730: with radii r_m from the shortest distance of the data to the
cutoff in equal ratios, functions centred at the atom, eta = 1/r_m^2, and shifted ones, r_s = r_m and eta = 1/(r_m - r_{m+1})^2. Out of it
a CUR decomposition takes those functions that all others are combinations of, as nearly as may be: of the matrix X of values (atoms by
functions, each column centred) the function with the largest component in the first right singular vector is taken, all columns are made
orthogonal to it, and so on. All this needs is the Gram matrix K = X^T X, since orthogonalising is a Schur complement,

    K <- K - K_c K_c^T / K_cc.

Columns keep their scale: brought to variance one, functions that hardly any atom notices would count as much as the others (measured: a
linear fit of energies on 32 functions chosen so is three times worse, and worse than on random ones).
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import combinations_with_replacement, pairwise
from typing import Final

import numpy as np
import torch
from ase import Atoms
from jaxtyping import Float
from numpy import ndarray
from scipy.linalg import eigh
from torch import Tensor

from atomistic.neighbours import NeighbourTable, neighbour_table
from atomistic.symmetry_functions import SymmetryFunction, SymmetryFunctions

INDEPENDENT: Final = 1e-10
"""A function is a combination of those taken where less than this of its variance is left."""


class TooFewDescriptors(ValueError):
    """More functions are asked for than the data can tell apart."""


def symmetry_function_pool(
    numbers: tuple[int, ...],
    *,
    nearest: float,
    cutoff: float,
    radii: int = 8,
    zetas: tuple[int, ...] = (1, 2, 4, 8),
    angular_kind: str = "wide",
    cutoff_function: str = "polynomial",
) -> SymmetryFunctions:
    """All functions that `choose_symmetry_functions` chooses from: centred and shifted, radial and angular, for each element alike.

    Raises:
        ValueError: where not 0 < nearest < cutoff (Angstrom).
    """
    if not 0.0 < nearest < cutoff:
        raise ValueError(f"nearest = {nearest} A and cutoff = {cutoff} A, expected 0 < nearest < cutoff")
    r = np.geomspace(cutoff, nearest, radii + 1).tolist()
    shapes = [(1.0 / one**2, 0.0) for one in r] + [(1.0 / (one - other) ** 2, other) for one, other in pairwise(r)]
    functions = [SymmetryFunction("radial", (z,), eta, shift, cutoff) for z in numbers for eta, shift in shapes]
    functions += [
        SymmetryFunction(angular_kind, pair, eta, shift, cutoff, float(zeta), lambda_)
        for pair in combinations_with_replacement(numbers, 2)
        for eta, shift in shapes
        for zeta in zetas
        for lambda_ in (1.0, -1.0)
    ]
    return SymmetryFunctions(numbers, (tuple(functions),) * len(numbers), cutoff_function)


def choose_symmetry_functions(
    structures: Sequence[Atoms],
    count: int,
    *,
    cutoff: float,
    angular_kind: str = "wide",
    cutoff_function: str = "polynomial",
    environments: int = 3000,
) -> SymmetryFunctions:
    """The `count` symmetry functions of each element that describe `structures` best, by CUR of a pool; no labels are needed.

    Args:
        structures: with the elements and the surroundings that the potential will meet.
        count: functions of an atom of each element.
        cutoff: Angstrom.
        angular_kind: "wide" (G5) or "narrow" (G4, slower).
        cutoff_function: a name in `CUTOFF_FUNCTIONS`.
        environments: about how many atoms are looked at, evenly over the structures.

    Raises:
        TooFewDescriptors: where fewer functions of the pool differ over the data.
        ValueError: where no two atoms are within the cutoff.
    """
    numbers = tuple(sorted({int(z) for atoms in structures for z in atoms.numbers}))
    distances = [
        table.vectors[table.mask].square().sum(-1).min().sqrt().item()
        for table in (neighbour_table(atoms, cutoff) for atoms in structures)
        if table.mask.any()
    ]
    if not distances:
        raise ValueError(f"no two atoms of the {len(structures)} structures are within the cutoff of {cutoff} A")
    pool = symmetry_function_pool(
        numbers, nearest=min(distances), cutoff=cutoff, angular_kind=angular_kind, cutoff_function=cutoff_function
    )
    chosen = []
    for number in numbers:
        values = [pool.values(number, *part) for part in _environments(structures, cutoff, number, environments)]
        taken = cur_columns(torch.cat(values).numpy(), count)
        chosen.append(tuple(pool.of(number)[k] for k in taken))
    return replace(pool, functions=tuple(chosen))


def cur_columns(values: Float[ndarray, "rows columns"], count: int) -> list[int]:
    """The `count` columns that CUR takes from a matrix, each centred first, in ascending order.

    Raises:
        TooFewDescriptors: where fewer columns are linearly independent.
    """
    centred = values - values.mean(axis=0)
    gram = centred.T @ centred / len(values)
    # Less than this is rounding, or a combination of the columns taken.
    enough = np.maximum(INDEPENDENT * np.diag(gram), (1e-10 * np.abs(values).max(axis=0)) ** 2)
    taken: list[int] = []
    while len(taken) < count:
        left = np.diag(gram) > enough
        if not left.any():
            raise TooFewDescriptors(
                f"{count} descriptors are asked for, but only {len(taken)} of {values.shape[1]} are independent over the "
                f"{len(values)} environments given; give more varied structures or ask for fewer"
            )
        _, vectors = eigh(gram, subset_by_index=(len(gram) - 1, len(gram) - 1))
        best = int(np.argmax(np.where(left, vectors[:, -1] ** 2, -1.0)))
        taken.append(best)
        gram = gram - np.outer(gram[best], gram[best]) / gram[best, best]
        # Exactly orthogonal, whatever rounding leaves.
        gram[best] = gram[:, best] = 0.0
    return sorted(taken)


def _environments(
    structures: Sequence[Atoms], cutoff: float, number: int, wanted: int
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Vectors, neighbours' numbers and masks of about `wanted` atoms of an element, evenly over the structures."""
    total = sum(int((atoms.numbers == number).sum()) for atoms in structures)
    step = max(1, total // wanted)
    before = 0
    for atoms in structures:
        rows = np.flatnonzero(atoms.numbers == number)
        chosen = rows[(before + np.arange(len(rows))) % step == 0]
        before += len(rows)
        if len(chosen):
            table: NeighbourTable = neighbour_table(atoms, cutoff)
            yield table.vectors[chosen], table.neighbour_numbers[chosen], table.mask[chosen]
