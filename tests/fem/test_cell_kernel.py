"""The cell kernel is the arrays of points, to round-off: forces, stiffness, energy, Newton's path, and what is refused."""

import json
from dataclasses import replace
from typing import Any

from mpi4py import MPI  # isort: skip

import basix.ufl
import dolfinx
import dolfinx.fem.petsc as petsc_fem
import numpy as np
import pytest
import ufl
from dolfinx import fem as dfem
from petsc4py import PETSc
from scipy.spatial.transform import Rotation

import fem
from fem.cell_kernel import CellKernel
from fem.kind import Kind
from fem.laws import NeoHooke
from fem.quadrature import default_quadrature_degree
from fem.weak_form import Physics, WeakForm

from .c_laws import NeoHookeInC
from .conftest import CELLS, unit_mesh
from .plain_ufl import solve_neo_hooke
from .test_ranks import MPIEXEC, on_ranks

LAW = NeoHookeInC(NeoHooke.from_young(2.8, 0.4))
OTHER = NeoHookeInC(NeoHooke.from_young(1.0, 0.2))


def distorted(cell: str, cells_per_side: int = 2) -> fem.Mesh:
    mesh = unit_mesh(cell, cells_per_side)
    x = mesh.domain.geometry.x
    d = mesh.domain.geometry.dim
    x[:, :d] += 0.05 * np.sin(7.0 * x[:, [1, 0, 2][:d]])
    return mesh


def deformed(mesh: fem.Mesh, degree: int, physics: Physics) -> WeakForm:
    """At an uneven displacement of some 5 %."""
    d = mesh.domain.geometry.dim
    weak = WeakForm(mesh, dfem.functionspace(mesh.domain, ("Lagrange", degree, (d,))), physics)
    u = weak.displacement.x.array
    u[:] = 0.01 * np.random.default_rng(1).standard_normal(u.size)
    return weak


def assembled(weak: WeakForm) -> tuple[np.ndarray, np.ndarray, float]:
    assert weak.material.update(), weak.material.rejection
    forces = dfem.assemble_vector(weak.internal).array.copy()
    return forces, sum(dfem.assemble_matrix(form).to_dense() for form in weak.tangents), weak.material.energy()


def supported(weak: WeakForm) -> np.ndarray:
    """K in PETSc's matrix as a Newton step has it, some unknowns prescribed; assembled anew, and after another."""
    space = weak.displacement.function_space
    some = np.arange(0, space.dofmap.index_map.size_local, 3, dtype=np.int32)
    conditions = [dfem.dirichletbc(np.zeros(space.dofmap.bs), some, space)]
    if space.dofmap.bs == 3:
        conditions.append(dfem.dirichletbc(0.0, np.array([4], dtype=np.int32), space.sub(1)))
    matrix = petsc_fem.create_matrix(weak.tangents[0])
    found = []
    for _ in range(3):
        matrix.zeroEntries()
        weak.material.add_stiffness(matrix, conditions)
        found.append(matrix.getValues(*(2 * [range(matrix.size[0])])))
    matrix.destroy()
    assert np.abs(found[1] - found[0]).max() <= 1e-13 * np.abs(found[0]).max()
    assert np.array_equal(found[2], found[1])
    return found[2]


def both_ways(mesh: fem.Mesh, degree: int, physics: Physics) -> None:
    """Kernel and arrays agree."""
    kernel, arrays = (deformed(mesh, degree, replace(physics, in_cells=choice)) for choice in (True, False))
    assert isinstance(kernel.material._evaluation, CellKernel)
    assert not isinstance(arrays.material._evaluation, CellKernel)
    (f, K, W), (g, L, V) = assembled(kernel), assembled(arrays)
    assert np.abs(f - g).max() <= 1e-12 * np.abs(g).max()
    assert np.abs(K - L).max() <= 1e-12 * np.abs(L).max()
    assert np.abs(supported(kernel) - supported(arrays)).max() <= 1e-12 * np.abs(L).max()
    assert pytest.approx(V, rel=1e-12) == W


def physics(mesh: fem.Mesh, cell: str, degree: int, law: Any = LAW, R: Any = None) -> Physics:
    kind = Kind.of(mesh.domain, None)
    return Physics(law, R, kind, "displacement", default_quadrature_degree(cell, degree))


@pytest.mark.parametrize("degree", [1, 2, 3])
@pytest.mark.parametrize("cell", CELLS)
def test_the_kernel_is_the_arrays(cell: str, degree: int) -> None:
    mesh = distorted(cell, 2 if degree < 3 else 1)
    both_ways(mesh, degree, physics(mesh, cell, degree))


@pytest.mark.parametrize("degree", [1, 2])
@pytest.mark.parametrize("cell", ["tetrahedron", "hexahedron"])
def test_the_kernel_is_plain_ufl(cell: str, degree: int) -> None:
    mesh = distorted(cell)
    weak = deformed(mesh, degree, physics(mesh, cell, degree))
    u = weak.displacement
    F = ufl.Identity(3) + ufl.grad(u)
    log_J = ufl.ln(ufl.det(F))
    mu, lmbda = (dfem.Constant(mesh.domain, value) for value in (LAW.law.mu, LAW.law.lmbda))
    W = lmbda / 2 * log_J**2 - mu * log_J + mu / 2 * (ufl.inner(F, F) - 3)
    R = ufl.derivative(W * ufl.dx(metadata={"quadrature_degree": default_quadrature_degree(cell, degree)}), u)
    expected = (
        dfem.assemble_vector(dfem.form(R)).array,
        dfem.assemble_matrix(dfem.form(ufl.derivative(R, u))).to_dense(),
    )
    for ours, theirs in zip(assembled(weak)[:2], expected, strict=True):
        assert np.abs(ours - theirs).max() <= 1e-12 * np.abs(theirs).max()


