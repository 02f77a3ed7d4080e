r"""Training data as dense linear maps: what the descriptors say of energies, forces and stresses, computed once.

Descriptors G_id (atom i, function d) do not depend on the weights. With the networks' gradients g_id = dE/dG_id,

    forces and stress of a structure = sum_id g_id K_id,
    K_id = [ sum_m dG_id/dr_im (delta_ni - delta_nj(m)),   1/V sum_m dG_id/dr_im (x) r_im ],

one dense matrix a structure; an epoch of training is then a few matrix products. Structures of equal size are stacked.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from ase import Atoms
from ase.stress import full_3x3_to_voigt_6_stress
from jaxtyping import Float, Int
from torch import Tensor

from atomistic.descriptor_jacobian import values_and_jacobian
from atomistic.descriptors import Descriptors
from atomistic.label_checks import check_labels
from atomistic.neighbours import join_tables, neighbour_table

VOIGT = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))

WEIGHTS = ("energy", "forces", "stress")


@dataclass(frozen=True)
class Rows:
    """Structures with N atoms each, stacked.

    Attributes:
        numbers: atomic numbers.
        values: descriptors.
        jacobian: K of the module's docstring; columns are 3N force components, then six stress components (ASE's order, eV/A^3).
        energy: labels, eV a structure.
        targets: labels of the columns of `jacobian`.
        weights: of the squared errors of energy, forces and stress: ``info["weight"]`` (or 1) times ``info["energy_weight"]``,
            ``info["forces_weight"]`` and ``info["stress_weight"]`` (or 1).
    """

    numbers: Int[Tensor, "structures atoms"]
    values: Float[Tensor, "structures atoms functions"]
    jacobian: Float[Tensor, "structures atoms_functions columns"]
    energy: Float[Tensor, "structures"]
    targets: Float[Tensor, "structures columns"]
    weights: Float[Tensor, "structures 3"]

    def __len__(self) -> int:
        """Number of structures."""
        return len(self.energy)

    def __getitem__(self, chosen: slice) -> "Rows":
        """Some of the structures; views, nothing is copied."""
        return Rows(**{field.name: getattr(self, field.name)[chosen] for field in fields(self)})

    def columns(self, chosen: Int[Tensor, "kept"]) -> "Rows":
        """Some of the force components and all of the stress, by their indices."""
        return replace(self, jacobian=self.jacobian[..., chosen], targets=self.targets[:, chosen])

    def to(self, device: str) -> "Rows":
        """The same rows on another device."""
        return Rows(**{field.name: getattr(self, field.name).to(device) for field in fields(self)})


def descriptor_rows(descriptors: Descriptors, structures: Sequence[Atoms], *, batch_atoms: int = 256) -> list[Rows]:
    """Descriptor values and dense Jacobians of labelled structures, one `Rows` for each number of atoms, in the order given.

    Raises:
        InvalidTrainingData: for missing or non-finite labels.
    """
    check_labels(structures)
    stacked = []
    for size in sorted({len(atoms) for atoms in structures}):
        chosen = [atoms for atoms in structures if len(atoms) == size]
        functions = max(descriptors.count(number) for number in descriptors.numbers)
        values = torch.empty(len(chosen), size, functions, dtype=torch.float64)
        jacobian = torch.empty(len(chosen), size * functions, 3 * size + 6, dtype=torch.float64)
        step = max(1, batch_atoms // size)
        for start in range(0, len(chosen), step):
            batch = slice(start, start + step)
            values[batch], jacobian[batch] = _values_and_columns(descriptors, chosen[batch])
        targets = [np.concatenate([np.ravel(atoms.get_forces()), _voigt(atoms.get_stress())]) for atoms in chosen]
        stacked.append(
            Rows(
                numbers=torch.tensor(np.array([atoms.numbers for atoms in chosen]), dtype=torch.int64),
                values=values,
                jacobian=jacobian,
                energy=torch.tensor([atoms.get_potential_energy() for atoms in chosen], dtype=torch.float64),
                targets=torch.tensor(np.array(targets), dtype=torch.float64),
                weights=torch.tensor([_weights(atoms) for atoms in chosen], dtype=torch.float64),
            )
        )
    return stacked


def _weights(atoms: Atoms) -> list[float]:
    return [float(atoms.info.get("weight", 1.0) * atoms.info.get(f"{name}_weight", 1.0)) for name in WEIGHTS]


def _voigt(stress: np.ndarray) -> np.ndarray:
    return full_3x3_to_voigt_6_stress(stress) if np.shape(stress) == (3, 3) else np.asarray(stress)


def _values_and_columns(descriptors: Descriptors, batch: list[Atoms]) -> tuple[Tensor, Tensor]:
    """Values (structures, atoms, functions) and K (structures, atoms*functions, 3 atoms + 6) of equal-sized structures."""
    size = len(batch[0])
    table = join_tables([neighbour_table(atoms, descriptors.cutoff) for atoms in batch])
    values, slopes = values_and_jacobian(descriptors, table)
    atoms, functions, neighbours, _ = slopes.shape
    own = torch.arange(atoms) % size
    neighbour = torch.where(table.mask, table.index % size, own[:, None])
    forces = torch.zeros(atoms, size, functions, 3, dtype=torch.float64)
    # Padded entries have no slope: whichever atom they point to gets nothing.
    slots = neighbour[..., None, None].expand(atoms, neighbours, functions, 3)
    forces.scatter_add_(1, slots, -slopes.transpose(1, 2))
    forces[torch.arange(atoms), own] += slopes.sum(2)
    volumes = torch.tensor([structure.get_volume() for structure in batch], dtype=torch.float64).repeat_interleave(size)
    virial = slopes.transpose(-1, -2) @ table.vectors[:, None] / volumes[:, None, None, None]
    symmetric = 0.5 * (virial + virial.transpose(-1, -2))
    stress = torch.stack([symmetric[..., i, j] for i, j in VOIGT], dim=-1)
    columns = torch.cat([forces.transpose(1, 2).flatten(2), stress], dim=-1)
    return (
        values.reshape(len(batch), size, functions),
        columns.reshape(len(batch), size * functions, 3 * size + 6),
    )
