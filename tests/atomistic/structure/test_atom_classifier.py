"""Atoms told apart by construction: crystals of two kinds, a slab by depth; what is unfamiliar or refused."""

import warnings
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, diamond100
from scipy.spatial.transform import Rotation

import atomistic
from atomistic.network_file import NetworkFileError, read_network_file, write_network_file
from atomistic.structure import (
    AtomClassifier,
    EmptyClass,
    InvalidFeatures,
    PseudoScalars,
    TooFewStructures,
    UnfamiliarAtomsWarning,
    structure_features,
)
from atomistic.structure.softmax_classifier import SoftmaxClassifier

DESCRIPTORS = atomistic.BodyOrdered((14,), cutoff=4.5, angular_cutoff=4.0, radial=5, angular=3, degree=3)


def shaken(lattice: str, a: float, seed: int, noise: float = 0.1) -> Atoms:
    atoms = bulk("Si", lattice, a=a, cubic=True).repeat(2 if lattice == "sc" else 1)
    atoms.positions += np.random.default_rng(seed).normal(0.0, noise, atoms.positions.shape)
    return atoms


def slab(seed: int) -> tuple[Atoms, np.ndarray]:
    """(100), its outermost layers known by their depth."""
    atoms = diamond100("Si", size=(2, 2, 8), a=5.43, vacuum=5.0, orthogonal=True)
    atoms.pbc = True
    labels = np.where((atoms.get_tags() == 1) | (atoms.get_tags() == 8), "surface", "diamond").astype(object)
    atoms.positions += np.random.default_rng(seed).normal(0.0, 0.08, atoms.positions.shape)
    return atoms, labels


@pytest.fixture(scope="module")
def classifier() -> AtomClassifier:
    examples: list[tuple[Atoms, str | np.ndarray]] = []
    for k in range(8):
        examples += [(shaken("diamond", 5.43, k), "diamond"), (shaken("sc", 2.6, k), "simple cubic"), slab(k)]
    structures, labels = zip(*examples, strict=True)
    return AtomClassifier.fit(structures, labels, DESCRIPTORS)


def test_tells_what_was_built(classifier: AtomClassifier) -> None:
    assert classifier.classes == ("diamond", "simple cubic", "surface")
    with warnings.catch_warnings():
        warnings.simplefilter("error", UnfamiliarAtomsWarning)
        for lattice, a, name in (("diamond", 5.45, "diamond"), ("sc", 2.6, "simple cubic")):
            found = classifier.classify(shaken(lattice, a, 100, noise=0.05))
            assert set(found.labels) == {name} and found.familiar.all()
    atoms, known = slab(100)
    assert (classifier.classify(atoms).labels == known).mean() > 0.95
    assert classifier.classify(atoms).count()["surface"] == pytest.approx(8, abs=2)


def test_probabilities_know_no_rotation_and_no_order(classifier: AtomClassifier) -> None:
    atoms, _ = slab(101)
    found = classifier.classify(atoms)
    rotation = Rotation.random(random_state=0).as_matrix()
    turned = Atoms(atoms.numbers, cell=atoms.cell.array @ rotation.T, positions=atoms.positions @ rotation.T, pbc=True)
    np.testing.assert_allclose(classifier.classify(turned).probabilities, found.probabilities, atol=1e-10)
    order = np.random.default_rng(0).permutation(len(atoms))
    np.testing.assert_allclose(classifier.classify(atoms[order]).probabilities, found.probabilities[order], atol=1e-10)


def test_warns_of_atoms_unlike_those_trained_on(classifier: AtomClassifier) -> None:
    strange = bulk("Si", "fcc", a=3.9, cubic=True)
    with pytest.warns(UnfamiliarAtomsWarning, match="4 of 4 atoms of Si4 are unlike"):
        found = classifier.classify(strange)
    assert not found.familiar.any() and (found.distance > classifier.reach[14]).all()


def test_one_run_is_held_out_whole() -> None:
    structures = [shaken(lattice, a, k) for lattice, a in (("diamond", 5.43), ("sc", 2.6)) for k in range(12)]
    labels = ["diamond"] * 12 + ["simple cubic"] * 12
    runs = [f"{label} {k // 2 % 6}" for k, label in enumerate(labels)]
    fitted = AtomClassifier.fit(structures, labels, DESCRIPTORS, sources=runs)
    per_atom = np.repeat(runs, 8)
    held_out = fitted.fits[14].held_out
    assert set(per_atom[held_out]).isdisjoint(per_atom[~held_out])
    assert len(set(per_atom[held_out])) == 4


def test_atoms_without_a_label_are_left_out() -> None:
    structures = [shaken(lattice, a, k) for k in range(5) for lattice, a in (("diamond", 5.43), ("sc", 2.6))]
    labels = [["diamond"] * 4 + [""] * 4, ["simple cubic"] * 8] * 5
    fitted = AtomClassifier.fit(structures, labels, DESCRIPTORS)
    assert len(fitted.fits[14].held_out) == 5 * 12


def test_elements_are_told_apart() -> None:
    compounds = []
    for k in range(5):
        for lattice, a in (("zincblende", 5.65), ("rocksalt", 5.3)):
            atoms = bulk("GaAs", lattice, a=a, cubic=True)
            atoms.rattle(0.05, seed=k)
            compounds.append((atoms, lattice))
    structures, labels = zip(*compounds, strict=True)
    descriptors = atomistic.BodyOrdered((31, 33), cutoff=4.5, angular_cutoff=4.0, radial=4, angular=2, degree=2)
    fitted = AtomClassifier.fit(structures, labels, descriptors)
    assert sorted(fitted.fits) == [31, 33]
    assert set(fitted.classify(structures[0]).labels) == {"zincblende"}
    with pytest.raises(EmptyClass, match="no labelled atom is Si"):
        AtomClassifier.fit(structures, labels, atomistic.BodyOrdered((14, 31, 33), radial=4, angular=2, degree=2))


