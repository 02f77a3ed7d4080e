"""Compiling on first use: the cache, and what is told where it fails."""

import os
import stat
from pathlib import Path

import pytest

from atomistic import compiler

SOURCE = "double twice(double x) { return 2 * x; }"

try:
    compiler.compiler_found(os.environ.get("CC", ""), os.environ.get("PATH", ""))
except OSError:
    pytest.skip("no C compiler", allow_module_level=True)


def test_a_library_is_built_once_and_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    library, _ = compiler.load_library("twice", SOURCE, "double twice(double x);")
    assert library.twice(21.0) == 42.0
    path = compiler.built_library("twice", SOURCE)
    made = path.stat().st_mtime_ns
    assert compiler.built_library("twice", SOURCE) == path
    assert path.stat().st_mtime_ns == made
    assert compiler.built_library("twice", SOURCE + " ") != path
    assert stat.S_IMODE((tmp_path / "atomlaw").stat().st_mode) == 0o700


def test_a_source_that_does_not_compile_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(OSError, match=r"fails: .*error"):
        compiler.built_library("broken", "int broken(")
    assert list((tmp_path / "atomlaw").iterdir()) == []


def test_without_a_compiler_the_names_looked_for_are_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    with pytest.raises(OSError, match="none of cc, gcc, clang is on the PATH"):
        compiler.built_library("twice", SOURCE)
