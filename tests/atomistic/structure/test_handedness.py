"""Pseudo-scalars: the published sums, odd in a mirror, invariant under rotation and permutation, smooth; what vanishes and why."""

from itertools import combinations, product

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import molecule
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from atomistic import BodyOrdered, Descriptors, SymmetryFunctions
from atomistic.descriptor_jacobian import values_and_jacobian
from atomistic.harmonics import spherical_harmonics
from atomistic.neighbours import neighbour_table
from atomistic.structure import PseudoScalars
from atomistic.structure.environments import atom_features
from atomistic.structure.handedness import odd_coupling

NUMBERS = (1, 6, 8)
ODD = PseudoScalars(NUMBERS, cutoff=4.0, radial=2, degree=3)
EVEN: list[Descriptors] = [
    BodyOrdered(NUMBERS, cutoff=4.0, angular_cutoff=4.0, radial=4, angular=2, degree=4),
    SymmetryFunctions.spread(NUMBERS, nearest=1.1, cutoff=4.0, radial=4, angular=2),
    SymmetryFunctions.spread(NUMBERS, nearest=1.1, cutoff=4.0, radial=4, angular=2, angular_kind="narrow"),
]
MIRROR = np.diag([1.0, 1.0, -1.0])


def shaken(seed: int) -> Atoms:
    """Acetaldehyde with displaced atoms: no symmetry is left."""
    atoms = molecule("CH3CHO")
    atoms.rattle(0.15, seed=seed)
    return atoms


def features(descriptors: Descriptors, atoms: Atoms) -> np.ndarray:
    """Of all atoms, flat, elements in turn."""
    return np.concatenate([values.ravel() for _, values in atom_features(descriptors, atoms).values()])


def turned(atoms: Atoms, matrix: np.ndarray) -> Atoms:
    other: Atoms = atoms.copy()
    other.positions = atoms.positions @ matrix.T
    return other


def test_coupling_is_the_levi_civita_symbol_and_others_multiply_it_by_an_even_polynomial() -> None:
    # harmonics of degree 1 are y, z, x: an even permutation
    assert np.allclose(odd_coupling(1, 1, 1), np.cross(np.eye(3)[:, None], np.eye(3)[None]) / 3.0, atol=1e-14)
    unit = np.random.default_rng(0).normal(size=(3, 3))
    u, v, w = unit / np.linalg.norm(unit, axis=1)[:, None]
    harmonics = [spherical_harmonics(torch.from_numpy(one), 2).numpy() for one in (u, v, w)]
    value = np.einsum("abc,a,b,c", odd_coupling(1, 2, 2), harmonics[0][1:4], harmonics[1][4:9], harmonics[2][4:9])
    assert value == pytest.approx(0.6 * (u @ np.cross(v, w)) * (v @ w), rel=1e-12)
    for degrees in ((1, 1, 2), (2, 2, 2), (1, 1, 3), (1, 2, 4), (2, 3, 3)):
        assert not odd_coupling(*degrees).any()


def test_every_odd_triangle_has_one_antisymmetric_tensor() -> None:
    for degrees in PseudoScalars((14,), degree=5).triples:
        tensor = odd_coupling(*degrees)
        assert np.linalg.norm(tensor) > 0.5
        assert np.allclose(tensor, -odd_coupling(degrees[1], degrees[0], degrees[2]).transpose(1, 0, 2), atol=1e-12)
        assert np.allclose(tensor, -odd_coupling(degrees[0], degrees[2], degrees[1]).transpose(0, 2, 1), atol=1e-12)


def test_values_are_the_sums_over_three_neighbours() -> None:
    set_ = PseudoScalars((1, 6), cutoff=3.5, radial=2, degree=2)
    atoms = molecule("C2H6")
    atoms.rattle(0.2, seed=1)
    vectors = atoms.positions[1:] - atoms.positions[0]
    r = np.linalg.norm(vectors, axis=1)
    u = vectors / r[:, None]
    x = r / 3.5
    envelope = np.where(x < 1.0, 1.0 - x**3 * (10.0 - 15.0 * x + 6.0 * x * x), 0.0)
    radial = np.stack([envelope, (2.0 * x - 1.0) * envelope], axis=1)
    g = np.concatenate([(atoms.numbers[1:] == z)[:, None] * radial for z in (1, 6)], axis=1)
    triple = np.einsum("ia,jka->ijk", u, np.cross(u[:, None], u[None]))
    first = [np.einsum("ijk,i,j,k", triple, g[:, n], g[:, m], g[:, k]) / 3.0 for n, m, k in combinations(range(4), 3)]
    second = [
        0.6 * np.einsum("ijk,jk,i,j,k", triple, u @ u.T, g[:, n], g[:, m], g[:, k])
        for n, (m, k) in product(range(4), combinations(range(4), 2))
    ]
    _, values = atom_features(set_, atoms)[6]
    assert values.shape[1] == set_.count(6) == len(first) + len(second)
    assert isinstance(set_, Descriptors)
    # of (1, 1, 1): H0 H1 C0, H0 H1 C1, H0 C0 C1, H1 C0 C1
    assert set_.radial_orders(6)[:4].tolist() == [1.0, 2.0, 1.0, 2.0] and len(set_.radial_orders(6)) == set_.count(6)
    np.testing.assert_allclose(values[0], first + second, atol=1e-13)
    assert np.abs(values[0]).max() > 1e-3


