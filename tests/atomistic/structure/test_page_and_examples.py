"""The examples of docs/structure.md run and do what they say; so do the scripts of examples/ that it shows."""

import re
import runpy
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from atomistic.structure import UnfamiliarAtomsWarning

REPOSITORY = Path(__file__).parents[3]


def test_page() -> None:
    text = (REPOSITORY / "docs" / "structure.md").read_text()
    atoms, hands = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    names: dict[str, Any] = {}
    with pytest.warns(UnfamiliarAtomsWarning):
        exec(atoms, names)
    assert (names["found"].labels == names["by_depth"]).mean() > 0.95
    assert names["fit"].calibrated.accuracy > 0.95
    assert not names["unlike"].familiar.any()
    names = {}
    exec(hands, names)
    size = np.abs(names["even"]).max()
    assert np.abs(names["even"][0] - names["even"][1]).max() < 1e-12 * size
    assert np.abs(names["odd"][0] + names["odd"][1]).max() < 1e-12
    assert np.abs(names["odd"][0]).max() > 1e-3
    assert names["report"].accuracy == 1.0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("structure", ["--runs", "4"]),
        ("structure_stability", ["--states", "700"]),
        ("structure_handedness", ["--count", "40"]),
    ],
)
def test_examples(
    name: str, options: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """They assert their numbers themselves."""
    picture = tmp_path / "picture.png"
    monkeypatch.setattr(sys, "argv", [name, *options, "--picture", str(picture)])
    runpy.run_path(str(REPOSITORY / "examples" / f"{name}.py"), run_name="__main__")
    assert picture.stat().st_size > 10_000
    assert "found" in capsys.readouterr().out
