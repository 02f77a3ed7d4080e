"""An ensemble of potentials: its mean is the prediction, its spread says how well the data determine it.

With the members' predictions y_m, m = 1 ... M,

    mean = 1/M sum_m y_m,      spread = sqrt( 1/(M-1) sum_m (y_m - mean)^2 ),

for energy, every force component and every stress component (Behler, J. Phys.: Condens. Matter 26 (2014) 183001, committees).
The mean is itself conservative: its forces and stress are the derivatives of the mean energy.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from ase import Atoms
from jaxtyping import Float
from numpy import ndarray

from atomistic.neighbour_list import NeighbourList
from atomistic.network import Network
from atomistic.network_file import NetworkFileError, read_network_file, write_network_file
from atomistic.potential import NeuralPotential, Prediction

SCHEMA: Final = "atomlaw/potential-ensemble"
SCHEMA_VERSION: Final = 1


@dataclass(frozen=True)
class EnsemblePrediction:
    """Mean and spread of an ensemble for one structure.

    Attributes:
        mean: energy (eV), forces (eV/A), stress (eV/A^3).
        energy_spread: standard deviation of the members' energies, eV.
        force_spread: of each force component, eV/A.
        stress_spread: of each stress component, eV/A^3.
    """

    mean: Prediction
    energy_spread: float
    force_spread: Float[ndarray, "atoms 3"]
    stress_spread: Float[ndarray, "3 3"]


@dataclass(frozen=True)
class PotentialEnsemble:
    """Potentials for the same elements, trained alike from different seeds or data.

    Attributes:
        members: the potentials, at least two.
    """

    members: tuple[NeuralPotential, ...]

    def __post_init__(self) -> None:
        if len(self.members) < 2:
            raise ValueError(f"{len(self.members)} members, expected at least 2: one potential has no spread")
        elements = {member.descriptors.numbers for member in self.members}
        if len(elements) > 1:
            raise ValueError(f"members for the elements {sorted(elements)}, expected the same elements")

    @property
    def cutoff(self) -> float:
        """The largest of the members' cutoffs, Angstrom."""
        return max(member.cutoff for member in self.members)

    def predict(self, atoms: Atoms) -> EnsemblePrediction:
        """Mean and spread of energy, forces and stress of a structure.

        Raises:
            UnknownElement: where an element is not known.
        """
        neighbours = NeighbourList(self.cutoff, skin=0.0)
        return combine([member.predict(atoms, neighbours) for member in self.members])

    def mean(self) -> NeuralPotential:
        """The mean of the members as one potential, exactly, for all that takes a potential: their layers side by side (`Network.mean`).

        Descriptors, which cost most, are evaluated once.

        Raises:
            ValueError: where the members differ in descriptors, depth or activations.
        """
        first = self.members[0]
        for member in self.members[1:]:
            if member.descriptors != first.descriptors:
                raise ValueError("members with different descriptors have no mean in one network; use predict")
        networks = {
            number: Network.mean([member.networks[number] for member in self.members]) for number in first.networks
        }
        return NeuralPotential(first.descriptors, networks, {**first.provenance, "members": str(len(self.members))})

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write all members to one safetensors file, whole or not at all."""
        headers: list[dict[str, Any]] = []
        arrays: dict[str, ndarray] = {}
        for k, member in enumerate(self.members):
            header, own = member.contents()
            headers.append(header)
            arrays |= {f"{k}/{name}": array for name, array in own.items()}
        write_network_file(path, SCHEMA, SCHEMA_VERSION, {"members": headers}, arrays)

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, device: str = "cpu") -> "PotentialEnsemble":
        """Read an ensemble; nothing in the file is executed.

        Raises:
            NetworkFileError: where the file is missing, truncated, foreign, inconsistent or of another schema.
        """
        header, arrays = read_network_file(path, SCHEMA, SCHEMA_VERSION)
        try:
            members = []
            for k, own in enumerate(header["members"]):
                start = f"{k}/"
                named = {name.removeprefix(start): array for name, array in arrays.items() if name.startswith(start)}
                members.append(NeuralPotential.from_contents(own, named).to(device))
            return cls(tuple(members))
        except (KeyError, TypeError, ValueError) as error:
            raise NetworkFileError(
                f"{path} holds no consistent ensemble of potentials ({error!r}); save it again"
            ) from error


def combine(predictions: Sequence[Prediction]) -> EnsemblePrediction:
    """Mean and spread of the members' predictions of one structure."""
    energy = np.array([one.energy for one in predictions])
    forces = np.stack([one.forces for one in predictions])
    stress = np.stack([one.stress for one in predictions])
    energies = np.mean([one.energies for one in predictions], axis=0)
    return EnsemblePrediction(
        mean=Prediction(float(energy.mean()), forces.mean(0), stress.mean(0), energies),
        energy_spread=float(energy.std(ddof=1)),
        force_spread=forces.std(0, ddof=1),
        stress_spread=stress.std(0, ddof=1),
    )
