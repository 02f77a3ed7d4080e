"""Element kernels written in C: compiled once, as FFCx compiles forms, into dolfinx' cache."""

from __future__ import annotations

import hashlib
import importlib.util
import tempfile
from pathlib import Path
from typing import Any, Final

from mpi4py import MPI  # isort: skip  # noqa: F401

import cffi
from dolfinx import jit

FLAGS: Final = ("-O3", "-march=native", "-ffast-math", "-fno-finite-math-only", "-Wno-psabi")

ARGUMENTS: Final = (
    "(double* A, const double* w, const double* c, const double* x, const int* entity, "
    "const uint8_t* permutation, void* data)"
)
"""Of the kernel of an integral (UFCx' tabulate_tensor)."""


@jit.mpi_jit_decorator  # type: ignore[untyped-decorator]
def compiled(name: str, source: str, declarations: str) -> Any:
    """The module of a C source with the functions declared. Collective: give the communicator first.

    The communicator's first rank compiles where the cache lacks it, the others load what it made.
    """
    options = jit.get_options()
    named = f"atomlaw_{name}_" + hashlib.sha256((source + declarations + " ".join(FLAGS)).encode()).hexdigest()[:16]
    folder = Path(options["cache_dir"])
    folder.mkdir(parents=True, exist_ok=True)
    found = sorted(folder.glob(f"{named}.*.so"))
    if not found:
        ffi = cffi.FFI()
        ffi.cdef(declarations)
        ffi.set_source(named, source, extra_compile_args=list(FLAGS))
        with tempfile.TemporaryDirectory(dir=folder) as own:  # another process may be about to do the same
            made = Path(ffi.compile(tmpdir=own))
            found = [made.replace(folder / made.name)]
    spec = importlib.util.spec_from_file_location(named, found[0])
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def address(module: Any, kernel: str) -> int:
    """Of a kernel of the module."""
    return int(module.ffi.cast("uintptr_t", module.ffi.addressof(module.lib, kernel)))
