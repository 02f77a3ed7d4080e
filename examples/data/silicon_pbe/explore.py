"""A round of active learning: train on the labels so far, melt and quench crystals with that potential, queue the snapshots.

The first potential knows no liquid and leads some runs to places where no structure should be: such a run is stopped where two
atoms come closer than 1.7 A or it overheats, and its last snapshot from before is what the next potential learns most from.
Structures of one run are all for training or all for testing.
"""

from pathlib import Path

import numpy as np
from ase import Atoms, units
from ase.build import bulk
from ase.io import write
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import thermalize_momenta
from designs import LATTICE_CONSTANT, SEED, log_strain, split
from scipy.linalg import expm

import atomistic

RUNS = 8
TIMESTEP = 2.0
"""fs."""
MELT_STEPS, LIQUID_STEPS, QUENCH_STEPS = 300, 250, 400
CLOSEST = 1.7
ORDER = 0.1
"""A round is labelled at once, before most of what is left: the next one waits for it."""
WATCH_EVERY = 10


def explore(frames: list[Atoms], number: int, path: Path) -> None:
    """Write the snapshots of round `number` to `path`, from a potential trained on the training frames among `frames`."""
    training = [atoms for atoms in frames if atoms.info["split"] == "train"]
    potential = atomistic.train(training, seed=number).potential
    snapshots: list[Atoms] = []
    for run in range(RUNS):
        snapshots += melt_and_quench(potential, number, run)
    for k, atoms in enumerate(snapshots):
        atoms.info["order"] = ORDER + 1e-3 * k
    partial = path.with_suffix(".partial")
    write(partial, snapshots, format="extxyz", columns=["symbols", "positions"], write_results=False)
    partial.replace(path)
    print(f"round {number}: {len(snapshots)} structures from a potential trained on {len(training)}", flush=True)


def melt_and_quench(potential: atomistic.NeuralPotential, number: int, run: int) -> list[Atoms]:
    """One run: 3000 K, then a liquid at 1800 to 2200 K, then an amorphous solid at 300 K; 8 atoms, 16 in some runs of two rounds."""
    generator = np.random.default_rng([SEED, number, run])
    large = number < 3 and run % 3 == 0
    atoms = bulk("Si", a=LATTICE_CONSTANT).repeat(2) if large else bulk("Si", a=LATTICE_CONSTANT, cubic=True)
    shaped = atomistic.deform(atoms, expm(log_strain(generator, 0.05)))
    volume = generator.uniform(17.0, 21.0)  # A^3 an atom; the liquid has about 18, the amorphous solid about 20
    atoms = atomistic.deform(shaped, np.eye(3) * np.cbrt(volume * len(atoms) / shaped.get_volume()))
    atoms.calc = atomistic.NeuralCalculator(potential)
    thermalize_momenta(atoms, temperature_K=3000.0, rng=generator)
    liquid = generator.uniform(1800.0, 2200.0)
    stages = (
        ("liquid", MELT_STEPS, 3000.0, 3000.0),
        ("liquid", LIQUID_STEPS, liquid, liquid),
        ("amorphous", QUENCH_STEPS, liquid, 300.0),
    )
    kept: list[Atoms] = []
    for stage, (group, steps, start, end) in enumerate(stages):
        snapshot, whole = advance(atoms, generator, steps, start, end)
        # Of the first stage only what went wrong is of use: the second one starts there.
        if snapshot is not None and (stage > 0 or not whole):
            snapshot.info = {"group": group, "split": split(run), "round": number}
            kept.append(snapshot)
        print(f"run {run}, {group}: {'whole' if whole else 'stopped'} at {atoms.get_temperature():.0f} K", flush=True)
        if not whole:
            break
    return kept


def advance(
    atoms: Atoms, generator: np.random.Generator, steps: int, start: float, end: float
) -> tuple[Atoms | None, bool]:
    """Run, the thermostat going from `start` to `end` (K); the last snapshot that is fit for labelling, and whether it is the end."""
    dynamics = Langevin(
        atoms, TIMESTEP * units.fs, temperature_K=start, friction=0.01 / units.fs, fixcm=False, rng=generator
    )
    fit: Atoms | None = None
    for done in range(0, steps, WATCH_EVERY):
        dynamics.set_temperature(temperature_K=start + (end - start) * done / steps)
        dynamics.run(WATCH_EVERY)
        if not np.isfinite(atoms.positions).all() or atoms.get_temperature() > 4.0 * start:
            return fit, False
        if atomistic.nearest_distance(atoms) < CLOSEST:
            return fit, False
        fit = Atoms(atoms.numbers, cell=atoms.cell.array, positions=atoms.positions, pbc=True)
        fit.wrap()
    return fit, True
