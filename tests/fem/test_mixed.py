"""The mixed form: free of locking, with a consistent tangent, and the displacement form where volumes are uniform."""

import warnings
from typing import Any

import numpy as np
import pytest
from dolfinx import fem as dfem

import fem
from fem.laws import SaintVenantKirchhoff, SplitNeoHooke
from fem.mixed import volume_degree

from . import taylor_hood
from .conftest import unit_mesh
from .manufactured import rates, solve
from .test_kinds import cook, moved_inside, rotation, tangent_error, weak_form

E, NU = 240.565, 0.4999
RUBBER = SplitNeoHooke(E / 2 / (1 + NU), E / 3 / (1 - 2 * NU), "logarithmic")
CELLS = [
    ("quadrilateral", 1),
    ("quadrilateral", 2),
    ("quadrilateral", 3),
    ("triangle", 2),
    ("triangle", 3),
    ("hexahedron", 1),
    ("hexahedron", 2),
    ("tetrahedron", 2),
    ("tetrahedron", 3),
]


def deflection(cell: str, degree: int, cells: int, formulation: Any = "mixed") -> float:
    """u_y of the upper corner of Cook's membrane under 100 N, in mm."""
    body = fem.Solid(cook(cell, cells), RUBBER, degree=degree, formulation=formulation)
    body.clamp("left")
    body.traction("right", (0.0, 6.25))
    return float(body.solve(load_steps=5).probe([48.0, 60.0])[0, 1])


def test_cooks_membrane_nearly_incompressible() -> None:
    # REFERENCES: about 6.9 mm in the literature, Taylor-Hood triangles 6.902 at 32 cells a side
    coarse, middle = deflection("quadrilateral", 2, 4), deflection("quadrilateral", 2, 8)
    assert coarse == pytest.approx(6.902, abs=0.05)
    assert middle == pytest.approx(6.902, abs=0.02)
    # the displacement form locks: bilinear cells give a third, quadratic ones need four times the cells
    assert deflection("quadrilateral", 1, 4, "displacement") < 2.5
    assert deflection("quadrilateral", 2, 4, "displacement") < 6.0
    assert deflection("quadrilateral", 1, 8) == pytest.approx(6.902, rel=0.05)
    assert deflection("triangle", 3, 4) == pytest.approx(6.902, abs=0.05)


@pytest.fixture(scope="module")
def converged_deflection() -> float:
    """What published and plain Taylor-Hood triangles converge to: the clamped corner is singular, the error halves with the cells."""
    at_16, at_32 = (taylor_hood.deflection(cook("triangle", n), RUBBER, 6.25, 5) for n in (16, 32))
    assert at_16 == pytest.approx(6.871, abs=0.001)  # REFERENCES
    assert at_32 == pytest.approx(6.902, abs=0.001)
    return 2.0 * at_32 - at_16


@pytest.mark.slow
@pytest.mark.parametrize(("cell", "degree"), [("quadrilateral", 2), ("triangle", 2), ("triangle", 3)])
def test_cooks_membrane_converges(converged_deflection: float, cell: str, degree: int) -> None:
    error = abs(deflection(cell, degree, 32) - converged_deflection)
    assert error <= 0.012
    assert error < 0.6 * abs(deflection(cell, degree, 16) - converged_deflection)


def test_cooks_membrane_does_not_depend_on_the_bulk_modulus() -> None:
    deflections = []
    for nu in (0.499, 0.49999):
        law = SplitNeoHooke(80.0, 80.0 * 2 * (1 + nu) / 3 / (1 - 2 * nu), "logarithmic")
        body = fem.Solid(cook("quadrilateral", 4), law, formulation="mixed")
        body.clamp("left")
        body.traction("right", (0.0, 2.0))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", fem.ResidualStagnated)  # stresses of 1e7 beside loads of 1
            deflections.append(body.solve(load_steps=3).probe([48.0, 60.0])[0, 1])
    assert deflections[1] == pytest.approx(deflections[0], rel=2e-3)


