"""The example of docs/fem.md runs and does what it says; so do the scripts of examples/ which need fem alone."""

import re
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

REPOSITORY = Path(__file__).parents[2]


def test_example_of_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = REPOSITORY / "docs" / "fem.md"
    code = re.findall(r"```python\n(.*?)```", page.read_text(), flags=re.DOTALL)[0]
    (tmp_path / "meshes").symlink_to(REPOSITORY / "meshes")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(compile(code, str(page), "exec"), names)
    assert (tmp_path / "bracket.vtkhdf").exists()
    assert (tmp_path / "bracket.png").exists()
    assert np.allclose(names["reaction"], [0.0, 0.0, 0.2 * 20 * 12], atol=1e-8)
    assert names["tip"][0, 2] < -1.0
    assert len(names["solution"].steps) == 3


def test_neo_hooke_cube(capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(REPOSITORY / "examples" / "neo_hooke_cube.py"))
    assert "strain energy 0.21246279" in capsys.readouterr().out


def test_page_on_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = REPOSITORY / "docs" / "paths.md"
    (code,) = re.findall(r"```python\n(.*?)```", page.read_text(), flags=re.DOTALL)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(compile(code, str(page), "exec"), names)
    solution = names["solution"]
    assert solution.load_factor == 1.0
    # a turn and a quarter: the corner at (y, z) = (1, 1) about (0.5, 0.5)
    assert np.allclose(solution.steps[-1].probes["corner"], (0.5, -1.0, 0.0), atol=1e-9)
    assert names["torque"] > 0.1
    assert names["again"].steps == solution.steps
    assert len((tmp_path / "bar.csv").read_text().splitlines()) == 2 + len(solution.steps)


@pytest.mark.parametrize(
    ("name", "printed"),
    [
        ("buckled_beam", "1.0483 of Euler's load"),
        ("snap_through", "limit loads 0.2973 and -0.1064"),
        pytest.param("twisted_bar", "torque 0.3970, pull 0.5963", marks=pytest.mark.slow),
        pytest.param("indentation", "compression 69.78 %", marks=pytest.mark.slow),
    ],
)
def test_examples_of_paths(
    name: str, printed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(REPOSITORY / "examples" / f"{name}.py"))
    assert printed in capsys.readouterr().out
    assert (tmp_path / f"{name}.png").stat().st_size > 10_000
