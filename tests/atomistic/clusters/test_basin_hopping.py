"""Walks on minima: they find what is published, repeat themselves, and say when they lead nowhere."""

import numpy as np
import pytest
from ase import Atoms
from scipy.spatial.distance import cdist, pdist

import atomistic
from atomistic.clusters import (
    BasinHopping,
    Bounds,
    ClusterEvaporated,
    LennardJones,
    NoMoveAccepted,
    OverlappingAtoms,
    basin_hopping,
    quench,
    surface_of,
)
from atomistic.clusters.lennard_jones import LOWEST
from atomistic.clusters.moves import (
    Compress,
    Crankshaft,
    Move,
    MoveSurfaceAtoms,
    Pivot,
    Positions,
    Several,
    Shake,
    random_cluster,
    spread_apart,
)

from ..conftest import random_potential_of

NEAREST = 2.0 ** (1.0 / 6.0)
BOUNDS = Bounds(0.6, 2.0)
LJ = LennardJones().energy_and_forces


def walk(count: int, move: Move, *, steps: int, seed: int = 0, patience: int | None = 20) -> BasinHopping:
    return basin_hopping(
        LJ, lambda g: random_cluster(count, NEAREST, g), move, steps=steps, temperature=0.8, seed=seed, bounds=BOUNDS, patience=patience,
        force_tolerance=1e-4,
    )  # fmt: skip


@pytest.mark.parametrize("count", [7, 10, 13])
def test_small_clusters_end_at_their_published_minima(count: int) -> None:
    found = walk(count, Several([Shake(0.4), MoveSurfaceAtoms(NEAREST)]), steps=60)
    assert found.best.energy == pytest.approx(LOWEST[count], abs=1e-5)
    minima = found.minima()
    assert len(minima) > 1 and minima[0].energy == found.best.energy
    assert np.diff([q.energy for q in minima]).min() > 1e-3
    assert len(found.energies) == 60 and found.evaluations == sum(q.evaluations for q in found.quenches)


def test_a_seed_repeats_the_walk_and_another_does_not() -> None:
    move = Several([Shake(0.4), MoveSurfaceAtoms(NEAREST)])
    first, again, other = (walk(12, move, steps=12, seed=seed) for seed in (1, 1, 2))
    assert (first.energies == again.energies).all()
    assert (first.energies[-3:] != other.energies[-3:]).any()


def test_it_starts_anew_after_its_patience() -> None:
    found = walk(6, Shake(0.05), steps=40, patience=10)
    starts = np.flatnonzero(found.started)
    assert starts[0] == 0 and len(starts) > 1 and (np.diff(starts) >= 10).all()
    assert all(np.array(found.accepted)[starts])
    assert not any(walk(6, Shake(0.05), steps=20, patience=None).started[1:])


def test_a_cold_walk_only_goes_down() -> None:
    found = basin_hopping(
        LJ, lambda g: random_cluster(13, NEAREST, g), Shake(0.4), steps=30, temperature=1e-9, seed=3, bounds=BOUNDS
    )
    taken = [q.energy for q, take in zip(found.quenches, found.accepted, strict=True) if take]
    assert (np.diff(taken) < 1e-6).all()


def test_walks_that_lead_nowhere_say_so() -> None:
    def explode(positions: Positions, generator: np.random.Generator) -> Positions:
        return 20.0 * positions

    with pytest.raises(NoMoveAccepted, match="none of 4 moves was accepted") as failed:
        walk(5, explode, steps=5)
    assert failed.value.walk.best.energy == pytest.approx(LOWEST[5], abs=1e-4)

    with pytest.raises(ClusterEvaporated, match="3 ways down 3 ended in pieces") as evaporated:
        basin_hopping(
            LJ,
            lambda g: 50.0 * random_cluster(5, NEAREST, g),
            Shake(0.1),
            steps=3,
            temperature=0.8,
            seed=0,
            bounds=BOUNDS,
        )
    assert len(evaporated.value.walk.quenches) == 3
    with pytest.raises(ValueError, match="temperature = -1"):
        basin_hopping(
            LJ, lambda g: random_cluster(5, 1.0, g), Shake(0.1), steps=3, temperature=-1.0, seed=0, bounds=BOUNDS
        )
    with pytest.raises(ValueError, match="closest = 3"):
        Bounds(3.0, 2.0)


