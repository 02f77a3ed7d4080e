"""The example of docs/law.md runs, and does what it says."""

import re
from pathlib import Path
from typing import Any

import numpy as np

PAGE = Path(__file__).parents[2] / "docs" / "law.md"


def test_example_of_the_page() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    names: dict[str, Any] = {}
    exec(compile(code, str(PAGE), "exec"), names)
    assert np.allclose(names["C"][[0, 0, 3], [0, 1, 3]], [151.4, 76.4, 56.4], atol=0.1)
    assert names["error"] < 5e-5
    assert names["response"].trust.min() > 0.5
