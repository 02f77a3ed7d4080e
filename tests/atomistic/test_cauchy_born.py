"""The relaxed Cauchy-Born law: its derivatives, its symmetry, and agreement with plain relaxation through ASE."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from scipy.linalg import expm
from scipy.spatial.transform import Rotation

import atomistic
from atomistic import CauchyBorn, InvalidDeformation, NeuralCalculator

Trained = tuple[list[Atoms], atomistic.Training]


@pytest.fixture(scope="module")
def law(small_training: Trained, silicon: Atoms) -> CauchyBorn:
    potential = small_training[1].potential
    relaxed = atomistic.relax_crystal(silicon, NeuralCalculator(potential))
    return CauchyBorn(relaxed.atoms, potential, force_tolerance=1e-11)


def strains(count: int, max_strain: float, seed: int) -> np.ndarray:
    generator = np.random.default_rng(seed)
    H = generator.uniform(-max_strain, max_strain, (count, 3, 3))
    return np.array([expm(0.5 * (h + h.T)) for h in H])


def test_reference_state_is_at_rest(law: CauchyBorn) -> None:
    answer = law.evaluate(np.eye(3)[None])
    assert answer.energy[0] == 0.0
    assert np.abs(answer.first_piola).max() < 1e-8
    assert answer.stable.all()


def test_stress_and_tangent_are_differences(law: CauchyBorn) -> None:
    F = strains(4, 0.05, 0)
    F[1] = Rotation.from_rotvec([0.4, 0.1, -0.7]).as_matrix() @ F[1]
    answer = law.evaluate(F)
    assert answer.tangent is not None
    h = 1e-4
    P, A = np.zeros_like(answer.first_piola), np.zeros_like(answer.tangent)
    for i in range(3):
        for j in range(3):
            for step, weight in ((-2, 1.0), (-1, -8.0), (1, 8.0), (2, -1.0)):
                moved = F.copy()
                moved[:, i, j] += step * h
                other = law.evaluate(moved, tangent=False)
                P[:, i, j] += weight * other.energy / (12.0 * h)
                A[:, :, :, i, j] += weight * other.first_piola / (12.0 * h)
    assert np.abs(P - answer.first_piola).max() <= 1e-7 * np.abs(answer.first_piola).max()
    assert np.abs(A - answer.tangent).max() <= 1e-7 * np.abs(answer.tangent).max()
    np.testing.assert_allclose(answer.tangent, answer.tangent.transpose(0, 3, 4, 1, 2), atol=1e-12)


def test_objectivity_and_cubic_symmetry(law: CauchyBorn) -> None:
    F = strains(3, 0.05, 1)
    Q = Rotation.from_rotvec([0.3, -0.8, 0.2]).as_matrix()
    R = Rotation.from_euler("x", 90, degrees=True).as_matrix()
    answer, turned, symmetric = law.evaluate(F), law.evaluate(Q @ F), law.evaluate(F @ R)
    np.testing.assert_allclose(turned.energy, answer.energy, atol=1e-12)
    np.testing.assert_allclose(turned.first_piola, Q @ answer.first_piola, atol=1e-10)
    np.testing.assert_allclose(symmetric.energy, answer.energy, atol=1e-10)
    np.testing.assert_allclose(symmetric.first_piola, answer.first_piola @ R, atol=1e-9)


def test_agrees_with_relaxation_by_ase(law: CauchyBorn) -> None:
    F = strains(2, 0.05, 2)
    answer = law.evaluate(F)
    calculator = NeuralCalculator(law.potential)
    for k in range(len(F)):
        relaxed = atomistic.relax_positions(atomistic.deform(law.crystal, F[k]), calculator, force_tolerance=1e-9)
        P = atomistic.first_piola(relaxed.get_stress(voigt=False), F[k])
        np.testing.assert_allclose(answer.first_piola[k], P, atol=1e-9)


def test_clamped_and_relaxed_constants(law: CauchyBorn) -> None:
    """The exact tangent at F = I against central differences of ASE stresses: relaxed and clamped."""
    calculator = NeuralCalculator(law.potential)
    for relax in (True, False):
        A = law.evaluate(np.eye(3)[None], relax=relax).tangent
        assert A is not None
        C = atomistic.elastic_constants(law.crystal, calculator, relaxed=relax)
        exact = [A[0, 0, 0, 0, 0], A[0, 0, 0, 1, 1], A[0, 1, 2, 1, 2]]
        np.testing.assert_allclose(exact, [C[0, 0], C[0, 1], C[3, 3]], rtol=2e-4)


def test_one_atom_cell_has_nothing_to_relax() -> None:
    from .conftest import random_potential

    copper = bulk("Cu", a=3.6)
    law = CauchyBorn(copper, random_potential((29,), nearest=2.55, cutoff=4.5, seed=0))
    F = strains(2, 0.03, 3)
    relaxed, clamped = law.evaluate(F), law.evaluate(F, relax=False)
    assert relaxed.tangent is not None and clamped.tangent is not None
    np.testing.assert_array_equal(relaxed.tangent, clamped.tangent)
    assert len(law.evaluate(F[:0]).energy) == 0


@pytest.mark.parametrize(
    ("F", "message"),
    [
        (np.ones((4, 2, 2)), r"F has shape \(4, 2, 2\), expected \(n, 3, 3\)"),
        (np.array([np.eye(3), np.diag([1.0, 1.0, -0.2])]), "det F = -0.2 at point 1"),
        (np.full((1, 3, 3), np.nan), "not finite at point 0"),
    ],
)
def test_bad_deformations_are_named(law: CauchyBorn, F: np.ndarray, message: str) -> None:
    with pytest.raises(InvalidDeformation, match=message):
        law.evaluate(F)
