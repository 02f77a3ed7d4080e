"""Meshes with named surfaces: what is read, and what is refused."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mpi4py import MPI  # isort: skip

import dolfinx
import gmsh
import meshio
import numpy as np
import pytest

import fem
from fem.laws import NeoHooke

MESHES = Path(__file__).parents[2] / "meshes"


def write(path: Path, build: Callable[[Any], None], *, order: int = 1) -> Path:
    """Build a model in gmsh, mesh it coarsely and write it."""
    gmsh.initialize(interruptible=False)
    try:
        gmsh.option.setNumber("General.Verbosity", 0)
        build(gmsh.model)
        gmsh.option.setNumber("Mesh.MeshSizeMin", 0.7)
        gmsh.option.setNumber("Mesh.MeshSizeMax", 0.7)
        gmsh.model.mesh.generate(gmsh.model.getDimension())
        gmsh.model.mesh.setOrder(order)
        gmsh.write(str(path))
    finally:
        gmsh.finalize()
    return path


def box(model: Any, *, named: bool = True) -> None:
    body = model.occ.addBox(0, 0, 0, 1, 1, 1)
    model.occ.synchronize()
    if named:
        model.addPhysicalGroup(3, [body], name="body")
        model.addPhysicalGroup(2, [1], name="left")
        model.addPhysicalGroup(2, [2], name="right")
        model.addPhysicalGroup(2, [3, 5], tag=17)


def rectangle(model: Any) -> None:
    body = model.occ.addRectangle(0, 0, 0, 2, 1)
    model.occ.synchronize()
    model.addPhysicalGroup(2, [body], name="body")
    model.addPhysicalGroup(1, [4], name="left")
    model.addPhysicalGroup(1, [2], name="right")


@pytest.mark.parametrize("order", [1, 2])
def test_names_of_surfaces(tmp_path: Path, order: int) -> None:
    mesh = fem.read_mesh(write(tmp_path / "box.msh", box, order=order))
    assert set(mesh.surfaces) == {"left", "right", "17"}
    midpoints = dolfinx.mesh.compute_midpoints(mesh.domain, 2, mesh.facets("right"))
    assert len(midpoints) > 0
    assert np.allclose(midpoints[:, 0], 1.0)
    assert len(mesh.facets("17")) == 2 * len(mesh.facets("left"))


def test_plane_mesh(tmp_path: Path) -> None:
    mesh = fem.read_mesh(write(tmp_path / "plane.msh", rectangle))
    assert mesh.domain.geometry.dim == mesh.domain.topology.dim == 2
    body = fem.Solid(mesh, NeoHooke(1.0, 1.0))
    body.symmetry("left")
    body.prescribe("right", (0.2, 0.0))
    solution = body.solve()
    assert solution.probe([2.0, 0.5]) == pytest.approx(np.array([[0.2, 0.0]]))
    F = solution.at_quadrature().deformation_gradient
    assert np.all(F[:, 2] == [0.0, 0.0, 1.0])


def test_a_gmsh_session_of_the_users_survives(tmp_path: Path) -> None:
    path = write(tmp_path / "box.msh", box)
    gmsh.initialize(interruptible=False)
    try:
        gmsh.model.add("mine")
        fem.read_mesh(path)
        assert gmsh.isInitialized()
        assert gmsh.model.getCurrent() == "mine"
    finally:
        gmsh.finalize()


def test_signals_still_reach_the_process() -> None:
    """gmsh installs its own handlers; who reads a mesh and then interrupts wants to end up in his own."""
    code = (
        "import signal, os, fem\n"
        "def told(number, frame): print('mine', flush=True)\n"
        "signal.signal(signal.SIGTERM, told)\n"
        f"fem.read_mesh({str(MESHES / 'bracket_coarse.msh')!r})\n"
        "os.kill(os.getpid(), signal.SIGTERM)\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (run.returncode, run.stdout.strip()) == (0, "mine"), run.stderr


def test_mesh_of_abaqus(tmp_path: Path) -> None:
    gmsh_mesh = meshio.read(MESHES / "bracket_coarse.msh")
    surfaces = {
        n: np.concatenate([c for c in cells if len(c)]) for n, cells in gmsh_mesh.cell_sets.items() if n != "body"
    }
    triangles = [block.data for block in gmsh_mesh.cells if block.type == "triangle"]
    offsets = dict(zip(("wall", "tip"), (0, len(triangles[0])), strict=True))
    sets = {name: [offsets[name] + np.arange(len(surfaces[name])), np.empty(0, dtype=int)] for name in ("wall", "tip")}
    cells = [("triangle", np.concatenate(triangles)), ("tetra", gmsh_mesh.cells_dict["tetra"])]
    meshio.write(tmp_path / "bracket.inp", meshio.Mesh(gmsh_mesh.points, cells, cell_sets=sets))
    mesh, original = fem.read_mesh(tmp_path / "bracket.inp"), fem.read_mesh(MESHES / "bracket_coarse.msh")
    assert mesh.domain.topology.index_map(3).size_global == original.domain.topology.index_map(3).size_global
    assert {n: len(f) for n, f in mesh.surfaces.items()} == {n: len(f) for n, f in original.surfaces.items()}


def test_surfaces_by_markers_may_overlap() -> None:
    domain = dolfinx.mesh.create_unit_cube(MPI.COMM_SELF, 1, 1, 1)
    mesh = fem.Mesh.of(domain, {"all": lambda X: X[0] < 2.0, "left": lambda X: np.isclose(X[0], 0.0)})
    assert len(mesh.facets("all")) == 12
    assert len(mesh.facets("left")) == 2
    with pytest.raises(fem.MeshError, match="marker of surface 'far' is true on no boundary facet"):
        fem.Mesh.of(domain, {"far": lambda X: X[0] > 2.0})


def without_groups(model: Any) -> None:
    box(model, named=False)


def surface_in_two_groups(model: Any) -> None:
    box(model)
    model.addPhysicalGroup(2, [1], name="again")


def cells_without_group(model: Any) -> None:
    box(model)
    model.occ.addBox(2, 0, 0, 1, 1, 1)
    model.occ.synchronize()


def prisms(model: Any) -> None:
    face = model.occ.addRectangle(0, 0, 0, 1, 1)
    model.occ.extrude([(2, face)], 0, 0, 1, numElements=[1], recombine=True)
    model.occ.synchronize()
    model.addPhysicalGroup(3, [1], name="body")
    model.addPhysicalGroup(2, [face], name="bottom")


def tilted(model: Any) -> None:
    body = model.occ.addRectangle(0, 0, 0, 2, 1)
    model.occ.rotate([(2, body)], 0, 0, 0, 0, 1, 0, 0.3)
    model.occ.synchronize()
    model.addPhysicalGroup(2, [body], name="body")


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (without_groups, "no physical volume"),
        (surface_in_two_groups, r"entities \[\(2, 1\)\] \(dimension, tag\) are in several groups"),
        (cells_without_group, "belong to no physical group"),
        (prisms, "has Prism cells, expected one kind of triangle"),
        (tilted, "surface in space, expected all z = 0"),
    ],
)
def test_unsuitable_mesh(tmp_path: Path, build: Callable[[Any], None], message: str) -> None:
    # gmsh leaves out what has no group unless told otherwise
    def build_all(model: Any) -> None:
        gmsh.option.setNumber("Mesh.SaveAll", float(build in (without_groups, cells_without_group)))
        build(model)

    path = write(tmp_path / "bad.msh", build_all)
    with pytest.raises(fem.MeshError, match=message) as caught:
        fem.read_mesh(path)
    assert str(path) in str(caught.value)


def test_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(fem.MeshError, match=r"nothing\.msh' does not exist"):
        fem.read_mesh(tmp_path / "nothing.msh")
    (tmp_path / "text.msh").write_text("hello")
    whole = (MESHES / "bracket_coarse.msh").read_bytes()
    (tmp_path / "half.msh").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "unknown.xyz7").write_text("hello")
    (tmp_path / "points.vtk").write_text("not VTK at all")
    for name in ("text.msh", "half.msh", "unknown.xyz7", "points.vtk"):
        with pytest.raises(fem.MeshError, match="cannot be read"):
            fem.read_mesh(tmp_path / name)


def test_shells_are_no_solids() -> None:
    import basix.ufl
    import ufl

    points = np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 1]])
    element = ufl.Mesh(basix.ufl.element("Lagrange", "triangle", 1, shape=(3,)))
    shell = dolfinx.mesh.create_mesh(MPI.COMM_SELF, np.array([[0, 1, 2]]), element, points)
    with pytest.raises(fem.MeshError, match="2-d cells in 3-d space"):
        fem.Mesh(shell, {})


def test_bracket_generator(tmp_path: Path) -> None:
    path = tmp_path / "bracket.msh"
    command = [sys.executable, str(MESHES / "bracket.py"), "--scale", "0.5", "--size", "9", "--fine", "0.7", str(path)]
    assert "tetrahedra" in subprocess.run(command, capture_output=True, text=True, check=True).stdout
    mesh = fem.read_mesh(path)
    X = mesh.domain.geometry.x
    assert np.allclose([X.min(axis=0), X.max(axis=0)], [[0, 0, 0], [20, 10, 18]], atol=1e-9)
    body = fem.Solid(mesh, NeoHooke(100.0, 100.0))
    body.clamp("wall")
    body.traction("tip", (0.0, 0.0, -0.01))
    solution = body.solve()
    # two boxes, the fillet's corner, less the hole; chords of the arcs cost a per cent
    volume = (12 * 20 * 36 + 28 * 20 * 12 + (1 - np.pi / 4) * 8**2 * 20 - np.pi * 4**2 * 12) / 8
    assert solution.at_quadrature().weight.sum() == pytest.approx(volume, rel=0.02)
    assert solution.resultant("wall")[2] == pytest.approx(0.01 * 10 * 6, rel=1e-9)


@pytest.mark.parametrize(("name", "dofs"), [("bracket", (30_000, 60_000)), ("bracket_coarse", (2_000, 5_000))])
def test_meshes_of_the_demo(name: str, dofs: tuple[int, int]) -> None:
    mesh = fem.read_mesh(MESHES / f"{name}.msh")
    assert set(mesh.surfaces) == {"wall", "tip"}
    space = dolfinx.fem.functionspace(mesh.domain, ("Lagrange", 2, (3,)))
    assert dofs[0] <= 3 * space.dofmap.index_map.size_global <= dofs[1]
