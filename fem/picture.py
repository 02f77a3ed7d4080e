"""Pictures of deformed bodies, drawn by pyvista without a display."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from mpi4py import MPI  # isort: skip  # noqa: F401

import numpy as np

from fem.gathering import Body, gather
from fem.output import write_whole

if TYPE_CHECKING:
    from fem.solution import Solution

_TITLES = {
    "stress": "von Mises stress",
    "energy": "energy density",
    "volume_ratio": "J = det F",
    "trust": "trust",
    "displacement": "|u|",
}
_COLOURS = {"stress": "turbo", "trust": "RdYlGn", "energy": "magma", "displacement": "viridis"}


def draw(solution: Solution, path: Path, field: str, *, magnify: float, unit: str, title: str | None) -> None:
    """See `Solution.plot`. Collective; rank 0 draws."""
    body = gather(solution)
    known = None if body is None else [*body.point_fields, "displacement"]
    known = solution.mesh.domain.comm.bcast(known)
    if field not in known:
        advice = "; the law has no trust gauge" if field == "trust" else ""
        raise ValueError(f"field is {field!r}, expected one of {', '.join(known)}{advice}")
    label = title or _TITLES[field] + (f" ({unit})" if unit else "")

    def render(unfinished: Path) -> None:
        assert body is not None
        import pyvista

        with pyvista.vtk_verbosity("off"):  # VTK tries a display before it draws without one, and complains
            _render(pyvista, body, unfinished, field, magnify, label)

    write_whole(path, render, solution.mesh.domain.comm)


def _render(pyvista: Any, body: Body, path: Path, field: str, magnify: float, label: str) -> None:
    plane = not np.any(body.points[:, 2])
    values = body.point_fields.get(field, np.linalg.norm(body.displacement, axis=1))
    undeformed, deformed = (_grid(pyvista, body, scale) for scale in (0.0, magnify))
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
    plotter.screenshot(str(path))
    plotter.close()


def _range(field: str, values: np.ndarray) -> tuple[float, float]:
    """Ends of the colour scale: from zero where zero means something."""
    if field == "trust":
        return 0.0, 1.0
    lowest = 0.0 if field in ("stress", "displacement") else float(values.min())
    # a field without variation still needs a scale
    return lowest, max(float(values.max()), lowest + 1e-12)


def _grid(pyvista: Any, body: Body, scale: float) -> Any:
    nodes = body.cells.shape[1]
    cells = np.hstack([np.full((len(body.cells), 1), nodes), body.cells])
    types = np.full(len(body.cells), body.cell_type, dtype=np.uint8)
    return pyvista.UnstructuredGrid(cells.reshape(-1), types, body.points + scale * body.displacement)
