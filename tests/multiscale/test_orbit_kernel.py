"""The C kernel: its cache, its fallback, its NULL outputs, and many threads at once."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from atomistic.compiler import KernelUnavailable
from multiscale import orbit_kernel
from multiscale.symmetry import PointGroup

from .random_laws import random_law, random_strains

kernel = orbit_kernel.load_kernel()
needs_compiler = pytest.mark.skipif(kernel is None, reason="no C compiler")


@needs_compiler
def test_threads_share_one_law(cubic: PointGroup) -> None:
    law, F = random_law(cubic, 0), random_strains(0, 2000)
    alone = law.evaluate(F)
    with ThreadPoolExecutor(4) as pool:
        for response in pool.map(law.evaluate, [F] * 8):
            assert np.array_equal(response.energy, alone.energy)
            assert np.array_equal(response.tangent, alone.tangent)


@needs_compiler
@pytest.mark.parametrize("bad", [0, 7, 8, 40, 99])
def test_first_inadmissible_point_and_outputs_that_are_skipped(cubic: PointGroup, bad: int) -> None:
    assert kernel is not None
    library, ffi = kernel
    compiled = orbit_kernel.CompiledTerms(library, ffi, random_law(cubic, 0).terms)
    F = random_strains(0, 100)
    call = (ffi.cast("double *", F.ctypes.data), compiled._terms)
    assert library.orbit_law(100, *call, ffi.NULL, ffi.NULL, ffi.NULL) == -1
    W, expected = np.zeros(100), random_law(cubic, 0).evaluate(F).energy
    assert library.orbit_law(100, *call, ffi.cast("double *", W.ctypes.data), ffi.NULL, ffi.NULL) == -1
    assert np.allclose(W, expected, rtol=1e-14, atol=1e-15)
    F[bad] = np.diag([-1.0, 1.0, 1.0])
    F[99, 0, 0] = np.nan
    assert library.orbit_law(100, *call, ffi.NULL, ffi.NULL, ffi.NULL) == bad


@needs_compiler
def test_processes_that_start_together_build_one_library(tmp_path: Path) -> None:
    code = "from multiscale.orbit_kernel import load_kernel; assert load_kernel() is not None"
    runs = [
        subprocess.Popen([sys.executable, "-c", code], env={**_environment(), "XDG_CACHE_HOME": str(tmp_path)})
        for _ in range(3)
    ]
    assert [run.wait(timeout=120) for run in runs] == [0, 0, 0]
    (library,) = (tmp_path / "atomlaw").iterdir()
    assert library.name.startswith("orbit_kernel-") and library.suffix == ".so"


def test_without_a_compiler_a_law_runs_on_numpy_and_says_so(
    cubic: PointGroup, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.delenv(orbit_kernel.NO_KERNEL_VARIABLE, raising=False)
    law, F = random_law(cubic, 0), random_strains(0, 3)
    expected = law.terms.evaluate(F, tangent=True)
    orbit_kernel.load_kernel.cache_clear()
    try:
        with pytest.warns(KernelUnavailable, match="none of cc, gcc, clang is on the PATH"):
            assert law.backend == "numpy"
    finally:
        orbit_kernel.load_kernel.cache_clear()
    assert np.array_equal(law.evaluate(F).energy, expected[0])


def test_numpy_can_be_asked_for(cubic: PointGroup, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(orbit_kernel.NO_KERNEL_VARIABLE, "1")
    orbit_kernel.load_kernel.cache_clear()
    try:
        assert random_law(cubic, 0).backend == "numpy"
    finally:
        orbit_kernel.load_kernel.cache_clear()


def _environment() -> dict[str, str]:
    root = str(Path(orbit_kernel.__file__).parents[1])
    return {**os.environ, "PYTHONPATH": root + os.pathsep + os.environ.get("PYTHONPATH", "")}
