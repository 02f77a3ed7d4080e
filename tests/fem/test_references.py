"""Published and closed-form solutions of nearly incompressible bodies and of cubic crystals."""

from pathlib import Path
from typing import Any

from mpi4py import MPI  # isort: skip  # noqa: F401

import gmsh
import numpy as np
import pytest
import ufl
from dolfinx import fem as dfem

import fem
from fem.laws import SaintVenantKirchhoff, SplitNeoHooke

from .conftest import unit_mesh
from .mooney_rivlin import MooneyRivlin
from .test_mesh import write

COPPER = SaintVenantKirchhoff.cubic(168.4, 121.4, 75.4)


def cylinder(folder: Path, size: float, layers: int) -> fem.Mesh:
    """Radius and length 1, curved hexahedra."""

    def build(model: Any) -> None:
        gmsh.option.setNumber("Mesh.RecombineAll", 1)
        gmsh.option.setNumber("Mesh.SubdivisionAlgorithm", 1)
        disc = model.occ.addDisk(0, 0, 0, 1, 1)
        model.occ.extrude([(2, disc)], 0, 0, 1, numElements=[layers], recombine=True)
        model.occ.synchronize()
        model.addPhysicalGroup(3, [1], name="body")
        model.addPhysicalGroup(2, [1], name="bottom")
        model.addPhysicalGroup(2, [3], name="top")

    return fem.read_mesh(write(folder / f"cylinder{size}.msh", build, order=2, sizes=(size, size)))


def torque(solution: fem.Solution, surface: str) -> float:
    """About z, of the nodal forces on the deformed surface."""
    space = solution.displacement.function_space
    force = dfem.assemble_vector(dfem.form(solution.material.virtual_work(ufl.TestFunction(space)))).array.reshape(
        -1, 3
    )
    x = space.tabulate_dof_coordinates() + solution.displacement.x.array.reshape(-1, 3)
    nodes = dfem.locate_dofs_topological(space, 2, solution.mesh.facets(surface))
    return float(np.sum(x[nodes, 0] * force[nodes, 1] - x[nodes, 1] * force[nodes, 0]))


def torsion_errors(folder: Path, size: float, layers: int) -> tuple[float, float]:
    """Of torque and axial force, relative. Rivlin: M = pi (C1 + C2) tau a^4, N = -pi/2 tau^2 a^4 (C1 + 2 C2)."""
    C1, C2, tau = 1.0, 0.4, 0.8
    body = fem.Solid(cylinder(folder, size, layers), MooneyRivlin(C1, C2, 1e3), formulation="mixed")
    body.clamp("bottom")
    body.rotate("top", tau, centre=(0.0, 0.0, 1.0))
    solution = body.solve(load_steps=4)
    axial = solution.steps[-1].reactions["top"][2]
    M, N = np.pi * (C1 + C2) * tau, -np.pi / 2 * tau**2 * (C1 + 2 * C2)
    return abs(torque(solution, "top") / M - 1.0), abs(axial / N - 1.0)


def test_torsion_of_a_mooney_rivlin_cylinder(tmp_path: Path) -> None:
    # six curved cells
    in_torque, in_force = torsion_errors(tmp_path, 1.0, 1)
    assert in_torque <= 0.001
    assert in_force <= 0.01


@pytest.mark.slow
def test_torsion_converges(tmp_path: Path) -> None:
    coarse, fine = torsion_errors(tmp_path, 1.0, 1), torsion_errors(tmp_path, 0.5, 2)
    assert max(fine) <= 0.005
    assert fine[0] < coarse[0]
    assert fine[1] < coarse[1]


@pytest.mark.slow
def test_indentation_of_a_block() -> None:
    # Reese's test: 22.0, 42.5 and 58.6 % compression under the load at p/p0 = 20, 40, 60, within 0.9 % on 4^3 cells
    mu, nu = 80.194, 0.4999
    law = SplitNeoHooke(mu, 2 * mu * (1 + nu) / 3 / (1 - 2 * nu), "quadratic")
    sides = {"left": (0, 0.0), "front": (1, 0.0), "bottom": (2, 0.0), "top": (2, 1.0)}
    markers: dict[str, Any] = {name: (lambda X, i=i, x=x: np.isclose(X[i], x)) for name, (i, x) in sides.items()}
    markers["punch"] = lambda X: np.isclose(X[2], 1.0) & (np.maximum(X[0], X[1]) < 0.5 + 1e-9)
    mesh = fem.Mesh.of(unit_mesh("hexahedron", 4).domain, markers)
    body = fem.Solid(mesh, law, formulation="mixed")
    for side in ("left", "front", "bottom"):
        body.symmetry(side)
    body.prescribe("top", (0.0, 0.0, None))
    body.traction("punch", (0.0, 0.0, -4.0 * 60.0))
    body.watch("centre", (0.0, 0.0, 1.0))
    steps = body.solve(load_steps=12).steps
    loads, depths = [step.load_factor * 60.0 for step in steps], [-100.0 * step.probes["centre"][2] for step in steps]
    for load, published in ((20.0, 22.0), (40.0, 42.5), (60.0, 58.6)):
        assert np.interp(load, [0.0, *loads], [0.0, *depths]) == pytest.approx(published, abs=0.6)


