"""Crystal structures of elements by name: their cells, and the name of a structure from its symmetry.

Names go by the space group and the number of atoms of the primitive cell, found by spglib with a tolerance that forgives what an unfinished
relaxation or small displacements leave. A structure without a name has its space group's symbol.
"""

from collections.abc import Callable
from typing import Final

import numpy as np
import spglib
from ase import Atoms
from ase.build import bulk

from atomistic.crystal import check_crystal, nearest_distance

BETA_TIN_RATIO: Final = 0.55
"""c/a from which beta-tin is relaxed; white tin itself has 0.546, silicon 0.55."""

TOLERANCE: Final = 0.04
"""Of the nearest distance: atoms displaced by less are on their sites."""

NAMES: Final = {
    (227, 2): "diamond",
    (141, 2): "beta-tin",
    (221, 1): "simple cubic",
    (229, 1): "bcc",
    (225, 1): "fcc",
    (194, 2): "hcp",
    (191, 1): "simple hexagonal",
    (139, 1): "body-centred tetragonal",
    (74, 2): "Imma",
    (206, 8): "BC8",
}


class UnknownPhase(ValueError):
    """No prototype has this name."""


def prototype(name: str, symbol: str = "Si", *, volume: float = 20.0) -> Atoms:
    """The primitive cell of an element in a structure, of a volume (Angstrom^3 an atom) from which `energy_volume` scales it.

    Raises:
        UnknownPhase: for a name other than those of `PROTOTYPES`.
        ValueError: for a volume that is not positive.
    """
    if name not in PROTOTYPES:
        raise UnknownPhase(f"phase {name!r}, expected one of {list(PROTOTYPES)}, or Atoms of your own")
    if not (np.isfinite(volume) and volume > 0.0):
        raise ValueError(f"volume = {volume} A^3/atom, expected a positive number")
    return PROTOTYPES[name](symbol, volume)


def beta_tin(symbol: str, volume: float, ratio: float = BETA_TIN_RATIO) -> Atoms:
    """Body-centred tetragonal with two atoms and c/a = `ratio`; sqrt(2) is diamond."""
    a = np.cbrt(4.0 * volume / ratio)
    c = ratio * a
    vectors = 0.5 * np.array([[-a, a, c], [a, -a, c], [a, a, -c]])
    return Atoms([symbol] * 2, cell=vectors, positions=[[0.0, 0.0, 0.0], [0.0, 0.5 * a, 0.25 * c]], pbc=True)


PROTOTYPES: Final[dict[str, Callable[[str, float], Atoms]]] = {
    "diamond": lambda symbol, volume: bulk(symbol, "diamond", a=np.cbrt(8.0 * volume)),
    "beta-tin": beta_tin,
    "simple cubic": lambda symbol, volume: bulk(symbol, "sc", a=np.cbrt(volume)),
    "bcc": lambda symbol, volume: bulk(symbol, "bcc", a=np.cbrt(2.0 * volume)),
    "fcc": lambda symbol, volume: bulk(symbol, "fcc", a=np.cbrt(4.0 * volume)),
}


def structure_name(atoms: Atoms) -> str:
    """Name of a structure by its symmetry, such as "diamond", or "Fmmm, 4 atoms" where it has none.

    Raises:
        InvalidCrystal: where the atoms are no crystal.
    """
    check_crystal(atoms)
    cell = (atoms.cell.array, atoms.get_scaled_positions(), atoms.numbers)
    tolerance = TOLERANCE * nearest_distance(atoms)
    found = spglib.get_symmetry_dataset(cell, symprec=tolerance)
    primitive = spglib.standardize_cell(cell, to_primitive=True, symprec=tolerance)
    if found is None or primitive is None:
        return "a structure without symmetry"
    size = len(primitive[2])
    if len(set(atoms.numbers.tolist())) == 1 and (found.number, size) in NAMES:
        return NAMES[found.number, size]
    return f"{found.international}, {size} {'atom' if size == 1 else 'atoms'}"
