"""The example of docs/uncertainty.md runs and says what the page says."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

PAGE = Path(__file__).parents[2] / "docs" / "uncertainty.md"


def test_example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(code, names)
    atoms, uncertainty = names["atoms"], names["uncertainty"]
    assert names["error_bars"].shape == (len(atoms),)
    assert 0.0 < names["error_bars"].max() < 0.5
    assert names["interval"].energy > 0.0 and names["interval"].stress.shape == (3, 3)
    hot = names["label_next"]
    assert hot.info["uncertainty"] > 0.5 > uncertainty.threshold(0.01)
    assert 0 < names["dynamics"].nsteps < 400
    moved = np.linalg.norm(hot.positions - names["bulk"]("Si", cubic=True).repeat(2).positions, axis=1)
    assert moved.max() > 0.1