def rotation_to(direction: tuple[float, float, float]) -> np.ndarray:
    """R which turns the crystal's direction onto x."""
    a = np.array(direction) / np.linalg.norm(direction)
    b = np.cross(a, [0.0, 0.0, 1.0] if abs(a[2]) < 0.9 else [1.0, 0.0, 0.0])
    b /= np.linalg.norm(b)
    return np.stack([a, b, np.cross(a, b)])


@pytest.mark.parametrize(
    ("direction", "E"), [((1.0, 0.0, 0.0), 66.69), ((1.0, 1.0, 0.0), 130.34), ((1.0, 1.0, 1.0), 191.15)]
)
def test_youngs_moduli_of_copper(direction: tuple[float, float, float], E: float) -> None:
    # a bar pulled along a direction of the crystal; about [110] and [111] nothing but the mean strain is held
    body = fem.Solid(unit_mesh("hexahedron", 1), COPPER, orientation=rotation_to(direction), degree=1)
    body.prescribe("left", (0.0, None, None))
    body.foundation("left", tangential=1e-3)
    stress = 1e-5
    body.traction("right", (stress, 0.0, 0.0))
    elongation = body.solve().probe([1.0, 0.5, 0.5])[0, 0]
    assert stress / elongation == pytest.approx(E, rel=1e-3)


def plate_with_hole(folder: Path, radius: float, width: float) -> fem.Mesh:
    """A quarter, finer at the hole, of curved triangles."""

    def build(model: Any) -> None:
        square = model.occ.addRectangle(0, 0, 0, width, width)
        hole = model.occ.addDisk(0, 0, 0, radius, radius)
        model.occ.cut([(2, square)], [(2, hole)])
        model.occ.synchronize()
        model.addPhysicalGroup(2, [1], name="plate")
        for name, i, x in (("left", 0, 0.0), ("bottom", 1, 0.0), ("right", 0, width)):
            curves = [
                tag
                for _, tag in model.getEntities(1)
                if np.allclose(np.array(model.getBoundingBox(1, tag))[[i, i + 3]], x, atol=1e-5)
            ]
            model.addPhysicalGroup(1, curves, name=name)
        field = model.mesh.field.add("MathEval")
        model.mesh.field.setString(field, "F", "0.05 + 0.25 * (sqrt(x*x + y*y) - 1)")
        model.mesh.field.setAsBackgroundMesh(field)
        gmsh.option.setNumber("Mesh.MeshSizeExtendFromBoundary", 0)

    return fem.read_mesh(write(folder / "plate.msh", build, order=2, sizes=(0.0, 4.0)))


def test_stress_concentration_at_a_hole_in_copper(tmp_path: Path) -> None:
    # Lekhnitskii: K = 1 + sqrt(2 (1 - nu) + E / G) = 2.4306, load along [100], plane stress, an infinite plate
    body = fem.Solid(plate_with_hole(tmp_path, 1.0, 20.0), COPPER, kind="plane_stress")
    body.symmetry("left")
    body.symmetry("bottom")
    stress = 1e-4
    body.traction("right", (stress, 0.0))
    points = body.solve().at_quadrature()
    # the hoop stress above the hole, on its way to the edge: extrapolated from a line of points
    X = points.position
    near = (X[:, 0] < 0.1) & (X[:, 1] < 1.5)
    a, b = 1.0 / X[near, 1] ** 2, X[near, 0] ** 2
    fit = np.stack([np.ones_like(a), a - 1.0, (a - 1.0) ** 2, (a - 1.0) ** 3, b, b * (a - 1.0)], axis=1)
    hoop = points.cauchy_stress[near, 0, 0] / stress
    assert np.linalg.lstsq(fit, hoop, rcond=None)[0][0] == pytest.approx(2.4306, rel=0.01)
