"""Density functional theory by Quantum ESPRESSO as a reference model: one set of inputs for every structure.

Labels of different cells describe one energy surface only where cut-off, k-point density, smearing and pseudopotentials are
alike. `PlaneWaves` holds them; the k-point mesh follows from the cell. With Marzari-Vanderbilt smearing (Phys. Rev. Lett. 82
(1999) 3296) energy means the free energy E - TS, the variational quantity that forces and stress derive from.
"""

import math
import os
import re
import shlex
import shutil
import signal
import subprocess
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.calculators.espresso import Espresso, EspressoProfile

SHIFTED = 1
"""Quantum ESPRESSO's word for a mesh moved by half a step along a reciprocal vector."""

NOT_CONVERGED = "convergence NOT achieved"

ATTEMPTS = 4
"""Debian's pw.x 6.7 with one thread of OpenBLAS dies of a segmentation fault in the first diagonalisation of some runs; with two
threads the same runs succeed."""


class EspressoMissing(RuntimeError):
    """The executable or a pseudopotential is not there."""


class EspressoFailed(RuntimeError):
    """pw.x did not give energy, forces and stress."""


class NotSelfConsistent(EspressoFailed):
    """Self-consistency was not reached."""


@dataclass(frozen=True)
class PlaneWaves:
    """The inputs that all structures share. The defaults are converged for silicon: examples/data/silicon_pbe/README.md.

    Attributes:
        cutoff: kinetic energy cut-off of the wave functions, Ry.
        k_spacing: largest distance of k-points along a reciprocal vector, 1/A, with the 2 pi; see `k_mesh`.
        smearing: width of Marzari-Vanderbilt's cold smearing, Ry.
        convergence: estimated energy error at which self-consistency stops, Ry a cell.
        pseudopotentials: file names by element.
    """

    cutoff: float = 24.0
    k_spacing: float = 0.32
    smearing: float = 0.01
    convergence: float = 1e-8
    pseudopotentials: dict[str, str] = field(default_factory=lambda: {"Si": "Si.pbe-rrkj.UPF"})


def k_mesh(atoms: Atoms, spacing: float) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """Monkhorst-Pack mesh and shift of a cell: the smallest even N with |b|/N <= `spacing`, moved by half a step.

    Shifted meshes of even N avoid Gamma and converge faster than Gamma-centred ones of the same size (Monkhorst and Pack, Phys.
    Rev. B 13 (1976) 5188). Along a direction without periodicity N = 1 and there is no shift.

    Args:
        atoms: the cell; |b| is the length of a reciprocal vector, 1/A, with the 2 pi.
        spacing: largest distance of neighbouring points along a reciprocal vector, 1/A.
    """
    if not spacing > 0.0:
        raise ValueError(f"k-point spacing {spacing} 1/A, expected a positive number")
    lengths = 2.0 * np.pi * np.linalg.norm(atoms.cell.reciprocal().array, axis=1)
    # A cell whose length is a multiple of the spacing but for rounding keeps its mesh.
    evens = [2 * max(1, int(np.ceil(length / (2.0 * spacing) - 1e-9))) for length in lengths]
    first, second, third = ((evens[k], SHIFTED) if atoms.pbc[k] else (1, 0) for k in range(3))
    return (first[0], second[0], third[0]), (first[1], second[1], third[1])


def band_count(valence_electrons: float) -> int:
    """Bands enough for the smeared occupations of a metal: half the electrons, and a tenth of that but at least four more."""
    occupied = int(np.ceil(valence_electrons / 2.0))
    return occupied + max(4, int(np.ceil(0.1 * occupied)))


def valence_electrons(pseudopotential: Path) -> float:
    """Number of valence electrons, `z_valence`, of a UPF file."""
    text = pseudopotential.read_text(errors="replace")
    found = re.search(r'z_valence="\s*([\d.eE+]+)"', text) or re.search(r"([\d.]+)\s+Z valence", text)
    if found:
        return float(found[1])
    raise EspressoMissing(f"{pseudopotential} has no 'z_valence'; expected a pseudopotential in UPF format")


