"""Laws in C: the numpy path to round-off for every kind and symmetry, the raw function from C and from threads, its cache, its fallback."""

import ctypes
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atomistic.compiler import KernelUnavailable, compiler_found
from fem.c_function import HEADER, CFunction, NoCFunction
from fem.law import InadmissibleDeformation, ShapeError
from multiscale.classical import IsotropicLaw, NeoHooke, ThirdOrderElasticity
from multiscale.laws.fields import UnknownState
from multiscale.laws.kernel import library, parameter_block
from multiscale.laws.strain import green_lagrange
from multiscale.laws.strain_potential import StrainPotential
from multiscale.symmetry.material_symmetry import InfiniteGroup, MaterialSymmetry
from multiscale.symmetry.point_group import GENERATORS, PointGroup
from multiscale.trust.domain import Domain

from .argument_laws import FRAME, random_invariant_law, random_polyconvex_law
from .random_laws import random_law, random_rotations, random_strains

ISOTROPIC_LAW = IsotropicLaw(NeoHooke(1.0), bulk_modulus=1.0)
needs_compiler = pytest.mark.skipif(ISOTROPIC_LAW.backend == "numpy", reason="no C compiler")

SYMMETRIES: dict[str, MaterialSymmetry] = {
    "isotropic": InfiniteGroup("isotropic"),
    "transversely isotropic": InfiniteGroup("transversely isotropic", FRAME[:, 2].tolist()),
    **{laue: PointGroup.named(laue, FRAME) for laue in GENERATORS},
}
KINDS: dict[str, Callable[..., StrainPotential]] = {
    "orbit": random_law,
    "invariant": random_invariant_law,
    "polyconvex": random_polyconvex_law,
}


def relative(found: np.ndarray, expected: np.ndarray) -> float:
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def cubic_law() -> StrainPotential:
    return random_law(PointGroup.named("m-3m"), 0)


@needs_compiler
@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), name=st.sampled_from(list(SYMMETRIES)), turned=st.booleans())
def test_equals_the_numpy_path(kind: str, seed: int, name: str, turned: bool) -> None:
    symmetry = SYMMETRIES[name]
    if kind == "orbit" and not isinstance(symmetry, PointGroup):
        return
    law, F = KINDS[kind](symmetry, seed), random_strains(seed, 37)
    F[::3] *= 0.9  # some are so small that the growth term acts
    R = random_rotations(np.random.default_rng(seed), len(F)) if turned else None
    law = replace(law, domain=Domain(0.4 * green_lagrange(F[:30]), symmetry))
    known, told = (path(F, R, tangent=True, trust=True) for path in (law._turned_in_c, law._turned_in_numpy))
    for name in ("energy", "first_piola", "tangent"):
        assert relative(getattr(known, name), getattr(told, name)) < 1e-12
    # neurons that see nearly the same make the gauge's factor large
    assert known.trust is not None and told.trust is not None
    assert relative(known.trust, told.trust) < 1e-9


@needs_compiler
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), turned=st.booleans())
def test_third_order_elasticity_equals_the_numpy_path(seed: int, turned: bool) -> None:
    rng = np.random.default_rng(seed)
    group = PointGroup.named("-3", FRAME)
    third = np.tensordot(rng.normal(size=len(group.invariant_third_order())), group.invariant_third_order(), 1)
    law = ThirdOrderElasticity(group.project_stiffness(np.diag(rng.uniform(50.0, 100.0, 6))), 300.0 * third)
    F, R = random_strains(seed, 11), random_rotations(rng, 11) if turned else None
    known, told = (path(F, R, tangent=True, trust=True) for path in (law._turned_in_c, law._turned_in_numpy))
    assert known.trust is None and told.trust is None
    for name in ("energy", "first_piola", "tangent"):
        assert relative(getattr(known, name), getattr(told, name)) < 1e-12


@needs_compiler
@pytest.mark.parametrize("kind", KINDS)
def test_tangent_has_major_symmetry_to_the_last_bit(kind: str) -> None:
    law = KINDS[kind](SYMMETRIES["m-3m"], 1)
    A = law.evaluate(random_strains(0, 50)).tangent
    assert A is not None and np.array_equal(A, A.transpose(0, 3, 4, 1, 2))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("backend", ["c", "numpy"])
