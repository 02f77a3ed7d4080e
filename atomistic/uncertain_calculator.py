"""A potential and its calibrated uncertainty as an ASE calculator."""

from typing import Any

from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.stress import full_3x3_to_voigt_6_stress

from atomistic.calibration import CalibratedUncertainty
from atomistic.neighbour_list import NeighbourList


class UncertainCalculator(Calculator):
    """Energy (eV), forces (eV/A) and stress (eV/A^3, ASE's Voigt order), and in `results` beside them their standard deviations.

    `energy_uncertainty` (eV), `forces_uncertainty` (of one component of the force on each atom, eV/A), `stress_uncertainty` (eV/A^3,
    Voigt order) and `novelty` (of each atom, in the estimator's unit); those that the estimator does not give are left out. A guard of a
    simulation reads them at no further cost:

        guard = UncertaintyGuard(calculator.largest_force_uncertainty, threshold=uncertainty.threshold(0.001))

    Raises:
        UnknownElement: for an element the potential was not trained on.
        InvalidStructure: for positions or a cell with NaN or infinity, and for atoms on top of each other.
    """

    implemented_properties: list[str] = [  # noqa: RUF012
        "energy", "free_energy", "energies", "forces", "stress",
        "energy_uncertainty", "forces_uncertainty", "stress_uncertainty", "novelty",
    ]  # fmt: skip

    def __init__(self, uncertainty: CalibratedUncertainty, *, skin: float = 0.5) -> None:
        """`skin` (Angstrom) widens the list of neighbours, which is kept from step to step as long as it holds."""
        super().__init__()
        self.uncertainty = uncertainty
        self.neighbours = NeighbourList(uncertainty.estimator.cutoff, skin)

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: list[str] | None = None,
        system_changes: list[str] = all_changes,
    ) -> None:
        """Compute all properties at once."""
        super().calculate(atoms, properties, system_changes)
        structure: Any = self.atoms
        prediction, deviation = self.uncertainty.predict(structure, self.neighbours)
        self.results = {
            "energy": prediction.energy,
            "free_energy": prediction.energy,
            "energies": prediction.energies,
            "forces": prediction.forces,
            "forces_uncertainty": deviation.forces,
            "novelty": deviation.atomic,
        }
        if deviation.energy is not None:
            self.results["energy_uncertainty"] = deviation.energy
        if all(structure.pbc):
            self.results["stress"] = full_3x3_to_voigt_6_stress(prediction.stress)
            if deviation.stress is not None:
                self.results["stress_uncertainty"] = full_3x3_to_voigt_6_stress(deviation.stress)

    def largest_force_uncertainty(self, atoms: Atoms) -> float:
        """Of all atoms, eV/A; computed anew only where the structure has changed since the last call."""
        return float(self.get_property("forces_uncertainty", atoms).max())
