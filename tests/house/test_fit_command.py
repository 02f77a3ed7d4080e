"""``atomlaw fit``: a law and a report from a file of data, and what it says of data that it cannot use."""

import os
import re
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write

import multiscale
from fem.laws import NeoHooke
from multiscale.command_line import main
from multiscale.sampling.design import strain_design

QUICK = ["--neurons", "1", "--starts", "1"]


@pytest.fixture(scope="module")
def steel() -> multiscale.StressStrainData:
    """An isotropic material in the shape of a crystal: W and P at 24 states, GPa."""
    F = strain_design(24, 0.05, seed=0)
    response = NeoHooke(mu=80.0, lmbda=110.0).evaluate(F)
    silicon = bulk("Si")
    crystal = {
        "numbers": silicon.numbers.tolist(), "cell": silicon.cell.array.tolist(), "positions": silicon.positions.tolist()
    }  # fmt: skip
    return multiscale.StressStrainData(F, energy=response.energy, first_piola=response.first_piola, crystal=crystal)


@pytest.fixture(autouse=True)
def few_states_in_the_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """An isotropic material is the slowest to look through for the loss of ellipticity: all directions are alike."""
    monkeypatch.setattr("multiscale.trust.limits.STATES", 40)
    monkeypatch.setattr("multiscale.report.law_report.GRID", 5)


def csv(path: Path, F: np.ndarray, P: np.ndarray, *, unit: str = " [GPa]") -> Path:
    nine = [i + j for i in "xyz" for j in "xyz"]
    header = ",".join([*(f"F_{ij}" for ij in nine), *(f"P_{ij}{unit}" for ij in nine)])
    table = np.concatenate([F.reshape(-1, 9), P.reshape(-1, 9)], axis=1)
    path.write_text("\n".join([header, *(",".join(map(repr, row)) for row in table.tolist())]) + "\n")
    return path


