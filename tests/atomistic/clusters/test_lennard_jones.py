"""The reference cluster: its energies, its forces, what it refuses."""

import numpy as np
import pytest
from ase import Atoms
from hypothesis import given, settings
from hypothesis import strategies as st

from atomistic.clusters import LennardJones, OverlappingAtoms, quench
from atomistic.clusters.lennard_jones import LOWEST
from atomistic.clusters.moves import random_cluster


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), count=st.integers(2, 12))
def test_forces_are_the_slopes_of_the_energy(seed: int, count: int) -> None:
    generator = np.random.default_rng(seed)
    lj = LennardJones(epsilon=0.3, sigma=1.7)
    positions = random_cluster(count, 1.9, generator)
    forces = lj.energy_and_forces(positions)[1]
    v = generator.normal(size=positions.shape)
    h = 1e-5
    slope = (lj.energy_and_forces(positions + h * v)[0] - lj.energy_and_forces(positions - h * v)[0]) / (2.0 * h)
    assert slope == pytest.approx(-float((forces * v).sum()), rel=1e-6, abs=1e-6)
    assert np.abs(forces.sum(0)).max() < 1e-9 * max(1.0, np.abs(forces).max())


def test_a_dimer_and_the_tetrahedron_have_their_published_energies() -> None:
    lj = LennardJones()
    assert lj.energy_and_forces(np.array([[0.0, 0.0, 0.0], [2.0 ** (1 / 6), 0.0, 0.0]]))[0] == pytest.approx(-1.0)
    found = quench(lj.energy_and_forces, random_cluster(4, 1.12, np.random.default_rng(0)), force_tolerance=1e-6)
    assert found.energy == pytest.approx(LOWEST[4], abs=1e-8)


def test_as_a_calculator_it_agrees_with_ase() -> None:
    from ase.calculators.lj import LennardJones as WithCutoff

    atoms = Atoms("Ar9", random_cluster(9, 3.8, np.random.default_rng(1)))
    atoms.calc = LennardJones(epsilon=0.01, sigma=3.4)
    energy, forces = atoms.get_potential_energy(), atoms.get_forces()
    # ASE shifts the energy to zero at the cutoff; far out that is nothing
    atoms.calc = WithCutoff(epsilon=0.01, sigma=3.4, rc=1000.0)
    assert energy == pytest.approx(atoms.get_potential_energy(), abs=1e-12)
    np.testing.assert_allclose(forces, atoms.get_forces(), atol=1e-11)


def test_bad_input_is_named() -> None:
    with pytest.raises(OverlappingAtoms, match="atoms 0 and 2 are at one place"):
        LennardJones().energy_and_forces(np.array([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]]))
    with pytest.raises(ValueError, match="sigma = -1"):
        LennardJones(sigma=-1.0)
    atoms = Atoms("He2", [(0, 0, 0), (1, 0, 0)], cell=np.eye(3), pbc=True, calculator=LennardJones())
    with pytest.raises(ValueError, match="without periodic images"):
        atoms.get_potential_energy()
