"""The domain gauge: one on the training states and between them, falling outside, blind to symmetry and rotation."""

import numpy as np
import pytest

from multiscale.design import strain_design
from multiscale.domain import Domain, InvalidDomain
from multiscale.strain import green_lagrange
from multiscale.symmetry import PointGroup


@pytest.fixture(scope="module")
def domain(cubic: PointGroup) -> Domain:
    return Domain(green_lagrange(strain_design(100, 0.06, seed=0)), cubic)


def test_training_states_and_the_reference_are_trusted(domain: Domain) -> None:
    assert (domain.distance(domain.strain) < 1e-12).all()
    assert (domain.trust(domain.strain) == 1.0).all()
    assert domain.trust(np.zeros((1, 6)))[0] == 1.0


def test_symmetry_equivalent_states_are_one(domain: Domain, cubic: PointGroup) -> None:
    images = domain.strain[3] @ np.swapaxes(cubic.strain_action, 1, 2)
    assert (domain.distance(images) < 1e-12).all()


def test_states_of_the_same_design_are_inside_and_larger_ones_outside(domain: Domain) -> None:
    inside = domain.trust(green_lagrange(strain_design(256, 0.06, seed=1)))
    outside = domain.trust(green_lagrange(strain_design(256, 0.12, seed=1)))
    far = domain.trust(green_lagrange(strain_design(256, 0.5, seed=1)))
    assert np.mean(inside == 1.0) > 0.85 and inside.min() > 0.5
    assert np.mean(outside == 1.0) < 0.25
    assert far.max() < np.median(inside) and far.min() > 0.0


def test_trust_falls_like_the_inverse_distance(domain: Domain) -> None:
    far = np.array([[1.0, 0.0, 0.0, 0.0, 0.0, 0.0]])
    assert domain.trust(far)[0] == pytest.approx(domain.spacing / domain.distance(far)[0])
    assert domain.trust(2.0 * far)[0] < 0.52 * domain.trust(far)[0]


def test_spacing_of_a_single_state_is_its_distance_from_rest() -> None:
    domain = Domain(np.array([[0.03, 0.0, 0.0, 0.0, 0.0, 0.0]]), PointGroup.named("-1"))
    assert domain.spacing == pytest.approx(0.03)


def test_repeated_states_count_once(cubic: PointGroup) -> None:
    strain = green_lagrange(strain_design(20, 0.06, seed=0))
    assert Domain(np.concatenate([strain, strain]), cubic).spacing == pytest.approx(Domain(strain, cubic).spacing)


def test_refusals(cubic: PointGroup) -> None:
    with pytest.raises(InvalidDomain, match="no training state is strained"):
        Domain(np.zeros((3, 6)), cubic)
    with pytest.raises(InvalidDomain, match=r"shape \(3, 3\), expected finite numbers of shape \(n, 6\)"):
        Domain(np.zeros((3, 3)), cubic)
