"""Deliberately damaged training data: each damage is named, and sound data are not."""

import warnings

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator
from ase.stress import full_3x3_to_voigt_6_stress

import atomistic
from atomistic.label_checks import warn_of_suspect_structures

QUICK = atomistic.TrainingSettings(radial=6, angular=3, degree=2, hidden=(4,), epochs=1, batches=4, cycles=0)
GPA = atomistic.EV_PER_CUBIC_ANGSTROM_IN_GPA


def changed(
    atoms: Atoms, *, positions: np.ndarray | None = None, numbers: np.ndarray | None = None, **labels: object
) -> Atoms:
    copy = atoms.copy()
    copy.positions = atoms.positions if positions is None else positions
    copy.numbers = atoms.numbers if numbers is None else numbers
    results = {name: atoms.calc.results[name] for name in ("energy", "forces", "stress")}
    copy.calc = SinglePointCalculator(copy, **{**results, **labels})
    return copy


@pytest.fixture(scope="module")
def sound() -> list[Atoms]:
    reference = atomistic.reference_calculator("stillinger-weber")
    group = atomistic.ConfigurationGroup("strained", 24, 1, 1.0, 0.05, False)
    data = atomistic.label_configurations(bulk("Si", a=5.43), reference, max_strain=0.05, seed=0, groups=(group,))
    return data


@pytest.mark.parametrize("name", ["energy", "forces", "stress"])
def test_missing_and_non_finite_labels_are_refused(sound: list[Atoms], name: str) -> None:
    results = {key: sound[0].calc.results[key] for key in ("energy", "forces", "stress")}
    atoms = sound[0].copy()
    atoms.calc = SinglePointCalculator(atoms, **{key: value for key, value in results.items() if key != name})
    with pytest.raises(atomistic.InvalidTrainingData, match=f"configuration 1 .* has no {name}"):
        atomistic.train([sound[1], atoms], QUICK, seed=0)
    with pytest.raises(atomistic.InvalidTrainingData, match=f"a {name} that is not finite"):
        atomistic.train([changed(sound[0], **{name: results[name] * np.nan})], QUICK, seed=0)


def test_an_empty_set_is_refused() -> None:
    with pytest.raises(atomistic.InvalidTrainingData, match="no training configurations"):
        atomistic.train([], QUICK, seed=0)


def test_sound_data_pass_in_silence(sound: list[Atoms]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        atomistic.train(sound, QUICK, seed=0)


def test_duplicates_are_named_wherever_their_atoms_are_wrapped_to(sound: list[Atoms]) -> None:
    copy = changed(sound[3], positions=sound[3].positions + sound[3].cell[0] - sound[3].cell[2])
    with pytest.warns(atomistic.DuplicateStructures, match=r"3= 24 are the same"):
        warn_of_suspect_structures([*sound, copy])


def test_exploding_structures_are_named(sound: list[Atoms]) -> None:
    forces = sound[2].get_forces().copy()
    forces[0, 1] = 250.0
    with pytest.warns(atomistic.ExplodingStructures, match=r"2 \(force 250 eV/A\) look exploded"):
        warn_of_suspect_structures([*sound[:2], changed(sound[2], forces=forces), *sound[3:]])
    above = sound[5].positions[:1] + np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 0.8]])
    collapsed = changed(sound[5], positions=above)
    with pytest.warns(atomistic.ExplodingStructures, match=r"0 \(atoms 0.80 A apart\)"):
        warn_of_suspect_structures([collapsed, *sound[6:]])


def test_an_element_with_few_atoms_is_named(sound: list[Atoms]) -> None:
    doped = changed(sound[0], numbers=np.array([32, 14]))
    with pytest.warns(atomistic.ScarceElement, match="element Ge has 1 atoms in 1 configurations"):
        warn_of_suspect_structures([doped, *sound[1:]])


@pytest.mark.parametrize(
    ("factor", "hint"),
    [
        (-1.0, "other sign"),
        (GPA, "GPa: divide by 160.2"),
        (-10.0 * GPA, "kbar: divide by 1602, with the other sign"),
        (0.1, "multiply by 10"),
        (1.0 / GPA, "done twice"),
        (3.0, "neither a known unit nor sign"),
    ],
)
def test_stresses_in_another_unit_or_sign_are_named(sound: list[Atoms], factor: float, hint: str) -> None:
    damaged = [changed(atoms, stress=factor * atoms.calc.results["stress"]) for atoms in sound]
    with pytest.warns(atomistic.InconsistentStress, match=f"times what energies and forces imply.*{hint}"):
        atomistic.train(damaged, QUICK, seed=0)


def test_one_damaged_group_among_sound_ones_is_named(sound: list[Atoms]) -> None:
    damaged = [changed(atoms, stress=-atoms.calc.results["stress"]) for atoms in sound[::4]]
    for atoms in damaged:
        atoms.info["group"] = "from elsewhere"
    rest = [atoms for k, atoms in enumerate(sound) if k % 4]
    with pytest.warns(atomistic.InconsistentStress, match=r"of group from elsewhere \(6\) are") as caught:
        atomistic.train([*rest, *damaged], QUICK, seed=0)
    assert not any("strained" in str(one.message) for one in caught)


@pytest.mark.parametrize("order", [(2, 0, 1), (0, 2, 1), (2, 1, 0)])
def test_shear_components_in_another_order_are_named(sound: list[Atoms], order: tuple[int, int, int]) -> None:
    """VASP writes xx yy zz xy yz zx."""
    damaged = []
    for atoms in sound:
        voigt = full_3x3_to_voigt_6_stress(atoms.get_stress(voigt=False))
        damaged.append(changed(atoms, stress=np.concatenate([voigt[:3], voigt[3:][list(order)]])))
    names = ", ".join(("yz", "xz", "xy")[k] for k in order)
    with pytest.warns(atomistic.InconsistentStress, match=f"if their last three components are {names}"):
        atomistic.train(damaged, QUICK, seed=0)
