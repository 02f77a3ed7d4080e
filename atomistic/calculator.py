"""The neural potential as an ASE calculator."""

from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.stress import full_3x3_to_voigt_6_stress

from atomistic.potential import NeuralPotential


class InvalidStructure(ValueError):
    """A structure with numbers that are not finite."""


class NeuralCalculator(Calculator):
    """Energy (eV), forces (eV/A) and stress (eV/A^3, ASE's Voigt order) of a neural potential.

    Raises:
        UnknownElement: for an element the potential was not trained on.
        InvalidStructure: for positions or a cell with NaN or infinity.
    """

    implemented_properties: list[str] = ["energy", "free_energy", "forces", "stress"]  # noqa: RUF012

    def __init__(self, potential: NeuralPotential) -> None:
        super().__init__()
        self.potential = potential

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: list[str] | None = None,
        system_changes: list[str] = all_changes,
    ) -> None:
        """Compute all properties at once: the forces and the virial come with one backward pass."""
        super().calculate(atoms, properties, system_changes)
        structure: Any = self.atoms
        if not (np.isfinite(structure.positions).all() and np.isfinite(structure.cell.array).all()):
            raise InvalidStructure(
                "positions or cell contain NaN or infinity; the simulation may have blown up: use a smaller time step"
            )
        prediction = self.potential.predict(structure)
        self.results = {
            "energy": prediction.energy,
            "free_energy": prediction.energy,
            "forces": prediction.forces,
        }
        if all(structure.pbc):
            self.results["stress"] = full_3x3_to_voigt_6_stress(prediction.stress)
