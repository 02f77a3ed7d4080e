"""What is invariant under each group: the numbers of the literature, in any frame, for finite and infinite groups."""

from itertools import permutations

import numpy as np
import pytest

from multiscale.laws.strain import strain_action
from multiscale.symmetry.material_symmetry import InfiniteGroup, InvalidSymmetry, MaterialSymmetry
from multiscale.symmetry.point_group import InvalidRotations, PointGroup

from .random_laws import random_rotations

# stresses, second-order and third-order elastic constants (Brugger 1965; Nye 1985)
NUMBERS = {
    "-1": (6, 21, 56), "2/m": (4, 13, 32), "mmm": (3, 9, 20), "4/m": (2, 7, 16), "4/mmm": (2, 6, 12), "-3": (2, 7, 20),
    "-3m": (2, 6, 14), "6/m": (2, 5, 12), "6/mmm": (2, 5, 10), "m-3": (1, 3, 8), "m-3m": (1, 3, 6),
    "transversely isotropic": (2, 5, 9), "isotropic": (1, 2, 3),
}  # fmt: skip
FRAME = random_rotations(np.random.default_rng(5), 1)[0]


def turned_group(name: str) -> MaterialSymmetry:
    if name == "isotropic" or name == "transversely isotropic":
        return InfiniteGroup(name, FRAME[:, 2].tolist())
    return PointGroup.named(name, FRAME)


def operations(group: MaterialSymmetry) -> np.ndarray:
    """Actions of members of the group: all of a finite one, others than those it averages over of an infinite one."""
    rng = np.random.default_rng(1)
    if isinstance(group, PointGroup):
        return group.strain_action
    assert isinstance(group, InfiniteGroup)
    if group.name == "isotropic":
        return strain_action(random_rotations(rng, 10))
    turns = [rotation_about(group.axis, angle) for angle in rng.uniform(0.0, 2.0 * np.pi, 5)]
    return strain_action(np.array(turns + [turn @ across(group) for turn in turns]))


def rotation_about(axis: object, angle: float) -> np.ndarray:
    x, y, z = np.asarray(axis, dtype=float)
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    return np.eye(3) + np.sin(angle) * cross + (1.0 - np.cos(angle)) * cross @ cross


def across(group: InfiniteGroup) -> np.ndarray:
    normal = np.cross(group.axis, [0.3, -0.5, 0.7])
    return rotation_about(normal / np.linalg.norm(normal), np.pi)


@pytest.mark.parametrize("name", NUMBERS)
def test_numbers_of_constants(name: str) -> None:
    group = turned_group(name)
    stresses, second, third = group.invariant_stresses(), group.invariant_stiffnesses(), group.invariant_third_order()
    assert (len(stresses), len(second), len(third)) == NUMBERS[name]
    for Q in operations(group):
        assert np.abs(stresses @ Q - stresses).max() < 1e-13
        assert np.abs(Q.T @ second @ Q - second).max() < 1e-13
        assert np.abs(np.einsum("mabc,ai,bj,ck->mijk", third, Q, Q, Q, optimize=True) - third).max() < 1e-13
    assert max(np.abs(third - third.transpose(0, *(1 + k for k in p))).max() for p in permutations(range(3))) < 1e-13


def test_isotropic_stiffness_is_that_of_lame() -> None:
    C = InfiniteGroup("isotropic").project_stiffness(np.diag([1.0, 0.0, 0.0, 0.0, 0.0, 0.0]))
    # the average of n n n n over the sphere: (delta delta + ...) / 15
    assert np.allclose(
        C, np.diag([2.0, 2.0, 2.0, 1.0, 1.0, 1.0]) / 15.0 + np.pad(np.ones((3, 3)), (0, 3)) / 15.0, atol=1e-14
    )


def test_representatives_are_the_same_throughout_an_orbit() -> None:
    rng = np.random.default_rng(0)
    e = rng.normal(size=(20, 6))
    for name in ("isotropic", "transversely isotropic"):
        group = turned_group(name)
        assert isinstance(group, InfiniteGroup)
        images = group.undecided
        expected = group.representative(e)
        for Q in operations(group):
            found = group.representative(e @ Q.T)
            distance = np.abs(np.einsum("rij,nj->nri", images, found) - expected[:, None]).max(axis=2).min(axis=1)
            assert distance.max() < 1e-12


def test_refusals() -> None:
    with pytest.raises(InvalidSymmetry, match="symmetry 'cubic' is no infinite group"):
        InfiniteGroup("cubic")
    with pytest.raises(InvalidSymmetry, match="expected three finite numbers, not all zero"):
        InfiniteGroup("transversely isotropic", (0.0, 0.0, 0.0))
    with pytest.raises(InvalidRotations, match="expected a 3 x 3 rotation"):
        PointGroup.named("m-3m", -np.eye(3))
