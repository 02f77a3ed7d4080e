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


def write(path: Path, build: Callable[[Any], None], *, order: int = 1, sizes: tuple[float, float] = (0.7, 0.7)) -> Path:
    """Build a model in gmsh, mesh it coarsely and write it."""
    gmsh.initialize(interruptible=False)
    try:
        gmsh.option.setNumber("General.Verbosity", 0)
        build(gmsh.model)
        gmsh.option.setNumber("Mesh.MeshSizeMin", sizes[0])
        gmsh.option.setNumber("Mesh.MeshSizeMax", sizes[1])
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


def blocks_of_cubes() -> tuple[np.ndarray, np.ndarray]:
    """Two unit cubes side by side along x: nodes, and cells in VTK's order."""
    points = np.array([[x, y, z] for z in range(2) for y in range(2) for x in range(3)], dtype=float)
    low = [[x, x + 1, x + 4, x + 3] for x in range(2)]
    return points, np.array([[*face, *(node + 6 for node in face)] for face in low])


def check_two_cubes(mesh: fem.Mesh, surfaces: set[str], volumes: set[str]) -> None:
    """A bar of two cubes, held at "left" and pulled at "right", with a law for each named half."""
    assert set(mesh.surfaces) >= surfaces
    assert set(mesh.volumes) == volumes
    left, right = sorted(surfaces & {"left", "right", "11", "12"})
    body = fem.Solid(mesh, {name: NeoHooke(1.0, 1.0) for name in volumes}, degree=1)
    body.clamp(left)
    body.prescribe(right, (0.1, 0.0, 0.0))
    assert body.solve().probe([2.0, 0.5, 0.5])[0, 0] == pytest.approx(0.1)
    middles = {name: dolfinx.mesh.compute_midpoints(mesh.domain, 3, mesh.cells(name))[0, 0] for name in volumes}
    assert sorted(middles.values()) == pytest.approx([0.5, 1.5])


def test_abaqus_with_sets_of_nodes_and_elements(tmp_path: Path) -> None:
    points, cells = blocks_of_cubes()
    nodes = "\n".join(f"{i + 1}, {x}, {y}, {z}" for i, (x, y, z) in enumerate(points))
    elements = "\n".join(f"{i + 1}, " + ", ".join(str(n + 1) for n in cell) for i, cell in enumerate(cells))
    (tmp_path / "bar.inp").write_text(
        f"*NODE\n{nodes}\n*ELEMENT, TYPE=C3D8\n{elements}\n"
        "*ELSET, ELSET=steel\n1\n*ELSET, ELSET=rubber\n2\n"
        "*NSET, NSET=left\n1, 4, 7, 10\n*NSET, NSET=right\n3, 6, 9, 12\n*NSET, NSET=corner\n1\n"
    )
    mesh = fem.read_mesh(tmp_path / "bar.inp")
    check_two_cubes(mesh, {"left", "right"}, {"steel", "rubber"})
    assert "corner" not in mesh.surfaces  # one node holds no facet


@pytest.mark.parametrize("suffix", ["vtk", "vtu", "med", "exo"])
def test_tagged_cells_of_other_programs(tmp_path: Path, suffix: str) -> None:
    points, cells = blocks_of_cubes()
    ends = np.array([[0, 3, 9, 6], [2, 5, 11, 8]])
    path = tmp_path / f"bar.{suffix}"
    if suffix == "exo":
        pytest.importorskip("netCDF4")
        blocks = [("hexahedron", cells[:1]), ("hexahedron", cells[1:])]
        sets = {"left": np.array([0, 3, 6, 9]), "right": np.array([2, 5, 8, 11])}
        meshio.write(path, meshio.Mesh(points, blocks, point_sets=sets), file_format="exodus")
        check_two_cubes(fem.read_mesh(path), {"left", "right"}, {"block 1", "block 2"})
        return
    tags = [np.array([1, 2], dtype=np.int32), np.array([11, 12], dtype=np.int32)]
    name = "cell_tags" if suffix == "med" else "group"
    source = meshio.Mesh(points, [("hexahedron", cells), ("quad", ends)], cell_data={name: tags})
    if suffix == "med":
        source.cell_tags = {1: ["steel"], 2: ["rubber"], 11: ["left"], 12: ["right"]}
        source.point_tags = {}
        meshio.write(path, source)
        check_two_cubes(fem.read_mesh(path), {"left", "right"}, {"steel", "rubber"})
    else:
        meshio.write(path, source)
        check_two_cubes(fem.read_mesh(path), {"11", "12"}, {"1", "2"})


