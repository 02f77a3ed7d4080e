r"""How far an atom's neighbourhood lies from those of training: distances in the space of whitened descriptors.

For each element, with mean m and standard deviations s of the descriptors G over the training atoms, and the eigenvalues l_k and
eigenvectors V of their correlation matrix,

    z = V^T ((G - m) / s) / sqrt(l + floor max(l)),

so that the training data are near unit variance in every direction that they explore, and a departure along one that they do not
counts for up to 1 / sqrt(floor). The distances are

    nearest neighbour   d_i = min_t |z_i - z_t|          over training atoms t of the same element,
    Mahalanobis         d_i = |z_i|                      = sqrt((G - m)^T C^-1 (G - m)) with the regularised covariance C

(Mahalanobis, Proc. Natl. Inst. Sci. India 2 (1936) 49; in chemistry Janet and others, Chem. Sci. 10 (2019) 7913). They cost one
evaluation of the descriptors, no more potentials and no derivative, and say nothing of energies or stress.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final, final

import numpy as np
import torch
from ase import Atoms
from ase.data import chemical_symbols
from jaxtyping import Float, Int
from numpy import ndarray

from atomistic.descriptors import Descriptors
from atomistic.neighbour_list import NeighbourList, check_structure
from atomistic.neighbours import neighbour_table
from atomistic.potential import NeuralPotential, Prediction
from atomistic.uncertainty import InvalidEstimator, Uncertainty, prefixed, with_prefix

FLOOR: Final = 1e-4
MINIMUM_ATOMS: Final = 4


@dataclass(frozen=True)
class Whitening:
    """z = (G - mean) @ transform for one element."""

    mean: Float[ndarray, "functions"]
    transform: Float[ndarray, "functions directions"]

    @classmethod
    def fit(cls, descriptors: Float[ndarray, "atoms functions"], floor: float) -> "Whitening":
        """From the descriptors of the training atoms. Descriptors that never change there get the smallest scale of the others.

        Raises:
            InvalidEstimator: for a floor that is not positive, or descriptors that are the same for all atoms.
        """
        if not floor > 0.0:
            raise InvalidEstimator(f"floor = {floor}, expected a positive fraction of the largest eigenvalue")
        mean = descriptors.mean(0)
        scale = descriptors.std(0)
        changing = scale > 1e-10 * np.abs(mean).max()
        if not changing.any():
            raise InvalidEstimator(
                "all training atoms have the same descriptors, no distance can be measured in them; add other structures"
            )
        scale = np.where(changing, scale, scale[changing].min())
        standard = (descriptors - mean) / scale
        eigenvalues, vectors = np.linalg.eigh(standard.T @ standard / len(standard))
        return cls(mean, (vectors / np.sqrt(np.maximum(eigenvalues, 0.0) + floor * eigenvalues[-1])) / scale[:, None])

    def __call__(self, descriptors: Float[ndarray, "atoms functions"]) -> Float[ndarray, "atoms directions"]:
        """z of each atom."""
        return np.asarray((descriptors - self.mean) @ self.transform)


def atomic_descriptors(
    potential: NeuralPotential, atoms: Atoms
) -> dict[int, tuple[Int[ndarray, "own"], Float[ndarray, "own functions"]]]:
    """For each element of a structure, its atoms and their descriptors.

    Raises:
        UnknownElement: where an element is not known.
        InvalidStructure: positions or cell are not finite, or atoms are too many.
    """
    potential.check_elements(atoms)
    return descriptors_by_element(potential.descriptors, atoms)


def descriptors_by_element(
    descriptors: Descriptors, atoms: Atoms
) -> dict[int, tuple[Int[ndarray, "own"], Float[ndarray, "own functions"]]]:
    """The same of descriptors that know all elements of the structure.

    Raises:
        InvalidStructure: positions or cell are not finite, or atoms are too many.
    """
    check_structure(atoms, descriptors.cutoff)
    table = neighbour_table(atoms, descriptors.cutoff)
    answer = {}
    for number in sorted(set(atoms.numbers.tolist())):
        own = np.flatnonzero(atoms.numbers == number)
        rows = torch.from_numpy(own)
        with torch.no_grad():
            values = descriptors.values(number, table.vectors[rows], table.neighbour_numbers[rows], table.mask[rows])
        answer[number] = (own, values.numpy())
    return answer


def training_descriptors(
    potential: NeuralPotential, structures: Sequence[Atoms]
) -> dict[int, Float[ndarray, "atoms functions"]]:
    """Descriptors of all atoms of each element.

    Raises:
        InvalidEstimator: where an element of the potential has too few atoms in the structures.
        UnknownElement: where an element is not known.
    """
    parts: dict[int, list[ndarray]] = {number: [] for number in potential.descriptors.numbers}
    for atoms in structures:
        for number, (_, values) in atomic_descriptors(potential, atoms).items():
            parts[number].append(values)
    for number, own in parts.items():
        count = sum(map(len, own))
        if count < MINIMUM_ATOMS:
            raise InvalidEstimator(
                f"{count} atoms of {chemical_symbols[number]} in {len(structures)} structures, expected at least "
                f"{MINIMUM_ATOMS}: give the structures that the potential was trained on"
            )
    return {number: np.concatenate(own) for number, own in parts.items()}


@dataclass(frozen=True)
class WhitenedDistance(ABC):
    """A distance of each atom from the training data in the space of z.

    Attributes:
        kind: name of the estimator in files.
        potential: whose errors are estimated.
        whitenings: of each element, keyed by atomic number.
    """

    kind: ClassVar[str]

    potential: NeuralPotential
    whitenings: dict[int, Whitening]

    @abstractmethod
    def distances(self, number: int, points: Float[ndarray, "atoms directions"]) -> Float[ndarray, "atoms"]:
        """d of atoms of element `number` at the points z."""

    @property
    @final
    def cutoff(self) -> float:
        """Of the potential, Angstrom."""
        return self.potential.cutoff

    @final
    def evaluate(self, atoms: Atoms, neighbours: NeighbourList | None = None) -> Uncertainty:
        """The distance of each atom, without a unit; no use is made of `neighbours`."""
        distance = np.empty(len(atoms))
        for number, (own, values) in atomic_descriptors(self.potential, atoms).items():
            distance[own] = self.distances(number, self.whitenings[number](values))
        return Uncertainty(None, None, None, distance)

    @final
    def predict(self, atoms: Atoms, neighbours: NeighbourList | None = None) -> tuple[Prediction, Uncertainty]:
        """The potential's prediction and the distances."""
        return self.potential.predict(atoms, neighbours), self.evaluate(atoms)


