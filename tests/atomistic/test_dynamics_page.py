"""The example of docs/dynamics.md runs and says what the page says."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms

import atomistic

PAGE = Path(__file__).parents[2] / "docs" / "dynamics.md"


def test_example(
    small_training: tuple[list[Atoms], atomistic.Training],
    silicon: Atoms,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    potential = small_training[1].potential
    crystal = atomistic.relax_crystal(silicon, atomistic.NeuralCalculator(potential)).atoms
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    names: dict[str, Any] = {"potential": potential, "crystal": crystal}
    exec(code, names)
    np.testing.assert_allclose(names["hessian"] @ np.eye(2, 3).ravel(), names["pushed"].ravel(), atol=1e-10)
    assert names["frequencies"].shape == (2, 6) and names["frequencies"].max() > 16.0
    np.testing.assert_allclose(names["metric"].stress, potential.predict(crystal).stress, atol=1e-10)
    assert np.abs(names["expansion"]).max() < 0.02
    assert names["to_label"].info["uncertainty"] > 0.15
    assert (tmp_path / "last_good.extxyz").is_file()
