r"""Symmetry functions chosen from data, out of a large pool.

The pool follows Imbalzano and others, J. Chem. Phys. 148 (2018) 241730: with radii r_m from the shortest distance of the data to the
cutoff in equal ratios, functions centred at the atom, eta = 1/r_m^2, and shifted ones, r_s = r_m and eta = 1/(r_m - r_{m+1})^2. Two ways
to choose, both greedy: of a matrix X one column is taken, all others are made orthogonal to it, and so on. All this needs is the Gram
matrix K = X^T X, since orthogonalising is a Schur complement,

    K <- K - K_c K_c^T / K_cc,        y <- y - K_c y_c / K_cc.

By labels, orthogonal least squares (Chen, Billings and Luo, Int. J. Control 50 (1989) 1873): rows of X are the changes of the sums of all
functions along random displacements and strains of the structures, y = X^T b with b the work that the labels say is done, and the column
taken explains the most of it, y_c^2 / K_cc. By values, CUR: rows of X are atoms, columns centred, and the column taken has the largest
component in the first right singular vector; no labels are needed. Columns keep their scale: brought to variance one, functions that
hardly any atom notices would count as much as the others.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import combinations_with_replacement, pairwise
from typing import Final, Literal

import numpy as np
import torch
from ase import Atoms
from ase.stress import voigt_6_to_full_3x3_stress
from jaxtyping import Float
from numpy import ndarray
from scipy.linalg import eigh
from torch import Tensor

from atomistic.label_checks import InvalidTrainingData
from atomistic.neighbours import NeighbourTable, neighbour_table
from atomistic.symmetry_functions import SymmetryFunction, SymmetryFunctions
from atomistic.units import EV_PER_CUBIC_ANGSTROM_IN_GPA

INDEPENDENT: Final = 1e-10
"""A function is a combination of those taken where less than this of its variance is left."""


DIRECTIONS: Final = 8
"""Random displacements of each structure, and random strains, that the work is compared along."""

BATCH_ATOMS: Final = 256
"""Atoms whose functions are evaluated at once."""

STEP: Final = 1e-4
"""Displacement (Angstrom) and strain of the central differences; a choice needs no more digits."""


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
    by: Literal["labels", "values"] = "labels",
    angular_kind: str = "wide",
    cutoff_function: str = "polynomial",
    environments: int = 2000,
) -> SymmetryFunctions:
    """The `count` symmetry functions of each element that describe `structures` best, out of a pool.

    Args:
        structures: with the elements and the surroundings that the potential will meet.
        count: functions of an atom of each element.
        cutoff: Angstrom.
        by: "labels" for those on which forces and stresses depend linearly as nearly as may be, "values" for those that all
            others are combinations of, where there are no labels.
        angular_kind: "wide" (G5) or "narrow" (G4, slower).
        cutoff_function: a name in `CUTOFF_FUNCTIONS`.
        environments: about how many atoms are looked at, evenly over the structures.

    Raises:
        TooFewDescriptors: where fewer functions of the pool differ over the data.
        InvalidTrainingData: where a structure has no forces, and labels are asked for.
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
    if by == "labels":
        step = max(1, sum(map(len, structures)) // environments)
        changes, work = work_rows(pool, structures[::step])
        taken = least_squares_columns(changes, work, [pool.count(number) for number in numbers], count)
    else:
        taken = []
        for number in numbers:
            values = [pool.values(number, *part) for part in _environments(structures, cutoff, number, environments)]
            taken.append(cur_columns(torch.cat(values).numpy(), count))
    chosen = (tuple(pool.of(z)[k] for k in columns) for z, columns in zip(numbers, taken, strict=True))
    return replace(pool, functions=tuple(chosen))


def work_rows(
    descriptors: SymmetryFunctions,
    structures: Sequence[Atoms],
    *,
    force_error: float = 0.1,
    stress_error: float = 0.1,
) -> tuple[Float[ndarray, "rows functions"], Float[ndarray, "rows"]]:
    """Changes of the sums of each element's functions along random directions, and the work -f.u + V sigma:e done there.

    Directions are displacements of all atoms and, where there is a stress, strains; rows are in units of the error of the label, eV/A
    or GPa. The directions are the same each time.

    Raises:
        InvalidTrainingData: where a structure has no forces.
    """
    changes, work = [], []
    for k, atoms in enumerate(structures):
        labels = {} if atoms.calc is None else atoms.calc.results
        if "forces" not in labels:
            raise InvalidTrainingData(f"structure {k} has no forces; label it, or choose by values")
        generator = np.random.default_rng(k)
        table = neighbour_table(atoms, descriptors.cutoff)
        displacements = generator.normal(size=(DIRECTIONS, len(atoms), 3)) / np.sqrt(3 * len(atoms))
        moves = [(u[table.index.numpy()] - u[:, None]) / force_error for u in displacements]
        work += [-float(np.sum(labels["forces"] * u)) / force_error for u in displacements]
        if "stress" in labels:
            stress = voigt_6_to_full_3x3_stress(labels["stress"]) * EV_PER_CUBIC_ANGSTROM_IN_GPA
            general = generator.normal(size=(DIRECTIONS, 3, 3))
            strains = general + general.transpose(0, 2, 1)
            strains /= np.linalg.norm(strains, axis=(1, 2), keepdims=True)
            # Work over the volume, in GPa.
            unit = EV_PER_CUBIC_ANGSTROM_IN_GPA / (stress_error * atoms.get_volume())
            moves += [table.vectors.numpy() @ strain * unit for strain in strains]
            work += [float(np.sum(stress * strain)) / stress_error for strain in strains]
        for some in np.array_split(np.array(moves), -(-len(moves) * len(atoms) // BATCH_ATOMS)):
            changes.append(_changes(descriptors, table, some))
    return np.concatenate(changes), np.array(work)


def _changes(
    descriptors: SymmetryFunctions, table: NeighbourTable, moves: Float[ndarray, "moves atoms neighbours 3"]
) -> Float[ndarray, "moves functions"]:
    """Derivative of the sum of each element's functions along moves of the edge vectors."""
    scale = STEP / np.abs(moves).max(axis=(1, 2, 3), keepdims=True)
    steps = torch.from_numpy(scale * moves)
    sums = []
    for sign in (1.0, -1.0):
        vectors = table.vectors + sign * steps
        parts = []
        for number in descriptors.numbers:
            rows = table.numbers == number
            of_others = (one[rows].repeat(len(moves), 1) for one in (table.neighbour_numbers, table.mask))
            values = descriptors.values(number, vectors[:, rows].flatten(0, 1), *of_others)
            parts.append(values.unflatten(0, (len(moves), int(rows.sum()))).sum(1))
        sums.append(torch.cat(parts, dim=1).numpy())
    return np.asarray((sums[0] - sums[1]) / (2.0 * scale[:, :, 0, 0]))


def least_squares_columns(
    matrix: Float[ndarray, "rows columns"], target: Float[ndarray, "rows"], blocks: Sequence[int], count: int
) -> list[list[int]]:
    """Of each block of so many columns, the `count` that orthogonal least squares takes, ascending, counted within the block.

    Raises:
        TooFewDescriptors: where a block has fewer independent columns.
    """
    gram, y = matrix.T @ matrix, matrix.T @ target
    enough = INDEPENDENT * np.diag(gram)
    block = np.repeat(np.arange(len(blocks)), blocks)
    first = np.cumsum([0, *blocks])
    taken: list[list[int]] = [[] for _ in blocks]
    while any(len(columns) < count for columns in taken):
        wanted = np.array([len(columns) < count for columns in taken])[block] & (np.diag(gram) > enough)
        if not wanted.any():
            found = min(map(len, taken))
            raise TooFewDescriptors(_too_few(count, found, matrix.shape))
        best = int(np.argmax(np.where(wanted, y**2 / np.where(wanted, np.diag(gram), 1.0), -1.0)))
        taken[block[best]].append(best - int(first[block[best]]))
        y = y - gram[best] * y[best] / gram[best, best]
        gram = _without(gram, best)
    return [sorted(columns) for columns in taken]


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
            raise TooFewDescriptors(_too_few(count, len(taken), values.shape))
        _, vectors = eigh(gram, subset_by_index=(len(gram) - 1, len(gram) - 1))
        best = int(np.argmax(np.where(left, vectors[:, -1] ** 2, -1.0)))
        taken.append(best)
        gram = _without(gram, best)
    return sorted(taken)


def _without(gram: Float[ndarray, "columns columns"], best: int) -> Float[ndarray, "columns columns"]:
    """The Gram matrix once all columns are orthogonal to one."""
    rest = gram - np.outer(gram[best], gram[best]) / gram[best, best]
    # Exactly orthogonal, whatever rounding leaves.
    rest[best] = rest[:, best] = 0.0
    return np.asarray(rest)


def _too_few(count: int, found: int, shape: tuple[int, ...]) -> str:
    return (
        f"{count} descriptors are asked for, but only {found} of {shape[1]} are independent over {shape[0]} rows of data; "
        "give more varied structures or ask for fewer"
    )


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
            table = neighbour_table(atoms, cutoff)
            yield table.vectors[chosen], table.neighbour_numbers[chosen], table.mask[chosen]
