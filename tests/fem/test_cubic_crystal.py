"""A cubic crystal in the linear limit: Young's moduli by direction, and the stress at a hole."""

from pathlib import Path
from typing import Any

from mpi4py import MPI  # isort: skip  # noqa: F401

import gmsh
import numpy as np
import pytest

import fem
from fem.laws import SaintVenantKirchhoff

from .conftest import unit_mesh
from .test_mesh import write

COPPER = SaintVenantKirchhoff.cubic(168.4, 121.4, 75.4)


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
