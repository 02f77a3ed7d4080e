r"""Second derivatives of a neural potential's energy by the positions, exact: dense, as products with vectors, and with strain.

An atomic energy E_i depends on atom i's own edge vectors r_im alone. With its second derivatives by them,

    K_i[m, a; m', b] = d2E_i / dr_im,a dr_im',b,        dr_im/dx_n = delta_n,j(m) - delta_n,i,

the Hessian is a sum of small blocks, H_na,n'b = sum_i sum_mm' dr_im/dx_n dr_im'/dx_n' K_i[m, a; m', b], in which row (m, a) of the K_i of
*all* atoms is one backward pass: as many passes as an atom has edge components, however large the structure. A product H v needs
no K: it is one backward pass along dr_im = v_j(m) - v_i.
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from ase import Atoms
from jaxtyping import Complex, Float, Int
from numpy import ndarray
from scipy.sparse.linalg import LinearOperator
from torch import Tensor

from atomistic.neighbours import NeighbourTable, neighbour_table

EDGES_AT_ONCE = 20_000
"""Edges times directions differentiated in one backward pass: bounds the memory."""


@runtime_checkable
class AtomicEnergies(Protocol):
    """What can be differentiated here: atomic energies that torch computes of each atom's own edges. Every `NeuralPotential` is one."""

    @property
    def cutoff(self) -> float:
        """Length (Angstrom) of the longest edge that matters."""
        ...

    @property
    def device(self) -> torch.device:
        """Where the energies are computed."""
        ...

    def check_elements(self, atoms: Atoms) -> None:
        """Raises UnknownElement for elements without a model."""
        ...

    def atomic_energies(self, table: NeighbourTable) -> Float[Tensor, "atoms"]:
        """Energies (eV), twice differentiable by `table.vectors`."""
        ...


def hessian(potential: AtomicEnergies, atoms: Atoms) -> Float[ndarray, "coordinates coordinates"]:
    """H = d2E/dx2 = -df/dx (eV/A^2), 3N x 3N, coordinates atom by atom; symmetric and zero on rigid translations to round-off.

    Raises:
        UnknownElement: where an element is not known.
    """
    coordinates = 3 * len(atoms)
    return edge_hessian(potential, atoms).folded().numpy().reshape(coordinates, coordinates)


def hessian_vector_product(
    potential: AtomicEnergies, atoms: Atoms, vector: Float[ndarray, "atoms 3"]
) -> Float[ndarray, "atoms 3"]:
    """H v (eV/A^2 times the unit of v) without forming H; for many products make one `hessian_operator`.

    Raises:
        UnknownElement: where an element is not known.
        ValueError: where the vector has another shape, or is not finite.
    """
    vector = np.asarray(vector, dtype=np.float64)
    if vector.shape != (len(atoms), 3):
        raise ValueError(
            f"the vector has shape {vector.shape}, expected {(len(atoms), 3)}: a displacement for each atom"
        )
    if not np.isfinite(vector).all():
        raise ValueError("the vector contains NaN or infinity")
    return np.asarray(hessian_operator(potential, atoms).matvec(vector.ravel())).reshape(-1, 3)


def hessian_operator(potential: AtomicEnergies, atoms: Atoms) -> LinearOperator:
    """H as an operator on vectors of 3N components, for scipy's iterative solvers; it holds the graph of the forces meanwhile.

    Raises:
        UnknownElement: where an element is not known.
    """
    table, pull = _edge_gradient(potential, atoms)
    size = 3 * len(atoms)

    def product(vector: ndarray) -> ndarray:
        displacement = torch.from_numpy(np.ascontiguousarray(vector, dtype=np.float64)).reshape(-1, 3).to(pull.device)
        along = displacement[table.index] - displacement[:, None]
        (change,) = torch.autograd.grad(pull, table.vectors, along, retain_graph=True)
        folded = (-change.sum(1)).index_add(0, table.index[table.mask], change[table.mask])
        return np.asarray(folded.cpu().numpy().reshape(np.shape(vector)))

    return LinearOperator((size, size), matvec=product, rmatvec=product, dtype=np.float64)


