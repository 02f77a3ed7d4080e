"""Plane strain, plane stress, axisymmetry and space: patches, rates, tangents, closed forms, and laws that do not suit."""

from typing import Any

from mpi4py import MPI  # isort: skip

import dolfinx
import numpy as np
import pytest
from dolfinx import fem as dfem

import fem
from fem.constitution import Constitution
from fem.kind import Kind
from fem.laws import NeoHooke, SaintVenantKirchhoff, SplitNeoHooke
from fem.plane_stress import PlaneStress, condense
from fem.weak_form import Physics, WeakForm

from .conftest import CELLS, unit_mesh
from .manufactured import rates, solve

COPPER = SaintVenantKirchhoff.cubic(168.4, 121.4, 75.4)
SOFT = NeoHooke(1.0, 2.0)
PLANE = ("triangle", "quadrilateral")


def rotation(seed: int) -> np.ndarray:
    Q, _ = np.linalg.qr(np.random.default_rng(seed).standard_normal((3, 3)))
    return np.asarray(Q * np.linalg.det(Q))


def moved_inside(mesh: fem.Mesh) -> fem.Mesh:
    """Cells of general shape: the inner nodes displaced."""
    X = mesh.domain.geometry.x
    d = mesh.domain.geometry.dim
    inside = np.all((X[:, :d] > 0.1) & (X[:, :d] < 0.9), axis=1)
    X[inside, :d] += [0.06, -0.04, 0.05][:d]
    return mesh


def cook(cell: str, cells: int) -> fem.Mesh:
    """Cook's membrane: a clamped tapered panel with a load on its right edge."""
    mesh = unit_mesh(cell, cells)
    X = mesh.domain.geometry.x
    xi, eta = X[:, 0].copy(), X[:, 1].copy()
    X[:, 0], X[:, 1] = 48.0 * xi, 44.0 * xi + eta * (44.0 - 28.0 * xi)
    return mesh


@pytest.mark.parametrize("degree", [1, 2, 3])
@pytest.mark.parametrize("cell", PLANE)
@pytest.mark.parametrize("kind", ["plane_stress", "axisymmetric"])
def test_patch(cell: str, degree: int, kind: Any) -> None:
    # uniform deformation: any in the plane, also of a crystal in general orientation; radial and axial about an axis
    mesh = moved_inside(unit_mesh(cell, 2))
    round_body = kind == "axisymmetric"
    gradient = np.diag([0.09, -0.06]) if round_body else np.array([[0.10, 0.07], [-0.04, -0.08]])
    law: fem.Law = SOFT if round_body else COPPER
    R = None if round_body else rotation(1)
    body = fem.Solid(mesh, law, degree=degree, kind=kind, orientation=R)
    body.prescribe("boundary", lambda X: gradient @ X[:2])
    points = body.solve(load_steps=2).at_quadrature()
    F, P = points.deformation_gradient, points.response.first_piola
    assert np.abs(F[:, :2, :2] - np.eye(2) - gradient).max() <= 1e-12
    assert np.abs(P - P[0]).max() <= 1e-12 * np.abs(P).max()
    if round_body:
        assert np.abs(F[:, 2, 2] - 1.09).max() <= 1e-12
        assert points.weight.sum() == pytest.approx(np.pi, rel=1e-12)
    else:
        # three faces free of stress: the second Piola-Kirchhoff stress has no component out of the plane
        assert np.abs(P[:, :, 2]).max() <= 1e-12 * np.abs(P).max()
        assert np.abs(P[:, 2]).max() <= 1e-12 * np.abs(P).max()
        assert np.abs(F[:, :2, 2]).min() > 1e-3  # the thickness is sheared


@pytest.mark.parametrize("kind", ["plane_strain", "plane_stress", "axisymmetric"])
@pytest.mark.parametrize("degree", [1, 2, 3])
@pytest.mark.parametrize("cell", PLANE)
def test_rates_in_the_plane(cell: str, degree: int, kind: Any) -> None:
    in_L2, in_H1 = rates(lambda n: solve(unit_mesh(cell, n), SOFT, degree, kind), 4, 8)
    assert in_L2 >= degree + 0.95
    assert in_H1 >= degree - 0.05


@pytest.mark.parametrize(
    ("cell", "degree"),
    [
        ("tetrahedron", 1),
        ("hexahedron", 1),
        ("hexahedron", 2),
        *(
            pytest.param(*row, marks=pytest.mark.slow)
            for row in (("tetrahedron", 2), ("tetrahedron", 3), ("hexahedron", 3))
        ),
    ],
)
def test_rates_in_space(cell: str, degree: int) -> None:
    in_L2, in_H1 = rates(lambda n: solve(unit_mesh(cell, n), SOFT, degree), 2, 4)
    assert in_L2 >= degree + 0.9
    assert in_H1 >= degree - 0.1


