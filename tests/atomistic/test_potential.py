"""The neural potential: exact derivatives, invariances, files. Random networks; hypothesis chooses the structures."""

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, make_supercell
from ase.stress import full_3x3_to_voigt_6_stress
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

import atomistic
from atomistic import NetworkFileError, NeuralCalculator, NeuralPotential, UnknownElement

from .conftest import random_potential

STRUCTURES = {
    "primitive silicon": bulk("Si", a=5.43),
    "cubic silicon": bulk("Si", a=5.43, cubic=True),
    "gallium arsenide": bulk("GaAs", "zincblende", a=5.65),
    "molecule": Atoms("Si3", positions=[[0, 0, 0], [2.3, 0, 0], [0.4, 2.5, 0.1]]),
}
seeds = st.integers(0, 2**31)


def structure(name: str, seed: int) -> tuple[Atoms, NeuralPotential]:
    atoms = STRUCTURES[name].copy()
    generator = np.random.default_rng(seed)
    if atoms.pbc.any():
        atoms = atomistic.deform(atoms, np.eye(3) + generator.normal(0.0, 0.04, (3, 3)))
    atoms.positions += generator.normal(0.0, 0.08, atoms.positions.shape)
    numbers = tuple(sorted(set(atoms.numbers.tolist())))
    return atoms, random_potential(numbers, nearest=2.35, cutoff=4.6, seed=seed)


@pytest.mark.parametrize("name", STRUCTURES)
@settings(max_examples=5, deadline=None)
@given(seed=seeds)
def test_forces_are_differences_of_the_energy(name: str, seed: int) -> None:
    atoms, potential = structure(name, seed)
    forces = potential.predict(atoms).forces
    numerical = np.zeros_like(forces)
    h = 2e-4
    for i in range(len(atoms)):
        for axis in range(3):
            for step, weight in ((-2, 1.0), (-1, -8.0), (1, 8.0), (2, -1.0)):
                moved = atoms.copy()
                moved.positions[i, axis] += step * h
                numerical[i, axis] -= weight * potential.predict(moved).energy / (12.0 * h)
    assert np.abs(forces - numerical).max() <= 1e-7 * max(1e-3, np.abs(forces).max())


@pytest.mark.parametrize("name", [name for name in STRUCTURES if name != "molecule"])
@settings(max_examples=5, deadline=None)
@given(seed=seeds)
def test_stress_is_the_difference_of_the_energy_under_strain(name: str, seed: int) -> None:
    atoms, potential = structure(name, seed)
    stress = potential.predict(atoms).stress
    numerical = np.zeros((3, 3))
    h = 1e-4
    for i in range(3):
        for j in range(3):
            for step, weight in ((-2, 1.0), (-1, -8.0), (1, 8.0), (2, -1.0)):
                strain = np.eye(3)
                strain[i, j] += 0.5 * step * h
                strain[j, i] += 0.5 * step * h
                strained = atomistic.deform(atoms, strain)
                numerical[i, j] += weight * potential.predict(strained).energy / (12.0 * h * atoms.get_volume())
    assert np.abs(stress - numerical).max() <= 1e-7 * np.abs(stress).max()
    np.testing.assert_array_equal(stress, stress.T)


@pytest.mark.parametrize("name", STRUCTURES)
@settings(max_examples=10, deadline=None)
@given(seed=seeds)
def test_translation_rotation_and_permutation(name: str, seed: int) -> None:
    atoms, potential = structure(name, seed)
    generator = np.random.default_rng(seed + 1)
    reference = potential.predict(atoms)
    translated = atoms.copy()
    translated.positions += generator.normal(0.0, 5.0, 3)
    Q = Rotation.random(rng=generator).as_matrix()
    rotated = atoms.copy()
    rotated.set_cell(atoms.cell.array @ Q.T)
    rotated.positions = atoms.positions @ Q.T
    order = generator.permutation(len(atoms))
    permuted = atoms[order]
    scale = max(1.0, abs(reference.energy))
    for other in (translated, rotated, permuted):
        assert abs(potential.predict(other).energy - reference.energy) <= 1e-10 * scale
    force = max(1.0, np.abs(reference.forces).max())
    assert np.abs(potential.predict(translated).forces - reference.forces).max() <= 1e-10 * force
    assert np.abs(potential.predict(rotated).forces - reference.forces @ Q.T).max() <= 1e-10 * force
    assert np.abs(potential.predict(permuted).forces - reference.forces[order]).max() <= 1e-10 * force
    assert np.abs(potential.predict(rotated).stress - Q @ reference.stress @ Q.T).max() <= 1e-10


@settings(max_examples=5, deadline=None)
@given(seed=seeds)
def test_supercells_of_any_shape_agree(seed: int) -> None:
    atoms, potential = structure("primitive silicon", seed)
    reference = potential.predict(atoms)
    for matrix in ([[2, 0, 0], [0, 1, 0], [0, 0, 3]], [[1, 1, 0], [-1, 1, 0], [0, 1, 1]]):
        supercell = make_supercell(atoms, matrix)
        times = len(supercell) / len(atoms)
        other = potential.predict(supercell)
        assert abs(other.energy / times - reference.energy) <= 1e-10 * max(1.0, abs(reference.energy))
        assert np.abs(other.stress - reference.stress).max() <= 1e-10


def test_cell_smaller_than_the_cutoff_is_not_special() -> None:
    atoms = bulk("Si", a=5.43)
    assert atoms.cell.lengths().max() < 4.6
    potential = random_potential((14,), nearest=2.35, cutoff=4.6, seed=1)
    large = potential.predict(atoms.repeat(3))
    assert large.energy == pytest.approx(27 * potential.predict(atoms).energy, rel=1e-12)


def test_calculator_agrees_with_the_potential() -> None:
    atoms, potential = structure("cubic silicon", 5)
    atoms.calc = NeuralCalculator(potential)
    prediction = potential.predict(atoms)
    assert atoms.get_potential_energy() == prediction.energy
    np.testing.assert_array_equal(atoms.get_forces(), prediction.forces)
    np.testing.assert_array_equal(atoms.get_stress(), full_3x3_to_voigt_6_stress(prediction.stress))
    atoms.positions[0, 0] = np.nan
    with pytest.raises(atomistic.InvalidStructure, match="NaN"):
        atoms.get_potential_energy()


def test_unknown_element_is_named() -> None:
    potential = random_potential((14,), nearest=2.35, cutoff=4.6, seed=1)
    with pytest.raises(UnknownElement, match="Ge is unknown to the potential, which was trained on Si"):
        potential.predict(bulk("Ge", a=5.66))


def test_file_round_trip_and_refusals(tmp_path: Path) -> None:
    atoms, potential = structure("gallium arsenide", 2)
    path = tmp_path / "potential.safetensors"
    potential.save(path)
    loaded = NeuralPotential.load(path)
    assert loaded.descriptors == potential.descriptors
    assert loaded.predict(atoms).energy == potential.predict(atoms).energy
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    with pytest.raises(NetworkFileError, match="is not a file"):
        NeuralPotential.load(tmp_path / "other.safetensors")
    whole = path.read_bytes()
    for name, content in (
        ("truncated", whole[: len(whole) // 2]),
        ("foreign", b"not a potential at all"),
        ("empty", b""),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(NetworkFileError, match=name):
            NeuralPotential.load(tmp_path / name)
    (tmp_path / "future").write_bytes(whole.replace(b'schema_version\\": 2', b'schema_version\\": 9'))
    with pytest.raises(NetworkFileError, match="schema version 9, this release reads 2"):
        NeuralPotential.load(tmp_path / "future")