def internal_strain(potential: AtomicEnergies, atoms: Atoms) -> Float[ndarray, "atoms 3 3 3"]:
    """Forces set free by strain, L[n,a,j,k] = df_na / deps_jk (eV/A): cell and atoms are carried along by x -> (1 + eps) x.

    With it the internal relaxation of the elastic constants at rest is -L : H^+ : L / V (Born and Huang 1954, ch. 3).

    Raises:
        UnknownElement: where an element is not known.
    """
    return edge_hessian(potential, atoms).internal_strain().numpy()


@dataclass(frozen=True)
class EdgeHessian:
    """The blocks K_i of all atoms of a structure, eV/A^2.

    Attributes:
        vectors: edge vectors r_im, Angstrom; the last one is zero and stands for the atom itself.
        index: the atom j(m) at the end of each edge; the last one is i.
        blocks: K_i, with minus the sums over m in the rows and columns of the atom itself.
    """

    vectors: Float[Tensor, "atoms ends 3"]
    index: Int[Tensor, "atoms ends"]
    blocks: Float[Tensor, "atoms ends 3 ends 3"]

    def folded(
        self, wave_vector: Float[ndarray, "3"] | None = None
    ) -> Float[Tensor, "atoms 3 atoms 3"] | Complex[Tensor, "atoms 3 atoms 3"]:
        """H at a wave vector q (1/A, with its 2 pi): entry (n, n') carries exp(i q . (x_n' - x_n)); complex, real where None."""
        blocks = self.blocks
        if wave_vector is not None:
            phase = torch.exp(1j * (self.vectors @ torch.from_numpy(np.asarray(wave_vector, dtype=np.float64))))
            blocks = phase.conj()[:, :, None, None, None] * blocks * phase[:, None, None, :, None]
        size = len(self.index)
        total = torch.zeros(size, size, 3, 3, dtype=blocks.dtype)
        total.index_put_((self.index[:, :, None], self.index[:, None, :]), blocks.transpose(2, 3), accumulate=True)
        return total.transpose(1, 2)

    def internal_strain(self) -> Float[Tensor, "atoms 3 3 3"]:
        """df_na / deps_jk: the edges change by eps r."""
        strained = torch.einsum("nmawb,nwc->nmabc", self.blocks, self.vectors)
        total = torch.zeros(len(self.index), 3, 3, 3, dtype=torch.float64)
        return -total.index_add(0, self.index.flatten(), strained.flatten(0, 1))


def edge_hessian(potential: AtomicEnergies, atoms: Atoms) -> EdgeHessian:
    """The second derivatives of all atomic energies by the atoms' own edge vectors.

    Raises:
        UnknownElement: where an element is not known.
    """
    table, pull = _edge_gradient(potential, atoms)
    size, edges, _ = pull.shape
    blocks = torch.zeros(size, edges + 1, 3, edges + 1, 3, dtype=torch.float64)
    step = max(1, EDGES_AT_ONCE // (size * edges))
    directions = [(m, a) for m in range(edges) for a in range(3)]
    for start in range(0, len(directions), step):
        batch = directions[start : start + step]
        along = pull.new_zeros(len(batch), *pull.shape)
        for row, (m, a) in enumerate(batch):
            along[row, :, m, a] = 1.0
        (rows,) = torch.autograd.grad(pull, table.vectors, along, retain_graph=True, is_grads_batched=True)
        for (m, a), row in zip(batch, rows.cpu(), strict=True):
            blocks[:, m, a, :edges] = row
    blocks[:, edges] = -blocks[:, :edges].sum(1)
    blocks[:, :, :, edges] = -blocks[:, :, :, :edges].sum(3)
    own = torch.arange(size)[:, None]
    return EdgeHessian(
        vectors=torch.nn.functional.pad(table.vectors.detach().cpu(), (0, 0, 0, 1)),
        index=torch.cat([table.index.cpu(), own], dim=1),
        blocks=blocks,
    )


def _edge_gradient(potential: AtomicEnergies, atoms: Atoms) -> tuple[NeighbourTable, Float[Tensor, "atoms edges 3"]]:
    """The neighbours, and dE/dr of every edge with its graph."""
    potential.check_elements(atoms)
    table = neighbour_table(atoms, potential.cutoff).to(potential.device)
    table.vectors.requires_grad_()
    (pull,) = torch.autograd.grad(potential.atomic_energies(table).sum(), table.vectors, create_graph=True)
    return table, pull
