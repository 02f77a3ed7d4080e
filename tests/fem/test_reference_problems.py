"""Problems of large deformation with published or closed-form answers, each from one step length and without help."""

import warnings
from collections.abc import Mapping
from pathlib import Path

from mpi4py import MPI  # isort: skip

import dolfinx
import gmsh
import numpy as np
import pytest
from scipy.interpolate import CubicSpline

import fem
from fem.laws import NeoHooke, SplitNeoHooke


def indented(cells: int) -> fem.Solid:
    """A quarter of Reese's block, as in deal.II's step 44: pressed on a quarter of its top by 80 p0 at full load, p0 = 4."""
    domain = dolfinx.mesh.create_unit_cube(MPI.COMM_WORLD, cells, cells, cells, dolfinx.mesh.CellType.hexahedron)
    planes = {"x": (0, 0.0), "y": (1, 0.0), "bottom": (2, 0.0), "top": (2, 1.0)}
    markers = {name: (lambda X, i=i, x=x: np.isclose(X[i], x)) for name, (i, x) in planes.items()}
    markers["pressed"] = lambda X: np.isclose(X[2], 1.0) & (X[0] < 0.5 + 1e-9) & (X[1] < 0.5 + 1e-9)
    mu, nu = 80.194, 0.4999
    law = SplitNeoHooke(mu, 2.0 * mu * (1.0 + nu) / (3.0 * (1.0 - 2.0 * nu)), "quadratic")
    body = fem.Solid(fem.Mesh.of(domain, markers), law, degree=2, formulation="mixed")
    for plane in ("x", "y", "bottom"):
        body.symmetry(plane)
    body.prescribe("top", (0.0, 0.0, None))
    body.traction("pressed", (0.0, 0.0, -4.0 * 80.0))
    body.watch("centre", (0.0, 0.0, 1.0))
    return body


# compression at the centre in per cent at p/p0 = 20, 40, 60
PUBLISHED = {20: 22.0, 40: 42.5, 60: 58.6}


@pytest.mark.parametrize(
    ("cells", "tolerance"), [pytest.param(4, 0.9, marks=pytest.mark.slow), pytest.param(8, 0.3, marks=pytest.mark.slow)]
)
def test_indentation(cells: int, tolerance: float) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        steps = indented(cells).solve(first_step=0.1).steps
    pressure = [0.0, *(80.0 * step.load_factor for step in steps)]
    compression = CubicSpline(pressure, [0.0, *(-100.0 * step.probes["centre"][2] for step in steps)])
    for load, published in PUBLISHED.items():
        assert compression(load) == pytest.approx(published, abs=tolerance)
    assert len(steps) <= 30
    assert compression(80.0) == pytest.approx(69.8, abs=1.0)  # no published value: what both meshes give


def test_bar_twisted_by_four_turns() -> None:
    domain = dolfinx.mesh.create_box(
        MPI.COMM_WORLD, [[0.0, -0.5, -0.5], [6.0, 0.5, 0.5]], [30, 2, 2], dolfinx.mesh.CellType.hexahedron
    )
    mesh = fem.Mesh.of(domain, {"left": lambda X: np.isclose(X[0], 0.0), "right": lambda X: np.isclose(X[0], 6.0)})
    body = fem.Solid(mesh, NeoHooke.from_young(2.8, 0.4), degree=1)
    body.clamp("left")
    # pulled to one and a half of its length meanwhile: else it buckles after 1.6 turns, as a twisted rubber band does
    body.rotate("right", 8.0 * np.pi, (1.0, 0.0, 0.0), along=3.0)
    body.watch("middle", (3.0, 0.5, 0.5))
    body.watch("end", (6.0, 0.5, 0.5))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        solution = body.solve(first_step=0.02)
    assert solution.load_factor == 1.0
    # halfway along, half the turns: two whole ones; at the end four
    assert np.allclose(solution.steps[-1].probes["end"], (3.0, 0.0, 0.0), atol=1e-9)
    assert np.allclose(solution.steps[-1].probes["middle"][1:], 0.0, atol=0.25)
    half = next(step for step in solution.steps if step.load_factor >= 0.5)
    assert solution.energy > 2.0 * half.energy
    assert solution.at_quadrature().volume_ratio.min() > 0.3
    # twice the twist, four times the energy of twisting; the bar would grow longer (Poynting): it pulls less than untwisted
    untwisted = fem.Solid(mesh, NeoHooke.from_young(2.8, 0.4), degree=1)
    untwisted.clamp("left")
    untwisted.prescribe("right", (3.0, 0.0, 0.0))
    assert solution.steps[-1].reactions["right"][0] < 0.8 * untwisted.solve(2).steps[-1].reactions["right"][0]


