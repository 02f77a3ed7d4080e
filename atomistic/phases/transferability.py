r"""What a potential is worth for a phase that it was not trained on, how far that phase lies from what it was, and whether it could say so.

For each phase left out, a potential is fitted to the structures of all others and tried on held-out structures of the one it has not seen;
beside it stands the potential fitted to all phases. Each is given

    error         root mean square of energy (eV/atom) and force component (eV/A), and the mean of the energy's error, its offset,
    distance      median over atoms from the training atoms, in whitened descriptors (`atomistic.descriptor_distance`),
    uncertainty   root mean square of the standard deviations that an estimator expects, calibrated on held-out structures of those
                  phases alone that were trained on, so on nothing that resembles the phase left out,
    warned        fraction of the structures whose uncertainty of the energy exceeds what nearly all held-out structures of the trained
                  phases have.

An energy counts here an atom: an offset common to a phase does not move its forces, but it is what ranks phases.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from ase import Atoms

from atomistic.calibration import calibrate
from atomistic.descriptor_distance import MahalanobisDistance, NearestNeighbourDistance
from atomistic.label_errors import label_error
from atomistic.potential import NeuralPotential
from atomistic.uncertainty import InvalidEstimator, Uncertainty, UncertaintyEstimator

Fit = Callable[[Sequence[Atoms]], tuple[NeuralPotential, UncertaintyEstimator]]
"""From labelled structures to a potential and an estimator of its errors, one that gives the energy's."""

Progress = Callable[[float, str], None]

FALSE_ALARMS: Final = 0.05


class NoStructures(ValueError):
    """A phase has no structures to train on, or none to test with."""


@dataclass(frozen=True)
class PhaseError:
    """One phase by one potential.

    Attributes:
        phase: its name.
        seen: whether the potential was trained on it too.
        energy, offset: root mean square and mean of prediction minus label, eV/atom.
        force: root mean square error of a component, eV/Angstrom.
        nearest, mahalanobis: medians of the distances of the phase's atoms from those of training, without a unit.
        energy_uncertainty: root mean square of the standard deviations, eV/atom.
        force_uncertainty: the same of a component of the forces, eV/Angstrom.
        warned: fraction of the phase's structures beyond the threshold.
    """

    phase: str
    seen: bool
    energy: float
    offset: float
    force: float
    nearest: float
    mahalanobis: float
    energy_uncertainty: float
    force_uncertainty: float
    warned: float


def transferability(
    training: Mapping[str, Sequence[Atoms]],
    held_out: Mapping[str, Sequence[Atoms]],
    fit: Fit,
    *,
    absent: Sequence[str] | None = None,
    false_alarms: float = FALSE_ALARMS,
    progress: Progress | None = None,
) -> tuple[PhaseError, ...]:
    """For each phase two rows: left out of the training, and in it.

    Args:
        training: labelled structures of each phase.
        held_out: others of the same phases.
        fit: how a potential is made of structures; called once for each phase left out, and once with all.
        absent: phases to leave out; None for all, one at a time.
        false_alarms: fraction of the held-out structures of trained phases that the threshold of a warning lets exceed it.
        progress: called with the fraction done and the phase left out.

    Raises:
        NoStructures: for a phase without structures on either side, and where no other phase is left to train on.
        ValueError: for false_alarms outside 0 to 1.
        InvalidCalibrationData, InvalidEstimator, InvalidTrainingData: as `calibrate` and `fit`.
    """
    if not 0.0 <= false_alarms < 1.0:
        raise ValueError(f"false_alarms = {false_alarms}, expected a fraction of the held-out structures")
    phases = list(training)
    absent = phases if absent is None else list(absent)
    for name in dict.fromkeys([*phases, *held_out, *absent]):
        for what, structures in (("train on", training), ("test with", held_out)):
            if not len(structures.get(name, ())):
                raise NoStructures(
                    f"phase {name!r} has no structures to {what}; label some, or leave it out (there are {phases})"
                )
    if len(phases) < 2:
        raise NoStructures(f"phases {phases}: none is left to train on without {phases}; expected two or more")
    without = {}
    for k, name in enumerate(absent):
        if progress is not None:
            progress(k / (len(absent) + 1), f"without {name}")
        trained = [other for other in phases if other != name]
        without[name] = _judged(training, held_out, fit, trained, [name], false_alarms)[0]
    if progress is not None:
        progress(len(absent) / (len(absent) + 1), "with all phases")
    seen = _judged(training, held_out, fit, phases, absent, false_alarms)
    return tuple(row for name, after in zip(absent, seen, strict=True) for row in (without[name], after))


