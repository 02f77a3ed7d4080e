"""Phonons: supercells fold onto wave vectors, sound travels at the speed the elastic constants say, silicon's Raman mode."""

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk

import atomistic
from atomistic import NeuralCalculator, phonon_frequencies

from .conftest import random_potential

Trained = tuple[list[Atoms], atomistic.Training]


def squares(frequencies: np.ndarray) -> np.ndarray:
    """omega^2 / 4 pi^2, ascending; differences are then not magnified where a frequency is zero."""
    return np.sort((np.sign(frequencies) * frequencies**2).ravel())


def test_supercell_at_gamma_holds_the_wave_vectors_that_fit() -> None:
    crystal = bulk("GaAs", "zincblende", a=5.65)
    crystal.rattle(0.05, seed=0)
    potential = random_potential((31, 33), nearest=2.45, cutoff=4.6, seed=1)
    wave_vectors = [[i / 2, j / 2, k / 2] for i in range(2) for j in range(2) for k in range(2)]
    folded = phonon_frequencies(potential, crystal, wave_vectors)
    assert folded.shape == (8, 6)
    large = phonon_frequencies(potential, crystal.repeat(2))
    np.testing.assert_allclose(squares(folded), squares(large), atol=1e-10)
    np.testing.assert_allclose(phonon_frequencies(potential, crystal, [[1.0, -1.0, 2.0]]), folded[:1], atol=1e-5)


@pytest.fixture(scope="module")
def trained(small_training: Trained, silicon: Atoms) -> tuple[atomistic.NeuralPotential, Atoms]:
    potential = small_training[1].potential
    return potential, atomistic.relax_crystal(silicon, NeuralCalculator(potential), force_tolerance=1e-10).atoms


def test_raman_mode_of_stillinger_weber_silicon(trained: tuple[atomistic.NeuralPotential, Atoms]) -> None:
    """17.83 THz, threefold, within 0.2 THz after a training of seconds; acoustic modes at zero."""
    frequencies = phonon_frequencies(*trained)[0]
    assert np.abs(frequencies[:3]).max() < 1e-5
    np.testing.assert_allclose(frequencies[3:], frequencies[3], rtol=1e-6)
    assert frequencies[3] == pytest.approx(17.83, abs=0.2)


@pytest.mark.parametrize("direction", [(1.0, 0.0, 0.0), (1.0, 1.0, 0.0), (1.0, 2.0, 3.0)])
def test_speed_of_sound(trained: tuple[atomistic.NeuralPotential, Atoms], direction: tuple[float, ...]) -> None:
    """rho v^2 are the eigenvalues of the acoustic tensor of the relaxed tangent at F = I: Q_ik = A_iJkL n_J n_L."""
    potential, crystal = trained
    n = np.array(direction) / np.linalg.norm(direction)
    A = atomistic.CauchyBorn(crystal, potential).evaluate(np.eye(3)[None]).tangent
    assert A is not None
    density = crystal.get_masses().sum() / crystal.get_volume()
    speeds = np.sqrt(np.linalg.eigvalsh(np.einsum("iJkL,J,L->ik", A[0], n, n)) / density)
    q = 2e-3
    frequencies = phonon_frequencies(potential, crystal, [crystal.cell.array @ n * q / (2.0 * np.pi)])[0, :3]
    # eV, amu and Angstrom make the unit of time; THz are 1e12 / s.

    np.testing.assert_allclose(frequencies, speeds * q / (2.0 * np.pi) * units.fs * 1000.0, rtol=1e-4)


def test_bad_wave_vectors_are_refused(silicon: Atoms) -> None:
    potential = random_potential((14,), nearest=2.35, cutoff=4.6, seed=0)
    with pytest.raises(ValueError, match=r"shape \(3,\), expected \(n, 3\)"):
        phonon_frequencies(potential, silicon, [0.0, 0.0, 0.5])