class QuantumEspresso(Calculator):
    """Energy (E - TS, eV), forces (eV/A) and stress (eV/A^3) by one run of pw.x for each structure.

    The mesh of k-points follows the cell: between two cells it may jump, and the energy with it by its k-point error. Where a
    cell changes a little and differences are wanted (elastic constants, relaxation of a cell) fix it by `mesh`.

    Args:
        plane_waves: the inputs all structures share.
        executable: pw.x; by default the one on the path.
        pseudopotential_directory: where the pseudopotentials lie; Debian's quantum-espresso-data puts them at the default.
        mesh: a shifted mesh for all structures in place of `k_mesh`.
        threads: threads of pw.x.

    Raises:
        EspressoMissing: where pw.x or a pseudopotential is missing.
        NotSelfConsistent: where self-consistency is not reached.
        EspressoFailed: where pw.x stops otherwise, with what it said.
    """

    implemented_properties: list[str] = ["energy", "free_energy", "forces", "stress"]  # noqa: RUF012

    def __init__(
        self,
        plane_waves: PlaneWaves,
        *,
        executable: str | None = None,
        pseudopotential_directory: str | Path = "/usr/share/espresso/pseudo",
        mesh: tuple[int, int, int] | None = None,
        threads: int = 1,
    ) -> None:
        super().__init__()
        self.plane_waves = plane_waves
        self.mesh = mesh
        self.threads = threads
        self.pseudopotential_directory = Path(pseudopotential_directory)
        found = shutil.which(executable or "pw.x")
        if found is None:
            raise EspressoMissing(
                f"no executable {executable or 'pw.x'!r}; install Quantum ESPRESSO (Debian and Ubuntu: apt-get install "
                "quantum-espresso quantum-espresso-data libopenblas0-pthread) or name pw.x in full"
            )
        self.executable = found
        for name in plane_waves.pseudopotentials.values():
            if not (self.pseudopotential_directory / name).is_file():
                raise EspressoMissing(
                    f"no pseudopotential {name} in {self.pseudopotential_directory}; install quantum-espresso-data or give "
                    "the directory that holds it"
                )

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: list[str] | None = None,
        system_changes: list[str] = all_changes,
    ) -> None:
        """Run pw.x in a directory of its own, which is removed."""
        super().calculate(atoms, properties, system_changes)
        structure: Any = self.atoms
        with tempfile.TemporaryDirectory(prefix="espresso-") as directory:
            output = Path(directory) / "espresso.pwo"
            for attempt in range(ATTEMPTS):
                solver = self.solver(structure, directory, self.threads + min(attempt, 1))
                try:
                    solver.calculate(structure, self.implemented_properties, all_changes)
                except subprocess.CalledProcessError as error:
                    if error.returncode != -signal.SIGSEGV or attempt == ATTEMPTS - 1:
                        raise _failure(structure, output) from error
                except (KeyError, IndexError, StopIteration, ValueError) as error:
                    raise _failure(structure, output) from error
                else:
                    break
            if NOT_CONVERGED in output.read_text() or not {"energy", "forces", "stress"} <= {*solver.results}:
                raise _failure(structure, output)
            self.results = {name: solver.results[name] for name in self.implemented_properties}

    def solver(self, atoms: Atoms, directory: str | Path, blas_threads: int) -> Espresso:
        """ASE's calculator for one structure; it leaves its files in `directory`.

        Raises:
            EspressoMissing: for an element without a pseudopotential.
        """
        waves = self.plane_waves
        unknown = sorted(set(atoms.get_chemical_symbols()) - set(waves.pseudopotentials))
        if unknown:
            raise EspressoMissing(
                f"no pseudopotential given for {', '.join(unknown)}; given are those of {', '.join(waves.pseudopotentials)}"
            )
        electrons = math.fsum(
            valence_electrons(self.pseudopotential_directory / waves.pseudopotentials[symbol])
            for symbol in atoms.get_chemical_symbols()
        )
        mesh, shift = k_mesh(atoms, waves.k_spacing) if self.mesh is None else (self.mesh, (SHIFTED,) * 3)
        # Runs at the same time must not share OpenMPI's session directory, which lies in TMPDIR: the first to end removes it.
        environment = {
            "OMP_NUM_THREADS": str(self.threads),
            "OPENBLAS_NUM_THREADS": str(blas_threads),
            "TMPDIR": os.fspath(directory),
        }
        variables = [f"{name}={value}" for name, value in environment.items()]
        profile = EspressoProfile(
            command=shlex.join(["env", *variables, self.executable]), pseudo_dir=self.pseudopotential_directory
        )
        inputs = {
            "control": {"calculation": "scf", "tprnfor": True, "tstress": True, "disk_io": "none"},
            "system": {
                "ecutwfc": waves.cutoff,
                "occupations": "smearing",
                "smearing": "mv",
                "degauss": waves.smearing,
                "nbnd": band_count(electrons),
            },
            "electrons": {"conv_thr": waves.convergence, "diago_david_ndim": 4, "electron_maxstep": 80},
        }
        return Espresso(
            profile=profile,
            pseudopotentials={symbol: waves.pseudopotentials[symbol] for symbol in sorted(set(atoms.symbols))},
            input_data=inputs,
            kpts=mesh,
            koffset=shift,
            directory=os.fspath(directory),
        )


def _failure(atoms: Atoms, output: Path) -> EspressoFailed:
    said = output.read_text() if output.is_file() else ""
    name = f"{atoms.get_chemical_formula()}, {atoms.get_volume() / len(atoms):.3g} A^3 an atom"
    if NOT_CONVERGED in said:
        return NotSelfConsistent(
            f"self-consistency not reached for {name}; look for atoms that come too close, or raise the smearing"
        )
    tail = " | ".join(line.strip() for line in said.splitlines()[-12:] if line.strip(" %"))
    return EspressoFailed(f"pw.x gave no energy, forces and stress for {name}; it ended with: {tail or 'no output'}")


def quantum_espresso(
    *,
    executable: str | None = None,
    pseudopotential_directory: str | Path = "/usr/share/espresso/pseudo",
    threads: int = 1,
    cutoff: float = PlaneWaves.cutoff,
    k_spacing: float = PlaneWaves.k_spacing,
    smearing: float = PlaneWaves.smearing,
    convergence: float = PlaneWaves.convergence,
    pseudopotentials: dict[str, str] | None = None,
) -> QuantumEspresso:
    """The reference "quantum-espresso": silicon by PBE with the norm-conserving pseudopotential Si.pbe-rrkj.UPF.

    The parameters are those of `QuantumEspresso` and `PlaneWaves`; other elements need `pseudopotentials` and a cut-off of their own.
    """
    inputs = PlaneWaves(cutoff=cutoff, k_spacing=k_spacing, smearing=smearing, convergence=convergence)
    if pseudopotentials is not None:
        inputs = replace(inputs, pseudopotentials=pseudopotentials)
    return QuantumEspresso(
        inputs, executable=executable, pseudopotential_directory=pseudopotential_directory, threads=threads
    )
