"""Thermal stress: the ideal-gas limit, a stress in hot silicon, and what is refused."""

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk
from ase.calculators.calculator import Calculator, all_changes

import atomistic

from .conftest import random_potential


class NoInteraction(Calculator):
    """Atoms that do not see each other: the stress is kinetic alone, sigma = -N k T / V."""

    implemented_properties = ["energy", "forces", "stress"]  # noqa: RUF012

    def calculate(
        self, atoms: Atoms | None = None, properties: object = None, system_changes: object = all_changes
    ) -> None:
        assert atoms is not None
        self.results = {"energy": 0.0, "forces": np.zeros((len(atoms), 3)), "stress": np.zeros(6)}


def test_ideal_gas() -> None:
    crystal = bulk("Si", a=5.43)
    F = np.diag([1.1, 1.0, 0.95])
    answer = atomistic.thermal_stress(
        crystal, NoInteraction(), F, temperature=300.0, steps=4000, seed=0, friction_per_ps=20.0
    )
    pressure = units.kB * 300.0 * answer.atoms / (answer.atoms / 2 * crystal.get_volume() * np.linalg.det(F))
    expected = atomistic.first_piola(-pressure * np.eye(3), F)
    assert (np.abs(answer.first_piola - expected) < 5.0 * answer.first_piola_error + 1e-12).all()
    assert np.abs(np.diag(answer.first_piola_error)).max() < 0.05 * pressure


def test_hot_silicon_pushes_outwards_and_repeats() -> None:
    """At the 0 K lattice constant the 300 K stress is compressive: about -3 K alpha T, a few tenths of a GPa."""
    calculator = atomistic.reference_calculator("stillinger-weber")
    crystal = atomistic.relax_crystal(bulk("Si", a=5.43), calculator).atoms
    first, second = (
        atomistic.thermal_stress(crystal, calculator, np.eye(3), temperature=300.0, steps=800, seed=3, minimum_atoms=16)
        for _ in range(2)
    )
    np.testing.assert_array_equal(first.first_piola, second.first_piola)
    P = first.first_piola * atomistic.EV_PER_CUBIC_ANGSTROM_IN_GPA
    assert -1.0 < np.trace(P) / 3 < -0.1
    assert (first.first_piola_error > 0).all()


@pytest.mark.parametrize(
    "bad", [{"temperature": -1.0}, {"temperature": 300.0, "steps": 0}, {"temperature": 300.0, "timestep_fs": 0.0}]
)
def test_nonsense_is_refused(bad: dict) -> None:
    with pytest.raises(ValueError, match="expected a positive number"):
        atomistic.thermal_stress(bulk("Si", a=5.43), NoInteraction(), np.eye(3), seed=0, **bad)


def test_explosion_is_reported() -> None:
    calculator = atomistic.reference_calculator("stillinger-weber")
    with pytest.raises(atomistic.DynamicsFailed, match="smaller than 40"):
        atomistic.thermal_stress(
            bulk("Si", a=5.43),
            calculator,
            np.eye(3),
            temperature=300.0,
            seed=0,
            steps=500,
            timestep_fs=40.0,
            minimum_atoms=16,
        )


def test_a_calculator_used_before_gives_the_same_bits() -> None:
    """Its list of neighbours would be another one, and sums in another order."""
    potential = random_potential((14,), nearest=2.35, cutoff=4.6, seed=1)
    calculator = atomistic.NeuralCalculator(potential)
    results = [
        atomistic.thermal_stress(
            bulk("Si", a=5.43),
            calculator,
            np.eye(3),
            temperature=100.0,
            seed=3,
            steps=1500,
            minimum_atoms=8,
            timestep_fs=0.5,
        )
        for _ in range(2)
    ]
    assert np.array_equal(results[0].first_piola, results[1].first_piola)
