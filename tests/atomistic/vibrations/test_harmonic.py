"""Harmonic crystals: dispersion, densities of states, heat capacity against sums over modes, sound against elastic constants."""

import subprocess
import sys

import numpy as np
import pytest
from ase import Atoms, units

import atomistic
from atomistic import NeuralCalculator, NeuralPotential
from atomistic.vibrations import (
    DensityOfStates,
    ForceConstants,
    ImaginaryModes,
    PhonopyMissing,
    Springs,
    UnstableStructure,
    chain,
    christoffel_speeds,
    density_of_states,
    dispersion,
    force_constants,
    phonopy_of,
    speeds_of_sound,
    thermal_properties,
)

TEMPERATURES = np.array([10.0, 50.0, 300.0, 10_000.0])


def test_dispersion_along_the_standard_path(constants: ForceConstants) -> None:
    found = dispersion(constants, points=60)
    np.testing.assert_allclose(found.frequencies, constants.frequencies(found.wave_vectors), atol=1e-6)
    places = {label: place for place, label in reversed(found.labels)}
    assert {"G", "X", "L", "K", "W", "U"} <= set(places)
    # from Gamma to X it is 2 pi / a
    assert places["X"] == pytest.approx(2.0 * np.pi / (np.sqrt(2.0) * constants.crystal.cell.lengths()[0]), rel=1e-9)
    assert np.all(np.diff(found.distance) >= 0.0)
    short = dispersion(constants, "LGX", points=20)
    assert [label for _, label in short.labels] == ["L", "G", "X"]


def test_density_of_states_holds_all_modes(constants: ForceConstants) -> None:
    found = density_of_states(constants, mesh=12)
    assert found.modes == pytest.approx(6.0, rel=0.005)
    highest = constants.frequencies().max()
    assert found.frequencies[found.density > 1e-6].max() == pytest.approx(highest, abs=0.1)
    smeared = found.smeared(0.3)
    assert smeared.modes == pytest.approx(found.modes, rel=1e-9)
    assert smeared.frequencies @ smeared.density == pytest.approx(found.frequencies @ found.density, rel=1e-9)


