r"""Active learning while hopping: the reference labels what the potential is least sure of, among what the search on it finds.

A round fits the labels, searches on the fit, and asks the posterior of its last layer (`atomistic.laplace`) for the covariance

    K_st = r_s Sigma r_t^T

of the energies per atom of all candidates s, t. The one with the largest variance is labelled first; what the others have in common with
it is then known, K_st - K_sc K_ct / (K_cc + e^2), with the error e of a label, and the next is the largest of what is left: structures
that say the same are not labelled twice (the pivoted Cholesky decomposition of K; Seeger, Williams and Lawrence, AISTATS 2003). It ends
where no candidate of one or several searches is less sure than demanded. What a search runs into where the potential knows nothing,
atoms on top of each other and clusters in pieces, are candidates like the minima: that is how holes close.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator
from jaxtyping import Float
from numpy import ndarray

from atomistic.calculator import NeuralCalculator
from atomistic.clusters.basin_hopping import WalkFailed, basin_hopping
from atomistic.clusters.labels import label_cluster
from atomistic.clusters.moves import Move
from atomistic.clusters.surface import Bounds, Positions, Surface, surface_of
from atomistic.gaussian_fit import GaussianFit
from atomistic.laplace import LastLayerLaplace
from atomistic.last_layer import SHARED, directions, feature_rows
from atomistic.neighbour_list import NeighbourList

Fit = Callable[[Sequence[Atoms]], GaussianFit]
Explore = Callable[[NeuralCalculator, int], Sequence[Atoms]]
"""Candidates found by a search on the potential; the second argument is the round, to seed it with."""

SKIN: Final = 0.7

SAME: Final = 1e-3
"""eV: structures whose energies differ by less are taken for the same."""


@dataclass(frozen=True)
class Round:
    """One round.

    Attributes:
        labels: that the fit of this round rests on.
        candidates: found by the search.
        deviation: largest standard deviation of their energies, eV/atom.
        errors: |model - reference| of those labelled, eV/atom, and in `deviations` what the model had said of it.
        deviations: standard deviations of the energies of those labelled, eV/atom, before any of them was.
    """

    labels: int
    candidates: int
    deviation: float
    errors: Float[ndarray, "labelled"]
    deviations: Float[ndarray, "labelled"]


@dataclass(frozen=True)
class ActiveLearning:
    """What was learned.

    Attributes:
        fit: the last.
        labelled: all labelled structures, those given first.
        rounds: in order.
        converged: whether the last searches found nothing less sure than demanded.
    """

    fit: GaussianFit
    labelled: tuple[Atoms, ...]
    rounds: tuple[Round, ...]
    converged: bool

    @property
    def calculator(self) -> NeuralCalculator:
        """Of the last fit."""
        return NeuralCalculator(self.fit.potential, skin=SKIN)


def learn_while_hopping(
    labelled: Sequence[Atoms],
    reference: Calculator,
    fit: Fit,
    explore: Explore,
    *,
    rounds: int,
    labels_per_round: int,
    tolerance: float,
    calm: int = 1,
    progress: Callable[[Round], None] | None = None,
) -> ActiveLearning:
    """Fit, search, label what is least sure, until all that `calm` searches find is sure to `tolerance` (eV/atom) or `rounds` are over.

    Raises:
        ValueError: for numbers that are not positive, or a search without candidates.
        LabelFailed: where the reference gives no finite label.
    """
    if rounds < 1 or labels_per_round < 1 or calm < 1 or not tolerance > 0.0:
        raise ValueError(
            f"rounds = {rounds}, labels_per_round = {labels_per_round}, calm = {calm}, tolerance = {tolerance} eV/atom, expected positive "
            "numbers"
        )
    known = list(labelled)
    history: list[Round] = []
    found, calm_rounds = fit(known), 0
    for number in range(rounds):
        candidates = list(explore(NeuralCalculator(found.potential, skin=SKIN), number))
        if not candidates:
            raise ValueError(
                f"the search of round {number} found no candidates; let it return all that it comes across"
            )
        covariance = energy_covariance(found.posterior, candidates)
        deviations = np.sqrt(np.diag(covariance))
        sure = bool(deviations.max() <= tolerance)
        chosen = [] if sure else least_sure(covariance, labels_per_round, found.posterior.errors.energy)
        fresh = [label_cluster(candidates[k], reference, group=f"round {number}") for k in chosen]
        errors = [abs(found.potential.predict(a).energy - a.get_potential_energy()) / len(a) for a in fresh]
        history.append(
            Round(len(known), len(candidates), float(deviations.max()), np.array(errors), deviations[chosen])
        )
        if progress is not None:
            progress(history[-1])
        calm_rounds = calm_rounds + 1 if sure else 0
        if calm_rounds == calm:
            return ActiveLearning(found, tuple(known), tuple(history), True)
        if fresh:
            known += fresh
            found = fit(known)
    return ActiveLearning(found, tuple(known), tuple(history), False)


def candidates_by_hopping(
    atoms: Atoms,
    start: Callable[[np.random.Generator], Positions],
    move: Move,
    *,
    steps: int,
    temperature: float,
    bounds: Bounds,
    seed: int,
    patience: int | None = None,
    force_tolerance: float = 1e-2,
    surface: Callable[[NeuralCalculator], Surface] | None = None,
) -> Explore:
    """A search by basin hopping for the elements of `atoms`: all that it comes across, structures outside the bounds included.

    `surface` makes the one that is searched from the potential; None for the potential's own.

    The seed of a round is (seed, round). Of structures whose energies are within a meV one is a candidate.

    Raises (when called):
        ValueError: as `basin_hopping`.
    """

    def explore(calculator: NeuralCalculator, number: int) -> list[Atoms]:
        try:
            walk = basin_hopping(
                surface_of(atoms, calculator) if surface is None else surface(calculator),
                start,
                move,
                steps=steps,
                temperature=temperature,
                seed=(seed, number),
                bounds=bounds,
                patience=patience,
                force_tolerance=force_tolerance,
            )
        except WalkFailed as failed:  # holes and pieces are what a young potential finds: they are worth a label
            walk = failed.walk
        found = sorted(walk.quenches, key=lambda q: q.energy)
        return [
            Atoms(atoms.numbers, q.positions)
            for k, q in enumerate(found)
            if k == 0 or q.energy > found[k - 1].energy + SAME
        ]

    return explore


def energy_covariance(
    posterior: LastLayerLaplace, structures: Sequence[Atoms]
) -> Float[ndarray, "structures structures"]:
    """K of the module's docstring: covariance of the energies per atom, (eV/atom)^2."""
    along = directions(posterior.potential, posterior.factor)
    rows = []
    for atoms in structures:
        atomic = feature_rows(along, atoms, NeighbourList(posterior.cutoff, SHARED)).atomic
        rows.append(atomic.mean(0))
    stacked = np.array(rows)
    return np.asarray(stacked @ stacked.T)


def least_sure(covariance: Float[ndarray, "structures structures"], count: int, error: float) -> list[int]:
    """At most `count` indices, each the least sure once those before it are labelled with `error`; none that is surer than a label."""
    left = covariance.copy()
    chosen: list[int] = []
    while len(chosen) < min(count, len(left)):
        following = int(np.diag(left).argmax())
        variance = float(left[following, following])
        if variance <= (1e-2 * error) ** 2:
            break
        chosen.append(following)
        left -= np.outer(left[:, following], left[following]) / (variance + error**2)
        left[following, following] = -np.inf
    return chosen
