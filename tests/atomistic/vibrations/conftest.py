"""A potential of silicon trained for seconds, at rest, with its force constants; and Stillinger and Weber's own."""

import pytest
from ase import Atoms
from ase.calculators.calculator import Calculator

import atomistic
from atomistic import NeuralCalculator, NeuralPotential
from atomistic.vibrations import ForceConstants, force_constants, force_constants_by_differences

SW_REACH = 2.0 * 3.77118
"""Twice the cutoff of Stillinger and Weber's potential, A."""


@pytest.fixture(scope="session")
def potential(small_training: tuple[list[Atoms], atomistic.Training]) -> NeuralPotential:
    return small_training[1].potential


@pytest.fixture(scope="session")
def crystal(potential: NeuralPotential, silicon: Atoms) -> Atoms:
    return atomistic.relax_crystal(silicon, NeuralCalculator(potential), force_tolerance=1e-10).atoms


@pytest.fixture(scope="session")
def constants(potential: NeuralPotential, crystal: Atoms) -> ForceConstants:
    return force_constants(potential, crystal)


@pytest.fixture(scope="session")
def reference() -> Calculator:
    return atomistic.reference_calculator("stillinger-weber")


@pytest.fixture(scope="session")
def reference_constants(reference: Calculator, silicon: Atoms) -> ForceConstants:
    relaxed = atomistic.relax_crystal(silicon, reference).atoms
    return force_constants_by_differences(relaxed, reference, reach=SW_REACH)
