"""The benchmark runner: what it writes, and what it says to a wrong name. The benchmarks themselves run by `make bench`."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def runner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The runner, with a folder of its own that holds one benchmark."""
    specification = importlib.util.spec_from_file_location("run", FOLDER / "run.py")
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    (tmp_path / "toy.py").write_text("def measure():\n    return {'toy_us': 1.25}\n")
    monkeypatch.setattr(module, "FOLDER", tmp_path)
    monkeypatch.setattr(module, "RESULTS", tmp_path / "results.json")
    return module


def test_prints_and_records(runner: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    runner.RESULTS.write_text(json.dumps({"toy.gone_us": 3.0, "other.kept_us": 2.0}))
    assert runner.main(["toy"]) == 0
    assert "toy_us" in capsys.readouterr().out
    results = json.loads(runner.RESULTS.read_text())
    assert results["toy.toy_us"] == 1.25
    assert results["other.kept_us"] == 2.0
    assert "toy.gone_us" not in results
    assert {"toy.machine", "toy.versions", "toy.date"} <= results.keys()


def test_unknown_name(runner: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert runner.main(["tyo"]) == 2
    assert "expected one of toy" in capsys.readouterr().err


def test_committed_results_are_flat() -> None:
    results = json.loads((FOLDER / "results.json").read_text())
    assert all(isinstance(value, (int, float, str)) for value in results.values())
    texts = {path.stem: path.read_text() for path in FOLDER.glob("*.py") if path.stem != "run"}
    measured = {name for name, text in texts.items() if "\ndef measure(" in text or "\nRESULTS: " in text}
    assert measured == {key.partition(".")[0] for key in results}
