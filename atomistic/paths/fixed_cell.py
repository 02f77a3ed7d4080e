"""Coordinates of paths at fixed cell, or of clusters: those of the atoms. An image is the structure itself."""

from dataclasses import dataclass

from ase import Atoms
from ase.calculators.calculator import Calculator
from jaxtyping import Float
from numpy import ndarray, zeros

from atomistic.calculator import NeuralCalculator
from atomistic.newton import reference_hessian
from atomistic.newton.rigid import free_coordinates
from atomistic.second_derivatives import hessian


@dataclass(frozen=True)
class FixedCell:
    """Positions as coordinates.

    Attributes:
        calculator: of energy and forces.
    """

    calculator: Calculator

    def image(self, structure: Atoms) -> Atoms:
        """A copy with the calculator."""
        image: Atoms = structure.copy()
        image.calc = self.calculator
        return image

    def structure(self, image: Atoms) -> Atoms:
        """A copy without."""
        structure: Atoms = image.copy()
        structure.calc = None
        return structure

    def basis(self, image: Atoms) -> Float[ndarray, "coordinates free"]:
        """An orthonormal basis of what changes the energy: coordinates of free atoms, no rigid motions.

        Raises:
            UnsupportedConstraint: for constraints other than FixAtoms.
        """
        free = free_coordinates(image)
        basis = zeros((3 * len(image), free.basis.shape[1]))
        basis[free.index] = free.basis
        return basis

    def hessian(self, image: Atoms) -> Float[ndarray, "coordinates coordinates"]:
        """d2E/dx2, eV/A^2: exact for a neural potential and where the calculator has it, else by differences of forces."""
        if isinstance(self.calculator, NeuralCalculator):
            return hessian(self.calculator.potential, image)
        return reference_hessian(image, self.calculator)
