"""Labels where the potential is least sure: the choice, and the loop until the icosahedron is found."""

from collections.abc import Sequence

import numpy as np
import pytest
from ase import Atoms
from hypothesis import given, settings
from hypothesis import strategies as st

import atomistic
from atomistic.clusters import (
    Bounds,
    LennardJones,
    candidates_by_hopping,
    label_cluster,
    label_small_clusters,
    learn_while_hopping,
    quench,
)
from atomistic.clusters.active_learning import energy_covariance, least_sure
from atomistic.clusters.lennard_jones import LOWEST
from atomistic.clusters.moves import MoveSurfaceAtoms, Several, Shake, random_cluster
from atomistic.gaussian_fit import GaussianFit

pytestmark = pytest.mark.filterwarnings("ignore::atomistic.label_checks.ExplodingStructures")

LJ = LennardJones()
NEAREST = 2.0 ** (1.0 / 6.0)


def fit(labelled: Sequence[Atoms]) -> GaussianFit:
    descriptors = atomistic.BodyOrdered((2,), cutoff=4.5, angular_cutoff=4.5, radial=24, angular=6, degree=1)
    settings = atomistic.TrainingSettings(energy_error=1e-3, force_error=0.02)
    return atomistic.fit_gaussians(labelled, settings, centres=60, amplitudes=(0.02,), descriptors=descriptors)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_each_choice_is_the_least_sure_given_those_before(seed: int) -> None:
    """Against the posterior of a Gaussian process written out: K - K_c (K_cc + e^2)^-1 K_c."""
    generator = np.random.default_rng(seed)
    rows = generator.normal(size=(9, 5)) * generator.uniform(0.1, 3.0, (9, 1))
    covariance, error = rows @ rows.T, 0.05
    chosen = least_sure(covariance, 4, error)
    assert len(set(chosen)) == len(chosen) == 4
    for k in range(4):
        before = chosen[:k]
        known = covariance[np.ix_(before, before)] + error**2 * np.eye(k)
        left = covariance - covariance[:, before] @ np.linalg.solve(known, covariance[before])
        variances = np.diag(left).copy()
        variances[before] = -np.inf
        assert chosen[k] == int(variances.argmax())


def test_equal_structures_are_chosen_once() -> None:
    rows = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 0.5], [1.0, 0.0]])
    assert least_sure(rows @ rows.T, 4, 1e-9) == [0, 2]


def test_labels_of_clusters_have_no_stress_and_weigh_less_where_forces_are_large() -> None:
    near, far = (label_cluster(Atoms("He2", [(0, 0, 0), (r, 0, 0)]), LJ) for r in (0.8, 1.2))
    assert near.info["weight"] < 0.05 < 0.9 < far.info["weight"] <= 1.0
    assert far.info["stress_weight"] == 0.0 and (far.get_stress() == 0.0).all()
    assert far.get_potential_energy() == pytest.approx(LJ.energy_and_forces(far.positions)[0], abs=1e-12)
    small = label_small_clusters(["He", "Ne"], LJ, closest=0.9, cutoff=3.0, dimers=5, trimers=7, seed=0)
    assert [sum(len(a) == n for a in small) for n in (1, 2, 3)] == [2, 15, 7]
    with pytest.raises(ValueError, match="0 < closest"):
        label_small_clusters("He", LJ, closest=2.0, cutoff=3.0, seed=0)


def test_the_covariance_is_that_of_the_posterior() -> None:
    found = fit(label_small_clusters("He", LJ, closest=0.9, cutoff=4.5, dimers=25, trimers=10, seed=0))
    clusters = [Atoms(f"He{n}", random_cluster(n, NEAREST, np.random.default_rng(n))) for n in (3, 5, 6)]
    covariance = energy_covariance(found.posterior, clusters)
    for k, atoms in enumerate(clusters):
        energy = found.posterior.evaluate(atoms).energy
        assert energy is not None
        assert np.sqrt(covariance[k, k]) * len(atoms) == pytest.approx(energy, rel=1e-8)


def test_from_dimers_and_trimers_to_the_icosahedron() -> None:
    small = label_small_clusters("He", LJ, closest=0.85, cutoff=4.5, dimers=60, trimers=60, seed=0)
    explore = candidates_by_hopping(
        Atoms("He13", np.zeros((13, 3))), lambda g: random_cluster(13, NEAREST, g), Several([Shake(0.4), MoveSurfaceAtoms(NEAREST)]),
        steps=20, temperature=0.8, bounds=Bounds(0.85, 2.0), seed=0, patience=20,
    )  # fmt: skip
    found = learn_while_hopping(small, LJ, fit, explore, rounds=8, labels_per_round=5, tolerance=3e-3)
    assert found.converged and 0 < len(found.labelled) - len(small) <= 25
    first, last = found.rounds[0], found.rounds[-1]
    assert last.deviation <= 3e-3 < first.deviation
    # the errors before the first labels were worth the warning
    assert first.errors.max() > 3e-3 and first.errors.max() < 10.0 * first.deviation
    candidates = explore(found.calculator, 99)
    lowest = min(candidates, key=lambda atoms: found.fit.potential.predict(atoms).energy)
    relaxed = quench(LJ.energy_and_forces, lowest.positions, force_tolerance=1e-6)
    assert relaxed.energy == pytest.approx(LOWEST[13], abs=1e-5)
    assert found.fit.potential.predict(lowest).energy == pytest.approx(LOWEST[13], abs=0.1)


def test_bad_input_is_named() -> None:
    small = label_small_clusters("He", LJ, closest=0.9, cutoff=4.5, dimers=10, trimers=5, seed=0)
    with pytest.raises(ValueError, match="rounds = 0"):
        learn_while_hopping(small, LJ, fit, lambda c, k: [], rounds=0, labels_per_round=1, tolerance=1.0)
    with pytest.raises(ValueError, match="found no candidates"):
        learn_while_hopping(small, LJ, fit, lambda c, k: [], rounds=1, labels_per_round=1, tolerance=1.0)
