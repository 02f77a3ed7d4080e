"""The examples of docs/phases.md run and say what the page says; so does examples/phases.py."""

import re
import runpy
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).parents[3]


def test_page(capsys: pytest.CaptureFixture[str]) -> None:
    page = (REPOSITORY / "docs" / "phases.md").read_text()
    names: dict[str, Any] = {}
    for code in re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL):
        exec(code, names)
    assert names["above"]["fcc"] == pytest.approx(0.396, abs=1e-3)
    assert names["pressure"] == pytest.approx(18.1, abs=0.1)
    assert names["tangent"].pressure == pytest.approx(names["transition"].pressure, abs=1e-12)
    assert float(names["squeezed"]) == pytest.approx(names["transition"].volumes[0], rel=1e-12)
    unseen, seen = names["unseen"], names["seen"]
    assert unseen.energy > 5.0 * seen.energy and unseen.nearest > 3.0 * seen.nearest and unseen.warned == 1.0
    assert "fcc             without" in capsys.readouterr().out


@pytest.mark.slow
def test_example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["phases.py"])
    runpy.run_path(str(REPOSITORY / "examples" / "phases.py"), run_name="__main__")
    printed = capsys.readouterr().out
    assert "diamond -> beta-tin at 18.08" in printed  # by Stillinger and Weber, both ways
    assert printed.count("order wrong, not sure") >= 2  # trained on diamond: linear, Gaussians
    assert printed.count("order right, sure") == 1  # trained on all phases: Gaussians
    assert (tmp_path / "phases.png").stat().st_size > 50_000


def test_help_of_the_example(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.argv", ["phases.py", "--help"])
    with pytest.raises(SystemExit, match="0"):
        runpy.run_path(str(REPOSITORY / "examples" / "phases.py"), run_name="__main__")
    assert "--structures" in capsys.readouterr().out