@dataclass(frozen=True)
class MahalanobisDistance(WhitenedDistance):
    """|z| of each atom: the distance from the middle of the training data in units of their spread."""

    kind: ClassVar[str] = "Mahalanobis distance"

    @classmethod
    def fit(
        cls, potential: NeuralPotential, structures: Sequence[Atoms], *, floor: float = FLOOR
    ) -> "MahalanobisDistance":
        """From the training structures; labels are not looked at.

        Raises:
            InvalidEstimator: for too few atoms of an element, or a floor that is not positive.
        """
        descriptors = training_descriptors(potential, structures)
        return cls(potential, {number: Whitening.fit(own, floor) for number, own in descriptors.items()})

    def distances(self, number: int, points: Float[ndarray, "atoms directions"]) -> Float[ndarray, "atoms"]:
        """|z|."""
        return np.asarray(np.linalg.norm(points, axis=1))

    def contents(self) -> tuple[dict[str, Any], dict[str, ndarray]]:
        """Header and arrays of the potential and the whitenings."""
        return _to_contents(self.potential, self.whitenings)

    @classmethod
    def from_contents(cls, header: Mapping[str, Any], arrays: Mapping[str, ndarray]) -> "MahalanobisDistance":
        """The estimator that `contents` described."""
        return cls(*_from_contents(header, arrays))


