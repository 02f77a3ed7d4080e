"""Pictures of deformed bodies, drawn by pyvista without a display.

They are drawn in a process of their own (`fem.rendering`): what OpenGL loads, Mesa's LLVM for one, has no business in a process that
computes, where other libraries bring an LLVM of another version.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

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


class PictureFailed(RuntimeError):
    """The process that draws ended without a picture; the message has its last words."""


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
        _render_apart(body, unfinished, field, magnify, label)

    write_whole(path, render, solution.mesh.domain.comm)


def _render_apart(body: Body, path: Path, field: str, magnify: float, label: str) -> None:
    with tempfile.TemporaryDirectory(prefix="picture-") as folder:
        scene, drawn = Path(folder) / "scene.npz", Path(folder) / "picture.png"
        np.savez(
            scene,
            points=body.points,
            cells=body.cells,
            cell_type=body.cell_type,
            displacement=body.displacement,
            values=body.point_fields.get(field, np.linalg.norm(body.displacement, axis=1)),
            magnify=magnify,
            field=field,
            label=label,
        )
        # not a rank of this run: what the launcher of MPI has left in the environment is not for the child
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("PMI", "MPI", "HYDRA"))
        }
        ours = str(Path(__file__).parents[1])
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, [ours, environment.get("PYTHONPATH")]))
        command = [sys.executable, "-m", "fem.rendering", str(scene), str(drawn)]
        ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if ended.returncode != 0 or not drawn.is_file():
            last = (ended.stderr.strip().splitlines() or ["no message"])[-1]
            raise PictureFailed(
                f"the picture of {field!r} could not be drawn (exit status {ended.returncode}): {last}. Without a display it takes "
                "OpenGL by EGL (libEGL and Mesa) or libOSMesa"
            )
        shutil.copyfile(drawn, path)
