"""The example of docs/kinds.md, and the scripts of examples/ that it names."""

import re
import runpy
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

REPOSITORY = Path(__file__).parents[2]


def test_example_of_the_page() -> None:
    page = REPOSITORY / "docs" / "kinds.md"
    (code,) = re.findall(r"```python\n(.*?)```", page.read_text(), flags=re.DOTALL)
    names: dict[str, Any] = {}
    exec(compile(code, str(page), "exec"), names)
    P = names["solution"].at_quadrature().response.first_piola
    assert np.abs(P[:, :, 2]).max() <= 1e-10 * np.abs(P).max()
    assert np.all(names["thickness"] < 1.01)
    assert names["solution"].resultant("left")[0] == pytest.approx(-0.5, rel=1e-9)


@pytest.mark.parametrize(
    ("name", "printed"),
    [
        ("plate_with_hole", r"the stress at the hole is 2\.4\d+ times the load"),
        ("inflated_ball", r"stretch 1\.345\d at the inner wall"),
        ("cooks_membrane", r"displacement Q1 2\.219 mm.* mixed Q2 6\.903 mm"),
        pytest.param("polycrystal", r"without a surface: between 4\d\.\d+ and 4\d\.\d+ GPa", marks=pytest.mark.slow),
    ],
)
def test_examples(
    name: str, printed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [name])
    runpy.run_path(str(REPOSITORY / "examples" / f"{name}.py"), run_name="__main__")
    assert re.search(printed, capsys.readouterr().out)
    assert (tmp_path / f"{name}.png").stat().st_size > 10_000
