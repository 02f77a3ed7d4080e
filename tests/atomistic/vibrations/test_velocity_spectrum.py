"""Densities of states from dynamics: counts all modes, puts each where it is, agrees with the harmonic crystal when it is cold."""

import numpy as np
import pytest
from ase import Atoms, units
from ase.md.verlet import VelocityVerlet

from atomistic import NeuralCalculator, NeuralPotential
from atomistic.vibrations import (
    DensityOfStates,
    ForceConstants,
    RunTooShort,
    dynamics_density_of_states,
    force_constants,
    velocity_density_of_states,
)


def gaussians(frequencies: np.ndarray, modes: np.ndarray, width: float) -> np.ndarray:
    return np.exp(-0.5 * ((frequencies[:, None] - modes) / width) ** 2).sum(1) / (width * np.sqrt(2.0 * np.pi))


def test_every_oscillation_is_a_gaussian_of_the_width_asked_for() -> None:
    """Two atoms of different mass that share their energy equally, one at 5, one at 12 THz."""
    times = 0.004 * np.arange(20_000)
    masses = np.array([10.0, 40.0])
    velocities = np.zeros((len(times), 2, 3))
    velocities[:, 0] = np.cos(2.0 * np.pi * 5.0 * times)[:, None] / np.sqrt(10.0)
    velocities[:, 1] = np.sin(2.0 * np.pi * 12.0 * times)[:, None] / np.sqrt(40.0)
    found = velocity_density_of_states(velocities, masses, interval_fs=4.0, resolution_thz=0.4)
    assert found.modes == pytest.approx(6.0, rel=1e-9)
    expected = 3.0 * gaussians(found.frequencies, np.array([5.0, 12.0]), 0.4)
    np.testing.assert_allclose(found.density, expected, atol=0.02)
    assert found.density.min() > -0.01


def test_a_cold_crystal_is_harmonic(potential: NeuralPotential, crystal: Atoms) -> None:
    """Equal energy in each mode of 16 atoms, next to none: the spectrum is the harmonic one but for the three translations."""
    atoms = crystal.repeat(2)
    squares, modes = np.linalg.eigh(force_constants(potential, atoms).dynamical_matrices([[0.0, 0.0, 0.0]])[0].real)
    assert np.abs(squares[:3]).max() < 1e-10
    signs = np.random.default_rng(0).choice([-1.0, 1.0], len(squares) - 3)
    atoms.calc = NeuralCalculator(potential)
    atoms.set_velocities(1e-3 * (modes[:, 3:] @ signs).reshape(-1, 3) / np.sqrt(atoms.get_masses())[:, None])
    velocities = []
    dynamics = VelocityVerlet(atoms, 2.0 * units.fs)
    dynamics.attach(lambda: velocities.append(atoms.get_velocities()), interval=4)
    dynamics.run(2000)
    found = velocity_density_of_states(np.array(velocities), atoms.get_masses(), interval_fs=8.0, resolution_thz=0.5)
    frequencies = np.sqrt(squares[3:]) * units.fs * 1000.0 / (2.0 * np.pi)
    expected = gaussians(found.frequencies, frequencies, 0.5) * 48.0 / 45.0
    assert found.modes == pytest.approx(48.0, rel=1e-9)
    assert np.abs(found.density - expected).max() < 0.03 * expected.max()


def test_a_run_of_its_own(potential: NeuralPotential, crystal: Atoms, constants: ForceConstants) -> None:
    def run(seed: int) -> DensityOfStates:
        return dynamics_density_of_states(
            crystal,
            NeuralCalculator(potential),
            temperature=300.0,
            seed=seed,
            steps=700,
            equilibration=200,
            minimum_atoms=16,
            resolution_thz=2.0,
        )

    found = run(0)
    assert found.modes == pytest.approx(6.0, rel=1e-9)
    mean_square = found.density @ found.frequencies**2 / found.density.sum()
    harmonic = np.mean(constants.frequencies([[i, j, k] for i in (0, 0.5) for j in (0, 0.5) for k in (0, 0.5)]) ** 2)
    assert mean_square == pytest.approx(harmonic, rel=0.25)  # 45 modes of random energies
    np.testing.assert_array_equal(run(0).density, found.density)


def test_nonsense_is_refused(potential: NeuralPotential, crystal: Atoms) -> None:
    velocities, masses = np.ones((100, 2, 3)), np.ones(2)
    with pytest.raises(RunTooShort, match=r"run longer than .* ps or ask for a coarser resolution than 0\.3 THz"):
        velocity_density_of_states(velocities, masses, interval_fs=4.0)
    with pytest.raises(RunTooShort, match="a window of 1 samples"):
        velocity_density_of_states(velocities, masses, interval_fs=4.0, resolution_thz=200.0)
    with pytest.raises(ValueError, match=r"interval_fs = 0\.0"):
        velocity_density_of_states(velocities, masses, interval_fs=0.0)
    with pytest.raises(ValueError, match="all zero"):
        velocity_density_of_states(0.0 * velocities, masses, interval_fs=4.0)
    with pytest.raises(ValueError, match=r"shape \(3,\), expected \(2,\)"):
        velocity_density_of_states(velocities, np.ones(3), interval_fs=4.0)
    with pytest.raises(ValueError, match=r"temperature = -1\.0"):
        dynamics_density_of_states(crystal, NeuralCalculator(potential), temperature=-1.0, seed=0)
