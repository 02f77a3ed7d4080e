"""Learning along a path: on a surface whose model is right only near its data."""

from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes

from atomistic.paths import PathNotLearned, PathSettings, ReactionPath, learn_path, minimum_energy_path

from .surfaces import DoubleWell, Surface, at, point


class Stressed(DoubleWell):
    """With a stress, as labels have one."""

    implemented_properties: list[str] = ["energy", "forces", "stress"]  # noqa: RUF012

    def calculate(self, atoms: Any = None, properties: Any = None, system_changes: Any = all_changes) -> None:
        super().calculate(atoms, properties, system_changes)
        self.results["stress"] = np.zeros(6)


class NearItsData(Surface):
    """The truth, with a false hill where no label is within 0.3 A."""

    def __init__(self, labelled: list[Atoms], hill: float = 0.4) -> None:
        super().__init__()
        self.truth, self.hill = DoubleWell(), hill
        self.places = np.array([point(atoms) for atoms in labelled])

    def value(self, x: float, y: float) -> tuple[float, float, float]:
        energy, *slopes = self.truth.value(x, y)
        known = np.exp(-np.square(self.places - [x, y]) / 0.18)
        each = known.prod(1)
        missing = np.prod(1.0 - each)
        by = [
            sum(
                np.prod(np.delete(1.0 - each, k)) * each[k] * 2.0 * ((x, y)[a] - self.places[k, a]) / 0.18
                for k in range(len(each))
            )
            for a in range(2)
        ]
        return energy + self.hill * missing, *(s + self.hill * b for s, b in zip(slopes, by, strict=True))


def find(calculator: Calculator) -> ReactionPath:
    return minimum_energy_path(at(-1.0, 0.0), at(1.0, 0.0), calculator, PathSettings(relax_ends=True))


def test_wrong_at_first_right_at_last() -> None:
    known = [at(-1.0, 0.0), at(1.0, 0.0)]
    learned = learn_path(known, Stressed(), NearItsData, find, tolerance=0.01)
    first, last = learned.rounds[0], learned.rounds[-1]
    assert first.labels == 2 and first.error > 0.1
    assert last.error < 0.01 and last.barrier == pytest.approx(0.5, abs=0.01)
    assert len(learned.labelled) == last.labels == 2 + 7 * (len(learned.rounds) - 1)
    assert learned.path.saddle.negative == 1


def test_never_right() -> None:
    """What a model cannot learn is said, with the labels."""
    with pytest.raises(
        PathNotLearned, match="after 2 rounds and 16 labels the energies along the path err by"
    ) as caught:
        learn_path(
            [at(-1.0, 0.0), at(1.0, 0.0)],
            Stressed(),
            lambda _: DoubleWell(height=0.8),
            find,
            tolerance=0.01,
            most_rounds=2,
        )
    assert caught.value.rounds[-1].error == pytest.approx(0.3, abs=1e-6) and len(caught.value.labelled) == 16
    with pytest.raises(ValueError, match=r"tolerance = 0\.0"):
        learn_path([], Stressed(), NearItsData, find, tolerance=0.0)
