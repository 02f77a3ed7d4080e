"""Strain-stress data from atoms: two routes to the same numbers, the law that asks the atoms, and thermal data."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from ase import units
from ase.build import bulk

import atomistic
import multiscale
from atomistic import EV_PER_CUBIC_ANGSTROM_IN_GPA, NeuralCalculator, NeuralPotential
from fem.law import InadmissibleDeformation, ShapeError
from multiscale.sampling.relaxed_states import crystal_from_record

SILICON = bulk("Si", a=5.43)


@pytest.fixture(scope="module")
def potential() -> NeuralPotential:
    """Trained for two seconds: good enough to have a crystal that is stable within a few per cent."""
    reference = atomistic.reference_calculator("stillinger-weber")
    relaxed = atomistic.relax_crystal(SILICON, reference).atoms
    labelled = atomistic.label_configurations(
        relaxed, reference, max_strain=0.06, seed=0, groups=atomistic.default_groups(0.2)[:2]
    )
    settings = atomistic.TrainingSettings(radial=8, angular=5, hidden=(10, 10), cycles=2, iterations=150)
    return atomistic.train(labelled, settings, seed=0).potential


def test_exact_route_agrees_with_a_plain_calculator(potential: NeuralPotential) -> None:
    """The batched Newton relaxation and its exact tangent, against ASE's optimiser, virial and central differences."""
    exact = multiscale.sample(SILICON, potential, max_strain=0.04, states=5, seed=3)
    plain = multiscale.sample(SILICON, NeuralCalculator(potential), max_strain=0.04, states=5, seed=3)
    np.testing.assert_array_equal(exact.deformation_gradient, plain.deformation_gradient)
    np.testing.assert_allclose(exact.labels("energy"), plain.labels("energy"), atol=1e-9)
    np.testing.assert_allclose(exact.labels("first_piola"), plain.labels("first_piola"), atol=1e-5)
    # differences with a strain of 5e-4: relative error of the order 1e-4
    np.testing.assert_allclose(exact.labels("reference_tangent"), plain.labels("reference_tangent"), atol=0.05)
    assert plain.tangent is None
    assert exact.admissible.all()
    assert np.abs(exact.reference_stress).max() < 1e-6


def test_data_say_where_they_come_from(potential: NeuralPotential) -> None:
    data = multiscale.sample(SILICON, potential, max_strain=0.02, states=2, seed=7)
    assert "seed 7" in data.provenance["design"]
    assert '"iterations": 150' in data.provenance["potential training"]
    crystal = crystal_from_record(data.crystal)
    assert len(crystal) == 2
    assert np.abs(NeuralCalculator(potential).get_stress(crystal)).max() < 1e-8


def test_the_design_is_the_one_asked_for(potential: NeuralPotential) -> None:
    chosen = multiscale.sample(SILICON, potential, max_strain=0.03, states=2, seed=3)
    drawn = multiscale.sample(SILICON, potential, max_strain=0.03, states=2, seed=3, design="sobol")
    group = multiscale.PointGroup.named("m-3m")
    assert np.allclose(chosen.deformation_gradient, multiscale.informative_design(2, 0.03, group, 3))
    assert np.array_equal(drawn.deformation_gradient, multiscale.strain_design(2, 0.03, 3))
    assert chosen.provenance["design"].startswith("D-optimal for m-3m") and drawn.provenance["design"].startswith(
        "Sobol"
    )


def test_stress_is_the_derivative_of_the_energy_at_finite_strain(potential: NeuralPotential) -> None:
    crystal = crystal_from_record(multiscale.sample(SILICON, potential, max_strain=0.02, states=1, seed=0).crystal)
    law = multiscale.CauchyBornLaw(crystal, potential)
    F = multiscale.strain_design(1, 0.04, seed=1)
    answer = law.evaluate(F)
    step = 1e-4 * np.eye(9).reshape(9, 3, 3)
    moved = [law.evaluate(F + k * step, tangent=False).energy for k in (-2, -1, 1, 2)]
    numerical = (moved[0] - 8 * moved[1] + 8 * moved[2] - moved[3]).reshape(3, 3) / 12e-4
    assert np.abs(numerical - answer.first_piola[0]).max() <= 1e-7 * np.abs(answer.first_piola).max()


