"""Labelled configurations of a crystal for training a potential: strained, rattled, relaxed; small and larger cells.

Each structure carries the reference's energy, forces and stress (an ASE SinglePointCalculator), ``info["group"]`` that says how it was
made and ``info["split"]``, "train" or "test".
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator
from ase.calculators.singlepoint import SinglePointCalculator
from jaxtyping import Float
from numpy import ndarray
from scipy.linalg import expm

from atomistic.crystal import RelaxationFailed, deform, relax_positions

Progress = Callable[[float, str], None]


class LabelFailed(RuntimeError):
    """The reference model gave no finite energy, forces or stress for a configuration."""


@dataclass(frozen=True)
class ConfigurationGroup:
    """How many configurations of one kind.

    Attributes:
        name: goes into ``info["group"]``.
        count: number of configurations.
        minimum_atoms: the primitive cell is repeated equally along its three vectors until it holds at least as many.
        strain_factor: largest log-strain component as a multiple of the run's `max_strain`.
        rattle: standard deviations (Angstrom) of the random displacements run evenly from 0 to this.
        relaxed: whether the positions are relaxed by the reference before they are rattled.
        weight: of each configuration in the loss of a training, ``info["weight"]``.
        held_out: whether some are kept for testing; a margin around the domain of use is for training alone.
    """

    name: str
    count: int
    minimum_atoms: int
    strain_factor: float
    rattle: float
    relaxed: bool
    weight: float = 1.0
    held_out: bool = True


def default_groups(scale: float = 1.0) -> tuple[ConfigurationGroup, ...]:
    """The groups of the demo; `scale` multiplies all counts.

    Atoms are rattled by up to 0.08 A along each axis, what they do at 300 K (silicon's classical root mean square: 0.075 A).
    """

    groups = (
        ConfigurationGroup("strained and relaxed primitive", 120, 1, 1.15, 0.0, True),
        ConfigurationGroup("strained and rattled primitive", 200, 1, 1.15, 0.08, False),
        ConfigurationGroup("strained and rattled small", 200, 8, 1.0, 0.08, False),
        ConfigurationGroup("margin", 90, 8, 1.15, 0.12, False, held_out=False),
        # The elastic constants are a small difference of small stresses: worth more than its share of the squares.
        ConfigurationGroup("slightly strained primitive", 60, 1, 0.25, 0.03, True, weight=20.0),
        ConfigurationGroup("thermal", 24, 50, 0.8, 0.08, False),
    )
    return tuple(replace(group, count=max(2, round(scale * group.count))) for group in groups)


def repeated(crystal: Atoms, minimum_atoms: int) -> Atoms:
    """The crystal repeated equally along its three vectors until it has at least `minimum_atoms`."""
    times = 1
    while times**3 * len(crystal) < minimum_atoms:
        times += 1
    supercell: Atoms = crystal.repeat(times)
    return supercell


def random_stretch(generator: np.random.Generator, max_strain: float) -> Float[ndarray, "3 3"]:
    """U = exp(H), each of the six components of the log-strain H uniform in [-max_strain, max_strain]."""
    upper = np.triu(generator.uniform(-max_strain, max_strain, (3, 3)))
    return np.asarray(expm(upper + np.triu(upper, 1).T))


def label(atoms: Atoms, calculator: Calculator, **info: str | float) -> Atoms:
    """A copy that carries the reference's energy, forces and stress.

    Raises:
        LabelFailed: where a label is not finite.
    """
    labelled: Atoms = atoms.copy()
    labelled.calc = calculator
    results = {
        "energy": labelled.get_potential_energy(),
        "forces": labelled.get_forces(),
        "stress": labelled.get_stress(),
    }
    for name, value in results.items():
        if not np.isfinite(value).all():
            raise LabelFailed(f"the reference gave a {name} that is not finite for {atoms.get_chemical_formula()}")
    labelled.calc = SinglePointCalculator(labelled, **results)
    labelled.info.update(info)
    return labelled


def label_configurations(
    crystal: Atoms,
    calculator: Calculator,
    *,
    max_strain: float,
    seed: int,
    groups: tuple[ConfigurationGroup, ...] | None = None,
    test_fraction: float = 0.2,
    progress: Progress | None = None,
) -> list[Atoms]:
    """Configurations of all groups, labelled by `calculator`; every k-th of a group is held out as "test".

    A strained cell whose positions do not relax (an unstable one) is labelled where the optimiser left it.
    """
    generator = np.random.default_rng(seed)
    labelled: list[Atoms] = []
    chosen = default_groups() if groups is None else groups
    total = sum(group.count for group in chosen)
    every = max(2, round(1.0 / test_fraction))
    for group in chosen:
        for k in range(group.count):
            cell = repeated(crystal, group.minimum_atoms)
            atoms = deform(cell, random_stretch(generator, group.strain_factor * max_strain))
            if group.relaxed and len(atoms) > 1:
                atoms = _relaxed_as_far_as_possible(atoms, calculator)
            amplitude = group.rattle * (k + 1) / group.count
            atoms.positions += generator.normal(0.0, 1.0, atoms.positions.shape) * amplitude
            split: Literal["train", "test"] = "test" if group.held_out and k % every == every - 1 else "train"
            labelled.append(label(atoms, calculator, group=group.name, split=split, weight=group.weight))
            if progress is not None:
                progress(len(labelled) / total, group.name)
    return labelled


def _relaxed_as_far_as_possible(atoms: Atoms, calculator: Calculator) -> Atoms:
    try:
        return relax_positions(atoms, calculator, force_tolerance=1e-4, max_steps=200)
    except RelaxationFailed:
        return atoms
