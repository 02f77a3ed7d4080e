"""Neural network potential of the Behler-Parrinello kind (Phys. Rev. Lett. 98 (2007) 146401).

The energy is a sum over atoms of per-element networks of atom-centred descriptors,

    E = sum_i N_{Z_i}(G_i),        N_Z(G) = e_Z + w_L . tanh(W_{L-1} ... tanh(W_1 G + b_1) ...) ,

so it is extensive and invariant under translation, rotation and permutation of like atoms. Forces and the virial are exact
derivatives: with the edge vectors r_ij and dE/dr_ij,

    f_i = sum_j dE/dr_ij - sum_{j: i is neighbour of j} dE/dr_ji,        sigma V = sum_ij dE/dr_ij (x) r_ij.

Predictions on the CPU come from a compiled kernel where the descriptors have one (`atomistic.kernel`), from torch elsewhere, with equal
numbers.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final

import numpy as np
import torch
from ase import Atoms
from ase.data import chemical_symbols
from jaxtyping import Float, Int32
from numpy import ndarray
from torch import Tensor

from atomistic.descriptors import Descriptors, descriptors_from_header, descriptors_to_header
from atomistic.kernel import Kernel, kernel_for
from atomistic.neighbour_list import CLOSEST, InvalidStructure, NeighbourList, check_structure
from atomistic.neighbours import NeighbourTable, neighbour_table
from atomistic.network import Network
from atomistic.network_file import NetworkFileError, read_network_file, write_network_file

SCHEMA: Final = "atomlaw/neural-potential"
SCHEMA_VERSION: Final = 2


class UnknownElement(ValueError):
    """A structure contains an element that the potential was not trained on."""


@dataclass(frozen=True)
class Prediction:
    """Energy (eV), forces (eV/A), Cauchy stress (eV/A^3, tension positive) and atomic energies (eV) of one structure."""

    energy: float
    forces: Float[ndarray, "atoms 3"]
    stress: Float[ndarray, "3 3"]
    energies: Float[ndarray, "atoms"]


@dataclass(frozen=True)
class NeuralPotential:
    """Per-element networks of atom-centred descriptors.

    Attributes:
        descriptors: the descriptors, with the elements known.
        networks: each element's network, keyed by atomic number.
        provenance: how the potential was made; goes into its file.
    """

    descriptors: Descriptors
    networks: dict[int, Network]
    provenance: dict[str, str]

    @property
    def cutoff(self) -> float:
        """Distance (Angstrom) beyond which atoms do not interact directly."""
        return self.descriptors.cutoff

    @property
    def device(self) -> torch.device:
        """Where the weights are, and all that is computed with them."""
        return next(iter(self.networks.values())).layers[0][0].device

    def to(self, device: str) -> "NeuralPotential":
        """The same potential on another device, such as "cuda"."""
        networks = {number: network.to(device) for number, network in self.networks.items()}
        return replace(self, networks=networks)

    @cached_property
    def _places(self) -> Int32[ndarray, "numbers"]:
        """Place in the descriptors' numbers by atomic number, -1 for an unknown element."""
        places = np.full(len(chemical_symbols), -1, dtype=np.int32)
        places[list(self.descriptors.numbers)] = np.arange(len(self.descriptors.numbers))
        return places

    def check_elements(self, atoms: Atoms) -> None:
        """Raises UnknownElement where `atoms` has an element outside the training set."""
        if (self._places[atoms.numbers] >= 0).all():
            return
        unknown = sorted(set(atoms.numbers.tolist()) - set(self.descriptors.numbers))
        raise UnknownElement(
            f"element {', '.join(chemical_symbols[z] for z in unknown)} is unknown to the potential, which was trained on "
            f"{', '.join(chemical_symbols[z] for z in self.descriptors.numbers)}"
        )

    def atomic_energies(
        self, table: NeighbourTable, vectors: Float[Tensor, "atoms neighbours 3"] | None = None
    ) -> Float[Tensor, "atoms"]:
        """Energies (eV) of the atoms of a batch; `vectors` replaces the table's own, to differentiate by them."""
        vectors = table.vectors if vectors is None else vectors
        if len(self.networks) == 1:
            ((number, network),) = self.networks.items()
            return network(self.descriptors.values(number, vectors, table.neighbour_numbers, table.mask))
        energies = torch.zeros(len(vectors), dtype=vectors.dtype, device=vectors.device)
        for number, network in self.networks.items():
            rows = torch.nonzero(table.numbers == number)[:, 0]
            values = self.descriptors.values(number, vectors[rows], table.neighbour_numbers[rows], table.mask[rows])
            energies = energies.index_add(0, rows, network(values))
        return energies

    @cached_property
    def kernel(self) -> Kernel | None:
        """The compiled kernel with these weights, packed at first use; None where torch computes predictions."""
        return kernel_for(self.descriptors, self.networks)

    def __getstate__(self) -> dict[str, Any]:
        """What is pickled and copied: C structures stay, and are made again at first use."""
        return {name: value for name, value in self.__dict__.items() if name != "kernel"}

    def predict(self, atoms: Atoms, neighbours: NeighbourList | None = None, *, threads: int = 1) -> Prediction:
        """Energies, forces and stress of a structure; the stress is that of a full period of its cell.

        A series of structures near each other, as in dynamics, shares a list `neighbours` of at least the potential's cutoff. `threads`
        and the list matter to the compiled kernel only.

        Raises:
            UnknownElement: where an element is not known.
            InvalidStructure: positions or cell are not finite, atoms are on top of each other or too many.
        """
        self.check_elements(atoms)
        if self.kernel is None:
            energies, forces, virial = self._by_torch(atoms)
        else:
            neighbours = NeighbourList(self.cutoff, skin=0.0) if neighbours is None else neighbours
            if neighbours.cutoff < self.cutoff:
                raise ValueError(
                    f"a list of {neighbours.cutoff:g} A, expected the potential's {self.cutoff:g} A or more"
                )
            rows, positions = neighbours.update(atoms)
            elements = self._places[atoms.numbers]
            energies, forces, virial = self.kernel.evaluate(rows, positions, elements, threads)
        volume = atoms.get_volume() if all(atoms.pbc) else np.inf
        return Prediction(float(energies.sum()), forces, 0.5 * (virial + virial.T) / volume, energies)

    def _by_torch(
        self, atoms: Atoms
    ) -> tuple[Float[ndarray, "atoms"], Float[ndarray, "atoms 3"], Float[ndarray, "3 3"]]:
        """Energies, forces and virial without the kernel."""
        check_structure(atoms, self.cutoff)
        table = neighbour_table(atoms, self.cutoff).to(self.device)
        vectors = table.vectors.requires_grad_()
        distances = vectors.detach().norm(dim=-1).masked_fill(~table.mask, torch.inf)
        if (distances < CLOSEST).any():
            raise InvalidStructure(
                f"two atoms are {distances.min().item():.3g} A apart, expected at least {CLOSEST:g} A; the structure is wrong or the "
                "simulation has blown up"
            )
        energies = self.atomic_energies(table)
        (pull,) = torch.autograd.grad(energies.sum(), vectors)
        forces = pull.sum(1).index_add(0, table.index[table.mask], -pull[table.mask])
        virial = torch.einsum("ami,amj->ij", pull, vectors.detach())
        return energies.detach().cpu().numpy(), forces.cpu().numpy(), virial.cpu().numpy()

    def contents(self) -> tuple[dict[str, Any], dict[str, ndarray]]:
        """Header (JSON-able) and arrays that describe the potential in a file."""
        header = {
            "descriptors": descriptors_to_header(self.descriptors),
            "networks": {str(number): list(network.activations) for number, network in self.networks.items()},
            "provenance": self.provenance,
        }
        arrays = {}
        for number, network in self.networks.items():
            for k, layer in enumerate(network.layers):
                for name, tensor in zip(("weight", "bias"), layer, strict=True):
                    arrays[f"{number}.{k}.{name}"] = tensor.detach().cpu().numpy()
            if network.skip is not None:
                arrays[f"{number}.skip"] = network.skip.detach().cpu().numpy()
        return header, arrays

    @classmethod
    def from_contents(cls, header: Mapping[str, Any], arrays: Mapping[str, ndarray]) -> "NeuralPotential":
        """The potential that `contents` described.

        Raises:
            KeyError, TypeError, ValueError: where header and arrays are inconsistent.
        """
        descriptors = descriptors_from_header(header["descriptors"])
        networks = {}
        for key, activations in header["networks"].items():
            layers = tuple(
                (torch.from_numpy(arrays[f"{key}.{k}.weight"]), torch.from_numpy(arrays[f"{key}.{k}.bias"]))
                for k in range(len(activations) + 1)
            )
            skip = torch.from_numpy(arrays[f"{key}.skip"]) if f"{key}.skip" in arrays else None
            networks[int(key)] = Network(layers, tuple(activations), skip)
        for number, network in networks.items():
            if network.inputs != descriptors.count(number):
                raise ValueError(f"a network takes {network.inputs} descriptors of {descriptors.count(number)}")
        return cls(descriptors, networks, dict(header["provenance"]))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write weights and a JSON header to a safetensors file, whole or not at all."""
        header, arrays = self.contents()
        write_network_file(path, SCHEMA, SCHEMA_VERSION, header, arrays)

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, device: str = "cpu") -> "NeuralPotential":
        """Read a potential; nothing in the file is executed.

        Raises:
            NetworkFileError: where the file is missing, truncated, foreign, inconsistent or of another schema.
        """
        header, arrays = read_network_file(path, SCHEMA, SCHEMA_VERSION)
        try:
            return cls.from_contents(header, arrays).to(device)
        except (KeyError, TypeError, ValueError) as error:
            raise NetworkFileError(f"{path} holds no consistent neural potential ({error!r}); save it again") from error


def predict_all(potential: NeuralPotential, structures: Sequence[Atoms]) -> list[Prediction]:
    """Predictions for many structures, in order."""
    return [potential.predict(atoms) for atoms in structures]
