"""Body-ordered descriptors: the published sums, invariance, the harmonics they are made of."""

from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.polynomial import chebyshev
from scipy.spatial.transform import Rotation
from scipy.special import eval_legendre, sph_harm_y

from atomistic import BodyOrdered
from atomistic.harmonics import coupling, spherical_harmonics
from atomistic.neighbours import neighbour_table


def directions(seed: int, count: int) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(count, 3))
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


def test_harmonics_are_the_complex_ones_in_racah_normalisation() -> None:
    unit = directions(0, 20)
    theta, phi = np.arccos(unit[:, 2]), np.arctan2(unit[:, 1], unit[:, 0])
    ours = spherical_harmonics(torch.from_numpy(unit), 6).numpy()
    for order in range(7):
        for m in range(order + 1):
            # scipy has the Condon-Shortley sign; sqrt(2) makes real and imaginary part each of norm one
            other = np.sqrt(4 * np.pi / (2 * order + 1)) * (-1) ** m * sph_harm_y(order, m, theta, phi)
            scale = np.sqrt(2.0) if m else 1.0
            np.testing.assert_allclose(ours[:, order * order + order + m], scale * other.real, atol=1e-13)
            if m:
                np.testing.assert_allclose(ours[:, order * order + order - m], scale * other.imag, atol=1e-13)