def test_a_way_down_into_a_hole_ends_before_it() -> None:
    def hole(positions: Positions) -> tuple[float, Positions]:
        distance = positions[1] - positions[0]
        return float(distance @ distance), 2.0 * np.stack([distance, -distance])

    found = quench(hole, np.array([[0.0, 0.0, 0.0], [3.0, 0.0, 0.0]]), bounds=Bounds(0.5, 5.0))
    assert found.state == "collapsed" and pdist(found.positions).min() >= 0.5
    apart = quench(LJ, np.array([[0.0, 0.0, 0.0], [3.0, 0.0, 0.0], [90.0, 0.0, 0.0]]), bounds=BOUNDS)
    assert apart.state == "evaporated"
    with pytest.raises(OverlappingAtoms):
        quench(LJ, np.zeros((2, 3)))


def test_a_surface_is_what_the_calculator_says() -> None:
    atoms = Atoms("Si5", random_cluster(5, 2.4, np.random.default_rng(0)))
    potential = random_potential_of("body-ordered", (14,))
    energy, forces = surface_of(atoms, atomistic.NeuralCalculator(potential))(atoms.positions)
    expected = potential.predict(atoms)
    assert energy == pytest.approx(expected.energy, abs=1e-12)
    np.testing.assert_allclose(forces, expected.forces, atol=1e-12)
    emt = atomistic.reference_calculator("emt")
    copper = Atoms("Cu4", atoms.positions[:4])
    energy, forces = surface_of(copper, emt)(copper.positions)
    copper.calc = emt
    assert energy == pytest.approx(copper.get_potential_energy(), abs=1e-10)
    np.testing.assert_allclose(forces, copper.get_forces(), atol=1e-10)


def test_moves_of_chains_keep_bond_lengths() -> None:
    generator = np.random.default_rng(0)
    chain = np.cumsum(generator.normal(size=(15, 3)), axis=0)
    bonds = np.linalg.norm(np.diff(chain, axis=0), axis=1)
    for move in (Pivot(), Crankshaft(), Crankshaft(1.0, 4)):
        moved = move(chain, generator)
        np.testing.assert_allclose(np.linalg.norm(np.diff(moved, axis=0), axis=1), bonds, atol=1e-12)
        assert np.abs(moved - chain).max() > 1e-3
    crank = Crankshaft()(chain, generator)
    np.testing.assert_allclose(crank[[0, -1]], chain[[0, -1]], atol=1e-12)


def test_moves_of_clusters() -> None:
    generator = np.random.default_rng(0)
    cluster = quench(LJ, random_cluster(20, NEAREST, generator)).positions
    moved = MoveSurfaceAtoms(NEAREST, most=1)(cluster, generator)
    changed = np.flatnonzero(np.abs(moved - cluster).max(1) > 1e-9)
    assert len(changed) == 1
    neighbours = [(cdist(p, p) < 1.3 * NEAREST).sum(1) for p in (cluster, moved)]
    assert neighbours[0][changed[0]] == neighbours[0].min()
    assert neighbours[1][changed[0]] > 4  # itself and three others at least
    shaken = Shake(0.3)(cluster, generator)
    assert 0.2 < np.abs(shaken - cluster).max() <= 0.3
    closer = Compress(0.7, 1e-6)(cluster, generator)
    np.testing.assert_allclose(pdist(closer), 0.7 * pdist(cluster), atol=1e-5)
    assert pdist(spread_apart(0.2 * cluster, 0.9)).min() >= 0.9
    for broken in (lambda: Shake(0.0), lambda: MoveSurfaceAtoms(1.0, 0), lambda: Pivot(4.0), lambda: Several([]),
                   lambda: Several([Shake(0.1)], [1.0, 2.0]), lambda: Crankshaft(1.0, 1), lambda: Compress(1.5)):  # fmt: skip
        with pytest.raises(ValueError, match=r"expected|choose"):
            broken()
