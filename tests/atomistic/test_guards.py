"""Guards of a simulation: a blow-up is a named error that keeps the last good frame; uncertainty stops or warns."""

import pickle
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.md.langevin import Langevin
from ase.md.verlet import VelocityVerlet
from ase.optimize import BFGS

import atomistic
from atomistic import DynamicsFailed, UncertainStructure, UncertainStructureWarning, UncertaintyGuard, guarded_run

from .conftest import random_potential


def copper(timestep_fs: float, temperature: float = 300.0) -> tuple[Atoms, VelocityVerlet]:
    atoms = bulk("Cu", cubic=True).repeat(2)
    atoms.calc = EMT()
    generator = np.random.default_rng(0)
    atoms.set_momenta(generator.normal(0.0, np.sqrt(atoms.get_masses()[:, None] * units.kB * temperature), (32, 3)))
    return atoms, VelocityVerlet(atoms, timestep_fs * units.fs)


def test_explosion_keeps_the_last_good_frame(tmp_path: Path) -> None:
    _, dynamics = copper(timestep_fs=60.0)
    path = tmp_path / "last.extxyz"
    with pytest.raises(DynamicsFailed, match=r"smaller than 60 fs.*last\.extxyz") as caught:
        guarded_run(dynamics, 2000, max_temperature=3000.0, checkpoint=path, interval=2)
    kept = caught.value.last_good
    assert kept is not None
    assert np.isfinite(kept.positions).all() and kept.get_temperature() <= 3000.0
    written = ase.io.read(path)
    assert isinstance(written, Atoms)
    np.testing.assert_allclose(written.positions, kept.positions, atol=1e-7)
    np.testing.assert_allclose(written.get_momenta(), kept.get_momenta(), atol=1e-7)
    np.testing.assert_allclose(written.cell.array, kept.cell.array, atol=1e-7)
    assert [one.name for one in tmp_path.iterdir()] == [path.name]


def test_a_calculator_that_refuses_ends_the_run_in_the_same_error() -> None:
    """Positions that run to infinity between two looks reach the calculator first."""
    atoms = bulk("Si", a=5.43)
    atoms.rattle(0.1, seed=0)
    atoms.calc = atomistic.NeuralCalculator(random_potential((14,), nearest=2.35, cutoff=4.6, seed=0))
    dynamics = VelocityVerlet(atoms, 1.0 * units.fs)

    def break_down() -> None:
        if dynamics.nsteps == 3:
            atoms.positions[0, 0] = np.nan

    dynamics.attach(break_down)
    with pytest.raises(DynamicsFailed, match=r"between steps 0 and 3: .*NaN") as caught:
        guarded_run(dynamics, 20, max_temperature=1e6, interval=10)
    assert isinstance(caught.value.__cause__, atomistic.InvalidStructure)
    assert caught.value.last_good is not None


def test_mistakes_at_the_start_keep_their_own_error() -> None:
    atoms = bulk("Ge", a=5.66)
    atoms.calc = atomistic.NeuralCalculator(random_potential((14,), nearest=2.35, cutoff=4.6, seed=0))
    with pytest.raises(atomistic.UnknownElement):
        guarded_run(VelocityVerlet(atoms, units.fs), 10, max_temperature=1e4)


def test_a_cell_that_collapses_is_noticed() -> None:
    atoms, dynamics = copper(timestep_fs=1.0)
    dynamics.attach(lambda: atoms.set_cell(0.9 * atoms.cell.array, scale_atoms=True))
    with pytest.raises(DynamicsFailed, match=r"volume .* expected within a factor 2"):
        guarded_run(dynamics, 20, max_temperature=1e9, interval=1)


def test_a_sound_run_is_left_alone(tmp_path: Path) -> None:
    """The guard changes nothing, and the last step is looked at also where the interval does not divide the run."""
    alone, dynamics = copper(timestep_fs=2.0)
    dynamics.run(25)
    watched, dynamics = copper(timestep_fs=2.0)
    guarded_run(dynamics, 25, max_temperature=3000.0, checkpoint=tmp_path / "last.extxyz")
    np.testing.assert_array_equal(watched.positions, alone.positions)
    written = ase.io.read(tmp_path / "last.extxyz")
    assert isinstance(written, Atoms)
    np.testing.assert_allclose(written.positions, alone.positions, atol=1e-7)


def displacement(atoms: Atoms) -> float:
    """A toy uncertainty: how far the first atom has gone along x."""
    return float(atoms.positions[0, 0])


def test_uncertainty_stops_and_hands_back_the_structure() -> None:
    atoms = bulk("Cu", cubic=True)
    atoms.calc = EMT()
    atoms.set_momenta(np.eye(4, 3) * 20.0)
    dynamics = Langevin(atoms, 2.0 * units.fs, temperature_K=300.0, friction=0.01, rng=np.random.default_rng(0))
    guard = UncertaintyGuard(displacement, 0.05)
    dynamics.attach(guard, interval=2, atoms=atoms)
    with pytest.raises(UncertainStructure, match=r"above the threshold 0\.05") as caught:
        dynamics.run(500)
    error = caught.value
    assert error.atoms is not None and error.uncertainty > 0.05
    assert error.uncertainty == error.atoms.info["uncertainty"] == displacement(error.atoms)
    np.testing.assert_array_equal(error.atoms.positions, atoms.positions)
    assert dynamics.nsteps < 500 and guard.structures == [error.atoms]


def test_uncertainty_warns_once_an_excursion_and_goes_on() -> None:
    guard = UncertaintyGuard(displacement, 1.0, action="warn")
    atoms = Atoms("Si", cell=np.eye(3), pbc=True)
    with pytest.warns(UncertainStructureWarning) as record:
        for x in (0.0, 2.0, 3.0, 0.5, np.nan, np.nan, 1.0):
            atoms.positions[0, 0] = x
            guard(atoms)
    assert sum(one.category is UncertainStructureWarning for one in record) == 2
    first, second = (one.info["uncertainty"] for one in guard.structures)
    assert first == 2.0 and np.isnan(second)


def test_optimisers_take_the_guard_too() -> None:
    atoms = Atoms("Cu2", positions=[[0.4, 0, 0], [2.0, 0, 0]])
    atoms.calc = EMT()
    optimiser = BFGS(atoms, logfile=None)
    optimiser.attach(UncertaintyGuard(displacement, 0.3), atoms=atoms)
    with pytest.raises(UncertainStructure):
        optimiser.run(steps=20)


def test_errors_survive_the_way_back_from_another_process() -> None:
    atoms = bulk("Si")
    uncertain = pickle.loads(pickle.dumps(UncertainStructure("unsure", atoms, 0.3)))
    assert uncertain.atoms == atoms and uncertain.uncertainty == 0.3 and str(uncertain) == "unsure"
    failed = pickle.loads(pickle.dumps(DynamicsFailed("blew up", atoms)))
    assert failed.last_good == atoms and str(failed) == "blew up"


@pytest.mark.parametrize(
    ("threshold", "action", "message"), [(float("nan"), "stop", "threshold = nan"), (0.1, "ignore", "'ignore'")]
)
def test_nonsense_is_refused(threshold: float, action: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        UncertaintyGuard(displacement, threshold, action=action)
