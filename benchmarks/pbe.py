"""Errors of the demo's potential on the test split of the shipped density functional labels.

    pbe_energy_rmse_mev_atom, pbe_force_rmse_ev_a    all structures held out
    pbe_strained_stress_rmse_gpa                     the strained crystals of two atoms among them
    pbe_crystal_...                                  all but the liquid, amorphous, beta-tin, simple cubic and surfaces
    pbe_c11_error_percent, ..., pbe_a0_error_percent against the same functional (reference.json)

It is fitted as `atomlaw run examples/silicon_bracket.toml` fits it.
"""

import json
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.io import read

import atomistic
from multiscale.configuration import Configuration
from multiscale.laws.strain import elastic_constants_of_tangent
from multiscale.stages.potential import predictions, rmse, trained

EXAMPLES = Path(__file__).parents[1] / "examples"
LABELS = EXAMPLES / "data" / "silicon_pbe"
STRAINED = {"slightly strained", "strained primitive"}
OTHER_PHASES = {"liquid", "amorphous", "beta-tin", "simple cubic", "surface"}


def measure() -> dict[str, float]:
    """All numbers; two minutes of fitting."""
    configuration = Configuration.read(EXAMPLES / "silicon_bracket.toml")
    structures = read(LABELS / "silicon_pbe.extxyz", index=":")
    split = {name: [atoms for atoms in structures if atoms.info["split"] == name] for name in ("train", "test")}
    potential, _ = trained(split["train"], configuration)
    held_out = split["test"]
    strained = [atoms for atoms in held_out if atoms.info["group"] in STRAINED]
    crystals = [atoms for atoms in held_out if atoms.info["group"] not in OTHER_PHASES]
    energy, force, _ = errors(potential, held_out)
    crystal_energy, crystal_force, crystal_stress = errors(potential, crystals)
    return {
        "pbe_energy_rmse_mev_atom": energy,
        "pbe_force_rmse_ev_a": force,
        "pbe_strained_stress_rmse_gpa": errors(potential, strained)[2],
        "pbe_crystal_energy_rmse_mev_atom": crystal_energy,
        "pbe_crystal_force_rmse_ev_a": crystal_force,
        "pbe_crystal_stress_rmse_gpa": crystal_stress,
        **figures(potential),
    }


def errors(potential: atomistic.NeuralPotential, structures: list[Atoms]) -> tuple[float, float, float]:
    """Root mean square errors: meV/atom, eV/A, GPa."""
    found = predictions(potential, structures)
    energy, force, stress = (rmse(found[name], found[f"{name}_reference"]) for name in ("energy", "force", "stress"))
    return energy, force, stress


def figures(potential: atomistic.NeuralPotential) -> dict[str, float]:
    """Deviations of the lattice constant and the elastic constants, percent."""
    reference = json.loads((LABELS / "reference.json").read_text())
    crystal = atomistic.relax_crystal(
        bulk("Si", a=reference["lattice_constant_A"]), atomistic.NeuralCalculator(potential)
    ).atoms
    tangent = atomistic.CauchyBorn(crystal, potential).evaluate(np.eye(3)[None]).tangent[0]
    constants = elastic_constants_of_tangent(atomistic.EV_PER_CUBIC_ANGSTROM_IN_GPA * tangent, np.zeros((3, 3)))
    found = {"c11": constants[0, 0], "c12": constants[0, 1], "c44": constants[3, 3]}
    percent = {
        f"pbe_{name}_error_percent": 100.0 * (value / reference[f"{name.upper()}_GPa"] - 1.0)
        for name, value in found.items()
    }
    a0 = float(np.cbrt(8.0 * crystal.get_volume() / len(crystal)))
    return percent | {"pbe_a0_error_percent": 100.0 * (a0 / reference["lattice_constant_A"] - 1.0)}
