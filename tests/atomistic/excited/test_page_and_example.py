"""The examples of docs/excited_states.md run and say what the page says; so does examples/excited_states.py."""

import re
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

REPOSITORY = Path(__file__).parents[3]


def test_page() -> None:
    page = (REPOSITORY / "docs" / "excited_states.md").read_text()
    names: dict[str, Any] = {}
    for code in re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL):
        exec(code, names)
    assert names["off"] < 1e-3
    assert names["phase"].tolist() == [-1, -1]
    assert names["coupling"].shape == (80, 2)
    hopping, quantum = names["upper"]
    assert hopping == pytest.approx(quantum, abs=3.0 * np.sqrt(quantum * (1.0 - quantum) / 200) + 0.02)


@pytest.mark.slow
def test_example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["excited_states.py"])
    runpy.run_path(str(REPOSITORY / "examples" / "excited_states.py"), run_name="__main__")
    printed = capsys.readouterr().out
    assert "phase of both states around it [-1, -1], beside it [1, 1]" in printed
    assert printed.count("quantum populations on learned surfaces off by") == 9
    assert (tmp_path / "excited_states.png").stat().st_size > 50_000


def test_help_of_the_example(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.argv", ["excited_states.py", "--help"])
    with pytest.raises(SystemExit, match="0"):
        runpy.run_path(str(REPOSITORY / "examples" / "excited_states.py"), run_name="__main__")
    assert "--trajectories" in capsys.readouterr().out
