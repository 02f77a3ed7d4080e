"""Small silicon clusters by Stillinger and Weber, and a potential fitted to a few of them."""

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.calculator import Calculator

import atomistic
from atomistic.laplace import LastLayerLaplace

DESCRIPTORS = atomistic.BodyOrdered((14,), cutoff=4.0, radial=8, angular=6, degree=2, angular_cutoff=4.0)


def reference() -> Calculator:
    return atomistic.reference_calculator("stillinger-weber")


def tetrahedron(rattle: float = 0.0, seed: int = 0) -> Atoms:
    """Si5: an atom and four around it."""
    corners = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) * 2.35 / np.sqrt(3.0)
    atoms = Atoms("Si5", positions=[[0.0, 0.0, 0.0], *corners])
    atoms.center(vacuum=6.0)
    atoms.positions += np.random.default_rng(seed).normal(0.0, rattle, (5, 3))
    return atoms


def labelled(count: int, seed: int) -> list[Atoms]:
    structures = []
    for k in range(count):
        atoms = tetrahedron(0.02 + 0.1 * k / count, seed + k)
        atoms.info["stress_weight"] = 0.0
        structures.append(atomistic.label(atoms, reference()))
    return structures


@pytest.fixture(scope="session")
def posterior() -> LastLayerLaplace:
    """Of a fit to energies and forces of ten clusters."""
    settings = atomistic.TrainingSettings(energy_error=1e-3, force_error=5e-3, stress_error=0.1)
    fit = atomistic.fit_gaussians(
        labelled(10, 0), settings, centres=40, length=3.0, amplitudes=(1.0, 10.0), slope=1.0, descriptors=DESCRIPTORS
    )
    return fit.posterior
