"""Several materials and orientations: by named volumes, by cell, and what is refused."""

from typing import Any

from mpi4py import MPI  # isort: skip

import dolfinx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fem
from fem.laws import NeoHooke, SaintVenantKirchhoff
from fem.orientation import rotate_back

from .conftest import unit_mesh
from .test_kinds import rotation

COPPER = SaintVenantKirchhoff.cubic(168.4, 121.4, 75.4)
STIFF, SOFT = NeoHooke(10.0, 20.0), NeoHooke(1.0, 2.0)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000))
def test_rotated_law(seed: int) -> None:
    # against differences, and W(F) = W_crystal(F R)
    R = rotation(seed)[None]
    random = np.random.default_rng(seed)
    F = np.eye(3) + 0.1 * random.uniform(-1.0, 1.0, (1, 3, 3))
    response = rotate_back(COPPER.evaluate(F @ R), R)
    h = 1e-6
    for i in range(3):
        for J in range(3):
            beside = []
            for sign in (1.0, -1.0):
                moved = F.copy()
                moved[0, i, J] += sign * h
                beside.append(rotate_back(COPPER.evaluate(moved @ R), R))
            slope = (beside[0].energy[0] - beside[1].energy[0]) / (2 * h)
            assert response.first_piola[0, i, J] == pytest.approx(slope, abs=1e-6)
            curvature = (beside[0].first_piola - beside[1].first_piola) / (2 * h)
            assert response.tangent is not None
            assert np.allclose(response.tangent[0, :, :, i, J], curvature[0], atol=1e-5)


def two_halves(cell: str = "hexahedron", cells: int = 2) -> fem.Mesh:
    mesh = unit_mesh(cell, cells)
    halves = {"lower": lambda X: X[0] < 0.5, "upper": lambda X: X[0] > 0.5}
    surfaces = {"left": lambda X: np.isclose(X[0], 0.0), "right": lambda X: np.isclose(X[0], 1.0)}
    sides = {"front": lambda X: np.isclose(X[1], 0.0), "bottom": lambda X: np.isclose(X[2], 0.0)}
    return fem.Mesh.of(mesh.domain, {**surfaces, **sides}, halves)


def test_two_materials_in_series() -> None:
    # a bar of two laws carries one force: each half stretches as it would alone
    def stretched(law: Any) -> fem.Solution:
        body = fem.Solid(two_halves(), law, degree=1)
        for side in ("left", "front", "bottom"):
            body.symmetry(side)
        body.traction("right", (0.5, 0.0, 0.0))
        return body.solve()

    solution = stretched({"lower": STIFF, "upper": SOFT})
    assert solution.resultant("left")[0] == pytest.approx(-0.5, rel=1e-9)
    F = solution.at_quadrature().deformation_gradient
    x = solution.at_quadrature().position[:, 0]
    # ten times as stiff
    assert 5.0 < (F[x > 0.5, 0, 0].mean() - 1.0) / (F[x < 0.5, 0, 0].mean() - 1.0) < 20.0


def test_the_same_law_by_parts() -> None:
    def energy(law: Any, **options: Any) -> float:
        body = fem.Solid(two_halves(), law, **options)
        body.clamp("left")
        body.traction("right", (0.0, 0.1, 0.0))
        return body.solve().energy

    whole = energy(COPPER)
    assert energy({"lower": COPPER, "upper": COPPER}) == pytest.approx(whole, rel=1e-12)
    quarter_turn = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    assert energy(COPPER, orientation=quarter_turn) == pytest.approx(whole, rel=1e-11)
    assert energy(COPPER, orientation={"lower": np.eye(3), "upper": quarter_turn}) == pytest.approx(whole, rel=1e-11)
    assert energy(COPPER, orientation=rotation(1)) != pytest.approx(whole, rel=1e-3)


def test_a_turned_body_of_a_turned_crystal() -> None:
    # the same block, once along the axes, once turned in space with its crystal and its load
    Q = rotation(3)
    deflections = []
    for R in (np.eye(3), Q):
        mesh = unit_mesh("tetrahedron", 2)
        body = fem.Solid(mesh, COPPER, orientation=R @ rotation(4))
        mesh.domain.geometry.x[:] = mesh.domain.geometry.x @ R.T
        body.clamp("left")
        body.traction("right", (R @ [0.5, 2.0, -1.0]).tolist())
        deflections.append(R.T @ body.solve().probe(R @ [1.0, 0.5, 0.5])[0])
    assert np.allclose(deflections[1], deflections[0], rtol=1e-9)


