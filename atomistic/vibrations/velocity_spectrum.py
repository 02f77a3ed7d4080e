r"""Density of states from dynamics: the spectrum of the velocities of a run at constant energy.

By equipartition a mode of frequency nu has sum_i m_i v_i(0) . v_i(t) = kT cos(2 pi nu t) on average, hence

    C(t) = < sum_i m_i v_i(s) . v_i(s + t) >,        g(nu) = 3N 4 integral_0^inf C(t) / C(0) w(t) cos(2 pi nu t) dt

(J. M. Dickey and A. Paskin, Phys. Rev. 188 (1969) 1407), whose integral over nu > 0 is 3N because w(0) = 1. The lag window is Gaussian,
w(t) = exp(-(2 pi sigma t)^2 / 2): g comes out as if every mode were a Gaussian of standard deviation sigma in frequency, never below zero
but for noise, and `DensityOfStates.smeared` gives the harmonic one the same width. Unlike the harmonic density it has all anharmonicity
of its temperature; classical, like the dynamics.
"""

import numpy as np
from ase import Atoms, units
from ase.calculators.calculator import Calculator
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import thermalize_momenta
from ase.md.verlet import VelocityVerlet
from jaxtyping import Float
from numpy import ndarray
from scipy.fft import irfft, next_fast_len, rfft

from atomistic.calculator import without_history
from atomistic.configurations import repeated
from atomistic.crystal import check_crystal
from atomistic.guards import guarded_run
from atomistic.vibrations.harmonic import DensityOfStates

WINDOW_END = 4.0
"""In standard deviations of the window's Gaussian: beyond, it is below 4e-4."""


class RunTooShort(ValueError):
    """A run of velocities shorter than its window, or sampled too rarely for what moves in it."""


def velocity_density_of_states(
    velocities: Float[ndarray, "steps atoms 3"],
    masses: Float[ndarray, "masses"],
    *,
    interval_fs: float,
    resolution_thz: float = 0.3,
) -> DensityOfStates:
    """g(nu) of a run, integral 3N; momentum that is conserved at zero is made up for by the other modes, as 3N : 3N - 3.

    Args:
        velocities: in equal intervals; their unit does not matter.
        masses: of the atoms.
        interval_fs: between two samples.
        resolution_thz: sigma, the standard deviation of the Gaussian that each mode becomes.

    Raises:
        RunTooShort: where the run does not cover twice the window, or half the sampling rate is below what the resolution needs.
        ValueError: for numbers that are not positive, shapes that do not fit, velocities that are not finite or all zero.
    """
    for name, value in (("interval_fs", interval_fs), ("resolution_thz", resolution_thz)):
        if not value > 0.0:
            raise ValueError(f"{name} = {value}, expected a positive number")
    steps, atoms, _ = velocities.shape
    if masses.shape != (atoms,):
        raise ValueError(f"masses have shape {masses.shape}, expected {(atoms,)}")
    if not np.isfinite(velocities).all() or not velocities.any():
        raise ValueError("velocities are all zero or contain NaN or infinity")
    interval_ps = 1e-3 * interval_fs
    lags = int(np.ceil(WINDOW_END / (2.0 * np.pi * resolution_thz * interval_ps)))
    if steps < 2 * lags or lags < 4:
        raise RunTooShort(
            f"{steps} samples in intervals of {interval_fs:g} fs with a window of {lags} samples, expected at least twice the window and a "
            f"window of 4: run longer than {2.0 * lags * interval_ps:.3g} ps or ask for a coarser resolution than {resolution_thz:g} THz"
        )
    weighted = (velocities * np.sqrt(masses)[:, None]).reshape(steps, -1)
    length = next_fast_len(steps + lags, real=True)
    power = np.zeros(length // 2 + 1)
    for column in np.array_split(weighted, max(1, weighted.shape[1] // 64), axis=1):
        power += (np.abs(rfft(column, length, axis=0)) ** 2).sum(axis=1)
    # over all pairs of samples that far apart: no bias, whatever the lag
    correlation = irfft(power, length)[: lags + 1] / (steps - np.arange(lags + 1))
    window = np.exp(-0.5 * (2.0 * np.pi * resolution_thz * interval_ps * np.arange(lags + 1)) ** 2)
    damped = correlation / correlation[0] * window
    # an even number of points: the integral from zero to half the sampling rate is then exactly 3N
    points = 2 * next_fast_len(4 * lags, real=True)
    even = np.zeros(points)
    even[: lags + 1] = damped
    even[-lags:] = damped[:0:-1]
    density = 2.0 * interval_ps * np.real(rfft(even)) * 3 * atoms
    return DensityOfStates(np.arange(len(density)) / (points * interval_ps), density)


def dynamics_density_of_states(
    crystal: Atoms,
    calculator: Calculator,
    *,
    temperature: float,
    seed: int,
    steps: int = 6000,
    equilibration: int = 1500,
    timestep_fs: float = 2.0,
    minimum_atoms: int = 200,
    friction_per_ps: float = 5.0,
    sample_every: int = 4,
    resolution_thz: float = 0.3,
) -> DensityOfStates:
    """g(nu) per cell of the crystal by a run at constant energy after `equilibration` steps of Langevin dynamics at `temperature` (K).

    The crystal is repeated to at least `minimum_atoms`, whose 3N modes are what the run can show.

    Raises:
        ValueError: for a temperature or number of steps that is not positive.
        DynamicsFailed: where a number is not finite or the temperature exceeds ten times the one asked for.
        RunTooShort: where the run does not cover twice the window.
    """
    given = {"temperature": temperature, "steps": steps, "timestep_fs": timestep_fs, "sample_every": sample_every}
    for name, value in given.items():
        if not value > 0:
            raise ValueError(f"{name} = {value}, expected a positive number")
    check_crystal(crystal)
    generator = np.random.default_rng(seed)
    atoms = repeated(crystal, minimum_atoms)
    atoms.calc = without_history(calculator)
    thermalize_momenta(atoms, temperature_K=2.0 * temperature, rng=generator)
    thermostat = Langevin(
        atoms,
        timestep_fs * units.fs,
        temperature_K=temperature,
        friction=friction_per_ps / (1000.0 * units.fs),
        fixcm=False,
        rng=generator,
    )
    hottest = 10.0 * temperature + 100.0
    guarded_run(thermostat, equilibration, max_temperature=hottest)
    momentum = atoms.get_momenta().sum(axis=0)
    atoms.set_momenta(atoms.get_momenta() - atoms.get_masses()[:, None] * momentum / atoms.get_masses().sum())
    velocities: list[ndarray] = []
    dynamics = VelocityVerlet(atoms, timestep_fs * units.fs)
    dynamics.attach(lambda: velocities.append(atoms.get_velocities()), interval=sample_every)
    guarded_run(dynamics, steps, max_temperature=hottest)
    total = velocity_density_of_states(
        np.array(velocities),
        atoms.get_masses(),
        interval_fs=timestep_fs * sample_every,
        resolution_thz=resolution_thz,
    )
    return DensityOfStates(total.frequencies, total.density * len(crystal) / len(atoms))
