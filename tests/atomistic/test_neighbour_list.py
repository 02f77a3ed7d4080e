"""Lists with a skin: right through any sequence of moves and strains, renewed only when they have to be."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.neighborlist import neighbor_list
from hypothesis import given, settings
from hypothesis import strategies as st

from atomistic import InvalidStructure, NeighbourList
from atomistic.neighbour_list import neighbour_rows

CUTOFF = 4.0
seeds = st.integers(0, 2**31)


def pairs_within(neighbours: NeighbourList, atoms: Atoms) -> np.ndarray:
    """Rows (i, j, vector) of the pairs within the cutoff, sorted."""
    rows, positions = neighbours.update(atoms)
    first = np.repeat(np.arange(len(atoms)), np.diff(rows.first))
    vectors = positions[rows.neighbours] - positions[first]
    table = np.column_stack([first, rows.owner[rows.neighbours], vectors])
    return in_order(table[np.linalg.norm(vectors, axis=1) < CUTOFF])


def in_order(table: np.ndarray) -> np.ndarray:
    keys = np.round(table, 6) + 0.0
    return table[np.lexsort(keys.T[::-1])]


def expected_pairs(atoms: Atoms) -> np.ndarray:
    """By ASE's own search."""
    i, j, vectors = neighbor_list("ijD", atoms, CUTOFF)
    return in_order(np.column_stack([i, j, vectors]))


def random_structure(generator: np.random.Generator) -> Atoms:
    atoms = bulk("Si", a=5.43, cubic=bool(generator.integers(2)))
    atoms = atoms.repeat(generator.integers(1, 3, 3))
    atoms.set_cell(atoms.cell.array @ (np.eye(3) + generator.normal(0.0, 0.15, (3, 3))), scale_atoms=True)
    atoms.positions += generator.normal(0.0, 0.2, atoms.positions.shape)
    atoms.positions += generator.integers(-3, 4, (len(atoms), 3)) @ atoms.cell.array  # far outside the cell
    atoms.pbc = generator.integers(2, size=3).astype(bool)
    return atoms


@settings(max_examples=40, deadline=None)
@given(seed=seeds)
def test_pairs_are_those_of_another_search(seed: int) -> None:
    atoms = random_structure(np.random.default_rng(seed))
    np.testing.assert_allclose(pairs_within(NeighbourList(CUTOFF, 0.7), atoms), expected_pairs(atoms), atol=1e-9)


@settings(max_examples=40, deadline=None)
@given(seed=seeds, skin=st.sampled_from([0.0, 0.2, 0.6, 1.5]))
def test_right_through_moves_and_strains(seed: int, skin: float) -> None:
    generator = np.random.default_rng(seed)
    atoms, neighbours = random_structure(generator), NeighbourList(CUTOFF, skin)
    for _ in range(6):
        np.testing.assert_allclose(pairs_within(neighbours, atoms), expected_pairs(atoms), atol=1e-9)
        kind = generator.integers(5)
        if kind in (0, 1):
            atoms.positions += generator.normal(0.0, 0.25 * skin + 0.01, atoms.positions.shape)
        if kind in (1, 2):
            strain = np.eye(3) + generator.normal(0.0, 0.03 * skin + 0.002, (3, 3))
            atoms.set_cell(atoms.cell.array @ strain, scale_atoms=bool(generator.integers(2)))
        if kind == 3:
            atoms.positions += generator.normal(0.0, 2.0, 3)
        if kind == 4:
            atoms.wrap()


def test_renewed_only_when_it_has_to_be() -> None:
    atoms = bulk("Si", a=5.43, cubic=True).repeat(2)
    neighbours = NeighbourList(CUTOFF, 0.6)
    neighbours.update(atoms)
    atoms.positions += [5.0, 0.0, 0.0]
    atoms.positions[0] += [0.25, 0.0, 0.0]
    atoms.positions[1] -= [0.25, 0.0, 0.0]
    neighbours.update(atoms)
    atoms.set_cell(atoms.cell.array @ np.diag([1.3, 1.2, 1.1]), scale_atoms=True)  # a stretch brings nothing nearer
    neighbours.update(atoms)
    assert neighbours.builds == 1
    atoms.set_cell(atoms.cell.array / 1.6, scale_atoms=True)
    neighbours.update(atoms)
    assert neighbours.builds == 2
    atoms.positions[0] += [0.4, 0.0, 0.0]
    atoms.positions[1] -= [0.4, 0.0, 0.0]
    neighbours.update(atoms)
    assert neighbours.builds == 3
    atoms.pbc = (True, True, False)
    neighbours.update(atoms)
    assert neighbours.builds == 4
    del atoms[0]
    neighbours.update(atoms)
    assert neighbours.builds == 5


def test_one_structure_needs_one_list_also_without_a_skin() -> None:
    atoms, neighbours = bulk("Si", a=5.43), NeighbourList(CUTOFF, 0.0)
    neighbours.update(atoms)
    neighbours.update(atoms)
    assert neighbours.builds == 1
    atoms.positions[0, 0] += 1e-9
    neighbours.update(atoms)
    assert neighbours.builds == 2


def test_each_image_is_stored_once() -> None:
    rows = neighbour_rows(bulk("Si", a=5.43), 6.0)
    images = np.column_stack([rows.owner[2:], rows.shifts])
    assert len(np.unique(images, axis=0)) == len(images)
    assert np.diff(rows.first).tolist() == [46, 46]


def test_structures_without_a_list_are_refused() -> None:
    flat = Atoms("Si2", positions=[[0, 0, 0], [2, 0, 0]], cell=[5, 5, 0], pbc=True)
    with pytest.raises(InvalidStructure, match="span no volume"):
        neighbour_rows(flat, CUTOFF)
    with pytest.raises(InvalidStructure, match="no atoms"):
        neighbour_rows(Atoms(), CUTOFF)
    with pytest.raises(ValueError, match=r"skin = -0\.1"):
        NeighbourList(4.0, -0.1)
    neighbours, atoms = NeighbourList(CUTOFF, 0.5), bulk("Si", a=5.43)
    neighbours.update(atoms)
    atoms.positions[0, 0] = np.nan
    with pytest.raises(InvalidStructure, match="NaN"):
        neighbours.update(atoms)
