r"""Coordinates in which a structure can change: those of atoms that are free, without rigid motions.

A translation changes no energy, nor does a rotation of a cluster or of a wire about its axis. There the Hessian has no curvature
and steps no meaning: with an orthonormal basis U of the rigid motions, steps are taken in the complement Z of U (Z^T U = 0),

    g_Z = Z^T g,        B_Z = Z^T B Z,        s = Z s_Z .

Rigid motions that would move a fixed atom are none: those remain that leave the fixed atoms where they are.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from ase import Atoms
from ase.constraints import FixAtoms
from jaxtyping import Float, Int
from numpy import ndarray

NEGLIGIBLE: Final = 1e-8
"""Singular values below this part of the largest are zero: a linear molecule has two rotations."""


class UnsupportedConstraint(ValueError):
    """Atoms carry a constraint other than FixAtoms, or are inside a filter."""


@dataclass(frozen=True)
class FreeCoordinates:
    """The coordinates of one structure that can change its energy.

    Attributes:
        index: which of the 3N coordinates belong to free atoms.
        rigid: U, orthonormal, in these.
    """

    index: Int[ndarray, "free"]
    rigid: Float[ndarray, "free motions"]

    @cached_property
    def basis(self) -> Float[ndarray, "free coordinates"]:
        """Z: an orthonormal complement of the rigid motions."""
        complete = np.linalg.qr(self.rigid, mode="complete")[0]
        return np.asarray(complete[:, self.rigid.shape[1] :])

    def projected(self, vector: Float[ndarray, "free"]) -> Float[ndarray, "free"]:
        """The vector without its rigid motion."""
        return np.asarray(vector - self.rigid @ (self.rigid.T @ vector))

    def expanded(self, vector: Float[ndarray, "free"], atoms: int) -> Float[ndarray, "all"]:
        """With zeros for the fixed atoms."""
        whole = np.zeros(3 * atoms)
        whole[self.index] = vector
        return whole


def free_coordinates(atoms: Atoms) -> FreeCoordinates:
    """The free coordinates of a structure.

    Raises:
        UnsupportedConstraint: for constraints other than FixAtoms.
    """
    fixed = np.zeros(len(atoms), dtype=bool)
    for constraint in atoms.constraints:
        if not isinstance(constraint, FixAtoms):
            raise UnsupportedConstraint(
                f"the constraint {type(constraint).__name__} is not supported by Newton steps, expected FixAtoms or none"
            )
        fixed[constraint.get_indices()] = True
    still = np.repeat(fixed, 3)
    motions = rigid_motions(atoms)
    if fixed.any():
        # Combinations of rigid motions under which the fixed atoms stay.
        _, sizes, combinations = np.linalg.svd(motions[still])
        rank = int((sizes > NEGLIGIBLE).sum())
        motions = motions @ combinations[rank:].T
    return FreeCoordinates(np.flatnonzero(~still), _orthonormal(motions[~still]))


def rigid_motions(atoms: Atoms) -> Float[ndarray, "coordinates motions"]:
    """Translations, and the rotations that periodicity leaves: all of a cluster, one of a wire; orthonormal."""
    translations = np.tile(np.eye(3), (len(atoms), 1))
    periodic = atoms.cell.array[np.asarray(atoms.pbc)]
    if len(periodic) > 1 or len(atoms) == 0:
        return _orthonormal(translations)
    axes = np.eye(3) if len(periodic) == 0 else periodic / np.linalg.norm(periodic)
    arms = atoms.positions - atoms.positions.mean(0)
    rotations = np.array([np.cross(axis, arms).ravel() for axis in axes]).T
    size = float(np.abs(arms).max(initial=0.0))
    return _orthonormal(np.hstack([translations, rotations / max(size, 1.0)]))


def _orthonormal(columns: Float[ndarray, "coordinates columns"]) -> Float[ndarray, "coordinates motions"]:
    if columns.size == 0:
        return columns[:, :0]
    left, sizes, _ = np.linalg.svd(columns, full_matrices=False)
    return np.asarray(left[:, sizes > NEGLIGIBLE * max(1.0, float(sizes[0]))])
