r"""Averages over molecular dynamics: the stress at a prescribed deformation gradient, and the cell at a prescribed pressure.

The integrators are ASE's: Langevin dynamics (NVT), and the method of Martyna, Tobias and Klein with all components of the cell free
(NPT; J. Chem. Phys. 101 (1994) 4177). At temperature T the Cauchy stress is the average of virial and kinetic parts,

    sigma = 1/V < dE/dstrain - sum_i p_i (x) p_i / m_i >,      P = J sigma F^-T.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from ase import Atoms, units
from ase.calculators.calculator import Calculator
from ase.md.langevin import Langevin
from ase.md.langevinbaoab import LangevinBAOAB
from ase.md.nose_hoover_chain import MTKNPT
from ase.md.velocitydistribution import Stationary, thermalize_momenta
from ase.stress import voigt_6_to_full_3x3_stress
from jaxtyping import Float
from numpy import ndarray
from scipy.linalg import polar

from atomistic.calculator import without_history
from atomistic.configurations import repeated
from atomistic.crystal import InvalidCrystal, check_crystal, deform, first_piola
from atomistic.guards import guarded_run
from atomistic.time_series import statistical_inefficiency, time_average

Progress = Callable[[float, str], None]


@dataclass(frozen=True)
class ThermalStress:
    """Average of the stress over one simulation.

    Attributes:
        deformation_gradient: F.
        temperature: K.
        first_piola: P, eV/A^3.
        first_piola_error: standard error of each component of P, eV/A^3.
        internal_energy: mean kinetic and potential energy per volume at F = I, eV/A^3, with the calculator's zero.
        internal_energy_error: its standard error.
        mean_temperature: average kinetic temperature, K.
        atoms: number of atoms simulated.
        picoseconds: length of the part averaged over.
        inefficiency: statistical inefficiency of the slowest component of P, in ps.
    """

    deformation_gradient: Float[ndarray, "3 3"]
    temperature: float
    first_piola: Float[ndarray, "3 3"]
    first_piola_error: Float[ndarray, "3 3"]
    internal_energy: float
    internal_energy_error: float
    mean_temperature: float
    atoms: int
    picoseconds: float
    inefficiency: float


def thermal_stress(
    crystal: Atoms,
    calculator: Calculator,
    deformation_gradient: Float[ndarray, "3 3"],
    *,
    temperature: float,
    seed: int,
    steps: int = 3000,
    timestep_fs: float = 2.0,
    minimum_atoms: int = 50,
    friction_per_ps: float = 2.0,
    sample_every: int = 5,
    checkpoint: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
) -> ThermalStress:
    """P of a crystal held at F and `temperature` (K), with its standard error.

    The primitive cell is repeated to at least `minimum_atoms`; velocities start at twice the temperature, half of which goes into the
    potential energy. The first part of the run is left out by equilibration detection. The last good frame is kept in `checkpoint`.

    Raises:
        ValueError: for a temperature, step number or time step that is not positive.
        DynamicsFailed: where a number is not finite or the temperature exceeds ten times the one asked for.
        TooFewSamples: where the run is too short for an error bar.
    """
    _check_positive(temperature=temperature, steps=steps, timestep_fs=timestep_fs)
    check_crystal(crystal)
    F = np.asarray(deformation_gradient, dtype=np.float64)
    generator = np.random.default_rng(seed)
    atoms = deform(repeated(crystal, minimum_atoms), F)
    atoms.calc = without_history(calculator)
    thermalize_momenta(atoms, temperature_K=2.0 * temperature, rng=generator)
    dynamics = Langevin(
        atoms,
        timestep_fs * units.fs,
        temperature_K=temperature,
        friction=friction_per_ps / (1000.0 * units.fs),
        # The centre of mass is thermalised like everything else: a periodic crystal does not mind where it is.
        fixcm=False,
        rng=generator,
    )
    stresses: list[ndarray] = []
    energies: list[float] = []
    temperatures: list[float] = []

    def sample() -> None:
        stress = voigt_6_to_full_3x3_stress(atoms.get_stress(include_ideal_gas=True))
        stresses.append(first_piola(np.asarray(stress), F).ravel())
        energies.append(float(atoms.get_total_energy()))
        temperatures.append(float(atoms.get_temperature()))
        if progress is not None:
            progress(min(1.0, dynamics.nsteps / steps), f"{temperatures[-1]:.0f} K")

    dynamics.attach(sample, interval=sample_every)
    guarded_run(dynamics, steps, max_temperature=_hottest(temperature), checkpoint=checkpoint, interval=sample_every)
    average = time_average(np.array(stresses))
    volume = float(atoms.get_volume() / np.linalg.det(F))
    energy = np.array(energies)[average.equilibration :, None] / volume
    energy_error = energy.std() * np.sqrt(statistical_inefficiency(energy)[0] / len(energy))
    sample_ps = 1e-3 * timestep_fs * sample_every
    return ThermalStress(
        deformation_gradient=F,
        temperature=temperature,
        first_piola=average.mean.reshape(3, 3),
        first_piola_error=average.standard_error.reshape(3, 3),
        internal_energy=float(energy.mean()),
        internal_energy_error=float(energy_error),
        mean_temperature=float(np.mean(temperatures[average.equilibration :])),
        atoms=len(atoms),
        picoseconds=sample_ps * (len(stresses) - average.equilibration),
        inefficiency=sample_ps * float(average.inefficiency.max()),
    )


@dataclass(frozen=True)
class ThermalCell:
    """Average of the cell over one simulation at constant pressure.

    Attributes:
        temperature: K.
        pressure: the one asked for, eV/A^3.
        stretch: mean right stretch U of the cell relative to the crystal given, symmetric; U - 1 is the thermal strain.
        stretch_error: standard error of each component of U.
        cell: the crystal's cell under the mean stretch, rows, Angstrom; it has the orientation of the crystal given.
        stress: mean Cauchy stress in that orientation, eV/A^3; -pressure on the diagonal within its error.
        stress_error: standard error of each component of the stress, eV/A^3.
        mean_temperature: average kinetic temperature, K.
        atoms: number of atoms simulated.
        picoseconds: length of the part averaged over.
        inefficiency: statistical inefficiency of the slowest component of U and stress, in ps.
    """

    temperature: float
    pressure: float
    stretch: Float[ndarray, "3 3"]
    stretch_error: Float[ndarray, "3 3"]
    cell: Float[ndarray, "3 3"]
    stress: Float[ndarray, "3 3"]
    stress_error: Float[ndarray, "3 3"]
    mean_temperature: float
    atoms: int
    picoseconds: float
    inefficiency: float


def npt_average(
    crystal: Atoms,
    calculator: Calculator,
    *,
    temperature: float,
    seed: int,
    pressure: float = 0.0,
    steps: int = 5000,
    equilibration: int = 1000,
    timestep_fs: float = 2.0,
    minimum_atoms: int = 50,
    thermostat_fs: float = 100.0,
    barostat_fs: float = 1000.0,
    sample_every: int = 5,
    checkpoint: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
) -> ThermalCell:
    """Mean cell of a crystal at `temperature` (K) and `pressure` (eV/A^3), with its standard error: thermal expansion follows.

    All components of the cell are free; the target is a pressure, as in ASE's integrator, not a general stress. With the cell's
    deformation F = R U (polar decomposition) the stretch U and the stress R^T sigma R are averaged, so that slow rotations of the cell do
    not count. Momentum is conserved: the centre of mass is at rest and the other 3N - 3 degrees of freedom have the temperature.

    Chains of thermostats hardly damp a cell that rings, nor do they mix the modes of a cold crystal: the run starts from `equilibration`
    steps of stochastic dynamics of atoms and cell at the same temperature and pressure (ASE's LangevinBAOAB). Repetition, error bars and
    `checkpoint` are those of `thermal_stress`.

    Raises:
        ValueError: for a temperature, step number or time that is not positive, a pressure that is not finite.
        InvalidCrystal: for what is no crystal, or a single atom.
        DynamicsFailed: where a number is not finite, the temperature exceeds ten times the one asked for, or the volume changes twofold.
        TooFewSamples: where the run is too short for an error bar.
    """
    _check_positive(
        temperature=temperature,
        steps=steps,
        timestep_fs=timestep_fs,
        thermostat_fs=thermostat_fs,
        barostat_fs=barostat_fs,
    )
    if equilibration < 0:
        raise ValueError(f"equilibration = {equilibration}, expected a number of steps, zero or more")
    if not np.isfinite(pressure):
        raise ValueError(f"pressure = {pressure}, expected a number in eV/A^3")
    check_crystal(crystal)
    atoms = repeated(crystal, minimum_atoms)
    if len(atoms) < 2:
        raise InvalidCrystal("one atom alone cannot be warm with its centre of mass at rest; raise minimum_atoms")
    initial_cell = atoms.cell.array.copy()
    atoms.calc = without_history(calculator)
    generator = np.random.default_rng(seed)
    thermalize_momenta(atoms, temperature_K=2.0 * temperature, rng=generator)
    if equilibration > 0:
        start = LangevinBAOAB(
            atoms,
            timestep_fs * units.fs,
            temperature_K=temperature,
            externalstress=-pressure,
            T_tau=thermostat_fs * units.fs,
            P_tau=2.0 * thermostat_fs * units.fs,
            rng=generator,
        )
        guarded_run(start, equilibration, max_temperature=_hottest(temperature), checkpoint=checkpoint)
    Stationary(atoms, preserve_temperature=False)
    # ASE's thermostat and thermometer share the kinetic energy out among 3N degrees of freedom; 3N - 3 of them move.
    moving = 1.0 - 1.0 / len(atoms)
    dynamics = MTKNPT(
        atoms,
        timestep_fs * units.fs,
        temperature_K=temperature * moving,
        pressure_au=pressure,
        tdamp=thermostat_fs * units.fs,
        pdamp=barostat_fs * units.fs,
    )
    samples: list[ndarray] = []
    temperatures: list[float] = []

    def sample() -> None:
        deformation_gradient = np.linalg.solve(initial_cell, atoms.cell.array).T
        rotation, stretch = polar(deformation_gradient)
        stress = voigt_6_to_full_3x3_stress(atoms.get_stress(include_ideal_gas=True))
        samples.append(np.concatenate([stretch.ravel(), (rotation.T @ stress @ rotation).ravel()]))
        temperatures.append(float(atoms.get_temperature()) / moving)
        if progress is not None:
            progress(min(1.0, dynamics.nsteps / steps), f"{temperatures[-1]:.0f} K")

    dynamics.attach(sample, interval=sample_every)
    guarded_run(dynamics, steps, max_temperature=_hottest(temperature), checkpoint=checkpoint, interval=sample_every)
    average = time_average(np.array(samples))
    sample_ps = 1e-3 * timestep_fs * sample_every
    stretch, stress = average.mean.reshape(2, 3, 3)
    stretch_error, stress_error = average.standard_error.reshape(2, 3, 3)
    return ThermalCell(
        temperature=temperature,
        pressure=pressure,
        stretch=stretch,
        stretch_error=stretch_error,
        cell=crystal.cell.array @ stretch.T,
        stress=stress,
        stress_error=stress_error,
        mean_temperature=float(np.mean(temperatures[average.equilibration :])),
        atoms=len(atoms),
        picoseconds=sample_ps * (len(samples) - average.equilibration),
        inefficiency=sample_ps * float(average.inefficiency.max()),
    )


def _check_positive(**values: float | int) -> None:
    for name, value in values.items():
        if not value > 0:
            raise ValueError(f"{name} = {value}, expected a positive number")


def _hottest(temperature: float) -> float:
    """Kinetic temperature (K) at which a simulation counts as blown up."""
    return 10.0 * temperature + 100.0
