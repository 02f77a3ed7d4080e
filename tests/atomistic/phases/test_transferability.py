"""Leaving phases out: the potential that is asked about a phase has not seen it, errs more, lies farther, and is less sure."""

from collections.abc import Sequence

import numpy as np
import pytest
from ase import Atoms
from scipy.linalg import expm

import atomistic
from atomistic.phases import NoStructures, PhaseError, PhaseOrder, order_phases, prototype, table, transferability

DESCRIPTORS = atomistic.BodyOrdered((14,), cutoff=5.0, angular_cutoff=4.0, radial=5, angular=2, degree=2)
VOLUMES = {"diamond": 20.0, "simple cubic": 17.8, "fcc": 17.8}
Structures = dict[str, list[Atoms]]


def linear(structures: Sequence[Atoms]) -> tuple[atomistic.NeuralPotential, atomistic.UncertaintyEstimator]:
    potential = atomistic.fit_linear(structures, DESCRIPTORS)
    return potential, atomistic.LastLayerLaplace.fit(potential, structures)


@pytest.fixture(scope="module")
def structures() -> tuple[Structures, Structures]:
    """Strained cells of eight atoms, displaced at random: to train on and to test with."""
    generator = np.random.default_rng(0)
    reference = atomistic.reference_calculator("stillinger-weber")
    training: Structures = {}
    held_out: Structures = {}
    for name, volume in VOLUMES.items():
        made = []
        for _ in range(13):
            cell = prototype(name, volume=volume * generator.uniform(0.95, 1.05))
            cell = cell.repeat((2, 2, 2) if len(cell) == 1 else (2, 2, 1))
            h = generator.normal(0.0, 0.01, (3, 3))
            atoms = atomistic.deform(cell, expm(0.5 * (h + h.T)))
            atoms.positions += generator.normal(0.0, 0.05, atoms.positions.shape)
            made.append(atomistic.label(atoms, reference))
        training[name], held_out[name] = made[:8], made[8:]
    return training, held_out


@pytest.fixture(scope="module")
def rows(structures: tuple[Structures, Structures]) -> tuple[PhaseError, ...]:
    return transferability(*structures, linear)


def test_two_rows_a_phase(rows: tuple[PhaseError, ...]) -> None:
    assert [(row.phase, row.seen) for row in rows] == [(name, seen) for name in VOLUMES for seen in (False, True)]


def test_what_was_left_out_errs_more_lies_farther_and_is_warned_of(rows: tuple[PhaseError, ...]) -> None:
    """Ten structures calibrate the size of an uncertainty for their own kinds only; that it is unusual shows all the same."""
    for without, after in zip(rows[::2], rows[1::2], strict=True):
        assert without.energy > 3.0 * after.energy
        assert without.nearest > 3.0 * after.nearest
        assert without.mahalanobis > 1.5 * after.mahalanobis
        assert without.warned == 1.0
        assert after.warned <= 0.4
        assert abs(without.offset) <= without.energy * (1.0 + 1e-12)


def test_errors_are_those_of_a_fit_without_the_phase(
    structures: tuple[Structures, Structures], rows: tuple[PhaseError, ...]
) -> None:
    training, held_out = structures
    potential, _ = linear([atoms for name in ("diamond", "simple cubic") for atoms in training[name]])
    predictions = atomistic.predict_all(potential, held_out["fcc"])
    pairs = list(zip(predictions, held_out["fcc"], strict=True))
    energies = np.array([(p.energy - a.get_potential_energy()) / len(a) for p, a in pairs])
    forces = np.array([p.forces - a.get_forces() for p, a in pairs])
    (row,) = (row for row in rows if row.phase == "fcc" and not row.seen)
    assert row.energy == pytest.approx(np.sqrt(np.mean(energies**2)), rel=1e-9)
    assert row.offset == pytest.approx(energies.mean(), rel=1e-9)
    assert row.force == pytest.approx(np.sqrt(np.mean(forces**2)), rel=1e-9)


