"""The examples of docs/fitting.md and docs/invariants.md run, and do what they say; so does examples/modes.py."""

import re
import runpy
import shlex
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from multiscale.command_line import main

ROOT = Path(__file__).parents[2]


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / "docs" / page).read_text(encoding="utf-8"), flags=re.DOTALL)


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the examples in it, to write into."""
    (tmp_path / "examples" / "data").mkdir(parents=True)
    (tmp_path / "examples" / "data" / "silicon_sw").symlink_to(ROOT / "examples" / "data" / "silicon_sw")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_command_of_the_page(
    workplace: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("multiscale.report.law_report.GRID", 9)
    (command,) = blocks("fitting.md", "sh")
    name, *arguments = shlex.split(command)
    assert name == "atomlaw"
    assert main([*arguments, "--no-learning-curve", "--output", "out"]) == 0
    assert "constants  C11 151.4, C12 76.4, C44 56.4 GPa" in capsys.readouterr().out
    assert sorted(path.name for path in (workplace / "out").iterdir()) == ["law.safetensors", "report.html"]


def test_python_of_the_page(workplace: Path) -> None:
    names: dict[str, Any] = {}
    for code in blocks("fitting.md", "python"):
        exec(compile(code, "fitting.md", "exec"), names)
    assert names["C"][0, 0] == pytest.approx(151.4, abs=0.1)
    assert names["limits"].ellipticity.smallest < 0.0 and "not strongly elliptic" in " ".join(names["limits"].sentences)
    assert np.array_equal(names["again"].weights, names["law"].weights)
    assert names["curve"].states == (8, 32) and names["curve"].errors["stress"][-1] < 1e-3
    assert [standing.name for standing in names["ranking"].standings] == [
        "free network, m-3m", "elastic constants to 3, m-3m", "elastic constants to 2, m-3m"
    ]  # fmt: skip


def test_page_on_invariants() -> None:
    (code,) = blocks("invariants.md", "python")
    names: dict[str, Any] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        exec(compile(code, "invariants.md", "exec"), names)
    for law in (names["law"], names["convex"]):
        assert law.elastic_constants()[3, 3] == pytest.approx(0.8, rel=0.01)
    assert names["error"] < 1e-4
    assert names["crystal"].name == "6/mmm" and np.allclose(names["frame"] @ names["frame"].T, np.eye(3))


@pytest.mark.slow
def test_modes(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The table of docs/fitting.md: its order and its orders of magnitude (the script asserts the signs)."""
    monkeypatch.setattr(sys, "argv", ["modes.py"])
    found = runpy.run_path(str(ROOT / "examples" / "modes.py"))["found"]
    stress = {mode: found[mode][0] for mode in ("free", "penalised", "polyconvex")}
    assert list(stress.values()) == sorted(stress.values())
    assert stress["free"] < 3e-5 and 5e-5 < stress["penalised"] < 4e-4
    assert stress["polyconvex"] == pytest.approx(4.5e-4, rel=0.2)
    assert "atoms: smallest acoustic eigenvalue -19.8 GPa" in capsys.readouterr().out
