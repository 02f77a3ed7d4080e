"""Checkpoints: whole whenever one looks, of this mesh or refused, and good for any number of ranks."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import fem
from fem.laws import NeoHooke

from .conftest import unit_mesh
from .test_ranks import MPIEXEC, REPOSITORY, on_ranks

SCRIPT = Path(__file__).with_name("restarting.py")
LAW = NeoHooke.from_young(2.8, 0.4)


def bent(mesh: fem.Mesh, load: float = -0.3, degree: int = 2) -> fem.Solid:
    body = fem.Solid(mesh, LAW, degree=degree)
    body.clamp("left")
    body.traction("right", (0.0, 0.0, load)[-mesh.domain.geometry.dim :])
    return body


@pytest.mark.parametrize(("cell", "degree"), [("hexahedron", 2), ("tetrahedron", 3), ("triangle", 1)])
def test_restart_goes_on_as_if_nothing_had_happened(tmp_path: Path, cell: str, degree: int) -> None:
    file = tmp_path / "run.h5"
    whole = bent(unit_mesh(cell, 2), degree=degree).solve(load_steps=4)
    told: list[float] = []

    class Enough(Exception):
        pass

    def interrupt(load: float, message: str) -> None:
        told.append(load)
        if len(told) == 2:
            raise Enough

    with pytest.raises(Enough):
        bent(unit_mesh(cell, 2), degree=degree).solve(load_steps=4, checkpoint=file, progress=interrupt)
    assert [f.name for f in tmp_path.iterdir()] == ["run.h5"]
    rest = bent(unit_mesh(cell, 2), degree=degree).solve(load_steps=4, start=file, checkpoint=file)
    assert [step.load_factor for step in rest.steps] == [0.25, 0.5, 0.75, 1.0]
    assert rest.work == pytest.approx(whole.work, rel=1e-9)
    assert rest.energy == pytest.approx(whole.energy, rel=1e-9)
    assert np.abs(rest.displacement.x.array - whole.displacement.x.array).max() <= 1e-9
    # a finished run is loaded, not run again
    again = bent(unit_mesh(cell, 2), degree=degree).solve(load_steps=4, start=file)
    assert again.steps == rest.steps
    assert np.array_equal(again.displacement.x.array, rest.displacement.x.array)


def test_checkpoint_of_something_else(tmp_path: Path, cube: fem.Mesh) -> None:
    file = tmp_path / "run.h5"
    bent(cube).solve(checkpoint=file)
    with pytest.raises(fem.CheckpointError, match=r"is of another mesh \(fingerprint [0-9a-f]{12}, this mesh has"):
        bent(unit_mesh("hexahedron", 3)).solve(start=file)
    moved = unit_mesh("hexahedron", 2)
    moved.domain.geometry.x[:] *= 1.0 + 1e-9
    with pytest.raises(fem.CheckpointError, match="another mesh"):
        bent(moved).solve(start=file)
    with pytest.raises(fem.CheckpointError, match="with 27 nodes a cell, expected displacement with 8"):
        bent(cube, degree=1).solve(start=file)
    with pytest.raises(fem.CheckpointError, match="does not exist"):
        bent(cube).solve(start=tmp_path / "missing.h5")
    (tmp_path / "text.h5").write_text("text")
    with pytest.raises(fem.CheckpointError, match="cannot be read"):
        bent(cube).solve(start=tmp_path / "text.h5")
    with h5py.File(tmp_path / "foreign.h5", "w") as other:
        other["x"] = [1.0]
    with pytest.raises(fem.CheckpointError, match="is no atomlaw checkpoint"):
        bent(cube).solve(start=tmp_path / "foreign.h5")


def test_checkpoint_which_cannot_be_written(tmp_path: Path, cube: fem.Mesh) -> None:
    told: list[float] = []
    with pytest.raises(OSError, match="no folder that can be written to"):
        bent(cube).solve(checkpoint=tmp_path / "no" / "run.h5", progress=lambda load, message: told.append(load))
    assert not told  # said before anything was solved


@pytest.mark.skipif(not MPIEXEC.exists(), reason=f"no {MPIEXEC}")
def test_restart_on_another_number_of_ranks(tmp_path: Path) -> None:
    def run(ranks: int, *arguments: object) -> dict[str, Any]:
        return dict(json.loads(on_ranks(ranks, SCRIPT, *arguments).splitlines()[-1]))

    whole = run(1, "all", tmp_path / "a.h5")
    half = run(2, "half", tmp_path / "b.h5")
    assert 0.0 < half["load_factor"] < 1.0 and half["steps"] == 2
    for ranks in (1, 2):
        rest = run(ranks, "rest", tmp_path / "b.h5")
        assert rest["steps"] > half["steps"] and rest["load_factor"] == 1.0
        assert rest["energy"] == pytest.approx(whole["energy"], rel=1e-9)
        assert rest["work"] == pytest.approx(whole["work"], rel=1e-2)  # other steps
        assert rest["tip"] == pytest.approx(whole["tip"], abs=1e-9)
    refused = run(2, "other", tmp_path / "b.h5")
    assert refused["error"] == "CheckpointError"


def test_killed_at_any_moment(tmp_path: Path) -> None:
    # whatever the moment, the file is missing or whole
    file = tmp_path / "run.h5"
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(REPOSITORY)}
    random = np.random.default_rng(0)
    found = 0
    for _ in range(3):
        process = subprocess.Popen([sys.executable, str(SCRIPT), "many", str(file)], env=environment)
        deadline = time.monotonic() + 60.0
        while not file.exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.3 * random.random())
        process.send_signal(signal.SIGKILL)
        process.wait()
        with h5py.File(file, "r") as whole:
            steps = json.loads(whole.attrs["steps"].tobytes())
            assert len(steps) >= 1
            assert np.isfinite(whole["displacement/values"][:]).all()
        found += len(steps)
        file.unlink()
    assert found >= 3
