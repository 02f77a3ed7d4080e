"""The examples of docs/potential.md run and say what the page says."""

import re
from pathlib import Path
from typing import Any

import numpy as np

import atomistic

PAGE = Path(__file__).parents[2] / "docs" / "potential.md"


def test_examples() -> None:
    names: dict[str, Any] = {}
    for code in re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.DOTALL):
        exec(code, names)
    c11 = names["c11"] * atomistic.EV_PER_CUBIC_ANGSTROM_IN_GPA
    assert abs(c11 / 151.4 - 1.0) < 0.1
    answer = names["answer"]
    assert answer.stable.all()
    assert answer.energy[0] > 0.0
    assert np.linalg.norm(answer.internal_displacement) > 0.0
    assert names["error_bars"].interval(names["held_out"][0], coverage=0.9).forces.min() > 0.0
    force = np.sqrt(np.mean(np.concatenate([error.ravel() for error in names["found"]]) ** 2))
    assert 0.5 < force / names["expected"] < 2.0
