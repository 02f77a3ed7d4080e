"""Every kind of problem gives the same on any number of ranks, one without cells included; so do refusals."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from .test_ranks import MANY, MPIEXEC, on_ranks

pytestmark = pytest.mark.skipif(not MPIEXEC.exists(), reason=f"no {MPIEXEC}")


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("kinds")

    @cache
    def run(ranks: int, distribution: str) -> dict[str, Any]:
        output = on_ranks(ranks, Path(__file__).with_name("kinds_on_ranks.py"), distribution, folder)
        return dict(json.loads(output.splitlines()[-1]))

    return run


@pytest.mark.parametrize(("ranks", "distribution"), MANY)
def test_ranks_agree(results: Any, ranks: int, distribution: str) -> None:
    one, many = results(1, "all"), results(ranks, distribution)
    assert (min(many["cells_of_ranks"]) == 0) == (distribution == "one")
    assert many["abaqus"] == pytest.approx(one["abaqus"], rel=1e-9)
    for name in ("axisymmetric", "plane stress", "two materials", "two materials by blocks"):
        assert np.allclose(many[name], one[name], rtol=1e-9, atol=1e-9)
        # sums are rounded in another order, which may cost an iteration where a residual just meets the tolerance
        assert abs(many[name + " iterations"] - one[name + " iterations"]) <= 1


@pytest.mark.parametrize(("ranks", "distribution"), [(1, "all"), *MANY])
def test_refusals_are_shared(results: Any, ranks: int, distribution: str) -> None:
    result = results(ranks, distribution)
    for name, message in {
        "tilted": "KindError: plane_strain needs a law with a mirror plane",
        "bare": "MeshError: 24 cells have no law",
        "unknown": "MeshNameError: the mesh has no volume named 'middle'",
        "flat": "MeshError: cell",
    }.items():
        assert result[name].startswith(message)
        assert " | " not in result[name]
