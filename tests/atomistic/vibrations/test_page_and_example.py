"""The examples of docs/vibrations.md run and say what the page says; so does examples/vibrations.py."""

import re
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms, units

from atomistic import NeuralPotential

REPOSITORY = Path(__file__).parents[3]


def test_page(potential: NeuralPotential, crystal: Atoms) -> None:
    page = (REPOSITORY / "docs" / "vibrations.md").read_text()
    names: dict[str, Any] = {"potential": potential, "crystal": crystal}
    for code in re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL):
        exec(code, names)
    assert names["gamma"][3] == pytest.approx(17.83, abs=0.2)
    assert names["bands"].frequencies.max() == pytest.approx(names["gamma"][3], rel=1e-6)
    assert names["density"].modes == pytest.approx(6.0, rel=0.01)
    assert names["heat"].heat_capacity[1] / (6.0 * units.kB) == pytest.approx(0.74, abs=0.03)
    np.testing.assert_allclose(names["slopes"], names["continuum"], rtol=1e-4)
    assert 1.5e-6 < names["expansion"].linear_expansion[0] < names["expansion"].linear_expansion[1] < 5e-6
    np.testing.assert_allclose(names["at_l"], [4.70, 4.70, 11.77, 13.40, 16.77, 16.77], atol=0.01)
    assert len(names["phonopy"].primitive) == 2


@pytest.mark.slow
def test_example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["vibrations.py"])
    runpy.run_path(str(REPOSITORY / "examples" / "vibrations.py"), run_name="__main__")
    printed = capsys.readouterr().out
    assert re.search(r"G +17\.83 +17\.83", printed)
    assert "J/K/mol, measured 20.00" in printed
    assert (tmp_path / "vibrations.png").stat().st_size > 50_000


def test_help_of_the_example(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.argv", ["vibrations.py", "--help"])
    with pytest.raises(SystemExit, match="0"):
        runpy.run_path(str(REPOSITORY / "examples" / "vibrations.py"), run_name="__main__")
    assert "--pbe" in capsys.readouterr().out
