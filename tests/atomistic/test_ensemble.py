"""Ensembles of potentials: mean and spread, derivatives of the mean, one file."""

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

import atomistic

from .conftest import random_potential


def members(count: int, numbers: tuple[int, ...] = (14,)) -> tuple[atomistic.NeuralPotential, ...]:
    return tuple(random_potential(numbers, nearest=2.35, cutoff=4.5, seed=seed) for seed in range(count))


def rattled() -> Atoms:
    atoms: Atoms = bulk("Si", a=5.43).repeat((2, 1, 1))
    atoms.rattle(0.1, seed=0)
    return atoms


def test_mean_and_spread_are_those_of_the_members() -> None:
    ensemble = atomistic.PotentialEnsemble(members(4))
    atoms = rattled()
    prediction = ensemble.predict(atoms)
    alone = [member.predict(atoms) for member in ensemble.members]
    assert prediction.mean.energy == pytest.approx(sum(one.energy for one in alone) / 4, abs=1e-12)
    variance = sum((one.forces - prediction.mean.forces) ** 2 for one in alone) / 3
    np.testing.assert_allclose(prediction.force_spread, np.sqrt(variance), atol=1e-12)
    variance = sum((one.stress - prediction.mean.stress) ** 2 for one in alone) / 3
    np.testing.assert_allclose(prediction.stress_spread, np.sqrt(variance), atol=1e-12)
    assert prediction.energy_spread > 0.0


def test_mean_forces_are_the_slope_of_the_mean_energy() -> None:
    ensemble = atomistic.PotentialEnsemble(members(3))
    atoms, step = rattled(), 1e-4
    forces = ensemble.predict(atoms).mean.forces
    energies = []
    for sign in (1.0, -1.0):
        moved = atoms.copy()
        moved.positions[1, 2] += sign * step
        energies.append(ensemble.predict(moved).mean.energy)
    assert forces[1, 2] == pytest.approx(-(energies[0] - energies[1]) / (2 * step), abs=1e-6)


def test_one_file_holds_all_members(tmp_path: Path) -> None:
    ensemble = atomistic.PotentialEnsemble(members(11))
    path = tmp_path / "ensemble.safetensors"
    ensemble.save(path)
    read = atomistic.PotentialEnsemble.load(path)
    atoms = rattled()
    for one, other in zip(ensemble.members, read.members, strict=True):
        assert one.predict(atoms).energy == other.predict(atoms).energy
        assert one.provenance == other.provenance


def test_foreign_and_truncated_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "potential.safetensors"
    ensemble = atomistic.PotentialEnsemble(members(2))
    ensemble.members[0].save(path)
    with pytest.raises(atomistic.NetworkFileError, match="another kind"):
        atomistic.PotentialEnsemble.load(path)
    ensemble.save(path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(atomistic.NetworkFileError):
        atomistic.PotentialEnsemble.load(path)


def test_one_member_or_different_elements_are_no_ensemble() -> None:
    with pytest.raises(ValueError, match="1 members, expected at least 2"):
        atomistic.PotentialEnsemble(members(1))
    with pytest.raises(ValueError, match="same elements"):
        atomistic.PotentialEnsemble((*members(1), *members(1, (14, 32))))


@pytest.mark.parametrize("numbers", [(14,), (8, 14)])
def test_the_mean_is_one_potential(numbers: tuple[int, ...]) -> None:
    ensemble = atomistic.PotentialEnsemble(members(3, numbers))
    atoms = rattled()
    atoms.numbers[0] = numbers[0]
    wanted, got = ensemble.predict(atoms).mean, ensemble.mean().predict(atoms)
    assert got.energy == pytest.approx(wanted.energy, abs=1e-11)
    np.testing.assert_allclose(got.forces, wanted.forces, atol=1e-11)
    np.testing.assert_allclose(got.stress, wanted.stress, atol=1e-12)


def test_members_with_other_descriptors_have_no_mean_in_one_network() -> None:
    other = random_potential((14,), nearest=2.35, cutoff=4.0, seed=0)
    with pytest.raises(ValueError, match="different descriptors"):
        atomistic.PotentialEnsemble((*members(1), other)).mean()
