"""The convex network: derivatives, convexity, and no explosion away from its data."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multiscale.classical import InvalidParameters, IsotropicLaw
from multiscale.laws.convex_network import ConvexNetwork, ConvexNetworkPotential
from multiscale.laws.reference_state import FitError
from multiscale.measured.ranking import relative_error

from .random_laws import random_rotations, random_strains
from .rubber import treloar


def random_potential(seed: int) -> ConvexNetworkPotential:
    rng = np.random.default_rng(seed)
    a, w, b, v, s = (
        rng.uniform(size=2),
        3.0 * rng.uniform(size=4),
        rng.normal(size=4),
        rng.uniform(size=4),
        rng.uniform(1, 5, 2),
    )
    return ConvexNetworkPotential(a, w, b, v, s)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_derivatives_objectivity_and_rest(seed: int) -> None:
    law, F = IsotropicLaw(random_potential(seed), 10.0), random_strains(seed, 3, largest=0.4)
    response, h = law.evaluate(F), 1e-3
    assert response.tangent is not None
    scale = np.abs(response.tangent).max()
    weights = {-2: 1 / 12, -1: -2 / 3, 1: 2 / 3, 2: -1 / 12}
    for k in range(3):
        for L in range(3):
            step = np.zeros((3, 3))
            step[k, L] = h
            moved = {m: law.evaluate(F + m * step, tangent=False) for m in weights}
            P = sum(w * moved[m].energy for m, w in weights.items()) / h
            A = sum(w * moved[m].first_piola for m, w in weights.items()) / h
            assert np.abs(P - response.first_piola[:, k, L]).max() < 1e-7 * scale
            assert np.abs(A - response.tangent[..., k, L]).max() < 1e-7 * scale
    Q = random_rotations(np.random.default_rng(seed), 1)[0]
    turned = law.evaluate(Q @ F).first_piola
    assert np.abs(turned - Q @ response.first_piola).max() < 1e-12 * np.abs(turned).max()
    rest = law.evaluate(np.eye(3)[None])
    assert abs(rest.energy[0]) < 1e-14 and np.abs(rest.first_piola).max() < 1e-13


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_convex_and_non_decreasing_in_the_polyconvex_invariants(seed: int) -> None:
    """In y_1 = Ibar1 - 3 and y_2 = Ibar2^(3/2) - 3 sqrt 3: slopes >= 0, and chords above the function."""
    potential, rng = random_potential(seed), np.random.default_rng(seed)

    def psi(y: np.ndarray) -> np.ndarray:
        K = np.stack([y[:, 0], np.cbrt(y[:, 1] + 3.0 * np.sqrt(3.0)) ** 2 - 3.0], axis=1)
        energy, slope, _ = potential.derivatives(K)
        assert (slope >= 0.0).all()
        return energy

    a, b = rng.exponential(5.0, (50, 2)), rng.exponential(5.0, (50, 2))
    assert (psi(0.5 * (a + b)) <= 0.5 * (psi(a) + psi(b)) + 1e-12).all()


def test_uniaxial_data_alone_do_not_make_it_explode() -> None:
    """Equibiaxial tension to a stretch of 4.4 within a quarter; Mooney and Rivlin's law is off by a factor of ten."""
    law = ConvexNetwork(2).fit([treloar("uniaxial")], seed=0)
    assert relative_error(law, [treloar("uniaxial")]) < 0.025
    assert relative_error(law, [treloar("planar")]) < 0.1
    assert relative_error(law, [treloar("equibiaxial")]) < 0.25


def test_refusals() -> None:
    one = np.ones(1)
    with pytest.raises(InvalidParameters, match=r"weights has shape \(1,\) and minimum -1.0, expected \(1,\) and >= 0"):
        ConvexNetworkPotential(np.ones(2), -one, one, one, np.ones(2))
    with pytest.raises(FitError, match="neurons is 0"):
        ConvexNetwork(0)
    with pytest.raises(FitError, match="no tests are given"):
        ConvexNetwork().fit([], seed=0)
