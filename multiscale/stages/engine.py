"""A chain of stages that survives interruption.

A stage fills a folder of its own, ``runs/NAME/STAGE``, with outputs known by name and a record of what they were made from: the
parts of the configuration it reads, the content of the files these name, and the outputs of the stages it needs. A stage whose record
still matches is kept; otherwise it is redone, and so are its dependants. Work happens in a hidden folder that takes its name when
complete, so that whatever ends a run leaves finished stages only; a stage that writes checkpoints finds them there next time.
"""

import errno
import fcntl
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from pydantic import BaseModel, ConfigDict, ValidationError

from multiscale.configuration import Configuration

SCHEMA_VERSION: Final = 1
"""Of the records; another number makes every stage run again."""

RECORD: Final = "record.json"
ROOM_TO_WRITE: Final = 1 << 20
"""A failure with less free space (bytes) than this is put down to the full disk."""

Progress = Callable[[float, str], None]


class RunFolderError(ValueError):
    """The run's folder cannot be used: not writable, or another run is in it."""


class DiskFull(RuntimeError):
    """No space is left for a stage's outputs."""


@dataclass(frozen=True)
class Finding:
    """What a stage found.

    Attributes:
        summary: one line: what was done and how well.
        metrics: numbers for the summary of the run; names carry the unit.
    """

    summary: str
    metrics: Mapping[str, float]


@dataclass(frozen=True)
class Job:
    """One stage at work.

    Attributes:
        configuration: of the whole run; a stage reads the keys it has declared.
        folder: where the outputs go, and checkpoints too.
        records: of the stages before.
        threads: cores to use.
        progress: to be told the fraction done and a message.
    """

    configuration: Configuration
    folder: Path
    run_folder: Path
    records: Mapping[str, "Record"]
    threads: int
    progress: Progress

    def upstream(self, stage: str, output: str) -> Path:
        """An output of a finished stage."""
        return self.run_folder / stage / output


@dataclass(frozen=True)
class Stage:
    """One link of the chain.

    Attributes:
        name: of the stage and its folder.
        reads: top-level keys of the configuration that its result depends on.
        needs: names of the stages whose outputs it reads.
        outputs: names of the files it leaves.
        work: does it.
    """

    name: str
    reads: tuple[str, ...]
    needs: tuple[str, ...]
    outputs: tuple[str, ...]
    work: Callable[[Job], Finding]


class Record(BaseModel):
    """What a finished stage was made from and what it made; ``record.json`` in its folder."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: int
    stage: str
    key: str
    ingredients: dict[str, Any]
    outputs: dict[str, str]
    metrics: dict[str, int | float]
    summary: str
    seconds: float

    @classmethod
    def read(cls, folder: Path) -> "Record | None":
        """The record in a stage's folder; None where there is none that this version understands."""
        try:
            return cls.model_validate_json((folder / RECORD).read_bytes())
        except (OSError, ValidationError):
            return None

    def intact(self, folder: Path) -> bool:
        """Whether the outputs are there as they were written."""
        return all((folder / name).is_file() and digest(folder / name) == found for name, found in self.outputs.items())


class Reporter(Protocol):
    """Told what happens; the command line prints it."""

    def working(self, stage: str) -> Progress:
        """A stage starts; returns where its progress goes."""
        ...

    def finished(self, record: Record, *, kept: bool) -> None:
        """A stage is done, or was kept."""
        ...


def run_chain(
    chain: Sequence[Stage], configuration: Configuration, run_folder: Path, reporter: Reporter, *, threads: int = 1
) -> dict[str, Record]:
    """Bring every stage of the chain up to date, in order; returns their records.

    Raises:
        RunFolderError: where the folder cannot be written or another run works in it.
        DiskFull: where no space is left.
        ValueError, RuntimeError: of the stages, with a note that names the stage.
    """
    records: dict[str, Record] = {}
    with _storage(run_folder):
        run_folder.mkdir(parents=True, exist_ok=True)
    with _storage(run_folder), _alone_in(run_folder):
        for stage in chain:
            ingredients = _ingredients(stage, configuration, records)
            folder = run_folder / stage.name
            record = Record.read(folder)
            kept = record is not None and record.key == _key(ingredients) and record.intact(folder)
            if record is None or not kept:
                record = _perform(stage, ingredients, configuration, run_folder, records, reporter, threads)
            records[stage.name] = record
            reporter.finished(record, kept=kept)
    return records


