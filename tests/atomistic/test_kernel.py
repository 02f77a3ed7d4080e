"""The compiled kernel gives torch's numbers: any set of descriptors, network and structure; what it does with bad input."""

import copy
import os
import pickle
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk
from hypothesis import given, settings
from hypothesis import strategies as st

import atomistic
from atomistic import (
    BodyOrdered,
    InvalidStructure,
    KernelUnavailable,
    NeighbourList,
    NeuralPotential,
    SymmetryFunction,
    SymmetryFunctions,
    kernel,
)
from atomistic.compiler import VECTORS, compiler_found, load_library
from atomistic.cutoff_functions import CUTOFF_FUNCTIONS
from atomistic.harmonics import coupling
from atomistic.kernel.calling import CUTOFF_HEADER, cutoff_name
from atomistic.kernel.four_body import four_body_source
from atomistic.network import Network

try:
    compiler_found(os.environ.get("CC", ""), os.environ.get("PATH", ""))
except OSError:
    pytest.skip("no C compiler", allow_module_level=True)

LEARNED = tuple(tuple(map(tuple, rows)) for rows in np.random.default_rng(1).normal(size=(9, 2, 3)).tolist())
"""Channels that mix moments; their products join different lanes."""

SETS: dict[str, BodyOrdered | SymmetryFunctions] = {
    "default": BodyOrdered((14,), cutoff=5.0, angular_cutoff=4.2),
    "two elements": BodyOrdered(
        (14, 32), cutoff=5.0, angular_cutoff=4.0, radial=5, angular=3, degree=2, cutoff_function="cosine"
    ),
    "wide": BodyOrdered(
        (14,), cutoff=4.6, angular_cutoff=4.6, radial=17, angular=11, degree=3, cutoff_function="tanh3"
    ),
    "learned": BodyOrdered(
        (14, 32),
        cutoff=4.5,
        angular_cutoff=4.0,
        radial=2,
        angular=3,
        degree=3,
        channels=LEARNED,
        pairs=((0, 0), (0, 8), (3, 1), (8, 0)),
    ),
}
F = SymmetryFunction
MIXED = (
    F("radial", (), 0.3, 2.0, 4.0),
    F("radial", (32,), 0.3, 2.0, 5.0),
    F("narrow", (14, 32), 0.05, 0.0, 3.7, 1.0, 1.0),
    F("narrow", (), 0.05, 0.5, 4.0, 2.7, 0.6),
    F("wide", (32, 32), 0.05, 0.0, 4.2, 16.0, -1.0),
    F("wide", (), 0.1, 1.0, 4.5, 9.5, -1.0),
)
"""Weighted and plain functions, with cutoffs of their own, for two elements."""

SYMMETRY_FUNCTIONS = {
    "narrow": SymmetryFunctions.spread((14,), nearest=2.35, cutoff=5.0, angular_kind="narrow"),
    "mixed": SymmetryFunctions((14, 32), (MIXED, MIXED[:4]), inner_cutoff=0.3),
    "radial alone": SymmetryFunctions((14,), (MIXED[:1],), cutoff_function="cubic"),
}
SETS |= SYMMETRY_FUNCTIONS

NETWORKS: dict[str, tuple[tuple[int, ...], tuple[str, ...], bool]] = {
    "default": ((30, 30), ("tanh", "tanh"), True),
    "two elements": ((7,), ("softplus",), False),
    "wide": ((), (), True),
    "narrow": ((10, 10), ("tanh", "tanh"), False),
    "mixed": ((12,), ("softplus",), True),
    "radial alone": ((), (), False),
    "learned": ((11, 3, 5), ("logistic", "linear", "tanh"), False),
}


def random_potential(name: str) -> NeuralPotential:
    generator = np.random.default_rng(7)
    descriptors = SETS[name]
    hidden, activations, with_skip = NETWORKS[name]
    networks = {}
    for number in descriptors.numbers:
        widths = (descriptors.count(number), *hidden, 1)
        layers = tuple(
            (
                torch.from_numpy(generator.normal(0.0, 0.5 * inputs**-0.5, (outputs, inputs))),
                torch.from_numpy(generator.normal(0.0, 0.5, outputs)),
            )
            for inputs, outputs in pairwise(widths)
        )
        skip = torch.from_numpy(generator.normal(0.0, 0.01, widths[0])) if with_skip else None
        networks[number] = Network(layers, activations, skip)
    return NeuralPotential(descriptors, networks, {})


def by_torch(potential: NeuralPotential, atoms: Atoms) -> atomistic.Prediction:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(kernel.NO_KERNEL_VARIABLE, "1")
        fresh = replace(potential)
        assert fresh.kernel is None
        return fresh.predict(atoms)


def cluster(generator: np.random.Generator) -> Atoms:
    return Atoms("Si5", positions=generator.normal(0.0, 2.0, (5, 3)) + 3.0 * np.arange(5)[:, None])


