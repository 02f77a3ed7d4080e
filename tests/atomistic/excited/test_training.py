"""A Hamiltonian learned from adiabatic labels has the cone, its phase and its couplings; surfaces fitted one by one do not."""

import numpy as np
import pytest
import torch

from atomistic.excited import (
    AdiabaticLabels,
    DiabaticFit,
    InvalidLabels,
    UnorderedStates,
    adiabatic_states,
    conical_intersection,
    fit_diabatic,
    geometric_phase,
    transported,
)
from atomistic.excited.hamiltonian import random_network
from atomistic.excited.models import TULLY, LinearVibronicCoupling
from atomistic.excited.training import _Goal, flat, with_weights

from .models import REFLECTION, labels_of

MODEL = LinearVibronicCoupling()
POINTS = np.random.default_rng(0).uniform(-1.5, 1.5, (150, 2))


@pytest.fixture(scope="module")
def learned() -> DiabaticFit:
    return fit_diabatic(labels_of(MODEL, POINTS), seed=0, hidden=(14,), starts=1, iterations=900)


def test_the_cone_and_its_phase_are_learned_without_phases(learned: DiabaticFit) -> None:
    found = conical_intersection(learned.hamiltonian, np.array([0.3, 0.2]))
    np.testing.assert_allclose(found.point, MODEL.intersection, atol=1e-3)
    angle = np.linspace(0.0, 2.0 * np.pi, 80, endpoint=False)
    circle = 0.3 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    np.testing.assert_array_equal(geometric_phase(learned.hamiltonian, found.point + circle), [-1, -1])
    np.testing.assert_array_equal(geometric_phase(learned.hamiltonian, found.point + circle + [0.9, 0.0]), [1, 1])


def test_couplings_come_with_the_surfaces(learned: DiabaticFit) -> None:
    points = np.random.default_rng(1).uniform(-1.2, 1.2, (100, 2))
    points = points[np.linalg.norm(points - MODEL.intersection, axis=1) > 0.2]
    found, exact = (np.abs(adiabatic_states(h, points).couplings()[:, 0, 1]) for h in (learned.hamiltonian, MODEL))
    assert np.sqrt(np.mean((found - exact) ** 2)) < 0.03 * np.sqrt(np.mean(exact**2))


def test_surfaces_fitted_one_by_one_miss_the_tip(learned: DiabaticFit) -> None:
    labels = labels_of(MODEL, POINTS)
    angle = np.linspace(0.0, 2.0 * np.pi, 16, endpoint=False)
    near = np.array(MODEL.intersection) + 0.02 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    exact = adiabatic_states(MODEL, near).energies
    of_matrix = np.abs(adiabatic_states(learned.hamiltonian, near).energies - exact).max()
    for k in range(2):
        one = AdiabaticLabels(POINTS, labels.energies[:, k : k + 1], labels.gradients[:, k : k + 1])
        direct = fit_diabatic(one, seed=0, hidden=(14,), starts=1, iterations=300).hamiltonian
        off = np.abs(adiabatic_states(direct, near).energies[:, 0] - exact[:, k]).max()
        assert off > 20.0 * of_matrix


def test_the_loss_knows_no_phase_and_no_basis() -> None:
    labels = labels_of(MODEL, POINTS[:20], couplings=True)
    generator = np.random.default_rng(3)
    network = random_network(2, POINTS[:20], energies=labels.energies, hidden=(5,), generator=generator)
    theta = flat(network)
    value, gradient = _Goal(labels, 1e-6)(network, theta)
    assert labels.interstate is not None
    signs = np.where(generator.random(20) < 0.5, -1.0, 1.0)[:, None, None, None]
    off = labels.interstate * np.where(np.eye(2)[..., None] > 0.0, 1.0, signs)
    flipped = AdiabaticLabels(labels.coordinates, labels.energies, labels.gradients, off)
    assert _Goal(flipped, 1e-6)(network, theta)[0] == pytest.approx(value, rel=1e-12)

    direction = generator.normal(size=theta.size)
    ends = [_Goal(labels, 1e-6)(network, theta + sign * 1e-6 * direction)[0] for sign in (1.0, -1.0)]
    assert gradient @ direction == pytest.approx((ends[0] - ends[1]) / 2e-6, rel=1e-5)
    assert torch.equal(with_weights(network, torch.from_numpy(theta)).skip, network.skip)


