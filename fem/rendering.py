"""Drawing a deformed body to a PNG file; runs in a process of its own (see `fem.picture`) and needs neither dolfinx nor MPI."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyvista

_COLOURS = {"stress": "viridis", "trust": "RdYlBu", "energy": "magma", "displacement": "viridis"}


def render(scene: Mapping[str, Any], path: Path) -> None:
    """Draw a scene to a PNG file.

    Args:
        scene: points (n, 3), cells (m, k) and their VTK cell_type, displacement (n, 3), values (n,) to colour by, magnify, field, label.
        path: the file.
    """
    field, label, values = str(scene["field"]), str(scene["label"]), scene["values"]
    plane = not np.any(scene["points"][:, 2])
    undeformed, deformed = (_grid(scene, scale) for scale in (0.0, float(scene["magnify"])))
    deformed.point_data[label] = values
    # quadratic cells are drawn with their curved faces
    skin = deformed.extract_surface(nonlinear_subdivision=2, algorithm="dataset_surface")

    plotter = pyvista.Plotter(off_screen=True, window_size=(1600, 1200))
    plotter.set_background("white")
    plotter.add_mesh(
        skin,
        scalars=label,
        cmap=_COLOURS.get(field, "coolwarm"),
        clim=_range(field, values),
        smooth_shading=not plane,
        split_sharp_edges=not plane,
        feature_angle=30.0,
        ambient=0.4,
        diffuse=0.7,
        scalar_bar_args={
            "vertical": True,
            "position_x": 0.84,
            "position_y": 0.2,
            "height": 0.6,
            "width": 0.05,
            "title_font_size": 32,
            "label_font_size": 28,
            "color": "black",
            "fmt": "%.3g",
            "n_labels": 6,
        },
    )
    for grid, colour, width in ((undeformed, "grey", 1.5), (deformed, "black", 2.0)):
        outline = grid.extract_surface(nonlinear_subdivision=2, algorithm="dataset_surface").extract_feature_edges(
            feature_angle=30.0, non_manifold_edges=False, manifold_edges=False, boundary_edges=plane
        )
        if outline.n_cells:
            plotter.add_mesh(outline, color=colour, line_width=width)
    if plane:
        plotter.view_xy()
    else:
        plotter.camera_position = "xz"
        plotter.camera.azimuth = 30.0
        plotter.camera.elevation = 22.0
        plotter.enable_anti_aliasing("ssaa")
    plotter.reset_camera()
    plotter.camera.SetWindowCenter(0.17, 0.0)  # the scale of colours has the right for itself
    plotter.screenshot(str(path))
    plotter.close()


def _range(field: str, values: np.ndarray) -> tuple[float, float]:
    """Ends of the colour scale: from zero where zero means something."""
    if field == "trust":
        return 0.0, 1.0
    lowest = 0.0 if field in ("stress", "displacement") else float(values.min())
    # a field without variation still needs a scale
    return lowest, max(float(values.max()), lowest + 1e-12)


def _grid(scene: Mapping[str, Any], scale: float) -> Any:
    cells = scene["cells"]
    rows = np.hstack([np.full((len(cells), 1), cells.shape[1]), cells])
    types = np.full(len(cells), scene["cell_type"], dtype=np.uint8)
    return pyvista.UnstructuredGrid(rows.reshape(-1), types, scene["points"] + scale * scene["displacement"])


def main() -> None:
    """``python -m fem.rendering SCENE.npz PICTURE.png``."""
    scene, path = (Path(argument) for argument in sys.argv[1:])
    with np.load(scene, allow_pickle=False) as arrays, pyvista.vtk_verbosity("off"):
        # VTK tries a display before it draws without one, and complains
        render(dict(arrays), path)


if __name__ == "__main__":
    main()