def test_orientation(kind: str, backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if backend == "numpy":
        monkeypatch.setenv(library.NO_KERNEL_VARIABLE, "1")
    law = KINDS[kind](SYMMETRIES["4/m"], 2)
    if law.backend != backend:
        pytest.skip("no C compiler")
    F, R = random_strains(0, 20), random_rotations(np.random.default_rng(1), 20)
    turned, crystal = law.evaluate(F, {"orientation": R}), law.evaluate(F @ R)
    assert turned.tangent is not None and crystal.tangent is not None
    assert relative(turned.energy, crystal.energy) < 1e-11
    assert relative(turned.first_piola, crystal.first_piola @ np.swapaxes(R, 1, 2)) < 1e-12
    assert relative(turned.tangent, np.einsum("niMkN,nJM,nLN->niJkL", crystal.tangent, R, R)) < 1e-12
    same = law.evaluate(F, {"orientation": np.tile(np.eye(3), (20, 1, 1))})
    assert relative(same.first_piola, law.evaluate(F).first_piola) < 1e-14
    with pytest.raises(UnknownState, match=r"shape \(1, 3, 3\), expected \(20, 3, 3\)"):
        law.evaluate(F, {"orientation": np.eye(3)[None]})
    with pytest.raises(UnknownState, match="at point 3 is off a proper rotation"):
        law.evaluate(F, {"orientation": np.where(np.arange(20)[:, None, None] == 3, -R, R)})
    with pytest.raises(UnknownState, match="'orientation' alone"):
        law.evaluate(F, {"orientation": R, "temperature": np.zeros(20)})


@needs_compiler
@pytest.mark.parametrize("bad", [0, 7, 8, 40, 99])
def test_first_inadmissible_point(bad: int) -> None:
    law, F = cubic_law(), random_strains(0, 100)
    function = law.c_function()
    assert function.call(F) == -1
    R = random_rotations(np.random.default_rng(0), 100).reshape(100, 9)
    assert function.call(F, R) == -1
    F[99, 0, 0] = np.nan
    for matrix in (np.diag([-1.0, 1.0, 1.0]), np.zeros((3, 3)), np.full((3, 3), np.nan), np.diag([np.inf, 1.0, 1.0])):
        F[bad] = matrix
        assert function.call(F, energy=np.zeros(100)) == bad
        with pytest.raises(InadmissibleDeformation) as raised:
            law.evaluate(F)
        assert raised.value.point == bad
    F = random_strains(0, 100)
    R[bad, 4] += 0.1
    assert function.call(F, R) == bad
    R[bad] = np.nan
    assert function.call(F, R) == bad


@needs_compiler
def test_outputs_that_are_skipped_do_not_change_the_others() -> None:
    law, F = cubic_law(), random_strains(0, 45)
    function, every = law.c_function(), law.evaluate(F)
    for name, shape in (("energy", (45,)), ("first_piola", (45, 3, 3)), ("tangent", (45, 3, 3, 3, 3))):
        out = np.full(shape, np.nan)
        assert function.call(F, **{name: out}) == -1
        assert np.array_equal(out, getattr(every, name))
    for n in range(20):  # any number of points, idle lanes included
        W = np.full(n, np.nan)
        assert function.call(F[:n], energy=W) == -1
        assert np.array_equal(W, every.energy[:n])


CALLER = """
#include "law.h"
#include <pthread.h>
#include <string.h>

typedef struct { atomlaw_law_function *law; const void *parameters; const double *F, *state; double *P; int64_t n, answer; } work;

static void *run(void *given) {
    work *w = given;
    w->answer = w->law(w->n, w->F, w->state, w->parameters, 0, w->P, 0, 0);
    return 0;
}

/* The points in four threads, each an equal share, twice: with the block and with a copy of it; 0, or what went wrong. */
int four_threads(int64_t n, const double *F, const double *state, int64_t state_size, atomlaw_law_function *law,
                 const void *parameters, void *copy, int64_t bytes, double *P) {
    memcpy(copy, parameters, bytes);
    for (int pass = 0; pass < 2; ++pass) {
        pthread_t thread[4];
        work w[4];
        for (int k = 0; k < 4; ++k) {
            const int64_t first = n * k / 4, last = n * (k + 1) / 4;
            const double *rows = state ? state + state_size * first : 0;
            w[k] = (work){law, pass ? copy : parameters, F + 9 * first, rows, P + 9 * first, last - first, 0};
            if (pthread_create(&thread[k], 0, run, &w[k])) return 1;
        }
        for (int k = 0; k < 4; ++k) pthread_join(thread[k], 0);
        for (int k = 0; k < 4; ++k) if (w[k].answer != -1) return 2;
    }
    return 0;
}
"""


@pytest.fixture(scope="module")
def caller(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    """Foreign C that knows law.h and nothing else of this package."""
    folder = tmp_path_factory.mktemp("caller")
    (folder / "caller.c").write_text(CALLER)
    (folder / "law.h").write_text(HEADER.read_text())
    compiler, _ = compiler_found(os.environ.get("CC", ""), os.environ.get("PATH", ""))
    flags = ["-std=c11", "-Wall", "-Werror", "-shared", "-fPIC", "-pthread"]
    subprocess.run([compiler, *flags, "-o", str(folder / "caller.so"), str(folder / "caller.c")], check=True)
    return ctypes.CDLL(str(folder / "caller.so"))


@needs_compiler
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("turned", [False, True])
def test_called_from_c_by_address_in_threads(caller: ctypes.CDLL, kind: str, turned: bool) -> None:
    law, F = KINDS[kind](SYMMETRIES["m-3m"], 3), random_strains(0, 1001)
    R = random_rotations(np.random.default_rng(1), 1001)
    function, P = law.c_function(), np.zeros((1001, 3, 3))
    copy = np.zeros_like(function.parameters)
    assert function.state_size == 9 and [field.name for field in function.state] == ["orientation"]
    answer = caller.four_threads(
        ctypes.c_int64(1001),
        ctypes.c_void_p(F.ctypes.data),
        ctypes.c_void_p(R.ctypes.data if turned else None),
        ctypes.c_int64(function.state_size),
        ctypes.c_void_p(function.address),
        ctypes.c_void_p(function.parameters_address),
        ctypes.c_void_p(copy.ctypes.data),
        ctypes.c_int64(copy.nbytes),
        ctypes.c_void_p(P.ctypes.data),
    )
    assert answer == 0
    # a share's last points travel in other company: the same to the last bit
    assert np.array_equal(P, law.evaluate(F, {"orientation": R} if turned else None).first_piola)


@needs_compiler
def test_threads_of_python_share_one_law() -> None:
    law, F = cubic_law(), random_strains(0, 2000)
    alone = law.evaluate(F)
    with ThreadPoolExecutor(4) as pool:
        for response in pool.map(law.evaluate, [F] * 8):
            assert np.array_equal(response.energy, alone.energy)
            assert np.array_equal(response.tangent, alone.tangent)


@needs_compiler
def test_the_python_object_refuses_what_the_function_would_read_wrongly() -> None:
    function = cubic_law().c_function()
    assert "int64_t atomlaw_law_function(int64_t n, const double *F" in function.header and function.library.is_file()
    assert not function.parameters.flags.writeable
    F = random_strains(0, 4)
    with pytest.raises(
        ShapeError, match=r"energy is float64 of shape \(3,\), expected contiguous float64 of shape \(4,\)"
    ):
        function.call(F, energy=np.zeros(3))
    with pytest.raises(ShapeError, match="F is float32"):
        function.call(F.astype(np.float32))
    with pytest.raises(ShapeError, match="first_piola"):
        function.call(F, first_piola=np.zeros((3, 3, 4)).T)
    rows = function.state_rows({"orientation": np.tile(np.eye(3), (4, 1, 1))}, 4)
    assert rows is not None and rows.shape == (4, 9) and function.state_rows(None, 4) is None
    with pytest.raises(ShapeError, match="orientation has shape"):
        function.state_rows({"orientation": np.eye(3)}, 4)


@needs_compiler
def test_parameters_of_another_function_are_refused() -> None:
    orbit, polyconvex = (KINDS[kind](SYMMETRIES["m-3m"], 0).c_function() for kind in ("orbit", "polyconvex"))
    with pytest.raises(NoCFunction, match="not those of the function"):
        replace(orbit, parameters=polyconvex.parameters).call(np.eye(3)[None])


@needs_compiler
def test_processes_that_start_together_build_one_library(tmp_path: Path) -> None:
    code = "from multiscale.laws.kernel.library import library_of; assert library_of('strain', 6) is not None"
    runs = [
        subprocess.Popen([sys.executable, "-c", code], env={**_environment(), "XDG_CACHE_HOME": str(tmp_path)})
        for _ in range(3)
    ]
    assert [run.wait(timeout=120) for run in runs] == [0, 0, 0]
    (library,) = (tmp_path / "atomlaw").iterdir()
    assert library.name.startswith("law_strain-") and library.suffix == ".so"


def test_without_a_compiler_a_law_runs_on_numpy_and_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.delenv(library.NO_KERNEL_VARIABLE, raising=False)
    law, F = cubic_law(), random_strains(0, 3)
    expected = law.terms.evaluate(F, tangent=True)
    library.library_of.cache_clear()
    try:
        with pytest.warns(KernelUnavailable, match="none of cc, gcc, clang is on the PATH"):
            assert law.backend == "numpy"
        with pytest.raises(NoCFunction, match="install a C compiler"):
            law.c_function()
    finally:
        library.library_of.cache_clear()
    assert np.array_equal(law.evaluate(F).energy, expected[0])


def test_numpy_can_be_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(library.NO_KERNEL_VARIABLE, "1")
    assert cubic_law().backend == "numpy"


@needs_compiler
def test_a_law_without_a_gauge_writes_no_trust(caller: ctypes.CDLL) -> None:
    function = replace(random_polyconvex_law(SYMMETRIES["m-3m"], 0), domain=None).c_function()
    trust = np.zeros(5)
    assert not function.trusted and function.call(random_strains(0, 5), trust=trust) == -1
    assert np.isnan(trust).all()


def test_state_rows_of_a_law_that_needs_a_state() -> None:
    from fem.c_function import StateField

    function = CFunction(Path("none"), np.zeros(1), (parameter_block.ORIENTATION, StateField("temperature", ())))
    assert function.state_size == 10
    rows = function.state_rows({"temperature": np.array([300.0, 600.0])}, 2)
    assert (
        rows is not None
        and np.array_equal(rows[:, 9], [300.0, 600.0])
        and np.array_equal(rows[:, :9], [np.eye(3).ravel()] * 2)
    )
    with pytest.raises(ShapeError, match="the state lacks temperature"):
        function.state_rows(None, 2)


def _environment() -> dict[str, str]:
    root = str(Path(library.__file__).parents[2])
    return {**os.environ, "PYTHONPATH": root + os.pathsep + os.environ.get("PYTHONPATH", "")}
