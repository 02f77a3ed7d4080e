"""Thermal stress: the average of the virial over molecular dynamics at a prescribed deformation gradient and temperature.

The integrator is ASE's Langevin dynamics (NVT). At temperature T the Cauchy stress is the average of virial and kinetic parts,

    sigma = 1/V < dE/dstrain - sum_i p_i (x) p_i / m_i >,      P = J sigma F^-T.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from ase import Atoms, units
from ase.calculators.calculator import Calculator
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import thermalize_momenta
from ase.stress import voigt_6_to_full_3x3_stress
from jaxtyping import Float
from numpy import ndarray

from atomistic.configurations import repeated
from atomistic.crystal import check_crystal, deform, first_piola
from atomistic.time_series import time_average

Progress = Callable[[float, str], None]


class DynamicsFailed(RuntimeError):
    """A simulation blew up."""


@dataclass(frozen=True)
class ThermalStress:
    """Average of the stress over one simulation.

    Attributes:
        deformation_gradient: F.
        temperature: K.
        first_piola: P, eV/A^3.
        first_piola_error: standard error of each component of P, eV/A^3.
        mean_temperature: average kinetic temperature, K.
        atoms: number of atoms simulated.
        picoseconds: length of the part averaged over.
        inefficiency: statistical inefficiency of the slowest component of P, in ps.
    """

    deformation_gradient: Float[ndarray, "3 3"]
    temperature: float
    first_piola: Float[ndarray, "3 3"]
    first_piola_error: Float[ndarray, "3 3"]
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
    progress: Progress | None = None,
) -> ThermalStress:
    """P of a crystal held at F and `temperature` (K), with its standard error.

    The primitive cell is repeated to at least `minimum_atoms`; velocities start at twice the temperature, half of which goes into the
    potential energy. The first part of the run is left out by equilibration detection.

    Raises:
        ValueError: for a temperature, step number or time step that is not positive.
        DynamicsFailed: where a number is not finite or the temperature exceeds ten times the one asked for.
        TooFewSamples: where the run is too short for an error bar.
    """
    for name, value in (("temperature", temperature), ("steps", steps), ("timestep_fs", timestep_fs)):
        if not value > 0:
            raise ValueError(f"{name} = {value}, expected a positive number")
    check_crystal(crystal)
    F = np.asarray(deformation_gradient, dtype=np.float64)
    generator = np.random.default_rng(seed)
    atoms = deform(repeated(crystal, minimum_atoms), F)
    atoms.calc = calculator
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
    temperatures: list[float] = []

    def sample() -> None:
        stress = voigt_6_to_full_3x3_stress(atoms.get_stress(include_ideal_gas=True))
        kinetic = atoms.get_temperature()
        if not np.isfinite(stress).all() or kinetic > 10.0 * temperature + 100.0:
            raise DynamicsFailed(
                f"the simulation blew up at step {dynamics.nsteps}: kinetic temperature {kinetic:.4g} K, expected about {temperature} K; "
                f"use a time step smaller than {timestep_fs} fs, or train the potential on hotter configurations"
            )
        stresses.append(first_piola(np.asarray(stress), F).ravel())
        temperatures.append(float(kinetic))
        if progress is not None:
            progress(min(1.0, dynamics.nsteps / steps), f"{kinetic:.0f} K")

    dynamics.attach(sample, interval=sample_every)
    dynamics.run(steps)
    average = time_average(np.array(stresses))
    sample_ps = 1e-3 * timestep_fs * sample_every
    return ThermalStress(
        deformation_gradient=F,
        temperature=temperature,
        first_piola=average.mean.reshape(3, 3),
        first_piola_error=average.standard_error.reshape(3, 3),
        mean_temperature=float(np.mean(temperatures[average.equilibration :])),
        atoms=len(atoms),
        picoseconds=sample_ps * (len(stresses) - average.equilibration),
        inefficiency=sample_ps * float(average.inefficiency.max()),
    )