def test_law_of_the_atoms_keeps_the_protocol(potential: NeuralPotential) -> None:
    data = multiscale.sample(SILICON, potential, max_strain=0.03, states=3, seed=0)
    crystal = crystal_from_record(data.crystal)
    law = multiscale.CauchyBornLaw(crystal, potential)
    answer = law.evaluate(data.deformation_gradient)
    np.testing.assert_allclose(answer.first_piola, data.labels("first_piola"), atol=1e-8)
    np.testing.assert_allclose(answer.tangent, data.labels("tangent"), atol=1e-6)
    raw = atomistic.CauchyBorn(crystal, potential).evaluate(data.deformation_gradient, tangent=False)
    np.testing.assert_allclose(answer.energy, EV_PER_CUBIC_ANGSTROM_IN_GPA * raw.energy, atol=1e-9)
    assert law.evaluate(data.deformation_gradient, tangent=False).tangent is None
    with pytest.raises(ShapeError, match=r"\(4, 2, 2\)"):
        law.evaluate(np.ones((4, 2, 2)))
    with pytest.raises(InadmissibleDeformation, match="point 1"):
        law.evaluate(np.array([np.eye(3), np.diag([1.0, 1.0, -1.0])]))


def test_a_crystal_that_falls_apart_is_reported() -> None:
    """An untrained network has no stable diamond at large shear: an error that names the point, not a number."""
    from tests.atomistic.conftest import random_potential

    law = multiscale.CauchyBornLaw(SILICON, random_potential((14,), nearest=2.35, cutoff=4.1, seed=3))
    F = np.array([np.eye(3), [[1.0, 0.9, 0.0], [0.0, 0.7, 0.4], [0.0, 0.0, 1.5]]])
    stable = law.cauchy_born.evaluate(F, tangent=False).stable
    assert not stable.all()
    with pytest.raises(
        multiscale.UnstableCrystal, match=f"point {int(np.argmin(stable))}: .* no stable internal state"
    ):
        law.evaluate(F)


def test_thermal_data_do_not_depend_on_the_executor() -> None:
    """Stresses with errors and no energies; the same numbers in a pool as one after the other."""
    crystal = atomistic.relax_crystal(bulk("Cu", a=3.6), atomistic.reference_calculator("emt")).atoms
    F = multiscale.strain_design(2, 0.02, seed=0)

    def sampled(executor: ThreadPoolExecutor | None) -> multiscale.StressStrainData:
        calculator = atomistic.reference_calculator("emt")
        return multiscale.sample_thermal(
            crystal, calculator, F, temperature=300.0, steps=400, seed=5, minimum_atoms=8, executor=executor
        )

    with ThreadPoolExecutor(1) as pool:
        pooled = sampled(pool)
    alone = sampled(None)
    np.testing.assert_array_equal(pooled.labels("first_piola"), alone.labels("first_piola"))
    assert alone.energy is None
    assert alone.temperature == 300.0
    assert (alone.labels("first_piola_error")[:, [0, 1, 2], [0, 1, 2]] > 0.0).all()
    with pytest.raises(multiscale.InvalidData, match="have no energy"):
        alone.labels("energy")


def test_internal_energies_from_dynamics_to_the_heat_capacity() -> None:
    """Copper at 0 K and by Langevin dynamics: U is near 3 k T an atom, and what a fit makes of it is the law of Dulong and Petit."""
    calculator = atomistic.reference_calculator("emt")
    cold = multiscale.sample(bulk("Cu", a=3.6), calculator, max_strain=0.02, states=6, seed=0)
    crystal, T = crystal_from_record(cold.crystal), 300.0
    F = multiscale.strain_design(2, 0.02, seed=1)
    warm = multiscale.sample_thermal(
        crystal, calculator, F, temperature=T, steps=400, seed=7, minimum_atoms=8, internal_energies=True
    )
    dulong_petit = 3.0 * units.kB / crystal.get_volume() * atomistic.EV_PER_CUBIC_ANGSTROM_IN_GPA  # GPa/K
    U, error = warm.labels("internal_energy"), warm.labels("internal_energy_error")
    assert (error > 0.0).all() and (np.abs(U - dulong_petit * T) < 5.0 * error + 0.1 * dulong_petit * T).all()
    sets = [replace(cold, internal_energy=cold.labels("energy")), warm]
    law = multiscale.fit_thermal(sets, multiscale.PointGroup.named("m-3m"), neurons=2, starts=1, seed=0)
    assert law.heat_capacity == pytest.approx(dulong_petit, rel=0.2)
