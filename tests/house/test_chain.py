"""The real chain, tiny: its numbers, interruptions, changed inputs, a load too large, a full disk."""

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import h5py
import pytest

from multiscale.command_line import main
from multiscale.stages import CHAIN

from .conftest import write_box, write_tiny

STAGES = [stage.name for stage in CHAIN]

PROMISED = {
    *("nnp_energy_rmse_mev_atom", "nnp_force_rmse_ev_a", "nnp_stress_rmse_gpa", "states"),
    *(f"{owner}_{constant}" for owner in ("reference", "nnp", "law") for constant in ("c11", "c12", "c44")),
    *("law_stress_nmse", "law_tangent_nmse", "fe_dofs", "fe_newton_iterations"),
    *("truth_displacement_error", "truth_stress_nmse", "truth_speedup", "seconds_total"),
}

MEASURED = ("seconds", "truth_us_per_point", "truth_speedup", "report_megabytes")
"""Numbers that the clock has a part in."""


def command(path: Path) -> list[str]:
    runs = str(path.parent / "runs")
    return [sys.executable, "-m", "multiscale.command_line", "run", str(path), "--runs", runs, "--threads", "1"]


def stages_told(output: str) -> dict[str, bool]:
    """Stage -> whether it was kept, in the order of the lines printed."""
    lines = [line for line in output.splitlines() if line.split()[0] in STAGES]
    return {line.split()[0]: line.endswith("[kept]") for line in lines}


def summary(path: Path) -> dict[str, Any]:
    return dict(json.loads((path.parent / "runs" / "tiny" / "summary.json").read_text()))


def reproducible(numbers: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in numbers.items() if not name.startswith(MEASURED)}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, boxes: Path) -> Path:
    """tiny.toml beside its run, done without interruption."""
    path = write_tiny(tmp_path_factory.mktemp("finished"), boxes)
    ended = subprocess.run(command(path), capture_output=True, text=True, timeout=300, check=False)
    assert ended.returncode == 0, ended.stderr
    assert stages_told(ended.stdout) == dict.fromkeys(STAGES, False)
    return path


@pytest.fixture
def copied(tmp_path: Path, finished: Path) -> Path:
    """A copy of the finished run, to be spoilt."""
    shutil.copytree(finished.parent, tmp_path, dirs_exist_ok=True)
    return tmp_path / finished.name