def weak_form(cell: str, kind: Any, formulation: Any = "displacement", law: Any = None, R: Any = None) -> WeakForm:
    mesh = moved_inside(unit_mesh(cell, 2))
    space = dfem.functionspace(mesh.domain, ("Lagrange", 2, (mesh.domain.geometry.dim,)))
    return WeakForm(mesh, space, Physics(law or SOFT, R, Kind.of(mesh.domain, kind), formulation, 4))


def tangent_error(weak: WeakForm) -> tuple[float, float]:
    """Relative gap between K and differences of R, and between K and its transpose, at a displacement of 5 %."""
    random = np.random.default_rng(0)
    u = weak.displacement.x.array
    u[:] = 0.02 * random.standard_normal(u.size)
    if weak.kind.name == "axisymmetric":
        axis = weak.displacement.function_space.tabulate_dof_coordinates()[:, 0] < 1e-9
        u.reshape(-1, 2)[axis, 0] = 0.0
    here, step = u.copy(), random.standard_normal(u.size)
    if weak.kind.name == "axisymmetric":
        step.reshape(-1, 2)[axis, 0] = 0.0
    h = 1e-6
    R = []
    for sign in (1.0, -1.0):
        u[:] = here + sign * h * step
        assert weak.material.update(), weak.material.rejection
        R.append(dfem.assemble_vector(weak.internal).array.copy())
    u[:] = here
    assert weak.material.update()
    K = sum(dfem.assemble_matrix(form).to_scipy() for form in weak.tangents).toarray()
    expected = (R[0] - R[1]) / (2.0 * h)
    return float(np.abs(K @ step - expected).max() / np.abs(expected).max()), float(
        np.abs(K - K.T).max() / np.abs(K).max()
    )


@pytest.mark.parametrize("cell", CELLS)
def test_tangent(cell: str) -> None:
    kinds = [None] if cell not in PLANE else ["plane_strain", "plane_stress", "axisymmetric"]
    for kind in kinds:
        error, asymmetry = tangent_error(weak_form(cell, kind))
        assert error <= 1e-7
        assert asymmetry <= 1e-12


def test_tangent_of_a_tilted_crystal() -> None:
    for kind, cell in ((None, "tetrahedron"), ("plane_stress", "triangle")):
        error, asymmetry = tangent_error(weak_form(cell, kind, law=COPPER, R=rotation(2)))
        assert error <= 1e-7
        assert asymmetry <= 1e-12


def closed(law: fem.Law, F: np.ndarray, R: np.ndarray | None = None) -> tuple[np.ndarray, fem.Response]:
    orientation = None if R is None else np.broadcast_to(R, F.shape)
    return PlaneStress(Constitution((law,), np.zeros(len(F), dtype=np.int64), orientation, 1), len(F)).close(F)


def test_plane_stress_leaves_the_faces_free_at_large_strain() -> None:
    random = np.random.default_rng(3)
    F = np.eye(3) + np.pad(0.45 * random.uniform(-1.0, 1.0, (500, 2, 2)), ((0, 0), (0, 1), (0, 1)))
    F = F[np.linalg.det(F) > 0.2]
    for law in (SOFT, SplitNeoHooke(1.0, 1000.0)):
        full, response = closed(law, F)
        assert np.abs(response.first_piola[:, :, 2]).max() <= 1e-10 * np.abs(np.asarray(response.tangent)).max()
        # an isotropic law has no shear out of the plane
        assert np.abs(full[:, :2, 2]).max() <= 1e-12
    # the nearly incompressible one: the thickness follows the area
    assert np.abs(np.linalg.det(full) - 1.0).max() <= 0.02


def test_plane_stress_minimises_the_energy_over_the_third_column() -> None:
    F = np.eye(3)[None] + np.pad([[[0.04, 0.03], [-0.02, -0.05]]], ((0, 0), (0, 1), (0, 1)))
    R = rotation(4)
    full, response = closed(COPPER, F, R)
    for i in range(3):
        for sign in (1.0, -1.0):
            beside = full.copy()
            beside[0, i, 2] += sign * 1e-3
            assert COPPER.evaluate(beside @ R).energy[0] > response.energy[0]
    tilted = condense(response)
    h = 1e-6
    for i, J in ((0, 0), (0, 1), (1, 0), (1, 1)):
        ahead, behind = F.copy(), F.copy()
        ahead[0, i, J] += h
        behind[0, i, J] -= h
        P = [closed(COPPER, f, R)[1].first_piola[0, :2, :2] for f in (ahead, behind)]
        assert tilted.tangent is not None
        assert np.allclose(tilted.tangent[0, :2, :2, i, J], (P[0] - P[1]) / (2 * h), atol=1e-6 * 168.4)


