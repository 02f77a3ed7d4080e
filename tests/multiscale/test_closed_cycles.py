"""Whether a stress has a potential: no false alarm on those that have, an alarm with the right number on those that have none."""

import warnings

import numpy as np
import pytest

from multiscale.data.closed_cycles import NotAPotential, integrability, warn_of_open_cycles
from multiscale.data.dataset import InvalidData, StressStrainData
from multiscale.laws.strain import SHEAR_DOUBLING, green_lagrange, strain_norm_components, stress_tensor
from multiscale.sampling.design import strain_design
from multiscale.symmetry.point_group import PointGroup

from .random_laws import random_law

STIFFNESS = 5.0
"""GPa, of the curl that is added."""


def with_curl(data: StressStrainData, seed: int) -> StressStrainData:
    """The data plus S = K e with an antisymmetric K of largest singular value STIFFNESS."""
    K = np.random.default_rng(seed).normal(size=(6, 6))
    K = (K - K.T) * STIFFNESS / np.linalg.norm(K - K.T, 2)
    e = strain_norm_components(green_lagrange(data.deformation_gradient))
    S = stress_tensor(e @ K.T / np.sqrt(SHEAR_DOUBLING))
    return StressStrainData(
        data.deformation_gradient, first_piola=data.labels("first_piola") + data.deformation_gradient @ S
    )


def noisy(data: StressStrainData, fraction: float, seed: int) -> StressStrainData:
    P = data.labels("first_piola")
    error = fraction * float(np.sqrt(np.mean(P**2)))
    noise = error * np.random.default_rng(seed).normal(size=P.shape)
    return StressStrainData(data.deformation_gradient, first_piola=P + noise, first_piola_error=np.full(P.shape, error))


def test_silicon_has_a_potential(silicon_40: StressStrainData, silicon_held_out: StressStrainData) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for data in (
            silicon_40,
            silicon_held_out,
            silicon_40.select(np.arange(40) < 12),
            noisy(silicon_held_out, 0.05, 0),
        ):
            assert not warn_of_open_cycles(data).violated


def test_chance_is_spread_evenly_where_there_is_a_potential() -> None:
    """Fisher's distribution holds: 30 sets of noisy data have chances about a half."""
    chances = []
    for seed in range(30):
        F = strain_design(30, 0.04, seed=seed)
        law = random_law(PointGroup.named("m-3m"), seed, neurons=0)
        data = StressStrainData(F, first_piola=law.evaluate(F, tangent=False).first_piola)
        chances.append(integrability(noisy(data, 0.05, seed)).chance)
    assert 0.3 < np.mean(chances) < 0.7 and min(chances) > 1e-4


@pytest.mark.parametrize("noise", [0.0, 0.02])
def test_open_cycles_are_found_with_their_work(silicon_held_out: StressStrainData, noise: float) -> None:
    broken = with_curl(silicon_held_out, seed=1)
    data = noisy(broken, noise, 0) if noise else broken
    with pytest.warns(NotAPotential, match=r"closed strain cycles do not close, with work up to .* GPa \(.* % of that"):
        found = warn_of_open_cycles(data)
    assert found.violated
    # s^2 times the curl's largest singular value, which is twice that of K
    e = strain_norm_components(green_lagrange(data.deformation_gradient))
    assert found.cycle_work == pytest.approx(2.0 * STIFFNESS * np.mean(np.sum(e**2, axis=1)), rel=0.5)


def test_a_transposed_stress_does_not_balance_moments(silicon_40: StressStrainData) -> None:
    Q = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    turned = Q @ silicon_40.deformation_gradient
    right = Q @ silicon_40.labels("first_piola")
    assert integrability(StressStrainData(turned, first_piola=right)).moment < 1e-9
    transposed = "moments do not balance. Is the stress P, not its transpose"
    with pytest.warns(NotAPotential, match="do not close"), pytest.warns(NotAPotential, match=transposed):
        warn_of_open_cycles(StressStrainData(turned, first_piola=right.transpose(0, 2, 1)))


def test_states_that_cannot_tell() -> None:
    stretched = np.eye(3)[None] + np.linspace(0.0, 0.05, 20)[:, None, None] * np.diag([1.0, 0.0, 0.0])
    P = np.linspace(0.0, 5.0, 20)[:, None, None] * np.diag([1.0, 0.5, 0.1])
    found = integrability(StressStrainData(stretched, first_piola=P))
    assert found.chance == 1.0 and not found.violated
    with pytest.raises(InvalidData, match="the data have no first_piola"):
        integrability(StressStrainData(stretched))
