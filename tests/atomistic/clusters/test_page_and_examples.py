"""The example of docs/cluster_assembly.md and the two scripts say what the page says."""

import importlib.util
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from atomistic.clusters.bln import LOWEST_46
from atomistic.clusters.lennard_jones import LOWEST

ROOT = Path(__file__).parents[3]


def example(name: str) -> ModuleType:
    specification = importlib.util.spec_from_file_location(name, ROOT / "examples" / f"{name}.py")
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.mark.filterwarnings("ignore::atomistic.label_checks.ExplodingStructures")
def test_the_example_of_the_page() -> None:
    page = (ROOT / "docs" / "cluster_assembly.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)
    assert names["lowest"] == pytest.approx(LOWEST[13], abs=1e-4)
    assert np.abs(names["true"].terms[2:]).max() < 1e-9 < np.abs(names["young"].terms[3:]).max()
    assert names["learned"].converged and len(names["learned"].labelled) - len(names["labelled"]) <= 30


@pytest.mark.slow
def test_clusters_end_to_end(tmp_path: Path) -> None:
    """13 and 38 atoms: the fourth of the walks of the page reaches the fcc minimum on the model."""
    arguments = ["--seeds", "4", "--processes", "1", "--folder", str(tmp_path)]
    numbers = example("cluster_assembly").main(arguments)
    assert abs(numbers["lowest_13"] - LOWEST[13]) < 1e-4 and abs(numbers["lowest_38"] - LOWEST[38]) < 1e-4
    assert numbers["gap_38"] > 0.5 and numbers["labels_38"] < 200
    assert (tmp_path / "cluster_assembly.png").stat().st_size < 150_000


@pytest.mark.slow
def test_protein_folds_on_the_learned_potential(tmp_path: Path) -> None:
    """Of twelve chains at least one ends at the published minimum: two did where the page was measured."""
    arguments = ["--seeds", "12", "--processes", "2", "--folder", str(tmp_path)]
    numbers = example("protein_assembly").main(arguments)
    assert numbers["hits_learned"] >= 1
    assert numbers["lowest_learned"] == pytest.approx(LOWEST_46, abs=1e-4)
    assert numbers["lowest_true"] >= LOWEST_46 - 1e-4
    assert numbers["apart"] < 0.3 and numbers["labels"] < 500
    assert (tmp_path / "protein_assembly.png").stat().st_size < 150_000