def write_whole(path: Path, text: str) -> None:
    """Write a text file whole or not at all."""
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def digest(path: Path) -> str:
    """SHA-256 of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _ingredients(stage: Stage, configuration: Configuration, records: Mapping[str, Record]) -> dict[str, Any]:
    """All that the stage's result depends on, as JSON."""
    return {
        "schema_version": SCHEMA_VERSION,
        "configuration": configuration.ingredients(stage.reads),
        "needs": {name: {"key": records[name].key, "outputs": records[name].outputs} for name in stage.needs},
    }


def _key(ingredients: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(ingredients, sort_keys=True).encode()).hexdigest()


def _perform(
    stage: Stage,
    ingredients: dict[str, Any],
    configuration: Configuration,
    run_folder: Path,
    records: Mapping[str, Record],
    reporter: Reporter,
    threads: int,
) -> Record:
    """Run one stage in its hidden folder, which then takes the stage's name."""
    key, folder, partial = _key(ingredients), run_folder / stage.name, run_folder / f".{stage.name}.partial"
    progress = reporter.working(stage.name)
    record = Record.read(partial)
    if record is None or record.key != key or not record.intact(partial):
        began = partial / "key"
        if not (began.is_file() and began.read_text() == key):
            # left by a run with other inputs: its checkpoints mean nothing here
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir()
            write_whole(began, key)
        spent = _Clock(partial / "seconds")
        job = Job(configuration, partial, run_folder, dict(records), threads, spent.keeping(progress))
        try:
            finding = stage.work(job)
            # the last chance to stop: a result is not kept where an interrupt was lost on its way
            progress(1.0, "")
        except Exception as error:
            error.add_note(f"stage {stage.name}")
            raise
        record = Record(
            schema_version=SCHEMA_VERSION,
            stage=stage.name,
            key=key,
            ingredients=ingredients,
            outputs={name: digest(partial / name) for name in stage.outputs},
            metrics={
                name: int(value) if isinstance(value, int) else float(value) for name, value in finding.metrics.items()
            },
            summary=finding.summary,
            seconds=spent.total(),
        )
        # from here on an interruption costs nothing: the next run tidies and renames
        write_whole(partial / RECORD, record.model_dump_json(indent=2))
    for path in partial.iterdir():
        if path.name not in (*stage.outputs, RECORD):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)
    return record


class _Clock:
    """Seconds spent on a stage, those of interrupted attempts included: whenever progress is told they are noted in a file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.before = float(path.read_text()) if path.is_file() else 0.0
        self.start = self.noted = time.perf_counter()

    def total(self) -> float:
        return self.before + time.perf_counter() - self.start

    def keeping(self, progress: Progress) -> Progress:
        def tell(fraction: float, message: str) -> None:
            if time.perf_counter() - self.noted > 1.0:
                self.noted = time.perf_counter()
                write_whole(self.path, repr(self.total()))
            progress(fraction, message)

        return tell


@contextmanager
def _alone_in(run_folder: Path) -> Iterator[None]:
    """Hold the folder's lock; the system lets go of it however the process ends."""
    with (run_folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RunFolderError(
                f"{run_folder}: another run is at work in this folder; wait for it, or choose another name"
            ) from error
        yield


@contextmanager
def _storage(run_folder: Path) -> Iterator[None]:
    """Tell failures of the storage from failures of the work."""
    try:
        yield
    except Exception as error:
        code = error.errno if isinstance(error, OSError) else None
        full = code in (errno.ENOSPC, errno.EDQUOT) or _free_space(run_folder) < ROOM_TO_WRITE
        if full and not isinstance(error, DiskFull):
            where = "; ".join([str(run_folder), *getattr(error, "__notes__", [])])
            raise DiskFull(
                f"{where}: no space is left on the disk; free some and run again: finished stages are kept"
            ) from error
        if code in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST):
            raise RunFolderError(f"{run_folder}: the run's folder cannot be written: {error}") from error
        raise


def _free_space(folder: Path) -> int:
    while not folder.is_dir():
        folder = folder.absolute().parent
    usage = shutil.disk_usage(folder)
    return usage.free if usage.total else ROOM_TO_WRITE  # not a disk, such as /proc