def test_no_fit_sees_what_it_is_asked_about(structures: tuple[Structures, Structures]) -> None:
    training, held_out = structures
    given: list[set[int]] = []

    def fit(chosen: Sequence[Atoms]) -> tuple[atomistic.NeuralPotential, atomistic.UncertaintyEstimator]:
        given.append({id(atoms) for atoms in chosen})
        return linear(chosen)

    told: list[str] = []
    found = transferability(training, held_out, fit, absent=["fcc"], progress=lambda done, what: told.append(what))
    assert [row.phase for row in found] == ["fcc", "fcc"]
    assert told == ["without fcc", "with all phases"]
    without, everything = given
    assert not without & {id(atoms) for atoms in training["fcc"]}
    assert everything == {id(atoms) for own in training.values() for atoms in own}


def test_table_says_what_the_rows_say(rows: tuple[PhaseError, ...]) -> None:
    lines = table(rows).splitlines()[2:]
    assert len(lines) == 6
    first = lines[0].split()
    assert first[:2] == ["diamond", "without"]
    assert float(first[2]) == pytest.approx(1e3 * rows[0].energy, abs=0.06)
    assert first[-2:] == ["100", "%"]


def test_a_phase_without_structures(structures: tuple[Structures, Structures]) -> None:
    training, held_out = structures
    with pytest.raises(NoStructures, match="phase 'bcc' has no structures to train on"):
        transferability(training, held_out, linear, absent=["bcc"])
    with pytest.raises(NoStructures, match="phase 'bcc' has no structures to train on"):
        transferability(training | {"bcc": []}, held_out, linear)
    with pytest.raises(NoStructures, match="phase 'fcc' has no structures to test with"):
        transferability(training, {name: held_out[name] for name in ("diamond", "simple cubic")}, linear)
    with pytest.raises(NoStructures, match="none is left to train on"):
        transferability({"fcc": training["fcc"]}, {"fcc": held_out["fcc"]}, linear)


def test_an_estimator_without_energies_is_refused(structures: tuple[Structures, Structures]) -> None:
    def fit(chosen: Sequence[Atoms]) -> tuple[atomistic.NeuralPotential, atomistic.UncertaintyEstimator]:
        potential = atomistic.fit_linear(chosen, DESCRIPTORS)
        return potential, atomistic.MahalanobisDistance.fit(potential, chosen)

    with pytest.raises(atomistic.InvalidEstimator, match="gives no uncertainty of the energy"):
        transferability(*structures, fit)
    with pytest.raises(ValueError, match="false_alarms = 2"):
        transferability(*structures, linear, false_alarms=2.0)


def test_an_order_is_sure_where_its_steps_exceed_what_is_expected_of_them() -> None:
    above = {"a": 0.0, "b": 0.1, "c": 0.2}
    assert PhaseOrder(above, {"a": 0.05, "b": 0.06, "c": 0.06}).sure
    assert not PhaseOrder(above, {"a": 0.05, "b": 0.06, "c": 0.09}).sure


def test_more_phases_make_the_order_right_and_sure(structures: tuple[Structures, Structures]) -> None:
    training, held_out = structures
    reference = atomistic.reference_calculator("stillinger-weber")
    minima = {name: atomistic.label(prototype(name, volume=volume), reference) for name, volume in VOLUMES.items()}
    true = {name: atoms.get_potential_energy() / len(atoms) for name, atoms in minima.items()}
    found = []
    for names in (("diamond", "simple cubic"), tuple(VOLUMES)):
        _, estimator = linear([atoms for name in names for atoms in training[name]])
        calibrated = atomistic.calibrate(estimator, [atoms for name in names for atoms in held_out[name]])
        found.append(order_phases(calibrated, minima))
    narrow, wide = found
    assert narrow.deviation["fcc"] > 5.0 * wide.deviation["fcc"]
    assert list(wide.above) == sorted(true, key=lambda name: true[name]) == ["diamond", "simple cubic", "fcc"]
    assert wide.sure
    for name, energy in wide.above.items():
        expected = np.hypot(wide.deviation[name], wide.deviation["diamond"])
        assert energy == pytest.approx(true[name] - true["diamond"], abs=3.0 * expected)
    with pytest.raises(ValueError, match="no structures to put in order"):
        order_phases(calibrated, {})
