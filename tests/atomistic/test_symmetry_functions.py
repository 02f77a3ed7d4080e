"""Symmetry functions against their definitions, written out as sums over neighbours and pairs; invariance; derivatives."""

import itertools
import json
import math
from typing import Any

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from atomistic import SymmetryFunctions, angular_sums
from atomistic.cutoff_functions import CUTOFF_FUNCTIONS, WITHOUT_INNER_CUTOFF
from atomistic.descriptors import descriptors_from_header, descriptors_to_header
from atomistic.neighbours import NeighbourTable, neighbour_table
from atomistic.symmetry_functions import SymmetryFunction


def cutoff(name: str, r: float, cutoff: float, inner: float) -> float:
    """The cutoff functions as they are published."""
    x = (r / cutoff - inner) / (1.0 - inner)
    if x <= 0.0:
        return 1.0
    if x >= 1.0:
        return 0.0
    return {
        "cosine": lambda: 0.5 * (math.cos(math.pi * x) + 1.0),
        "tanh3": lambda: math.tanh(1.0 - x) ** 3,
        "normalised-tanh3": lambda: ((math.e + 1 / math.e) / (math.e - 1 / math.e) * math.tanh(1.0 - x)) ** 3,
        "exponential": lambda: math.exp(1.0 - 1.0 / (1.0 - x**2)),
        "cubic": lambda: (2 * x - 3) * x**2 + 1,
        "polynomial": lambda: ((15 - 6 * x) * x - 10) * x**3 + 1,
        "septic": lambda: (x * (x * (20 * x - 70) + 84) - 35) * x**4 + 1,
        "nonic": lambda: (x * (x * ((315 - 70 * x) * x - 540) + 420) - 126) * x**5 + 1,
    }[name]()


def by_definition(functions: SymmetryFunctions, number: int, vectors: np.ndarray, numbers: np.ndarray) -> list[float]:
    """The functions of one atom as plain double loops over its neighbours."""
    r = [math.dist(vector, (0, 0, 0)) for vector in vectors]
    values = []
    for f in functions.of(number):

        def g(distance: float, f: SymmetryFunction = f) -> float:
            envelope = cutoff(functions.cutoff_function, distance, f.cutoff, functions.inner_cutoff)
            return math.exp(-f.eta * (distance - f.shift) ** 2) * envelope

        total = 0.0
        if f.kind == "radial":
            for j, z in enumerate(numbers.tolist()):
                weight = z if not f.neighbours else z == f.neighbours[0]
                total += weight * g(r[j])
        else:
            for j, k in itertools.combinations(range(len(r)), 2):
                both = tuple(sorted((int(numbers[j]), int(numbers[k]))))
                weight = both[0] * both[1] if not f.neighbours else both == f.neighbours
                cosine = vectors[j] @ vectors[k] / (r[j] * r[k])
                closing = g(math.dist(vectors[j], vectors[k])) if f.kind == "narrow" else 1.0
                angle = 2.0 ** (1.0 - f.zeta) * max(0.0, 1.0 + f.lambda_ * cosine) ** f.zeta
                total += weight * angle * g(r[j]) * g(r[k]) * closing
        values.append(total)
    return values


def mixed(numbers: tuple[int, ...], cutoff_function: str = "polynomial", inner: float = 0.0) -> SymmetryFunctions:
    """Functions of all kinds in no order, with cutoffs, shifts and exponents of their own; the last element has fewer."""
    first, last = numbers[0], numbers[-1]
    own = (
        SymmetryFunction("wide", (first, last), 0.05, 0.0, 4.2, 1.0, 1.0),
        SymmetryFunction("radial", (first,), 0.8, 0.0, 4.2),
        SymmetryFunction("narrow", (first, last), 0.02, 0.0, 4.2, 2.0, -1.0),
        SymmetryFunction("wide", (last, last), 0.5, 2.3, 3.6, 4.0, -1.0),
        SymmetryFunction("radial", (last,), 2.0, 2.4, 3.1),
        SymmetryFunction("narrow", (last, last), 0.3, 1.9, 3.9, 2.5, 0.7),
        SymmetryFunction("wide", (first, first), 0.05, 0.0, 4.2, 16.0, 1.0),
        SymmetryFunction("narrow", (first, first), 0.3, 1.9, 3.9, 16.0, 1.0),
        SymmetryFunction("radial", (), 0.3, 1.0, 4.0),
        SymmetryFunction("narrow", (), 0.05, 0.5, 4.1, 1.0, 1.0),
        SymmetryFunction("wide", (), 0.05, 0.0, 4.2, 2.0, -1.0),
        SymmetryFunction("wide", (first, last), 0.05, 0.0, 4.2, 3.2, 1.0),
    )
    return SymmetryFunctions(numbers, (*((own,) * (len(numbers) - 1)), own[:9][::-1]), cutoff_function, inner)


