"""Cut-off, k-points and smearing: how far each quantity is from convergence. Writes convergence.json; restarts where it stopped.

Pulay: pw.x computes the stress at a constant number of plane waves, while labels of different cells share a constant cut-off. The
two agree only at a high cut-off; here the stress is compared with central differences of the energy at constant cut-off.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.stress import voigt_6_to_full_3x3_stress
from designs import LATTICE_CONSTANT, cubic_8, primitive_16
from generate import HERE, Cache, write_atomically

import atomistic
from atomistic import EV_PER_CUBIC_ANGSTROM_IN_GPA
from atomistic.espresso import PlaneWaves, QuantumEspresso, k_mesh

CUTOFFS = (16.0, 20.0, 24.0, 28.0, 40.0)
SPACINGS = (0.64, 0.44, 0.32, 0.24)
METAL_SPACINGS = (0.20, 0.16, 0.12)
METALS = ("beta-tin", "simple cubic")
SMEARINGS = (0.005, 0.01, 0.02)
STEP = 0.01

Make = Callable[[], Atoms]


def compressed() -> Atoms:
    return bulk("Si", a=LATTICE_CONSTANT * 0.95)


def strained(cell: Make = lambda: bulk("Si", a=LATTICE_CONSTANT)) -> Atoms:
    """Stretches of -2, 4 and -3 %, a shear of 3 %, and the sublattices moved apart along the two-fold axis that is left."""
    atoms = cell()
    second = np.round(atoms.positions[:, 0] / (LATTICE_CONSTANT / 4.0)) % 2 == 1
    gradient = np.array([[0.98, 0.0, 0.0], [0.0, 1.04, 0.03], [0.0, 0.03, 0.97]])
    deformed = atomistic.deform(atoms, gradient)
    deformed.positions[second, 0] += 0.06
    return deformed


def beta_tin() -> Atoms:
    a, c = 4.81, 2.63
    vectors = 0.5 * np.array([[-a, a, c], [a, -a, c], [a, a, -c]])
    return Atoms("Si2", cell=vectors, positions=[[0.0, 0.0, 0.0], [0.0, 0.5 * a, 0.25 * c]], pbc=True)


def simple_cubic() -> Atoms:
    return bulk("Si", "sc", a=2.53)


CELLS: dict[str, Make] = {
    "diamond": lambda: bulk("Si", a=LATTICE_CONSTANT),
    "diamond, 14 % compressed": compressed,
    "diamond, strained": strained,
    "beta-tin": beta_tin,
    "simple cubic": simple_cubic,
}

DIRECTIONS = {
    "volume": np.eye(3) / 3.0,
    "shear": np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 0.5], [0.0, 0.5, 0.0]]),
    "tetragonal": np.diag([-0.5, -0.5, 1.0]),
}
PULAY_CHECKS = (
    ("diamond", "volume"),
    ("diamond, 14 % compressed", "volume"),
    ("diamond, strained", "volume"),
    ("diamond, strained", "shear"),
    ("beta-tin", "volume"),
    ("beta-tin", "tetragonal"),
)


class Study:
    """Labels at any inputs, kept in one cache."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def record(self, atoms: Atoms, waves: PlaneWaves, mesh: tuple[int, int, int] | None = None) -> dict:
        return Cache(self.directory, QuantumEspresso(waves, mesh=mesh)).record(atoms)

    def row(self, atoms: Atoms, waves: PlaneWaves) -> dict[str, object]:
        """Energy an atom (eV), stress (GPa, Voigt), seconds."""
        record = self.record(atoms, waves)
        return {
            "energy_eV_atom": round(record["energy"] / len(atoms), 5),
            "stress_GPa": np.round(np.array(record["stress"]) * EV_PER_CUBIC_ANGSTROM_IN_GPA, 3).tolist(),
            "mesh": list(k_mesh(atoms, waves.k_spacing)[0]),
            "seconds": record["seconds"],
        }

    def pulay(self, atoms: Atoms, direction: np.ndarray, waves: PlaneWaves) -> dict[str, float]:
        """Stress along `direction` from pw.x and from energies at +-STEP and +-2 STEP (error of fourth order), GPa."""
        mesh, _ = k_mesh(atoms, waves.k_spacing)

        def energy(step: float) -> float:
            return self.record(atomistic.deform(atoms, np.eye(3) + step * direction), waves, mesh)["energy"]

        slope = (8.0 * (energy(STEP) - energy(-STEP)) - (energy(2.0 * STEP) - energy(-2.0 * STEP))) / (12.0 * STEP)
        stress = voigt_6_to_full_3x3_stress(np.array(self.record(atoms, waves, mesh)["stress"]))
        # dE/dt = V sigma : (D F^-1), here at F = 1.
        computed = float((stress * direction).sum()) * EV_PER_CUBIC_ANGSTROM_IN_GPA
        difference = slope / atoms.get_volume() * EV_PER_CUBIC_ANGSTROM_IN_GPA
        return {
            "stress_GPa": round(computed, 4),
            "difference_GPa": round(difference, 4),
            "pulay_GPa": round(computed - difference, 4),
        }


def study(directory: Path) -> dict[str, object]:
    run = Study(directory)
    chosen = PlaneWaves(convergence=1e-10)
    found: dict[str, object] = {"chosen": {"cutoff_Ry": chosen.cutoff, "k_spacing_per_A": chosen.k_spacing}}
    found["cutoff"] = {
        name: {str(cutoff): run.row(make(), PlaneWaves(cutoff=cutoff, convergence=1e-10)) for cutoff in CUTOFFS}
        for name, make in CELLS.items()
    }
    found["pulay"] = {
        f"{name}: {direction}": {
            str(cutoff): run.pulay(CELLS[name](), DIRECTIONS[direction], PlaneWaves(cutoff=cutoff, convergence=1e-10))
            for cutoff in (20.0, 24.0)
        }
        for name, direction in PULAY_CHECKS
    }
    found["k_spacing"] = {
        name: {
            str(h): run.row(make(), PlaneWaves(k_spacing=h, convergence=1e-10))
            for h in (*SPACINGS, *(METAL_SPACINGS if name in METALS else ()))
        }
        for name, make in CELLS.items()
    }
    found["smearing"] = {
        name: {str(width): run.row(make(), PlaneWaves(smearing=width, convergence=1e-10)) for width in SMEARINGS}
        for name, make in CELLS.items()
    }
    found["one crystal in cells of 2, 8 and 16 atoms"] = {
        str(len(make())): run.row(strained(make), chosen)
        for make in (lambda: bulk("Si", a=LATTICE_CONSTANT), cubic_8, primitive_16)
    }
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, default=Path("runs/silicon_pbe"))
    arguments = parser.parse_args()
    write_atomically(HERE / "convergence.json", json.dumps(study(arguments.cache), indent=1) + "\n")


if __name__ == "__main__":
    main()
