"""Potentials that know a path: fitted, asked for the path, corrected by the reference on it, until both agree there.

A potential fitted to structures about the ends has not seen what lies between them, and its path leads where it errs. Each round the
reference labels the images of the potential's own path, converged or not, and the potential is fitted again with them: the labels gather
where the path is (active learning along a band: Peterson, J. Chem. Phys. 145 (2016) 074106). It ends when the reference puts the
images of a path, the transition state among them, at the potential's energies.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator

from atomistic.configurations import label
from atomistic.paths.band import PathFailed, ReactionPath


@dataclass(frozen=True)
class Round:
    """One round of learning.

    Attributes:
        labels: structures the potential was fitted to.
        converged: whether its path was one.
        error: largest error of its energies along the path (eV a cell, relative to the first image) by the reference.
        barrier: on the potential, eV a cell; None where the path did not converge.
    """

    labels: int
    converged: bool
    error: float
    barrier: float | None


@dataclass(frozen=True)
class LearnedPath:
    """A path that the reference agrees with.

    Attributes:
        path: of the potential.
        calculator: the potential's.
        labelled: all structures it was fitted to.
        rounds: what happened.
    """

    path: ReactionPath
    calculator: Calculator
    labelled: list[Atoms]
    rounds: list[Round]


class PathNotLearned(RuntimeError):
    """After all rounds the potential and the reference still disagree along the path.

    Attributes:
        rounds: what happened.
        labelled: all structures labelled so far, to go on from.
    """

    def __init__(self, message: str, rounds: Sequence[Round], labelled: Sequence[Atoms]) -> None:
        super().__init__(message)
        self.rounds, self.labelled = list(rounds), list(labelled)


def learn_path(
    labelled: Sequence[Atoms],
    reference: Calculator,
    fit: Callable[[list[Atoms]], Calculator],
    find: Callable[[Calculator], ReactionPath],
    *,
    tolerance: float = 0.02,
    most_rounds: int = 8,
) -> LearnedPath:
    """Fit, find the path, label its images, until the energies along it are right.

    Args:
        labelled: structures to begin with, with the reference's labels.
        reference: labels the images.
        fit: a calculator from labelled structures.
        find: the path on a calculator, such as a call of `minimum_energy_path` or `phase_path` with ends that are relaxed.
        tolerance: of the energies along the path relative to its first image, eV a cell.
        most_rounds: fits at most.

    Raises:
        ValueError: for a tolerance that is not positive, or no rounds.
        PathNotLearned: where the rounds do not suffice.
        LabelFailed: where the reference gives no finite label.
    """
    if not tolerance > 0.0 or most_rounds < 1:
        raise ValueError(f"tolerance = {tolerance}, most_rounds = {most_rounds}; expected positive numbers")
    known = list(labelled)
    rounds: list[Round] = []
    for _ in range(most_rounds):
        calculator = fit(known)
        path: ReactionPath | None = None
        try:
            path = find(calculator)
            images = path.images
        except PathFailed as failure:
            images = failure.images
        true = [label(atoms, reference, group="path") for atoms in images]
        own = [_energy(atoms, calculator) for atoms in images]
        wrong = np.array([atoms.get_potential_energy() for atoms in true]) - own
        error = float(np.abs(wrong - wrong[0]).max())
        rounds.append(Round(len(known), path is not None, error, None if path is None else path.barrier))
        if path is not None and error <= tolerance:
            return LearnedPath(path, calculator, known, rounds)
        known += true
    raise PathNotLearned(
        f"after {most_rounds} rounds and {len(known)} labels the energies along the path err by {rounds[-1].error:.3g} eV"
        + ("" if rounds[-1].converged else " (and it does not converge)")
        + f", expected {tolerance:g}; take more rounds, or a more flexible potential",
        rounds,
        known,
    )


def _energy(atoms: Atoms, calculator: Calculator) -> float:
    judged = atoms.copy()
    judged.calc = calculator
    return float(judged.get_potential_energy())