def table(rows: Sequence[PhaseError]) -> str:
    """The rows as text, energies in meV/atom."""
    lines = [
        "phase           trained   energy  offset   force   nearest  Mahala-  uncertainty    warned",
        "                on it     meV/at  meV/at   eV/A    neighb.  nobis    meV/at  eV/A",
    ]
    for row in rows:
        lines.append(
            f"{row.phase:15s} {'with' if row.seen else 'without':8s}{1e3 * row.energy:8.1f}{1e3 * row.offset:8.1f}{row.force:8.3f}"
            f"{row.nearest:9.2f}{row.mahalanobis:9.2f}{1e3 * row.energy_uncertainty:10.1f}{row.force_uncertainty:8.3f}"
            f"{100 * row.warned:7.0f} %"
        )
    return "\n".join(lines)


def _judged(
    training: Mapping[str, Sequence[Atoms]],
    held_out: Mapping[str, Sequence[Atoms]],
    fit: Fit,
    trained: Sequence[str],
    asked: Sequence[str],
    false_alarms: float,
) -> list[PhaseError]:
    """One potential, trained on the phases `trained`, on the held-out structures of those `asked`."""
    structures = [atoms for name in trained for atoms in training[name]]
    potential, estimator = fit(structures)
    known = [atoms for name in trained for atoms in held_out[name]]
    calibrated = calibrate(estimator, known)
    threshold = float(np.quantile([energy_an_atom(calibrated.evaluate(atoms)) for atoms in known], 1.0 - false_alarms))
    nearest = NearestNeighbourDistance.fit(potential, structures)
    mahalanobis = MahalanobisDistance.fit(potential, structures)
    rows = []
    for name in asked:
        answers = [(*calibrated.predict(atoms), atoms) for atoms in held_out[name]]
        errors = [label_error(prediction, atoms) for prediction, _, atoms in answers]
        energies = np.array([error.energy / len(error.forces) for error in errors])
        expected = np.array([energy_an_atom(uncertainty) for _, uncertainty, _ in answers])
        of_forces = [uncertainty.forces for _, uncertainty, _ in answers if uncertainty.forces is not None]
        rows.append(
            PhaseError(
                phase=name,
                seen=name in trained,
                energy=_root_mean_square(energies),
                offset=float(energies.mean()),
                force=_root_mean_square(np.concatenate([error.forces.ravel() for error in errors])),
                nearest=_median(nearest, held_out[name]),
                mahalanobis=_median(mahalanobis, held_out[name]),
                energy_uncertainty=_root_mean_square(expected),
                force_uncertainty=_root_mean_square(np.concatenate(of_forces)),
                warned=float(np.mean(expected > threshold)),
            )
        )
    return rows


def energy_an_atom(uncertainty: Uncertainty) -> float:
    """Standard deviation of the energy, eV/atom.

    Raises:
        InvalidEstimator: where the estimator gives none.
    """
    if uncertainty.energy is None:
        raise InvalidEstimator(
            "the estimator gives no uncertainty of the energy, by which phases are ranked; take an ensemble or the last layer"
        )
    return uncertainty.energy / len(uncertainty.atomic)


def _median(distance: UncertaintyEstimator, structures: Sequence[Atoms]) -> float:
    return float(np.median(np.concatenate([distance.evaluate(atoms).atomic for atoms in structures])))


def _root_mean_square(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(values))))
