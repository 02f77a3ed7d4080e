r"""Rows of a Hessian in the linear model of a potential's last layer, exact.

With the features phi_p of the atoms (`atomistic.last_layer`) E = sum_p w_p sum_i phi_ip, so a product of the Hessian with a displacement v
is linear in the weights as energies and forces are,

    H v = sum_p w_p R_p(v),        R_p(v) = d/dt [ d(sum_i phi_ip)/dx ] at x + t v,        t = 0 .

The gradient of a feature by the edges of atom i is A_i S_i with A_i = d phi/dG (the layers) and S_i = dG_i/dr (the descriptors), and its
change along v is A_i dS_i + dA_i S_i: one pass of dual numbers through the descriptors' Jacobian (`atomistic.descriptor_jacobian`) gives
S, dS and dG, one through the layers A and dA. Nothing is a difference quotient.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

import numpy as np
import torch
import torch.autograd.forward_ad as dual
from ase import Atoms
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor
from torch.func import jacfwd, jvp, vmap

from atomistic.descriptor_jacobian import values_and_jacobian
from atomistic.neighbours import NeighbourTable, join_tables, neighbour_table
from atomistic.network import Network
from atomistic.potential import NeuralPotential

ATOMS_AT_ONCE: Final = 192
"""Atoms in one pass of dual numbers, whose overhead is that of many atoms."""


def hessian_rows(
    potential: NeuralPotential,
    structures: Sequence[Atoms],
    directions: Sequence[Float[ndarray, "_ 3"]],
) -> Iterator[Float[ndarray, "coordinates columns"]]:
    """R(v) of each structure along its direction v (eV/A^2 for a unit weight, times the unit of v); columns as in `last_layer`.

    Times the weights of the last layer they are H v.

    Raises:
        UnknownElement: where an element is not known.
    """
    batch: list[tuple[NeighbourTable, Tensor]] = []
    for atoms, direction in zip(structures, directions, strict=True):
        potential.check_elements(atoms)
        table = neighbour_table(atoms, potential.cutoff)
        if batch and sum(len(one.numbers) for one, _ in batch) + len(atoms) > ATOMS_AT_ONCE:
            yield from _along(potential, batch)
            batch = []
        batch.append((table, torch.from_numpy(np.ascontiguousarray(direction, dtype=np.float64))))
    if batch:
        yield from _along(potential, batch)


def _along(potential: NeuralPotential, batch: list[tuple[NeighbourTable, Tensor]]) -> list[ndarray]:
    table = join_tables([one for one, _ in batch])
    direction = torch.cat([one for _, one in batch])
    along = (direction[table.index] - direction[:, None]) * table.mask[..., None]
    with dual.dual_level():
        moving = replace(table, vectors=dual.make_dual(table.vectors, along))
        values, moved = values_and_jacobian(potential.descriptors, moving)
        both = dual.unpack_dual(moved)
        slopes, slopes_change = both.primal, both.tangent
    values_change = torch.einsum("afmk,amk->af", slopes, along)
    parts = []
    for number in potential.descriptors.numbers:
        own = torch.nonzero(table.numbers == number)[:, 0]
        network = potential.networks[number]
        by_edges = _gradient_change(
            network, *(part[own, : network.inputs] for part in (values, values_change, slopes, slopes_change))
        )
        parts.append(_folded(by_edges, own, table))
    columns = torch.cat(parts, dim=-1)
    return [part.flatten(0, 1).numpy() for part in columns.split([len(one.numbers) for one, _ in batch])]


def _gradient_change(
    network: Network,
    values: Float[Tensor, "own functions"],
    values_change: Float[Tensor, "own functions"],
    slopes: Float[Tensor, "own functions neighbours 3"],
    slopes_change: Float[Tensor, "own functions neighbours 3"],
) -> Float[Tensor, "own features neighbours 3"]:
    """d/dt of the features' derivatives by the edges: hidden units, the constant, descriptors where there is a skip."""
    layers = vmap(jacfwd(lambda one: network.hidden(one[None])[0]))
    hidden, hidden_change = jvp(layers, (values,), (values_change,))[:2]
    change = torch.einsum("apf,afmk->apmk", hidden, slopes_change)
    change += torch.einsum("apf,afmk->apmk", hidden_change, slopes)
    constant = torch.zeros_like(change[:, :1])
    return torch.cat([change, constant] + ([] if network.skip is None else [slopes_change]), dim=1)


def _folded(
    by_edges: Float[Tensor, "own features neighbours 3"], own: Tensor, table: NeighbourTable
) -> Float[Tensor, "atoms 3 features"]:
    """By the positions: an edge of i to j pulls at j and pushes i."""
    columns = by_edges.permute(0, 2, 3, 1)
    total = columns.new_zeros(len(table.numbers), 3, columns.shape[-1])
    mask = table.mask[own]
    total.index_add_(0, table.index[own][mask], columns[mask])
    total.index_add_(0, own, -columns.sum(1))
    return total
