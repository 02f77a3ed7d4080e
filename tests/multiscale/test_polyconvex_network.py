"""Polyconvex laws with random parameters: convex along every rank-one line, stress-free at F = I, their arguments."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multiscale.laws.fields import InvalidLaw
from multiscale.laws.polyconvex_arguments import arguments
from multiscale.laws.strain import stress_components
from multiscale.symmetry.material_symmetry import InfiniteGroup
from multiscale.trust.ellipticity import acoustic_minimum

from .argument_laws import SYMMETRIES, I, random_polyconvex_law, relative
from .random_laws import random_strains

SEEDS = st.integers(0, 2**32 - 1)
NAMES = st.sampled_from(list(SYMMETRIES))


@settings(max_examples=20, deadline=None)
@given(seed=SEEDS, name=NAMES)
def test_rank_one_convex(seed: int, name: str) -> None:
    law, rng = random_polyconvex_law(SYMMETRIES[name], seed), np.random.default_rng(seed)
    F = random_strains(seed, 20, largest=0.8)
    tangent = law.evaluate(F).tangent
    assert tangent is not None
    a, n = rng.normal(size=(20, 3)), rng.normal(size=(20, 3))
    bend = np.einsum("pijkl,pi,pj,pk,pl->p", tangent, a, n, a, n)
    scale = np.abs(tangent).max(axis=(1, 2, 3, 4))
    assert (bend >= -1e-10 * scale).all()
    # and at the worst direction of each state
    assert (acoustic_minimum(tangent).eigenvalue >= -1e-10 * scale).all()


@settings(max_examples=10, deadline=None)
@given(seed=SEEDS, name=NAMES)
def test_convex_along_finite_rank_one_lines(seed: int, name: str) -> None:
    law, rng = random_polyconvex_law(SYMMETRIES[name], seed), np.random.default_rng(seed)
    F, a, n = random_strains(seed, 1, largest=0.5)[0], rng.normal(size=3), rng.normal(size=3)
    t = np.linspace(-0.3, 0.3, 61)
    line = F + t[:, None, None] * np.outer(a, n) / np.linalg.norm(a) / np.linalg.norm(n)
    W = law.evaluate(line[np.linalg.det(line) > 0.05], tangent=False).energy
    assert (W[2:] - 2.0 * W[1:-1] + W[:-2] >= -1e-12 * np.abs(W).max()).all()


@settings(max_examples=15, deadline=None)
@given(seed=SEEDS, name=NAMES)
def test_reference_state(seed: int, name: str) -> None:
    law = random_polyconvex_law(SYMMETRIES[name], seed)
    at_rest, C = law.evaluate(I), law.elastic_constants()
    assert abs(at_rest.energy[0]) < 1e-13 and np.abs(at_rest.first_piola).max() < 1e-12 * np.abs(C).max()
    assert relative(law.symmetry.project_stiffness(C), C) < 1e-12


def test_arguments_are_those_of_the_cofactor() -> None:
    F = random_strains(0, 5, largest=0.4)
    C = np.swapaxes(F, -1, -2) @ F
    cofactor = np.linalg.det(C)[:, None, None] * np.linalg.inv(C)
    G = np.diag([1.0, 2.0, 3.0]) + 0.3
    x = arguments(F).value
    assert np.allclose(x[:, :6] @ stress_components(G), 0.5 * np.einsum("nij,ij->n", C - np.eye(3), G), atol=1e-13)
    assert np.allclose(
        x[:, 6:12] @ stress_components(G), 0.5 * np.einsum("nij,ij->n", cofactor - np.eye(3), G), atol=1e-13
    )
    assert np.allclose(x[:, 12], np.linalg.det(F) - 1.0, atol=1e-14)


def test_refusals() -> None:
    law = random_polyconvex_law(SYMMETRIES["m-3m"], 0)
    with pytest.raises(InvalidLaw, match="expected amplitudes and bulk >= 0"):
        replace(law, amplitudes=-law.amplitudes)
    with pytest.raises(InvalidLaw, match="would not be polyconvex"):
        replace(law, weights=-law.weights)
    with pytest.raises(InvalidLaw, match="not invariant under the isotropic group"):
        replace(law, symmetry=InfiniteGroup("isotropic"))
