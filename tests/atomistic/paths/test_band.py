"""Bands on surfaces with known saddles, and the crystals' path: barriers, curvatures, what is refused."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.io import read

import atomistic
from atomistic.paths import (
    InvalidEnds,
    NotAMinimum,
    PathFailed,
    PathSettings,
    PermutedEnds,
    SameEnds,
    minimum_energy_path,
    phase_path,
)
from atomistic.phases.prototypes import beta_tin

from .surfaces import MINIMA, SADDLES, UNIT, DoubleWell, MuellerBrown, at, point


@pytest.mark.parametrize(("height", "curve"), [(0.5, 0.4), (0.1, 0.0), (1.3, -0.7)])
def test_double_well(height: float, curve: float) -> None:
    """The barrier is the one that the formula has."""
    path = minimum_energy_path(at(-1.0, 0.0), at(1.0, 0.0), DoubleWell(height, curve))
    assert path.barrier == pytest.approx(height, abs=1e-10)
    assert path.reverse_barrier == pytest.approx(height, abs=1e-10)
    np.testing.assert_allclose(point(path.saddle.atoms), [0.0, curve], atol=1e-7)
    # Second derivatives by (x, y, z) at the saddle: -4 h, 2, 2
    np.testing.assert_allclose(path.saddle.curvatures, [-4.0 * height, 2.0, 2.0], atol=1e-6)
    assert path.saddle.negative == 1 and path.initial.negative == path.final.negative == 0
    np.testing.assert_allclose(np.abs(path.saddle.mode), [[0, 0, 0], [1, 0, 0]], atol=1e-6)
    assert (np.diff(path.distances) > 0.0).all() and path.curve[1].max() == pytest.approx(height, rel=0.02)


def test_mueller_and_brown() -> None:
    """Both saddles as published; over both of them the higher one counts."""
    deep, middle, shallow = MINIMA
    settings = PathSettings(images=9, relax_ends=True)
    for (first, last), (place, energy) in zip(pairwise((deep, middle, shallow)), SADDLES.items(), strict=True):
        path = minimum_energy_path(at(*first), at(*last), MuellerBrown(), settings)
        assert path.saddle.energy == pytest.approx(UNIT * energy, abs=1e-6)
        np.testing.assert_allclose(point(path.saddle.atoms), place, atol=2e-6)
        assert path.barrier == pytest.approx(UNIT * (energy - MINIMA[first]), abs=2e-6)
    whole = minimum_energy_path(at(*deep), at(*shallow), MuellerBrown(), PathSettings(images=13, relax_ends=True))
    assert whole.saddle.energy == pytest.approx(UNIT * min(SADDLES.values(), key=abs), abs=1e-6)


def test_ends_with_forces_are_refused_or_relaxed() -> None:
    well = DoubleWell()
    with pytest.raises(NotAMinimum, match=r"initial structure has a force of 0\.0\d+ eV/A"):
        minimum_energy_path(at(-1.0, 0.02), at(1.0, 0.0), well)
    with pytest.raises(NotAMinimum, match="final structure has a force"):
        minimum_energy_path(at(-1.0, 0.0), at(1.05, 0.0), well)
    path = minimum_energy_path(at(-1.0, 0.05), at(1.05, 0.0), well, PathSettings(relax_ends=True))
    assert path.barrier == pytest.approx(0.5, abs=1e-10)
    with pytest.raises(NotAMinimum, match="after 2 steps of relaxation"):
        minimum_energy_path(at(-1.3, 0.5), at(1.0, 0.0), well, PathSettings(relax_ends=True, max_steps=2))


def test_saddle_as_an_end() -> None:
    with pytest.raises(
        NotAMinimum, match=r"final structure is a stationary point with 1 negative curvatures, the lowest -2 "
    ):
        minimum_energy_path(at(-1.0, 0.0), at(0.0, 0.4), DoubleWell())


def test_ends_in_one_basin() -> None:
    """Two starts that relax to the same minimum."""
    with pytest.raises(SameEnds, match="no atom moves by more than"):
        minimum_energy_path(at(-0.9, 0.0), at(-1.1, 0.0), DoubleWell(), PathSettings(relax_ends=True))


def test_unconverged_path_keeps_its_images(tmp_path: Path) -> None:
    file = tmp_path / "band.extxyz"
    deep, _, shallow = MINIMA
    with pytest.raises(PathFailed, match=r"after 5 steps, expected 0\.02; its images are kept") as caught:
        minimum_energy_path(
            at(*deep), at(*shallow), MuellerBrown(), PathSettings(images=9, max_steps=5, end_force=1.0, write_to=file)
        )
    kept = read(file, ":")
    assert len(kept) == len(caught.value.images) == 9 and caught.value.curvatures is None
    np.testing.assert_allclose([a.positions for a in kept], [a.positions for a in caught.value.images], atol=1e-7)
    settings = PathSettings(images=9, relax_ends=True)
    going_on = minimum_energy_path(at(*deep), at(*shallow), MuellerBrown(), settings, guess=caught.value.images)
    assert going_on.saddle.energy == pytest.approx(UNIT * -40.66484, abs=1e-6)


def test_ridge_is_named() -> None:
    """Straight over a hill with valleys on both sides: two negative curvatures; a bent start finds the valley."""

    class Hill(DoubleWell):
        """b^2 / 2 + (y^2 - b)^2 + x^2 y^2 / 4, b = 1 - x^2: over the top (1.5), or through a valley, saddle (0, +-1) at 0.5."""

        def value(self, x: float, y: float) -> tuple[float, float, float]:
            b = 1.0 - x**2
            off = y**2 - b
            slopes = x * (4.0 * off - 2.0 * b + 0.5 * y**2), y * (4.0 * off + 0.5 * x**2)
            return 0.5 * b**2 + off**2 + 0.25 * x**2 * y**2, *slopes

    with pytest.raises(PathFailed, match=r"2 negative curvatures .* leave the straight line with `bend`") as caught:
        minimum_energy_path(at(-1.0, 0.0), at(1.0, 0.0), Hill())
    assert caught.value.curvatures is not None and (caught.value.curvatures[:2] < -1.0).all()
    path = minimum_energy_path(at(-1.0, 0.0), at(1.0, 0.0), Hill(), PathSettings(bend=0.3))
    assert path.barrier == pytest.approx(0.5, abs=1e-10)
    assert abs(point(path.saddle.atoms)[1]) == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": 2}, "images = 2"),
        ({"fmax": 0.0}, "fmax = 0.0"),
        ({"max_steps": 0}, "max_steps = 0"),
        ({"end_force": float("nan")}, "end_force = nan"),
    ],
)
def test_settings(change: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PathSettings(**change)  # type: ignore[arg-type]


def test_cells_and_guesses_that_do_not_fit() -> None:
    wider = at(1.0, 0.0)
    wider.cell[0, 0] = 21.0
    with pytest.raises(InvalidEnds, match="phase_path changes the cell"):
        minimum_energy_path(at(-1.0, 0.0), wider, DoubleWell())
    with pytest.raises(InvalidEnds, match="a guess of 2 structures, expected 5 between the ends or 7"):
        minimum_energy_path(at(-1.0, 0.0), at(1.0, 0.0), DoubleWell(), guess=[at(0.0, 0.0)] * 2)


@pytest.fixture(scope="module")
def ends() -> tuple[Atoms, Atoms]:
    """Stillinger-Weber silicon, unrelaxed: diamond, and beta-tin in the same cell."""
    return beta_tin("Si", 20.0, np.sqrt(2.0)), beta_tin("Si", 17.0)


BENT = PathSettings(relax_ends=True, images=9, bend=0.5, max_steps=1500)


@pytest.mark.slow
def test_diamond_to_beta_tin(ends: tuple[Atoms, Atoms]) -> None:
    """A saddle with exactly one negative curvature of cell and atoms together."""
    path = phase_path(*ends, atomistic.reference_calculator("stillinger-weber"), BENT)
    assert path.saddle.negative == 1 and path.saddle.largest_force < 1e-5
    assert len(path.saddle.curvatures) == 9  # 2 atoms and a cell without translations and rotations
    assert (path.barrier - path.reverse_barrier) / 2 == pytest.approx(
        0.1997, abs=1e-4
    )  # beta-tin above diamond, eV/atom
    assert 0.3 < path.barrier / 2 < 0.4


def test_permuted_species_of_crystals() -> None:
    """An ordered alloy with its atoms in another order at the end is refused, or put in order, before anything is computed."""
    reference = atomistic.reference_calculator("emt")
    initial = bulk("CuAu", "cesiumchloride", a=3.1)
    final = initial[[1, 0]]
    final.set_cell(initial.cell.array @ np.diag([1.2, 1.2, 0.8]), scale_atoms=True)
    with pytest.raises(PermutedEnds) as caught:
        phase_path(initial, final, reference)
    assert (caught.value.matched.numbers == initial.numbers).all()
    with pytest.raises(
        NotAMinimum, match="final structure is a stationary point with 1 negative curvature"
    ):  # past the order
        phase_path(initial, final, reference, PathSettings(order="match", end_force=3.0))


@pytest.mark.slow
def test_symmetric_path_is_a_ridge_and_rotations_do_not_count(ends: tuple[Atoms, Atoms]) -> None:
    """The straight line keeps the tetragonal symmetry, whose top has four ways down; a turned end changes nothing."""
    reference = atomistic.reference_calculator("stillinger-weber")
    with pytest.raises(PathFailed, match="4 negative curvatures"):
        phase_path(*ends, reference, PathSettings(relax_ends=True, images=9))
    turned = ends[1].copy()
    turned.rotate(37.0, (1.0, 2.0, -0.5), rotate_cell=True)
    barriers = [phase_path(ends[0], last, reference, BENT).barrier for last in (ends[1], turned)]
    assert barriers[0] == pytest.approx(barriers[1], abs=1e-6)
