"""The set-up script: which Python it takes, what it says where something is missing. It never gets as far as installing here."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOOLS = ("sh", "cat", "cksum", "dirname", "rm")


class Machine:
    """A bare machine: a copy of the project's set-up, a PATH with hardly anything, an empty home."""

    def __init__(self, folder: Path) -> None:
        self.project, self.home, self.path = folder / "project", folder / "home", folder / "bin"
        for made in (self.project / "tools", self.home, self.path):
            made.mkdir(parents=True)
        for name in ("pyproject.toml", "constraints.txt", "tools/install.sh"):
            shutil.copy(ROOT / name, self.project / name)
        for tool in TOOLS:
            (self.path / tool).symlink_to(str(shutil.which(tool)))

    def program(self, path: Path, text: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)

    def install(self, **variables: str) -> subprocess.CompletedProcess[str]:
        environment = {"PATH": str(self.path), "HOME": str(self.home), **variables}
        command = ["sh", str(self.project / "tools" / "install.sh")]
        return subprocess.run(
            command, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
        )


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_says_what_is_needed_where_no_python_runs(machine: Machine) -> None:
    # a shim that only prints an error, and a Python that is too old
    machine.program(machine.path / "python3.12", "echo 'pyenv: python3.12: command not found' >&2; exit 127")
    machine.program(machine.path / "python3", "exit 1")
    done = machine.install()
    assert done.returncode != 0
    assert "no Python >= 3.12" in done.stderr
    assert "PYTHON=" in done.stderr
    assert not (machine.project / ".venv").exists()


def test_refuses_the_python_named_where_it_does_not_run(machine: Machine) -> None:
    done = machine.install(PYTHON="/nowhere/python")
    assert done.returncode != 0
    assert "/nowhere/python" in done.stderr


def test_finds_a_python_of_pyenv_that_is_not_activated(machine: Machine) -> None:
    machine.program(machine.path / "python3.12", "exit 127")
    # a wrapper, not a link: a linked interpreter would look for its library beside the link
    machine.program(machine.home / ".pyenv/versions/3.12.1/bin/python3.12", f'exec "{sys.executable}" "$@"')
    done = machine.install()
    # found; the next thing that is missing is the compiler
    assert done.returncode != 0
    assert "C compiler" in done.stderr
    assert "no Python" not in done.stderr


def test_removes_what_an_interruption_left_and_leaves_no_stamp(machine: Machine) -> None:
    machine.program(machine.path / "cc", "exit 0")
    venv = machine.project / ".venv"
    (venv / "half").mkdir(parents=True)
    # an interpreter that passes the check but fails to make an environment, as where the disk is full
    python = f'case "$*" in *"-m venv"*) exit 3;; esac; exec "{sys.executable}" "$@"'
    machine.program(machine.home / "python", python)
    done = machine.install(PYTHON=str(machine.home / "python"))
    assert done.returncode == 3
    assert "unfinished" in done.stderr
    assert not venv.exists()
