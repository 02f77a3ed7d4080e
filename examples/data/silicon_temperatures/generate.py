"""Virials of Stillinger-Weber silicon at several temperatures, for a free energy to be fitted to, and what to compare that with.

Writes silicon_<T>K.h5, stress P with its standard error at strained states relative to the cell relaxed at 0 K, and direct.json, the
lattice constant at zero pressure and elastic constants by central differences of the mean stress about it. Every simulation leaves
a part in --cache as soon as it is done; the script started again goes on from there. About twenty minutes on one idle core.
"""

import argparse
import json
import os
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.calculators.calculator import Calculator

import atomistic
import multiscale
from atomistic import EV_PER_CUBIC_ANGSTROM_IN_GPA as GPA
from multiscale.sampling.relaxed_states import crystal_from_record

HERE = Path(__file__).parent
MAX_STRAIN = 0.04
ATOMS = 216
"""At least so many: five primitive cells along each vector make 250."""
STATES = {300: (24, 1), 600: (24, 2), 450: (12, 3)}
"""K -> number of states, seed of their design; 450 K is held out of the fit."""
DIRECT = (300, 450, 600)
"""Where constants and cells are computed directly."""
STEPS, CELL_STEPS = 5000, 20000
DIFFERENCE_STEPS, REPEATS, STEP = 4000, 6, 0.01
"""Of the simulations for the elastic constants, how many of each, and their strain."""


def cold_states(cache: Path, calculator: Calculator) -> multiscale.StressStrainData:
    part = cache / "silicon_0K.h5"
    if not part.exists():
        multiscale.sample(bulk("Si", a=5.43), calculator, max_strain=MAX_STRAIN, states=32, seed=0).write(part)
    return multiscale.StressStrainData.read(part)


def thermal_states(
    cache: Path, crystal: Atoms, calculator: Calculator, temperature: int
) -> multiscale.StressStrainData:
    """One simulation a state, each a part of its own."""
    count, seed = STATES[temperature]
    parts = []
    for k, F in enumerate(multiscale.strain_design(count, MAX_STRAIN, seed)):
        part = cache / f"{temperature}K_{k:02d}.h5"
        if not part.exists():
            multiscale.sample_thermal(
                crystal,
                calculator,
                F[None],
                temperature=temperature,
                steps=STEPS,
                seed=1000 * seed + k,
                minimum_atoms=ATOMS,
            ).write(part)
            print(part.name, flush=True)
        parts.append(multiscale.StressStrainData.read(part))
    fields = ("deformation_gradient", "first_piola", "first_piola_error")
    return multiscale.StressStrainData(
        **{name: np.concatenate([getattr(part, name) for part in parts]) for name in fields},
        temperature=temperature,
        crystal=parts[0].crystal,
        provenance={
            "model": "Stillinger-Weber silicon, pair style sw of LAMMPS with its Si.sw",
            "dynamics": f"{parts[0].provenance['dynamics']} and on, one a state",
            "design": f"Sobol, {count} states, max_strain {MAX_STRAIN}, seed {seed}",
        },
    )


def stretch_at_zero_pressure(cache: Path, crystal: Atoms, calculator: Calculator, temperature: int) -> list[float]:
    """Of the lattice constant, with its standard error."""
    part = cache / f"cell_{temperature}K.json"
    if not part.exists():
        average = atomistic.npt_average(
            crystal, calculator, temperature=temperature, seed=temperature, steps=CELL_STEPS, minimum_atoms=ATOMS
        )
        # the edges are taken for independent
        error = np.sqrt(np.sum(np.diag(average.stretch_error) ** 2)) / 3.0
        write_atomically(part, json.dumps([float(np.trace(average.stretch)) / 3.0, float(error)]))
        print(part.name, flush=True)
    found: list[float] = json.loads(part.read_text())
    return found


def constants(cache: Path, expanded: Atoms, calculator: Calculator, temperature: int, repeat: int) -> list[float]:
    """C11, C12, C44 (GPa) by central differences of the mean Cauchy stress of four simulations."""
    part = cache / f"constants_{temperature}K_{repeat}.json"
    if not part.exists():
        slopes = []
        for number, mode in enumerate((np.diag([1.0, 0.0, 0.0]), 0.5 * (np.ones((3, 3)) - np.eye(3)))):
            runs = [
                atomistic.thermal_stress(
                    expanded,
                    calculator,
                    np.eye(3) + sign * STEP * mode,
                    temperature=temperature,
                    steps=DIFFERENCE_STEPS,
                    seed=100 * temperature + 10 * repeat + 2 * number + int(sign > 0.0),
                    minimum_atoms=ATOMS,
                )
                for sign in (1.0, -1.0)
            ]
            cauchy = [
                run.first_piola @ run.deformation_gradient.T / np.linalg.det(run.deformation_gradient) for run in runs
            ]
            slopes.append(GPA * (cauchy[0] - cauchy[1]) / (2.0 * STEP))
        tension, shear = slopes
        found = [tension[0, 0], 0.5 * (tension[1, 1] + tension[2, 2]), (shear[1, 2] + shear[0, 2] + shear[0, 1]) / 3.0]
        write_atomically(part, json.dumps([float(value) for value in found]))
        print(part.name, found, flush=True)
    loaded: list[float] = json.loads(part.read_text())
    return loaded


def direct(cache: Path, crystal: Atoms, calculator: Calculator, temperature: int) -> dict[str, list[float]]:
    """Lattice constant (A) and C11, C12, C44 (GPa) at zero pressure, each with its standard error: of the constants from the scatter."""
    stretch, stretch_error = stretch_at_zero_pressure(cache, crystal, calculator, temperature)
    expanded = atomistic.deform(crystal, stretch * np.eye(3))
    samples = np.array([constants(cache, expanded, calculator, temperature, repeat) for repeat in range(REPEATS)])
    edge = float(np.cbrt(4.0 * crystal.get_volume()))
    result = {"lattice_constant": [edge * stretch, edge * stretch_error]}
    for name, values in zip(("C11", "C12", "C44"), samples.T, strict=True):
        result[name] = [float(values.mean()), float(values.std(ddof=1) / np.sqrt(REPEATS))]
    return result


def write_atomically(path: Path, text: str) -> None:
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    partial.write_text(text)
    os.replace(partial, path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, default=Path("runs/silicon_temperatures"))
    cache = parser.parse_args().cache
    cache.mkdir(parents=True, exist_ok=True)
    # the same potential as the reference "stillinger-weber", ten times faster
    calculator = atomistic.reference_calculator("lammps", pair_style="sw", pair_coeff=["* * Si.sw Si"], elements=["Si"])
    cold = cold_states(cache, calculator)
    crystal = crystal_from_record(cold.crystal)
    cold.write(HERE / "silicon_0K.h5")
    for temperature in STATES:
        thermal_states(cache, crystal, calculator, temperature).write(HERE / f"silicon_{temperature}K.h5")
    results = {f"{temperature}": direct(cache, crystal, calculator, temperature) for temperature in DIRECT}
    write_atomically(HERE / "direct.json", json.dumps(results, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
