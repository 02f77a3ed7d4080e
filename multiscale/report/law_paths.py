"""Paths of deformation along the principal directions of a material, one of each kind that its symmetry tells apart."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations
from typing import Final

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from multiscale.symmetry.material_symmetry import ISOTROPIC, InfiniteGroup, MaterialSymmetry
from multiscale.symmetry.point_group import PointGroup

MOST: Final = 4
"""Paths of one kind."""

SAME: Final = 1e-6

CANDIDATES: Final = ((1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0), (1, 0, 1), (0, 1, 1), (1, 1, 1))


@dataclass(frozen=True)
class Path:
    """A path through F = I.

    Attributes:
        name: for a legend; directions are in the axes of the data.
        deformation_gradient: s (k,) -> F (k, 3, 3).
        probe: (3, 3); the stress drawn is P : probe.
    """

    name: str
    deformation_gradient: Callable[[Float[ndarray, "k"]], Float[ndarray, "k 3 3"]]
    probe: Float[ndarray, "3 3"]


def stretches(symmetry: MaterialSymmetry) -> list[Path]:
    """Uniaxial strain F = I + (exp(s) - 1) n n along directions n that the symmetry tells apart; the stress is n.P n."""
    if isinstance(symmetry, InfiniteGroup):
        along, across, _ = frame_of(symmetry)
        if symmetry.name == ISOTROPIC:
            return [stretch("any direction", along)]
        diagonal = (along + across) / np.sqrt(2.0)
        return [stretch("along the axis", along), stretch("across it", across), stretch("at 45° to it", diagonal)]
    kept: list[tuple[str, ndarray]] = []
    for candidate in CANDIDATES:
        n = np.array(candidate) / np.linalg.norm(candidate)
        images = rotations_of(symmetry) @ n
        if not any(np.abs(images @ other).max() > 1.0 - SAME for _, other in kept):
            kept.append((f"[{''.join(map(str, candidate))}]", n))
    return [stretch(name, n) for name, n in kept[:MOST]]


def shears(symmetry: MaterialSymmetry) -> list[Path]:
    """Simple shear F = I + 2 s a b of two coordinate axes a, b (of the material's, where its group is infinite); the stress is a.P b."""
    if isinstance(symmetry, InfiniteGroup):
        along, across, third = frame_of(symmetry)
        if symmetry.name == ISOTROPIC:
            return [shear("any plane", along, across)]
        return [shear("along the axis", along, across), shear("across it", across, third)]
    kept: list[tuple[str, ndarray, ndarray]] = []
    for i, j in combinations(range(3), 2):
        a, b = np.eye(3)[i], np.eye(3)[j]
        strain = np.outer(a, b) + np.outer(b, a)
        R = rotations_of(symmetry)
        images = R @ strain @ np.swapaxes(R, 1, 2)
        known = [np.outer(c, d) + np.outer(d, c) for _, c, d in kept]
        # a shear and its opposite are one path, passed through in the two senses
        if not any(np.abs(np.abs(images) - np.abs(other)).max(axis=(1, 2)).min() < SAME for other in known):
            kept.append(("xyz"[i] + "xyz"[j], a, b))
    return [shear(name, a, b) for name, a, b in kept]


def stretch(name: str, n: Float[ndarray, "3"]) -> Path:
    dyad = np.outer(n, n)
    return Path(name, lambda s: np.eye(3) + np.expm1(s)[:, None, None] * dyad, dyad)


def shear(name: str, a: Float[ndarray, "3"], b: Float[ndarray, "3"]) -> Path:
    dyad = np.outer(a, b)
    return Path(name, lambda s: np.eye(3) + 2.0 * s[:, None, None] * dyad, dyad)


def frame_of(symmetry: InfiniteGroup) -> tuple[Float[ndarray, "3"], Float[ndarray, "3"], Float[ndarray, "3"]]:
    """The axis and two directions across it; of an isotropic material any."""
    return symmetry.frame[:, 2], symmetry.frame[:, 0], symmetry.frame[:, 1]


def rotations_of(symmetry: MaterialSymmetry) -> Float[ndarray, "g 3 3"]:
    if not isinstance(symmetry, PointGroup):
        raise TypeError(f"no rotations are listed for a {type(symmetry).__name__}, expected a PointGroup")
    return symmetry.rotations
