r"""Cell and atoms of a crystal on the same footing: coordinates of solid-state paths, as images that ASE's NEB takes for atoms.

Lattice vectors are the columns of F C^T, atoms sit at x_i = F y_i, with a reference cell C (rows) half-way between the two ends and a
stretch F = F^T that knows no rotation. With N atoms and the volume V_0 of the reference the combined coordinates and their forces are

    ( y_i, J (F - 1) ),      J = sqrt(N) (V_0 / N)^(1/3),      ( F f_i, -V sym[(sigma + p) F^-1] / J ),

the negative derivative of the enthalpy E + p V. The Jacobian J makes a strain weigh what the displacements of N atoms an average distance
(V_0 / N)^(1/3) apart weigh: of a crystal described by n cells instead of one every square of a length is n times as large, so the path is
the same (Sheppard, Xiao, Chemelewski, Johnson and Henkelman, J. Chem. Phys. 136 (2012) 074103). They follow the strain from
image to image; one reference for all images makes the force the exact derivative of one function, whose stationary points are
the crystal's.

An end's cell C' gives F = (C^-1 C')^T = R U, whose rotation R is dropped (polar decomposition). From the first end to the second the
stretch is U; the reference has cell C_A U^(1/2), so the ends have U^(-1/2) and U^(1/2), and exchanging them changes nothing.

An image is an ASE `Atoms` without periodicity: N atoms at y_i and three placeholders (element X), the rows of J (F - 1).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.stress import voigt_6_to_full_3x3_stress
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.linalg import polar, sqrtm

from atomistic.calculator import NeuralCalculator
from atomistic.crystal import check_crystal
from atomistic.neighbours import neighbour_table
from atomistic.newton import reference_hessian
from atomistic.second_derivatives import AtomicEnergies


@dataclass(frozen=True)
class VariableCell:
    """Combined coordinates about a reference cell.

    Attributes:
        cell: C, rows, Angstrom.
        numbers: atomic numbers.
        calculator: of energy, forces and stress.
        pressure: p, eV/A^3.
    """

    cell: Float[ndarray, "3 3"]
    numbers: Int[ndarray, "atoms"]
    calculator: Calculator
    pressure: float = 0.0

    @classmethod
    def between(cls, initial: Atoms, final: Atoms, calculator: Calculator, pressure: float = 0.0) -> "VariableCell":
        """Coordinates half-way between two crystals, whose lattice vectors correspond in the order given.

        Raises:
            InvalidCrystal: for what is no crystal.
        """
        for crystal in (initial, final):
            check_crystal(crystal)
        _, stretch = polar(np.linalg.solve(initial.cell.array, final.cell.array).T)
        return cls(initial.cell.array @ np.real(sqrtm(stretch)), initial.numbers.copy(), calculator, pressure)

    @property
    def jacobian(self) -> float:
        """J, Angstrom."""
        count = len(self.numbers)
        return float(np.sqrt(count) * (abs(np.linalg.det(self.cell)) / count) ** (1.0 / 3.0))

    def image(self, structure: Atoms) -> Atoms:
        """The image of a crystal, with its calculator; the crystal's rotation is left behind."""
        _, stretch = polar(np.linalg.solve(self.cell, structure.cell.array).T)
        atoms = structure.get_scaled_positions(wrap=False) @ self.cell
        cell = self.jacobian * (stretch - np.eye(3))
        image = Atoms([*self.numbers, 0, 0, 0], positions=np.vstack([atoms, cell]))
        image.calc = CombinedForces(self)
        return image

    def structure(self, image: Atoms) -> Atoms:
        """The crystal of an image."""
        stretch = self.stretch(image)
        return Atoms(self.numbers, positions=image.positions[:-3] @ stretch, cell=self.cell @ stretch, pbc=True)

    def stretch(self, image: Atoms) -> Float[ndarray, "3 3"]:
        """F, symmetric."""
        cell = image.positions[-3:] / self.jacobian
        return np.asarray(np.eye(3) + 0.5 * (cell + cell.T))

    def basis(self, image: Atoms) -> Float[ndarray, "coordinates free"]:
        """An orthonormal basis of what changes the enthalpy: no translations, no rotations (the antisymmetric part of the cell)."""
        count = len(image)
        rigid = np.zeros((3 * count, 6))
        rigid[: 3 * count - 9, :3] = np.tile(np.eye(3), (count - 3, 1))
        for k, (a, b) in enumerate(((1, 2), (2, 0), (0, 1))):
            rigid[3 * count - 9 + 3 * a + b, 3 + k], rigid[3 * count - 9 + 3 * b + a, 3 + k] = 1.0, -1.0
        return np.asarray(np.linalg.qr(rigid, mode="complete")[0][:, 6:])

    def hessian(self, image: Atoms) -> Float[ndarray, "coordinates coordinates"]:
        """Second derivatives of the enthalpy by all combined coordinates, eV/A^2.

        Exact for a neural potential, else by central differences of fourth order of the forces.
        """
        if isinstance(self.calculator, NeuralCalculator):
            return self._exact_hessian(self.calculator.potential, image)
        return reference_hessian(image, image.calc)

    def _exact_hessian(self, potential: AtomicEnergies, image: Atoms) -> Float[ndarray, "coordinates coordinates"]:
        """The edges are r = F (y_j + n C - y_i); twice differentiated by y and F."""
        table = neighbour_table(self.structure(image), potential.cutoff).to(potential.device)
        stretch = torch.from_numpy(self.stretch(image)).to(table.vectors)
        offsets = torch.linalg.solve(stretch, table.vectors, left=False)  # F is symmetric
        moved = torch.zeros(len(image), 3).to(table.vectors).requires_grad_()
        atoms, cell = moved[:-3], moved[-3:] / self.jacobian
        changed = stretch + 0.5 * (cell + cell.T)
        vectors = (offsets + atoms[table.index] - atoms[:, None]) @ changed
        volume = abs(float(np.linalg.det(self.cell))) * _determinant(changed)
        enthalpy = potential.atomic_energies(table, vectors).sum() + self.pressure * volume  # type: ignore[call-arg]
        (gradient,) = torch.autograd.grad(enthalpy, moved, create_graph=True)
        rows = [torch.autograd.grad(g, moved, retain_graph=True)[0].flatten() for g in gradient.flatten()]
        return torch.stack(rows).cpu().numpy()


