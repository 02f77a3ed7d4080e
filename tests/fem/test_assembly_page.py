"""The example of docs/assembly.md."""

import os
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

import fem
from fem.laws import NeoHooke

REPOSITORY = Path(__file__).parents[2]


def test_a_law_in_c(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = REPOSITORY / "docs" / "assembly.md"
    (code,) = re.findall(r"```python\n(.*?)```", page.read_text(), flags=re.DOTALL)
    for name in ("benchmarks/neo_hooke.c", "meshes/bracket_coarse.msh"):
        (tmp_path / name).parent.mkdir()
        shutil.copy(REPOSITORY / name, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(compile(code, str(page), "exec"), names)

    body = fem.Solid(fem.read_mesh(os.fspath(tmp_path / "meshes/bracket_coarse.msh")), NeoHooke(50.0, 65.0), degree=2)
    body.clamp("wall")
    body.traction("tip", (0.0, 0.0, -0.2))
    arrays = body.solve()
    assert names["solution"].energy == pytest.approx(arrays.energy, rel=1e-12)
    assert [s.iterations for s in names["solution"].steps] == [s.iterations for s in arrays.steps]
