"""Serial and distributed runs agree to round-off; failures are the same on all ranks, and nobody waits for ever."""

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

REPOSITORY = Path(__file__).parents[2]
# mpiexec of the environment whose dolfinx is under test
MPIEXEC = Path(sys.executable).with_name("mpiexec")

pytestmark = pytest.mark.skipif(not MPIEXEC.exists(), reason=f"no {MPIEXEC}")


def on_ranks(ranks: int, *command: object) -> str:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(REPOSITORY)}
    line = [str(MPIEXEC), "-n", str(ranks), sys.executable, *map(str, command)]
    done = subprocess.run(line, capture_output=True, text=True, timeout=120 * ranks, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("ranks")

    @cache
    def run(ranks: int, distribution: str) -> dict[str, Any]:
        output = on_ranks(ranks, Path(__file__).with_name("on_ranks.py"), folder, distribution)
        return dict(json.loads(output.splitlines()[-1]))

    return run


# "all": the cells over all ranks, with ghost cells; "one": all cells on one rank, nothing on the others
MANY = [
    (2, "all"),
    (2, "one"),
    *(pytest.param(4, distribution, marks=pytest.mark.slow) for distribution in ("all", "one")),
]


@pytest.mark.parametrize(("ranks", "distribution"), MANY)
def test_ranks_agree(results: Any, ranks: int, distribution: str) -> None:
    one, many = results(1, "all"), results(ranks, distribution)
    assert (min(many["cells_of_ranks"]) == 0) == (distribution == "one")
    assert many["iterations"] == one["iterations"]
    assert many["energy"] == pytest.approx(one["energy"], rel=1e-10)
    assert many["volume"] == pytest.approx(2.0, rel=1e-13)
    assert np.allclose(many["probe"], one["probe"], rtol=1e-10, atol=1e-10)
    assert np.allclose(many["reaction"], one["reaction"], rtol=1e-10, atol=1e-10)
    with h5py.File(one["file"]) as first, h5py.File(many["file"]) as second:
        assert point_table(first["VTKHDF"]) == pytest.approx(point_table(second["VTKHDF"]), abs=1e-9)
        assert len(first["VTKHDF/Types"]) == len(second["VTKHDF/Types"]) == 18
        averages = [np.sort(file["VTKHDF/CellData/stress"][:]) for file in (first, second)]
        assert np.allclose(*averages, rtol=1e-9)


def point_table(group: Any) -> np.ndarray:
    """Position, displacement and stress of all nodes, in an order which does not depend on the distribution."""
    data = group["PointData"]
    rows = np.column_stack([group["Points"][:], data["displacement"][:], data["stress"][:]])
    return rows[np.lexsort(np.round(rows[:, :3], 6).T)]


@pytest.mark.parametrize(("ranks", "distribution"), [(1, "all"), *MANY])
def test_failures_are_shared(results: Any, ranks: int, distribution: str) -> None:
    result = results(ranks, distribution)
    alone = ranks == 1
    raised = result["raises"].split(" | ")
    assert "KeyError: 'weights'" in raised
    assert alone or any(message.startswith("LawFailed: the law failed on rank") for message in raised)
    assert result["NaN"].startswith("LoadNotConverged") and "first_piola that is not finite" in result["NaN"]
    assert result["inadmissible"].startswith("LoadNotConverged") and "det F = -1" in result["inadmissible"]
    assert result["outside"] == "PointOutside: point (9.0, 0.0, 0.0) lies outside the undeformed body"
    assert result["unwritable"].startswith("OSError: cannot write") and " | " not in result["unwritable"]
    assert result["no mesh"].startswith("MeshError: mesh file") and " | " not in result["no mesh"]
    assert result["no surface"].startswith("MeshNameError: the mesh has no surface named 'wall'")
    assert result["bracket"] == 548


def test_example_on_ranks() -> None:
    assert "strain energy 0.21246279" in on_ranks(2, REPOSITORY / "examples" / "neo_hooke_cube.py")
