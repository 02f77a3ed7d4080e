"""Symmetry functions chosen from data: better than random ones, the same every time."""

from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from atomistic import SymmetryFunctions, TooFewDescriptors, choose_symmetry_functions, reference_calculator
from atomistic.descriptor_choice import cur_columns, symmetry_function_pool
from atomistic.neighbours import neighbour_table

CUTOFF = 5.0


def strained_and_rattled(count: int, seed: int) -> list[Atoms]:
    generator = np.random.default_rng(seed)
    structures = []
    for _ in range(count):
        atoms = bulk("Si", a=5.43, cubic=True)
        atoms.set_cell(atoms.cell @ (np.eye(3) + 0.05 * generator.normal(size=(3, 3))), scale_atoms=True)
        atoms.rattle(0.15, rng=generator)
        structures.append(atoms)
    return structures


def values(descriptors: SymmetryFunctions, structures: list[Atoms]) -> np.ndarray:
    """(structures, atoms, functions)."""
    tables = [neighbour_table(atoms, CUTOFF) for atoms in structures]
    return np.array([descriptors.values(14, t.vectors, t.neighbour_numbers, t.mask).numpy() for t in tables])


def test_chosen_functions_describe_better_than_random_ones() -> None:
    train, held_out = strained_and_rattled(120, 0), strained_and_rattled(60, 1)
    chosen = choose_symmetry_functions(train, 24, cutoff=CUTOFF)
    assert chosen.count(14) == 24
    tables = [neighbour_table(atoms, CUTOFF) for atoms in train]
    nearest = min(table.vectors[table.mask].square().sum(-1).min().sqrt().item() for table in tables)
    pool = symmetry_function_pool((14,), nearest=nearest, cutoff=CUTOFF)
    assert set(chosen.of(14)) <= set(pool.of(14))
    calculator = reference_calculator("stillinger-weber")
    energies = [np.array([calculator.get_potential_energy(atoms) for atoms in some]) / 8 for some in (train, held_out)]
    all_train, all_held_out = (values(pool, some) for some in (train, held_out))

    def errors(columns: list[int]) -> tuple[float, float, float]:
        """Condition number; held-out errors of linear fits on the columns, of all the pool's values and of energies."""
        mean, spread = all_train[..., columns].mean((0, 1)), all_train[..., columns].std((0, 1))
        known, new = ((some[..., columns] - mean) / spread for some in (all_train, all_held_out))
        known, new = (np.concatenate([some, np.ones((*some.shape[:2], 1))], axis=2) for some in (known, new))
        to_pool = np.linalg.lstsq(known.reshape(-1, known.shape[2]), all_train.reshape(-1, pool.count(14)))[0]
        to_energy = np.linalg.lstsq(known.mean(1), energies[0])[0]
        return (
            float(np.linalg.cond(known.reshape(-1, known.shape[2]))),
            float(np.sqrt(np.mean((new @ to_pool - all_held_out) ** 2))),
            float(np.sqrt(np.mean((new.mean(1) @ to_energy - energies[1]) ** 2))),
        )

    ours = errors([pool.of(14).index(function) for function in chosen.of(14)])
    generator = np.random.default_rng(0)
    random = np.array([errors(generator.choice(pool.count(14), 24, replace=False).tolist()) for _ in range(7)])
    assert ours[0] < random[:, 0].min()
    assert ours[1] < 0.5 * random[:, 1].min()
    assert ours[2] < np.median(random[:, 2])


def test_the_choice_is_the_same_every_time_and_may_differ_between_elements() -> None:
    atoms = bulk("GaAs", "zincblende", a=5.65, cubic=True)
    structures = []
    for seed in range(3):
        rattled = atoms.copy()
        rattled.rattle(0.2, seed=seed)
        structures.append(rattled)
    first, second = (choose_symmetry_functions(structures, 10, cutoff=CUTOFF) for _ in range(2))
    assert first == second
    assert first.numbers == (31, 33)
    assert set(first.of(31)) != set(first.of(33))
    narrow = choose_symmetry_functions(structures[:2], 4, cutoff=4.0, angular_kind="narrow", environments=5)
    assert {f.kind for f in narrow.of(31)} <= {"radial", "narrow"}


def test_a_combination_of_columns_taken_is_not_taken() -> None:
    generator = np.random.default_rng(0)
    a, b = generator.normal(size=(2, 50))
    matrix = np.stack([3 * a, b, 3 * a + b, np.ones(50), 2 * a], axis=1)
    taken = cur_columns(matrix, 2)
    assert len(taken) == 2 and taken != [0, 4]
    with pytest.raises(TooFewDescriptors, match="3 descriptors are asked for, but only 2 of 5"):
        cur_columns(matrix, 3)


def test_data_that_tell_nothing_are_refused() -> None:
    perfect = bulk("Si", a=5.43)
    with pytest.raises(TooFewDescriptors, match="only 0 of"):
        choose_symmetry_functions([perfect], 5, cutoff=CUTOFF)
    with pytest.raises(ValueError, match="no two atoms of the 1 structures"):
        choose_symmetry_functions([Atoms("Si")], 5, cutoff=CUTOFF)
    with pytest.raises(ValueError, match=r"nearest = 5.0 A and cutoff = 4.0 A"):
        symmetry_function_pool((14,), nearest=5.0, cutoff=4.0)


def test_more_radii_and_other_cutoff_functions() -> None:
    pool = symmetry_function_pool((14,), nearest=2.0, cutoff=6.0, radii=3, zetas=(1, 4), cutoff_function="cosine")
    assert pool.cutoff_function == "cosine"
    assert pool.count(14) == 7 * (1 + 2 * 2)
    assert replace(pool, cutoff_function="polynomial").cutoff == 6.0
