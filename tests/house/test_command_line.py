"""The command: its help, its exit statuses, one short error on stderr, a traceback only where it is asked for."""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from multiscale import command_line
from multiscale.command_line import main
from multiscale.stages.engine import DiskFull, Finding, Job, RunFolderError, Stage

from .conftest import Written

ROOT = Path(__file__).parents[2]


def atomlaw(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "multiscale.command_line", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=ROOT,
        env=os.environ | variables,
    )


def test_help_names_the_commands() -> None:
    told = atomlaw("--help")
    assert told.returncode == 0 and told.stderr == ""
    assert {"run", "check"} <= set(told.stdout.split())
    of_run = atomlaw("run", "--help")
    assert of_run.returncode == 0
    assert {"--runs", "--threads", "--traceback"} <= set(of_run.stdout.replace("[", " ").replace("]", " ").split())


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == "atomlaw 0.1.0\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "the following arguments are required: COMMAND"),
        (["rum", "a.toml"], "invalid choice: 'rum'"),
        (["run"], "the following arguments are required: configuration"),
        (["run", "a.toml", "--threads", "0"], "argument --threads: '0', expected a whole number of at least 1"),
        (["run", "a.toml", "--threads", "two"], "argument --threads: 'two', expected a whole number"),
        (["run", "a.toml", "--thread-count", "2"], "unrecognized arguments: --thread-count"),
    ],
)
def test_wrong_arguments(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


def test_mistake_in_a_process_of_its_own(tiny: Written) -> None:
    """Status, one line on stderr and nothing on stdout; the same with what the libraries print at exit."""
    path = tiny(("neurons = 2", "neurons = -2"))
    told = atomlaw("run", str(path))
    assert (told.returncode, told.stdout) == (2, "")
    line = f"{path}: [law] neurons = -2: expected a number greater than or equal to 1"
    assert told.stderr == f"atomlaw: error: {line}\n"


def test_traceback_where_asked_for(tiny: Written) -> None:
    told = atomlaw("check", "--traceback", str(tiny(('"stillinger-weber"', '"emt"'))))
    assert told.returncode == 2
    assert "Traceback (most recent call last)" in told.stderr and "NotImplementedError" in told.stderr
    assert told.stderr.splitlines()[-1].startswith("atomlaw: error: ")


ERRORS: list[tuple[BaseException, int, str]] = [
    (RunFolderError("runs/a: another run is at work"), 2, "error: runs/a: another run is at work"),
    (ValueError("wrong"), 2, "error: ValueError: wrong; --traceback shows where"),
    (DiskFull("runs/a: no space"), 1, "error: runs/a: no space"),
    (RuntimeError("failed"), 1, "error: RuntimeError: failed; --traceback shows where"),
    (MemoryError(), 1, "error: MemoryError: "),
    (
        ModuleNotFoundError("No module named 'dolfinx'", name="dolfinx"),
        1,
        "error: dolfinx is not installed; FEniCSx comes with: pip install 'atomlaw[fenicsx]'",
    ),
    (KeyboardInterrupt(), 130, "interrupted; finished stages are kept, run the same command to go on"),
]


@pytest.mark.parametrize(("error", "status", "message"), ERRORS, ids=lambda value: type(value).__name__)
def test_exit_status(
    error: BaseException,
    status: int,
    message: str,
    tiny: Written,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(options: object) -> None:
        raise error

    monkeypatch.setattr(command_line, "_check", fail)
    assert main(["check", "a.toml"]) == status
    told = capsys.readouterr().err
    assert told.startswith(f"atomlaw: {message}")
    assert told.count("\n") == 1 and "Traceback" not in told


def test_singular_matrix_is_not_the_users_mistake(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import numpy as np

    monkeypatch.setattr(command_line, "_check", lambda options: np.linalg.inv(np.zeros((3, 3))))
    assert main(["check", "a.toml"]) == 1
    assert "LinAlgError: Singular matrix" in capsys.readouterr().err


def test_signals_are_answered_by_the_caller_again() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    main(["check", "none.toml"])
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupt_lost_in_compiled_code(
    tiny: Written, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], number: signal.Signals
) -> None:
    """Cython functions that cannot raise drop the interrupt, and what they return is wrong: it must not be kept."""

    def lose(job: Job) -> Finding:
        with suppress(KeyboardInterrupt):
            signal.raise_signal(number)
        (job.folder / "output").write_text("wrong")
        return Finding("done", {})

    monkeypatch.setattr("multiscale.stages.CHAIN", (Stage("lossy", (), (), ("output",), lose),))
    path = tiny()
    assert main(["run", str(path), "--runs", str(path.parent / "runs")]) == 130
    assert capsys.readouterr().err.startswith("atomlaw: interrupted; finished stages are kept")
    assert not (path.parent / "runs" / "tiny" / "lossy").exists()


def test_unwritable_run_folder(tiny: Written, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "runs").write_text("a file")
    assert main(["run", str(tiny()), "--runs", str(tmp_path / "runs")]) == 2
    told = capsys.readouterr().err
    assert told.startswith(f"atomlaw: error: {tmp_path / 'runs' / 'tiny'}: the run's folder cannot be written: ")
    assert told.count("\n") == 1


def test_rooms_load_neither_torch_nor_dolfinx() -> None:
    program = "import sys, fem, multiscale, atomistic; print(sorted({'torch', 'dolfinx', 'petsc4py', 'ase'} & set(sys.modules)))"
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert told.stdout == "[]\n"
