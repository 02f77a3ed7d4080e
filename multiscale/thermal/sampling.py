"""Strain-stress data at finite temperature: P from the virial of molecular dynamics, and internal energies, with their standard errors.

A mean potential energy is not the free energy whose derivative P is, so none is recorded as such.
"""

from collections.abc import Callable, Iterable
from concurrent.futures import Executor
from functools import partial

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator
from jaxtyping import Float
from numpy import ndarray

import atomistic
from atomistic import EV_PER_CUBIC_ANGSTROM_IN_GPA, NeuralCalculator, NeuralPotential, ThermalStress
from multiscale.data.dataset import StressStrainData
from multiscale.sampling.relaxed_states import crystal_record, model_record

Progress = Callable[[float, str], None]


def sample_thermal(
    crystal: Atoms,
    potential: NeuralPotential | Calculator,
    deformation_gradient: Float[ndarray, "n 3 3"],
    *,
    temperature: float,
    steps: int,
    seed: int,
    timestep_fs: float = 2.0,
    minimum_atoms: int = 50,
    internal_energies: bool = False,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> StressStrainData:
    """P (GPa) and its standard error at every F, each from NVT dynamics of its own, seeded seed, seed + 1, ...

    With `internal_energies` also U, mean kinetic and potential energy, counted from the atoms at rest in `crystal`, so that at 0 K it is
    the energy W of `multiscale.sample`. U fixes the heat capacity of a law of temperature; give it at as many temperatures as the law's
    polynomial has powers, 0 K among them.

    `crystal` is the cell at F = I (the one relaxed at 0 K, or of any chosen temperature); it is not relaxed again. Simulations go to
    `executor`, a process pool for instance, whose results do not depend on the order in which they finish.

    Raises:
        InvalidCrystal, TooFewSamples: for the user's mistakes.
        DynamicsFailed: where a simulation blows up.
    """
    calculator = NeuralCalculator(potential) if isinstance(potential, NeuralPotential) else potential
    run = partial(
        atomistic.thermal_stress,
        crystal,
        calculator,
        temperature=temperature,
        steps=steps,
        timestep_fs=timestep_fs,
        minimum_atoms=minimum_atoms,
    )
    every: Callable[..., Iterable[ThermalStress]] = map if executor is None else executor.map
    averages: list[ThermalStress] = []
    for average in every(partial(_seeded, run, seed), range(len(deformation_gradient)), deformation_gradient):
        averages.append(average)
        if progress is not None:
            progress(len(averages) / len(deformation_gradient), f"{len(averages)} strains")
    energy, energy_error = None, None
    if internal_energies:
        still = crystal.copy()
        still.calc = calculator
        at_rest = still.get_potential_energy() / still.get_volume()
        energy = EV_PER_CUBIC_ANGSTROM_IN_GPA * np.array([average.internal_energy - at_rest for average in averages])
        energy_error = EV_PER_CUBIC_ANGSTROM_IN_GPA * np.array([average.internal_energy_error for average in averages])
    return StressStrainData(
        deformation_gradient=np.asarray(deformation_gradient),
        first_piola=EV_PER_CUBIC_ANGSTROM_IN_GPA * np.array([average.first_piola for average in averages]),
        first_piola_error=EV_PER_CUBIC_ANGSTROM_IN_GPA * np.array([average.first_piola_error for average in averages]),
        internal_energy=energy,
        internal_energy_error=energy_error,
        temperature=temperature,
        crystal=crystal_record(crystal),
        provenance={
            **model_record(potential),
            "dynamics": f"NVT Langevin, {averages[0].atoms} atoms, {steps} steps of {timestep_fs} fs, seed {seed}",
            "mean temperature": ", ".join(f"{average.mean_temperature:.1f} K" for average in averages),
            "inefficiency": ", ".join(f"{average.inefficiency:.3f} ps" for average in averages),
        },
    )


def _seeded(
    run: Callable[..., ThermalStress], seed: int, k: int, deformation_gradient: Float[ndarray, "3 3"]
) -> ThermalStress:
    return run(deformation_gradient, seed=seed + k)