@pytest.mark.parametrize("cell", ["tetra10", "hexahedron27", "triangle6", "quad9"])
def test_curved_cells_of_other_programs(tmp_path: Path, cell: str) -> None:
    # a disc, a ball or a cylinder of few curved cells: its measure is far better than that of its corners
    def round_body(model: Any) -> None:
        if cell in ("quad9", "hexahedron27"):
            gmsh.option.setNumber("Mesh.RecombineAll", 1)
            gmsh.option.setNumber("Mesh.SubdivisionAlgorithm", 1)
        if cell == "tetra10":
            model.occ.addSphere(0, 0, 0, 1)
        else:
            disc = model.occ.addDisk(0, 0, 0, 1, 1)
            if cell == "hexahedron27":
                model.occ.extrude([(2, disc)], 0, 0, 1, numElements=[2], recombine=True)
        model.occ.synchronize()
        model.addPhysicalGroup(solid, [1], name="body")

    solid = 2 if cell in ("triangle6", "quad9") else 3
    source = meshio.read(write(tmp_path / "round.msh", round_body, order=2))
    keep = [block for block in source.cells if block.type == cell]
    path = tmp_path / "round.vtu"
    meshio.write(path, meshio.Mesh(source.points, keep))
    mesh = fem.read_mesh(path)
    named = fem.Mesh.of(mesh.domain, {"all": lambda X: np.full(X.shape[1], True)})
    body = fem.Solid(named, NeoHooke(1.0, 1.0), quadrature_degree=6)
    body.clamp("all")
    measure = body.solve().at_quadrature().weight.sum()
    assert measure == pytest.approx(4 * np.pi / 3 if cell == "tetra10" else np.pi, rel=0.01)


def spoilt(how: str) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    points, cells = blocks_of_cubes()
    tetrahedra = np.array([[0, 1, 4, 6], [1, 7, 4, 6], [1, 2, 4, 7]])
    match how:
        case "flat":
            points = points.copy()
            points[:, 2] = 0.0
            return points, {"tetra": tetrahedra}
        case "inverted hexahedron":
            points[4] = [0.2, 0.2, 0.0]
            points[0] = [0.9, 0.9, 0.0]
        case "inverted tetrahedron":
            points[2] = [-0.5, 0.6, 0.5]
            return points, {"tetra": tetrahedra}
        case "duplicate":
            cells = np.concatenate([cells, cells[:1]])
        case "crowded facet":
            points = np.concatenate([points, [[1.4, 0.3, 0.4]]])
            return points, {"tetra": np.array([[1, 4, 7, 0], [1, 4, 7, 2], [1, 4, 7, 12]])}
        case "apart":
            points = np.concatenate([points, points + [5.0, 0.0, 0.0]])
            cells = np.concatenate([cells, cells[:1] + 12])
        case "hinged":
            points = np.concatenate([points, [[2.0, 2.0, 0.0], [1.0, 2.0, 0.0], [2.0, 2.0, 1.0], [1.0, 2.0, 1.0]]])
            cells = np.array([cells[0], [4, 5, 12, 13, 10, 11, 14, 15]])
        case "not finite":
            points[3, 1] = np.nan
        case "serendipity":
            return points, {"hexahedron20": np.zeros((1, 20), dtype=int)}
    return points, {"hexahedron": cells}


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("flat", r"cell 0 near \(.*\) and 2 more has no volume"),
        ("inverted hexahedron", r"cell 0 near .* corners turned inside out"),
        ("inverted tetrahedron", "a neighbour on its own side of their common facet"),
        ("duplicate", "cell 0 .* a duplicate with the same corners"),
        ("crowded facet", "a facet which belongs to more than two cells"),
        ("apart", "fall into 2 parts which share no facet, the smallest of 1 cells around"),
        ("hinged", "fall into 2 parts which share no facet"),
        ("not finite", "a coordinate that is not finite"),
        ("serendipity", "has no serendipity cells"),
    ],
)
def test_meshes_that_define_no_body(tmp_path: Path, how: str, message: str) -> None:
    points, cells = spoilt(how)
    meshio.write(tmp_path / "bad.vtu", meshio.Mesh(points, list(cells.items())))
    with pytest.raises(fem.MeshError, match=message) as caught:
        fem.read_mesh(tmp_path / "bad.vtu")
    assert "bad.vtu" in str(caught.value)


def test_unmerged_volumes_of_gmsh(tmp_path: Path) -> None:
    def two_boxes(model: Any) -> None:
        bodies = [model.occ.addBox(x, 0, 0, 1, 1, 1) for x in (0, 1)]
        model.occ.synchronize()
        model.addPhysicalGroup(3, bodies, name="body")

    with pytest.raises(fem.MeshError, match=r"2 parts which share no facet.* merge the nodes"):
        fem.read_mesh(write(tmp_path / "two.msh", two_boxes))


def test_volumes_of_gmsh(tmp_path: Path) -> None:
    def halves(model: Any) -> None:
        bodies = [(3, model.occ.addBox(x, 0, 0, 1, 1, 1)) for x in (0, 1)]
        model.occ.fragment(bodies[:1], bodies[1:])
        model.occ.synchronize()
        model.addPhysicalGroup(3, [1], name="steel")
        model.addPhysicalGroup(3, [2], name="rubber")

    mesh = fem.read_mesh(write(tmp_path / "halves.msh", halves))
    assert set(mesh.volumes) == {"steel", "rubber"}
    assert sum(len(cells) for cells in mesh.volumes.values()) == mesh.domain.topology.index_map(3).size_local
    middles = dolfinx.mesh.compute_midpoints(mesh.domain, 3, mesh.cells("steel"))
    assert np.ptp(middles[:, 0]) < 1.0
