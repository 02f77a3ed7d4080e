"""A chain of four stages that take no time, and a run of it that is killed at the n-th access to the disk.

    python toy_chain.py CONFIGURATION RUN_FOLDER crash|full

``crash``: for n = 1, 2, ... a process of its own is killed before its n-th access to the disk; the same run is then started again
and must end with the same outputs. ``full``: the n-th access fails for want of space instead. One line of JSON a round.
"""

import errno
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from multiscale.configuration import Configuration
from multiscale.stages.engine import DiskFull, Finding, Job, Record, Stage, run_chain, write_whole

LOG = "log"
"""Beside the run's folder: a line for each piece of work done."""

ACCESSES = {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir"}
"""Events of Python's audit that touch the disk."""

UNTOUCHED = 10
"""Exit status of a run that ended before its n-th access to the disk."""


class Silent:
    """A reporter that keeps what it is told."""

    def __init__(self) -> None:
        self.kept: dict[str, bool] = {}

    def working(self, stage: str) -> Callable[[float, str], None]:
        return lambda fraction, message: None

    def finished(self, record: Record, *, kept: bool) -> None:
        self.kept[record.stage] = kept


def note(job: Job, line: str) -> None:
    """A line in the log, which outlives a crash."""
    with (job.run_folder.parent / LOG).open("a") as log:
        log.write(line + "\n")


def first(job: Job) -> Finding:
    (job.folder / "seed").write_text(str(job.configuration.seed))
    note(job, "first")
    return Finding("drawn", {"seed": job.configuration.seed})


def second(job: Job) -> Finding:
    """Three steps with a checkpoint after each; what was done before a crash is not done again."""
    checkpoint = job.folder / "checkpoint"
    done = int(checkpoint.read_text()) if checkpoint.is_file() else 0
    for step in range(done, 3):
        note(job, f"second {step}")
        write_whole(checkpoint, str(step + 1))
    folder = job.folder / "scratch"
    folder.mkdir(exist_ok=True)
    (folder / "leftover").write_text("not an output")
    seed = int(job.upstream("first", "seed").read_text())
    (job.folder / "product").write_text(str(seed * job.configuration.law.neurons))
    (job.folder / "other").write_text("always the same")
    return Finding("multiplied", {"product": seed * job.configuration.law.neurons})


def third(job: Job) -> Finding:
    (job.folder / "mesh").write_bytes(job.configuration.truth.mesh.read_bytes())
    note(job, "third")
    return Finding("copied", {"bytes": job.configuration.truth.mesh.stat().st_size})


def last(job: Job) -> Finding:
    parts = [job.upstream("second", "product").read_text(), job.upstream("third", "mesh").read_text()]
    (job.folder / "report.html").write_text(" ".join(parts))
    note(job, "last")
    return Finding("told", {"third_bytes": job.records["third"].metrics["bytes"]})


CHAIN = (
    Stage("first", ("seed",), (), ("seed",), first),
    Stage("second", ("law",), ("first",), ("product", "other"), second),
    Stage("third", ("truth",), (), ("mesh",), third),
    Stage("last", ("report",), ("second", "third"), ("report.html",), last),
)


def outputs(run_folder: Path) -> dict[str, str]:
    """Everything in a run's folder but the seconds that it took."""
    found = {}
    for path in sorted(path for path in run_folder.rglob("*") if path.is_file()):
        text = path.read_text()
        if path.name == "record.json":
            text = json.dumps(json.loads(text) | {"seconds": 0.0})
        found[str(path.relative_to(run_folder))] = text
    return found


def attempt(configuration: Configuration, run_folder: Path, interrupt: Callable[[], None], number: int) -> int:
    """Run in a process of its own with `interrupt` called before the n-th access to the disk; its exit status."""
    child = os.fork()
    if child == 0:
        left = number

        def watch(event: str, arguments: tuple[object, ...]) -> None:
            nonlocal left
            if event in ACCESSES and str(run_folder) in str(arguments[0]):
                left -= 1
                if left == 0:
                    interrupt()

        sys.addaudithook(watch)
        try:
            run_chain(CHAIN, configuration, run_folder, Silent())
        except DiskFull:
            os._exit(1)
        except BaseException as error:
            print(f"{number}: {error!r}", file=sys.stderr)
            os._exit(3)
        os._exit(UNTOUCHED if left > 0 else 0)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60.0)


def no_space() -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def main() -> None:
    os.fsync = lambda file: None  # a killed process loses nothing that the system has; syncing takes most of the time
    configuration, run_folder = Configuration.read(sys.argv[1]), Path(sys.argv[2])
    interrupt = {"crash": die, "full": no_space}[sys.argv[3]]
    log = run_folder.parent / LOG
    run_chain(CHAIN, configuration, run_folder, Silent())
    expected = outputs(run_folder)
    work = log.read_text().splitlines()
    status, number = 0, 0
    while status != UNTOUCHED:
        number += 1
        shutil.rmtree(run_folder)
        log.unlink()
        status = attempt(configuration, run_folder, interrupt, number)
        # a stage is finished from the moment when its folder has its name
        finished = [stage.name for stage in CHAIN if (run_folder / stage.name).is_dir()]
        done = log.read_text().splitlines() if log.exists() else []
        reporter = Silent()
        run_chain(CHAIN, configuration, run_folder, reporter)
        repeated = log.read_text().splitlines()[len(done) :] if log.exists() else []
        print(
            json.dumps(
                {
                    "status": status,
                    "same": outputs(run_folder) == expected,
                    "finished": finished,
                    "kept": [name for name, kept in reporter.kept.items() if kept],
                    "complete": set(done) | set(repeated) == set(work),
                    "twice": [line for line in repeated if line in done],
                }
            )
        )


if __name__ == "__main__":
    main()
