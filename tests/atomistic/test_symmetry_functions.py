"""Symmetry functions against their definition, written out as sums over pairs and triplets."""

import itertools
import re

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk

from atomistic import SymmetryFunctions
from atomistic.cutoff_functions import CUTOFF_FUNCTIONS
from atomistic.neighbours import neighbour_table


def by_definition(functions: SymmetryFunctions, vectors: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """G2 and G5 of one atom after Behler 2011, eqs. (6) and (9), cosine cutoff; each pair of neighbours once."""
    r = np.linalg.norm(vectors, axis=1)
    fc = 0.5 * (np.cos(np.pi * r / functions.cutoff) + 1.0)
    values = []
    for a in functions.numbers:
        values += [np.sum((np.exp(-eta * (r - rs) ** 2) * fc)[numbers == a]) for eta, rs in functions.radial]
    for a, b in itertools.combinations_with_replacement(functions.numbers, 2):
        for eta, rs in functions.angular:
            g = np.exp(-eta * (r - rs) ** 2) * fc
            for zeta in functions.zetas:
                for sign in (1, -1):
                    total = 0.0
                    for j, k in itertools.combinations(range(len(r)), 2):
                        if {int(numbers[j]), int(numbers[k])} == {a, b}:
                            cosine = vectors[j] @ vectors[k] / (r[j] * r[k])
                            total += 2.0 ** (1 - zeta) * (1.0 + sign * cosine) ** zeta * g[j] * g[k]
                    values.append(total)
    return np.array(values)


@pytest.mark.parametrize("crystal", [bulk("Si", a=5.43), bulk("GaAs", "zincblende", a=5.65), bulk("Cu", a=3.6)])
def test_moments_give_the_published_sums(crystal: Atoms) -> None:
    atoms = crystal.repeat((2, 1, 1))
    atoms.rattle(0.1, seed=3)
    functions = SymmetryFunctions(
        numbers=tuple(sorted(set(atoms.numbers.tolist()))),
        cutoff=4.2,
        radial=((0.8, 0.0), (2.0, 2.4)),
        angular=((0.05, 0.0), (0.5, 2.3)),
        zetas=(1, 2, 4),
        cutoff_function="cosine",
    )
    table = neighbour_table(atoms, functions.cutoff)
    values = functions.values(atoms.numbers[0], table.vectors, table.neighbour_numbers, table.mask).numpy()
    assert values.shape == (len(atoms), functions.count(atoms.numbers[0]))
    for i in range(len(atoms)):
        inside = table.mask[i].numpy()
        expected = by_definition(
            functions, table.vectors[i].numpy()[inside], table.neighbour_numbers[i].numpy()[inside]
        )
        np.testing.assert_allclose(values[i], expected, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("name", sorted(CUTOFF_FUNCTIONS))
def test_cutoff_functions_end_smoothly(name: str) -> None:
    x = torch.tensor([1.0], dtype=torch.float64, requires_grad=True)
    value = CUTOFF_FUNCTIONS[name](x)
    (slope,) = torch.autograd.grad(value.sum(), x, create_graph=True)
    (curvature,) = torch.autograd.grad(slope.sum(), x)
    assert abs(value.item()) < 1e-15
    assert abs(slope.item()) < 1e-15
    # cosine alone jumps in its second derivative: a law made with it would have a tangent with steps
    assert (abs(curvature.item()) < 1e-12) == (name != "cosine")


@pytest.mark.parametrize(
    "bad", [{"cutoff": -1.0}, {"zetas": (0,)}, {"cutoff_function": "square"}, {"numbers": (14, 6)}]
)
def test_nonsense_is_refused(bad: dict) -> None:
    good = {"numbers": (14,), "cutoff": 4.0, "radial": ((1.0, 0.0),), "angular": ((0.1, 0.0),)}
    with pytest.raises(ValueError, match=re.escape(repr(next(iter(bad.values()))))):
        SymmetryFunctions(**{**good, **bad})