@given(seed=st.integers(0, 10_000))
@settings(max_examples=20, deadline=None)
def test_invariant_under_rotation_and_permutation(seed: int) -> None:
    atoms = shaken(seed)
    values = features(ODD, atoms)
    rotated = features(ODD, turned(atoms, Rotation.random(random_state=seed).as_matrix()))
    np.testing.assert_allclose(rotated, values, rtol=0.0, atol=1e-12)
    order = np.random.default_rng(seed).permutation(len(atoms))
    permuted = atom_features(ODD, atoms[order])
    for number, (own, of_element) in atom_features(ODD, atoms).items():
        now, others = permuted[number]
        back = np.argsort(order[now])
        assert (order[now][back] == own).all()
        np.testing.assert_allclose(others[back], of_element, rtol=0.0, atol=1e-12)


@given(seed=st.integers(0, 10_000))
@settings(max_examples=20, deadline=None)
def test_odd_in_a_mirror_where_the_even_sets_agree(seed: int) -> None:
    atoms = shaken(seed)
    image = turned(atoms, Rotation.random(random_state=seed).as_matrix() @ MIRROR)
    values = features(ODD, atoms)
    np.testing.assert_allclose(features(ODD, image), -values, rtol=0.0, atol=1e-12)
    assert np.abs(values).max() > 1e-4
    for even in EVEN:
        ours = features(even, atoms)
        np.testing.assert_allclose(features(even, image), ours, rtol=0.0, atol=1e-12 * np.abs(ours).max())


def test_derivatives() -> None:
    atoms = shaken(3)
    table = neighbour_table(atoms, ODD.cutoff)
    values, slopes = values_and_jacobian(ODD, table)
    assert values.shape == (len(atoms), ODD.count(6))
    direction = torch.from_numpy(np.random.default_rng(0).normal(size=tuple(table.vectors.shape)))
    analytic = torch.einsum("afmi,ami->af", slopes, direction * table.mask[..., None])
    step = 1e-5
    ends = [
        ODD.values(6, table.vectors + sign * step * direction, table.neighbour_numbers, table.mask)
        for sign in (1.0, -1.0)
    ]
    np.testing.assert_allclose(analytic, (ends[0] - ends[1]) / (2.0 * step), atol=1e-8)
    assert float(analytic.abs().max()) > 0.1
    vectors = table.vectors[:1].clone().requires_grad_()
    assert torch.autograd.gradgradcheck(
        lambda edges: ODD.values(6, edges, table.neighbour_numbers[:1], table.mask[:1])[:, ::40], (vectors,), atol=1e-6
    )


def test_twice_differentiable_where_a_neighbour_enters() -> None:
    """Within h of the cutoff the share of a neighbour is of the order of h^3: no jump in the value, slope or curvature."""
    fixed = np.random.default_rng(0).normal(size=(4, 3))
    axis = np.array([0.6, 0.0, 0.8])

    def share(h: float) -> float:
        atoms = Atoms("CH4O", np.concatenate([[np.zeros(3)], fixed, [(ODD.cutoff - h) * axis]]))
        return float(np.abs(atom_features(ODD, atoms)[6][1] - atom_features(ODD, atoms[:-1])[6][1]).max())

    assert share(-1e-3) < 1e-15
    assert 0.0 < share(0.01) < 1e-4
    assert share(0.02) / share(0.01) == pytest.approx(8.0, rel=0.1)


def test_nothing_is_odd_without_a_hand() -> None:
    rng = np.random.default_rng(2)
    planar = Atoms("COHHCO", np.concatenate([np.zeros((1, 3)), rng.normal(size=(5, 3))]) * [1.0, 1.0, 0.0])
    two_neighbours = Atoms("COH", rng.normal(size=(3, 3)))
    for atoms in (planar, two_neighbours):
        assert np.abs(features(ODD, atoms)).max() < 1e-14
    # an achiral molecule of chiral atoms: hands cancel in the mean over its hydrogens, which the mirror swaps
    _, hydrogens = atom_features(ODD, molecule("CH3CHO"))[1]
    assert np.abs(hydrogens).max() > 1e-3 > 1e-6 > np.abs(hydrogens.mean(0)).max()


def test_the_centre_of_a_propeller_takes_degree_four() -> None:
    """Two triangles of six equal neighbours, twisted (D3): only degrees 2, 3, 4 together have a pseudo-scalar about the axis."""
    angles = np.deg2rad([0.0, 120.0, 240.0])
    twisted = [(np.cos(a + turn), np.sin(a + turn), z) for turn, z in ((0.0, 0.8), (0.5, -0.8)) for a in angles]
    atoms = Atoms("CO6", [(0.0, 0.0, 0.0), *twisted])
    largest = {}
    for degree in (3, 4):
        (_, values) = atom_features(PseudoScalars((6, 8), cutoff=3.0, radial=3, degree=degree), atoms)[6]
        largest[degree] = np.abs(values).max()
    assert largest[3] < 1e-12
    assert largest[4] > 1e-2


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"radial": 2, "degree": 1, "numbers": (6,)}, "no pseudo-scalar"),
        ({"radial": 30, "degree": 4}, "expected at most"),
        ({"numbers": ()}, "different atomic numbers"),
        ({"cutoff": -1.0}, "cutoff"),
    ],
)
def test_wrong_settings(changes: dict[str, object], expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        PseudoScalars(**{"numbers": NUMBERS, **changes})  # type: ignore[arg-type]
