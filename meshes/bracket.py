r"""L-bracket with a fillet and a hole, for gmsh.

The two meshes beside this file:

    python meshes/bracket.py --size 3.2 --fine 0.35 meshes/bracket.msh
    python meshes/bracket.py --size 12 --fine 0.8 meshes/bracket_coarse.msh

The body:

             z
             |   .--------.          surface "wall": the back, x = 0
             |   |        |          surface "tip": the end of the arm, x = length
      height |   |        |          volume "body"
             |   |        |
    wall --> |   |         \_  fillet
             |   |            `----------------.
             |   |              | hole |       |  thickness   <-- tip
             |   '-----------------------------'------> x          (width along y)
"""

from __future__ import annotations

import argparse
from pathlib import Path

import gmsh

# In units of the scale: 40 x 20 x 36 with --scale 1
LENGTH, HEIGHT, WIDTH, THICKNESS = 40.0, 36.0, 20.0, 12.0
FILLET, HOLE, HOLE_CENTRE = 8.0, 4.0, 28.0  # radii, and x of the hole's axis


def bracket(path: Path, *, scale: float = 1.0, size: float = 3.2, fine: float = 0.35) -> int:
    """Mesh the bracket with straight tetrahedra and write it; returns their number.

    Args:
        path: the .msh file to write (gmsh 4.1, binary).
        scale: all lengths are multiplied by it.
        size: edge length of the tetrahedra away from the fillet and the hole, for scale 1.
        fine: edge length at the fillet and the hole, as a part of `size`.
    """
    gmsh.initialize(interruptible=False)
    try:
        gmsh.option.setNumber("General.Verbosity", 1)
        gmsh.model.add("bracket")
        body, hot = _geometry(scale)
        _name_surfaces(body, scale)
        _element_size(hot, size * scale, fine)
        gmsh.model.mesh.generate(3)
        gmsh.model.mesh.optimize("Netgen")
        gmsh.option.setNumber("Mesh.Binary", 1)
        gmsh.option.setNumber("Mesh.MshFileVersion", 4.1)
        gmsh.write(str(path))
        return sum(len(tags) for tags in gmsh.model.mesh.getElements(3)[1])
    finally:
        gmsh.finalize()


def _geometry(scale: float) -> tuple[int, list[int]]:
    """The volume, and the surfaces where stress concentrates (fillet and hole)."""
    cad = gmsh.model.occ
    upright = cad.addBox(0.0, 0.0, 0.0, scale * THICKNESS, scale * WIDTH, scale * HEIGHT)
    arm = cad.addBox(0.0, 0.0, 0.0, scale * LENGTH, scale * WIDTH, scale * THICKNESS)
    ((_, body),), _ = cad.fuse([(3, upright)], [(3, arm)])
    cad.synchronize()
    inner = scale * THICKNESS
    corner = [
        tag
        for _, tag in gmsh.model.getEntities(1)
        if _at(1, tag, {0: inner, 2: inner}, scale) and gmsh.model.getBoundingBox(1, tag)[4] > 0.9 * scale * WIDTH
    ]
    ((_, body),) = cad.fillet([body], corner, [scale * FILLET])
    drill = cad.addCylinder(
        scale * HOLE_CENTRE, scale * WIDTH / 2, -scale, 0.0, 0.0, scale * (THICKNESS + 2.0), scale * HOLE
    )
    ((_, body),), _ = cad.cut([(3, body)], [(3, drill)])
    cad.synchronize()
    hot = [tag for _, tag in gmsh.model.getEntities(2) if gmsh.model.getType(2, tag) == "Cylinder"]
    assert len(hot) == 2, f"{len(hot)} curved surfaces, expected the fillet and the hole"
    return body, hot


def _at(dimension: int, tag: int, where: dict[int, float], scale: float) -> bool:
    """Whether the entity lies at the given coordinates, {axis: value}."""
    box = gmsh.model.getBoundingBox(dimension, tag)
    return all(abs(box[i] - x) < 1e-3 * scale and abs(box[3 + i] - x) < 1e-3 * scale for i, x in where.items())


def _name_surfaces(body: int, scale: float) -> None:
    surfaces = [tag for _, tag in gmsh.model.getEntities(2)]
    wall = [tag for tag in surfaces if _at(2, tag, {0: 0.0}, scale)]
    tip = [tag for tag in surfaces if _at(2, tag, {0: scale * LENGTH}, scale)]
    gmsh.model.addPhysicalGroup(2, wall, name="wall")
    gmsh.model.addPhysicalGroup(2, tip, name="tip")
    gmsh.model.addPhysicalGroup(3, [body], name="body")


def _element_size(hot: list[int], size: float, fine: float) -> None:
    """`fine * size` on the hot surfaces, growing to `size` over twice that length."""
    field = gmsh.model.mesh.field
    distance = field.add("Distance")
    field.setNumbers(distance, "SurfacesList", hot)
    field.setNumber(distance, "Sampling", 40)
    growth = field.add("Threshold")
    field.setNumber(growth, "InField", distance)
    for option, value in (("SizeMin", fine * size), ("SizeMax", size), ("DistMin", 0.0), ("DistMax", 2.0 * size)):
        field.setNumber(growth, option, value)
    field.setAsBackgroundMesh(growth)
    for option in ("MeshSizeFromPoints", "MeshSizeFromCurvature", "MeshSizeExtendFromBoundary"):
        gmsh.option.setNumber(f"Mesh.{option}", 0)


def main() -> None:
    parser = argparse.ArgumentParser(description="Mesh an L-bracket with surfaces 'wall' and 'tip'.")
    parser.add_argument("out", type=Path, metavar="OUT.msh")
    parser.add_argument("--scale", type=float, default=1.0, help="multiplies all lengths (1: 40 x 20 x 36)")
    parser.add_argument("--size", type=float, default=3.2, help="edge length of the elements, for scale 1")
    parser.add_argument("--fine", type=float, default=0.35, help="edge length at fillet and hole, part of the size")
    options = parser.parse_args()
    cells = bracket(options.out, scale=options.scale, size=options.size, fine=options.fine)
    print(f"{options.out}: {cells} tetrahedra")


if __name__ == "__main__":
    main()
