"""The example of docs/training_dynamics.md runs and says what the page says; so does examples/training_dynamics.py."""

import re
import runpy
import sys
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).parents[3]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_example_of_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = REPOSITORY / "docs" / "training_dynamics.md"
    (code,) = re.findall(r"```python\n(.*?)```", page.read_text(), flags=re.DOTALL)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(compile(code, str(page), "exec"), names)
    assert names["before"].point.kind == "slope"
    assert names["after"].point.kind == "minimum" and names["after"].point.index == 0
    assert names["flow"].imbalance < 1e-6
    assert names["after"].point.loss < names["before"].point.loss
    assert 0.0 < names["after"].effective_parameters()[0] < names["after"].parameters
    assert (tmp_path / "spectrum.png").is_file()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """About a minute: it asserts its own numbers."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["training_dynamics.py"])
    runpy.run_path(str(REPOSITORY / "examples" / "training_dynamics.py"), run_name="__main__")
    printed = capsys.readouterr().out
    for said in (
        "dE/dt = -|grad E|^2",
        "minimum: 0 negative and 0 zero curvatures",
        "twins: saddle",
        "degenerate minimum",
    ):
        assert said in printed
    assert (tmp_path / "training_dynamics.png").stat().st_size > 10_000