def small_cell(_: np.random.Generator) -> Atoms:
    return bulk("Si", a=5.43)


def triclinic(generator: np.random.Generator) -> Atoms:
    return atomistic.deform(bulk("Si", a=5.43, cubic=True), np.eye(3) + generator.normal(0.0, 0.08, (3, 3)))


def slab(_: np.random.Generator) -> Atoms:
    atoms = bulk("Si", a=5.43, cubic=True)
    atoms.pbc = (True, False, True)
    return atoms


def lonely(_: np.random.Generator) -> Atoms:
    return Atoms("Si2", positions=[[0.0, 0.0, 0.0], [30.0, 0.0, 0.0]])


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("make", [cluster, small_cell, triclinic, slab, lonely])
@settings(max_examples=3, deadline=None)
@given(seed=st.integers(0, 2**31))
def test_numbers_are_those_of_torch(name: str, make: Callable[[np.random.Generator], Atoms], seed: int) -> None:
    generator = np.random.default_rng(seed)
    potential, atoms = random_potential(name), make(generator)
    assert potential.kernel is not None
    atoms.positions += generator.normal(0.0, 0.1, atoms.positions.shape)
    atoms.numbers = generator.choice(potential.descriptors.numbers, len(atoms))
    expected, found = by_torch(potential, atoms), potential.predict(atoms)
    scale = max(1e-3, np.abs(expected.forces).max())
    assert found.energy == pytest.approx(expected.energy, rel=1e-11, abs=1e-11)
    np.testing.assert_allclose(found.energies, expected.energies, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(found.forces, expected.forces, rtol=0.0, atol=1e-10 * scale)
    np.testing.assert_allclose(found.stress, expected.stress, rtol=0.0, atol=1e-10 * scale)


def test_every_cutoff_function_and_its_slope() -> None:
    names = list(CUTOFF_FUNCTIONS)
    texts = VECTORS.read_text() + CUTOFF_HEADER.read_text()
    wrappers = "".join(
        f"void f{n}(double x, double *y) {{ vd s, v = {cutoff_name(name)}(splat(x), &s); y[0] = v[0]; y[1] = s[0]; }}\n"
        for n, name in enumerate(names)
    )
    interface = "".join(f"void f{n}(double x, double *y);" for n in range(len(names)))
    library, ffi = load_library("cutoff_test", texts + wrappers, interface)
    x = torch.linspace(0.0, 1.0, 101, dtype=torch.float64, requires_grad=True)
    found = np.zeros((len(x), 2))
    for n, name in enumerate(names):
        value = CUTOFF_FUNCTIONS[name](x)
        (slope,) = torch.autograd.grad(value.sum(), x)
        for row, point in zip(found, x.tolist(), strict=True):
            getattr(library, f"f{n}")(point, ffi.from_buffer("double[]", row))
        # the polynomials cancel near x = 1, their coefficients reach 540
        np.testing.assert_allclose(found[:, 0], value.detach().numpy(), rtol=0.0, atol=3e-13)
        np.testing.assert_allclose(found[:, 1], slope.numpy(), rtol=0.0, atol=3e-12)


@pytest.mark.parametrize("name", ["two elements", "mixed"])
def test_threads_share_the_atoms(name: str) -> None:
    potential = random_potential(name)
    atoms = bulk("Si", a=5.43, cubic=True).repeat((3, 3, 3))
    atoms.rattle(0.1, seed=0)
    atoms.numbers[::3] = 32
    alone = potential.predict(atoms)
    for threads in (2, 3, 1000):
        together = potential.predict(atoms, threads=threads)
        np.testing.assert_allclose(together.forces, alone.forces, rtol=0.0, atol=1e-12)
        np.testing.assert_allclose(together.stress, alone.stress, rtol=0.0, atol=1e-13)
        np.testing.assert_array_equal(together.energies, alone.energies)
        np.testing.assert_array_equal(potential.predict(atoms, threads=threads).forces, together.forces)


def test_pickled_and_copied_potentials_compute_the_same() -> None:
    potential, atoms = random_potential("default"), triclinic(np.random.default_rng(0))
    expected = potential.predict(atoms)
    for other in (pickle.loads(pickle.dumps(potential)), copy.deepcopy(potential)):
        assert other.predict(atoms).energy == expected.energy
    calculator = atomistic.NeuralCalculator(potential)
    calculator.calculate(atoms)
    copied = pickle.loads(pickle.dumps(calculator))
    copied.calculate(atoms)
    np.testing.assert_array_equal(copied.results["forces"], calculator.results["forces"])
    assert copied.results["energies"].sum() == pytest.approx(copied.results["energy"])


@pytest.mark.parametrize("torch_only", [False, True])
def test_atoms_on_top_of_each_other_are_refused(torch_only: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if torch_only:
        monkeypatch.setenv(kernel.NO_KERNEL_VARIABLE, "1")
    potential, atoms = random_potential("default"), bulk("Si", a=5.43, cubic=True)
    atoms.positions[5] = atoms.positions[2] + [0.03, 0.0, 0.04] + atoms.cell.array[0]
    with pytest.raises(
        InvalidStructure, match=r"apart, expected at least 0\.1 A" if torch_only else r"atoms 2 and 5 .* 0\.05 A apart"
    ):
        potential.predict(atoms)
    atoms.positions[5] = np.nan
    with pytest.raises(InvalidStructure, match="NaN"):
        potential.predict(atoms)


def test_more_neighbours_than_matter_has_are_refused() -> None:
    potential = random_potential("default")
    nanometres = bulk("Si", a=0.543, cubic=True)
    with pytest.raises(InvalidStructure, match="lengths in Angstrom"):
        potential.predict(nanometres)
    crowd = Atoms("Si1500", positions=np.random.default_rng(0).uniform(0.0, 2.0, (1500, 3)))
    with pytest.raises(InvalidStructure, match=r"atom \d+ has 1499 neighbours"):
        potential.predict(crowd)


def test_many_neighbours_are_no_matter() -> None:
    """Dense but possible: buffers follow the data."""
    descriptors = replace(SETS["default"], cutoff=9.0, angular_cutoff=8.0)
    potential = random_potential("default")
    potential = NeuralPotential(descriptors, potential.networks, {})
    atoms = bulk("Si", "fcc", a=3.0)
    expected, found = by_torch(potential, atoms), potential.predict(atoms)
    assert found.energy == pytest.approx(expected.energy, rel=1e-11)
    np.testing.assert_allclose(found.stress, expected.stress, rtol=0.0, atol=1e-10 * np.abs(expected.stress).max())


def test_four_body_code_is_the_derivative_of_itself() -> None:
    """The generated polynomials against the coupling coefficients, and their gradient against differences, for the highest degree."""
    triples = BodyOrdered((14,), degree=4).triples
    count = len(triples)
    wrapper = f"""
void value(const double *a, double *b) {{
    vd x[24], y[{count}];
    for (int i = 0; i < 24; ++i) x[i] = splat(a[i]);
    four_body(x, y);
    for (int i = 0; i < {count}; ++i) b[i] = y[i][0];
}}
void gradient(const double *a, const double *w, double *d) {{
    vd x[24], y[{count}], z[24] = {{0}};
    for (int i = 0; i < 24; ++i) x[i] = splat(a[i]);
    for (int i = 0; i < {count}; ++i) y[i] = splat(w[i]);
    four_body_gradient(x, y, z);
    for (int i = 0; i < 24; ++i) d[i] = z[i][0];
}}
"""
    interface = "void value(const double *a, double *b); void gradient(const double *a, const double *w, double *d);"
    library, ffi = load_library("four_body_test", VECTORS.read_text() + four_body_source(triples) + wrapper, interface)
    generator = np.random.default_rng(0)
    a, w, d = generator.normal(size=24), generator.normal(size=len(triples)), np.zeros(24)

    def value(a: np.ndarray) -> np.ndarray:
        b = np.zeros(len(triples))
        library.value(ffi.from_buffer("double[]", np.ascontiguousarray(a)), ffi.from_buffer("double[]", b))
        return b

    parts = [[a[n * n - 1 : n * (n + 2)] for n in triple] for triple in triples]
    expected = [np.einsum("abc,a,b,c->", coupling(*t), *p) for t, p in zip(triples, parts, strict=True)]
    np.testing.assert_allclose(value(a), expected, rtol=1e-12, atol=1e-12)
    library.gradient(*(ffi.from_buffer("double[]", array) for array in (a, w, d)))
    steps = 1e-3 * np.eye(24)
    # cubic polynomials: this five-point difference is exact
    slopes = [(8 * (value(a + h) - value(a - h)) - (value(a + 2 * h) - value(a - 2 * h))) @ w / 12e-3 for h in steps]
    np.testing.assert_allclose(d, slopes, rtol=1e-9, atol=1e-9)


def test_without_a_compiler_torch_computes_and_a_warning_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    potential, atoms = random_potential("two elements"), small_cell(np.random.default_rng(0))
    kernel.loaded.cache_clear()
    try:
        with pytest.warns(KernelUnavailable, match="none of cc, gcc, clang is on the PATH"):
            assert potential.kernel is None
        assert np.isfinite(potential.predict(atoms).energy)
    finally:
        kernel.loaded.cache_clear()


def test_a_list_of_too_short_a_cutoff_is_refused() -> None:
    with pytest.raises(ValueError, match=r"list of 4\.9 A"):
        random_potential("default").predict(bulk("Si", a=5.43), NeighbourList(4.9, 0.5))