def rattled(crystal: Atoms, seed: int = 3) -> Atoms:
    atoms = crystal.repeat((2, 1, 1))
    atoms.rattle(0.1, seed=seed)
    return atoms


def values(functions: SymmetryFunctions, number: int, table: NeighbourTable) -> torch.Tensor:
    return functions.values(number, table.vectors, table.neighbour_numbers, table.mask)


@pytest.mark.parametrize("crystal", [bulk("Si", a=5.43), bulk("GaAs", "zincblende", a=5.65), bulk("Cu", a=3.6)])
def test_values_are_the_published_sums(crystal: Atoms) -> None:
    atoms = rattled(crystal)
    numbers = tuple(sorted(set(atoms.numbers.tolist())))
    functions = mixed(numbers)
    table = neighbour_table(atoms, functions.cutoff)
    for number in numbers:
        ours = values(functions, number, table).numpy()
        assert ours.shape == (len(atoms), functions.count(number))
        for i in range(len(atoms)):
            inside = table.mask[i].numpy()
            expected = by_definition(
                functions, number, table.vectors[i].numpy()[inside], table.neighbour_numbers[i].numpy()[inside]
            )
            np.testing.assert_allclose(ours[i], expected, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("name", sorted(CUTOFF_FUNCTIONS))
@pytest.mark.parametrize("inner", [0.0, 0.4])
def test_every_cutoff_function_is_the_published_one(name: str, inner: float) -> None:
    if inner and name in WITHOUT_INNER_CUTOFF:
        with pytest.raises(ValueError, match=f"inner_cutoff = 0.4 with the cutoff function '{name}'"):
            mixed((14,), name, inner)
        return
    functions = mixed((14,), name, inner)
    table = neighbour_table(rattled(bulk("Si", a=5.43)), functions.cutoff)
    inside = table.mask[0].numpy()
    expected = by_definition(
        functions, 14, table.vectors[0].numpy()[inside], table.neighbour_numbers[0].numpy()[inside]
    )
    np.testing.assert_allclose(values(functions, 14, table)[0].numpy(), expected, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("name", sorted(CUTOFF_FUNCTIONS))
def test_cutoff_functions_end_smoothly(name: str) -> None:
    x = torch.tensor([1.0], dtype=torch.float64, requires_grad=True)
    value = CUTOFF_FUNCTIONS[name](x)
    (slope,) = torch.autograd.grad(value.sum(), x, create_graph=True)
    (curvature,) = torch.autograd.grad(slope.sum(), x)
    assert abs(value.item()) < 1e-15
    assert abs(slope.item()) < 1e-15
    # these two jump in their second derivative: a law made with them would have a tangent with steps
    assert (abs(curvature.item()) < 1e-12) == (name not in {"cosine", "cubic"})


@given(seed=st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_invariant_under_rotation_reflection_and_permutation(seed: int) -> None:
    functions = mixed((31, 33))
    table = neighbour_table(rattled(bulk("GaAs", "zincblende", a=5.65), seed), functions.cutoff)
    generator = np.random.default_rng(seed)
    turn = torch.from_numpy(Rotation.random(random_state=seed).as_matrix() * generator.choice([-1.0, 1.0]))
    order = torch.from_numpy(generator.permutation(table.mask.shape[1]))
    turned = functions.values(
        31, (table.vectors @ turn.T)[:, order], table.neighbour_numbers[:, order], table.mask[:, order]
    )
    torch.testing.assert_close(turned, values(functions, 31, table), rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("name", ["polynomial", "exponential", "tanh3"])
def test_both_derivatives_are_right_and_finite(name: str) -> None:
    """Padded entries, perfect crystal angles (cos theta = -1) and atoms at a cutoff included."""
    functions = mixed((31, 33), name)
    atoms = bulk("GaAs", "zincblende", a=functions.cutoff).repeat(2)  # the third shell of an element sits on the cutoff
    atoms.pbc = (True, True, False)
    table = neighbour_table(atoms, functions.cutoff + 1e-9)
    assert not table.mask.all()
    vectors = table.vectors.clone().requires_grad_()

    def energy(vectors: torch.Tensor) -> torch.Tensor:
        return torch.tanh(functions.values(31, vectors, table.neighbour_numbers, table.mask)).sum()

    (pull,) = torch.autograd.grad(energy(vectors), vectors, create_graph=True)
    direction = torch.from_numpy(np.random.default_rng(0).normal(size=vectors.shape)) * table.mask[..., None]
    (curved,) = torch.autograd.grad((pull * direction).sum(), vectors)
    assert pull.isfinite().all() and curved.isfinite().all()
    assert not pull[~table.mask].any() and not curved[~table.mask].any()
    h = 1e-6  # the third derivative jumps at the cutoff
    ahead, behind = ((vectors + s * h * direction).detach().requires_grad_() for s in (1, -1))
    slope = (energy(ahead) - energy(behind)).item() / (2 * h)
    assert slope == pytest.approx((pull * direction).sum().item(), rel=1e-7, abs=1e-8)
    pulls = [torch.autograd.grad(energy(moved), moved)[0] for moved in (ahead, behind)]
    torch.testing.assert_close((pulls[0] - pulls[1]) / (2 * h), curved, rtol=1e-5, atol=1e-6)


def test_groups_of_atoms_give_the_same_values_and_derivatives(monkeypatch: pytest.MonkeyPatch) -> None:
    functions = mixed((14,))
    table = neighbour_table(rattled(bulk("Si", a=5.43)), functions.cutoff)

    def both() -> list[torch.Tensor]:
        vectors = table.vectors.clone().requires_grad_()
        found = functions.values(14, vectors, table.neighbour_numbers, table.mask)
        (pull,) = torch.autograd.grad(found.sin().sum(), vectors, create_graph=True)
        (curved,) = torch.autograd.grad(pull.square().sum(), vectors)
        return [found.detach(), pull.detach(), curved]

    whole = both()
    monkeypatch.setattr(angular_sums, "GROUP_NUMBERS", 1)
    for grouped, one in zip(both(), whole, strict=True):
        torch.testing.assert_close(grouped, one, rtol=1e-12, atol=1e-13)


def test_moments_and_pairs_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    functions = SymmetryFunctions.spread((31, 33), nearest=2.45, cutoff=4.5, angular=2, zetas=(1, 3, 8))
    table = neighbour_table(rattled(bulk("GaAs", "zincblende", a=5.65)), functions.cutoff)
    by_moments = values(functions, 31, table)
    monkeypatch.setattr("atomistic.symmetry_functions.MOMENT_DEGREE", 0)
    torch.testing.assert_close(values(functions, 31, table), by_moments, rtol=1e-11, atol=1e-12)


def test_no_neighbours_and_no_atoms() -> None:
    functions = mixed((14,))
    alone = neighbour_table(Atoms("Si2", [(0, 0, 0), (0, 0, 2.0)]), functions.cutoff)
    of_pair = values(functions, 14, alone)[0]
    angular = torch.tensor([f.kind != "radial" for f in functions.of(14)])
    assert not of_pair[angular].any() and of_pair[~angular].any()
    assert not values(functions, 14, neighbour_table(Atoms("Si"), functions.cutoff)).any()
    empty = torch.zeros(0, 3, dtype=torch.int64)
    assert functions.values(14, torch.zeros(0, 3, 3).double(), empty, empty.bool()).shape == (0, functions.count(14))


def test_a_set_survives_its_file() -> None:
    functions = mixed((31, 33), "cosine", 0.3)
    assert descriptors_from_header(json.loads(json.dumps(descriptors_to_header(functions)))) == functions


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"kind": "sideways"}, "'sideways'"),
        ({"neighbours": (14,)}, r"neighbours \(14,\) of a narrow function, expected 2"),
        ({"neighbours": (14, 32)}, r"neighbours \(14, 32\)"),
        ({"cutoff": -1.0}, "cutoff = -1.0"),
        ({"eta": math.nan}, "not finite"),
        ({"zeta": 0.0}, "zeta = 0.0"),
        ({"zeta": 1.5}, "zeta = 1.5"),
        ({"lambda_": 2.0}, "lambda = 2.0"),
    ],
)
def test_a_nonsense_function_is_refused(bad: dict[str, Any], message: str) -> None:
    good = SymmetryFunction("narrow", (14, 14), 0.1, 0.0, 4.0, 2.0, 1.0)
    with pytest.raises(ValueError, match=message):
        SymmetryFunctions((14,), ((good._replace(**bad),),))


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"numbers": (14, 6)}, "ascending"),
        ({"functions": ()}, "functions for 0 elements"),
        ({"cutoff_function": "square"}, "'square'"),
        ({"inner_cutoff": 1.0}, "inner_cutoff = 1.0"),
    ],
)
def test_a_nonsense_set_is_refused(bad: dict[str, Any], message: str) -> None:
    good = {"numbers": (14,), "functions": ((SymmetryFunction("radial", (14,), 0.1, 0.0, 4.0),),)}
    with pytest.raises(ValueError, match=message):
        SymmetryFunctions(**{**good, **bad})
