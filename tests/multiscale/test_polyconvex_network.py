"""Polyconvex laws with random parameters: convex along every rank-one line, stress-free, symmetric, differentiable."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multiscale.laws.fields import InvalidLaw
from multiscale.laws.polyconvex_arguments import arguments
from multiscale.laws.polyconvex_network import PolyconvexLaw
from multiscale.laws.strain import stress_components
from multiscale.symmetry.material_symmetry import InfiniteGroup, MaterialSymmetry
from multiscale.symmetry.point_group import PointGroup
from multiscale.trust.ellipticity import acoustic_minimum

from .random_laws import random_rotations, random_strains
from .test_invariant_network import FRAME, I, members, relative

SEEDS = st.integers(0, 2**32 - 1)
SYMMETRIES: dict[str, MaterialSymmetry] = {
    "isotropic": InfiniteGroup("isotropic"),
    "transversely isotropic": InfiniteGroup("transversely isotropic", FRAME[:, 2].tolist()),
    "m-3m": PointGroup.named("m-3m", FRAME),
    "-3": PointGroup.named("-3"),
    "-1": PointGroup.named("-1"),
}
NAMES = st.sampled_from(list(SYMMETRIES))


def random_polyconvex_law(symmetry: MaterialSymmetry, seed: int) -> PolyconvexLaw:
    rng = np.random.default_rng(seed)
    h = 3

    def tensors(count: int) -> np.ndarray:
        if isinstance(symmetry, PointGroup):
            L = rng.normal(size=(count, 3, 3))
            return stress_components(L @ np.swapaxes(L, -1, -2))
        L = rng.uniform(0.0, 2.0, size=(count, 2))
        along = np.outer(FRAME[:, 2], FRAME[:, 2]) if symmetry.name != "isotropic" else np.eye(3)
        return stress_components(L[:, :1, None] * along + L[:, 1:, None] * np.eye(3))

    w, b, v = np.zeros((h, 13)), rng.normal(size=h), rng.uniform(0.0, 10.0, size=h)
    w[:, :6], w[:, 6:12], w[:, 12] = tensors(h), tensors(h), 3.0 * rng.normal(size=h)
    w *= 3.0
    skip = np.concatenate([tensors(1)[0], np.zeros(6), rng.normal(size=1)])
    return PolyconvexLaw(symmetry, w, b, v, skip, 5.0, growth_modulus=50.0, growth_threshold=0.7)


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
def test_reference_state_symmetry_and_derivatives(seed: int, name: str) -> None:
    law, F = random_polyconvex_law(SYMMETRIES[name], seed), random_strains(seed, 2, largest=0.3)
    at_rest, C = law.evaluate(I), law.elastic_constants()
    assert abs(at_rest.energy[0]) < 1e-13 and np.abs(at_rest.first_piola).max() < 1e-12 * np.abs(C).max()
    assert relative(law.symmetry.project_stiffness(C), C) < 1e-12
    still, Q = law.evaluate(F), random_rotations(np.random.default_rng(seed), 1)[0]
    assert relative(law.evaluate(Q @ F).first_piola, Q @ still.first_piola) < 1e-12
    for R in members(law.symmetry, seed):
        assert relative(law.evaluate(F @ R.T).first_piola, still.first_piola @ R.T) < 1e-12
    h = 1e-5
    steps = h * np.eye(9).reshape(9, 3, 3)
    up, down = law.evaluate(F[0] + steps), law.evaluate(F[0] - steps)
    stress = ((up.energy - down.energy) / (2 * h)).reshape(3, 3)
    tangent = ((up.first_piola - down.first_piola) / (2 * h)).reshape(3, 3, 3, 3).transpose(2, 3, 0, 1)
    assert still.tangent is not None
    assert relative(still.first_piola[0], stress) < 1e-7 and relative(still.tangent[0], tangent) < 1e-7


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


@pytest.mark.parametrize("name", SYMMETRIES)
def test_finite_at_extreme_volumes_and_on_disk(name: str, tmp_path: Path) -> None:
    law = random_polyconvex_law(SYMMETRIES[name], 1)
    stretches = np.cbrt([1e-3, 1e-2, 0.1, 10.0, 100.0])
    F = stretches[:, None, None] * random_strains(0, 5)
    response = law.evaluate(F)
    for array in (response.energy, response.first_piola, response.tangent):
        assert array is not None and np.isfinite(array).all()
    law.save(tmp_path / "law.safetensors")
    assert np.array_equal(PolyconvexLaw.load(tmp_path / "law.safetensors").evaluate(F).energy, response.energy)


def test_refusals() -> None:
    law = random_polyconvex_law(SYMMETRIES["m-3m"], 0)
    with pytest.raises(InvalidLaw, match="expected amplitudes and bulk >= 0"):
        replace(law, amplitudes=-law.amplitudes)
    with pytest.raises(InvalidLaw, match="would not be polyconvex"):
        replace(law, weights=-law.weights)
    with pytest.raises(InvalidLaw, match="not invariant under the isotropic group"):
        replace(law, symmetry=InfiniteGroup("isotropic"))
