"""Invariant and polyconvex laws with random parameters: what holds for both by construction holds, for infinite and finite groups."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atomistic.network_file import NetworkFileError
from fem.law import Law
from multiscale.laws.invariant_network import InvariantLaw
from multiscale.laws.polyconvex_network import PolyconvexLaw

from .argument_laws import RANDOM, SYMMETRIES, members, relative
from .random_laws import random_rotations, random_strains

Kind = type[InvariantLaw | PolyconvexLaw]

SEEDS = st.integers(0, 2**32 - 1)
NAMES = st.sampled_from(list(SYMMETRIES))


@pytest.mark.parametrize("kind", RANDOM)
@settings(max_examples=12, deadline=None)
@given(seed=SEEDS, name=NAMES)
def test_objectivity_and_symmetry(kind: Kind, seed: int, name: str) -> None:
    law, F = RANDOM[kind](SYMMETRIES[name], seed), random_strains(seed, 3)
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


@pytest.mark.parametrize("kind", RANDOM)
@settings(max_examples=12, deadline=None)
@given(seed=SEEDS, name=NAMES, compressed=st.booleans())
def test_derivatives(kind: Kind, seed: int, name: str, compressed: bool) -> None:
    law = RANDOM[kind](SYMMETRIES[name], seed)
    F = random_strains(seed, 1)[0] * (0.85 if compressed else 1.0)
    h = 1e-5
    steps = h * np.eye(9).reshape(9, 3, 3)
    here, up, down = law.evaluate(F[None]), law.evaluate(F + steps), law.evaluate(F - steps)
    assert here.tangent is not None
    stress = ((up.energy - down.energy) / (2 * h)).reshape(3, 3)
    tangent = ((up.first_piola - down.first_piola) / (2 * h)).reshape(3, 3, 3, 3).transpose(2, 3, 0, 1)
    assert relative(here.first_piola[0], stress) < 1e-7
    assert relative(here.tangent[0], tangent) < 1e-7


@pytest.mark.parametrize("kind", RANDOM)
@pytest.mark.parametrize("name", SYMMETRIES)
def test_finite_at_extreme_volumes(kind: Kind, name: str) -> None:
    law = RANDOM[kind](SYMMETRIES[name], 1)
    stretches = np.cbrt([1e-3, 1e-2, 0.1, 10.0, 100.0])
    response = law.evaluate(stretches[:, None, None] * random_strains(0, 5))
    for array in (response.energy, response.first_piola, response.tangent):
        assert array is not None and np.isfinite(array).all()
    assert response.energy[0] > 100.0 * response.energy[2] > 0.0


@pytest.mark.parametrize("kind", RANDOM)
def test_symmetry_is_not_larger_than_asked(kind: Kind) -> None:
    F, rng = random_strains(2, 3), np.random.default_rng(0)
    for name in ("transversely isotropic", "m-3m", "-3", "2/m"):
        law = RANDOM[kind](SYMMETRIES[name], 1)
        R = random_rotations(rng, 1)[0]
        assert relative(law.evaluate(F @ R.T).energy, law.evaluate(F).energy) > 1e-4


@pytest.mark.parametrize("kind", RANDOM)
@pytest.mark.parametrize("name", SYMMETRIES)
def test_file_round_trip_is_exact(kind: Kind, name: str, tmp_path: Path) -> None:
    law, F = RANDOM[kind](SYMMETRIES[name], 3), random_strains(0, 10)
    law.save(tmp_path / "law.safetensors")
    back = kind.load(tmp_path / "law.safetensors")
    here, there = law.evaluate(F, trust=True), back.evaluate(F, trust=True)
    for field in ("energy", "first_piola", "tangent"):
        assert np.array_equal(getattr(here, field), getattr(there, field))
    assert here.trust is not None and there.trust is not None
    assert np.allclose(here.trust, there.trust, rtol=1e-9)
    assert back.provenance == law.provenance and isinstance(law, Law)
    (tmp_path / "law.safetensors").write_bytes((tmp_path / "law.safetensors").read_bytes()[:200])
    with pytest.raises(NetworkFileError):
        kind.load(tmp_path / "law.safetensors")
