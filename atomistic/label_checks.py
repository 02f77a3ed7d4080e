"""Labelled structures before a training: what cannot be trained on is refused, what looks wrong is named.

Refused: no structures, a label missing or not finite. Warned of, by names that a filter of `warnings` can choose: duplicates, exploding
structures, elements with too few atoms. Stresses are held against energies and forces in `atomistic.stress_check`.
"""

import warnings
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols, covalent_radii

from atomistic.crystal import nearest_distance

LARGEST_FORCE: Final = 100.0
"""eV/A: beyond it a structure says little of matter and much of the loss."""

SMALLEST_DISTANCE: Final = 0.5
"""Of the sum of two covalent radii."""

FEWEST_ATOMS: Final = 20
"""Atoms of an element in the whole set."""


class InvalidTrainingData(ValueError):
    """A configuration without usable labels."""


class DuplicateStructures(UserWarning):
    """Structures that appear more than once."""


class ExplodingStructures(UserWarning):
    """Structures with enormous forces or atoms on top of each other."""


class ScarceElement(UserWarning):
    """An element with too few atoms to learn from."""


def check_labels(structures: Sequence[Atoms]) -> None:
    """Refuse configurations without finite energy, forces and stress.

    Raises:
        InvalidTrainingData: naming the configuration.
    """
    if not structures:
        raise InvalidTrainingData("no training configurations; expected at least one")
    for k, atoms in enumerate(structures):
        results = {} if atoms.calc is None else atoms.calc.results
        for name in ("energy", "forces", "stress"):
            if name not in results:
                raise InvalidTrainingData(f"configuration {k} ({atoms.get_chemical_formula()}) has no {name}")
            if not np.isfinite(results[name]).all():
                raise InvalidTrainingData(
                    f"configuration {k} ({atoms.get_chemical_formula()}) has a {name} that is not finite"
                )


def warn_of_suspect_structures(structures: Sequence[Atoms]) -> None:
    """Warn of duplicates, exploding structures and scarce elements among labelled structures."""
    _duplicates(structures)
    _explosions(structures)
    _scarce_elements(structures)


def _duplicates(structures: Sequence[Atoms]) -> None:
    same: dict[bytes, list[int]] = defaultdict(list)
    for k, atoms in enumerate(structures):
        # Equal to what a text file keeps; which cell an atom's image is in does not matter.
        fractional = np.round(atoms.get_scaled_positions(wrap=True), 6) % 1.0
        key = np.round(atoms.cell.array, 6).tobytes() + atoms.numbers.tobytes() + fractional.tobytes()
        same[key].append(k)
    repeated = [indices for indices in same.values() if len(indices) > 1]
    if repeated:
        warnings.warn(
            f"configurations {_few('= '.join(map(str, indices)) for indices in repeated)} are the same structure; they count several "
            "times, and one that is also held out tests nothing: remove the copies",
            DuplicateStructures,
            stacklevel=3,
        )


def _explosions(structures: Sequence[Atoms]) -> None:
    found = []
    for k, atoms in enumerate(structures):
        force = float(np.abs(atoms.get_forces()).max(initial=0.0))
        if force > LARGEST_FORCE:
            found.append(f"{k} (force {force:.3g} eV/A)")
            continue
        distance = nearest_distance(atoms)
        limit = 2.0 * SMALLEST_DISTANCE * float(covalent_radii[atoms.numbers].min())
        if distance < limit:
            found.append(f"{k} (atoms {distance:.2f} A apart)")
    if found:
        warnings.warn(
            f"configurations {_few(found)} look exploded: forces beyond {LARGEST_FORCE:g} eV/A, or atoms nearer than half their "
            'covalent distance; remove them, or give them a small info["weight"]',
            ExplodingStructures,
            stacklevel=3,
        )


def _scarce_elements(structures: Sequence[Atoms]) -> None:
    count = Counter(int(z) for atoms in structures for z in atoms.numbers)
    holding = Counter(int(z) for atoms in structures for z in set(atoms.numbers.tolist()))
    for number in sorted(count):
        if count[number] < FEWEST_ATOMS:
            warnings.warn(
                f"element {chemical_symbols[number]} has {count[number]} atoms in {holding[number]} configurations, fewer than "
                f"{FEWEST_ATOMS}: its network will not be determined; add structures with it",
                ScarceElement,
                stacklevel=3,
            )


def _few(names: Iterable[str], limit: int = 8) -> str:
    """The first of many names."""
    listed = list(names)
    return ", ".join(listed[:limit]) + (f" and {len(listed) - limit} more" if len(listed) > limit else "")
