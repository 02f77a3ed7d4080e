"""The off-lattice protein: exact forces, the published energy of its fold, and its beads learned as loose ones."""

from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

import atomistic
from atomistic.clusters import OverlappingAtoms, many_body_expansion, quench, surface_of
from atomistic.clusters.bln import BLN_46, LOWEST_46, BLNProtein, InvalidSequence, LooseBeads, pair_coefficients
from atomistic.clusters.chain import LearnedProtein

from ..conftest import random_networks

FOLD = Path(__file__).with_name("bln_46.xyz")
"""The lowest structure that basin hopping from unfolded chains found, first with the soft set."""


def random_chain(protein: BLNProtein, seed: int) -> np.ndarray:
    generator = np.random.default_rng(seed)
    return protein.unfolded(generator) + generator.normal(0.0, 0.08, (len(protein), 3))


def test_the_sequence_is_the_published_one() -> None:
    assert BLN_46 == "BBBBBBBBBNNNLBLBLBLBNNNBBBBBBBBBNNNLBLBLBLBLBL"
    assert (BLN_46.count("B"), BLN_46.count("L"), BLN_46.count("N")) == (27, 10, 9)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), soft=st.booleans())
def test_forces_are_the_slopes_of_the_energy(seed: int, soft: bool) -> None:
    protein = BLNProtein.soft("BLNNBLBNB") if soft else BLNProtein("BLNNBLBNB")
    positions = random_chain(protein, seed)
    forces = protein.energy_and_forces(positions)[1]
    slopes = np.zeros_like(positions)
    h = 1e-5
    for k in range(positions.size):
        step = np.zeros(positions.size)
        step[k] = h
        ahead, behind = (protein.energy_and_forces(positions + s * step.reshape(-1, 3))[0] for s in (1.0, -1.0))
        slopes.flat[k] = (ahead - behind) / (2.0 * h)
    np.testing.assert_allclose(forces, -slopes, atol=1e-6 * max(1.0, np.abs(forces).max()))
    np.testing.assert_allclose(forces.sum(0), 0.0, atol=1e-10)


def test_energy_does_not_change_with_rotation_translation_or_reflection() -> None:
    protein = BLNProtein()
    positions = random_chain(protein, 0)
    energy, forces = protein.energy_and_forces(positions)
    R = Rotation.random(random_state=1).as_matrix()
    for Q in (R, -R):
        turned_energy, turned_forces = protein.energy_and_forces(positions @ Q.T + 5.0)
        assert turned_energy == pytest.approx(energy, abs=1e-6)
        np.testing.assert_allclose(turned_forces, forces @ Q.T, atol=1e-8)


def test_terms_of_a_chain_are_those_written_down() -> None:
    """Bond, angle and dihedral angle computed from their definitions."""
    protein = BLNProtein("BBLB")
    a, b, c, d = positions = random_chain(protein, 3)
    bonds = [np.linalg.norm(q - p) for p, q in ((a, b), (b, c), (c, d))]
    angles = [
        np.arccos((p - q) @ (r - q) / np.linalg.norm(p - q) / np.linalg.norm(r - q))
        for p, q, r in ((a, b, c), (b, c, d))
    ]
    n, m = np.cross(b - a, c - b), np.cross(c - b, d - c)
    phi = np.arccos(n @ m / np.linalg.norm(n) / np.linalg.norm(m))
    far = np.linalg.norm(d - a)
    expected = 200.0 * sum((r - 1.0) ** 2 for r in bonds) + 10.0 * sum((t - np.radians(105.0)) ** 2 for t in angles)
    expected += 1.2 * (1.0 + np.cos(phi)) + 1.2 * (1.0 + np.cos(3.0 * phi)) + 4.0 * (far**-12 - far**-6)
    assert protein.energy_and_forces(positions)[0] == pytest.approx(expected, abs=1e-10)


def test_an_unfolded_chain_is_at_rest_but_for_its_dihedral_angles() -> None:
    protein = BLNProtein()
    chain = protein.unfolded(np.random.default_rng(0))
    v = np.diff(chain, axis=0)
    np.testing.assert_allclose(np.linalg.norm(v, axis=1), 1.0, atol=1e-12)
    np.testing.assert_allclose(-(v[:-1] * v[1:]).sum(1), np.cos(protein.angle), atol=1e-12)
    assert np.linalg.norm(chain[-1] - chain[0]) > 20.0  # of 35.7 for all trans


