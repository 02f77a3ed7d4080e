"""Force constants from a potential's own second derivatives, by all edges of a cell at once or by products with vectors."""

from typing import Final

import numpy as np
import torch
from ase import Atoms
from jaxtyping import Float
from numpy import ndarray

from atomistic.crystal import check_crystal
from atomistic.memory import check_memory
from atomistic.neighbours import neighbour_table
from atomistic.second_derivatives import AtomicEnergies, edge_hessian, hessian_operator
from atomistic.vibrations.force_constants import ForceConstants, from_supercell, merged, needed_repeats

BYTES: Final = 8
COPIES: Final = 4
"""Blocks of all edges, the rows they are made of, their contributions to pairs, and what sorts these."""

FORCE_TOLERANCE: Final = 1e-3
"""Residual force (eV/A) above which frequencies are not those of a crystal at rest."""


class ResidualForces(ValueError):
    """The atoms are not at rest: no harmonic vibrations about this structure."""


def force_constants(
    potential: AtomicEnergies,
    crystal: Atoms,
    *,
    force_tolerance: float = FORCE_TOLERANCE,
    matrix_free: bool = False,
    memory: float | None = None,
) -> ForceConstants:
    """Exact force constants of a crystal; no displacements and no supercell.

    The second derivatives of the cell's atomic energies by their edges hold all pairs. With `matrix_free` they are not stored: products of
    the Hessian of a supercell with displacements of single atoms of the cell give the force constants column by column.

    Args:
        potential: the potential, or any other differentiable model of atomic energies.
        crystal: atoms at rest.
        force_tolerance: largest force (eV/A) at which they count as at rest; infinity for curvature anywhere.
        matrix_free: three products for each atom of the cell, in a supercell of the needed size.
        memory: bytes that the derivatives by the edges may take; half of the machine's where None.

    Raises:
        InvalidCrystal: for what is no crystal.
        UnknownElement: where an element is not known.
        ResidualForces: where a force is larger than `force_tolerance`.
        HessianTooLarge: before anything is allocated.
        ValueError: for a memory that is not positive.
    """
    check_crystal(crystal)
    potential.check_elements(crystal)
    check_at_rest(_forces(potential, crystal), force_tolerance)
    if matrix_free:
        return _by_products(potential, crystal)
    edges = neighbour_table(crystal, potential.cutoff).mask.shape[1] + 1
    check_memory(
        f"second derivatives by all edges of {len(crystal)} atoms",
        COPIES * BYTES * len(crystal) * (3 * edges) ** 2,
        memory,
        "take the primitive cell, or matrix_free=True, which stores none of them",
    )
    return _by_edges(potential, crystal)


def check_at_rest(forces: Float[ndarray, "atoms 3"], tolerance: float) -> None:
    """Raises ResidualForces, naming the largest force and its atom."""
    sizes = np.linalg.norm(forces, axis=1)
    atom = int(sizes.argmax())
    if not sizes[atom] <= tolerance:
        raise ResidualForces(
            f"the force on atom {atom} is {sizes[atom]:.3g} eV/A, expected at most {tolerance:g}: relax the crystal with the same model "
            "(relax_crystal), or pass force_tolerance=inf for the curvature of a structure that is not at rest"
        )


def _forces(potential: AtomicEnergies, crystal: Atoms) -> Float[ndarray, "atoms 3"]:
    table = neighbour_table(crystal, potential.cutoff).to(potential.device)
    table.vectors.requires_grad_()
    (pull,) = torch.autograd.grad(potential.atomic_energies(table).sum(), table.vectors)
    forces = pull.sum(1).index_add(0, table.index[table.mask], -pull[table.mask])
    return np.asarray(forces.cpu().numpy())


def _by_edges(potential: AtomicEnergies, crystal: Atoms) -> ForceConstants:
    curvature = edge_hessian(potential, crystal)
    index, vectors = curvature.index.numpy(), curvature.vectors.numpy()
    atoms, ends = index.shape
    straight = crystal.positions[index] - crystal.positions[:, None]
    shifts = np.rint((vectors - straight) @ np.linalg.inv(crystal.cell.array)).astype(np.int64)
    pairs = (atoms, ends, ends)
    return merged(
        crystal,
        np.broadcast_to(index[:, :, None], pairs).ravel(),
        np.broadcast_to(index[:, None, :], pairs).ravel(),
        (shifts[:, None, :] - shifts[:, :, None]).reshape(-1, 3),
        curvature.blocks.numpy().transpose(0, 1, 3, 2, 4).reshape(-1, 3, 3),
    )


def _by_products(potential: AtomicEnergies, crystal: Atoms) -> ForceConstants:
    repeats = needed_repeats(crystal.cell.array, 2.0 * potential.cutoff)
    # ASE repeats whole cells, the last vector fastest
    supercell = crystal.repeat(repeats)
    operator = hessian_operator(potential, supercell)
    size, copies = len(crystal), len(supercell) // len(crystal)
    blocks = np.empty((size, len(supercell), 3, 3))
    for n in range(size):
        for a in range(3):
            displacement = np.zeros(3 * len(supercell))
            displacement[3 * n + a] = 1.0
            blocks[n, :, a] = np.asarray(operator.matvec(displacement)).reshape(-1, 3)
    shifts = np.stack(np.meshgrid(*map(np.arange, repeats), indexing="ij"), axis=-1).reshape(-1, 3)
    return from_supercell(crystal, repeats, np.tile(np.arange(size), copies), np.repeat(shifts, size, axis=0), blocks)
