"""Point groups: the 32 names, crystals as they lie in the laboratory, and the number of invariants."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from multiscale.symmetry.point_group import (
    GROUP_ORDER,
    LAUE_CLASS_MEMBERS,
    InvalidRotations,
    PointGroup,
    UnknownPointGroup,
    closure,
)

from .random_laws import random_rotations

SECOND_ORDER_CONSTANTS = {
    "-1": 21, "2/m": 13, "mmm": 9, "4/m": 7, "4/mmm": 6, "-3": 7, "-3m": 6, "6/m": 5, "6/mmm": 5, "m-3": 3, "m-3m": 3
}  # fmt: skip
STRESSES = {
    "-1": 6, "2/m": 4, "mmm": 3, "4/m": 2, "4/mmm": 2, "-3": 2, "-3m": 2, "6/m": 2, "6/mmm": 2, "m-3": 1, "m-3m": 1
}  # fmt: skip


@pytest.mark.parametrize("laue", SECOND_ORDER_CONSTANTS)
def test_number_of_elastic_constants_and_stresses(laue: str) -> None:
    group = PointGroup.named(laue)
    stiffnesses, stresses = group.invariant_stiffnesses(), group.invariant_stresses()
    assert group.order == GROUP_ORDER[laue]
    assert len(stiffnesses) == SECOND_ORDER_CONSTANTS[laue]
    assert len(stresses) == STRESSES[laue]
    for Q in group.strain_action:
        assert np.allclose(Q.T @ stiffnesses @ Q, stiffnesses, atol=1e-14)
        assert np.allclose(stresses @ Q, stresses, atol=1e-14)


def test_all_32_point_groups_have_a_name() -> None:
    names = [name for members in LAUE_CLASS_MEMBERS.values() for name in members]
    assert len(set(names)) == 32
    for laue, members in LAUE_CLASS_MEMBERS.items():
        assert {PointGroup.named(name).laue_class for name in members} == {laue}


def test_pattern_of_the_trigonal_constants() -> None:
    # Nye, Physical Properties of Crystals: -3m with the two-fold axis along x has C14 = -C24 = C56 and no C15
    C = PointGroup.named("-3m").project_stiffness(np.arange(36.0).reshape(6, 6) + np.arange(36.0).reshape(6, 6).T)
    assert np.isclose(C[0, 3], -C[1, 3]) and np.isclose(C[0, 3], C[4, 5]) and abs(C[0, 3]) > 0.1
    assert np.isclose(C[5, 5], 0.5 * (C[0, 0] - C[0, 1])) and abs(C[0, 4]) < 1e-12


@pytest.mark.parametrize(
    ("atoms", "name", "laue"),
    [
        (bulk("Si"), "m-3m", "m-3m"),
        (bulk("Si", cubic=True) * (2, 1, 1), "m-3m", "m-3m"),
        (bulk("GaAs", "zincblende", a=5.65), "-43m", "m-3m"),
        (bulk("Mg"), "6/mmm", "6/mmm"),
        (bulk("Sn", "bct", a=5.8, c=3.2), "4/mmm", "4/mmm"),
    ],
)
def test_group_of_a_crystal(atoms: Atoms, name: str, laue: str) -> None:
    group = PointGroup.of(atoms)
    assert (group.name, group.laue_class, group.order) == (name, laue, GROUP_ORDER[laue])


def test_group_turns_with_the_crystal() -> None:
    R = random_rotations(np.random.default_rng(3), 1)[0]
    crystal, turned = bulk("Mg"), bulk("Mg")
    turned.set_cell(turned.cell.array @ R.T, scale_atoms=True)
    expected = R @ PointGroup.of(crystal).rotations @ R.T
    found = PointGroup.of(turned).rotations
    assert max(np.abs(found - rotation).max(axis=(1, 2)).min() for rotation in expected) < 1e-9


def test_closure_is_a_group() -> None:
    rotations = PointGroup.named("m-3m").rotations
    assert len(closure(list(rotations))) == 24
    assert np.array_equal(rotations[0], np.eye(3))
    products = (rotations[:, None] @ rotations[None]).reshape(-1, 3, 3)
    assert max(np.abs(rotations - product).max(axis=(1, 2)).min() for product in products) < 1e-14


def test_refusals() -> None:
    with pytest.raises(UnknownPointGroup, match=r"'m3m' is not known, expected one of 1, -1"):
        PointGroup.named("m3m")
    with pytest.raises(UnknownPointGroup, match="'isotropic' is not a finite group"):
        PointGroup.named("isotropic")
    with pytest.raises(InvalidRotations, match=r"shape \(1, 3, 3\), expected \(24, 3, 3\)"):
        PointGroup("m-3m", np.eye(3)[None])
    with pytest.raises(InvalidRotations, match="operation 0 of -1 is off a proper rotation by"):
        PointGroup("-1", -np.eye(3)[None])
