"""Moves of global optimisation: random steps from one structure to the start of the next way down.

A move is a function of positions and a random generator. What it proposes may have atoms too near to each other: `spread_apart` pushes
them apart before an energy is asked for.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.spatial.distance import cdist
from scipy.spatial.transform import Rotation

from atomistic.clusters.surface import Positions

Move = Callable[[Positions, np.random.Generator], Positions]

SITES: Final = 400
"""Random places on the surface among which an atom's new one is chosen."""


@dataclass(frozen=True)
class Shake:
    """All atoms displaced, each coordinate uniformly in [-step, step] (Wales and Doye, J. Phys. Chem. A 101 (1997) 5111).

    Attributes:
        step: Angstrom.
    """

    step: float

    def __post_init__(self) -> None:
        if not self.step > 0.0:
            raise ValueError(f"step = {self.step} A, expected a positive number")

    def __call__(self, positions: Positions, generator: np.random.Generator) -> Positions:
        return positions + generator.uniform(-self.step, self.step, positions.shape)


@dataclass(frozen=True)
class MoveSurfaceAtoms:
    """One to `most` atoms with the fewest neighbours put, one after the other, where they have the most.

    A continuous form of the search on a dynamic lattice (Shao, Cheng and Cai, J. Comput. Chem. 25 (2004) 1693): places at the distance
    `nearest` of an atom are drawn at random, and neighbours are counted within 1.3 of it.

    Attributes:
        nearest: distance of neighbours, Angstrom.
        most: atoms moved at once.
    """

    nearest: float
    most: int = 4

    def __post_init__(self) -> None:
        if not (self.nearest > 0.0 and self.most >= 1):
            raise ValueError(f"nearest = {self.nearest} A and most = {self.most}, expected positive numbers")

    def __call__(self, positions: Positions, generator: np.random.Generator) -> Positions:
        moved = positions.copy()
        count = len(moved)
        for _ in range(min(int(generator.integers(1, self.most + 1)), count - 1)):
            neighbours = (cdist(moved, moved) < 1.3 * self.nearest).sum(1)
            loosest = int((neighbours + generator.random(count)).argmin())
            others = np.delete(moved, loosest, axis=0)
            places = others[generator.integers(count - 1, size=SITES)] + self.nearest * directions(generator, SITES)
            distances = cdist(places, others)
            free = distances.min(1) > 0.8 * self.nearest
            score = np.where(free, (distances < 1.3 * self.nearest).sum(1), -2.0) + 1.5 * generator.random(SITES)
            moved[loosest] = places[int(score.argmax())]
        return moved


@dataclass(frozen=True)
class Pivot:
    """One end of a chain turned about a bond (a dihedral angle changed): beads after a random bond, by up to `angle` (radians)."""

    angle: float = np.pi

    def __post_init__(self) -> None:
        if not 0.0 < self.angle <= np.pi:
            raise ValueError(f"angle = {self.angle} rad, expected up to pi")

    def __call__(self, positions: Positions, generator: np.random.Generator) -> Positions:
        bond = int(generator.integers(0, len(positions) - 2))
        return turned(positions, bond, bond + 1, len(positions), float(generator.uniform(-self.angle, self.angle)))


@dataclass(frozen=True)
class Crankshaft:
    """A stretch of a chain turned about the line through its two ends, by up to `angle` (radians); bond lengths stay."""

    angle: float = np.pi
    longest: int = 12

    def __post_init__(self) -> None:
        if not (0.0 < self.angle <= np.pi and self.longest >= 2):
            raise ValueError(f"angle = {self.angle} rad and longest = {self.longest}, expected up to pi and 2 or more")

    def __call__(self, positions: Positions, generator: np.random.Generator) -> Positions:
        length = int(generator.integers(2, min(self.longest, len(positions) - 1) + 1))
        first = int(generator.integers(0, len(positions) - length))
        return turned(
            positions, first, first + length, first + length, float(generator.uniform(-self.angle, self.angle))
        )


@dataclass(frozen=True)
class Compress:
    """All positions drawn towards their middle by `factor`, and shaken: open structures are forced to close.

    Attributes:
        factor: below 1.
        step: of the shaking, Angstrom.
    """

    factor: float = 0.75
    step: float = 0.3

    def __post_init__(self) -> None:
        if not (0.0 < self.factor < 1.0 and self.step > 0.0):
            raise ValueError(
                f"factor = {self.factor} and step = {self.step} A, expected 0 < factor < 1 and a positive step"
            )

    def __call__(self, positions: Positions, generator: np.random.Generator) -> Positions:
        middle = positions.mean(0)
        return Shake(self.step)(middle + self.factor * (positions - middle), generator)


@dataclass(frozen=True)
class Several:
    """One of several moves, each as likely as the others, or with the given `weights`."""

    moves: Sequence[Move]
    weights: Sequence[float] | None = None

    def __post_init__(self) -> None:
        if not self.moves:
            raise ValueError("no moves to choose from; expected at least one")
        if self.weights is not None and (
            len(self.weights) != len(self.moves) or min(self.weights) < 0.0 or not sum(self.weights) > 0
        ):
            raise ValueError(
                f"weights = {list(self.weights)} for {len(self.moves)} moves, expected one not below 0 for each"
            )

    def __call__(self, positions: Positions, generator: np.random.Generator) -> Positions:
        weights = None if self.weights is None else np.array(self.weights) / sum(self.weights)
        return self.moves[int(generator.choice(len(self.moves), p=weights))](positions, generator)


def directions(generator: np.random.Generator, count: int) -> Float[ndarray, "count 3"]:
    """Random unit vectors."""
    vectors = generator.normal(size=(count, 3))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def turned(positions: Positions, first: int, second: int, end: int, angle: float) -> Positions:
    """Beads from `first` + 1 up to `end` (not included) turned about the line from bead `first` to bead `second`."""
    axis = positions[second] - positions[first]
    rotation = Rotation.from_rotvec(angle * axis / np.linalg.norm(axis))
    moved = positions.copy()
    moved[first + 1 : end] = positions[first] + rotation.apply(positions[first + 1 : end] - positions[first])
    return moved


def random_cluster(count: int, nearest: float, generator: np.random.Generator) -> Positions:
    """Random positions in a ball with twice the volume that packed atoms `nearest` Angstrom apart take."""
    radius = 0.5 * nearest * (2.0 * count) ** (1.0 / 3.0)
    points = directions(generator, count) * radius * generator.random((count, 1)) ** (1.0 / 3.0)
    return spread_apart(points, 0.8 * nearest)


def spread_apart(positions: Positions, closest: float) -> Positions:
    """Atoms nearer to each other than `closest` (Angstrom) pushed apart along their connection until none is.

    Each sweep moves both atoms of every such pair by half of what they lack; after a hundred the whole cluster is swollen instead.
    """
    moved = positions.copy()
    for sweep in range(200):
        difference = moved[:, None] - moved
        distance = np.linalg.norm(difference, axis=2)
        np.fill_diagonal(distance, np.inf)
        near = distance < closest
        if not near.any():
            break
        if sweep >= 100:
            moved = moved.mean(0) + 1.05 * (moved - moved.mean(0))
            continue
        lack = np.where(near, 0.505 * (closest - distance), 0.0)
        moved = moved + np.einsum("ij,ija->ia", lack / np.maximum(distance, 1e-9), difference)
    return moved