def test_heat_capacity_is_the_sum_over_modes(constants: ForceConstants) -> None:
    """Einstein's function of each mode of the mesh, in units of our own; entropy and heat capacity are derivatives of the free energy."""
    mesh = 5
    found = thermal_properties(constants, TEMPERATURES, mesh=mesh)
    grid = np.stack(np.meshgrid(*[np.arange(mesh) / mesh] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    quanta = np.sort(constants.frequencies(grid).ravel())[3:] * 4.135667696e-3  # h in eV / THz
    x = quanta / (units.kB * TEMPERATURES[:, None])
    inverse = np.exp(-x) / (1.0 - np.exp(-x))
    capacity = units.kB * (x**2 * inverse * (1.0 + inverse)).sum(1) / len(grid)
    free = (0.5 * quanta + units.kB * TEMPERATURES[:, None] * np.log1p(-np.exp(-x))).sum(1) / len(grid)
    # Boltzmann's constants differ by 1.5e-6
    np.testing.assert_allclose(found.heat_capacity, capacity, rtol=1e-4)
    np.testing.assert_allclose(found.free_energy, free, rtol=1e-5)
    # Dulong and Petit, but for the three modes that are left out
    assert found.heat_capacity[-1] == pytest.approx(units.kB * (6.0 - 3.0 / len(grid)), rel=1e-3)
    near = thermal_properties(constants, [299.0, 300.0, 301.0], mesh=mesh)
    F, S = near.free_energy, near.entropy
    assert S[1] == pytest.approx((F[0] - F[2]) / 2.0, rel=1e-5)
    assert near.heat_capacity[1] == pytest.approx(300.0 * (S[2] - S[0]) / 2.0, rel=1e-5)


def test_classical_statistics(constants: ForceConstants) -> None:
    found = thermal_properties(constants, [10.0, 300.0], mesh=4, classical=True)
    np.testing.assert_allclose(found.heat_capacity, units.kB * (6.0 - 3.0 / 64), rtol=1e-5)
    with pytest.raises(ValueError, match="temperature is zero"):
        thermal_properties(constants, [0.0, 10.0], mesh=4, classical=True)


SQUEEZED = Springs(stiffness=3.0, length=2.0, cutoff=2.5)


def squeezed_chain() -> ForceConstants:
    """At rest by symmetry, but it would rather buckle."""
    atoms = chain(SQUEEZED, (28.0,))
    atoms.cell[0, 0] = 1.9
    return force_constants(SQUEEZED, atoms)


def test_imaginary_modes_are_named() -> None:
    constants = squeezed_chain()
    # omega^2 = -4 K (r_0 / r - 1) / m sin^2(q a / 2) across the chain
    lowest = -np.sqrt(4.0 * 3.0 * (2.0 / 1.9 - 1.0) / 28.0) * units.fs * 1000.0 / (2.0 * np.pi)
    assert constants.frequencies([[0.5, 0.0, 0.0]]).min() == pytest.approx(lowest, rel=1e-9)
    named = rf"imaginary, the lowest {-lowest:.3g}i THz at q = \(-?0\.5, 0, 0\)"
    with pytest.raises(ImaginaryModes, match=named):
        thermal_properties(constants, [300.0], mesh=(8, 1, 1))
    with pytest.warns(UnstableStructure, match=named):
        found = density_of_states(constants, mesh=(8, 1, 1))
    assert found.frequencies[0] < lowest
    with pytest.warns(UnstableStructure, match="imaginary, the lowest"):
        path = dispersion(constants, points=40)
    assert path.frequencies.min() == pytest.approx(lowest, rel=0.05)


def test_phonopy_is_asked_for_late_and_missed_by_name(
    constants: ForceConstants, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "phonopy", None)
    with pytest.raises(PhonopyMissing, match=r"pip install atomlaw\[vibrations\]"):
        phonopy_of(constants)


@pytest.mark.slow
def test_importing_vibrations_does_not_import_phonopy() -> None:
    code = "import sys, atomistic.vibrations; assert 'phonopy' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


DIRECTIONS = np.array([[1.0, 0.0, 0.0], [1.0, 1.0, 0.0], [1.0, 1.0, 1.0], [1.0, 2.0, 3.0]])


def test_sound_travels_as_the_elastic_constants_say(
    potential: NeuralPotential, crystal: Atoms, constants: ForceConstants
) -> None:
    """Force constants against stresses under strain: within 1 % was asked for."""
    stiffness = atomistic.elastic_constants(crystal, NeuralCalculator(potential))
    found = speeds_of_sound(constants, DIRECTIONS)
    np.testing.assert_allclose(found, christoffel_speeds(stiffness, crystal, DIRECTIONS), rtol=1e-4)
    # silicon along [100]: 8.4 and 5.8 km/s measured, Stillinger and Weber's a little slower
    assert found[0, 2] == pytest.approx(8.1, abs=0.3)


def test_sound_by_the_relaxed_tangent(potential: NeuralPotential, crystal: Atoms, constants: ForceConstants) -> None:
    """rho v^2 are the eigenvalues of Q_ik = A_iJkL n_J n_L of the Cauchy-Born law at F = I."""
    A = atomistic.CauchyBorn(crystal, potential).evaluate(np.eye(3)[None]).tangent
    assert A is not None
    n = DIRECTIONS / np.linalg.norm(DIRECTIONS, axis=1)[:, None]
    density = crystal.get_masses().sum() / crystal.get_volume()
    speeds = np.sqrt(np.linalg.eigvalsh(np.einsum("iJkL,nJ,nL->nik", A[0], n, n)) / density)
    # A per unit of ASE's time, in km/s
    np.testing.assert_allclose(speeds_of_sound(constants, DIRECTIONS), speeds * units.fs * 100.0, rtol=1e-4)


def test_sound_in_a_chain() -> None:
    """c = r_0 sqrt(K / m) along it, in km/s."""
    springs = Springs(stiffness=3.0, length=2.0, cutoff=2.5)
    constants = force_constants(springs, chain(springs, (28.0,)))
    (speeds,) = speeds_of_sound(constants, np.array([[1.0, 0.0, 0.0]]))
    assert speeds[2] == pytest.approx(2.0 * np.sqrt(3.0 / 28.0 * units._e / units._amu) * 1e-3, rel=1e-5)


def test_nonsense_is_refused(constants: ForceConstants, crystal: Atoms) -> None:
    with pytest.raises(ValueError, match=r"mesh = 0"):
        density_of_states(constants, mesh=0)
    with pytest.raises(ValueError, match=r"step_thz = 0\.0"):
        density_of_states(constants, step_thz=0.0)
    with pytest.raises(ValueError, match="not below zero"):
        thermal_properties(constants, [-1.0])
    with pytest.raises(ValueError, match="none of them zero"):
        speeds_of_sound(constants, np.zeros((1, 3)))
    with pytest.raises(ValueError, match="the crystal is unstable"):
        christoffel_speeds(-np.eye(6), crystal, DIRECTIONS)
    with pytest.raises(ValueError, match=r"resolution_thz = 0\.0"):
        DensityOfStates(np.arange(3.0), np.ones(3)).smeared(0.0)