def again(path: Path, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Run again in this process; the stages that were not kept."""
    capsys.readouterr()
    assert main(command(path)[3:]) == 0
    told = stages_told(capsys.readouterr().out)
    assert list(told) == STAGES
    return [name for name, kept in told.items() if not kept]


def test_summary_is_flat_and_has_what_is_promised(finished: Path) -> None:
    numbers = summary(finished)
    assert set(numbers) >= PROMISED
    assert {type(value) for name, value in numbers.items() if name != "name"} <= {int, float}
    assert numbers["reference_c11"] == pytest.approx(151.4, abs=0.1)
    assert numbers["states"] == 12
    page = (finished.parent / "runs" / "tiny" / "report.html").read_text(encoding="utf-8")
    assert "http-equiv" not in page and 'src="http' not in page, "the page is self-contained"


def test_nothing_is_repeated(copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = summary(copied)
    assert again(copied, capsys) == []
    assert summary(copied) == before


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_changes_redo_their_dependants(copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_box(copied.parent / "coarse.msh", size=0.9)
    assert again(copied, capsys) == ["truth", "report"]
    edit(copied, "neurons = 2", "neurons = 3")
    assert again(copied, capsys) == ["law", "structure", "truth", "report"]


def test_damage_is_repaired(copied: Path, finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A stage redone gives the same bytes, so that nothing after it needs to be."""
    run = copied.parent / "runs" / "tiny"
    with (run / "law" / "law.safetensors").open("r+b") as file:
        file.seek(-8, 2)
        file.write(b"\0" * 8)
    (run / "data" / "states.h5").unlink()
    (run / "summary.json").write_text("{")
    assert again(copied, capsys) == ["data", "law"]
    assert reproducible(summary(copied)) == reproducible(summary(finished))


def interrupt(path: Path, stage: str, number: signal.Signals) -> None:
    """Start the run and send it a signal as soon as the stage is at work."""
    folder = path.parent / "runs" / "tiny" / f".{stage}.partial"
    # the potential's training leaves a checkpoint, and is to go on from there
    sign = folder / ("checkpoint_0.safetensors" if stage == "potential" else "key")
    with subprocess.Popen(command(path), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        while not sign.exists():
            assert process.poll() is None, f"the run ended before {stage}"
            time.sleep(0.001)
        process.send_signal(number)
        output, errors = process.communicate(timeout=60)
    if number == signal.SIGKILL:
        assert process.returncode == -number
    else:
        assert process.returncode == 130
        assert errors.splitlines()[-1].startswith("atomlaw: interrupted; finished stages are kept")
    assert list(stages_told(output)) == STAGES[: STAGES.index(stage)]


def interrupted_run(path: Path, plan: dict[str, signal.Signals]) -> None:
    """Interrupt one run several times, then let it end; no finished stage is ever repeated."""
    for stage, number in plan.items():
        interrupt(path, stage, number)
    ended = subprocess.run(command(path), capture_output=True, text=True, timeout=300, check=False)
    assert ended.returncode == 0, ended.stderr
    told = stages_told(ended.stdout)
    last = STAGES.index(list(plan)[-1])
    assert told == {name: index < last for index, name in enumerate(STAGES)}


def test_interrupted_run_ends_the_same(tmp_path: Path, boxes: Path, finished: Path) -> None:
    """Killed in the training after a checkpoint, and with worker processes at work."""
    path = write_tiny(tmp_path, boxes)
    interrupted_run(path, {"potential": signal.SIGKILL, "thermal": signal.SIGINT})
    assert reproducible(summary(path)) == reproducible(summary(finished))


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_run_interrupted_at_every_stage_ends_the_same(
    tmp_path: Path, boxes: Path, finished: Path, number: signal.Signals
) -> None:
    path = write_tiny(tmp_path, boxes)
    interrupted_run(path, dict.fromkeys(STAGES, number))
    assert reproducible(summary(path)) == reproducible(summary(finished))


def test_load_that_cannot_converge(copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit status 1, one short error with the place to change, the last converged state on disk, finished stages kept."""
    edit(copied, "0.0, -0.2]", "0.0, -1e9]")
    assert main(command(copied)[3:]) == 1
    told = capsys.readouterr()
    assert stages_told(told.out) == dict.fromkeys(STAGES[:5], True)
    left = copied.parent / "runs" / "tiny" / "last_converged.vtkhdf"
    (line,) = [line for line in told.err.splitlines() if line.startswith("atomlaw: ")]
    assert line.startswith("atomlaw: error: no equilibrium found beyond ")
    assert f"it is written to {left}; change [structure] traction_gpa or load_steps" in line
    assert "Traceback" not in told.err and len(line) < 800
    with h5py.File(left) as file:
        assert len(file["VTKHDF/Points"]) > 8
    edit(copied, "-1e9]", "-0.2]")
    assert again(copied, capsys) == []


CROWDED = """
set -e
mount -t tmpfs -o size=4m tmpfs "$1"
cp -r "$2" "$1/runs"
# all but a few kilobytes are taken: the law goes in, its comparison with the held-out states does not
head -c 16m /dev/zero > "$1/filling" 2>/dev/null || true
truncate -s -12k "$1/filling"
shift 2
exec "$@"
"""


def small_disks() -> bool:
    """Whether this system lets a process mount a disk of its own."""
    mount = ["unshare", "-rm", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    return shutil.which("unshare") is not None and subprocess.run(mount, capture_output=True).returncode == 0


@pytest.mark.skipif(not small_disks(), reason="this system gives no small disk of one's own")
def test_full_disk(copied: Path) -> None:
    """A real disk without space: exit status 1, one short error, and all that was finished is there."""
    edit(copied, "neurons = 2", "neurons = 3")
    disk = copied.parent / "disk"
    disk.mkdir()
    run = [*command(copied)[:5], "--runs", str(disk / "runs")]
    ended = subprocess.run(
        ["unshare", "-rm", "sh", "-c", CROWDED, "sh", str(disk), str(copied.parent / "runs"), *run],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 1, ended.stderr
    assert ended.stderr == (
        f"atomlaw: error: {disk / 'runs' / 'tiny'}; stage law: no space is left on the disk; "
        "free some and run again: finished stages are kept\n"
    )
    assert stages_told(ended.stdout) == dict.fromkeys(STAGES[:4], True)
