"""Loads, supports, paths past limit points and past buckling: the same on one rank and on two."""

import json
from pathlib import Path
from typing import Any

import pytest

from .test_ranks import MPIEXEC, on_ranks

pytestmark = pytest.mark.skipif(not MPIEXEC.exists(), reason=f"no {MPIEXEC}")


@pytest.fixture(scope="module")
def results() -> dict[int, dict[str, Any]]:
    script = Path(__file__).with_name("paths_on_ranks.py")
    return {ranks: dict(json.loads(on_ranks(ranks, script).splitlines()[-1])) for ranks in (1, 2)}


@pytest.mark.parametrize("case", ["twisted", "multigrid", "arch", "beam"])
def test_ranks_agree(results: dict[int, dict[str, Any]], case: str) -> None:
    one, two = (results[ranks][case] for ranks in (1, 2))
    assert len(one["steps"]) == len(two["steps"])
    for name, value in one.items():
        assert two[name] == pytest.approx(value, rel=1e-9, abs=1e-9), name


def test_multigrid_agrees_with_the_direct_solver(results: dict[int, dict[str, Any]]) -> None:
    for name, value in results[1]["multigrid"].items():
        assert results[1]["twisted"][name] == pytest.approx(value, rel=1e-8, abs=1e-9)


def test_progress_stops_all_ranks(results: dict[int, dict[str, Any]]) -> None:
    assert results[1]["stopped"] == ["KeyError"]
    assert results[2]["stopped"] == ["KeyError", "RuntimeError"]
