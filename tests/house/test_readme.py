"""The script of the README runs as printed, with fewer configurations, cycles and states; what the page names is there."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")

SMALLER = (
    ("seed=0)\ntraining", "seed=0, groups=atomistic.default_groups(0.1))\ntraining"),
    ("train(training, seed=0)", "train(training, atomistic.TrainingSettings(cycles=1, iterations=60), seed=0)"),
    ("states=100", "states=30"),
    ("max_strain=0.06, states", "max_strain=0.03, states"),
    ("PointGroup.of(silicon))", "PointGroup.of(silicon), neurons=2, starts=1)"),
    ("meshes/bracket.msh", "meshes/bracket_coarse.msh"),
    ("(0.0, 0.0, -0.35)", "(0.0, 0.0, -0.02)"),
    ("load_steps=5", "load_steps=1"),
)
"""What the test changes so that the script takes seconds."""


def test_script(tmp_path: Path) -> None:
    (script,) = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    for old, new in SMALLER:
        assert script.count(old) == 1, f"{old!r} is not once in the script of the README"
        script = script.replace(old, new)
    script = script.replace("meshes/", f"{ROOT}/meshes/")
    (tmp_path / "script.py").write_text(script)
    done = subprocess.run(
        [sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    for made in ("silicon.safetensors", "bracket.vtkhdf", "bracket.png"):
        assert (tmp_path / made).stat().st_size > 0


def test_script_is_short() -> None:
    (script,) = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    lines = [line for line in script.splitlines() if line.strip() and not line.startswith("#")]
    assert len(lines) <= 25


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\(([^)#:]+)\)", README))))
def test_links(target: str) -> None:
    assert (ROOT / target).exists()


@pytest.mark.parametrize("target", sorted(set(re.findall(r"(?:    |`)make ([a-z-]+)", README))))
def test_make_targets(target: str) -> None:
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)


def test_configurations_named() -> None:
    for path in re.findall(r"examples/\w+\.toml", README):
        assert (ROOT / path).is_file()