@pytest.mark.parametrize(("cell", "degree"), CELLS)
def test_patch(cell: str, degree: int) -> None:
    mesh = moved_inside(unit_mesh(cell, 2 if degree < 3 else 1))
    d = mesh.domain.geometry.dim
    gradient = np.array([[0.10, 0.07, -0.03], [-0.04, -0.08, 0.05], [0.02, 0.06, 0.09]])[:d, :d]
    law = SplitNeoHooke(1.0, 2.0)
    body = fem.Solid(mesh, law, degree=degree, formulation="mixed")
    body.prescribe("boundary", lambda X: gradient @ X[:d])
    points = body.solve(load_steps=2).at_quadrature()
    F = np.eye(3)
    F[:d, :d] += gradient
    assert np.abs(points.deformation_gradient - F).max() <= 1e-12
    assert np.abs(points.response.first_piola - law.evaluate(F[None]).first_piola).max() <= 1e-12


@pytest.mark.parametrize(("cell", "degree"), CELLS[:5])
@pytest.mark.parametrize("kind", ["plane_strain", "axisymmetric"])
def test_rates(cell: str, degree: int, kind: Any) -> None:
    # as good as the displacement form in quadrilaterals; in triangles the volume ratio is one degree short, and so is u
    law = SplitNeoHooke(1.0, 20.0)
    in_L2, in_H1 = rates(lambda n: solve(unit_mesh(cell, n), law, degree, kind, "mixed"), 4, 8)
    order = degree if cell == "quadrilateral" else degree - 1
    assert in_L2 >= order + (0.9 if cell == "quadrilateral" else 0.7)
    assert in_H1 >= order - (0.1 if cell == "quadrilateral" else 0.25)


@pytest.mark.parametrize(
    ("cell", "kind"),
    [("quadrilateral", "plane_strain"), ("triangle", "axisymmetric"), ("hexahedron", None), ("tetrahedron", None)],
)
def test_tangent(cell: str, kind: Any) -> None:
    error, asymmetry = tangent_error(weak_form(cell, kind, "mixed", SplitNeoHooke(1.0, 5.0, "quadratic")))
    assert error <= 1e-7
    assert asymmetry <= 1e-12


def test_tangent_of_a_tilted_crystal() -> None:
    # no split of the energy into shape and volume is asked for
    law = SaintVenantKirchhoff.cubic(168.4, 121.4, 75.4)
    error, asymmetry = tangent_error(weak_form("hexahedron", None, "mixed", law, rotation(7)))
    assert error <= 1e-7
    assert asymmetry <= 1e-12


def test_degrees_of_the_volume_ratio() -> None:
    assert [volume_degree("hexahedron", k) for k in (1, 2, 3)] == [0, 1, 2]
    assert [volume_degree("tetrahedron", k) for k in (2, 3)] == [0, 1]


def test_pressure_does_not_oscillate() -> None:
    # bending of a nearly incompressible block: the displacement form's pressures swing from point to point
    def worst(formulation: Any) -> float:
        body = fem.Solid(cook("quadrilateral", 8), RUBBER, formulation=formulation)
        body.clamp("left")
        body.traction("right", (0.0, 1.0))
        stress = body.solve(load_steps=2).at_quadrature().cauchy_stress
        pressure = np.trace(stress, axis1=1, axis2=2).reshape(64, -1) / 3.0
        return float(np.median(np.ptp(pressure, axis=1)))

    assert worst("mixed") < 0.1 * worst("displacement")


def test_quadrature_too_coarse_for_the_volume_ratio() -> None:
    body = fem.Solid(unit_mesh("quadrilateral", 2), RUBBER, quadrature_degree=1, formulation="mixed")
    body.clamp("left")
    with pytest.raises(
        fem.KindError, match=r"1 quadrature points a cell cannot tell 3 polynomials .* quadrature_degree"
    ):
        body.solve()


@pytest.mark.parametrize("nu", [0.49, 0.4999, 0.499999])
def test_newton_does_not_mind_the_bulk_modulus(nu: float) -> None:
    # from rest to the full load in one step: with a potential and the pressure of the volume as it is, 10, 33 and 83 iterations
    law = SplitNeoHooke(E / 2 / (1 + nu), E / 3 / (1 - 2 * nu), "logarithmic")
    body = fem.Solid(cook("quadrilateral", 4), law, formulation="mixed")
    body.clamp("left")
    body.traction("right", (0.0, 6.25))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", fem.ResidualStagnated)  # stresses of 1e7 beside loads of 1
        (step,) = body.solve().steps
    assert step.iterations <= 7
    assert step.cut_backs == 0


