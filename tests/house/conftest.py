"""Runs small enough for tests: a configuration that takes seconds, its meshes made on the spot."""

from collections.abc import Callable
from pathlib import Path

import pytest

TINY = Path(__file__).with_name("tiny.toml")

Written = Callable[..., Path]
"""Called with (old, new) pairs to replace in the text of tiny.toml; returns the path of the file."""


@pytest.fixture(scope="session")
def boxes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with box.msh and coarse.msh: two by one by one, surfaces "wall" and "tip" at its ends."""
    folder = tmp_path_factory.mktemp("meshes")
    write_box(folder / "box.msh", size=0.7)
    write_box(folder / "coarse.msh", size=1.0)
    return folder


@pytest.fixture
def tiny(tmp_path: Path, boxes: Path) -> Written:
    """Writes tiny.toml, changed, into a folder of its own."""

    def write(*changes: tuple[str, str]) -> Path:
        return write_tiny(tmp_path, boxes, *changes)

    return write


def write_tiny(folder: Path, boxes: Path, *changes: tuple[str, str]) -> Path:
    """tiny.toml and its meshes in `folder`; each change must have something to replace."""
    for mesh in boxes.glob("*.msh"):
        (folder / mesh.name).write_bytes(mesh.read_bytes())
    text = TINY.read_text(encoding="utf-8")
    for old, new in changes:
        assert text.count(old) == 1, f"{old!r} is not once in tiny.toml"
        text = text.replace(old, new)
    path = folder / "tiny.toml"
    path.write_text(text, encoding="utf-8")
    return path


def write_box(path: Path, *, size: float, dimension: int = 3) -> None:
    """Mesh a box, or a rectangle, with gmsh."""
    import gmsh

    gmsh.initialize(interruptible=False)
    try:
        gmsh.option.setNumber("General.Verbosity", 0)
        if dimension == 3:
            body = gmsh.model.occ.addBox(0, 0, 0, 2, 1, 1)
        else:
            body = gmsh.model.occ.addRectangle(0, 0, 0, 2, 1)
        gmsh.model.occ.synchronize()
        gmsh.model.addPhysicalGroup(dimension, [body], name="body")
        for name, x in (("wall", 0.0), ("tip", 2.0)):
            ends = [
                tag
                for _, tag in gmsh.model.getEntities(dimension - 1)
                if abs(gmsh.model.occ.getCenterOfMass(dimension - 1, tag)[0] - x) < 1e-9
            ]
            gmsh.model.addPhysicalGroup(dimension - 1, ends, name=name)
        gmsh.option.setNumber("Mesh.MeshSizeMin", size)
        gmsh.option.setNumber("Mesh.MeshSizeMax", size)
        gmsh.model.mesh.generate(dimension)
        gmsh.write(str(path))
    finally:
        gmsh.finalize()