def test_a_seed_repeats_a_fit_and_parity_holds() -> None:
    labels = labels_of(MODEL, POINTS[:40])
    one, other = (
        fit_diabatic(labels, seed=5, hidden=(4,), starts=1, iterations=15, symmetry=REFLECTION) for _ in range(2)
    )
    assert one.losses == other.losses
    np.testing.assert_array_equal(flat(one.hamiltonian), flat(other.hamiltonian))
    on_axis = one.hamiltonian.matrix(torch.tensor([[0.7, 0.0]], dtype=torch.float64))[0]
    assert float(on_axis[0, 1].detach()) == 0.0


def test_labels_out_of_order_are_named_and_can_be_sorted() -> None:
    exact = labels_of(MODEL, POINTS[:10], couplings=True)
    assert exact.interstate is not None
    swapped = np.arange(10) % 3 == 2
    energies, gradients = exact.energies.copy(), exact.gradients.copy()
    energies[swapped], gradients[swapped] = energies[swapped][:, ::-1], gradients[swapped][:, ::-1]
    off = np.where(swapped[:, None, None, None], exact.interstate[:, ::-1, ::-1], exact.interstate)
    with pytest.raises(UnorderedStates, match=r"point 2: E_0 .* at 3 of 10 points"):
        AdiabaticLabels(exact.coordinates, energies, gradients)
    ordered = AdiabaticLabels.sorted(exact.coordinates, energies, gradients, off)
    np.testing.assert_array_equal(ordered.gradients, exact.gradients)
    np.testing.assert_array_equal(ordered.interstate, exact.interstate)


def test_labels_must_be_whole() -> None:
    exact = labels_of(MODEL, POINTS[:4])
    with pytest.raises(InvalidLabels, match="gradients of point 3 are not finite"):
        gradients = exact.gradients.copy()
        gradients[3, 0, 1] = np.inf
        AdiabaticLabels(exact.coordinates, exact.energies, gradients)
    with pytest.raises(InvalidLabels, match="expected"):
        AdiabaticLabels(exact.coordinates, exact.energies, exact.gradients[:, :1])
    with pytest.raises(ValueError, match="at least one"):
        fit_diabatic(exact, seed=0, starts=0)


def test_states_are_carried_along_a_line() -> None:
    """The transported matrix is the model's but for one rotation of all points, whatever the signs of the labels."""
    model = TULLY["dual avoided crossing"]
    x = np.linspace(-8.0, 8.0, 321)[:, None]
    labels = labels_of(model, x, couplings=True)
    assert labels.interstate is not None
    signs = np.where(np.random.default_rng(0).random(len(x)) < 0.5, -1.0, 1.0)[:, None, None, None]
    off = labels.interstate * np.where(np.eye(2)[..., None] > 0.0, 1.0, signs)
    shuffled = np.random.default_rng(1).permutation(len(x))
    mixed = AdiabaticLabels(x[shuffled], labels.energies[shuffled], labels.gradients[shuffled], off[shuffled])
    carried = np.empty((len(x), 2, 2))
    carried[shuffled] = transported(mixed)
    exact = model.matrix(torch.from_numpy(x)).numpy()
    first = np.linalg.eigh(exact[0])[1]
    rotated = first.T @ exact @ first
    differences = [np.abs(carried - s @ rotated @ s).max() for s in (np.eye(2), np.diag([1.0, -1.0]))]
    assert min(differences) < 2e-3 * np.abs(exact).max()
    with pytest.raises(InvalidLabels, match="one dimension"):
        transported(labels_of(MODEL, POINTS[:4]))
    with pytest.raises(InvalidLabels, match="two points at"):
        twice = x[[0, 1, 1]]
        transported(labels_of(model, twice, couplings=True))


def test_a_guess_gives_the_sign_behind_a_point_where_the_coupling_vanishes() -> None:
    model = TULLY["dual avoided crossing"]
    labels = labels_of(model, np.linspace(-6.0, 6.0, 49)[:, None], couplings=True)
    fit = fit_diabatic(labels, seed=0, hidden=(10,), starts=1, iterations=300, guess=transported(labels))
    ends = torch.tensor([[-1.8], [1.8]], dtype=torch.float64)
    exact, found = (np.linalg.eigh(h.matrix(ends).detach().numpy())[1] for h in (model, fit.hamiltonian))
    # the state at both crossings is the same, up to a sign: theta goes up and comes down again
    assert abs(found[0, :, 0] @ found[1, :, 0]) == pytest.approx(abs(exact[0, :, 0] @ exact[1, :, 0]), abs=0.02)
