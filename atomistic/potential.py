"""Neural network potential of the Behler-Parrinello kind (Phys. Rev. Lett. 98 (2007) 146401).

The energy is a sum over atoms of per-element networks of atom-centred descriptors,

    E = sum_i N_{Z_i}(G_i),        N_Z(G) = e_Z + w_L . tanh(W_{L-1} ... tanh(W_1 G + b_1) ...) ,

so it is extensive and invariant under translation, rotation and permutation of like atoms. Forces and the virial are exact
derivatives: with the edge vectors r_ij and dE/dr_ij,

    f_i = sum_j dE/dr_ij - sum_{j: i is neighbour of j} dE/dr_ji,        sigma V = sum_ij dE/dr_ij (x) r_ij.
"""

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

import numpy as np
import torch
from ase import Atoms
from ase.data import chemical_symbols
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from atomistic.descriptors import SymmetryFunctions
from atomistic.neighbours import NeighbourTable, neighbour_table
from atomistic.network_file import NetworkFileError, read_network_file, write_network_file

SCHEMA: Final = "atomlaw/neural-potential"
SCHEMA_VERSION: Final = 1


class UnknownElement(ValueError):
    """A structure contains an element that the potential was not trained on."""


Layers = tuple[tuple[Tensor, Tensor], ...]
"""Weights (out, in) and biases (out,) of the layers of one network."""


def network_energy(layers: Layers, descriptors: Float[Tensor, "atoms functions"]) -> Float[Tensor, "atoms"]:
    """Atomic energies (eV) of one element's network: tanh layers, a linear one at the end."""
    hidden = descriptors
    for weight, bias in layers[:-1]:
        hidden = torch.tanh(hidden @ weight.T + bias)
    weight, bias = layers[-1]
    return (hidden @ weight.T + bias)[:, 0]


@dataclass(frozen=True)
class Prediction:
    """Energy (eV), forces (eV/A) and Cauchy stress (eV/A^3, tension positive) of one structure."""

    energy: float
    forces: Float[ndarray, "atoms 3"]
    stress: Float[ndarray, "3 3"]


@dataclass(frozen=True)
class NeuralPotential:
    """Per-element networks of symmetry functions.

    Attributes:
        descriptors: the symmetry functions, with the elements known.
        networks: the layers of each element's network, keyed by atomic number.
        provenance: how the potential was made; goes into its file.
    """

    descriptors: SymmetryFunctions
    networks: dict[int, Layers]
    provenance: dict[str, str]

    @property
    def cutoff(self) -> float:
        """Distance (Angstrom) beyond which atoms do not interact directly."""
        return self.descriptors.cutoff

    @property
    def device(self) -> torch.device:
        """Where the weights are, and all that is computed with them."""
        return next(iter(self.networks.values()))[0][0].device

    def to(self, device: str) -> "NeuralPotential":
        """The same potential on another device, such as "cuda"."""
        networks = {
            number: tuple((weight.to(device), bias.to(device)) for weight, bias in layers)
            for number, layers in self.networks.items()
        }
        return replace(self, networks=networks)

    def check_elements(self, atoms: Atoms) -> None:
        """Raises UnknownElement where `atoms` has an element outside the training set."""
        unknown = sorted(set(atoms.numbers.tolist()) - set(self.descriptors.numbers))
        if unknown:
            raise UnknownElement(
                f"element {', '.join(chemical_symbols[z] for z in unknown)} is unknown to the potential, which was trained on "
                f"{', '.join(chemical_symbols[z] for z in self.descriptors.numbers)}"
            )

    def atomic_energies(
        self, table: NeighbourTable, vectors: Float[Tensor, "atoms neighbours 3"] | None = None
    ) -> Float[Tensor, "atoms"]:
        """Energies (eV) of the atoms of a batch; `vectors` replaces the table's own, to differentiate by them."""
        vectors = table.vectors if vectors is None else vectors
        values = self.descriptors(vectors, table.neighbour_numbers, table.mask)
        if len(self.networks) == 1:
            (layers,) = self.networks.values()
            return network_energy(layers, values)
        energies = torch.zeros(len(values), dtype=values.dtype, device=values.device)
        for number, layers in self.networks.items():
            rows = torch.nonzero(table.numbers == number)[:, 0]
            energies = energies.index_add(0, rows, network_energy(layers, values[rows]))
        return energies

    def predict(self, atoms: Atoms) -> Prediction:
        """Energy, forces and stress of a structure; the stress is that of a full period of its cell.

        Raises:
            UnknownElement: where an element is not known.
        """
        self.check_elements(atoms)
        table = neighbour_table(atoms, self.cutoff).to(self.device)
        vectors = table.vectors.requires_grad_()
        energy = self.atomic_energies(table).sum()
        (pull,) = torch.autograd.grad(energy, vectors)
        forces = pull.sum(1).index_add(0, table.index[table.mask], -pull[table.mask])
        virial = torch.einsum("ami,amj->ij", pull, vectors.detach())
        volume = atoms.get_volume() if all(atoms.pbc) else np.inf
        return Prediction(
            energy=energy.item(),
            forces=forces.cpu().numpy(),
            stress=(0.5 * (virial + virial.T)).cpu().numpy() / volume,
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write weights and a JSON header to a safetensors file, whole or not at all."""
        header = {
            "descriptors": asdict(self.descriptors),
            "layers": {str(number): len(layers) for number, layers in self.networks.items()},
            "provenance": self.provenance,
        }
        arrays = {
            f"{number}.{k}.{name}": tensor.detach().cpu().numpy()
            for number, layers in self.networks.items()
            for k, layer in enumerate(layers)
            for name, tensor in zip(("weight", "bias"), layer, strict=True)
        }
        write_network_file(path, SCHEMA, SCHEMA_VERSION, header, arrays)

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, device: str = "cpu") -> "NeuralPotential":
        """Read a potential; nothing in the file is executed.

        Raises:
            NetworkFileError: where the file is missing, truncated, foreign, inconsistent or of another schema.
        """
        header, arrays = read_network_file(path, SCHEMA, SCHEMA_VERSION)
        try:
            fields: dict[str, Any] = {name: _tupled(value) for name, value in header["descriptors"].items()}
            networks = {
                int(number): tuple(
                    (torch.from_numpy(arrays[f"{number}.{k}.weight"]), torch.from_numpy(arrays[f"{number}.{k}.bias"]))
                    for k in range(count)
                )
                for number, count in header["layers"].items()
            }
            descriptors = SymmetryFunctions(**fields)
            for layers in networks.values():
                width = descriptors.count
                for weight, bias in layers:
                    if weight.shape != (len(bias), width):
                        raise ValueError(f"a layer has shape {tuple(weight.shape)}, expected ({len(bias)}, {width})")
                    width = len(bias)
            return cls(descriptors, networks, dict(header["provenance"])).to(device)
        except (KeyError, TypeError, ValueError) as error:
            raise NetworkFileError(f"{path} holds no consistent neural potential ({error!r}); save it again") from error


def _tupled(value: object) -> object:
    """JSON lists back to the tuples of a frozen dataclass."""
    return tuple(_tupled(item) for item in value) if isinstance(value, list) else value


def predict_all(potential: NeuralPotential, structures: Sequence[Atoms]) -> list[Prediction]:
    """Predictions for many structures, in order."""
    return [potential.predict(atoms) for atoms in structures]
