"""Energy, forces and stress by the neural potential against its teacher, Stillinger-Weber of matscipy: thousand atom-steps a second.

The potential has the demo's size; its weights do not matter for the cost, so that it is trained for a moment only. One thread, in turns,
steps of dynamics at 300 K so that neighbours change.
"""

import time
from statistics import median

import numpy as np
from ase import units
from ase.build import bulk
from ase.calculators.calculator import Calculator
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution
from ase.md.verlet import VelocityVerlet

import atomistic

STEPS = 20
ROUNDS = 5
CELLS = {"64": 2, "512": 4}
"""Atoms -> repeats of the 8-atom cell."""


def measure() -> dict[str, float]:
    """Thousand atom-steps a second by both, by the number of atoms; medians."""
    reference = atomistic.reference_calculator("stillinger-weber")
    crystal = atomistic.relax_crystal(bulk("Si", a=5.43), reference).atoms
    labelled = atomistic.label_configurations(
        crystal, reference, max_strain=0.06, seed=0, groups=atomistic.default_groups(0.1)
    )
    settings = atomistic.TrainingSettings(cycles=2, iterations=60)
    potential = atomistic.train(labelled, settings, seed=0).potential
    numbers: dict[str, float] = {}
    for name, repeats in CELLS.items():
        rounds = [
            (rate(atomistic.NeuralCalculator(potential), repeats), rate(reference, repeats)) for _ in range(ROUNDS)
        ]
        numbers[f"neural_{name}_katom_steps_s"] = median(neural for neural, _ in rounds)
        numbers[f"stillinger_weber_{name}_katom_steps_s"] = median(teacher for _, teacher in rounds)
    return numbers


def rate(calculator: Calculator, repeats: int) -> float:
    """Thousand atom-steps a second of NVE dynamics with energy, forces and stress each step."""
    atoms = bulk("Si", a=5.431, cubic=True).repeat(repeats)
    atoms.calc = calculator
    MaxwellBoltzmannDistribution(atoms, temperature_K=600.0, rng=np.random.default_rng(0))
    dynamics = VelocityVerlet(atoms, 2.0 * units.fs)
    dynamics.attach(atoms.get_stress, interval=1)
    dynamics.run(2)  # first calls allocate
    start = time.perf_counter()
    dynamics.run(STEPS)
    return 1e-3 * STEPS * len(atoms) / (time.perf_counter() - start)