def test_orientation_of_each_cell_follows_the_cells_as_made() -> None:
    # cells given in a shuffled order, which dolfinx reorders again: each keeps its own orientation
    points = np.array([[x, y] for y in range(3) for x in range(5)], dtype=float)
    squares = [[5 * j + i, 5 * j + i + 1, 5 * (j + 1) + i, 5 * (j + 1) + i + 1] for j in range(2) for i in range(4)]
    order = np.random.default_rng(0).permutation(len(squares))
    cells = np.array(squares, dtype=np.int64)[order]
    import basix.ufl
    import ufl

    element = ufl.Mesh(basix.ufl.element("Lagrange", "quadrilateral", 1, shape=(2,)))
    domain = dolfinx.mesh.create_mesh(MPI.COMM_SELF, cells, element, points)
    mesh = fem.Mesh.of(domain, {"boundary": lambda X: np.full(X.shape[1], True)})
    angles = 0.1 * np.arange(len(cells))
    R = np.array([[[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]] for a in angles])
    body = fem.Solid(mesh, COPPER, orientation=R, degree=1)
    gradient = np.array([[0.01, 0.004], [0.0, -0.003]])
    body.prescribe("boundary", lambda X: gradient @ X[:2])
    solution = body.solve()
    points_of = solution.at_quadrature()
    # each point's stress is that of the orientation of the square it lies in
    F = points_of.deformation_gradient
    for x, f, P in zip(points_of.position, F, points_of.response.first_piola, strict=True):
        square = 4 * int(x[1]) + int(x[0])
        turned = R[int(np.flatnonzero(order == square)[0])]
        expected = COPPER.evaluate((f @ turned)[None]).first_piola[0] @ turned.T
        assert np.allclose(P, expected, atol=1e-10)


@pytest.mark.parametrize(
    ("orientation", "message"),
    [
        (np.eye(2), r"has shape \(2, 2\), expected \(8, 3, 3\)"),
        (np.stack([np.eye(3)] * 7), r"has shape \(7, 3, 3\), expected \(8, 3, 3\)"),
        (1.01 * np.eye(3), r"is no rotation: the matrix has det 1.0303"),
        (-np.eye(3), r"has det -1"),
        (np.stack([np.eye(3)] * 5 + [np.full((3, 3), np.nan)] + [np.eye(3)] * 2), "the matrix of cell 5"),
        ({"lower": np.eye(3)}, "4 cells have no orientation"),
        ({"lower": np.eye(3), "upper": np.zeros((3, 3))}, "the orientation of 'upper' is no rotation"),
    ],
)
def test_refused_orientations(orientation: Any, message: str) -> None:
    body = fem.Solid(two_halves(), COPPER, orientation=orientation)
    body.clamp("left")
    with pytest.raises(fem.OrientationError, match=message):
        body.solve()


@pytest.mark.parametrize(
    ("laws", "error", "message"),
    [
        (
            {"lower": SOFT},
            fem.MeshError,
            "4 cells have no law: laws are given for 'lower', volumes of this mesh: 'lower', 'upper'",
        ),
        (
            {"lower": SOFT, "top": STIFF},
            fem.MeshNameError,
            "no volume named 'top'; volumes of this mesh: 'lower', 'upper'",
        ),
        (
            {"lower": SOFT, "upper": STIFF, "all": SOFT},
            fem.MeshError,
            "8 cells of volume 'all' belong to another volume",
        ),
    ],
)
def test_refused_laws(laws: Any, error: type[Exception], message: str) -> None:
    mesh = two_halves()
    if "all" in laws:
        mesh = fem.Mesh(mesh.domain, mesh.surfaces, {**mesh.volumes, "all": np.arange(8, dtype=np.int32)})
    body = fem.Solid(mesh, laws)
    body.clamp("left")
    with pytest.raises(error, match=message):
        body.solve()


def test_a_law_that_is_none_and_a_volume_without_cells() -> None:
    with pytest.raises(ValueError, match="law is a int without a method `evaluate`"):
        fem.Solid(two_halves(), {"lower": SOFT, "upper": 3})  # type: ignore[dict-item]
    with pytest.raises(fem.MeshError, match="marker of volume 'none' is true at the midpoint of no cell"):
        fem.Mesh.of(unit_mesh("triangle", 1).domain, {}, {"none": lambda X: X[0] > 2.0})
