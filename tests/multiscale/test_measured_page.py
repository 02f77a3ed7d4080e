"""The example of docs/measured.md and examples/treloar.py run, and do what they say."""

import re
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]


def test_example_of_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    page = ROOT / "docs" / "measured.md"
    (code,) = re.findall(r"```python\n(.*?)```", page.read_text(), flags=re.DOTALL)
    names: dict[str, Any] = {}
    exec(compile(code, str(page), "exec"), names)
    assert str(names["fit"]).startswith("Gent: mu = 0.27") and np.isclose(names["fit"].values["jm"], 84.6, atol=0.1)
    assert [standing.name for standing in names["ranking"].standings] == ["convex network (2)", "Gent"]
    assert np.isfinite(names["response"].energy).all() and names["response"].tangent is not None


@pytest.mark.slow
def test_treloars_rubber() -> None:
    runpy.run_path(str(ROOT / "examples" / "treloar.py"))
