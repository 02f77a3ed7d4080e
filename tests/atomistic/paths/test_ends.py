"""Ends of a path: what is refused, what is put in order."""

import warnings

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule

from atomistic.paths import EquivalentEnds, InvalidEnds, PermutedEnds, SameEnds, match_ends
from atomistic.paths.ends import check_comparable, displacements, furthest, ordered_ends


@pytest.fixture
def alloy() -> Atoms:
    """An ordered crystal with one atom displaced, so that nothing is equivalent."""
    atoms = bulk("NaCl", "rocksalt", a=5.6, cubic=True)
    atoms.positions[3] += [0.3, 0.1, -0.2]
    return atoms


def test_different_atoms(alloy: Atoms) -> None:
    with pytest.raises(InvalidEnds, match="8 atoms in the initial and 7 in the final"):
        check_comparable(alloy, alloy[:-1])
    other = alloy.copy()
    other.symbols[0] = "K"
    with pytest.raises(InvalidEnds, match="Cl4Na4, the final one Cl4KNa3"):
        check_comparable(alloy, other)
    other = alloy.copy()
    other.pbc = [True, True, False]
    with pytest.raises(InvalidEnds, match="pbc"):
        check_comparable(alloy, other)
    other = alloy.copy()
    other.positions[2, 1] = np.nan
    with pytest.raises(InvalidEnds, match="final structure's positions or cell contain NaN"):
        check_comparable(alloy, other)
    with pytest.raises(InvalidEnds, match="no atoms"):
        check_comparable(Atoms(), alloy)


def test_same_ends(alloy: Atoms) -> None:
    """Also translated, wrapped into the cell, or with equal atoms exchanged."""
    moved = alloy.copy()
    moved.positions += [0.7, -1.9, 3.3]
    moved.wrap()
    with pytest.raises(SameEnds, match="no atom moves"):
        ordered_ends(alloy, moved, "check")
    exchanged = alloy[[2, 1, 0, 3, 4, 5, 6, 7]]
    with pytest.raises(SameEnds, match=r"same structure with atoms \[0, 2\] in another order"):
        ordered_ends(alloy, exchanged, "check")
    # What exchanges equal atoms is a path all the same, if it is asked for.
    assert furthest(alloy, ordered_ends(alloy, exchanged, "given")) > 2.0


@pytest.mark.parametrize("seed", range(3))
def test_permuted_ends(alloy: Atoms, seed: int) -> None:
    """The best order is found and offered, whatever the given one."""
    generator = np.random.default_rng(seed)
    final = alloy.copy()
    final.positions[5] += [0.2, 0.4, 0.1]
    shuffled = final[generator.permutation(8)]
    with pytest.raises(PermutedEnds, match="order='match'") as caught:
        ordered_ends(alloy, shuffled, "check")
    for found in (caught.value.matched, ordered_ends(alloy, shuffled, "match"), match_ends(alloy, shuffled)):
        assert (found.numbers == alloy.numbers).all()
        expected = np.zeros((8, 3))
        expected[5] = [0.2, 0.4, 0.1]
        np.testing.assert_allclose(displacements(alloy, found), expected - expected.mean(0), atol=1e-9)


def test_order_that_is_right_is_kept(alloy: Atoms) -> None:
    final = alloy.copy()
    final.positions[5] += [0.2, 0.4, 0.1]
    with warnings.catch_warnings():
        warnings.simplefilter("error", EquivalentEnds)
        assert furthest(final, ordered_ends(alloy, final, "check")) < 0.2


def test_equal_structure_elsewhere() -> None:
    """A vacancy of a close-packed crystal hops to an equal structure: named, not refused."""
    crystal = bulk("Cu", cubic=True).repeat(2)
    initial, final = crystal.copy(), crystal.copy()
    del initial[0]
    final.positions[1] = crystal.positions[0]
    del final[0]
    with pytest.warns(EquivalentEnds, match="translated by"):
        near = ordered_ends(initial, final, "check")
    assert furthest(initial, near) == pytest.approx(crystal.get_distance(0, 1) * (1 - 1 / 31), rel=1e-9)


def test_isolated_molecules_may_be_turned() -> None:
    water = molecule("H2O")
    turned = water.copy()
    turned.rotate(50.0, (1.0, 2.0, 3.0))
    turned.translate([3.0, 1.0, 0.0])
    with pytest.raises(SameEnds):
        ordered_ends(water, turned, "check")
