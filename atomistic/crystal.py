"""Crystals: what is refused, the primitive cell in the orientation given, homogeneous deformation, relaxation.

Cells are rows, as in ASE: row k of ``atoms.cell`` is the k-th lattice vector. A deformation gradient F maps reference to
deformed vectors, x = F X, hence ``cell -> cell @ F.T``.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import spglib
from ase import Atoms
from ase.calculators.calculator import Calculator
from ase.constraints import FixSymmetry
from ase.filters import FrechetCellFilter
from ase.optimize import BFGS
from ase.stress import voigt_6_to_full_3x3_stress
from jaxtyping import Float
from numpy import ndarray
from vesin import NeighborList

SYMMETRY_TOLERANCE = 1e-5
"""Distance (Angstrom) below which two positions are the same for the symmetry search."""

OVERLAP_DISTANCE = 0.5
"""No two nuclei of a crystal come closer than this (Angstrom); H2 has 0.74."""


class InvalidCrystal(ValueError):
    """The atoms do not describe a three-dimensional crystal."""


class RelaxationFailed(RuntimeError):
    """An optimiser stopped before the forces, or the stress, were small."""


def check_crystal(atoms: Atoms) -> None:
    """Refuse what is no crystal: no atoms, missing periodicity, non-finite numbers, det(cell) <= 0, overlapping atoms.

    Raises:
        InvalidCrystal: naming the offending value.
    """
    if len(atoms) == 0:
        raise InvalidCrystal("the crystal has no atoms; expected at least one")
    if not all(atoms.pbc):
        raise InvalidCrystal(
            f"the crystal has pbc = {atoms.pbc.tolist()}; expected periodicity along all three cell vectors"
        )
    if not (np.isfinite(atoms.cell.array).all() and np.isfinite(atoms.positions).all()):
        raise InvalidCrystal("the crystal's cell or positions contain NaN or infinity")
    determinant = float(np.linalg.det(atoms.cell.array))
    if determinant <= 0.0:
        raise InvalidCrystal(
            f"det(cell) = {determinant:.6g} A^3, expected a positive number; give three independent, right-handed cell vectors"
        )
    neighbours = NeighborList(cutoff=OVERLAP_DISTANCE, full_list=False, n_threads=1)
    first, second, distance = neighbours.compute(
        points=atoms.positions, box=atoms.cell.array, periodic=True, quantities="ijd"
    )
    if len(first):
        k = int(np.argmin(distance))
        raise InvalidCrystal(
            f"atoms {first[k]} and {second[k]} overlap: they are {distance[k]:.4g} A apart, expected more than {OVERLAP_DISTANCE} A"
        )


def primitive_cell(atoms: Atoms) -> Atoms:
    """The primitive cell of a crystal, not rotated: its axes stay those of the laboratory in which `atoms` was given.

    Raises:
        InvalidCrystal: where `check_crystal` refuses or no symmetry is found.
    """
    check_crystal(atoms)
    cell = (atoms.cell.array, atoms.get_scaled_positions(), atoms.numbers)
    found = spglib.standardize_cell(cell, to_primitive=True, no_idealize=True, symprec=SYMMETRY_TOLERANCE)
    if found is None:
        raise InvalidCrystal(f"no symmetry could be found in {atoms.get_chemical_formula()} at {SYMMETRY_TOLERANCE} A")
    lattice, scaled, numbers = found
    primitive = Atoms(numbers=numbers, cell=lattice, scaled_positions=scaled, pbc=True)
    check_crystal(primitive)
    return primitive


def nearest_distance(atoms: Atoms) -> float:
    """Distance (Angstrom) of the closest pair of atoms, periodic images included."""
    reach = 1.0 + np.cbrt(abs(atoms.get_volume()) / len(atoms))
    while True:
        neighbours = NeighborList(cutoff=reach, full_list=False, n_threads=1)
        (distances,) = neighbours.compute(points=atoms.positions, box=atoms.cell.array, periodic=True, quantities="d")
        if len(distances):
            return float(distances.min())
        reach *= 2.0


def deform(atoms: Atoms, deformation_gradient: Float[ndarray, "3 3"]) -> Atoms:
    """A copy of `atoms`, cell and positions deformed homogeneously: x = F X."""
    deformed: Atoms = atoms.copy()
    deformed.calc = None
    deformed.set_cell(atoms.cell.array @ np.asarray(deformation_gradient).T, scale_atoms=True)
    return deformed


def deform_into(atoms: Atoms, cell: Float[ndarray, "3 3"]) -> Atoms:
    """A copy of `atoms` deformed homogeneously into a cell of rows C': F = (C^-1 C')^T."""
    deformed = deform(atoms, np.linalg.solve(atoms.cell.array, np.asarray(cell)).T)
    deformed.set_cell(cell)  # to the last digit
    return deformed


def first_piola(
    cauchy_stress: Float[ndarray, "3 3"], deformation_gradient: Float[ndarray, "3 3"]
) -> Float[ndarray, "3 3"]:
    """First Piola-Kirchhoff stress P = J sigma F^-T, in the unit of the Cauchy stress sigma."""
    return np.asarray(np.linalg.det(deformation_gradient) * np.linalg.solve(deformation_gradient, cauchy_stress.T).T)


@dataclass(frozen=True)
class RelaxedCrystal:
    """A primitive cell at rest: the reference state F = I of everything downstream.

    Attributes:
        atoms: the relaxed primitive cell.
        energy: its energy, eV a cell.
        stress: the residual Cauchy stress, eV/A^3.
    """

    atoms: Atoms
    energy: float
    stress: Float[ndarray, "3 3"]


def relax_crystal(
    atoms: Atoms, calculator: Calculator, *, force_tolerance: float = 1e-8, max_steps: int = 2000
) -> RelaxedCrystal:
    """Relax cell and positions of the primitive cell to zero stress and force, its symmetry kept.

    The optimiser works on the logarithm of the deformation gradient (ASE's FrechetCellFilter); `force_tolerance` (eV/A)
    holds for the forces and for the filter's cell gradient (eV per unit of log-strain over the number of atoms).

    Raises:
        InvalidCrystal: where the atoms are no crystal.
        RelaxationFailed: where the tolerance is not reached or a number is not finite.
    """
    primitive = primitive_cell(atoms)
    primitive.calc = calculator
    primitive.set_constraint(FixSymmetry(primitive, symprec=SYMMETRY_TOLERANCE))
    degrees_of_freedom: Any = FrechetCellFilter(primitive)
    optimiser = BFGS(degrees_of_freedom, logfile=None, maxstep=0.05)
    converged = optimiser.run(fmax=force_tolerance, steps=max_steps)
    primitive.set_constraint()
    energy = float(primitive.get_potential_energy())
    stress = voigt_6_to_full_3x3_stress(primitive.get_stress())
    if not converged or not np.isfinite(energy):
        raise RelaxationFailed(
            f"the crystal did not reach {force_tolerance} eV/A in {max_steps} steps (energy {energy:.6g} eV); "
            "start closer to equilibrium or check the interatomic model"
        )
    primitive.calc = None
    primitive.wrap()
    return RelaxedCrystal(atoms=primitive, energy=energy, stress=np.asarray(stress))


def relax_positions(
    atoms: Atoms, calculator: Calculator, *, force_tolerance: float = 1e-8, max_steps: int = 500
) -> Atoms:
    """Relax the positions at fixed cell until no force exceeds `force_tolerance` (eV/A); returns a copy with `calculator`.

    Raises:
        RelaxationFailed: where the tolerance is not reached.
    """
    relaxed: Atoms = atoms.copy()
    relaxed.calc = calculator
    if not BFGS(relaxed, logfile=None, maxstep=0.05).run(fmax=force_tolerance, steps=max_steps):
        largest = float(np.abs(relaxed.get_forces()).max())
        raise RelaxationFailed(
            f"the largest force is {largest:.3g} eV/A after {max_steps} steps, expected {force_tolerance}; "
            "the strained cell may be unstable"
        )
    return relaxed
