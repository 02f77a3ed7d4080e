"""Strain measures and the chain rule from a potential of strain to P and A."""

import numpy as np
import pytest

from multiscale.laws.strain import (
    COLUMNS,
    ROWS,
    elastic_constants_of_tangent,
    first_piola,
    green_lagrange,
    log_strain,
    stiffness_components,
    stiffness_tensor,
    strain_action,
    strain_norm_components,
    strain_tensor,
    stress_components,
    stress_tensor,
    stretch_of_log_strain,
    tangent,
)

from .random_laws import random_rotations, random_strains


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)


def test_strain_is_that_of_the_definition(rng: np.random.Generator) -> None:
    F = random_strains(0, 10)
    E = 0.5 * (np.swapaxes(F, 1, 2) @ F - np.eye(3))
    assert np.allclose(strain_tensor(green_lagrange(F)), E, atol=1e-15)
    assert np.allclose(
        np.linalg.norm(strain_norm_components(green_lagrange(F)), axis=1), np.linalg.norm(E, axis=(1, 2))
    )


def test_no_digits_are_lost_near_the_identity() -> None:
    stretch = 2.0**-30  # exact in F and in E = h + h^2 / 2
    e = green_lagrange(np.diag([1.0 + stretch, 1.0, 1.0])[None])[0]
    assert e[0] == stretch + 0.5 * stretch**2
    assert not e[1:].any()


def test_voigt_components_and_tensors_are_inverse(rng: np.random.Generator) -> None:
    e, S, D = rng.normal(size=(4, 6)), rng.normal(size=(4, 6)), rng.normal(size=(4, 6, 6))
    assert np.array_equal(stress_components(stress_tensor(S)), S)
    assert np.array_equal(stiffness_components(stiffness_tensor(D)), D)
    work = np.einsum("nij,nij->n", stress_tensor(S), strain_tensor(e))
    assert np.allclose(work, (S * e).sum(axis=1))  # the doubling of shear: S:E = S.e


def test_rotation_acts_on_components_as_on_the_tensor(rng: np.random.Generator) -> None:
    R = random_rotations(rng, 5)
    e = rng.normal(size=6)
    rotated = R @ strain_tensor(e) @ np.swapaxes(R, 1, 2)
    assert np.allclose(strain_tensor(strain_action(R) @ e), rotated, atol=1e-14)


def test_stress_and_tangent_are_derivatives_of_the_energy(rng: np.random.Generator) -> None:
    C = rng.normal(size=(6, 6))
    C = 100.0 * C @ C.T

    def stress(F: np.ndarray) -> np.ndarray:
        return first_piola(F, green_lagrange(F) @ C)

    F, h = random_strains(1, 3), 1e-5
    P, A = stress(F), tangent(F, green_lagrange(F) @ C, np.broadcast_to(C, (3, 6, 6)))
    for k in range(3):
        for L in range(3):
            dF = np.zeros((3, 3))
            dF[k, L] = h
            energies = [
                0.5 * np.einsum("ni,ij,nj->n", e, C, e) for e in (green_lagrange(F + dF), green_lagrange(F - dF))
            ]
            assert np.allclose((energies[0] - energies[1]) / (2 * h), P[:, k, L], atol=1e-7 * np.abs(P).max())
            assert np.allclose((stress(F + dF) - stress(F - dF)) / (2 * h), A[..., k, L], atol=1e-8 * np.abs(A).max())


def test_elastic_constants_come_back_from_the_tangent_of_a_stressed_state(rng: np.random.Generator) -> None:
    C = rng.normal(size=(6, 6))
    C, S = C + C.T, rng.normal(size=6)
    A = tangent(np.eye(3)[None], S[None], C[None])[0]
    assert np.allclose(elastic_constants_of_tangent(A, stress_tensor(S)), C, atol=1e-14)


def test_logarithmic_strain_is_the_inverse_of_the_stretch(rng: np.random.Generator) -> None:
    h = rng.uniform(-0.3, 0.3, (10, 6))
    U = stretch_of_log_strain(h)
    assert np.allclose(log_strain(random_rotations(rng, 10) @ U), h, atol=1e-14)
    assert np.allclose(np.log(np.linalg.det(U)), h[:, :3].sum(axis=1))
    assert ROWS[3] == 1 and COLUMNS[3] == 2  # yz comes fourth