def test_a_coil_is_a_compact_random_chain() -> None:
    protein = BLNProtein()
    coils = [protein.coil(np.random.default_rng(seed)) for seed in (0, 0, 1)]
    np.testing.assert_array_equal(coils[0], coils[1])
    assert np.abs(coils[0] - coils[2]).max() > 1.0
    for coil in coils:
        bonds = np.linalg.norm(np.diff(coil, axis=0), axis=1)
        assert np.abs(bonds - 1.0).max() < 0.1 and np.linalg.norm(coil - coil.mean(0), axis=1).max() < 6.0


def test_the_fold_has_the_published_energy() -> None:
    protein = BLNProtein()
    fold = ase.io.read(FOLD).positions
    relaxed = quench(protein.energy_and_forces, fold, force_tolerance=1e-7)
    assert relaxed.energy == pytest.approx(LOWEST_46, abs=1e-4)
    assert np.abs(protein.energy_and_forces(relaxed.positions)[1]).max() < 1e-4
    assert np.linalg.norm(fold[-1] - fold[0]) < 6.0


def test_pairs_of_beads() -> None:
    repulsive, attractive = pair_coefficients("BLN")
    np.testing.assert_allclose(repulsive, [[1, 2 / 3, 1], [2 / 3, 2 / 3, 1], [1, 1, 1]])
    np.testing.assert_allclose(attractive, [[-1, 2 / 3, 0], [2 / 3, 2 / 3, 0], [0, 0, 0]])
    two = Atoms("BB", [(0, 0, 0), (2.0 ** (1 / 6), 0, 0)])
    assert surface_of(two, LooseBeads())(two.positions)[0] == pytest.approx(-1.0)


def learned_chain(sequence: str, separation: int) -> tuple[BLNProtein, atomistic.NeuralCalculator]:
    protein = BLNProtein(sequence, separation=separation)
    descriptors = atomistic.BodyOrdered((3, 5, 7), cutoff=3.0, angular_cutoff=2.5, radial=5, angular=2, degree=2)
    return protein, atomistic.NeuralCalculator(random_networks(descriptors, seed=2, scale=0.3))


@pytest.mark.parametrize("separation", [2, 3])
def test_a_learned_chain_lacks_the_two_body_terms_of_its_near_pairs(separation: int) -> None:
    protein, calculator = learned_chain("BLNBBLN", separation)
    positions = random_chain(protein, 4)
    energy, _ = LearnedProtein(protein, calculator)(positions)
    atoms = protein.atoms(positions)
    near = sum(
        many_body_expansion(atoms[[i, j]], calculator).terms[1]
        for i in range(7)
        for j in range(i + 1, min(7, i + separation))
    )
    expected = protein.chain_energy_and_forces(positions)[0] + calculator.potential.predict(atoms).energy - near
    assert energy == pytest.approx(expected, abs=1e-6)


def test_forces_of_a_learned_chain_are_the_slopes_of_its_energy() -> None:
    protein, calculator = learned_chain("BLNBBLN", 3)
    surface = LearnedProtein(protein, calculator)
    generator = np.random.default_rng(0)
    positions = random_chain(protein, 5)
    forces = surface(positions)[1]
    for _ in range(5):
        v = generator.normal(size=positions.shape)
        h = 1e-5
        slope = (surface(positions + h * v)[0] - surface(positions - h * v)[0]) / (2.0 * h)
        assert slope == pytest.approx(-float((forces * v).sum()), rel=1e-6, abs=1e-5)


def test_bad_input_is_named() -> None:
    for sequence in ("BLX", "BLBX", "BL"):
        with pytest.raises(InvalidSequence, match=f"{sequence!r}"):
            BLNProtein(sequence)
    with pytest.raises(ValueError, match="separation 0"):
        BLNProtein(separation=0)
    straight = np.zeros((4, 3))
    straight[:, 0] = np.arange(4)
    with pytest.raises(OverlappingAtoms, match="beads 0, 1 and 2 lie on one line"):
        BLNProtein("BBBB").energy_and_forces(straight)
    with pytest.raises(InvalidSequence, match="Fe"):
        iron = Atoms("Fe2", [(0, 0, 0), (1, 0, 0)], calculator=LooseBeads())
        iron.get_potential_energy()
    carbon = atomistic.BodyOrdered((6,), cutoff=3.0, angular_cutoff=2.5, radial=5, angular=2, degree=2)
    with pytest.raises(atomistic.UnknownElement, match=r"B, Li, N|Li, B, N"):
        LearnedProtein(BLNProtein(), atomistic.NeuralCalculator(random_networks(carbon, seed=0)))
