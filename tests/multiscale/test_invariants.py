"""Invariants: exact derivatives, exact symmetry, digits kept near F = I, and the published sizes of the integrity bases."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multiscale.laws.strain import green_lagrange, strain_tensor, stretch_of_log_strain
from multiscale.symmetry.integrity_basis import integrity_basis, molien
from multiscale.symmetry.invariants import AxialInvariants, invariants_of
from multiscale.symmetry.material_symmetry import InfiniteGroup, MaterialSymmetry
from multiscale.symmetry.point_group import GENERATORS, PointGroup

from .random_laws import random_rotations, random_strains

# Smith and Rivlin 1958
GENERATOR_COUNT = {
    "-1": 6, "2/m": 7, "mmm": 7, "4/m": 12, "4/mmm": 8, "-3": 14, "-3m": 9, "6/m": 14, "6/mmm": 9, "m-3": 14, "m-3m": 9
}  # fmt: skip
AXIS = np.array([0.36, 0.48, 0.8])
SYMMETRIES: list[MaterialSymmetry] = [
    InfiniteGroup("isotropic"), InfiniteGroup("transversely isotropic", AXIS.tolist()), PointGroup.named("m-3m"),
    PointGroup.named("6/m"), PointGroup.named("-3m")
]  # fmt: skip


@pytest.mark.parametrize("laue", GENERATOR_COUNT)
def test_sizes_of_the_integrity_bases(laue: str) -> None:
    basis = integrity_basis(PointGroup.named(laue))
    assert len(basis.degrees) == GENERATOR_COUNT[laue]
    # the known generators of m-3m: I1; two quadratic; three cubic; two quartic; one quintic
    if laue == "m-3m":
        assert basis.orders == (1, 2, 2, 3, 3, 3, 4, 4, 5)


@pytest.mark.parametrize("laue", GENERATORS)
def test_molien_series_counts_the_elastic_constants(laue: str) -> None:
    group = PointGroup.named(laue)
    expected = [
        1,
        len(group.invariant_stresses()),
        len(group.invariant_stiffnesses()),
        len(group.invariant_third_order()),
    ]
    assert molien(group, 3).tolist() == expected


def monomials(values: np.ndarray, degrees: np.ndarray, highest: int) -> list[np.ndarray]:
    """All products of generators (n, m), sorted by degree 0 ... highest, one a column."""
    found: list[list[np.ndarray]] = [[np.ones(len(values))], *([] for _ in range(highest))]
    for value, degree in zip(values.T, degrees, strict=True):
        for total in range(degree, highest + 1):
            found[total] += [product * value for product in found[total - degree]]
    return [np.stack(columns, axis=1) if columns else np.zeros((len(values), 0)) for columns in found]


def independent(columns: np.ndarray) -> int:
    """Rank; the singular values of what is dependent are twelve decades below the others."""
    if columns.shape[1] == 0:
        return 0
    singular = np.linalg.svd(columns / np.linalg.norm(columns, axis=0), compute_uv=False)
    return int((singular > 1e-10 * singular[0]).sum())


@pytest.mark.parametrize("laue", sorted(GENERATORS.keys() & GENERATOR_COUNT.keys() - {"-1"}))
def test_generators_make_as_many_invariants_of_each_degree_as_molien_counts(laue: str) -> None:
    """Complete up to the order of the group, beyond which no generator is needed (Noether, Math. Ann. 77 (1915) 89); m-3m up to 12 of 24.
    Minimal: without those of its own degree, products are that many too few."""
    group = PointGroup.named(laue)
    basis, highest = integrity_basis(group), min(max(group.order, 6), 12)
    expected, rng = molien(group, highest), np.random.default_rng(0)
    points = rng.normal(size=(int(expected.max()) + 30, 6))
    points /= np.linalg.norm(points * np.sqrt([1.0, 1.0, 1.0, 0.5, 0.5, 0.5]), axis=1)[:, None]
    values = basis.values(points)
    found = monomials(values, basis.degrees, highest)
    assert [independent(columns) for columns in found] == expected.tolist()
    for degree in np.unique(basis.degrees):
        lower = basis.degrees < degree
        products = monomials(values[:, lower], basis.degrees[lower], degree)[degree]
        assert expected[degree] - independent(products) == (basis.degrees == degree).sum()


def test_molien_series_of_the_cube() -> None:
    # monomials of Smith and Rivlin's nine generators; their first syzygies are of higher degree than six
    series = np.zeros(7)
    series[0] = 1.0
    for degree in (1, 2, 2, 3, 3, 3, 4, 4, 5):
        for d in range(degree, 7):
            series[d] += series[d - degree]
    assert molien(PointGroup.named("m-3m"), 6).tolist() == series.tolist() == [1, 1, 3, 6, 11, 18, 32]
    assert molien(PointGroup.named("-1"), 6).tolist() == [1, 6, 21, 56, 126, 252, 462]


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), which=st.integers(0, len(SYMMETRIES) - 1))
def test_derivatives(seed: int, which: int) -> None:
    invariants = invariants_of(SYMMETRIES[which])
    rng = np.random.default_rng(seed)
    h, U = rng.uniform(-0.3, 0.3, (1, 6)), 1e-5
    E = green_lagrange(stretch_of_log_strain(h))[0]

    def at(e: np.ndarray) -> np.ndarray:
        return np.linalg.cholesky(np.eye(3) + 2.0 * strain_tensor(e)).swapaxes(-1, -2)

    jet, steps = invariants.jet(at(E[None])), U * np.eye(6)
    up, down = invariants.jet(at(E + steps)), invariants.jet(at(E - steps))
    gradient, hessian = (up.value - down.value) / (2 * U), (up.gradient - down.gradient) / (2 * U)
    assert np.abs(gradient.T - jet.gradient[0]).max() < 1e-7 * max(1.0, np.abs(jet.gradient).max())
    assert np.abs(hessian.transpose(1, 2, 0) - jet.hessian[0]).max() < 1e-7 * max(1.0, np.abs(jet.hessian).max())


@pytest.mark.parametrize("symmetry", SYMMETRIES, ids=lambda symmetry: symmetry.name)
def test_orders_and_symmetry(symmetry: MaterialSymmetry) -> None:
    invariants = invariants_of(symmetry)
    here = invariants.jet(np.eye(3)[None])
    assert np.abs(here.value).max() == 0.0
    for k, order in enumerate(invariants.orders):
        assert (np.abs(here.gradient[0, k]).max() > 1e-6) == (order == 1)
        if order > 2:
            assert np.abs(here.hessian[0, k]).max() < 1e-14
    F, rng = random_strains(3, 4, largest=0.3), np.random.default_rng(1)
    if isinstance(symmetry, PointGroup):
        rotations = symmetry.rotations
    else:
        rotations = random_rotations(rng, 5)
        if symmetry.name != "isotropic":
            half_turn = 2.0 * np.outer([0.8, -0.6, 0.0], [0.8, -0.6, 0.0]) - np.eye(
                3
            )  # about a direction across the axis
            rotations = np.array([half_turn])
    for R in rotations:
        assert np.abs(invariants.jet(F @ R.T).value - invariants.jet(F).value).max() < 1e-12


def test_digits_near_the_reference_state() -> None:
    # along uniaxial strain of size h the published expansions; naive differences of C would leave 1e-16 / h^2 of the second order
    h = 1e-7
    F = np.diag([1.0 + h, 1.0, 1.0])[None]
    volume, first, second, along, shear = AxialInvariants(np.array([1.0, 0.0, 0.0])).jet(F).value[0]
    assert volume == pytest.approx(np.log1p(h), rel=1e-9)
    assert along == pytest.approx(2 * h + h * h, rel=1e-9)
    assert abs(first) < 1e-13 and abs(second) < 1e-13 and abs(shear) < 1e-28