def test_what_is_refused(classifier: AtomClassifier) -> None:
    with pytest.raises(atomistic.UnknownElement, match="element C is unknown"):
        classifier.classify(bulk("C"))
    broken = shaken("diamond", 5.43, 0)
    broken.positions[2, 1] = np.nan
    with pytest.raises(atomistic.InvalidStructure, match="NaN"):
        classifier.classify(broken)
    crystals = [shaken("diamond", 5.43, k) for k in range(6)]
    with pytest.raises(EmptyClass, match="no example is 'liquid'") as caught:
        AtomClassifier.fit(crystals, ["diamond"] * 6, DESCRIPTORS, classes=("diamond", "liquid"))
    assert caught.value.__notes__ == ["atoms of Si"]
    with pytest.raises(TooFewStructures, match="'liquid' come from 1 structures"):
        AtomClassifier.fit(crystals, ["diamond"] * 5 + ["liquid"], DESCRIPTORS)
    with pytest.raises(InvalidFeatures, match="3 labels for the 8 atoms"):
        AtomClassifier.fit(crystals, ["diamond"] * 5 + [["liquid"] * 3], DESCRIPTORS)
    with pytest.raises(InvalidFeatures, match="5 labels"):
        AtomClassifier.fit(crystals, ["diamond"] * 5, DESCRIPTORS)


def test_mean_descriptors_of_a_strained_crystal_are_invariants_of_its_point_group() -> None:
    crystal = bulk("Si", a=5.43)
    generator = np.random.default_rng(0)
    F = np.eye(3) + generator.normal(0.0, 0.05, (3, 3))
    fourfold, threefold = np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1.0]]), np.roll(np.eye(3), 1, axis=0)
    values = structure_features(DESCRIPTORS, atomistic.deform(crystal, F))
    for operation in (fourfold, threefold, np.diag([-1.0, 1.0, 1.0])):
        rotation = Rotation.random(random_state=1).as_matrix()
        same = structure_features(DESCRIPTORS, atomistic.deform(crystal, rotation @ F @ operation))
        np.testing.assert_allclose(same, values, atol=1e-11 * np.abs(values).max())
    other = structure_features(DESCRIPTORS, atomistic.deform(crystal, F @ Rotation.random(random_state=2).as_matrix()))
    assert np.abs(other - values).max() > 1e-3


def test_structure_features_of_elements() -> None:
    descriptors = atomistic.BodyOrdered((6, 14), cutoff=4.5, angular_cutoff=4.0, radial=4, angular=2, degree=2)
    values = structure_features(descriptors, bulk("Si", a=5.43))
    assert values.shape == (descriptors.count(6) + descriptors.count(14),)
    assert not values[: descriptors.count(6)].any() and values[descriptors.count(6) :].any()


def test_files_hold_all_of_it(classifier: AtomClassifier, tmp_path: Path) -> None:
    path = tmp_path / "phases.safetensors"
    classifier.save(path)
    again = AtomClassifier.load(path)
    atoms, _ = slab(100)
    for name in ("probabilities", "distance", "familiar", "labels"):
        before, after = (getattr(one.classify(atoms), name) for one in (classifier, again))
        np.testing.assert_array_equal(before, after)
    assert str(again.fits[14].calibrated) == str(classifier.fits[14].calibrated)
    assert again.fits[14].width == classifier.fits[14].width
    np.testing.assert_array_equal(again.fits[14].held_out, classifier.fits[14].held_out)
    features = np.random.default_rng(0).normal(size=(3, len(classifier.fits[14].classifier.whitening.mean)))
    alone = tmp_path / "alone.safetensors"
    classifier.fits[14].classifier.save(alone)
    np.testing.assert_array_equal(
        SoftmaxClassifier.load(alone).probabilities(features), classifier.fits[14].classifier.probabilities(features)
    )


def test_files_of_another_kind_are_refused(classifier: AtomClassifier, tmp_path: Path) -> None:
    path = tmp_path / "phases.safetensors"
    classifier.save(path)
    with pytest.raises(NetworkFileError, match="another kind"):
        SoftmaxClassifier.load(path)
    with pytest.raises(NetworkFileError, match="not a file"):
        AtomClassifier.load(tmp_path / "nothing")
    header, arrays = read_network_file(path, "atomlaw/atom-classifier", 1)
    for broken in ("14.bias", "14.references"):
        some = {name: array for name, array in arrays.items() if name != broken}
        write_network_file(path, "atomlaw/atom-classifier", 1, header, some)
        with pytest.raises(NetworkFileError, match="no consistent classifier"):
            AtomClassifier.load(path)
    write_network_file(path, "atomlaw/atom-classifier", 1, header, arrays | {"14.weights": arrays["14.weights"][:-1]})
    with pytest.raises(NetworkFileError, match="no consistent classifier"):
        AtomClassifier.load(path)
    odd = AtomClassifier(PseudoScalars((14,)), classifier.fits, classifier.references, classifier.reach)
    with pytest.raises(ValueError, match="pseudo-scalars"):
        odd.save(path)