@dataclass(frozen=True)
class NearestNeighbourDistance(WhitenedDistance):
    """|z - z_t| to the nearest training atom t of the same element.

    Attributes:
        references: z_t of the training atoms kept of each element.
    """

    kind: ClassVar[str] = "nearest-neighbour distance"

    references: dict[int, Float[ndarray, "kept directions"]]

    @classmethod
    def fit(
        cls, potential: NeuralPotential, structures: Sequence[Atoms], *, floor: float = FLOOR, references: int = 2000
    ) -> "NearestNeighbourDistance":
        """From the training structures; labels are not looked at.

        Of more than `references` atoms of an element those are kept that a farthest-point selection takes: no atom left out is
        farther from a kept one than the kept ones are from each other.

        Raises:
            InvalidEstimator: for too few atoms of an element, a floor that is not positive, or no references.
        """
        if references < 1:
            raise InvalidEstimator(f"references = {references}, expected a positive number")
        descriptors = training_descriptors(potential, structures)
        whitenings = {number: Whitening.fit(own, floor) for number, own in descriptors.items()}
        kept = {number: farthest_points(whitenings[number](own), references) for number, own in descriptors.items()}
        return cls(potential, whitenings, kept)

    def distances(self, number: int, points: Float[ndarray, "atoms directions"]) -> Float[ndarray, "atoms"]:
        """min_t |z - z_t|."""
        return nearest(points, self.references[number])

    def contents(self) -> tuple[dict[str, Any], dict[str, ndarray]]:
        """Header and arrays of the potential, the whitenings and the references."""
        header, arrays = _to_contents(self.potential, self.whitenings)
        return header, arrays | {f"{number}.references": points for number, points in self.references.items()}

    @classmethod
    def from_contents(cls, header: Mapping[str, Any], arrays: Mapping[str, ndarray]) -> "NearestNeighbourDistance":
        """The estimator that `contents` described."""
        potential, whitenings = _from_contents(header, arrays)
        references = {number: arrays[f"{number}.references"] for number in whitenings}
        for number, whitening in whitenings.items():
            if references[number].ndim != 2 or references[number].shape[1] != whitening.transform.shape[1]:
                raise ValueError(f"references of shape {references[number].shape} do not fit their whitening")
        return cls(potential, whitenings, references)


def nearest(
    points: Float[ndarray, "points directions"], references: Float[ndarray, "kept directions"]
) -> Float[ndarray, "points"]:
    """Distance of each point to the nearest reference.

    Brute force by one matrix product: in a hundred dimensions a tree visits all its leaves. The product's cancellation decides at most
    between neighbours that are equally near; the distance itself is computed from the difference.
    """
    half_squares = 0.5 * np.square(references).sum(1)
    chosen = np.argmin(half_squares - points @ references.T, axis=1)
    return np.asarray(np.linalg.norm(points - references[chosen], axis=1))


def farthest_points(points: Float[ndarray, "points directions"], count: int) -> Float[ndarray, "kept directions"]:
    """At most `count` of the points, each the farthest from those before it; the first is the one nearest to the mean."""
    if len(points) <= count:
        return points
    squares = np.square(points).sum(1)
    kept = [int(np.argmin(np.square(points - points.mean(0)).sum(1)))]
    distance = np.full(len(points), np.inf)
    for _ in range(count - 1):
        last = kept[-1]
        distance = np.minimum(distance, squares + squares[last] - 2.0 * (points @ points[last]))
        kept.append(int(np.argmax(distance)))
    return points[kept]


def _to_contents(
    potential: NeuralPotential, whitenings: Mapping[int, Whitening]
) -> tuple[dict[str, Any], dict[str, ndarray]]:
    header, arrays = potential.contents()
    arrays = prefixed("potential/", arrays)
    for number, whitening in whitenings.items():
        arrays |= {f"{number}.mean": whitening.mean, f"{number}.transform": whitening.transform}
    return {"potential": header}, arrays


def _from_contents(
    header: Mapping[str, Any], arrays: Mapping[str, ndarray]
) -> tuple[NeuralPotential, dict[int, Whitening]]:
    potential = NeuralPotential.from_contents(header["potential"], with_prefix("potential/", arrays))
    whitenings = {}
    for number in potential.descriptors.numbers:
        mean, transform = arrays[f"{number}.mean"], arrays[f"{number}.transform"]
        functions = potential.descriptors.count(number)
        if mean.shape != (functions,) or transform.shape != (functions, functions):
            raise ValueError(f"a whitening of shapes {mean.shape}, {transform.shape} for {functions} descriptors")
        whitenings[number] = Whitening(mean, transform)
    return potential, whitenings
