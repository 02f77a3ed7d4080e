"""Material symmetry: the point group of a crystal, and what is invariant under it.

A potential of C = F^T F cannot see an inversion, so only the proper parts of a point group's operations matter: the 32
point groups fall into 11 Laue classes. A group is kept as its proper rotations in laboratory axes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import spglib
from ase import Atoms
from jaxtyping import Float
from numpy import ndarray

from multiscale.laws.strain import strain_action
from multiscale.symmetry.material_symmetry import ISOTROPIC, TRANSVERSELY_ISOTROPIC, MaterialSymmetry

SYMMETRY_TOLERANCE = 1e-5
"""Distance (Angstrom) below which two positions are the same for the symmetry search."""

LAUE_CLASS_MEMBERS: dict[str, tuple[str, ...]] = {
    "-1": ("1", "-1"),
    "2/m": ("2", "m", "2/m"),
    "mmm": ("222", "mm2", "mmm"),
    "4/m": ("4", "-4", "4/m"),
    "4/mmm": ("422", "4mm", "-42m", "4/mmm"),
    "-3": ("3", "-3"),
    "-3m": ("32", "3m", "-3m"),
    "6/m": ("6", "-6", "6/m"),
    "6/mmm": ("622", "6mm", "-6m2", "6/mmm"),
    "m-3": ("23", "m-3"),
    "m-3m": ("432", "-43m", "m-3m"),
}
"""Laue class -> the point groups in it (Hermann-Mauguin symbols)."""

LAUE_CLASS_OF = {point_group: laue for laue, members in LAUE_CLASS_MEMBERS.items() for point_group in members}

GROUP_ORDER: dict[str, int] = {
    "-1": 1, "2/m": 2, "mmm": 4, "4/m": 4, "4/mmm": 8, "-3": 3, "-3m": 6, "6/m": 6, "6/mmm": 12, "m-3": 12, "m-3m": 24
}  # fmt: skip
"""Laue class -> number of proper rotations."""


class UnknownPointGroup(ValueError):
    """The symbol is none of the 32 crystallographic point groups."""


class InvalidRotations(ValueError):
    """Matrices that are not the proper rotations of the group they are named after."""


class NoSymmetryFound(ValueError):
    """spglib could not analyse the crystal."""


def rotation(axis: Sequence[float], degrees: float) -> Float[ndarray, "3 3"]:
    """Rotation about `axis` (Rodrigues): R = cos I + sin [n]x + (1 - cos) n n^T."""
    n = np.asarray(axis, dtype=float) / np.linalg.norm(axis)
    cross = np.array([[0.0, -n[2], n[1]], [n[2], 0.0, -n[0]], [-n[1], n[0], 0.0]])
    angle = np.deg2rad(degrees)
    R = np.cos(angle) * np.eye(3) + np.sin(angle) * cross + (1.0 - np.cos(angle)) * np.outer(n, n)
    # the entries of crystallographic rotations are 0, +-1/2, +-sqrt(3)/2, +-1: exact where a float can be
    return np.asarray(np.where(np.abs(2.0 * R - np.round(2.0 * R)) < 1e-14, np.round(2.0 * R) / 2.0, R))


X, Y, Z, DIAGONAL = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0), (1.0, 1.0, 1.0)
GENERATORS: dict[str, tuple[tuple[tuple[float, float, float], float], ...]] = {
    "-1": (),
    "2/m": ((Y, 180.0),),
    "mmm": ((Z, 180.0), (X, 180.0)),
    "4/m": ((Z, 90.0),),
    "4/mmm": ((Z, 90.0), (X, 180.0)),
    "-3": ((Z, 120.0),),
    "-3m": ((Z, 120.0), (X, 180.0)),
    "6/m": ((Z, 60.0),),
    "6/mmm": ((Z, 60.0), (X, 180.0)),
    "m-3": ((Z, 180.0), (X, 180.0), (DIAGONAL, 120.0)),
    "m-3m": ((Z, 90.0), (DIAGONAL, 120.0)),
}
"""Laue class -> (axis, degrees) of generating rotations, standard settings (Nye, Physical Properties of Crystals, app. B):
the unique axis along z, monoclinic along y; the two-fold axes of -3m and 6/mmm along x."""


@dataclass(frozen=True, eq=False)
class PointGroup(MaterialSymmetry):
    """The proper rotations of a point group, in laboratory axes.

    Attributes:
        name: Hermann-Mauguin symbol of the point group, e.g. "-43m".
        rotations: (g, 3, 3), each with determinant +1; the identity is the first.
        strain_action: (g, 6, 6), the matrices Q with Q e the strain components of R E R^T.

    Raises:
        UnknownPointGroup, InvalidRotations: a name that is none of the 32, or rotations that are not those of the name.
    """

    name: str
    rotations: Float[ndarray, "g 3 3"] = field(repr=False)

    def __post_init__(self) -> None:
        R = np.asarray(self.rotations)
        expected = GROUP_ORDER[LAUE_CLASS_OF[self.name]] if self.name in LAUE_CLASS_OF else None
        if expected is None:
            raise UnknownPointGroup(
                f"point group {self.name!r} is not known, expected one of {', '.join(LAUE_CLASS_OF)}"
            )
        if R.shape != (expected, 3, 3):
            raise InvalidRotations(f"the rotations of {self.name} have shape {R.shape}, expected {(expected, 3, 3)}")
        skew = np.abs(R @ np.swapaxes(R, -1, -2) - np.eye(3)).max(axis=(1, 2)) + np.abs(np.linalg.det(R) - 1.0)
        if not skew.max() < 1e-9:
            k = int(np.argmax(~(skew < 1e-9)))
            raise InvalidRotations(f"operation {k} of {self.name} is off a proper rotation by {skew[k]:.3g}")

    @property
    def laue_class(self) -> str:
        """The Laue class, e.g. "m-3m": all that a potential of C can see."""
        return LAUE_CLASS_OF[self.name]

    @property
    def order(self) -> int:
        """Number of proper rotations g: 24 for m-3m."""
        return len(self.rotations)

    @cached_property
    def strain_action(self) -> Float[ndarray, "g 6 6"]:
        return strain_action(self.rotations)

    @property
    def averaging_action(self) -> Float[ndarray, "g 6 6"]:
        return self.strain_action

    def representative(self, e: Float[ndarray, "n 6"]) -> Float[ndarray, "n 6"]:
        return e

    @property
    def undecided(self) -> Float[ndarray, "g 6 6"]:
        return self.strain_action

    @classmethod
    def named(cls, symbol: str, frame: Float[ndarray, "3 3"] | None = None) -> "PointGroup":
        """The group of one of the 32 Hermann-Mauguin symbols in the standard setting (see `GENERATORS`).

        Args:
            symbol: e.g. "6/mmm".
            frame: the rotation R that carries the axes of the standard setting to those of the material; by default none.

        Raises:
            UnknownPointGroup: where the symbol is none of the 32.
            InvalidRotations: the frame is no rotation.
        """
        if symbol not in LAUE_CLASS_OF:
            known = ", ".join(LAUE_CLASS_OF)
            if symbol in (ISOTROPIC, TRANSVERSELY_ISOTROPIC):
                raise UnknownPointGroup(
                    f"symmetry {symbol!r} is not a finite group: InfiniteGroup gives it; expected one of {known}"
                )
            raise UnknownPointGroup(f"point group {symbol!r} is not known, expected one of {known}")
        generators = [rotation(axis, degrees) for axis, degrees in GENERATORS[LAUE_CLASS_OF[symbol]]]
        rotations = closure(generators)
        if frame is None:
            return cls(symbol, rotations)
        R = np.asarray(frame, dtype=float)
        if R.shape != (3, 3) or not np.abs(R @ R.T - np.eye(3)).max() < 1e-9 or np.linalg.det(R) < 0.0:
            raise InvalidRotations(f"the frame is {R.tolist()}, expected a 3 x 3 rotation")
        return cls(symbol, R @ rotations @ R.T)

    @classmethod
    def of(cls, atoms: Atoms, tolerance: float = SYMMETRY_TOLERANCE) -> "PointGroup":
        """The point group of a crystal as it lies in the laboratory; `tolerance` on positions in Angstrom.

        Raises:
            NoSymmetryFound: where spglib finds none at this tolerance.
        """
        cell = (atoms.cell.array, atoms.get_scaled_positions(), atoms.numbers)
        # a supercell hides the operations which its own shape breaks: those of the primitive cell, not rotated, are asked for
        primitive = spglib.standardize_cell(cell, to_primitive=True, no_idealize=True, symprec=tolerance)
        dataset = None if primitive is None else spglib.get_symmetry_dataset(primitive, symprec=tolerance)
        if primitive is None or dataset is None:
            raise NoSymmetryFound(
                f"spglib finds no symmetry in {atoms.get_chemical_formula()} at {tolerance} A; "
                "check the cell, or pass the group by PointGroup.named"
            )
        columns = np.asarray(primitive[0]).T
        cartesian = columns @ np.asarray(dataset.rotations, dtype=float) @ np.linalg.inv(columns)
        proper = cartesian * np.sign(np.linalg.det(cartesian))[:, None, None]
        # a cell is symmetric only to the tolerance: the nearest orthogonal matrix, by the polar decomposition
        left, _, right = np.linalg.svd(proper)
        return cls(str(dataset.pointgroup).strip(), closure(list(left @ right)))


def closure(generators: Sequence[Float[ndarray, "3 3"]]) -> Float[ndarray, "g 3 3"]:
    """All distinct products of the generating rotations, the identity first."""
    members = [np.eye(3)]
    for member in members:  # grows while it is walked through
        for generator in generators:
            product = generator @ member
            if min(np.abs(product - other).max() for other in members) > 1e-3:
                if len(members) == 24:
                    raise NoSymmetryFound(
                        "the rotations generate more than 24 elements: no crystallographic point group"
                    )
                members.append(product)
    return np.array(members)
