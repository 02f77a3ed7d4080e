r"""Training data as dense linear maps: what the descriptors say of energies, forces and stresses, computed once.

Descriptors G_id (atom i, function d) do not depend on the weights. With the networks' gradients g_id = dE/dG_id,

    forces and stress of a structure = sum_id g_id K_id,
    K_id = [ sum_m dG_id/dr_im (delta_ni - delta_nj(m)),   1/V sum_m dG_id/dr_im (x) r_im ],

one dense matrix a structure; an epoch of training is then a few matrix products. Structures of equal size are stacked.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from ase import Atoms
from ase.stress import full_3x3_to_voigt_6_stress
from jaxtyping import Float, Int
from torch import Tensor

from atomistic.descriptors import Descriptors
from atomistic.neighbours import NeighbourTable, join_tables, neighbour_table

VOIGT = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))


class InvalidTrainingData(ValueError):
    """A configuration without usable labels."""


@dataclass(frozen=True)
class Rows:
    """Structures with N atoms each, stacked.

    Attributes:
        numbers: atomic numbers.
        values: descriptors.
        jacobian: K of the module's docstring; columns are 3N force components, then six stress components (ASE's order, eV/A^3).
        energy: labels, eV a structure.
        targets: labels of the columns of `jacobian`.
        weight: of each structure in the loss, ``info["weight"]`` or 1.
    """

    numbers: Int[Tensor, "structures atoms"]
    values: Float[Tensor, "structures atoms functions"]
    jacobian: Float[Tensor, "structures atoms_functions columns"]
    energy: Float[Tensor, "structures"]
    targets: Float[Tensor, "structures columns"]
    weight: Float[Tensor, "structures"]

    def to(self, device: str) -> "Rows":
        """The same rows on another device."""
        return Rows(**{field.name: getattr(self, field.name).to(device) for field in fields(self)})


def check_labels(structures: Sequence[Atoms]) -> None:
    """Refuse configurations without finite energy, forces and stress.

    Raises:
        InvalidTrainingData: naming the configuration.
    """
    if not structures:
        raise InvalidTrainingData("no training configurations; expected at least one")
    for k, atoms in enumerate(structures):
        results = {} if atoms.calc is None else atoms.calc.results
        for name in ("energy", "forces", "stress"):
            if name not in results:
                raise InvalidTrainingData(f"configuration {k} ({atoms.get_chemical_formula()}) has no {name}")
            if not np.isfinite(results[name]).all():
                raise InvalidTrainingData(
                    f"configuration {k} ({atoms.get_chemical_formula()}) has a {name} that is not finite"
                )


def descriptor_rows(descriptors: Descriptors, structures: Sequence[Atoms], *, batch_atoms: int = 512) -> list[Rows]:
    """Descriptor values and dense Jacobians of labelled structures, one `Rows` for each number of atoms."""
    check_labels(structures)
    sizes = sorted({len(atoms) for atoms in structures})
    stacked = []
    for size in sizes:
        order = [k for k, atoms in enumerate(structures) if len(atoms) == size]
        step = max(1, batch_atoms // size)
        values, jacobians = [], []
        for start in range(0, len(order), step):
            batch = [structures[k] for k in order[start : start + step]]
            batch_values, batch_jacobian = _values_and_jacobian(descriptors, batch)
            values.append(batch_values)
            jacobians.append(batch_jacobian)
        chosen = [structures[k] for k in order]
        targets = [np.concatenate([np.ravel(atoms.get_forces()), _voigt(atoms.get_stress())]) for atoms in chosen]
        stacked.append(
            Rows(
                numbers=torch.tensor(np.array([atoms.numbers for atoms in chosen]), dtype=torch.int64),
                values=torch.cat(values),
                jacobian=torch.cat(jacobians),
                energy=torch.tensor([atoms.get_potential_energy() for atoms in chosen], dtype=torch.float64),
                targets=torch.tensor(np.array(targets), dtype=torch.float64),
                weight=torch.tensor([atoms.info.get("weight", 1.0) for atoms in chosen], dtype=torch.float64),
            )
        )
    return stacked


def _voigt(stress: np.ndarray) -> np.ndarray:
    return full_3x3_to_voigt_6_stress(stress) if np.shape(stress) == (3, 3) else np.asarray(stress)


def _values_and_jacobian(descriptors: Descriptors, batch: list[Atoms]) -> tuple[Tensor, Tensor]:
    """Values (structures, atoms, functions) and Jacobian (structures, atoms*functions, 3 atoms + 6) of equal-sized structures."""
    size, functions = len(batch[0]), max(descriptors.count(number) for number in descriptors.numbers)
    table: NeighbourTable = join_tables([neighbour_table(atoms, descriptors.cutoff) for atoms in batch])
    vectors = table.vectors.clone().requires_grad_()
    values = vectors.new_zeros(len(vectors), functions)
    for number in descriptors.numbers:
        centres = torch.nonzero(table.numbers == number)[:, 0]
        own_values = descriptors.values(number, vectors[centres], table.neighbour_numbers[centres], table.mask[centres])
        values = values.index_add(0, centres, torch.nn.functional.pad(own_values, (0, functions - own_values.shape[1])))
    atoms, neighbours = table.mask.shape
    local = (table.index % size)[..., None].expand(atoms, neighbours, 3)
    own = torch.arange(atoms) % size
    volumes = torch.tensor([structure.get_volume() for structure in batch], dtype=torch.float64).repeat_interleave(size)
    jacobian = torch.empty(atoms, functions, 3 * size + 6, dtype=torch.float64)
    for d in range(functions):
        (pull,) = torch.autograd.grad(values[:, d].sum(), vectors, retain_graph=True)
        pull = torch.where(table.mask[..., None], pull, 0.0)
        forces = torch.zeros(atoms, size, 3, dtype=torch.float64).scatter_add_(1, local, -pull)
        forces[torch.arange(atoms), own] += pull.sum(1)
        virial = torch.einsum("ami,amj->aij", pull, table.vectors) / volumes[:, None, None]
        jacobian[:, d, : 3 * size] = forces.flatten(1)
        for column, (i, j) in enumerate(VOIGT):
            jacobian[:, d, 3 * size + column] = 0.5 * (virial[:, i, j] + virial[:, j, i])
    return (
        values.detach().reshape(len(batch), size, functions),
        jacobian.reshape(len(batch), size * functions, 3 * size + 6),
    )
