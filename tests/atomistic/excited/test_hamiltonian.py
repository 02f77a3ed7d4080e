"""Diabatic networks are covariant by construction, and refuse what is no group."""

from itertools import permutations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from atomistic.excited import NotAGroup, Symmetry
from atomistic.excited.hamiltonian import DiabaticNetwork, random_network

TURN = np.array([[-0.5, -np.sqrt(0.75)], [np.sqrt(0.75), -0.5]])
MIRROR = np.diag([1.0, -1.0])
TRIANGLE = [np.linalg.matrix_power(TURN, k) @ m for k in range(3) for m in (np.eye(2), MIRROR)]
JAHN_TELLER = tuple(Symmetry(g, g) for g in TRIANGLE)
"""E x e: a degenerate pair of vibrations and of states, both as x and y under the symmetry of a triangle."""


def network(seed: int, dimensions: int, **options: object) -> DiabaticNetwork:
    generator = np.random.default_rng(seed)
    points = generator.normal(size=(20, dimensions)) * 2.0
    return random_network(
        2, points, energies=generator.normal(size=(20, 2)), hidden=(6, 5), generator=generator, **options
    )  # type: ignore[arg-type]


@given(st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_a_network_is_covariant_under_its_group(seed: int) -> None:
    model = network(seed, 2, symmetry=JAHN_TELLER)
    R = np.random.default_rng(seed).normal(size=(7, 2))
    H = model.matrix(torch.from_numpy(R)).numpy()
    np.testing.assert_array_equal(H, H.transpose(0, 2, 1))
    for one in JAHN_TELLER:
        image = model.matrix(torch.from_numpy(R @ one.coordinates.T)).numpy()
        np.testing.assert_allclose(image, one.states @ H @ one.states.T, rtol=0, atol=1e-12 * np.abs(H).max())
    # the pair is degenerate where nothing distinguishes its states
    centre = model.matrix(torch.zeros(1, 2, dtype=torch.float64))[0].numpy()
    np.testing.assert_allclose(centre, centre[0, 0] * np.eye(2), rtol=0, atol=1e-12 * np.abs(H).max())
    assert np.ptp(np.linalg.eigvalsh(H), axis=1).min() > 1e-6


@given(st.integers(0, 1000))
@settings(max_examples=10, deadline=None)
def test_molecules_neither_move_nor_turn_and_like_atoms_are_alike(seed: int) -> None:
    """Three like atoms: an exchange of two changes the sign of the second state."""
    group = []
    for order in permutations(range(3)):
        exchange = np.kron(np.eye(3)[list(order)], np.eye(3))
        parity = np.linalg.det(np.eye(3)[list(order)])
        group.append(Symmetry(exchange, np.diag([1.0, round(parity)])))
    model = network(seed, 9, features="inverse distances", symmetry=group)
    generator = np.random.default_rng(seed)
    positions = generator.normal(size=(3, 3)) * 2.0
    moved = positions @ Rotation.random(rng=generator).as_matrix().T + generator.normal(size=3)
    exchanged = positions[[1, 0, 2]]
    H, other, third = (
        model.matrix(torch.from_numpy(x.reshape(1, 9)))[0].numpy() for x in (positions, moved, exchanged)
    )
    scale = np.abs(H).max()
    np.testing.assert_allclose(other, H, rtol=0, atol=1e-11 * scale)
    sign = np.diag([1.0, -1.0])
    np.testing.assert_allclose(third, sign @ H @ sign, rtol=0, atol=1e-12 * scale)


@pytest.mark.parametrize(
    "group",
    [
        (Symmetry(np.eye(2), np.eye(2)), Symmetry(TURN, TURN)),
        (Symmetry(2.0 * np.eye(2), np.eye(2)),),
        (Symmetry(np.eye(2), np.eye(3)),),
        (Symmetry(np.eye(2), np.eye(2)), Symmetry(MIRROR, TURN)),
    ],
)
def test_operations_that_are_no_group_are_refused(group: tuple[Symmetry, ...]) -> None:
    with pytest.raises(NotAGroup, match="operation"):
        network(0, 2, symmetry=group)


def test_features_of_molecules_need_atoms() -> None:
    with pytest.raises(ValueError, match="three for each"):
        network(0, 4, features="inverse distances")
    with pytest.raises(ValueError, match="expected one of"):
        network(0, 4, features="angles")
