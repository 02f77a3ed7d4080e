"""The expansion adds up to the energy, ends where the bodies of a model end, and refuses what has no expansion."""

import numpy as np
import pytest
from ase import Atoms

import atomistic
from atomistic.clusters import LennardJones, OverlappingAtoms, TooFewAtoms, many_body_expansion
from atomistic.clusters.many_body import TooManySubsets
from atomistic.clusters.moves import random_cluster
from atomistic.network import Network

from ..conftest import DESCRIPTORS, random_potential_of


def cluster(count: int, *, symbols: str = "Si", nearest: float = 2.4) -> Atoms:
    return Atoms(f"{symbols}{count}", random_cluster(count, nearest, np.random.default_rng(count)))


@pytest.mark.parametrize("kind", DESCRIPTORS)
def test_terms_add_up_to_the_energy_of_any_potential(kind: str) -> None:
    atoms = cluster(6)
    atoms.symbols[:2] = "Ge"
    potential = random_potential_of(kind, (14, 32))
    found = many_body_expansion(atoms, atomistic.NeuralCalculator(potential))
    energy = potential.predict(atoms).energy
    assert found.subsets == 2**6 - 1
    assert found.sums[-1] == pytest.approx(energy, abs=1e-10)
    assert found.rest == pytest.approx(0.0, abs=1e-10)
    assert np.abs(found.terms[3:]).max() > 1e-4  # a network does not end at three bodies


def test_terms_are_those_of_inclusion_and_exclusion() -> None:
    atoms = cluster(4)
    potential = random_potential_of("body-ordered", (14,))

    def energy(*places: int) -> float:
        return potential.predict(atoms[list(places)]).energy

    pairs = [(i, j) for i in range(4) for j in range(i)]
    one = [energy(i) for i in range(4)]
    two = {p: energy(*p) - one[p[0]] - one[p[1]] for p in pairs}
    three = 0.0
    for left_out in range(4):
        rest = [k for k in range(4) if k != left_out]
        three += energy(*rest) - sum(one[k] for k in rest) - sum(v for p, v in two.items() if left_out not in p)
    found = many_body_expansion(atoms, atomistic.NeuralCalculator(potential), bodies=3)
    np.testing.assert_allclose(found.terms, [sum(one), sum(two.values()), three], atol=1e-11)
    assert found.rest == pytest.approx(energy(0, 1, 2, 3) - sum(found.terms), abs=1e-11)


@pytest.mark.parametrize(("degree", "bodies"), [(1, 3), (2, 4)])
def test_a_linear_model_of_body_ordered_functions_ends_at_their_bodies(degree: int, bodies: int) -> None:
    descriptors = atomistic.BodyOrdered((14,), cutoff=5.0, angular_cutoff=5.0, radial=6, angular=3, degree=degree)
    import torch

    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(1, descriptors.count(14), generator=generator, dtype=torch.float64)
    linear = Network(((weight, torch.ones(1, dtype=torch.float64)),))
    potential = atomistic.NeuralPotential(descriptors, {14: linear}, {})
    terms = many_body_expansion(cluster(6), atomistic.NeuralCalculator(potential)).terms
    assert np.abs(terms[bodies:]).max() < 1e-9 * np.abs(terms).max() < np.abs(terms[bodies - 1])


def test_a_pair_potential_ends_at_two_and_stillinger_weber_at_three() -> None:
    terms = many_body_expansion(cluster(7, symbols="He", nearest=1.12), LennardJones()).terms
    assert np.abs(terms[2:]).max() < 1e-9 < abs(terms[1])
    terms = many_body_expansion(cluster(5), atomistic.reference_calculator("stillinger-weber")).terms
    assert np.abs(terms[3:]).max() < 1e-9 < abs(terms[2])


def test_bad_input_is_named() -> None:
    lj = LennardJones()
    with pytest.raises(TooFewAtoms, match="5 bodies of 4 atoms"):
        many_body_expansion(cluster(4), lj, bodies=5)
    with pytest.raises(ValueError, match="bodies = 0"):
        many_body_expansion(cluster(4), lj, bodies=0)
    with pytest.raises(TooManySubsets, match="1073741823"):
        many_body_expansion(cluster(30), lj)
    with pytest.raises(OverlappingAtoms, match=r"atoms 0 and 1 are 0\.05 A apart"):
        many_body_expansion(Atoms("He2", [(0, 0, 0), (0.05, 0, 0)]), lj)
    with pytest.raises(ValueError, match="no end"):
        many_body_expansion(Atoms("He", cell=np.eye(3), pbc=True), lj)
