"""The neural potential as an ASE calculator."""

from typing import Any

from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.stress import full_3x3_to_voigt_6_stress

from atomistic.neighbour_list import NeighbourList
from atomistic.potential import NeuralPotential


class NeuralCalculator(Calculator):
    """Energy, energies of atoms (eV), forces (eV/A) and stress (eV/A^3, ASE's Voigt order) of a neural potential.

    Attributes:
        potential: the potential.
        neighbours: its list of neighbours, kept from step to step as long as it holds.

    Raises:
        UnknownElement: for an element the potential was not trained on.
        InvalidStructure: for positions or a cell with NaN or infinity, and for atoms on top of each other.
    """

    implemented_properties: list[str] = ["energy", "free_energy", "energies", "forces", "stress"]  # noqa: RUF012

    def __init__(self, potential: NeuralPotential, *, skin: float = 0.7, threads: int = 1) -> None:
        """`skin` (Angstrom) widens the list of neighbours, `threads` share the atoms (one for each 64 at most).

        A skin of 0.7 A was fastest for silicon at 300 and 1200 K.
        """
        super().__init__()
        self.potential = potential
        self.threads = threads
        self.neighbours = NeighbourList(potential.cutoff, skin, threads=threads)

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: list[str] | None = None,
        system_changes: list[str] = all_changes,
    ) -> None:
        """Compute all properties at once: forces and virial cost little beside the energy."""
        super().calculate(atoms, properties, system_changes)
        structure: Any = self.atoms
        prediction = self.potential.predict(structure, self.neighbours, threads=self.threads)
        self.results = {
            "energy": prediction.energy,
            "free_energy": prediction.energy,
            "energies": prediction.energies,
            "forces": prediction.forces,
        }
        if all(structure.pbc):
            self.results["stress"] = full_3x3_to_voigt_6_stress(prediction.stress)


def without_history(calculator: Calculator) -> Calculator:
    """A neural calculator with a new list of neighbours; any other as it is.

    The order of a list that was kept from an earlier run shows in the last digits of sums: a run that is to repeat itself starts anew.
    """
    if isinstance(calculator, NeuralCalculator):
        skin = calculator.neighbours.skin
        return NeuralCalculator(calculator.potential, skin=skin, threads=calculator.threads)
    return calculator
