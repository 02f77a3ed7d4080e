"""The example of docs/symmetry_functions.md runs and says what the page says."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms

from atomistic.cutoff_functions import CUTOFF_FUNCTIONS
from atomistic.n2p2 import FUNCTION_TYPES
from atomistic.reference import BUILT_IN

PAGE = Path(__file__).parents[2] / "docs" / "symmetry_functions.md"


def test_example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)
    atoms: Atoms = names["labelled"][-1].copy()
    ours = names["potential"].predict(atoms)
    np.testing.assert_allclose(names["same"].predict(atoms).forces, ours.forces, atol=1e-10, rtol=0)
    atoms.calc = names["calculator"]
    assert atoms.get_potential_energy() == pytest.approx(ours.energy, abs=1e-9)
    errors = [
        (names["potential"].predict(one).energy - one.get_potential_energy()) / len(one) for one in names["labelled"]
    ]
    assert np.sqrt(np.mean(np.square(errors))) < 0.01
    assert names["functions"].count(14) == 30


def test_every_reference_model_is_on_the_page() -> None:
    table = PAGE.read_text().split("## Reference models by name")[1]
    assert all(f"`{name}`" in table for name in BUILT_IN)


def test_every_cutoff_function_is_on_the_page() -> None:
    text = PAGE.read_text()
    assert all(f"`{name}`" in text for name in CUTOFF_FUNCTIONS)


def test_the_table_of_kinds_is_n2p2s() -> None:
    rows = re.findall(r'^\| `"(radial|narrow|wide)".*\| (\d+) \|$', PAGE.read_text(), flags=re.MULTILINE)
    for kind, number in rows:
        assert FUNCTION_TYPES[int(number)][0] == kind
    assert [number for _, number in rows] == ["2", "3", "9"]
