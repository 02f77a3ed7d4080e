r"""The Lennard-Jones cluster, every pair counted: what global optimisation is measured by.

    V = 4 epsilon sum_{i<j} [ (sigma / r_ij)^12 - (sigma / r_ij)^6 ]

without cutoff and without periodic images, as in the Cambridge Cluster Database, whose lowest minima (Northby, J. Chem. Phys. 87 (1987)
6166; Wales and Doye, J. Phys. Chem. A 101 (1997) 5111) are -44.326801 epsilon for 13 atoms, an icosahedron, and -173.928427 epsilon for
38 atoms, an fcc truncated octahedron; the lowest of icosahedral kind with 38 atoms lies at -173.252378.
"""

from typing import Any, Final

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from jaxtyping import Float
from numpy import ndarray

LOWEST: Final = {
    2: -1.0, 3: -3.0, 4: -6.0, 5: -9.103852, 6: -12.712062, 7: -16.505384, 8: -19.821489, 9: -24.113360, 10: -28.422532, 11: -32.765970,
    12: -37.967600, 13: -44.326801, 38: -173.928427,
}  # fmt: skip
"""Published lowest energies in epsilon by number of atoms."""

ICOSAHEDRAL_38: Final = -173.252378
"""The rival of 38 atoms: at the bottom of the wider, icosahedral funnel (Doye, Miller and Wales, J. Chem. Phys. 110 (1999) 6896)."""


class OverlappingAtoms(ValueError):
    """Two atoms at one place, where the energy has no value."""


class LennardJones(Calculator):
    """Energy and forces of a cluster; `epsilon` in eV, `sigma` in Angstrom.

    The stress is zero: a cluster has no cell to strain.

    Raises:
        ValueError: for parameters that are not positive, and for periodic structures.
        OverlappingAtoms: for two atoms at one place.
    """

    implemented_properties: list[str] = ["energy", "free_energy", "forces", "stress"]  # noqa: RUF012

    def __init__(self, epsilon: float = 1.0, sigma: float = 1.0) -> None:
        super().__init__()
        if not (epsilon > 0.0 and sigma > 0.0):
            raise ValueError(f"epsilon = {epsilon} eV and sigma = {sigma} A, expected positive numbers")
        self.epsilon, self.sigma = float(epsilon), float(sigma)

    def energy_and_forces(self, positions: Float[ndarray, "atoms 3"]) -> tuple[float, Float[ndarray, "atoms 3"]]:
        """V (eV) and -dV/dr (eV/A)."""
        gram = positions @ positions.T
        squares = gram.diagonal()
        # squares of distances by the scalar products are fast, and lose what the distance of the origin costs in digits
        distances = squares[:, None] + squares - 2.0 * gram
        np.fill_diagonal(distances, np.inf)
        if not distances.min(initial=np.inf) > 1e-6 * self.sigma**2:
            i, j = np.unravel_index(int(distances.argmin()), distances.shape)
            raise OverlappingAtoms(f"atoms {i} and {j} are at one place {positions[i]}; move one of them away")
        inverse = self.sigma**2 / distances
        attraction = inverse**3
        energy = 2.0 * self.epsilon * float((attraction * (attraction - 1.0)).sum())
        pull = 24.0 * self.epsilon / self.sigma**2 * inverse * attraction * (2.0 * attraction - 1.0)
        return energy, pull.sum(1)[:, None] * positions - pull @ positions

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: list[str] | None = None,
        system_changes: list[str] = all_changes,
    ) -> None:
        """Energy and forces at once."""
        super().calculate(atoms, properties, system_changes)
        structure: Any = self.atoms
        if structure.pbc.any():
            raise ValueError(f"pbc = {structure.pbc.tolist()}, expected a cluster without periodic images")
        energy, forces = self.energy_and_forces(structure.positions - structure.positions.mean(0))
        self.results = {"energy": energy, "free_energy": energy, "forces": forces, "stress": np.zeros(6)}
