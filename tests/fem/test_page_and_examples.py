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