def test_law_and_report(steel: multiscale.StressStrainData, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    steel.write(tmp_path / "steel.h5")
    assert main(["fit", str(tmp_path / "steel.h5"), *QUICK]) == 0
    told = capsys.readouterr()
    folder = tmp_path / "steel_law"
    assert sorted(path.name for path in folder.iterdir()) == ["law.safetensors", "report.html"]
    law = multiscale.load_law(folder / "law.safetensors")
    assert isinstance(law, multiscale.OrbitLaw) and law.symmetry.name == "m-3m"
    assert law.elastic_constants()[3, 3] == pytest.approx(80.0, rel=0.02)
    # the terminal: what, how well, where not; no bar where nobody looks
    assert "OrbitLaw, m-3m, free" in told.out and re.search(r"C11 2[67]\d\.\d .*C44 \d+\.\d", told.out)
    assert "Do not use this law\n- outside of its data, log-strains xx -4" in told.out
    assert "states held out" in told.out and "%|" not in told.err
    page = (folder / "report.html").read_text()
    for heading in (
        "Where not to use",
        "Parity",
        "Stress and strain",
        "Elastic constants",
        "Ellipticity",
        "Domain",
        "Would more data",
    ):
        assert f"<h2>{heading}" in page
    assert page.count("<svg") == 7
    assert not re.search(r"(src|href)=.(?!data:)", page.replace('xlink:href="#', "")), "the page needs another file"


@pytest.mark.slow
def test_every_mode_and_symmetry_has_a_report(steel: multiscale.StressStrainData, tmp_path: Path) -> None:
    path = csv(tmp_path / "a.csv", steel.deformation_gradient, steel.labels("first_piola"))
    for number, (mode, *symmetry) in enumerate(
        [
            ("polyconvex", "isotropic"),
            ("free", "transversely isotropic", "--axis", "0", "0.6", "0.8"),
            ("penalised", "-1"),
        ]
    ):
        folder = tmp_path / str(number)
        asked = [
            "--mode",
            mode,
            f"--symmetry={symmetry[0]}",
            *symmetry[1:],
            "--no-learning-curve",
            "--output",
            str(folder),
        ]
        assert main(["fit", str(path), *QUICK, *asked]) == 0
        assert multiscale.load_fitted_law(folder / "law.safetensors").symmetry.name == symmetry[0]
        assert "</html>" in (folder / "report.html").read_text()


def test_frames_with_their_reference(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cell, frames = bulk("Cu"), []
    F = strain_design(12, 0.03, seed=0)
    sigma = np.einsum("nij,nkj->nik", NeoHooke(mu=40.0, lmbda=90.0).evaluate(F).first_piola, F)
    sigma /= np.linalg.det(F)[:, None, None] * 160.21766208
    for each, stress in zip(F, sigma, strict=True):
        atoms = cell.copy()
        atoms.set_cell(cell.cell.array @ each.T, scale_atoms=True)
        atoms.calc = SinglePointCalculator(atoms, stress=stress[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]])
        frames.append(atoms)
    write(tmp_path / "cu.extxyz", frames)
    write(tmp_path / "cell.xyz", cell, format="extxyz")
    asked = ["fit", str(tmp_path / "cu.extxyz"), *QUICK, "--no-learning-curve"]
    assert main(asked) == 2
    assert "says no deformation_gradient" in capsys.readouterr().err
    assert main([*asked, "--reference", str(tmp_path / "cell.xyz")]) == 0
    assert re.search(r"OrbitLaw, m-3m, .*\nconstants  C11 1[67]\d\.\d", capsys.readouterr().out)


Spoil = Callable[[multiscale.StressStrainData, Path], list[str]]


def table(
    steel: multiscale.StressStrainData, folder: Path, row: int = 0, column: int = 0, value: float | None = None
) -> str:
    F, P = steel.deformation_gradient.copy(), steel.labels("first_piola")
    if value is not None:
        F[row].flat[column] = value
    return str(csv(folder / "a.csv", F, P))


def unitless(steel: multiscale.StressStrainData, folder: Path) -> list[str]:
    return [str(csv(folder / "a.csv", steel.deformation_gradient, steel.labels("first_piola"), unit=""))]


def mixed(steel: multiscale.StressStrainData, folder: Path) -> list[str]:
    path = Path(table(steel, folder))
    path.write_text(path.read_text().replace("P_zz [GPa]", "P_zz [MPa]"))
    return [str(path)]


def truncated(steel: multiscale.StressStrainData, folder: Path) -> list[str]:
    steel.write(folder / "a.h5")
    (folder / "a.h5").write_bytes((folder / "a.h5").read_bytes()[:500])
    return [str(folder / "a.h5")]


def with_unit(steel: multiscale.StressStrainData, folder: Path) -> list[str]:
    steel.write(folder / "a.h5")
    return [str(folder / "a.h5"), "--unit", "MPa"]


def few(steel: multiscale.StressStrainData, folder: Path) -> list[str]:
    steel.select(np.arange(24) < 2).write(folder / "a.h5")
    return [str(folder / "a.h5"), "--neurons", "40"]


def occupied(steel: multiscale.StressStrainData, folder: Path) -> list[str]:
    (folder / "taken").write_text("a file")
    return [table(steel, folder), "--symmetry", "isotropic", "--output", str(folder / "taken")]


MISTAKES: dict[str, tuple[Spoil, str]] = {
    "no file": (lambda steel, folder: [str(folder / "a.h5")], "a.h5 is not a file"),
    "another kind of file": (
        lambda steel, folder: [str(folder / "a.xlsx")],
        "has the ending '.xlsx', expected .h5, .csv",
    ),
    "truncated": (truncated, "cannot be read as HDF5"),
    "no symmetry": (lambda steel, folder: [table(steel, folder)], "hold no crystal to take the symmetry from; say it"),
    "unknown symmetry": (lambda steel, folder: [table(steel, folder), "--symmetry", "cubic"], "'cubic' is not known"),
    "axis of none": (
        lambda steel, folder: [table(steel, folder), "--symmetry", "m-3m", "--axis", "0", "0", "1"],
        "the axis",
    ),
    "no unit": (unitless, "has no unit, expected one of Pa, kPa"),
    "mixed units": (mixed, "MPa"),
    "a unit too many": (with_unit, "says its unit itself"),
    "NaN": (
        lambda steel, folder: [table(steel, folder, 3, 0, np.nan)],
        "is nan, expected a finite number; leave the row out",
    ),
    "det F < 0": (lambda steel, folder: [table(steel, folder, 3, 0, -1.0)], "at state 3, expected det F > 0"),
    "too few states": (few, "fewer than the"),
    "output is a file": (occupied, "cannot be made"),
}


@pytest.mark.parametrize(("spoil", "message"), MISTAKES.values(), ids=MISTAKES.keys())
def test_mistakes(
    spoil: Spoil,
    message: str,
    steel: multiscale.StressStrainData,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["fit", *spoil(steel, tmp_path)]) == 2
    told = capsys.readouterr()
    assert told.err.startswith("atomlaw: error: ") and message in told.err and told.err.count("\n") == 1
    assert told.out == "" and not list(tmp_path.glob("*_law/*"))


def test_contradictions_are_told(
    steel: multiscale.StressStrainData, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Stress without a potential, a broken symmetry and a constant column are warnings on stderr, and in the report."""
    F, P = steel.deformation_gradient, steel.labels("first_piola")
    E = 0.5 * (np.swapaxes(F, 1, 2) @ F - np.eye(3))
    turn = np.zeros((24, 3, 3))
    turn[:, 0, 0], turn[:, 1, 1] = E[:, 1, 1], -E[:, 0, 0]
    path = csv(tmp_path / "a.csv", F, P + F @ (40.0 * turn))
    asked = ["--symmetry", "isotropic", "--no-learning-curve"]
    assert main(["fit", str(path), *QUICK, *asked]) == 0
    told = capsys.readouterr()
    assert (
        "atomlaw: warning: the stress is the derivative of no potential: closed strain cycles do not close" in told.err
    )
    assert "the fit warned: the stress is the derivative of no potential" in told.out
    assert "derivative of no potential" in (tmp_path / "a_law" / "report.html").read_text()
    stuck = P.copy()
    stuck[:, 2, 1] = 7.0
    assert main(["fit", str(csv(tmp_path / "c.csv", F, stuck)), *QUICK, *asked]) == 0
    assert "atomlaw: warning: column 'P_zy' of" in (told := capsys.readouterr()).err
    assert "the fit warned: column 'P_zy'" in told.out
    path = csv(tmp_path / "b.csv", F, P + F @ (40.0 * E * np.diag([1.0, 0.0, 0.0])))
    assert main(["fit", str(path), *QUICK, *asked]) == 0
    assert "atomlaw: warning: the data break the symmetry isotropic" in capsys.readouterr().err


def test_interrupt_writes_nothing(
    steel: multiscale.StressStrainData,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def interrupted(*arguments: object, **options: object) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        signal.pause()

    monkeypatch.setattr("multiscale.fit_file.fit", interrupted)
    steel.write(tmp_path / "a.h5")
    with suppress(KeyboardInterrupt):
        assert main(["fit", str(tmp_path / "a.h5")]) == 130
    assert capsys.readouterr().err == "atomlaw: interrupted; nothing is written\n"
    assert not list((tmp_path / "a_law").iterdir())
