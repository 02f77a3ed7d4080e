"""Labelled clusters: energy and forces, no stress; and the smallest of them, atoms, dimers and trimers."""

from typing import Final

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator
from ase.calculators.singlepoint import SinglePointCalculator

from atomistic.clusters.moves import directions
from atomistic.clusters.surface import VACUUM, Positions, surface_of
from atomistic.configurations import LabelFailed

LARGE_FORCE: Final = 20.0
"""eV/A: a label with larger forces counts less, with the inverse square of them."""


def label_cluster(atoms: Atoms, calculator: Calculator, **info: str | float) -> Atoms:
    """A copy of a cluster that carries the reference's energy and forces, as the fits and trainings of the house take it.

    A cluster has no stress: its label is zero and weighs nothing (``info["stress_weight"]``); the box is 30 Angstrom wider than the
    cluster. Labels with large forces weigh less: ``info["weight"]`` = 1 / (1 + (largest force / 20 eV/A)^2).

    Raises:
        LabelFailed: where a label is not finite.
        ValueError: for a periodic structure.
    """
    energy, forces = surface_of(atoms, calculator)(atoms.positions)
    if not (np.isfinite(energy) and np.isfinite(forces).all()):
        raise LabelFailed(
            f"the reference gave an energy or force that is not finite for {atoms.get_chemical_formula()}"
        )
    labelled = Atoms(atoms.numbers, atoms.positions, cell=np.ptp(atoms.positions, axis=0) + VACUUM, pbc=False)
    labelled.calc = SinglePointCalculator(labelled, energy=energy, forces=forces, stress=np.zeros(6))
    largest = float(np.abs(forces).max(initial=0.0))
    labelled.info.update(stress_weight=0.0, weight=1.0 / (1.0 + (largest / LARGE_FORCE) ** 2), **info)
    return labelled


def label_small_clusters(
    symbols: str | list[str],
    calculator: Calculator,
    *,
    closest: float,
    cutoff: float,
    dimers: int = 60,
    trimers: int = 60,
    seed: int,
) -> list[Atoms]:
    """The atoms, dimers from `closest` to `cutoff` (Angstrom) and random trimers of some elements, labelled.

    Of each pair of elements there are `dimers`, in equal steps. A trimer has two sides between `closest` and half the cutoff, at a random
    angle; its elements are random.

    Raises:
        ValueError: unless 0 < closest < cutoff / 2.
        LabelFailed: as `label_cluster`.
    """
    if not 0.0 < closest < 0.5 * cutoff:
        raise ValueError(f"closest = {closest} A and cutoff = {cutoff} A, expected 0 < closest < cutoff / 2")
    elements = [symbols] if isinstance(symbols, str) else list(symbols)
    generator = np.random.default_rng(seed)
    structures = [Atoms([element], [(0.0, 0.0, 0.0)]) for element in elements]
    for k, first in enumerate(elements):
        for second in elements[k:]:
            for distance in np.linspace(closest, cutoff, dimers):
                structures.append(Atoms([first, second], [(0.0, 0.0, 0.0), (distance, 0.0, 0.0)]))
    for _ in range(trimers):
        structures.append(Atoms(generator.choice(elements, 3), _trimer(closest, 0.5 * cutoff, generator)))
    return [label_cluster(atoms, calculator, group=GROUPS[len(atoms)]) for atoms in structures]


GROUPS: Final = {1: "atom", 2: "dimer", 3: "trimer"}


def _trimer(closest: float, farthest: float, generator: np.random.Generator) -> Positions:
    while True:
        sides = generator.uniform(closest, farthest, (2, 1)) * directions(generator, 2)
        positions = np.concatenate([np.zeros((1, 3)), sides])
        if np.linalg.norm(sides[0] - sides[1]) >= closest:
            return positions
