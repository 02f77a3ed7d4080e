"""Trust: one at F = I and inside, falling outside, blind to symmetry and rotation, and in the order of the true errors."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr

from multiscale.data.dataset import StressStrainData
from multiscale.fits.orbit_law import fit_orbit_law
from multiscale.laws.orbit_network import OrbitLaw
from multiscale.laws.strain import green_lagrange, stress_tensor
from multiscale.sampling.design import informative_design, strain_design
from multiscale.symmetry.material_symmetry import InfiniteGroup
from multiscale.symmetry.point_group import PointGroup
from multiscale.trust.domain import Domain
from multiscale.trust.gauge import RIDGE, Gauge, neurons_of

from .argument_laws import random_invariant_law
from .random_laws import random_law, random_rotations
from .stillinger_weber import silicon_data


def trust_of(law: object, F: np.ndarray) -> np.ndarray:
    response = law.evaluate(F, tangent=False, trust=True)  # type: ignore[attr-defined]
    assert response.trust is not None
    return np.asarray(response.trust)


def trained(law: OrbitLaw, seed: int, states: int = 40, size: float = 0.06) -> OrbitLaw:
    """As if it had been fitted to such a design."""
    strain = green_lagrange(strain_design(states, size, seed))
    return replace(law, domain=Domain(strain, law.symmetry))


@settings(max_examples=10, deadline=None)
@given(name=st.sampled_from(["-1", "2/m", "-3m", "4/mmm", "6/mmm", "m-3m"]), seed=st.integers(0, 99))
def test_symmetry_objectivity_and_the_reference(name: str, seed: int) -> None:
    group, rng = PointGroup.named(name), np.random.default_rng(seed)
    law = trained(random_law(group, seed, neurons=3), seed)
    F = strain_design(6, 0.2, seed)
    trust = trust_of(law, F)
    R = group.rotations[rng.integers(group.order, size=6)]
    assert np.allclose(trust_of(law, random_rotations(rng, 6) @ F @ R), trust, rtol=1e-6)
    assert ((trust > 0.0) & (trust <= 1.0)).all() and trust_of(law, np.eye(3)[None])[0] == 1.0
    turned = law.evaluate(F @ np.swapaxes(R, 1, 2), {"orientation": R}, tangent=False, trust=True).trust
    assert turned is not None and np.allclose(turned, trust, rtol=1e-6)


def test_an_infinite_group() -> None:
    symmetry = InfiniteGroup("transversely isotropic", (0.0, 0.0, 1.0))
    strain = green_lagrange(strain_design(40, 0.06, 0))
    law = replace(random_invariant_law(symmetry, 0), domain=Domain(strain, symmetry))
    angle, F = 0.7, strain_design(8, 0.2, 1)
    R = np.array([[np.cos(angle), -np.sin(angle), 0.0], [np.sin(angle), np.cos(angle), 0.0], [0.0, 0.0, 1.0]])
    assert np.allclose(trust_of(law, F @ R), trust_of(law, F), rtol=1e-6)
    assert np.ptp(trust_of(law, F)) > 0.05


def test_it_is_the_leverage_of_the_amplitudes(cubic: PointGroup) -> None:
    """By brute force: stresses of each neuron alone, beside the Hooke part, and the inverse of their normal matrix."""
    law = trained(random_law(cubic, 3, neurons=3), 3)
    seen, F = law.domain.strain if law.domain else np.zeros((0, 6)), strain_design(5, 0.15, 4)
    stretches = np.linalg.cholesky(np.eye(3) + 2.0 * np.array([full(e) for e in seen])).transpose(0, 2, 1)

    basis = cubic.invariant_stiffnesses()
    basis = basis * (np.linalg.norm(law.constants) / np.linalg.norm(basis, axis=(1, 2)))[:, None, None]

    def columns(F: np.ndarray) -> np.ndarray:
        hooke = replace(law, amplitudes=np.zeros(3), growth_modulus=0.0)
        neurons = [replace(law, amplitudes=law.amplitudes * unit, growth_modulus=0.0) for unit in np.eye(3)]
        S = [np.linalg.inv(F) @ part.evaluate(F).first_piola for part in (hooke, *neurons)]
        elastic = [stress_tensor(green_lagrange(F) @ C) for C in basis]
        return np.stack([*elastic, *(s - S[0] for s in S[1:])], axis=1).reshape(len(F), 6, 9)

    G = columns(stretches)
    normal = np.einsum("nri,nsi->rs", G, G)
    ridge = RIDGE * np.square(stress_tensor(seen @ law.constants)).sum()
    inverse = np.linalg.inv(normal + ridge * np.eye(6))
    expected = np.einsum("nri,rs,nsi->n", columns(F), inverse, columns(F))
    gauge = law.gauge
    assert gauge is not None and len(gauge.neurons) == 3
    assert np.allclose(gauge.leverage(F), expected, rtol=1e-5)
    assert np.allclose(trust_of(law, F), np.minimum(1.0, np.sqrt(gauge.border / expected)), rtol=1e-5)


def full(e: np.ndarray) -> np.ndarray:
    return np.array([[e[0], e[5] / 2, e[4] / 2], [e[5] / 2, e[1], e[3] / 2], [e[4] / 2, e[3] / 2, e[2]]])


def test_it_falls_like_the_inverse_strain_far_away(cubic: PointGroup) -> None:
    law = trained(random_law(cubic, 1), 1)
    F = np.eye(3) * np.array([10.0, 20.0])[:, None, None]
    near, far = trust_of(law, F)
    assert far == pytest.approx(near / 4.0, rel=0.1)  # E grows with the square of F


def test_a_direction_that_was_not_sampled_is_outside(cubic: PointGroup) -> None:
    stretch = np.tile(np.eye(3), (20, 1, 1))
    stretch[:, 0, 0] += np.linspace(-0.06, 0.06, 20)
    law = replace(random_law(cubic, 2), domain=Domain(green_lagrange(stretch), cubic))
    assert (trust_of(law, stretch[:, [1, 0, 2]][:, :, [1, 0, 2]]) == 1.0).all()  # along y instead
    sheared = np.tile(np.eye(3), (5, 1, 1))
    sheared[:, 0, 1] = np.linspace(0.02, 0.06, 5)
    assert (trust_of(law, sheared) < 0.5).all()


def test_a_law_without_neurons_and_one_with_idle_ones(cubic: PointGroup) -> None:
    law = trained(random_law(cubic, 0), 0)
    nothing = np.zeros(len(law.biases))
    bare = trained(replace(law, amplitudes=nothing), 0)
    assert bare.gauge is not None and len(bare.gauge.neurons) >= 1
    empty = trained(replace(law, weights=np.zeros((0, 6)), biases=np.zeros(0), amplitudes=np.zeros(0)), 0)
    F = strain_design(16, 0.12, 5)
    assert np.allclose(trust_of(bare, F), trust_of(empty, F), rtol=1e-9)
    assert (trust_of(empty, 3.0 * (F - np.eye(3)) + np.eye(3)) < 0.5).mean() > 0.5
    assert len(neurons_of(empty.terms)) == 0 and isinstance(empty.gauge, Gauge)


@pytest.mark.slow
@pytest.mark.parametrize("chosen", [True, False])
def test_it_ranks_the_errors_of_fits(chosen: bool, silicon_held_out: StressStrainData, cubic: PointGroup) -> None:
    """Five seeds: 0.7 in every one for the designs that a law is sampled by, and by the error bar, which costs more, always.

    Measured on 256 states: 0.85 to 0.94, Sobol's 0.76, 0.74, 0.66, 0.88, 0.82.
    """
    found = np.array([ranks(seed, silicon_held_out, cubic, chosen) for seed in range(5)])
    assert found[:, 1].min() >= 0.7 and np.median(found[:, 0]) >= 0.7
    assert found[:, 0].min() >= (0.7 if chosen else 0.6)


def test_it_ranks_the_errors_of_one_fit(silicon_held_out: StressStrainData, cubic: PointGroup) -> None:
    assert min(ranks(11, silicon_held_out, cubic, False)) >= 0.7


def ranks(seed: int, held_out: StressStrainData, cubic: PointGroup, chosen: bool) -> tuple[float, float]:
    """Spearman's coefficients of trust and of the error bar with the true error of stress, outside."""
    design = informative_design(40, 0.06, cubic, seed) if chosen else strain_design(40, 0.06, seed)
    data = replace(silicon_data(design), tangent=None)
    law = fit_orbit_law(data, cubic, seed=seed)
    beyond = silicon_data(strain_design(256, 0.12, seed=2000))
    beyond = beyond.select(beyond.admissible)
    F = beyond.deformation_gradient
    trust = trust_of(law, F)
    missed = np.linalg.norm(law.evaluate(F).first_piola - beyond.labels("first_piola"), axis=(1, 2))
    outside = trust < 1.0
    # chosen states lie in the corners, and so reach further: 0.80 to 0.91
    assert (
        outside.mean() > (0.75 if chosen else 0.8)
        and (trust_of(law, held_out.deformation_gradient) == 1.0).mean() > 0.85
    )
    bar = np.linalg.norm(law.stress_error(F), axis=(1, 2))
    return float(spearmanr(-trust[outside], missed[outside])[0]), float(spearmanr(bar[outside], missed[outside])[0])
