"""The training states as a set: nothing from themselves, a spacing from each other, blind to symmetry and rotation."""

import numpy as np
import pytest

from multiscale.laws.strain import SHEAR_DOUBLING, green_lagrange, log_strain
from multiscale.sampling.design import strain_design
from multiscale.symmetry.material_symmetry import InfiniteGroup
from multiscale.symmetry.point_group import PointGroup
from multiscale.trust.domain import Domain, InvalidDomain


@pytest.fixture(scope="module")
def domain(cubic: PointGroup) -> Domain:
    return Domain(green_lagrange(strain_design(100, 0.06, seed=0)), cubic)


def test_training_states_and_the_reference_are_at_no_distance(domain: Domain) -> None:
    assert (domain.distance(domain.strain) < 1e-12).all()
    assert domain.distance(np.zeros((1, 6)))[0] == 0.0


def test_symmetry_equivalent_states_are_one(domain: Domain, cubic: PointGroup) -> None:
    images = domain.strain[3] @ np.swapaxes(cubic.strain_action, 1, 2)
    assert (domain.distance(images) < 1e-12).all()


def test_states_of_the_same_design_are_within_the_spacing_and_larger_ones_beyond(domain: Domain) -> None:
    def near(size: float, seed: int = 1) -> float:
        return float(np.mean(domain.distance(green_lagrange(strain_design(256, size, seed))) <= domain.spacing))

    assert near(0.06) > 0.85 and near(0.12) < 0.25 and near(0.5) == 0.0


def test_states_drawn_from_it_are_within_the_spacing(domain: Domain) -> None:
    F = domain.states(300, seed=0)
    assert F.shape == (300, 3, 3) and len(np.unique(F.reshape(300, 9), axis=0)) == 300
    assert (domain.distance(green_lagrange(F)) <= domain.spacing).all()


def test_the_box_is_that_of_the_states_as_they_were_given() -> None:
    """Not of an infinite group's representatives: principal strains of a box's corners lie outside of the box."""
    F = strain_design(200, 0.06, seed=0)
    for symmetry in (
        PointGroup.named("-1"),
        InfiniteGroup("isotropic"),
        InfiniteGroup("transversely isotropic", (1, 2, 2)),
    ):
        box = log_strain(Domain(green_lagrange(F), symmetry).box(256, seed=0)) / SHEAR_DOUBLING
        assert 0.057 < np.abs(box).max() <= 0.06 and (np.abs(box).max(axis=0) > 0.05).all()


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
