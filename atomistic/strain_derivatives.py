r"""Forces and stress by fractional coordinates and the metric tensor: a second route, independent of the strain of edge vectors.

Lattice vectors are the columns of H = cell^T, positions x = H s, and the metric tensor is G = H^T H = cell cell^T. Distances and
angles, hence the energy, depend on the cell through G alone (Souza and Martins, Phys. Rev. B 55 (1997) 8733):

    |r|^2 = d^T G d,        r = H d,        d = s_j - s_i + n   (n whole numbers).

*Forces.*  At fixed cell dE = (dE/ds) . ds with ds = H^-1 dx, so f = -H^-T dE/ds.

*Stress.*  Let E_G = dE/dG be symmetric, dE = E_G : dG. With dG = dH^T H + H^T dH,

    dE = 2 tr(E_G H^T dH) = (2 H E_G) : dH.

A strain carries x to (1 + eps) x, so dH = eps H and dE = (2 H E_G H^T) : eps, while sigma V : eps = dE. Hence

    sigma V = 2 H E_G H^T,

symmetric by construction: the six components of G know no rotations. (2 E_G / V are the contravariant components of the stress. With
C = F^T F and the reference cell H_0 the metric is G = H_0^T C H_0: it is C in lattice coordinates.)

Descriptors take vectors. Any factor of G serves, for they are invariant under rotation: here R d with G = R^T R, R upper triangular
(Cholesky), through which E is differentiated. The route by Cartesian vectors, `NeuralPotential.predict`, shares neither the variables
nor the factor of the cell; the two agree to round-off only if forces, stress and invariance are all right.
"""

from dataclasses import dataclass

import numpy as np
import torch
from ase import Atoms
from jaxtyping import Float
from numpy import ndarray

from atomistic.crystal import check_crystal
from atomistic.neighbours import neighbour_table
from atomistic.potential import NeuralPotential


@dataclass(frozen=True)
class MetricDerivatives:
    """Energy of a crystal and its derivatives by fractional coordinates and the metric tensor.

    Attributes:
        cell: lattice vectors in rows, Angstrom.
        energy: E, eV.
        by_scaled_positions: dE/ds, eV.
        by_metric: dE/dG, symmetric, eV/A^2.
    """

    cell: Float[ndarray, "3 3"]
    energy: float
    by_scaled_positions: Float[ndarray, "atoms 3"]
    by_metric: Float[ndarray, "3 3"]

    @property
    def forces(self) -> Float[ndarray, "atoms 3"]:
        """f = -H^-T dE/ds, eV/A."""
        return np.asarray(-np.linalg.solve(self.cell, self.by_scaled_positions.T).T)

    @property
    def stress(self) -> Float[ndarray, "3 3"]:
        """Cauchy stress sigma = 2 H (dE/dG) H^T / V, eV/A^3, tension positive."""
        return np.asarray(2.0 * self.cell.T @ self.by_metric @ self.cell / np.linalg.det(self.cell))


def metric_derivatives(potential: NeuralPotential, atoms: Atoms) -> MetricDerivatives:
    """Derivatives of the energy E(s, G) of a crystal, exact.

    Raises:
        InvalidCrystal: for what is not periodic in three dimensions or has a degenerate or left-handed cell.
        UnknownElement: where an element is not known.
    """
    check_crystal(atoms)
    potential.check_elements(atoms)
    table = neighbour_table(atoms, potential.cutoff).to(potential.device)
    cell = torch.from_numpy(np.array(atoms.cell.array, dtype=np.float64)).to(table.vectors)
    offsets = torch.linalg.solve(cell, table.vectors, left=False)
    displacement = cell.new_zeros(len(atoms), 3).requires_grad_()
    metric = (cell @ cell.T).requires_grad_()
    # R^T: rows d turn into rows (R d)^T = d R^T. Symmetrised, so that the gradient is.
    factor = torch.linalg.cholesky(0.5 * (metric + metric.T))
    vectors = (offsets + displacement[table.index] - displacement[:, None]) @ factor
    energy = potential.atomic_energies(table, vectors).sum()
    by_positions, by_metric = torch.autograd.grad(energy, (displacement, metric))
    return MetricDerivatives(
        cell=cell.cpu().numpy(),
        energy=energy.item(),
        by_scaled_positions=by_positions.cpu().numpy(),
        by_metric=by_metric.cpu().numpy(),
    )
