"""The acoustic tensor: closed forms of analytic laws, brute force over directions, and silicon from its atoms."""

import numpy as np
import pytest

from fem.laws import NeoHooke, SaintVenantKirchhoff
from multiscale.data.dataset import StressStrainData
from multiscale.laws.strain import green_lagrange
from multiscale.sampling.design import strain_design
from multiscale.symmetry.point_group import PointGroup
from multiscale.trust.ellipticity import NothingToCheck, acoustic_minimum, check_ellipticity, half_sphere

from .random_laws import random_law, random_rotations, random_strains


def compressed(stretches: np.ndarray) -> np.ndarray:
    """F = diag(s, 1, 1)."""
    F = np.tile(np.eye(3), (len(stretches), 1, 1))
    F[:, 0, 0] = stretches
    return F


def test_neo_hooke_is_elliptic_with_its_shear_modulus() -> None:
    # Q = mu I + (mu + lambda (1 - ln J)) (F^-T n)(F^-T n)^T: the smallest eigenvalue is mu wherever the bracket is positive
    F = random_strains(0, 100, largest=0.3)
    found = check_ellipticity(NeoHooke(mu=2.0, lmbda=3.0), F)
    assert np.allclose(found.minimum.eigenvalue, 2.0, rtol=1e-12)
    assert not found.lost.any() and found.distance is None and "strongly elliptic at 100 states" in str(found)


def test_saint_venant_kirchhoff_loses_it_at_two_less_root_two() -> None:
    """lambda = 0, F = diag(s, 1, 1): S = 2 mu E gives Q / mu = (s^2 - 1) n_1^2 I + F F^T + (F n)(F n)^T.

    In the plane of n = (cos t, sin t), a = (cos t, -sin t), with x = cos^2 t: a.Q.a / mu = 2 - 2 (s + 1)(2 - s) x + (s + 1)^2 x^2, least
    at x = (2 - s) / (s + 1), where it is 2 - (2 - s)^2; for s < 1/2 that x exceeds 1, and x = 1 gives 3 s^2 - 1.
    """
    s = np.linspace(0.45, 0.70, 26)
    found = check_ellipticity(SaintVenantKirchhoff.cubic(4.0, 0.0, 2.0), compressed(s))
    expected = 2.0 * np.where(s < 0.5, 3.0 * s**2 - 1.0, 2.0 - (2.0 - s) ** 2)
    assert np.allclose(
        found.minimum.eigenvalue, expected, atol=2e-6
    )  # the two branches meet at 1/2: turns are slow there
    assert np.array_equal(found.lost, s <= 2.0 - np.sqrt(2.0))
    assert found.weakest == 0 and found.smallest == pytest.approx(2.0 * (3.0 * 0.45**2 - 1.0))
    assert np.abs(found.minimum.normal[0]) == pytest.approx([1.0, 0.0, 0.0], abs=1e-3)
    x = found.minimum.normal[-1, 0] ** 2
    assert x == pytest.approx(1.3 / 1.7, abs=1e-3)
    assert "not strongly elliptic at 14 of 26 states" in str(found) and "F = [[0.45, 0.0, 0.0]" in str(found)


def test_no_direction_lies_lower() -> None:
    directions = half_sphere(5000)
    assert np.allclose(np.linalg.norm(directions, axis=1), 1.0) and np.abs(directions[:, :2].mean(axis=0)).max() < 1e-3
    for seed, laue in enumerate(("m-3m", "-3m", "-1")):
        A = random_law(PointGroup.named(laue), seed).evaluate(random_strains(seed, 20)).tangent
        assert A is not None
        found = acoustic_minimum(A)
        Q = np.einsum("niJkL,dJ,dL->ndik", A, directions, directions)
        brute = np.linalg.eigvalsh(Q)[:, :, 0].min(axis=1)
        size = np.abs(A).max(axis=(1, 2, 3, 4))
        assert (found.eigenvalue <= brute + 1e-9 * size).all() and (brute - found.eigenvalue < 0.01 * size).all()
        # a rotation of the body leaves the eigenvalue as it is, and the gradient on both spheres vanishes
        n, a, value = found.normal, found.polarisation, found.eigenvalue
        assert np.allclose(np.einsum("ni,niJkL,nJ,nk,nL->n", a, A, n, a, n), value, atol=1e-9 * size.max())
        by_n = np.einsum("ni,niJkL,nk,nL->nJ", a, A, a, n) - value[:, None] * n
        by_a = np.einsum("niJkL,nJ,nk,nL->ni", A, n, a, n) - value[:, None] * a
        assert np.abs(by_a).max() < 1e-8 * size.max() and np.abs(by_n).max() < 1e-3 * size.max()


def test_rotated_states_are_as_elliptic() -> None:
    law = random_law(PointGroup.named("mmm"), 0)
    F = strain_design(16, 0.06, seed=0)
    turned = random_rotations(np.random.default_rng(0), 16) @ F
    here, there = check_ellipticity(law, F), check_ellipticity(law, turned)
    assert np.allclose(here.minimum.eigenvalue, there.minimum.eigenvalue, atol=1e-6)


def test_silicon_is_not_rank_one_convex_at_six_per_cent(silicon_held_out: StressStrainData) -> None:
    assert silicon_held_out.tangent is not None
    found = acoustic_minimum(silicon_held_out.tangent).eigenvalue
    assert -40.0 < found.min() < -10.0 and 5 <= (found <= 0.0).sum() <= 30
    rest = acoustic_minimum(silicon_held_out.reference_tangent[None])  # type: ignore[index]
    # the slow shear wave along 110, (C11 - C12) / 2
    assert rest.eigenvalue[0] == pytest.approx(0.5 * (151.42 - 76.42), abs=0.02)


def test_a_law_is_asked_inside_its_own_domain() -> None:
    law = random_law(PointGroup.named("m-3m"), 1)
    assert law.domain is not None
    found = check_ellipticity(law, states=300)
    assert len(found.deformation_gradient) == 300 and found.distance is not None
    assert (law.domain.distance(green_lagrange(found.deformation_gradient)) <= law.domain.spacing).all()
    again = check_ellipticity(law, states=300)
    assert np.array_equal(found.deformation_gradient, again.deformation_gradient)
    assert "from the nearest training state" in str(found)


def test_nothing_to_check() -> None:
    with pytest.raises(NothingToCheck, match="NeoHooke has no domain to draw states from"):
        check_ellipticity(NeoHooke(mu=2.0, lmbda=3.0))
    with pytest.raises(NothingToCheck, match="holds no state"):
        check_ellipticity(NeoHooke(mu=2.0, lmbda=3.0), np.zeros((0, 3, 3)))
