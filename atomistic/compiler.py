"""C compiled on first use and kept in the user's cache, reached through cffi's ABI mode.

A shared library is named after a hash of the source, the flags, the compiler and the processor, so that a change of any makes another
file. It is compiled under a name of its own and then renamed: processes that start together (MPI ranks) each compile, and the last
rename wins with an equal file.
"""

import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
import warnings
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

from cffi import FFI

FLAGS: Final = (
    "-std=gnu11",
    "-O3",
    "-fPIC",
    "-shared",
    "-pthread",
    "-fno-math-errno",
    "-ffp-contract=fast",
    "-Wno-psabi",
)
TUNING: Final = (("-march=native", "-mprefer-vector-width=512"), ("-march=native",), ())
"""The first of these sets of flags that the compiler takes is used."""

COMPILERS: Final = ("cc", "gcc", "clang")

VECTORS: Final = Path(__file__).with_name("vectors.h")
"""Vectors of doubles and their elementary functions; the source of a kernel begins with this header's text."""


class KernelUnavailable(UserWarning):
    """A computation runs several times slower than it could, because its C kernel could not be built."""


def library_or_warning(
    name: str, source: str, interface: str, *, without: str, variable: str
) -> tuple[Any, FFI] | None:
    """`load_library`, or None and the warning `KernelUnavailable` where that fails.

    Args:
        without: what is slower then, and how much; begins the warning.
        variable: environment variable by which the slow way is chosen, without a warning.
    """
    try:
        return load_library(name, source, interface)
    except (OSError, subprocess.SubprocessError) as error:
        warnings.warn(
            f"{without}: its C kernel could not be built ({error}); install a C compiler (or name one in CC), or set {variable}=1 to "
            "silence this",
            KernelUnavailable,
            stacklevel=3,
        )
        return None


def load_library(name: str, source: str, interface: str) -> tuple[Any, FFI]:
    """The library of a C source with the declarations `interface`, compiled if the cache lacks it.

    Raises:
        OSError: no compiler, none of the flags is taken, or the library does not load.
        subprocess.SubprocessError: the compiler fails to start or takes too long.
    """
    ffi = FFI()
    ffi.cdef(interface)
    return ffi.dlopen(str(built_library(name, source))), ffi


def built_library(name: str, source: str) -> Path:
    """Path of the compiled source, `name`-<hash>.so, in the user's cache.

    Raises:
        OSError: no compiler, or none of the flags is taken.
    """
    compiler, version = compiler_found(os.environ.get("CC", ""), os.environ.get("PATH", ""))
    key = hashlib.sha256("\0".join([source, *FLAGS, repr(TUNING), version, processor()]).encode()).hexdigest()[:20]
    library = cache_folder() / f"{name}-{key}.so"
    if library.is_file():
        return library
    with tempfile.TemporaryDirectory(dir=library.parent) as folder:
        code, product = Path(folder) / f"{name}.c", Path(folder) / f"{name}.so"
        code.write_text(source)
        compile_tuned(compiler, FLAGS, code, product)
        os.replace(product, library)
    return library


def compile_tuned(compiler: str, flags: Sequence[str], code: Path, product: Path) -> None:
    """Compile `code` to `product` for this processor, by the first of `TUNING` that the compiler takes.

    Raises:
        OSError: it takes none of them; says what it told of the last.
        subprocess.SubprocessError: it fails to start or takes too long.
    """
    for tuning in TUNING:
        command = [compiler, *flags, *tuning, "-o", str(product), str(code)]
        run = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        if run.returncode == 0:
            return
    raise OSError(f"{compiler} fails: {run.stderr.strip()[-500:]}")


@cache
def compiler_found(wished: str, path: str, names: tuple[str, ...] = COMPILERS) -> tuple[str, str]:
    """Path and version of the compiler: the one wished for, or the first of `names` on the `path`.

    Raises:
        OSError: there is none.
    """
    for name in (wished, *names):
        if name and (found := shutil.which(name, path=path)):
            run = subprocess.run([found, "--version"], capture_output=True, text=True, check=True, timeout=60)
            return found, run.stdout
    raise OSError(f"none of {', '.join(names)} is on the PATH")


def cache_folder() -> Path:
    """A folder of the user's own, created where it is missing."""
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = root / "atomlaw"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if os.access(folder, os.W_OK) and folder.stat().st_uid == os.getuid():
            return folder
    except OSError:
        pass
    # no home that can be written (a container, a batch node): a private folder of this process
    return Path(tempfile.mkdtemp(prefix="atomlaw-"))


@cache
def processor() -> str:
    """What -march=native depends on: the processor's model and its instruction sets."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        told = {line.split(":")[0].strip(): line for line in lines if ":" in line}
        return "\n".join(told[key] for key in ("model name", "flags") if key in told) or platform.machine()
    except OSError:
        return f"{platform.machine()} {platform.processor()}"