@pytest.mark.parametrize(("cell", "kind"), [("quadrilateral", "axisymmetric"), ("tetrahedron", None)])
def test_lagrangian_along_a_step(cell: str, kind: Any) -> None:
    # value and slope of the energy where the step sets out, curvature of the tangent along it
    weak = weak_form(cell, kind, "mixed", SplitNeoHooke(1.0, 50.0, "logarithmic"))
    cells, u = weak.mean_volume, weak.displacement.x.array
    assert cells is not None
    X = weak.displacement.function_space.tabulate_dof_coordinates()
    start, step = np.zeros((2, len(X), weak.displacement.function_space.dofmap.bs))
    start[:, 0] = 0.05 * X[:, 0] * X[:, 1]
    last = X[:, weak.kind.domain.geometry.dim - 1]
    step[:, 0], step[:, -1] = -0.1 * X[:, 0] * last, 0.1 * X[:, 0] * (1.0 + last)

    def lagrangian(part: float) -> float:
        u[:] = (start + part * step).reshape(-1)
        assert weak.material.update(), weak.material.rejection
        return weak.material.energy() - cells.excess()

    h, flat = 1e-4, step.reshape(-1)
    energy = lagrangian(0.0)
    K = sum(dfem.assemble_matrix(form).to_scipy() for form in weak.tangents)
    slope, curvature = dfem.assemble_vector(weak.internal).array @ flat, flat @ (K @ flat)
    cells.set_out()
    ahead, behind = lagrangian(h), lagrangian(-h)
    assert lagrangian(0.0) == energy == weak.material.energy() > 0.0
    assert (ahead - behind) / (2.0 * h) == pytest.approx(slope, rel=1e-6)
    assert (ahead - 2.0 * energy + behind) / h**2 == pytest.approx(curvature, rel=1e-5)
    assert abs(lagrangian(1.0) - weak.material.energy()) > 1e-3 * energy  # the volume of a whole step is off


def test_expected_pressure_is_that_of_small_steps() -> None:
    # the tangent along the step differs from the one of where it ends by the square of its length
    weak = weak_form("quadrilateral", None, "mixed", SplitNeoHooke(1.0, 50.0, "logarithmic"))
    cells, u = weak.mean_volume, weak.displacement.x.array
    assert cells is not None
    step = 0.1 * np.random.default_rng(0).standard_normal(u.size)

    def tangent(part: float) -> np.ndarray:
        u[:] = part * step
        assert weak.material.update(), weak.material.rejection
        return np.asarray(sum(dfem.assemble_matrix(form).to_scipy() for form in weak.tangents).toarray())

    errors = []
    for part in (0.02, 0.01):
        cells.forget()
        exact = tangent(part)
        tangent(0.0)
        cells.set_out()
        errors.append(np.abs(tangent(part) - exact).max())
    assert 3.5 < errors[0] / errors[1] < 4.5


def test_a_ball_inflated_past_its_limit() -> None:
    # its pressure rises to 0.4935 of the shear modulus (incompressible, closed form) and falls from there on
    mesh = unit_mesh("quadrilateral", 6)  # straight cells: 0.003 of pressure
    X = mesh.domain.geometry.x
    radius, angle = 1.0 + 0.5 * X[:, 0], 0.5 * np.pi * X[:, 1]
    X[:, 0], X[:, 1] = radius * np.cos(angle), radius * np.sin(angle)
    X[np.abs(X) < 1e-12] = 0.0
    body = fem.Solid(mesh, SplitNeoHooke(1.0, 2e3), kind="axisymmetric", formulation="mixed")
    body.symmetry("bottom")
    body.pressure("left", 1.0)
    body.watch("wall", (1.0, 0.0))
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", fem.ResidualStagnated
        )  # its stress carries noise: the bulk modulus times round-off
        steps = body.trace(60, first_step=0.1, longest_step=0.2, until=lambda step: step.probes["wall"][0] > 1.2).steps
    a = 1.0 + np.array([step.probes["wall"][0] for step in steps])
    b = ((1.5**3 + a**3 - 1.0) / 1.5**3) ** (1.0 / 3.0)
    exact = 0.5 * (4.0 / b + b**-4 - 4.0 / a - a**-4)
    pressure = np.array([step.load_factor for step in steps])
    assert np.abs(pressure - exact).max() < 0.005
    assert pressure.max() == pytest.approx(0.4935, rel=0.01)
    assert pressure[-1] < 0.95 * pressure.max()
