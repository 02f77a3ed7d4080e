"""Orbit laws with random parameters: what holds by construction holds, on either backend."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fem.law import InadmissibleDeformation, Law, Response, ShapeError
from multiscale.laws.fields import InvalidLaw, UnknownState
from multiscale.laws.orbit_network import OrbitLaw
from multiscale.laws.strain import stiffness_components, stress_components
from multiscale.symmetry.point_group import GENERATORS, PointGroup

from .random_laws import random_law, random_rotations, random_strains

SEEDS = st.integers(0, 2**32 - 1)
LAUE_CLASSES = st.sampled_from(list(GENERATORS))
I = np.eye(3)[None]  # noqa: E741


def numpy_response(law: OrbitLaw, F: np.ndarray) -> Response:
    return Response(*law.terms.evaluate(F, tangent=True))


def c_response(law: OrbitLaw, F: np.ndarray) -> Response:
    if law.backend != "c":
        pytest.skip("no C compiler")
    return law.evaluate(F)


BACKENDS = pytest.mark.parametrize("respond", [numpy_response, c_response])
Respond = Callable[[OrbitLaw, np.ndarray], Response]


def relative(found: np.ndarray, expected: np.ndarray) -> float:
    return float(np.abs(found - expected).max() / np.abs(expected).max())


@BACKENDS
@settings(max_examples=25, deadline=None)
@given(seed=SEEDS, laue=LAUE_CLASSES)
def test_objectivity(respond: Respond, seed: int, laue: str) -> None:
    law, F = random_law(PointGroup.named(laue), seed), random_strains(seed, 4)
    Q = random_rotations(np.random.default_rng(seed), 1)[0]
    still, turned = respond(law, F), respond(law, Q @ F)
    assert relative(turned.energy, still.energy) < 1e-12
    assert relative(turned.first_piola, Q @ still.first_piola) < 1e-12
    assert still.tangent is not None and turned.tangent is not None
    assert relative(turned.tangent, np.einsum("ia,kb,naJbL->niJkL", Q, Q, still.tangent)) < 1e-12


@BACKENDS
@settings(max_examples=25, deadline=None)
@given(seed=SEEDS, laue=LAUE_CLASSES)
def test_material_symmetry(respond: Respond, seed: int, laue: str) -> None:
    law, F = random_law(PointGroup.named(laue), seed), random_strains(seed, 2)
    still = respond(law, F)
    for R in law.symmetry.rotations:
        turned = respond(law, F @ R.T)
        assert relative(turned.energy, still.energy) < 1e-12
        assert relative(turned.first_piola, still.first_piola @ R.T) < 1e-12
        assert still.tangent is not None and turned.tangent is not None
        assert relative(turned.tangent, np.einsum("JA,LB,niAkB->niJkL", R, R, still.tangent)) < 1e-12


@pytest.mark.parametrize("laue", ["-1", "2/m", "mmm", "4/m", "4/mmm", "-3", "-3m", "6/m", "6/mmm", "m-3"])
def test_symmetry_is_not_larger_than_asked(laue: str) -> None:
    law, F = random_law(PointGroup.named(laue), 1), random_strains(2, 3)
    R = PointGroup.named("6/mmm" if laue in ("-3", "-3m", "6/m") else "m-3m").rotations
    if laue == "6/mmm":
        R = PointGroup.named("m-3m").rotations
    worst = max(relative(law.evaluate(F @ S.T).energy, law.evaluate(F).energy) for S in R)
    assert worst > 1e-4


@BACKENDS
@settings(max_examples=20, deadline=None)
@given(seed=SEEDS, laue=LAUE_CLASSES, stressed=st.booleans())
def test_stress_and_tangent_are_derivatives(respond: Respond, seed: int, laue: str, stressed: bool) -> None:
    law, F = random_law(PointGroup.named(laue), seed, stressed=stressed), random_strains(seed, 2)
    response = respond(law, F)
    P, A = np.empty_like(response.first_piola), np.empty((2, 3, 3, 3, 3))
    # fourth-order central differences: truncation 1e-10, round-off 1e-12
    h, weights = 2e-4, {-2: 1 / 12, -1: -2 / 3, 1: 2 / 3, 2: -1 / 12}
    for k in range(3):
        for L in range(3):
            step = np.zeros((3, 3))
            step[k, L] = h
            states = {m: respond(law, F + m * step) for m in weights}
            P[:, k, L] = sum(w * states[m].energy for m, w in weights.items()) / h
            A[..., k, L] = sum(w * states[m].first_piola for m, w in weights.items()) / h
    assert relative(P, response.first_piola) < 1e-7
    assert response.tangent is not None
    assert relative(A, response.tangent) < 1e-7
    assert relative(response.tangent, response.tangent.transpose(0, 3, 4, 1, 2)) < 1e-14


@BACKENDS
@settings(max_examples=25, deadline=None)
@given(seed=SEEDS, laue=LAUE_CLASSES, stressed=st.booleans())
def test_reference_state(respond: Respond, seed: int, laue: str, stressed: bool) -> None:
    law = random_law(PointGroup.named(laue), seed, stressed=stressed)
    response = respond(law, I)
    assert abs(response.energy[0]) < 1e-14
    assert np.abs(response.first_piola[0] - law.reference_stress).max() < 1e-12
    assert response.tangent is not None
    stiffness = response.tangent[0] - np.einsum("ik,JL->iJkL", np.eye(3), law.reference_stress)
    assert relative(stiffness_components(stiffness), law.elastic_constants()) < 1e-13


@BACKENDS
def test_growth_is_absent_inside_and_unbounded_towards_collapse(respond: Respond, cubic: PointGroup) -> None:
    law = random_law(cubic, 0)
    bare = replace(law, growth_modulus=0.0)
    inside = random_strains(0, 50, largest=0.05)
    assert np.linalg.det(inside).min() > law.growth_threshold
    assert np.array_equal(respond(law, inside).energy, respond(bare, inside).energy)
    crushed = np.cbrt(np.geomspace(1.0, 1e-3, 40))[:, None, None] * np.eye(3)
    response = respond(law, crushed)
    assert response.tangent is not None
    assert np.isfinite(response.energy).all() and np.isfinite(response.tangent).all()
    assert (np.diff(response.energy[-20:]) > 0).all() and response.energy[-1] > 1e10
    assert np.isfinite(respond(law, np.cbrt(100.0) * I).energy).all()
    # derivatives where the growth term acts
    F, h = 0.85 * random_strains(3, 3), 1e-6
    for k in range(9):
        step = h * np.eye(9)[k].reshape(3, 3)
        plus, minus, here = respond(law, F + step), respond(law, F - step), respond(law, F)
        assert here.tangent is not None
        slope = ((plus.energy - minus.energy) / (2 * h)).reshape(3)
        assert relative(slope, here.first_piola.reshape(3, 9)[:, k]) < 1e-6
        assert (
            relative((plus.first_piola - minus.first_piola) / (2 * h), here.tangent.reshape(3, 3, 3, 9)[..., k]) < 1e-6
        )


def test_backends_agree(cubic: PointGroup) -> None:
    for seed in range(5):
        law = random_law(cubic, seed, neurons=12, stressed=True)
        F = np.concatenate([random_strains(seed, 1003), 0.8 * random_strains(seed, 10)])
        fast, plain = c_response(law, F), numpy_response(law, F)
        assert fast.tangent is not None and plain.tangent is not None
        assert relative(fast.energy, plain.energy) < 1e-12
        assert relative(fast.first_piola, plain.first_piola) < 1e-12
        assert relative(fast.tangent, plain.tangent) < 1e-12


def test_neurons_in_special_position_repeat_no_image(cubic: PointGroup) -> None:
    weights = np.array(
        [[10.0, 10.0, 10.0, 0.0, 0.0, 0.0], [5.0, 5.0, 5.0, 9.0, 9.0, 9.0], [5.0, 1.0, 1.0, 0.0, 0.0, 0.0]]
    )
    law = replace(random_law(cubic, 0), weights=weights, biases=np.ones(3), amplitudes=np.ones(3))
    assert len(law.terms.biases) == 1 + 4 + 3  # a volume, four body diagonals, three axes
    assert np.allclose(law.terms.amplitudes.sum(), 3.0)
    turned = law.evaluate(random_strains(0, 3) @ cubic.rotations[7].T).energy
    assert np.allclose(turned, law.evaluate(random_strains(0, 3)).energy, rtol=1e-13)


def test_a_law_of_the_protocol(cubic: PointGroup) -> None:
    law, F = random_law(cubic, 0), random_strains(0, 5)
    assert isinstance(law, Law)
    response = law.evaluate(F, tangent=False, trust=True)
    assert response.tangent is None
    assert response.trust is not None and ((response.trust > 0) & (response.trust <= 1)).all()
    assert law.evaluate(F).trust is None
    assert replace(law, domain=None).evaluate(F, trust=True).trust is None
    assert len(law.evaluate(np.empty((0, 3, 3))).energy) == 0


def test_refusals(cubic: PointGroup) -> None:
    law = random_law(cubic, 0)
    with pytest.raises(InadmissibleDeformation, match="det F = -1 at point 2"):
        law.evaluate(np.array([np.eye(3), np.eye(3), np.diag([1.0, 1.0, -1.0])]))
    with pytest.raises(InadmissibleDeformation, match="not finite at point 1"):
        law.evaluate(np.array([np.eye(3), np.full((3, 3), np.nan)]))
    with pytest.raises(ShapeError, match=r"\(4, 2, 2\), expected \(n, 3, 3\)"):
        law.evaluate(np.zeros((4, 2, 2)))
    with pytest.raises(UnknownState, match="temperature"):
        law.evaluate(I, {"temperature": np.zeros(1)})
    with pytest.raises(InvalidLaw, match=r"weights has shape \(5, 5\), expected \(5, 6\)"):
        replace(law, weights=np.zeros((5, 5)))
    with pytest.raises(InvalidLaw, match="biases holds NaN"):
        replace(law, biases=np.full(5, np.nan))
    with pytest.raises(InvalidLaw, match="constants differ from their average over m-3m by"):
        replace(law, constants=np.diag([3.0, 2.0, 2.0, 1.0, 1.0, 1.0]))
    with pytest.raises(InvalidLaw, match="reference_stress differ from their average"):
        replace(law, reference_stress=np.diag([1.0, 0.0, 0.0]))
    with pytest.raises(InvalidLaw, match=r"J0 = 1\.5"):
        replace(law, growth_threshold=1.5)
    assert np.array_equal(stress_components(law.reference_stress), np.zeros(6))
