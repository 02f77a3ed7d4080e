"""The example of docs/potential.md runs and says what the page says."""

import re
from pathlib import Path
from typing import Any

import numpy as np

import atomistic

PAGE = Path(__file__).parents[2] / "docs" / "potential.md"


def test_example() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)
    c11 = names["c11"] * atomistic.EV_PER_CUBIC_ANGSTROM_IN_GPA
    assert abs(c11 / 151.4 - 1.0) < 0.1
    answer = names["answer"]
    assert answer.stable.all()
    assert answer.energy[0] > 0.0
    assert np.linalg.norm(answer.internal_displacement) > 0.0