class CombinedForces(Calculator):
    """Enthalpy (eV) of an image and its forces (eV/A) by the combined coordinates."""

    implemented_properties: list[str] = ["energy", "free_energy", "forces"]  # noqa: RUF012

    def __init__(self, coordinates: VariableCell) -> None:
        super().__init__()
        self.coordinates = coordinates

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: list[str] | None = None,
        system_changes: list[str] = all_changes,
    ) -> None:
        """One call of the crystal's own calculator."""
        super().calculate(atoms, properties, system_changes)
        image: Any = self.atoms
        own = self.coordinates
        crystal = own.structure(image)
        crystal.calc = own.calculator
        stretch, volume = own.stretch(image), crystal.get_volume()
        enthalpy = crystal.get_potential_energy() + own.pressure * volume
        stress = voigt_6_to_full_3x3_stress(crystal.get_stress()) + own.pressure * np.eye(3)
        by_stretch = volume * np.linalg.solve(stretch, stress)
        forces = np.vstack([crystal.get_forces() @ stretch, -0.5 * (by_stretch + by_stretch.T) / own.jacobian])
        self.results = {"energy": enthalpy, "free_energy": enthalpy, "forces": forces}


def _determinant(F: torch.Tensor) -> torch.Tensor:
    """Written out: torch's own has wrong second derivatives."""
    return torch.dot(F[0], torch.linalg.cross(F[1], F[2]))
