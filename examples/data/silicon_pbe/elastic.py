"""Lattice constant, elastic constants and optical phonon of diamond by Quantum ESPRESSO itself: what the demo's numbers are held to.

Writes reference.json. All cells have the k-points of the cell at rest; the elastic constants are central differences of stresses
over strains of +-0.5 %. Under shear the second atom moves along the third axis only, so that one force constant relaxes it.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.data import atomic_masses
from ase.stress import voigt_6_to_full_3x3_stress
from ase.units import _amu, _e
from designs import LATTICE_CONSTANT
from generate import HERE, Cache, write_atomically

import atomistic
from atomistic import EV_PER_CUBIC_ANGSTROM_IN_GPA
from atomistic.espresso import PlaneWaves, QuantumEspresso, k_mesh

STRAIN = 0.005
DISPLACEMENT = 0.01
"""Angstrom."""


class Diamond:
    """Stress and force of the primitive cell under strain and internal displacement."""

    def __init__(self, directory: Path, waves: PlaneWaves) -> None:
        mesh, _ = k_mesh(bulk("Si", a=LATTICE_CONSTANT), waves.k_spacing)
        self.cache = Cache(directory, QuantumEspresso(waves, mesh=mesh))
        self.lattice_constant = LATTICE_CONSTANT

    def cell(self, strain: np.ndarray, move: float = 0.0) -> Atoms:
        atoms = atomistic.deform(bulk("Si", a=self.lattice_constant), np.eye(3) + strain)
        atoms.positions[1, 0] += move
        return atoms

    def stress(self, strain: np.ndarray, move: float = 0.0) -> np.ndarray:
        """Cauchy stress, GPa."""
        record = self.cache.record(self.cell(strain, move))
        return voigt_6_to_full_3x3_stress(np.array(record["stress"])) * EV_PER_CUBIC_ANGSTROM_IN_GPA

    def force(self, strain: np.ndarray, move: float) -> float:
        """Force on the second atom along x, eV/A."""
        return self.cache.record(self.cell(strain, move))["forces"][1][0]

    def rest(self) -> None:
        """The lattice constant at which the pressure vanishes, by the secant rule."""
        a, b = LATTICE_CONSTANT, LATTICE_CONSTANT * 1.002
        pressures = []
        for self.lattice_constant in (a, b):
            pressures.append(self.stress(np.zeros((3, 3)))[0, 0])
        for _ in range(10):
            a, b = b, b - pressures[-1] * (b - a) / (pressures[-1] - pressures[-2])
            self.lattice_constant = b
            pressures.append(self.stress(np.zeros((3, 3)))[0, 0])
            if abs(pressures[-1]) < 1e-3:
                return
        raise RuntimeError(f"the pressures {pressures} GPa do not fall below 0.001 GPa")


def reference(directory: Path, waves: PlaneWaves) -> dict[str, float]:
    diamond = Diamond(directory, waves)
    diamond.rest()
    stretch, shear = np.zeros((3, 3)), np.zeros((3, 3))
    stretch[0, 0] = STRAIN
    shear[1, 2] = shear[2, 1] = STRAIN
    slope = (diamond.stress(stretch) - diamond.stress(-stretch)) / (2.0 * STRAIN)
    clamped = (diamond.stress(shear) - diamond.stress(-shear))[1, 2] / (4.0 * STRAIN)
    spring = (diamond.force(np.zeros((3, 3)), -DISPLACEMENT) - diamond.force(np.zeros((3, 3)), DISPLACEMENT)) / (
        2.0 * DISPLACEMENT
    )
    relaxed, moves = [], []
    for sign in (1.0, -1.0):
        move = 0.0
        while abs(force := diamond.force(sign * shear, move)) > 2e-4:
            move += force / spring
        moves.append(sign * move)
        relaxed.append(sign * diamond.stress(sign * shear, move)[1, 2])
    a = diamond.lattice_constant
    mass = atomic_masses[14] * _amu / _e * 1e-20  # eV s^2 / A^2
    record = diamond.cache.record(diamond.cell(np.zeros((3, 3))))
    return {
        "lattice_constant_A": round(a, 5),
        "energy_eV_atom": round(record["energy"] / 2.0, 6),
        "C11_GPa": round(slope[0, 0], 2),
        "C12_GPa": round(0.5 * (slope[1, 1] + slope[2, 2]), 2),
        "C44_GPa": round(float(np.mean(relaxed)) / (2.0 * STRAIN), 2),
        "C44_clamped_GPa": round(clamped, 2),
        # Kleinman's internal strain: the sublattices move by -zeta a/4 times the engineering shear.
        "kleinman": round(abs(float(np.mean(moves))) / (2.0 * STRAIN * a / 4.0), 4),
        "phonon_gamma_THz": round(float(np.sqrt(2.0 * spring / mass)) / (2e12 * np.pi), 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, default=Path("runs/silicon_pbe"))
    parser.add_argument("--k-spacing", type=float, default=PlaneWaves().k_spacing)
    parser.add_argument("--cutoff", type=float, default=PlaneWaves().cutoff)
    arguments = parser.parse_args()
    waves = PlaneWaves(k_spacing=arguments.k_spacing, cutoff=arguments.cutoff, convergence=1e-10)
    found = {**reference(arguments.cache, waves), "cutoff_Ry": waves.cutoff, "k_spacing_per_A": waves.k_spacing}
    print(json.dumps(found, indent=1))
    if (waves.cutoff, waves.k_spacing) == (PlaneWaves().cutoff, PlaneWaves().k_spacing):
        write_atomically(HERE / "reference.json", json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