@given(seed=st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_addition_theorem(seed: int) -> None:
    u, v = directions(seed, 2)
    both = spherical_harmonics(torch.from_numpy(np.array([u, v])), 5).numpy()
    for order in range(6):
        part = slice(order * order, (order + 1) ** 2)
        assert both[0, part] @ both[1, part] == pytest.approx(eval_legendre(order, u @ v), abs=1e-13)


def test_coupling_is_the_square_of_the_wigner_symbol() -> None:
    """The squares of all coefficients of (l1, l2, l3) sum to (l1 l2 l3; 0 0 0)^2 (Edmonds 1957, 4.6.3); a table of those."""
    wigner_squared = {(1, 1, 2): 2 / 15, (2, 2, 2): 2 / 35, (1, 2, 3): 3 / 35, (2, 2, 4): 2 / 35, (4, 4, 4): 18 / 1001}
    for degrees, expected in wigner_squared.items():
        assert np.sum(coupling(*degrees) ** 2) == pytest.approx(expected, rel=1e-12)
    assert not coupling(1, 1, 1).any()
    assert not coupling(1, 1, 4).any()


def environment(symbols: list[str], seed: int) -> tuple[Atoms, BodyOrdered]:
    atoms = bulk(*{1: ("Si", "diamond"), 2: ("GaAs", "zincblende")}[len(symbols)], a=5.5).repeat((2, 1, 1))
    atoms.rattle(0.2, seed=seed)
    channels = np.random.default_rng(seed).normal(size=(3, len(symbols), 4))
    descriptors = BodyOrdered(
        numbers=tuple(sorted(set(atoms.numbers.tolist()))),
        cutoff=4.5,
        angular_cutoff=4.0,
        radial=5,
        angular=4,
        channels=tuple(tuple(map(tuple, rows)) for rows in channels.tolist()),
        pairs=((0, 0), (0, 2), (1, 2)),
    )
    return atoms, descriptors


def by_definition(descriptors: BodyOrdered, vectors: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """The sums of the docstring over neighbours, pairs and triples, without moments."""
    r = np.linalg.norm(vectors, axis=1)
    u = vectors / r[:, None]

    def basis(k: int, cutoff: float) -> np.ndarray:
        x = np.minimum(r / cutoff, 1.0)
        return chebyshev.Chebyshev.basis(k)(2 * x - 1) * (1 - 10 * x**3 + 15 * x**4 - 6 * x**5)

    of_element = [numbers == number for number in descriptors.numbers]
    values = [(basis(k, descriptors.cutoff) * own).sum() for own in of_element for k in range(descriptors.radial)]
    g = [
        sum(
            c * own * basis(k, descriptors.angular_cutoff)
            for row, own in zip(rows, of_element, strict=True)
            for k, c in enumerate(row)
        )
        for rows in descriptors.channels
    ]
    cosine = np.clip(u @ u.T, -1, 1)
    for n, m in descriptors.pairs:
        values += [g[n] @ eval_legendre(order, cosine) @ g[m] for order in range(1, descriptors.degree + 1)]
    # the four-body function of three unit vectors, by quadrature over the sphere: (1/4pi) int P_l1 P_l2 P_l3
    nodes, weights = np.polynomial.legendre.leggauss(10)
    angles = 2 * np.pi * np.arange(20) / 20
    s = np.array(
        [(np.sqrt(1 - z * z) * np.cos(a), np.sqrt(1 - z * z) * np.sin(a), z) for z, a in product(nodes, angles)]
    )
    share = np.repeat(weights, 20) / 40
    for degrees in descriptors.triples:
        p = [eval_legendre(order, np.clip(s @ u.T, -1, 1)) for order in degrees]
        values += [np.sum(share * np.prod([one @ weight for one in p], axis=0)) for weight in g]
    return np.array(values)


@pytest.mark.parametrize("symbols", [["Si"], ["Ga", "As"]])
def test_moments_give_the_sums_over_pairs_and_triples(symbols: list[str]) -> None:
    atoms, descriptors = environment(symbols, 1)
    table = neighbour_table(atoms, descriptors.cutoff)
    values = descriptors.values(14, table.vectors, table.neighbour_numbers, table.mask).numpy()
    assert values.shape == (len(atoms), descriptors.count(14))
    for i in range(len(atoms)):
        inside = table.mask[i].numpy()
        expected = by_definition(
            descriptors, table.vectors[i].numpy()[inside], table.neighbour_numbers[i].numpy()[inside]
        )
        np.testing.assert_allclose(values[i], expected, rtol=1e-11, atol=1e-11)


@given(seed=st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_invariant_under_rotation_reflection_and_permutation(seed: int) -> None:
    atoms, descriptors = environment(["Ga", "As"], seed)
    table = neighbour_table(atoms, descriptors.cutoff)
    arguments = (table.neighbour_numbers, table.mask)
    values = descriptors.values(31, table.vectors, *arguments)
    generator = np.random.default_rng(seed)
    turn = torch.from_numpy(Rotation.random(random_state=seed).as_matrix() * generator.choice([-1.0, 1.0]))
    order = torch.from_numpy(generator.permutation(table.mask.shape[1]))
    turned = descriptors.values(31, (table.vectors @ turn.T)[:, order], *(one[:, order] for one in arguments))
    torch.testing.assert_close(turned, values, rtol=1e-11, atol=1e-11)


def test_radial_functions_end_with_third_order_contact() -> None:
    """Value, slope and curvature vanish at the cutoff, so that forces and tangents have no steps: f(r_c - h) ~ h^3."""
    descriptors = BodyOrdered((14,))
    steps = torch.tensor([2e-3, 1e-3], dtype=torch.float64)
    far, near = descriptors.basis(descriptors.cutoff - steps, descriptors.cutoff, descriptors.radial).abs()
    assert (torch.log2(far / near) > 2.8).all()
    assert not descriptors.basis(descriptors.cutoff + steps, descriptors.cutoff, descriptors.radial).any()


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"numbers": (14, 6)}, "ascending"),
        ({"angular_cutoff": 7.0}, "angular_cutoff = 7.0"),
        ({"degree": 0}, "degree = 0"),
        ({"cutoff_function": "square"}, "square"),
        ({"channels": (((1.0, 2.0),),)}, "expected \\(channels, 1, 8\\)"),
        ({"pairs": ((0, 9),)}, "outside 0 ... 7"),
    ],
)
def test_nonsense_is_refused(bad: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        BodyOrdered(**{"numbers": (14,), **bad})


def test_radial_orders_are_the_powers_of_a_factor_to_each_polynomial() -> None:
    """Channels s^k f_k give descriptors s^order times those of f_k."""
    plain = BodyOrdered((14,), cutoff=5.0, angular_cutoff=4.0, radial=3, angular=4, degree=2)
    scale = 1.3
    channels = tuple(tuple(map(tuple, rows)) for rows in np.diag(scale ** np.arange(4.0))[:, None, :].tolist())
    scaled = BodyOrdered((14,), cutoff=5.0, angular_cutoff=4.0, radial=3, angular=4, degree=2, channels=channels)
    vectors = torch.from_numpy(np.random.default_rng(0).normal(0.0, 1.7, (1, 9, 3)))
    arguments = (14, vectors, torch.full((1, 9), 14), torch.ones(1, 9, dtype=torch.bool))
    orders = plain.radial_orders(14)
    ratio = (scaled.values(*arguments) / plain.values(*arguments))[0].numpy()
    np.testing.assert_allclose(ratio[3:], scale ** orders[3:], rtol=1e-12)
    np.testing.assert_array_equal(orders[:3], [0.0, 1.0, 2.0])
    assert len(orders) == plain.count(14)
