"""The reference "quantum-espresso": its k-points and inputs, what it says where something is missing, and one real run."""

import shutil
import stat
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, diamond100
from hypothesis import given
from hypothesis import strategies as st

import atomistic
from atomistic.espresso import (
    ATTEMPTS,
    EspressoFailed,
    EspressoMissing,
    NotSelfConsistent,
    PlaneWaves,
    QuantumEspresso,
    band_count,
    k_mesh,
    valence_electrons,
)

PSEUDOPOTENTIALS = Path("/usr/share/espresso/pseudo")
needs_espresso = pytest.mark.skipif(
    shutil.which("pw.x") is None or not (PSEUDOPOTENTIALS / "Si.pbe-rrkj.UPF").is_file(),
    reason="needs pw.x and Debian's pseudopotentials: apt-get install quantum-espresso quantum-espresso-data",
)


@pytest.mark.parametrize(
    ("atoms", "mesh"),
    [
        (bulk("Si", a=5.47), (8, 8, 8)),
        (bulk("Si", a=5.47, cubic=True), (4, 4, 4)),
        (bulk("Si", a=5.47).repeat(2), (4, 4, 4)),
        (bulk("Si", a=5.47, cubic=True).repeat(2), (2, 2, 2)),
    ],
    ids=["2 atoms", "8 atoms", "16 atoms", "64 atoms"],
)
def test_mesh_of_diamond(atoms: Atoms, mesh: tuple[int, int, int]) -> None:
    assert k_mesh(atoms, 0.32) == (mesh, (1, 1, 1))


def test_one_point_along_a_vacuum() -> None:
    slab = diamond100("Si", size=(1, 1, 8), a=5.47, vacuum=4.5)
    slab.pbc = (True, True, False)
    assert k_mesh(slab, 0.32) == ((6, 6, 1), (1, 1, 0))


@given(
    edges=st.tuples(*[st.floats(1.5, 30.0)] * 3),
    angles=st.tuples(*[st.floats(70.0, 110.0)] * 3),
    spacing=st.floats(0.1, 1.0),
)
def test_mesh_is_the_smallest_that_is_fine_enough(
    edges: tuple[float, float, float], angles: tuple[float, float, float], spacing: float
) -> None:
    atoms = Atoms("Si", cell=[*edges, *angles], pbc=True)
    mesh, shift = k_mesh(atoms, spacing)
    length = 2.0 * np.pi * np.linalg.norm(np.linalg.inv(atoms.cell.array), axis=0)
    assert shift == (1, 1, 1)
    for n, b in zip(mesh, length, strict=True):
        assert n % 2 == 0
        assert b / n <= spacing * (1.0 + 1e-8)
        assert n == 2 or b / (n - 2) > spacing


