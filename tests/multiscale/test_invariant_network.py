"""Invariant laws with random parameters: what holds by construction holds, for infinite and finite groups."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atomistic.network_file import NetworkFileError
from fem.law import Law
from multiscale.laws.fields import InvalidLaw, UnknownState
from multiscale.laws.invariant_network import InvariantLaw
from multiscale.laws.strain import stiffness_components, strain_action, stress_tensor
from multiscale.symmetry.invariants import invariants_of
from multiscale.symmetry.material_symmetry import InfiniteGroup, MaterialSymmetry
from multiscale.symmetry.point_group import PointGroup
from multiscale.trust.symmetry_domain import domain_of

from .random_laws import random_rotations, random_strains

SEEDS = st.integers(0, 2**32 - 1)
I = np.eye(3)[None]  # noqa: E741
FRAME = random_rotations(np.random.default_rng(7), 1)[0]
SYMMETRIES: dict[str, MaterialSymmetry] = {
    "isotropic": InfiniteGroup("isotropic"),
    "transversely isotropic": InfiniteGroup("transversely isotropic", FRAME[:, 2].tolist()),
    "m-3m": PointGroup.named("m-3m", FRAME),
    "-3": PointGroup.named("-3"),
    "2/m": PointGroup.named("2/m"),
}
NAMES = st.sampled_from(list(SYMMETRIES))


def random_invariant_law(symmetry: MaterialSymmetry, seed: int) -> InvariantLaw:
    rng = np.random.default_rng(seed)
    factor, h, m = rng.normal(size=(6, 6)), 4, len(invariants_of(symmetry).orders)
    return InvariantLaw(
        symmetry=symmetry,
        weights=5.0 * rng.normal(size=(h, m)),
        biases=rng.normal(size=h),
        amplitudes=3.0 * rng.normal(size=h),
        skip=rng.normal(size=m),
        constants=symmetry.project_stiffness(20.0 * factor @ factor.T + 50.0 * np.eye(6)),
        reference_stress=stress_tensor(symmetry.project_stress(rng.normal(size=6))),
        growth_modulus=500.0,
        growth_threshold=0.8,
        domain=domain_of(rng.uniform(-0.05, 0.05, (20, 6)), symmetry),
        provenance={"made": f"at random, seed {seed}"},
    )


def members(symmetry: MaterialSymmetry, seed: int) -> np.ndarray:
    if isinstance(symmetry, PointGroup):
        return symmetry.rotations
    assert isinstance(symmetry, InfiniteGroup)
    rng = np.random.default_rng(seed)
    if symmetry.name == "isotropic":
        return random_rotations(rng, 4)
    c, s = np.cos(angle := rng.uniform(0.0, 6.0)), np.sin(angle)
    about = np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])
    return symmetry.frame @ np.array([about, about @ np.diag([1.0, -1.0, -1.0])]) @ symmetry.frame.T


def relative(found: np.ndarray, expected: np.ndarray) -> float:
    return float(np.abs(found - expected).max() / np.abs(expected).max())


@settings(max_examples=12, deadline=None)
@given(seed=SEEDS, name=NAMES)
def test_objectivity_and_symmetry(seed: int, name: str) -> None:
    law, F = random_invariant_law(SYMMETRIES[name], seed), random_strains(seed, 3)
    still = law.evaluate(F)
    assert still.tangent is not None
    Q = random_rotations(np.random.default_rng(seed), 1)[0]
    turned = law.evaluate(Q @ F)
    assert turned.tangent is not None
    assert relative(turned.energy, still.energy) < 1e-12
    assert relative(turned.first_piola, Q @ still.first_piola) < 1e-12
    assert relative(turned.tangent, np.einsum("ia,kb,naJbL->niJkL", Q, Q, still.tangent)) < 1e-12
    for R in members(law.symmetry, seed):
        turned = law.evaluate(F @ R.T)
        assert turned.tangent is not None
        assert relative(turned.energy, still.energy) < 1e-12
        assert relative(turned.first_piola, still.first_piola @ R.T) < 1e-12
        assert relative(turned.tangent, np.einsum("JA,LB,niAkB->niJkL", R, R, still.tangent)) < 1e-12


@settings(max_examples=12, deadline=None)
@given(seed=SEEDS, name=NAMES)
def test_reference_state_is_exact(seed: int, name: str) -> None:
    law = random_invariant_law(SYMMETRIES[name], seed)
    response, stress = law.evaluate(I), law.reference_stress
    assert response.tangent is not None
    C = response.tangent[0] - np.einsum("ik,jl->ijkl", np.eye(3), stress)
    assert abs(response.energy[0]) < 1e-13
    assert np.abs(response.first_piola[0] - stress).max() < 1e-11
    assert np.abs(stiffness_components(C) - law.constants).max() < 1e-9


@settings(max_examples=12, deadline=None)
@given(seed=SEEDS, name=NAMES, compressed=st.booleans())
def test_derivatives(seed: int, name: str, compressed: bool) -> None:
    law = random_invariant_law(SYMMETRIES[name], seed)
    F = random_strains(seed, 1)[0] * (0.85 if compressed else 1.0)
    h = 1e-5
    steps = h * np.eye(9).reshape(9, 3, 3)
    here, up, down = law.evaluate(F[None]), law.evaluate(F + steps), law.evaluate(F - steps)
    assert here.tangent is not None
    stress = ((up.energy - down.energy) / (2 * h)).reshape(3, 3)
    tangent = ((up.first_piola - down.first_piola) / (2 * h)).reshape(3, 3, 3, 3).transpose(2, 3, 0, 1)
    assert relative(here.first_piola[0], stress) < 1e-7
    assert relative(here.tangent[0], tangent) < 1e-7


@pytest.mark.parametrize("name", SYMMETRIES)
def test_finite_at_extreme_volumes(name: str) -> None:
    law = random_invariant_law(SYMMETRIES[name], 1)
    stretches = np.cbrt([1e-3, 1e-2, 0.1, 10.0, 100.0])
    response = law.evaluate(stretches[:, None, None] * random_strains(0, 5))
    for array in (response.energy, response.first_piola, response.tangent):
        assert array is not None and np.isfinite(array).all()
    assert response.energy[0] > 100.0 * response.energy[2] > 0.0


def test_symmetry_is_not_larger_than_asked() -> None:
    F, rng = random_strains(2, 3), np.random.default_rng(0)
    for name in ("transversely isotropic", "m-3m", "-3", "2/m"):
        law = random_invariant_law(SYMMETRIES[name], 1)
        R = random_rotations(rng, 1)[0]
        assert relative(law.evaluate(F @ R.T).energy, law.evaluate(F).energy) > 1e-4


@pytest.mark.parametrize("name", SYMMETRIES)
def test_file_round_trip_is_exact(name: str, tmp_path: Path) -> None:
    law, F = random_invariant_law(SYMMETRIES[name], 3), random_strains(0, 10)
    law.save(tmp_path / "law.safetensors")
    back = InvariantLaw.load(tmp_path / "law.safetensors")
    here, there = law.evaluate(F, trust=True), back.evaluate(F, trust=True)
    for field in ("energy", "first_piola", "tangent"):
        assert np.array_equal(getattr(here, field), getattr(there, field))
    assert here.trust is not None and there.trust is not None
    assert np.allclose(here.trust, there.trust, rtol=1e-9)
    assert back.provenance == law.provenance and isinstance(law, Law)
    (tmp_path / "law.safetensors").write_bytes((tmp_path / "law.safetensors").read_bytes()[:200])
    with pytest.raises(NetworkFileError):
        InvariantLaw.load(tmp_path / "law.safetensors")


def test_domain_sees_orbits() -> None:
    rng = np.random.default_rng(4)
    for name in ("isotropic", "transversely isotropic"):
        symmetry = SYMMETRIES[name]
        strain = rng.uniform(-0.05, 0.05, (20, 6))
        domain = domain_of(strain, symmetry)
        for R in members(symmetry, 5):
            assert domain.distance(strain @ strain_action(R).T).max() < 1e-12
        assert (domain.distance(10.0 * strain) > 3.0 * domain.spacing).all()


def test_refusals() -> None:
    law = random_invariant_law(SYMMETRIES["isotropic"], 0)
    with pytest.raises(InvalidLaw, match=r"weights has shape \(2, 2\), expected \(4, 3\)"):
        replace(law, weights=np.zeros((2, 2)))
    with pytest.raises(InvalidLaw, match="constants differ from their average over isotropic"):
        replace(law, constants=np.diag([200.0, 200.0, 200.0, 80.0, 80.0, 80.0]))
    with pytest.raises(InvalidLaw, match="reference_stress differ from"):
        replace(law, reference_stress=np.diag([1.0, 1.0, 2.0]))
    with pytest.raises(InvalidLaw, match=r"J0 = 1\.5"):
        replace(law, growth_threshold=1.5)
    with pytest.raises(UnknownState):
        law.evaluate(I, {"temperature": np.zeros(1)})
