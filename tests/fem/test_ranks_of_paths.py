"""Loads, supports, paths past limit points and past buckling: the same on one rank, on two and on four."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from .test_ranks import MPIEXEC, on_ranks

pytestmark = pytest.mark.skipif(not MPIEXEC.exists(), reason=f"no {MPIEXEC}")


@cache
def results(ranks: int) -> dict[str, Any]:
    return dict(json.loads(on_ranks(ranks, Path(__file__).with_name("paths_on_ranks.py")).splitlines()[-1]))


@pytest.mark.parametrize("ranks", [2, pytest.param(4, marks=pytest.mark.slow)])
@pytest.mark.parametrize("case", ["twisted", "multigrid", "arch", "beam"])
def test_ranks_agree(ranks: int, case: str) -> None:
    one, many = results(1)[case], results(ranks)[case]
    assert len(one["steps"]) == len(many["steps"])
    for name, value in one.items():
        assert many[name] == pytest.approx(value, rel=1e-9, abs=1e-9), name


def test_multigrid_agrees_with_the_direct_solver() -> None:
    for name, value in results(1)["multigrid"].items():
        assert results(1)["twisted"][name] == pytest.approx(value, rel=1e-8, abs=1e-9)


@pytest.mark.parametrize("ranks", [1, 2, pytest.param(4, marks=pytest.mark.slow)])
def test_progress_stops_all_ranks(ranks: int) -> None:
    assert results(ranks)["stopped"] == ["KeyError", *["RuntimeError"] * (ranks - 1)]
