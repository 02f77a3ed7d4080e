"""The two ends of a path: comparable, in the same order of atoms, and not the same structure.

A path goes from each atom of one end to the atom of the same index of the other. Where another order of equal atoms brings the
ends closer together (least sum of squared displacements, an assignment problem), the given order is probably an accident:
`match_ends` has the better one. Distances are those of nearest periodic images; a common translation counts for nothing.
"""

import warnings
from typing import Final, Literal

import numpy as np
from ase import Atoms
from ase.build import minimize_rotation_and_translation
from ase.geometry import find_mic
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.optimize import linear_sum_assignment

Order = Literal["check", "match", "given"]

SAME: Final = 0.05
"""Displacements (Angstrom) below which two ends are one."""

ROUNDS: Final = 20
"""Of assignment and translation in turn; both lower the same sum, so they end."""


class InvalidEnds(ValueError):
    """The ends of a path differ in what a path cannot change: number or kinds of atoms, periodicity, cell, constraints."""


class SameEnds(ValueError):
    """The two ends of a path are the same structure."""


class PermutedEnds(ValueError):
    """Another order of equal atoms brings the ends closer together.

    Attributes:
        matched: the final structure in that order.
    """

    def __init__(self, message: str, matched: Atoms) -> None:
        super().__init__(message)
        self.matched = matched


class EquivalentEnds(UserWarning):
    """The ends are translated copies of one another: a rearrangement to an equal structure, or a mistake."""


def check_comparable(initial: Atoms, final: Atoms) -> None:
    """Refuse ends between which there is no path.

    Raises:
        InvalidEnds: for differing numbers or kinds of atoms, periodicity or constraints, fewer than one atom, numbers not finite.
    """
    for name, end in (("initial", initial), ("final", final)):
        if len(end) == 0:
            raise InvalidEnds(f"the {name} structure has no atoms")
        if not (np.isfinite(end.positions).all() and np.isfinite(end.cell.array).all()):
            raise InvalidEnds(f"the {name} structure's positions or cell contain NaN or infinity")
    if len(initial) != len(final):
        raise InvalidEnds(
            f"{len(initial)} atoms in the initial and {len(final)} in the final structure, expected equally many"
        )
    formulas = [end.get_chemical_formula() for end in (initial, final)]
    if formulas[0] != formulas[1]:
        raise InvalidEnds(
            f"the initial structure is {formulas[0]}, the final one {formulas[1]}; expected the same elements"
        )
    if (initial.pbc != final.pbc).any():
        raise InvalidEnds(f"pbc = {initial.pbc.tolist()} initially, {final.pbc.tolist()} finally; expected the same")
    kinds = [sorted(repr(c.todict()) for c in end.constraints) for end in (initial, final)]
    if kinds[0] != kinds[1]:
        raise InvalidEnds("the ends carry different constraints, expected the same: what is fixed stays where it is")


def ordered_ends(initial: Atoms, final: Atoms, order: Order, *, stretched: float = 0.0) -> Atoms:
    """The final structure moved next to the initial one, in the order that the path takes.

    Args:
        initial: where the path begins; both have the same cell by now.
        final: where it ends.
        order: "check" refuses an order that can be bettered, "match" betters it, "given" takes it.
        stretched: by how much the cell moves atoms beside, Angstrom.

    Raises:
        SameEnds: where no atom moves by `SAME` or more, in the order given or in another.
        PermutedEnds: for "check", where another order is closer; with the structure in that order.
    """
    near = _beside(initial, final)
    moved = max(furthest(initial, near), stretched)
    aligned = bool((initial.numbers == final.numbers).all())
    if aligned and moved < SAME:
        raise SameEnds(f"no atom moves by more than {moved:.3g} A between the ends, expected two different structures")
    if aligned and order == "given":
        return near
    index = _assignment(initial, final)
    matched = _beside(initial, final[index])
    closer = not aligned or _squares(initial, matched) < _squares(initial, near) - SAME**2
    if closer:
        exchanged = np.flatnonzero(index != np.arange(len(index)))
        if max(furthest(initial, matched), stretched) < SAME:
            raise SameEnds(
                f"the ends are the same structure with atoms {exchanged[:8].tolist()} in another order; expected two different "
                "ones, or order='given' for a path that exchanges equal atoms"
            )
        if order != "match":
            raise PermutedEnds(
                f"atoms {exchanged[:8].tolist()} are in another order in the final structure: reordered, the furthest "
                f"moves {furthest(initial, matched):.3g} A instead of {moved:.3g} A; take order='match', this error's `matched`, "
                "or order='given' if that is what you mean",
                matched,
            )
        near = matched
    translation = _copy_translated(initial, near) if stretched < SAME else None
    if translation is not None:
        warnings.warn(
            f"the final structure is the initial one translated by {np.round(translation, 3).tolist()} A and in another order: the path "
            "leads to an equal structure",
            EquivalentEnds,
            stacklevel=3,
        )
    return near


