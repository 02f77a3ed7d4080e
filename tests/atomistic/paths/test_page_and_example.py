"""The example of docs/reaction_paths.md runs and says what the page says; so does examples/reaction_paths.py."""

import re
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

REPOSITORY = Path(__file__).parents[3]


def test_page() -> None:
    page = (REPOSITORY / "docs" / "reaction_paths.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)
    assert names["path"].saddle.negative == 1
    assert names["path"].barrier / 2 == pytest.approx(names["path"].reverse_barrier / 2 + 0.1997, abs=1e-4)
    assert 0.3 < names["path"].barrier / 2 < 0.4
    assert names["way"].sites == (0, 2, 3) and names["way"].barrier == pytest.approx(0.7)


@pytest.mark.slow
def test_example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """It asserts its numbers."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["reaction_paths.py"])
    runpy.run_path(str(REPOSITORY / "examples" / "reaction_paths.py"), run_name="__main__")
    printed = capsys.readouterr().out
    assert printed.count("1 negative curvature (") == 4
    errors = [float(number) for number in re.findall(r"barrier +[\d.]+ +[\d.]+ +(-?[\d.]+)", printed)]
    assert len(errors) == 4 and np.abs(errors).max() < 0.05
    assert (tmp_path / "reaction_paths.png").stat().st_size > 30_000


def test_help_of_the_example(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.argv", ["reaction_paths.py", "--help"])
    with pytest.raises(SystemExit, match="0"):
        runpy.run_path(str(REPOSITORY / "examples" / "reaction_paths.py"), run_name="__main__")
    assert "--rounds" in capsys.readouterr().out
