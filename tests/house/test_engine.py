"""The chain of stages: interrupted anywhere, started again, it ends as if nothing had happened; and it says what storage lacks."""

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from multiscale.configuration import Configuration
from multiscale.stages.engine import DiskFull, Finding, Job, Record, RunFolderError, run_chain

from . import toy_chain
from .conftest import TINY
from .toy_chain import CHAIN, Silent

Change = Callable[[Path], object]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A configuration whose meshes are texts; the stages here only copy them."""
    for name in ("box.msh", "coarse.msh"):
        (tmp_path / name).write_text(name)
    path = tmp_path / "toy.toml"
    path.write_text(TINY.read_text(encoding="utf-8").replace("seed = 0", "seed = 7"), encoding="utf-8")
    return path


def bring_up_to_date(path: Path) -> list[str]:
    """Run the chain; the names of the stages that were at work."""
    reporter = Silent()
    run_chain(CHAIN, Configuration.read(path), path.parent / "run", reporter)
    assert list(reporter.kept) == [stage.name for stage in CHAIN]
    return [name for name, kept in reporter.kept.items() if not kept]


@pytest.mark.parametrize("mode", ["crash", "full"])
def test_interrupted_at_every_access_to_the_disk(path: Path, mode: str) -> None:
    """Killed, or out of space, before each single access: finished stages are kept, the end is the same."""
    command = [sys.executable, toy_chain.__file__, str(path), str(path.parent / "runs" / "toy"), mode]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert ended.returncode == 0, ended.stderr
    rounds = [json.loads(line) for line in ended.stdout.splitlines()]
    *interrupted, untouched = rounds
    assert untouched["status"] == toy_chain.UNTOUCHED and untouched["finished"] == [stage.name for stage in CHAIN]
    expected = {"crash": {-9}, "full": {0, 1}}[mode]  # a read that fails for want of space is no failure of the run
    assert {turn["status"] for turn in interrupted} == expected
    assert len(interrupted) > 40
    assert {len(turn["finished"]) for turn in interrupted} >= {0, 1, 2, 3}
    for turn in rounds:
        assert turn["same"] and turn["complete"]
        assert turn["kept"] == turn["finished"]
        assert len(turn["twice"]) <= 1, "at most the piece of work that was interrupted is done twice"


def edited(old: str, new: str) -> Change:
    def edit(folder: Path) -> None:
        text = (folder / "toy.toml").read_text()
        assert old in text
        (folder / "toy.toml").write_text(text.replace(old, new))

    return edit


def corrupt(name: str) -> Change:
    def overwrite(folder: Path) -> None:
        (folder / "run" / name).write_text("damaged")

    return overwrite


CHANGES: dict[str, tuple[Change, list[str]]] = {
    "nothing": (lambda folder: None, []),
    "a key of the first stage": (edited("seed = 7", "seed = 8"), ["first", "second", "last"]),
    "a key of a later stage": (edited("neurons = 2", "neurons = 3"), ["second", "last"]),
    "a key of the last stage": (edited("seed = 7", 'seed = 7\nreport = { title = "T" }'), ["last"]),
    "a key that no stage reads": (edited("states = 12", "states = 13"), []),
    "a comment": (edited("[law]", "# the law\n[law]"), []),
    "a mesh": (lambda folder: (folder / "coarse.msh").write_text("other"), ["third", "last"]),
    "a mesh that no stage reads": (lambda folder: (folder / "box.msh").write_text("other"), []),
    "a mesh touched": (lambda folder: os.utime(folder / "coarse.msh"), []),
    # redone, and as its outputs are the same nothing else is
    "damaged output": (corrupt("second/product"), ["second"]),
    "output gone": (lambda folder: (folder / "run/third/mesh").unlink(), ["third"]),
    "damaged record": (corrupt("first/record.json"), ["first"]),
    "record of another version": (
        lambda folder: (folder / "run/last/record.json").write_text('{"schema_version": 0}'),
        ["last"],
    ),
}


@pytest.mark.parametrize(("change", "redone"), CHANGES.values(), ids=CHANGES.keys())
def test_dependants_of_a_change_are_redone(path: Path, change: Change, redone: list[str]) -> None:
    assert bring_up_to_date(path) == ["first", "second", "third", "last"]
    change(path.parent)
    assert bring_up_to_date(path) == redone
    assert bring_up_to_date(path) == []
    report = (path.parent / "run" / "last" / "report.html").read_text()
    configuration = Configuration.read(path)
    assert report == f"{configuration.seed * configuration.law.neurons} {configuration.truth.mesh.read_text()}"


def test_checkpoints_of_other_inputs_are_not_taken(path: Path) -> None:
    partial = path.parent / "run" / ".second.partial"
    partial.mkdir(parents=True)
    (partial / "key").write_text("of another configuration")
    (partial / "checkpoint").write_text("3")
    bring_up_to_date(path)
    assert (path.parent / toy_chain.LOG).read_text().count("second") == 3


def test_seconds_of_interrupted_attempts_count(path: Path) -> None:
    partial = path.parent / "run" / ".first.partial"
    bring_up_to_date(path)
    record = Record.read(path.parent / "run" / "first")
    assert record is not None and record.seconds < 50.0
    (path.parent / "run" / "first").rename(partial)
    (partial / "record.json").unlink()
    (partial / "key").write_text(record.key)
    (partial / "seconds").write_text("100.0")
    assert bring_up_to_date(path) == ["first"]
    again = Record.read(path.parent / "run" / "first")
    assert again is not None and 100.0 < again.seconds < 150.0


def test_two_runs_in_one_folder(path: Path) -> None:
    """The second is refused while the first is at work, and the first is not disturbed."""
    refused = []

    def meddle(job: Job) -> Finding:
        with pytest.raises(RunFolderError, match=r"run: another run is at work in this folder; wait for it"):
            bring_up_to_date(path)
        refused.append(job)
        return CHAIN[0].work(job)

    chain = (replace(CHAIN[0], work=meddle), *CHAIN[1:])
    run_chain(chain, Configuration.read(path), path.parent / "run", Silent())
    assert len(refused) == 1
    assert bring_up_to_date(path) == []


def test_file_in_place_of_the_folder(path: Path) -> None:
    (path.parent / "run").write_text("occupied")
    with pytest.raises(RunFolderError, match=r"run: the run's folder cannot be written: .*File exists"):
        bring_up_to_date(path)
    assert (path.parent / "run").read_text() == "occupied"


@pytest.mark.parametrize("code", [errno.EACCES, errno.EROFS, errno.EPERM])
def test_unwritable_folder(path: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    def refuse(self: Path, *arguments: object, **options: object) -> None:
        raise OSError(code, os.strerror(code), str(self))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(RunFolderError, match=f"cannot be written: .*{os.strerror(code)}"):
        bring_up_to_date(path)


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write anywhere")
def test_folder_without_permission(path: Path) -> None:
    path.parent.chmod(0o500)
    try:
        with pytest.raises(RunFolderError, match="cannot be written"):
            bring_up_to_date(path)
    finally:
        path.parent.chmod(0o700)


def test_full_device(path: Path) -> None:
    """The system's own full device under an output: what was finished stays, the error names the stage."""

    def write_to_full_device(job: Job) -> Finding:
        (job.folder / "mesh").symlink_to("/dev/full")
        return toy_chain.third(job)

    chain = (*CHAIN[:2], replace(CHAIN[2], work=write_to_full_device), CHAIN[3])
    with pytest.raises(DiskFull, match=r"run; stage third: no space is left on the disk; free some and run again"):
        run_chain(chain, Configuration.read(path), path.parent / "run", Silent())
    (path.parent / "run" / ".third.partial" / "mesh").unlink()
    assert bring_up_to_date(path) == ["third", "last"]


def test_failure_of_a_stage_names_it_and_keeps_the_rest(path: Path) -> None:
    def fail(job: Job) -> Finding:
        raise RuntimeError("no equilibrium")

    chain = (*CHAIN[:2], replace(CHAIN[2], work=fail), CHAIN[3])
    with pytest.raises(RuntimeError, match="no equilibrium") as caught:
        run_chain(chain, Configuration.read(path), path.parent / "run", Silent())
    assert caught.value.__notes__ == ["stage third"]
    assert bring_up_to_date(path) == ["third", "last"]
