"""Second derivatives: against differences of the forces, their invariances, products without the matrix, and with strain."""

from collections.abc import Callable

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from scipy.sparse.linalg import eigsh

import atomistic
from atomistic import NeuralCalculator, NeuralPotential

from .conftest import DESCRIPTORS, random_potential_of

Trained = tuple[list[Atoms], atomistic.Training]


STRUCTURES = {
    "cell smaller than the cutoff": bulk("Si", a=5.43),
    "two elements": bulk("GaAs", "zincblende", a=5.65, cubic=True),
    "molecule": Atoms("SiGe2", positions=[[0, 0, 0], [2.3, 0, 0], [0.4, 2.5, 0.1]]),
}


def case(kind: str, name: str) -> tuple[NeuralPotential, Atoms]:
    atoms = STRUCTURES[name].copy()
    if atoms.pbc.any():
        atoms = atomistic.deform(atoms, np.eye(3) + np.random.default_rng(0).normal(0.0, 0.04, (3, 3)))
    atoms.rattle(0.08, seed=3)
    return random_potential_of(kind, tuple(sorted(set(atoms.numbers.tolist())))), atoms


def difference(function: Callable[[float], np.ndarray], step: float) -> np.ndarray:
    """Derivative at zero by central differences of fourth order."""
    return sum(w * function(k * step) for k, w in ((-2, 1.0), (-1, -8.0), (1, 8.0), (2, -1.0))) / (12.0 * step)


@pytest.mark.parametrize("name", STRUCTURES)
@pytest.mark.parametrize("kind", DESCRIPTORS)
def test_hessian_is_minus_the_difference_of_the_forces(kind: str, name: str) -> None:
    """Along random directions, which no wrong entry survives."""
    potential, atoms = case(kind, name)
    H = atomistic.hessian(potential, atoms)
    for direction in np.random.default_rng(0).normal(size=(3, *atoms.positions.shape)):

        def forces(step: float, direction: np.ndarray = direction) -> np.ndarray:
            other = atoms.copy()
            other.positions += step * direction
            return potential.predict(other).forces.ravel()

        exact = H @ direction.ravel()
        # A small step: third derivatives jump where a pair crosses the cutoff.
        assert np.abs(exact + difference(forces, 1e-5)).max() <= 1e-6 * np.abs(exact).max()


@pytest.mark.parametrize("name", STRUCTURES)
@pytest.mark.parametrize("kind", DESCRIPTORS)
def test_symmetry_translation_and_products(kind: str, name: str) -> None:
    potential, atoms = case(kind, name)
    H = atomistic.hessian(potential, atoms)
    scale = np.abs(H).max()
    assert np.abs(H - H.T).max() <= 1e-10 * scale
    assert np.abs(H @ np.tile(np.eye(3), (len(atoms), 1))).max() <= 1e-10 * scale
    vector = np.random.default_rng(0).normal(size=(len(atoms), 3))
    product = atomistic.hessian_vector_product(potential, atoms, vector)
    assert np.abs(product.ravel() - H @ vector.ravel()).max() <= 1e-10 * scale


def test_rotation_of_a_molecule_rotates_its_forces() -> None:
    """f(Q x) = Q f(x) once differentiated: -H (w x r) = w x f, at rest or not."""
    potential, atoms = case("body-ordered", "molecule")
    forces = potential.predict(atoms).forces
    for axis in np.eye(3):
        turned = atomistic.hessian_vector_product(potential, atoms, np.cross(axis, atoms.positions))
        np.testing.assert_allclose(-turned, np.cross(axis, forces), atol=1e-12)


def test_sixty_four_atoms_and_iterative_eigenvalues() -> None:
    atoms = bulk("Si", a=5.43, cubic=True).repeat(2)
    atoms.rattle(0.05, seed=0)
    potential = random_potential_of("wide", (14,))
    H = atomistic.hessian(potential, atoms)
    operator = atomistic.hessian_operator(potential, atoms)
    assert H.shape == operator.shape == (192, 192)
    (largest,) = eigsh(operator, k=1, which="LA", v0=np.arange(192.0), return_eigenvectors=False)
    assert largest == pytest.approx(np.linalg.eigvalsh(H)[-1], rel=1e-10)
    two = np.random.default_rng(0).normal(size=(192, 2))
    np.testing.assert_allclose(operator @ two, H @ two, atol=1e-10)


@pytest.mark.parametrize("kind", DESCRIPTORS)
def test_internal_strain_is_the_difference_of_the_forces_under_strain(kind: str) -> None:
    potential, atoms = case(kind, "two elements")
    exact = atomistic.internal_strain(potential, atoms)
    assert exact.shape == (8, 3, 3, 3)

    def forces(i: int, j: int) -> Callable[[float], np.ndarray]:
        def strained(step: float) -> np.ndarray:
            strain = np.eye(3)
            strain[i, j] += step
            return potential.predict(atomistic.deform(atoms, strain)).forces

        return strained

    for i, j in ((0, 0), (1, 2), (2, 1)):
        numerical = difference(forces(i, j), 1e-5)
        assert np.abs(exact[:, :, i, j] - numerical).max() <= 1e-6 * np.abs(exact).max()


def test_relaxed_constants_are_clamped_ones_less_the_internal_relaxation(
    small_training: Trained, silicon: Atoms
) -> None:
    """Born and Huang: A - L : H^+ : L / V, against the implicit differentiation of the Cauchy-Born law."""
    potential = small_training[1].potential
    crystal = atomistic.relax_crystal(silicon, NeuralCalculator(potential), force_tolerance=1e-10).atoms
    law = atomistic.CauchyBorn(crystal, potential, force_tolerance=1e-11)
    clamped, relaxed = (law.evaluate(np.eye(3)[None], relax=relax).tangent for relax in (False, True))
    assert clamped is not None and relaxed is not None
    L = atomistic.internal_strain(potential, crystal).reshape(6, 9)
    inverse = np.linalg.pinv(atomistic.hessian(potential, crystal), rcond=1e-8)
    relaxation = (L.T @ inverse @ L).reshape(3, 3, 3, 3) / crystal.get_volume()
    assert np.abs(relaxation).max() > 0.05 * np.abs(clamped).max()
    np.testing.assert_allclose(clamped[0] - relaxation, relaxed[0], atol=1e-7 * np.abs(clamped).max())


def test_an_isolated_atom_has_no_curvature() -> None:
    potential = random_potential_of("body-ordered", (14,))
    assert not atomistic.hessian(potential, Atoms("Si")).any()


def test_nonsense_is_refused() -> None:
    potential, atoms = case("wide", "cell smaller than the cutoff")
    with pytest.raises(ValueError, match=r"shape \(3, 3\), expected \(2, 3\)"):
        atomistic.hessian_vector_product(potential, atoms, np.ones((3, 3)))
    with pytest.raises(ValueError, match="NaN"):
        atomistic.hessian_vector_product(potential, atoms, np.full((2, 3), np.nan))
    with pytest.raises(atomistic.UnknownElement, match="Ge is unknown"):
        atomistic.hessian(potential, bulk("Ge", a=5.66))