@pytest.mark.parametrize("cell", ["tetrahedron", "hexahedron"])
def test_materials_and_orientations(cell: str) -> None:
    mesh = distorted(cell, 3)
    mesh = fem.Mesh.of(mesh.domain, {}, {"low": lambda X: X[2] <= 0.55, "high": lambda X: X[2] >= 0.1})
    low = mesh.cells("low")
    high = np.setdiff1d(np.arange(mesh.domain.topology.index_map(3).size_local), low).astype(np.int32)
    mesh = replace(mesh, volumes={"low": low, "high": high})
    R = Rotation.random(mesh.domain.topology.index_map(3).size_global, random_state=3).as_matrix()
    both_ways(mesh, 1, physics(mesh, cell, 1, {"low": LAW, "high": OTHER}, R))


def test_cells_with_curved_sides() -> None:
    element = basix.ufl.element("Lagrange", "tetrahedron", 2, shape=(3,))
    x = element.basix_element.points
    x = x + 0.05 * np.sin(5.0 * x[:, [2, 0, 1]])
    # the reference nodes in the order of the geometry's layout are those of the element itself
    domain = dolfinx.mesh.create_mesh(MPI.COMM_SELF, np.arange(10)[None], element, x)
    mesh = fem.Mesh.of(domain, {})
    both_ways(mesh, 2, Physics(LAW, None, Kind.of(domain, None), "displacement", 4))


def test_one_law_after_another_at_the_same_place() -> None:
    """What a kernel keeps of a cell is forgotten when another body asks."""
    mesh = distorted("tetrahedron")
    for law in (LAW, OTHER, LAW):
        both_ways(mesh, 1, physics(mesh, "tetrahedron", 1, law))


@pytest.mark.parametrize(("cell", "degree"), [("hexahedron", 1), ("tetrahedron", 2), ("quadrilateral", 2)])
def test_newton_is_that_of_plain_ufl(cell: str, degree: int) -> None:
    mesh = unit_mesh(cell, 2)
    traction = (0.1, 0.0, -0.3)[: mesh.domain.geometry.dim]
    points = default_quadrature_degree(cell, degree)
    plain = solve_neo_hooke(mesh, LAW.law, degree, points, traction, steps=4)
    body = fem.Solid(mesh, LAW, degree=degree)
    body.clamp("left")
    body.traction("right", traction)
    ours = body.solve(load_steps=4)
    assert [step.iterations for step in ours.steps] == plain.iterations
    assert np.abs(ours.displacement.x.array - plain.displacement).max() <= 1e-10 * np.abs(plain.displacement).max()
    assert ours.energy == pytest.approx(plain.energy, rel=1e-12)


def test_a_body_turned_inside_out_is_refused_and_the_last_one_kept() -> None:
    mesh = unit_mesh("hexahedron", 2)
    weak = deformed(mesh, 1, physics(mesh, "hexahedron", 1))
    forces, _, energy = assembled(weak)
    vector = petsc_fem.create_vector(weak.displacement.function_space)
    weak.displacement.interpolate(lambda X: np.array([-1.5 * X[0] * (X[0] > 0.6), 0.0 * X[0], 0.0 * X[0]]))
    assert not weak.material.update()
    assert weak.material.rejection.startswith("det F = -") and "near X = (0.6057, " in weak.material.rejection
    assert weak.material.energy() == energy
    weak.material.nodal_forces(vector)
    assert np.array_equal(vector.array_r, forces)
    vector.destroy()


@pytest.mark.parametrize(
    ("rows", "complaint"), [(0, "no place for some entries"), (3, r"rows and columns here, expected 81")]
)
def test_a_matrix_of_something_else_is_refused(rows: int, complaint: str) -> None:
    mesh = unit_mesh("hexahedron", 2)
    weak = deformed(mesh, 1, physics(mesh, "hexahedron", 1))
    assert weak.material.update()
    matrix = PETSc.Mat().createAIJ(81 + rows, nnz=1, comm=MPI.COMM_SELF)
    matrix.assemble()
    with pytest.raises(ValueError, match=complaint):
        weak.material.add_stiffness(matrix, [])
    matrix.destroy()


@pytest.mark.parametrize("field", ["energy", "first_piola", "tangent"])
def test_a_field_that_is_not_a_number(field: str) -> None:
    body = fem.Solid(unit_mesh("hexahedron", 2), NeoHookeInC(LAW.law, spoilt=field, strain=0.08))
    body.clamp("left")
    body.traction("right", (2.0, 0.0, 0.0))
    with pytest.raises(fem.LoadNotConverged, match=f"returned a {field} that is not finite near X = ") as caught:
        body.solve()
    assert 0.0 < caught.value.solution.load_factor < 0.5
    assert np.isfinite(caught.value.solution.displacement.x.array).all()


@pytest.mark.skipif(not MPIEXEC.exists(), reason=f"no {MPIEXEC}")
def test_ranks_agree() -> None:
    one, two = (json.loads(on_ranks(n, "-m", "tests.fem.cell_kernel_on_ranks").splitlines()[-1]) for n in (1, 2))
    assert two["steps"] == one["steps"]
    assert max(one["inserted"], two["inserted"]) <= 1e-13
    assert two["energy"] == pytest.approx(one["energy"], rel=1e-10)
    assert np.allclose(two["tip"], one["tip"], rtol=1e-9, atol=1e-12)
    assert np.allclose(two["reaction"], one["reaction"], rtol=1e-9, atol=1e-12)
    assert set(two["failures"]) == set(one["failures"])
    assert "first_piola that is not finite" in one["failures"][0]
