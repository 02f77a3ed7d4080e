"""Thermal expansion: against phonopy's own, against differences of its own volumes, and what has no minimum."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.calculator import Calculator

import atomistic
from atomistic import NeuralCalculator, NeuralPotential
from atomistic.crystal import deform
from atomistic.vibrations import ShapeHeld, VolumeOutOfRange, force_constants, phonopy_of, quasi_harmonic

from ..conftest import random_potential

TEMPERATURES = np.array([0.0, 100.0, 299.0, 300.0, 301.0, 800.0])


def test_against_differences_and_phonopy(potential: NeuralPotential, crystal: Atoms) -> None:
    from phonopy import run_qha

    calculator = NeuralCalculator(potential)
    strains = (-0.01, -0.005, 0.0, 0.005, 0.01, 0.015)
    found = quasi_harmonic(crystal, calculator, TEMPERATURES, strains=strains, mesh=7)
    by_differences = (found.volume[4] - found.volume[2]) / (2.0 * 3.0 * found.volume[3])
    assert found.linear_expansion[3] == pytest.approx(by_differences, rel=1e-5)
    # dG/dT = -S, d2G/dT2 = -C_p / T
    G = found.gibbs_energy
    assert -300.0 * (G[2] - 2.0 * G[3] + G[4]) == pytest.approx(found.heat_capacity_pressure[3], rel=1e-3)
    assert found.linear_expansion[0] == 0.0 and found.grueneisen[0] == 0.0
    cells = [deform(crystal, (1.0 + strain) * np.eye(3)) for strain in strains]
    energies = [potential.predict(cell).energy for cell in cells]
    phonopys = [phonopy_of(force_constants(potential, cell)) for cell in cells]
    # an odd mesh has Gamma in either
    theirs = run_qha(phonopys, TEMPERATURES[2:], energies, mesh=(7, 7, 7), exclude_gamma_acoustic=True)
    np.testing.assert_allclose(theirs.equilibrium_volumes[:2], found.volume[2:4], rtol=1e-4)
    assert theirs.thermal_expansion[1] / 3.0 == pytest.approx(found.linear_expansion[3], rel=0.05)
    assert theirs.bulk_moduli[1] == pytest.approx(found.bulk_modulus[3], rel=0.02)


def test_classical_and_under_pressure(potential: NeuralPotential, crystal: Atoms) -> None:
    calculator = NeuralCalculator(potential)
    strains = (-0.01, -0.004, 0.0, 0.005, 0.01)
    hot = quasi_harmonic(crystal, calculator, [1.0, 800.0], strains=strains, mesh=4, classical=True)
    # without zero-point energy a cold crystal has the volume of least energy
    assert hot.stretch[0] == pytest.approx(1.0, abs=1e-5)
    pressure = 0.01
    pressed = quasi_harmonic(crystal, calculator, [800.0], strains=strains, mesh=4, classical=True, pressure=pressure)
    squeezed = -pressure / hot.bulk_modulus[1]
    assert pressed.volume[0] / hot.volume[1] - 1.0 == pytest.approx(squeezed, rel=0.05)


def test_no_minimum_in_the_volumes_given(potential: NeuralPotential, crystal: Atoms) -> None:
    strains = (-0.02, -0.018, -0.016, -0.014, -0.012)
    with pytest.raises(VolumeOutOfRange, match="the least is above them"):
        quasi_harmonic(crystal, NeuralCalculator(potential), [300.0], strains=strains, mesh=2)


def test_a_shape_that_is_held_is_named() -> None:
    potential = random_potential((14,), nearest=2.35, cutoff=4.6, seed=0)
    sheared = deform(bulk("Si", a=5.43), np.diag([1.05, 1.0, 0.95]))
    with pytest.warns(ShapeHeld, match="the stress deviates by"), pytest.raises(ValueError):
        quasi_harmonic(sheared, NeuralCalculator(potential), [300.0], mesh=2)


def test_nonsense_is_refused(potential: NeuralPotential, crystal: Atoms, reference: Calculator) -> None:
    with pytest.raises(ValueError, match="at least 5 different"):
        quasi_harmonic(crystal, NeuralCalculator(potential), [300.0], strains=(0.0, 0.01, 0.02, 0.01))
    with pytest.raises(ValueError, match="has no Hessian of its own: pass constants"):
        quasi_harmonic(atomistic.relax_crystal(crystal, reference).atoms, reference, [300.0])
