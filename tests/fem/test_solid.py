"""Solved bodies against published values, the same problem in plain UFL, and closed forms."""

import numpy as np
import pytest

import fem
from fem.laws import NeoHooke, SaintVenantKirchhoff, SplitNeoHooke

from .conftest import CELLS, unit_mesh
from .plain_ufl import solve_neo_hooke

LIBCEED = NeoHooke.from_young(2.8, 0.4)


def loaded(mesh: fem.Mesh, law: fem.Law, traction: tuple[float, ...], **options: int) -> fem.Solid:
    body = fem.Solid(mesh, law, **options)
    body.clamp("left")
    body.traction("right", traction)
    return body


def test_libceed_energy(cube: fem.Mesh) -> None:
    body = loaded(cube, LIBCEED, (0.0, 0.0, -0.5), degree=2, quadrature_degree=4)
    assert body.solve(load_steps=1).energy == pytest.approx(0.2124627916174, abs=1e-9)
    assert body.solve(load_steps=5).energy == pytest.approx(0.2124627916174, abs=1e-9)


@pytest.mark.parametrize(
    ("cell", "degree", "quadrature_degree", "traction"),
    [
        ("hexahedron", 2, 4, (0.0, 0.0, -0.5)),
        ("hexahedron", 1, 2, (0.1, 0.0, -0.3)),
        ("tetrahedron", 2, 2, (0.0, 0.2, -0.3)),
        ("triangle", 2, 2, (0.1, -0.2)),
        ("quadrilateral", 3, 6, (0.0, -0.2)),
    ],
)
def test_same_as_plain_ufl(cell: str, degree: int, quadrature_degree: int, traction: tuple[float, ...]) -> None:
    mesh = unit_mesh(cell, 2)
    plain = solve_neo_hooke(mesh, LIBCEED, degree, quadrature_degree, traction, steps=5)
    ours = loaded(mesh, LIBCEED, traction, degree=degree, quadrature_degree=quadrature_degree).solve(load_steps=5)
    assert [step.iterations for step in ours.steps] == plain.iterations
    assert np.abs(ours.displacement.x.array - plain.displacement).max() <= 1e-9 * np.abs(plain.displacement).max()
    assert ours.energy == pytest.approx(plain.energy, rel=1e-12)


@pytest.mark.parametrize("degree", [1, 2, 3])
@pytest.mark.parametrize("cell", CELLS)
def test_patch(cell: str, degree: int) -> None:
    # a uniform deformation at the boundary of cells of any shape is reproduced inside
    mesh = unit_mesh(cell, 2 if degree < 3 else 1)
    d = mesh.domain.geometry.dim
    inside = np.all((mesh.domain.geometry.x[:, :d] > 0.1) & (mesh.domain.geometry.x[:, :d] < 0.9), axis=1)
    mesh.domain.geometry.x[inside, :d] += [0.06, -0.04, 0.05][:d]
    gradient = np.array([[0.10, 0.07, -0.03], [-0.04, -0.08, 0.05], [0.02, 0.06, 0.09]])[:d, :d]
    law = SplitNeoHooke(1.0, 2.0)
    body = fem.Solid(mesh, law, degree=degree)
    body.prescribe("boundary", lambda X: gradient @ X[:d])
    solution = body.solve(load_steps=2)
    points = solution.at_quadrature()
    F = np.eye(3)
    F[:d, :d] += gradient
    assert np.abs(points.deformation_gradient - F).max() <= 1e-12
    expected = law.evaluate(F[None])
    assert np.abs(points.response.first_piola - expected.first_piola).max() <= 1e-12
    assert points.weight.sum() == pytest.approx(1.0, rel=1e-13)
    assert solution.energy == pytest.approx(expected.energy[0], rel=1e-12)


def test_uniaxial_tension_by_symmetry_planes() -> None:
    # E of a cubic crystal along [100], here with J and the cross-section of finite strain left small
    mesh = unit_mesh("tetrahedron", 1)
    body = fem.Solid(mesh, SaintVenantKirchhoff.cubic(168.4, 121.4, 75.4))
    for side in ("left", "front", "bottom"):
        body.symmetry(side)
    body.traction("right", (66.69e-6, 0.0, 0.0))
    solution = body.solve()
    assert solution.probe([1.0, 0.5, 0.5])[0, 0] == pytest.approx(1e-6, rel=1e-4)
    assert np.allclose(solution.resultant("right"), [66.69e-6, 0.0, 0.0], atol=1e-16)
    assert np.allclose(solution.resultant("left"), [-66.69e-6, 0.0, 0.0], atol=1e-16)


