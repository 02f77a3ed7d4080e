"""Symmetry functions chosen from data: better than random ones, the same every time."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk

from atomistic import (
    InvalidTrainingData,
    NeuralCalculator,
    NeuralPotential,
    SymmetryFunctions,
    TooFewDescriptors,
    choose_symmetry_functions,
    label,
    nearest_distance,
    reference_calculator,
)
from atomistic.descriptor_choice import cur_columns, least_squares_columns, symmetry_function_pool, work_rows
from atomistic.neighbours import neighbour_table
from atomistic.network import Network
from atomistic.symmetry_functions import SymmetryFunction

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


def random_sets(pool: SymmetryFunctions, count: int) -> list[list[int]]:
    generator = np.random.default_rng(0)
    return [generator.choice(pool.count(14), count, replace=False).tolist() for _ in range(7)]


def test_functions_chosen_by_labels_explain_forces_and_stresses_better_than_random_ones() -> None:
    calculator = reference_calculator("stillinger-weber")
    train, held_out = ([label(atoms, calculator) for atoms in strained_and_rattled(16, seed)] for seed in (0, 1))
    chosen = choose_symmetry_functions(train, 20, cutoff=CUTOFF)
    nearest = min(nearest_distance(atoms) for atoms in train)
    pool = symmetry_function_pool((14,), nearest=nearest, cutoff=CUTOFF)
    (known, work), (new, new_work) = (work_rows(pool, some) for some in (train, held_out))
    assert known.shape == (16 * 16, pool.count(14))

    def error(columns: list[int]) -> float:
        fit = np.linalg.lstsq(known[:, columns], work)[0]
        return float(np.sqrt(np.mean((new[:, columns] @ fit - new_work) ** 2)))

    ours = error([int(np.argmin([distance(f, g) for g in pool.of(14)])) for f in chosen.of(14)])
    random = [error(columns) for columns in random_sets(pool, 20)]
    assert ours < 0.7 * min(random)


def distance(one: SymmetryFunction, other: SymmetryFunction) -> float:
    """Between the parameters of two functions; the pool of a set is made again with other rounding."""
    return 1e3 * (one.kind != other.kind) + float(np.abs(np.subtract(one[2:], other[2:])).sum())


def test_the_work_is_the_change_of_the_energy() -> None:
    """Where the energy is one of the functions: its change along every direction is the work of its forces and stress."""
    atoms = strained_and_rattled(1, 0)[0]
    function = SymmetryFunction("narrow", (14, 14), 0.1, 0.0, CUTOFF, 2.0, -1.0)
    functions = SymmetryFunctions((14,), ((function,),))
    network = Network(((torch.tensor([[2.0]]).double(), torch.zeros(1).double()),))
    calculator = NeuralCalculator(NeuralPotential(functions, {14: network}, {}))
    changes, work = work_rows(functions, [label(atoms, calculator)])
    np.testing.assert_allclose(2.0 * changes[:, 0], work, rtol=1e-6, atol=1e-6)


def test_functions_chosen_by_values_describe_the_others_better_than_random_ones() -> None:
    train, held_out = strained_and_rattled(60, 0), strained_and_rattled(30, 1)
    chosen = choose_symmetry_functions(train, 24, cutoff=CUTOFF, by="values")
    assert chosen.count(14) == 24
    tables = [neighbour_table(atoms, CUTOFF) for atoms in train]
    nearest = min(table.vectors[table.mask].square().sum(-1).min().sqrt().item() for table in tables)
    pool = symmetry_function_pool((14,), nearest=nearest, cutoff=CUTOFF)
    assert set(chosen.of(14)) <= set(pool.of(14))
    known, new = (values(pool, some).reshape(-1, pool.count(14)) for some in (train, held_out))

    def errors(columns: list[int]) -> tuple[float, float]:
        """Condition number, and the held-out error of linear fits of all the pool's values on the columns."""
        mean, spread = known[:, columns].mean(0), known[:, columns].std(0)
        ours, held = (np.c_[(some[:, columns] - mean) / spread, np.ones(len(some))] for some in (known, new))
        fit = np.linalg.lstsq(ours, known)[0]
        return float(np.linalg.cond(ours)), float(np.sqrt(np.mean((held @ fit - new) ** 2)))

    ours = errors([pool.of(14).index(function) for function in chosen.of(14)])
    random = np.array([errors(columns) for columns in random_sets(pool, 24)])
    assert ours[0] < random[:, 0].min()
    assert ours[1] < 0.5 * random[:, 1].min()


def test_the_choice_is_the_same_every_time_and_may_differ_between_elements() -> None:
    atoms = bulk("GaAs", "zincblende", a=5.65, cubic=True)
    structures = []
    for seed in range(3):
        rattled = atoms.copy()
        rattled.rattle(0.2, seed=seed)
        structures.append(rattled)
    first, second = (choose_symmetry_functions(structures, 10, cutoff=CUTOFF, by="values") for _ in range(2))
    assert first == second
    assert first.numbers == (31, 33)
    assert set(first.of(31)) != set(first.of(33))
    narrow = choose_symmetry_functions(
        structures[:2], 4, cutoff=4.0, by="values", angular_kind="narrow", environments=5
    )
    assert {f.kind for f in narrow.of(31)} <= {"radial", "narrow"}


def test_labels_of_structures_that_lack_an_element() -> None:
    calculator = reference_calculator("tersoff")
    crystals = [bulk("SiC", "zincblende", a=4.4, cubic=True), bulk("Si", cubic=True), bulk("C", cubic=True)]
    for seed, atoms in enumerate(crystals):
        atoms.rattle(0.1, seed=seed)
    structures = [label(atoms, calculator) for atoms in crystals]
    first, second = (choose_symmetry_functions(structures, 6, cutoff=3.5) for _ in range(2))
    assert first == second
    assert [first.count(z) for z in (6, 14)] == [6, 6]


def test_least_squares_takes_what_explains_the_target() -> None:
    generator = np.random.default_rng(0)
    matrix = generator.normal(size=(60, 6))
    target = 3.0 * matrix[:, 1] - 2.0 * matrix[:, 4] + 0.5 * matrix[:, 5]
    assert least_squares_columns(matrix, target, [6], 3) == [[1, 4, 5]]
    assert least_squares_columns(matrix, target, [4, 2], 1) == [[1], [0]]
    with pytest.raises(TooFewDescriptors, match="7 descriptors are asked for, but only 6 of 6"):
        least_squares_columns(matrix, target, [6], 7)


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
        choose_symmetry_functions([perfect], 5, cutoff=CUTOFF, by="values")
    with pytest.raises(InvalidTrainingData, match="structure 0 has no forces"):
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
