"""Steps of quadratic models: optimality, saddles, the hard case, without a matrix; secants; rigid motions."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.constraints import FixAtoms, FixBondLength
from hypothesis import given, settings
from hypothesis import strategies as st

from atomistic.newton import UnsupportedConstraint, WrongIndex
from atomistic.newton.rigid import free_coordinates
from atomistic.newton.secants import Secant, corrected
from atomistic.newton.steps import quadratic_step, steihaug_step

SIZE = 7
seeds = st.integers(0, 10**6)


def model(seed: int, lowest: float | None = None) -> tuple[np.ndarray, np.ndarray]:
    """A gradient, and a Hessian of any signature or with the lowest eigenvalue given."""
    generator = np.random.default_rng(seed)
    modes = np.linalg.qr(generator.normal(size=(SIZE, SIZE)))[0]
    eigenvalues = generator.normal(0.0, 3.0, SIZE)
    if lowest is not None:
        eigenvalues = lowest + np.abs(eigenvalues)
    return generator.normal(size=SIZE), modes @ np.diag(eigenvalues) @ modes.T


@settings(deadline=None, max_examples=40)
@given(seeds, st.floats(0.01, 3.0))
def test_trust_region_steps_are_the_least_within_the_radius(seed: int, radius: float) -> None:
    """(B + mu) s = -g with mu >= 0 and B + mu positive semi-definite is necessary and sufficient."""
    g, B = model(seed)
    step = quadratic_step(g, B, radius=radius)
    s = step.displacement
    assert np.linalg.norm(s) <= radius * (1.0 + 1e-9)
    mu = -float(s @ (g + B @ s)) / float(s @ s)
    lowest = np.linalg.eigvalsh(B)[0]
    assert mu >= max(0.0, -lowest) - 1e-6
    np.testing.assert_allclose(B @ s + mu * s, -g, atol=1e-6 * max(1.0, mu))
    assert step.change == pytest.approx(g @ s + 0.5 * s @ B @ s, abs=1e-10)
    assert step.change < 0.0
    assert step.bounded == (np.linalg.norm(s) > radius * (1.0 - 1e-9))
    assert step.negative == int((np.linalg.eigvalsh(B) < 0).sum())


@pytest.mark.parametrize("lowest", [-2.0, 0.0])
def test_the_hard_case_fills_the_radius_along_the_lowest_mode(lowest: float) -> None:
    B = np.diag([lowest, 1.0, 4.0])
    step = quadratic_step(np.array([0.0, 0.3, 0.0]), B, radius=1.0)
    assert np.linalg.norm(step.displacement) == pytest.approx(1.0)
    assert step.displacement[1] == pytest.approx(-0.3 / (1.0 - lowest))
    at_rest = quadratic_step(np.zeros(3), B, radius=0.5)
    assert abs(at_rest.displacement[0]) == pytest.approx(0.5)


@settings(deadline=None, max_examples=30)
@given(seeds)
def test_rational_steps_are_stationary_points_of_the_rational_function(seed: int) -> None:
    """(g . s + s B s / 2) / (1 + |s|^2) has no slope at s, and the step goes down."""
    g, B = model(seed)
    step = quadratic_step(g, B, method="rfo")
    s = step.displacement
    value = step.change / (1.0 + s @ s)
    np.testing.assert_allclose(g + B @ s - 2.0 * value * s, 0.0, atol=1e-7 * max(1.0, np.linalg.norm(s)))
    assert value < 0.0
    near = quadratic_step(1e-4 * g, B @ B + np.eye(SIZE), method="rfo")
    np.testing.assert_allclose(near.displacement, -1e-4 * np.linalg.solve(B @ B + np.eye(SIZE), g), rtol=1e-4)


@settings(deadline=None, max_examples=30)
@given(seeds, st.sampled_from(["trust-region", "rfo"]), st.sampled_from([1, 2]))
def test_saddle_steps_go_up_along_the_lowest_modes_and_down_else(seed: int, method: str, order: int) -> None:
    g, B = model(seed)
    step = quadratic_step(g, B, method=method, order=order, radius=0.3)
    modes = np.linalg.eigh(B)[1]
    along, slopes = modes.T @ step.displacement, modes.T @ g
    assert np.all(along[:order] * slopes[:order] > 0.0)
    assert np.all(along[order:] * slopes[order:] < 0.0)
    assert np.linalg.norm(step.displacement) <= 0.3 * (1.0 + 1e-9)


def test_a_followed_mode_need_not_be_the_lowest() -> None:
    g, B = np.array([0.1, 0.1, 0.1]), np.diag([1.0, 2.0, 3.0])
    step = quadratic_step(g, B, method="rfo", order=1, radius=0.1, follow=np.eye(3)[:, 1:2])
    assert np.all(step.displacement * [-1.0, 1.0, -1.0] > 0.0)
    np.testing.assert_allclose(np.abs(step.followed[:, 0]), [0.0, 1.0, 0.0])


def test_newton_steps_reach_the_stationary_point_or_refuse() -> None:
    g, B = model(3, lowest=0.5)
    np.testing.assert_allclose(B @ quadratic_step(g, B, method="newton").displacement, -g, atol=1e-10)
    short = quadratic_step(g, B, method="newton", radius=0.01)
    assert short.bounded and np.linalg.norm(short.displacement) == pytest.approx(0.01)
    first, second = np.linalg.eigvalsh(B)[:2]
    saddle = B - 0.5 * (first + second) * np.eye(SIZE)
    with pytest.raises(WrongIndex, match=r"1 negative eigenvalues \(the lowest -.* eV/A\^2\), expected 0"):
        quadratic_step(g, saddle, method="newton")
    np.testing.assert_allclose(saddle @ quadratic_step(g, saddle, method="newton", order=1).displacement, -g, atol=1e-8)
    with pytest.raises(WrongIndex, match="give a finite radius"):
        quadratic_step(g, saddle)


@pytest.mark.parametrize("bad", [{"method": "steepest"}, {"order": -1}, {"order": 8}, {"radius": 0.0}])
def test_senseless_settings_are_refused(bad: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(bad))):
        quadratic_step(*model(0), **bad)  # type: ignore[arg-type]


@settings(deadline=None, max_examples=30)
@given(seeds, st.floats(0.05, 20.0))
def test_without_a_matrix(seed: int, radius: float) -> None:
    """Conjugate gradients: at least the decrease of the Cauchy point, at most that of the exact step; equal to it inside."""
    for lowest in (0.5, None):
        g, B = model(seed, lowest)
        step = steihaug_step(g, lambda v, B=B: B @ v, radius=radius, tolerance=1e-10)
        best = quadratic_step(g, B, radius=radius)
        s = step.displacement
        assert np.linalg.norm(s) <= radius * (1.0 + 1e-9)
        assert step.change == pytest.approx(g @ s + 0.5 * s @ B @ s, abs=1e-8)
        curvature = float(g @ B @ g) / float(g @ g)
        size = np.linalg.norm(g)
        t = min(size / curvature, radius) if curvature > 0.0 else radius
        assert best.change - 1e-8 <= step.change <= -t * size + 0.5 * curvature * t * t + 1e-8
        if not step.bounded:
            np.testing.assert_allclose(s, best.displacement, atol=1e-6)


@settings(deadline=None, max_examples=20)
@given(seeds, st.integers(1, SIZE))
def test_secants_of_a_quadratic_surface_are_met_together(seed: int, count: int) -> None:
    _, true = model(seed)
    _, wrong = model(seed + 1)
    generator = np.random.default_rng(seed)
    basis = np.linalg.qr(generator.normal(size=(SIZE + 2, SIZE)))[0]
    steps = np.linalg.qr(generator.normal(size=(SIZE, SIZE)))[0][:count] + 0.1
    secants = [Secant(basis @ s, basis @ ((true - wrong) @ s)) for s in steps]
    found = corrected(wrong, secants, basis)
    np.testing.assert_allclose(found, found.T, atol=1e-9)
    np.testing.assert_allclose(found @ steps.T, true @ steps.T, atol=1e-6)
    if count == SIZE:
        np.testing.assert_allclose(found, true, atol=1e-6)
    np.testing.assert_allclose(
        corrected(true, [Secant(basis @ s, 0.0 * basis @ s) for s in steps], basis), true, atol=1e-9
    )


def test_of_two_equal_steps_the_later_one_counts() -> None:
    s = np.array([1.0, 0.0])
    found = corrected(np.eye(2), [Secant(s, 9.0 * s), Secant(2.0 * s, 4.0 * s)], np.eye(2))
    np.testing.assert_allclose(found, np.diag([3.0, 1.0]), atol=1e-12)
    np.testing.assert_allclose(corrected(np.eye(2), [Secant(0.0 * s, s)], np.eye(2)), np.eye(2))


def test_rigid_motions() -> None:
    """Three of a crystal, six of a molecule, five of a linear one, four of a wire, fewer with fixed atoms."""

    def count(atoms: Atoms) -> int:
        free = free_coordinates(atoms)
        assert free.basis.shape == (len(free.index), len(free.index) - free.rigid.shape[1])
        np.testing.assert_allclose(free.rigid.T @ free.basis, 0.0, atol=1e-12)
        return int(free.rigid.shape[1])

    water = molecule("H2O")
    assert count(bulk("Si")) == 3 and count(water) == 6 and count(molecule("CO2")) == 5 and count(Atoms("H")) == 3
    wire = Atoms("Si3", positions=[[0, 0, 0], [1, 0, 2], [0, 1, 4]], cell=[0, 0, 6.0], pbc=[False, False, True])
    assert count(wire) == 4
    for fixed, left in (([0], 3), ([0, 1], 1), ([0, 1, 2], 0)):
        held = water.copy()
        held.set_constraint(FixAtoms(fixed))
        assert count(held) == left
    held = bulk("Si")
    held.set_constraint(FixAtoms([0]))
    assert count(held) == 0
    water.set_constraint(FixBondLength(0, 1))
    with pytest.raises(UnsupportedConstraint, match="FixBondLength"):
        free_coordinates(water)