@pytest.mark.parametrize(
    ("degree", "cells", "published"),
    [
        (1, 4, 12.07),
        (1, 8, 13.86),
        (2, 4, 14.65),
        (2, 8, 14.71),
        *(pytest.param(*row, marks=pytest.mark.slow) for row in ((1, 16, 14.49), (1, 32, 14.67), (2, 16, 14.73))),
        pytest.param(2, 32, 14.74, marks=pytest.mark.slow),
    ],
)
def test_cooks_membrane(degree: int, cells: int, published: float) -> None:
    # deal.II code gallery, quasi-static finite-strain compressible elasticity; mm and MPa
    mesh = unit_mesh("quadrilateral", cells)
    xi, eta = mesh.domain.geometry.x[:, 0].copy(), mesh.domain.geometry.x[:, 1].copy()
    mesh.domain.geometry.x[:, 0] = 48.0 * xi
    mesh.domain.geometry.x[:, 1] = 44.0 * xi + eta * (44.0 - 28.0 * xi)
    body = loaded(mesh, SplitNeoHooke(0.4225, 0.915417), (0.0, 1.0 / 16.0), degree=degree)
    assert body.solve(load_steps=2).probe([48.0, 52.0])[0, 1] == pytest.approx(published, abs=0.005)


def test_newton_converges_quadratically(cube: fem.Mesh) -> None:
    solution = loaded(cube, LIBCEED, (0.0, 0.0, -0.1), degree=2).solve(tolerance=1e-13)
    r = np.array(solution.steps[0].residuals)
    tail = r[(r < 1e-2) & (r > 1e-10)]
    # the next residual is of the size of the square of this one, in units of the load
    assert len(tail) >= 2
    assert np.all(r[1:][-len(tail) :] <= 100.0 * tail**2 + 1e-14)


def test_prescribed_displacement_and_traction_agree(cube: fem.Mesh) -> None:
    # stretched by a prescribed displacement, then by the reaction which that took
    law = NeoHooke(1.0, 2.0)

    def held() -> fem.Solid:
        body = fem.Solid(cube, law)
        for side in ("left", "front", "bottom"):
            body.symmetry(side)
        return body

    stretched = held()
    stretched.prescribe("right", (0.5, None, None))
    by_displacement = stretched.solve(load_steps=2)
    force = by_displacement.resultant("right")[0]
    pulled = held()
    pulled.traction("right", (force, 0.0, 0.0))
    by_traction = pulled.solve(load_steps=3)
    assert np.allclose(by_traction.probe([1.0, 1.0, 1.0]), by_displacement.probe([1.0, 1.0, 1.0]), atol=1e-9)
    assert by_displacement.probe([1.0, 0.3, 0.2])[0, 0] == pytest.approx(0.5, abs=1e-14)


def test_tractions_on_one_surface_add_up(cube: fem.Mesh) -> None:
    once = loaded(cube, LIBCEED, (0.0, 0.1, -0.1))
    twice = loaded(cube, LIBCEED, (0.0, 0.0, -0.1))
    twice.traction("right", (0.0, 0.1, 0.0))
    assert once.solve().energy == pytest.approx(twice.solve().energy, rel=1e-12)


def test_no_load_no_work(cube: fem.Mesh) -> None:
    body = fem.Solid(cube, LIBCEED)
    body.clamp("left")
    solution = body.solve()
    assert solution.iterations == 0
    assert np.all(solution.displacement.x.array == 0.0)


def test_steps_report_the_path(cube: fem.Mesh) -> None:
    told: list[tuple[float, str]] = []
    body = loaded(cube, LIBCEED, (0.0, 0.0, -0.5), degree=1)
    solution = body.solve(load_steps=4, progress=lambda fraction, message: told.append((fraction, message)))
    assert [step.load_factor for step in solution.steps] == pytest.approx([0.25, 0.5, 0.75, 1.0])
    assert [fraction for fraction, _ in told] == pytest.approx([0.25, 0.5, 0.75, 1.0])
    assert "iterations" in told[0][1]
    for step in solution.steps:
        assert len(step.residuals) == step.iterations + 1
        assert step.seconds > 0.0
    assert np.all(np.diff([step.energy for step in solution.steps]) > 0.0)
    assert set(solution.seconds) == {"law", "assembly", "linear solve"}
    assert solution.load_factor == 1.0
