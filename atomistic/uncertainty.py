"""How wrong a potential may be: what every estimator of it answers, and the simplest of them, the spread of an ensemble.

An estimator knows the potential whose errors it estimates and gives, for any structure, figures that grow with the error expected.
They become standard deviations and intervals by calibration on structures that were kept from training (`atomistic.calibration`).
The others are the distances of `atomistic.descriptor_distance` and the Bayesian last layer of `atomistic.laplace`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np
from ase import Atoms
from jaxtyping import Float
from numpy import ndarray

from atomistic.ensemble import PotentialEnsemble, combine
from atomistic.last_layer import predict_together
from atomistic.neighbour_list import NeighbourList
from atomistic.potential import NeuralPotential, Prediction


class InvalidEstimator(ValueError):
    """Settings or training structures from which no estimator of the uncertainty can be made."""


@dataclass(frozen=True)
class Uncertainty:
    """Uncertainty of one structure's energy, forces and stress; None where an estimator does not give it.

    Attributes:
        energy: standard deviation of the energy, eV.
        forces: for each atom the standard deviation of one component of its force, the root mean square over the three components
            (so the same in every orientation), eV/A.
        stress: standard deviation of each component of the stress, eV/A^3; also None where the cell is not periodic in all directions.
        atomic: novelty of each atom, in the estimator's own units.
    """

    energy: float | None
    forces: Float[ndarray, "atoms"] | None
    stress: Float[ndarray, "3 3"] | None
    atomic: Float[ndarray, "atoms"]


@runtime_checkable
class UncertaintyEstimator(Protocol):
    """What all estimators offer; each is a frozen dataclass.

    Attributes:
        kind: name of the estimator in files.
    """

    kind: ClassVar[str]

    @property
    def cutoff(self) -> float:
        """Of the lists of neighbours that it takes, Angstrom."""
        ...

    def evaluate(self, atoms: Atoms, neighbours: NeighbourList | None = None) -> Uncertainty:
        """The uncertainty of one structure; a series of structures near each other, as in dynamics, shares a list `neighbours`.

        Raises:
            UnknownElement: where an element is not known.
            InvalidStructure: as `NeuralPotential.predict`.
        """
        ...

    def predict(self, atoms: Atoms, neighbours: NeighbourList | None = None) -> tuple[Prediction, Uncertainty]:
        """The prediction whose error is estimated, and the uncertainty: for no more than the two cost together."""
        ...

    def contents(self) -> tuple[dict[str, Any], dict[str, ndarray]]:
        """Header (JSON-able) and arrays that describe estimator and potential in a file."""
        ...

    @classmethod
    def from_contents(cls, header: Mapping[str, Any], arrays: Mapping[str, ndarray]) -> "UncertaintyEstimator":
        """The estimator that `contents` described.

        Raises:
            KeyError, TypeError, ValueError: where header and arrays are inconsistent.
        """
        ...


@dataclass(frozen=True)
class EnsembleSpread:
    """Standard deviation over the members of an ensemble; the prediction is their mean.

    Behler, J. Phys.: Condens. Matter 26 (2014) 183001; Musil and others, J. Chem. Theory Comput. 15 (2019) 906, for its calibration.
    The novelty of an atom is the spread of its force, eV/A.
    """

    kind: ClassVar[str] = "ensemble spread"

    ensemble: PotentialEnsemble

    @property
    def cutoff(self) -> float:
        """The largest of the members', Angstrom."""
        return self.ensemble.cutoff

    def evaluate(self, atoms: Atoms, neighbours: NeighbourList | None = None) -> Uncertainty:
        """Spread of energy, forces and stress."""
        return self.predict(atoms, neighbours)[1]

    def predict(self, atoms: Atoms, neighbours: NeighbourList | None = None) -> tuple[Prediction, Uncertainty]:
        """Mean and spread over the members."""
        prediction = combine(predict_together(self.ensemble.members, atoms, neighbours))
        forces = np.sqrt(np.square(prediction.force_spread).mean(1))
        stress = prediction.stress_spread if all(atoms.pbc) else None
        return prediction.mean, Uncertainty(prediction.energy_spread, forces, stress, forces)

    def contents(self) -> tuple[dict[str, Any], dict[str, ndarray]]:
        """Header and arrays of the members."""
        headers = []
        arrays: dict[str, ndarray] = {}
        for k, member in enumerate(self.ensemble.members):
            header, own = member.contents()
            headers.append(header)
            arrays |= prefixed(f"{k}/", own)
        return {"members": headers}, arrays

    @classmethod
    def from_contents(cls, header: Mapping[str, Any], arrays: Mapping[str, ndarray]) -> "EnsembleSpread":
        """The estimator that `contents` described."""
        members = [
            NeuralPotential.from_contents(own, with_prefix(f"{k}/", arrays)) for k, own in enumerate(header["members"])
        ]
        return cls(PotentialEnsemble(tuple(members)))


def prefixed(prefix: str, arrays: Mapping[str, ndarray]) -> dict[str, ndarray]:
    """Arrays under names that start with `prefix`: a part of a larger file."""
    return {prefix + name: array for name, array in arrays.items()}


def with_prefix(prefix: str, arrays: Mapping[str, ndarray]) -> dict[str, ndarray]:
    """The inverse of `prefixed`: only the arrays of that part, under their own names."""
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