class MooneyRivlin:
    """W = c1 (I1 - 3 - 2 ln J) + c2 (I2 - 3 - 4 ln J) + kappa/2 (J - 1)^2, written for this test alone."""

    def __init__(self, c1: float, c2: float, kappa: float) -> None:
        self.c1, self.c2, self.kappa = c1, c2, kappa

    def evaluate(
        self, F: np.ndarray, state: Mapping[str, np.ndarray] | None = None, *, tangent: bool = True, trust: bool = False
    ) -> fem.Response:
        F = fem.check_deformation_gradient(F)
        C, B, J = F.transpose(0, 2, 1) @ F, F @ F.transpose(0, 2, 1), np.linalg.det(F)
        G = np.linalg.inv(F).transpose(0, 2, 1)
        I1 = np.trace(C, axis1=1, axis2=2)
        I2 = 0.5 * (I1**2 - np.einsum("nij,nij->n", C, C))
        a = 2.0 * self.c1 + 4.0 * self.c2
        W = self.c1 * (I1 - 3) + self.c2 * (I2 - 3) - a * np.log(J) + 0.5 * self.kappa * (J - 1) ** 2
        one, p = (slice(None), None, None), self.kappa * (J - 1) * J - a
        P = 2.0 * self.c1 * F + 2.0 * self.c2 * (I1[one] * F - F @ C) + p[one] * G
        d, four = np.eye(3), (slice(None), None, None, None, None)
        identity = np.einsum("ik,JL->iJkL", d, d)
        A = 2.0 * self.c1 * identity + 2.0 * self.c2 * (I1[four] * identity + 2.0 * np.einsum("niJ,nkL->niJkL", F, F))
        A = A - 2.0 * self.c2 * (np.einsum("ik,nLJ->niJkL", d, C) + np.einsum("niL,nkJ->niJkL", F, F))
        A -= 2.0 * self.c2 * np.einsum("nik,JL->niJkL", B, d)
        A += (self.kappa * (2.0 * J - 1.0) * J)[four] * np.einsum("niJ,nkL->niJkL", G, G)
        A -= p[four] * np.einsum("niL,nkJ->niJkL", G, G)
        return fem.Response(W, P, A)


def cylinder(path: Path, cells: int, length: float) -> fem.Mesh:
    """Radius 1, curved hexahedra: a square in the middle, four blocks round it."""
    gmsh.initialize(interruptible=False)
    try:
        gmsh.option.setNumber("General.Verbosity", 0)
        geo, turns = gmsh.model.geo, np.arange(4) * np.pi / 2 + np.pi / 4
        middle = geo.addPoint(0.0, 0.0, 0.0)
        inner, outer = ([geo.addPoint(r * np.cos(t), r * np.sin(t), 0.0) for t in turns] for r in (0.55, 1.0))
        square = [geo.addLine(inner[i], inner[(i + 1) % 4]) for i in range(4)]
        arcs = [geo.addCircleArc(outer[i], middle, outer[(i + 1) % 4]) for i in range(4)]
        rays = [geo.addLine(inner[i], outer[i]) for i in range(4)]
        loops = [square, *([rays[i], arcs[i], -rays[(i + 1) % 4], -square[i]] for i in range(4))]
        faces = [geo.addPlaneSurface([geo.addCurveLoop(loop)]) for loop in loops]
        for line in (*square, *arcs, *rays):
            geo.mesh.setTransfiniteCurve(line, cells + 1)
        for face in faces:
            geo.mesh.setTransfiniteSurface(face)
            geo.mesh.setRecombine(2, face)
        layers = max(1, round(cells * length))
        extruded = geo.extrude([(2, face) for face in faces], 0.0, 0.0, length, numElements=[layers], recombine=True)
        geo.synchronize()
        tops = [extruded[k - 1][1] for k, (dimension, _) in enumerate(extruded) if dimension == 3]
        gmsh.model.addPhysicalGroup(3, [tag for dimension, tag in extruded if dimension == 3], name="body")
        gmsh.model.addPhysicalGroup(2, faces, name="bottom")
        gmsh.model.addPhysicalGroup(2, tops, name="top")
        gmsh.model.mesh.generate(3)
        gmsh.model.mesh.setOrder(2)
        gmsh.write(str(path))
    finally:
        gmsh.finalize()
    return fem.read_mesh(path)


@pytest.mark.slow
def test_torsion_of_an_incompressible_cylinder(tmp_path: Path) -> None:
    # Rivlin: M = pi (C1 + C2) tau a^4, N = -(pi/2) tau^2 a^4 (C1 + 2 C2); every plane turns as a whole, so short is as good as long
    c1, c2, tau, length = 1.0, 0.5, 0.8, 0.5
    torque, force = np.pi * (c1 + c2) * tau, -0.5 * np.pi * tau**2 * (c1 + 2.0 * c2)
    errors = []
    for cells in (1, 2):
        mesh = cylinder(tmp_path / f"{cells}.msh", cells, length)
        body = fem.Solid(mesh, MooneyRivlin(c1, c2, 2e4), degree=2, formulation="mixed")
        turned = fem.supports.rotation(tau * length, (0.0, 0.0, 1.0), (0.0, 0.0, 0.0))
        body.move("top", turned)
        body.clamp("bottom")
        # the ends turn as rigid planes and the side is free: the closed form has the same
        solution = body.solve(load_steps=2)
        M = solution.moment("top", (0.0, 0.0, 0.0))[2]
        N = solution.steps[-1].reactions["top"][2]
        errors.append((abs(M / torque - 1.0), abs(N / force - 1.0)))
    assert max(errors[1]) < 5e-3
    assert errors[1][0] < errors[0][0] and errors[1][1] < errors[0][1]