def test_no_plane_stress_is_rejected_not_fatal() -> None:
    # in the plane turned inside out; and a law which answers nonsense away from rest
    with pytest.raises(fem.InadmissibleDeformation):
        closed(SOFT, np.diag([1.0, -1.0, 1.0])[None])

    class Nonsense(NeoHooke):
        def evaluate(self, F: Any, state: Any = None, *, tangent: bool = True, trust: bool = False) -> fem.Response:
            response = super().evaluate(F, tangent=tangent)
            response.energy[np.abs(F - np.eye(3)).max(axis=(1, 2)) > 0.05] = np.nan
            response.first_piola[np.isnan(response.energy)] = np.nan
            return response

    body = fem.Solid(unit_mesh("quadrilateral", 2), Nonsense(1.0, 1.0), kind="plane_stress")
    body.clamp("left")
    body.traction("right", (0.5, 0.0))
    with pytest.raises(fem.LoadNotConverged, match="no thickness leaves the faces free of stress near X ="):
        body.solve(load_steps=2)


@pytest.mark.parametrize("cells", [8, pytest.param(32, marks=pytest.mark.slow)])
def test_linear_cook_in_plane_stress(cells: int) -> None:
    # REFERENCES: E = 1, nu = 1/3, unit load on an edge of 16: 23.96 at the middle of the edge, for vanishing displacements
    small = 1e-7
    law = SaintVenantKirchhoff.cubic(*isotropic(1.0, 1.0 / 3.0))
    body = fem.Solid(cook("quadrilateral", cells), law, kind="plane_stress")
    body.clamp("left")
    body.traction("right", (0.0, small / 16.0))
    deflection = body.solve().probe([48.0, 52.0])[0, 1] / small
    assert deflection == pytest.approx(23.96, rel=0.005)


def isotropic(E: float, nu: float) -> tuple[float, float, float]:
    """C11, C12, C44."""
    mu, lmbda = E / (2 * (1 + nu)), E * nu / ((1 + nu) * (1 - 2 * nu))
    return lmbda + 2 * mu, lmbda, mu


def test_plane_stress_is_a_thin_slab() -> None:
    # one layer of hexahedra with free faces and upright edges, uniformly deformed in the plane
    gradient = np.array([[0.2, 0.1], [0.05, -0.1]])
    energies = []
    for R in (np.eye(3), rotation(5)):
        plane = fem.Solid(unit_mesh("quadrilateral", 2), COPPER, kind="plane_stress", orientation=R, degree=1)
        plane.prescribe("boundary", lambda X: gradient @ X[:2])
        slab = fem.Solid(unit_mesh("hexahedron", 2), COPPER, orientation=R, degree=1)
        for side in ("left", "right", "front", "back"):
            slab.move(side, lambda X, s: np.vstack([s * gradient @ X[:2], np.full(X.shape[1], np.nan)]))
        slab.prescribe("bottom", (None, None, 0.0))
        energies.append((plane.solve().energy, slab.solve().energy))
    assert energies[0][0] == pytest.approx(energies[0][1], rel=1e-10)
    # a tilted crystal wants to lean out of the plane, which the bottom of the slab hinders
    assert energies[1][0] < energies[1][1]


def tube(cells: int, inner: float = 1.0, outer: float = 2.0) -> fem.Mesh:
    """Cross-section of a tube of unit length."""
    mesh = unit_mesh("quadrilateral", cells)
    X = mesh.domain.geometry.x
    X[:, 0] = inner + (outer - inner) * X[:, 0]
    return mesh


def test_inflated_tube() -> None:
    # incompressible neo-Hooke, plane ends: p = mu (ln(l_a / l_b) + (1 / l_b^2 - 1 / l_a^2) / 2), l = deformed over undeformed radius
    mu, p = 1.0, 0.5
    body = fem.Solid(tube(8), SplitNeoHooke(mu, 5e3, "logarithmic"), kind="axisymmetric", formulation="mixed")
    body.symmetry("bottom")
    body.symmetry("top")
    body.pressure("left", p)
    solution = body.solve(load_steps=4)
    at_inner = 1.0 + solution.probe([1.0, 0.5])[0, 0]
    l_b = np.sqrt(4.0 + at_inner**2 - 1.0) / 2.0
    assert mu * (np.log(at_inner / l_b) + 0.5 * (1.0 / l_b**2 - 1.0 / at_inner**2)) == pytest.approx(p, rel=1e-3)
    assert at_inner > 1.3