def test_supercell_keeps_the_points_of_its_cell() -> None:
    """Twice as many atoms along a direction, half as many points: labels of both cells are one function."""
    cell = bulk("Si", a=5.47, cubic=True)
    small, _ = k_mesh(cell, 0.3)
    large, _ = k_mesh(cell.repeat((2, 1, 1)), 0.3)
    assert large == (small[0] // 2, small[1], small[2])


@pytest.mark.parametrize("spacing", [0.0, -0.3, float("nan")])
def test_spacing_must_be_positive(spacing: float) -> None:
    with pytest.raises(ValueError, match="expected a positive number"):
        k_mesh(bulk("Si", a=5.47), spacing)


@pytest.mark.parametrize(("electrons", "bands"), [(8.0, 8), (32.0, 20), (64.0, 36), (256.0, 141), (5.0, 7)])
def test_bands_hold_the_electrons_of_a_metal(electrons: float, bands: int) -> None:
    assert band_count(electrons) == bands


@pytest.mark.parametrize(
    "text",
    [
        '<PP_HEADER element="Si" z_valence="4.000000000000e0" total_psenergy="-9.8"/>',
        '<PP_HEADER\nz_valence="    4.00"\n/>',
        "<PP_HEADER>\n    4.00000000000      Z valence\n</PP_HEADER>",
    ],
)
def test_valence_electrons_of_both_versions_of_the_format(tmp_path: Path, text: str) -> None:
    path = tmp_path / "Si.UPF"
    path.write_text(text)
    assert valence_electrons(path) == 4.0


def test_file_without_valence_electrons(tmp_path: Path) -> None:
    path = tmp_path / "Si.UPF"
    path.write_text("not a pseudopotential")
    with pytest.raises(EspressoMissing, match="UPF"):
        valence_electrons(path)


def stand_in(folder: Path, says: str, status: int) -> QuantumEspresso:
    """A calculator whose pw.x prints `says` and ends with `status`."""
    (folder / "Si.pbe-rrkj.UPF").write_text('z_valence="4.0"')
    script = folder / "pw.x"
    script.write_text(f"#!/bin/sh\ncat <<'END'\n{says}\nEND\nexit {status}\n")
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    return QuantumEspresso(PlaneWaves(), executable=str(script), pseudopotential_directory=folder)


def test_input_of_a_structure(tmp_path: Path) -> None:
    calculator = stand_in(tmp_path, "", 0)
    atoms = bulk("Si", a=5.47)
    calculator.solver(atoms, tmp_path, 1).write_inputfiles(atoms, ["energy"])
    words = " ".join((tmp_path / "espresso.pwi").read_text().split())
    for expected in (
        "ecutwfc = 24.0",
        "occupations = 'smearing'",
        "smearing = 'mv'",
        "degauss = 0.01",
        "nbnd = 8",
        "conv_thr = 1e-08",
        "tprnfor = .true.",
        "tstress = .true.",
        "K_POINTS automatic 8 8 8 1 1 1",
        "Si.pbe-rrkj.UPF",
    ):
        assert expected in words


def test_missing_executable() -> None:
    with pytest.raises(EspressoMissing, match="apt-get install quantum-espresso"):
        atomistic.reference_calculator("quantum-espresso", executable="no-such-pw.x")


def test_missing_pseudopotential(tmp_path: Path) -> None:
    stand_in(tmp_path, "", 0)
    with pytest.raises(EspressoMissing, match=r"no pseudopotential Si\.other\.UPF"):
        atomistic.reference_calculator(
            "quantum-espresso",
            executable=str(tmp_path / "pw.x"),
            pseudopotential_directory=tmp_path,
            pseudopotentials={"Si": "Si.other.UPF"},
        )


def test_element_without_pseudopotential(tmp_path: Path) -> None:
    with pytest.raises(EspressoMissing, match="for Ge"):
        stand_in(tmp_path, "", 0).calculate(bulk("Ge", "diamond", a=5.66))


def test_no_self_consistency(tmp_path: Path) -> None:
    calculator = stand_in(tmp_path, "     convergence NOT achieved after  80 iterations: stopping", 2)
    with pytest.raises(NotSelfConsistent, match=r"Si2, 20\.5 A\^3 an atom"):
        calculator.calculate(bulk("Si", a=5.47))


def test_segmentation_fault_is_tried_again(tmp_path: Path) -> None:
    """The stand-in dies as often as `ATTEMPTS` allows and writes down with how many threads it was called: two after the first time."""
    calculator = stand_in(
        tmp_path, f"END\necho $OPENBLAS_NUM_THREADS >> {tmp_path}/calls\nkill -SEGV $$\ncat <<'END'", 0
    )
    with pytest.raises(EspressoFailed):
        calculator.calculate(bulk("Si", a=5.47))
    assert (tmp_path / "calls").read_text().split() == ["1", *["2"] * (ATTEMPTS - 1)]


def test_answer_without_forces(tmp_path: Path) -> None:
    with pytest.raises(EspressoFailed, match="gave no energy, forces and stress"):
        stand_in(tmp_path, "     Program PWSCF v.6.7 starts", 0).calculate(bulk("Si", a=5.47))


def test_what_a_run_that_broke_off_said(tmp_path: Path) -> None:
    calculator = stand_in(tmp_path, "     Error in routine cdiaghg (131): eigenvectors failed to converge", 1)
    with pytest.raises(EspressoFailed, match="eigenvectors failed to converge"):
        calculator.calculate(bulk("Si", a=5.47))


@needs_espresso
def test_forces_and_stress_are_derivatives_of_the_energy() -> None:
    """At a coarse mesh of two points: the relations hold at any, and the energy is E - TS."""
    calculator = QuantumEspresso(PlaneWaves(convergence=1e-11, cutoff=28.0), mesh=(2, 2, 2))
    atoms = bulk("Si", a=5.6)
    atoms.positions[1, 0] += 0.1
    step = 0.02

    def energy(shift: float) -> float:
        moved = atoms.copy()
        moved.positions[1, 0] += shift
        calculator.calculate(moved)
        return float(calculator.results["free_energy"])

    expected = (energy(-step) - energy(step)) / (2.0 * step)
    calculator.calculate(atoms)
    assert calculator.results["forces"][1, 0] == pytest.approx(expected, abs=0.01)
    assert calculator.results["energy"] == calculator.results["free_energy"]
    assert calculator.results["stress"].shape == (6,)


@needs_espresso
def test_stretched_silicon_pulls_back() -> None:
    """ASE's sign: a crystal larger than at rest is under tension, its stress positive."""
    calculator = QuantumEspresso(PlaneWaves(cutoff=20.0), mesh=(4, 4, 4))
    calculator.calculate(bulk("Si", a=5.6))
    assert (calculator.results["stress"][:3] > 0.02).all()
