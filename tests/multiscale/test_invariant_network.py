"""Invariant laws with random parameters: what is prescribed at F = I, domains of infinite groups, refusals."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multiscale.laws.fields import InvalidLaw, UnknownState
from multiscale.laws.strain import stiffness_components, strain_action
from multiscale.trust.domain import Domain

from .argument_laws import SYMMETRIES, I, members, random_invariant_law

SEEDS = st.integers(0, 2**32 - 1)
NAMES = st.sampled_from(list(SYMMETRIES))


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


def test_domain_sees_orbits() -> None:
    rng = np.random.default_rng(4)
    for name in ("isotropic", "transversely isotropic"):
        symmetry = SYMMETRIES[name]
        strain = rng.uniform(-0.05, 0.05, (20, 6))
        domain = Domain(strain, symmetry)
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