def match_ends(initial: Atoms, final: Atoms) -> Atoms:
    """The final structure with equal atoms in the order, and at the translation, that is closest to the initial one.

    Raises:
        InvalidEnds: for ends that are not comparable.
    """
    check_comparable(initial, final)
    return _beside(initial, final[_assignment(initial, final)])


def furthest(initial: Atoms, final: Atoms) -> float:
    """The longest displacement of an atom, Angstrom."""
    return float(np.linalg.norm(displacements(initial, final), axis=1).max())


def displacements(initial: Atoms, final: Atoms) -> Float[ndarray, "atoms 3"]:
    """From each atom to the nearest image of its like, in the initial cell."""
    return np.asarray(find_mic(final.positions - initial.positions, initial.cell, initial.pbc)[0])


def _squares(initial: Atoms, final: Atoms) -> float:
    return float(np.square(displacements(initial, final)).sum())


def _beside(initial: Atoms, final: Atoms) -> Atoms:
    """Each atom at the image nearest to its like, the whole translated (rotated, if isolated) to the least sum of squares."""
    near: Atoms = final.copy()
    if initial.constraints:
        near.positions = initial.positions + displacements(initial, near)
        return near
    if not initial.pbc.any():
        minimize_rotation_and_translation(initial, near)
        return near
    for _ in range(ROUNDS):
        shift = displacements(initial, near)
        near.positions = initial.positions + shift - shift.mean(0)
        if np.abs(shift.mean(0)).max() < 1e-12:
            break
    return near


def _assignment(initial: Atoms, final: Atoms) -> Int[ndarray, "atoms"]:
    """Which atom of the final structure each atom goes to."""
    index = _assigned(initial, final)
    for _ in range(ROUNDS):
        again = index[_assigned(initial, _beside(initial, final[index]))]
        if (again == index).all():
            break
        index = again
    return index


def _assigned(initial: Atoms, final: Atoms) -> Int[ndarray, "atoms"]:
    between = (final.positions[None] - initial.positions[:, None]).reshape(-1, 3)
    squares = np.square(find_mic(between, initial.cell, initial.pbc)[1]).reshape(len(initial), -1)
    squares[initial.numbers[:, None] != final.numbers[None]] = 1e6 * (1.0 + squares.max())
    return np.asarray(linear_sum_assignment(squares)[1])


def _copy_translated(initial: Atoms, final: Atoms) -> Float[ndarray, "3"] | None:
    """The translation that makes the ends equal, or None."""
    if not initial.pbc.all() or initial.constraints:
        return None
    rare = min(set(initial.numbers.tolist()), key=lambda z: int((initial.numbers == z).sum()))
    first = initial.positions[initial.numbers == rare][0]
    moved = final.copy()
    for place in final.positions[final.numbers == rare]:
        moved.positions = final.positions - (place - first)
        matched = moved[_assigned(initial, moved)]
        if furthest(initial, _beside(initial, matched)) < SAME:
            return np.asarray(place - first)
    return None
