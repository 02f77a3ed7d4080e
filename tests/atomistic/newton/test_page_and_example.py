"""The example of docs/newton_steps.md runs and says what the page says; so does examples/newton_steps.py."""

import re
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

REPOSITORY = Path(__file__).parents[3]


def test_page() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", (REPOSITORY / "docs" / "newton_steps.md").read_text(), flags=re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)
    assert names["converged"] and names["optimiser"].nsteps <= 8
    assert np.abs(names["atoms"].get_forces()).max() < 1e-6
    assert names["step"].definite
    assert names["step"].quality == pytest.approx(1.0, abs=0.05)


@pytest.mark.slow
def test_example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """It asserts its numbers."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["newton_steps.py"])
    runpy.run_path(str(REPOSITORY / "examples" / "newton_steps.py"), run_name="__main__")
    printed = capsys.readouterr().out
    assert printed.count("1 negative eigenvalue of the reference") == 4
    assert (tmp_path / "newton_steps.png").stat().st_size > 30_000


def test_help_of_the_example(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.argv", ["newton_steps.py", "--help"])
    with pytest.raises(SystemExit, match="0"):
        runpy.run_path(str(REPOSITORY / "examples" / "newton_steps.py"), run_name="__main__")
    assert "--starts" in capsys.readouterr().out
