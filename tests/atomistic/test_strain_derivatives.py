"""Forces and stress by fractional coordinates and the metric tensor agree with those by Cartesian vectors: two routes, 1e-10."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

import atomistic
from atomistic import BodyOrdered, InvalidCrystal, NeuralPotential, metric_derivatives

from .conftest import random_networks, random_potential

NUMBERS = (31, 33)
POTENTIALS = {
    "symmetry functions": random_potential(NUMBERS, nearest=2.45, cutoff=4.6, seed=1),
    "body-ordered": random_networks(
        BodyOrdered(NUMBERS, cutoff=4.6, angular_cutoff=4.2, radial=6, angular=4, degree=3), seed=1, scale=0.3
    ),
}


@st.composite
def triclinic(draw: st.DrawFn) -> Atoms:
    """Two to four atoms in a random right-handed cell, angles from 60 to 115 degrees, in a random orientation."""
    lengths = [draw(st.floats(3.0, 7.0)) for _ in range(3)]
    alpha, beta, gamma = (draw(st.floats(60.0, 115.0)) for _ in range(3))
    seed = draw(st.integers(0, 2**31))
    generator = np.random.default_rng(seed)
    atoms = Atoms(
        numbers=generator.choice(NUMBERS, draw(st.integers(2, 4))), cell=[*lengths, alpha, beta, gamma], pbc=True
    )
    atoms.set_scaled_positions(generator.random((len(atoms), 3)))
    atoms.set_cell(atoms.cell.array @ Rotation.random(rng=generator).as_matrix().T, scale_atoms=True)
    return atoms


@pytest.mark.parametrize("kind", POTENTIALS)
@settings(max_examples=25, deadline=None)
@given(atoms=triclinic())
def test_two_routes_agree(kind: str, atoms: Atoms) -> None:
    assume(atomistic.nearest_distance(atoms) > 1.0)
    potential: NeuralPotential = POTENTIALS[kind]
    cartesian, metric = potential.predict(atoms), metric_derivatives(potential, atoms)
    assert metric.energy == pytest.approx(cartesian.energy, rel=1e-12, abs=1e-12)
    assert np.abs(metric.forces - cartesian.forces).max() <= 1e-10 * max(1.0, np.abs(cartesian.forces).max())
    scale = max(1e-3, np.abs(cartesian.stress).max())
    assert np.abs(metric.stress - cartesian.stress).max() <= 1e-10 * scale


@pytest.mark.parametrize("kind", POTENTIALS)
def test_derivatives_are_differences_along_the_metric(kind: str) -> None:
    """dE/dG by moving one entry of G and its mirror image, fractional coordinates fixed; the cell is any root of G."""
    potential = POTENTIALS[kind]
    atoms = atomistic.deform(bulk("GaAs", "zincblende", a=5.65), np.eye(3) + 0.05 * np.arange(9).reshape(3, 3) / 9)
    atoms.rattle(0.1, seed=1)
    exact = metric_derivatives(potential, atoms).by_metric
    metric, h = atoms.cell.array @ atoms.cell.array.T, 1e-3
    for i, j in ((0, 0), (1, 1), (0, 1), (1, 2)):
        numerical = 0.0
        for step, weight in ((-2, 1.0), (-1, -8.0), (1, 8.0), (2, -1.0)):
            moved = metric.copy()
            moved[i, j] += 0.5 * step * h
            moved[j, i] += 0.5 * step * h
            values, vectors = np.linalg.eigh(moved)
            other = atoms.copy()
            # The symmetric root, not the triangular one that the code goes through.
            other.set_cell((vectors * np.sqrt(values)) @ vectors.T, scale_atoms=True)
            numerical += weight * potential.predict(other).energy / (12.0 * h)
        assert abs(exact[i, j] - numerical) <= 1e-7 * np.abs(exact).max()


def test_what_is_no_crystal_is_refused() -> None:
    atoms = bulk("GaAs", "zincblende", a=5.65)
    atoms.pbc = (True, True, False)
    with pytest.raises(InvalidCrystal, match="periodicity"):
        metric_derivatives(POTENTIALS["body-ordered"], atoms)
    with pytest.raises(atomistic.UnknownElement, match="Si"):
        metric_derivatives(POTENTIALS["body-ordered"], bulk("Si"))
