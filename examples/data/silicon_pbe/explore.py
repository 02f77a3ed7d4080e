"""A round of active learning: train on the labels so far, melt, quench and heat with that potential, queue the snapshots.

A potential that knows no liquid leads some runs to places where no structure should be: such a run is stopped where two
atoms come closer than 1.7 A or it overheats, and its last snapshot from before is what the next potential learns most from.
Structures of one run are all for training or all for testing.
"""

import numpy as np
from ase import Atoms, units
from ase.build import bulk
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import thermalize_momenta
from designs import LATTICE_CONSTANT, SEED, TRAINING_ONLY, log_strain, split, surface
from scipy.linalg import expm

import atomistic

MELTS = {4: (8,) * 15, 5: (8,) * 10 + (64,), 6: (8,) * 80, 8: (8, 8, 32) * 60}
"""Atoms of each cell that is melted, by round; of rounds 1 to 3 only the snapshots are left (README.md)."""
REPEATS = {8: (1, 1, 1), 32: (1, 2, 2), 64: (2, 2, 2)}
"""Of the cubic cell, by the number of atoms."""
LIQUIDS = 8
"""From this round on only every fourth melt is quenched: amorphous solids are known better than liquids."""
SLABS = 5
"""Surfaces that are heated in a round."""
TIMESTEP = 2.0
"""fs."""
MELT_STEPS, LIQUID_STEPS, QUENCH_STEPS, SLAB_STEPS = 500, 500, 1500, 400
CLOSEST = 1.7
WATCH_EVERY = 10

Stage = tuple[str, int, float, float]
"""Group of its snapshot, steps, temperature (K) at the start and at the end."""


def explore(frames: list[Atoms], number: int) -> list[Atoms]:
    """The snapshots of round `number`, from a potential trained on the training frames among `frames`."""
    training = [atoms for atoms in frames if atoms.info["split"] == "train"]
    potential = atomistic.train(training, seed=number).potential
    snapshots: list[Atoms] = []
    for run, count in enumerate(MELTS[number]):
        generator = np.random.default_rng([SEED, number, run])
        quenched = number < LIQUIDS or run % 4 == 0
        stages = melting(count, generator)[: 3 if quenched else 2]
        snapshots += follow(potential, melt(count, generator), stages, number, run, generator)
    for run in range(SLABS):
        generator = np.random.default_rng([SEED, number, 1000 + run])
        slab = surface(100 * number + run, 0, generator)
        slab.pbc = True  # As it is labelled: stacks of slabs
        heat = ("surface", SLAB_STEPS, 600.0, 1200.0), ("surface", SLAB_STEPS, 1200.0, 300.0)
        snapshots += follow(potential, slab, heat, number, run, generator)
    print(f"round {number}: {len(snapshots)} structures from a potential trained on {len(training)}", flush=True)
    return snapshots


def melt(count: int, generator: np.random.Generator) -> Atoms:
    """A strained crystal of 8, 32 or 64 atoms at the volume of a liquid or an amorphous solid."""
    atoms = bulk("Si", a=LATTICE_CONSTANT, cubic=True).repeat(REPEATS[count])
    shaped = atomistic.deform(atoms, expm(log_strain(generator, 0.05)))
    volume = generator.uniform(17.0, 21.0)  # A^3 an atom; the liquid has about 18, the amorphous solid about 20
    return atomistic.deform(shaped, np.eye(3) * np.cbrt(volume * len(atoms) / shaped.get_volume()))


def melting(count: int, generator: np.random.Generator) -> tuple[Stage, ...]:
    """3000 K, then a liquid at 1500 to 2500 K, then an amorphous solid at 300 K; cells of 64 cost more and give no first snapshot."""
    liquid = generator.uniform(1500.0, 2500.0)
    hot = "liquid" if count < 64 else ""
    return (
        (hot, MELT_STEPS, 3000.0, 3000.0),
        ("liquid", LIQUID_STEPS, liquid, liquid),
        ("amorphous", QUENCH_STEPS, liquid, 300.0),
    )


def follow(
    potential: atomistic.NeuralPotential,
    atoms: Atoms,
    stages: tuple[Stage, ...],
    number: int,
    run: int,
    generator: np.random.Generator,
) -> list[Atoms]:
    """Molecular dynamics from stage to stage; a snapshot at the end of each that names a group, and where one goes astray."""
    atoms.calc = atomistic.NeuralCalculator(potential)
    thermalize_momenta(atoms, temperature_K=stages[0][2], rng=generator)
    kept: list[Atoms] = []
    for group, steps, start, end in stages:
        snapshot, whole = advance(atoms, generator, steps, start, end)
        if snapshot is not None and (group or not whole):
            snapshot.info = {
                "group": group or stages[1][0],
                "split": split(run) if number < TRAINING_ONLY else "train",
                "round": number,
            }
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