def test_axisymmetric_body_is_the_body_in_space() -> None:
    # a disc pressed flat between clamped plates, in its cross-section and as an eighth in space
    radius, height, push = 1.0, 0.5, 0.15
    section = unit_mesh("quadrilateral", 4)
    section.domain.geometry.x[:, 1] *= height
    flat = fem.Solid(section, SOFT, kind="axisymmetric")
    flat.symmetry("bottom")
    flat.prescribe("top", (0.0, -push))
    force = flat.solve(load_steps=2).steps[-1].reactions["top"][1]

    quarter = unit_mesh("hexahedron", 4)
    X = quarter.domain.geometry.x
    square = X[:, :2].copy()
    # the square's quarter mapped onto the disc's: rings keep their ring
    ring = square.max(axis=1)
    length = np.linalg.norm(square, axis=1)
    X[:, :2] *= np.divide(radius * ring, length, out=np.ones_like(ring), where=length > 0.0)[:, None]
    X[:, 2] *= height
    body = fem.Solid(quarter, SOFT)
    body.symmetry("left")
    body.symmetry("front")
    body.symmetry("bottom")
    body.prescribe("top", (0.0, 0.0, -push))
    solution = body.solve(load_steps=2)
    assert 4.0 * solution.steps[-1].reactions["top"][2] == pytest.approx(force, rel=0.02)


def test_laws_that_do_not_suit_the_kind() -> None:
    mesh = unit_mesh("triangle", 1)

    def solve_with(law: fem.Law, kind: Any, R: Any = None) -> None:
        body = fem.Solid(mesh, law, kind=kind, orientation=R)
        body.clamp("left")
        body.clamp("bottom")
        body.traction("right", (0.01, 0.0))
        body.solve()

    with pytest.raises(
        fem.KindError, match=r"plane_strain needs a law with a mirror plane normal to z.* P_[xyz]{2} = "
    ):
        solve_with(COPPER, "plane_strain", rotation(6))
    about_z = np.array([[0.8, -0.6, 0.0], [0.6, 0.8, 0.0], [0.0, 0.0, 1.0]])
    solve_with(COPPER, "plane_strain", about_z)
    with pytest.raises(fem.KindError, match=r"rotations about y make no difference.* of "):
        solve_with(COPPER, "axisymmetric")
    with pytest.raises(fem.KindError, match="mirror plane normal to z"):
        solve_with(COPPER, "axisymmetric", rotation(6))
    solve_with(SOFT, "axisymmetric", rotation(6))
    solve_with(COPPER, "plane_stress", rotation(6))


@pytest.mark.parametrize(
    ("cell", "options", "message"),
    [
        ("triangle", {"kind": "plane"}, "kind is 'plane', expected one of 3d, plane_strain"),
        ("triangle", {"kind": "3d"}, "kind is '3d' on a mesh in 2-d space, expected 'plane_strain'"),
        ("hexahedron", {"kind": "plane_stress"}, "on a mesh in 3-d space, expected '3d'"),
        ("triangle", {"formulation": "hybrid"}, "formulation is 'hybrid', expected one of displacement, mixed"),
        ("triangle", {"formulation": "mixed", "kind": "plane_stress"}, "plane stress does not lock"),
        ("tetrahedron", {"formulation": "mixed", "degree": 1}, "of degree 1 locks with any pressure"),
    ],
)
def test_refused(cell: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(fem.KindError, match=message):
        fem.Solid(unit_mesh(cell, 1), SOFT, **options)


def test_refused_loads_and_places() -> None:
    mesh = unit_mesh("triangle", 1)
    with pytest.raises(fem.KindError, match="pressure on 'right' in plane stress"):
        fem.Solid(mesh, SOFT, kind="plane_stress").pressure("right", 1.0)
    with pytest.raises(fem.KindError, match="cannot be turned in its plane"):
        fem.Solid(mesh, SOFT, kind="axisymmetric").rotate("right", 1.0)
    mesh.domain.geometry.x[:, 0] -= 0.5
    with pytest.raises(fem.KindError, match=r"radii x >= 0, this mesh has nodes at x = -0.5"):
        fem.Solid(mesh, SOFT, kind="axisymmetric")


def test_a_round_body_slides_along_its_axis_only() -> None:
    body = fem.Solid(tube(2), SOFT, kind="axisymmetric")
    body.symmetry("left")  # a rigid core
    with pytest.raises(fem.ConditionError, match="translation along y"):
        body.solve()


def test_prisms_are_refused_with_the_reason() -> None:
    domain = dolfinx.mesh.create_unit_cube(MPI.COMM_SELF, 1, 1, 1, dolfinx.mesh.CellType.prism)
    with pytest.raises(fem.MeshError, match=r"prism cells.*dolfinx 0\.11 cannot assemble on the facets"):
        fem.Mesh(domain, {})
