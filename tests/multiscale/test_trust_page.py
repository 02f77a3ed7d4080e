"""The example of docs/trust.md runs, and does what it says."""

import re
from pathlib import Path
from typing import Any

import numpy as np

PAGE = Path(__file__).parents[2] / "docs" / "trust.md"


def test_example_of_the_page() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    names: dict[str, Any] = {}
    exec(compile(code, str(PAGE), "exec"), names)
    assert (names["bar"] > 0.0).all() and np.median(names["bar"]) < 0.1
    assert np.mean(names["inside"] == 1.0) > 0.8
    assert names["found"].smallest < 0.0 and len(names["found"].deformation_gradient) == 2000
    assert len(set(names["chosen"].tolist())) == 20
