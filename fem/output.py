"""Solutions as VTKHDF files, which ParaView and pyvista read.

Written with h5py from one rank: the writer of dolfinx 0.11 knows one unnamed field of vertex data, while here the
displacement keeps its nodes of every degree and fields have names. Format:
https://docs.vtk.org/en/latest/vtk_file_formats/vtkhdf_file_format/index.html
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from mpi4py import MPI  # isort: skip

import h5py
import numpy as np

from fem.gathering import Body, gather

if TYPE_CHECKING:
    from fem.solution import Solution


def write_vtkhdf(solution: Solution, path: Path) -> None:
    """Displacement and recovered scalars at the nodes, averages in the cells; see `Solution.write`. Collective."""
    body = gather(solution)

    def write(unfinished: Path) -> None:
        assert body is not None
        # by way of memory: HDF5 crashes at the end of the process where the disk was full under one of its files
        image = io.BytesIO()
        with h5py.File(image, "w") as file:
            _fill(file.create_group("VTKHDF"), body, solution.load_factor)
        unfinished.write_bytes(image.getvalue())

    write_whole(path, write, solution.mesh.domain.comm)


def write_whole(path: Path, write: Callable[[Path], None], comm: MPI.Intracomm) -> None:
    """Let rank 0 write a temporary file beside `path`, then rename it: `path` is complete or untouched. Collective.

    Raises:
        OSError: it could not be written; alike on all ranks.
        RuntimeError: whatever `write` raised of that kind; alike on all ranks.
    """
    problem: Exception | None = None
    if comm.rank == 0:
        unfinished = path.with_name(f".unfinished-{path.name}")
        try:
            write(unfinished)
            os.replace(unfinished, path)
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno else str(error)
            problem = OSError(f"cannot write {str(path)!r}: {reason}")
        except RuntimeError as error:
            problem = error
        finally:
            unfinished.unlink(missing_ok=True)
    problem = comm.bcast(problem)
    if problem is not None:
        raise problem


def _fill(group: h5py.Group, body: Body, load_factor: float) -> None:
    group.attrs["Version"] = (2, 2)
    # VTK wants a string of fixed length here
    group.attrs.create("Type", np.bytes_("UnstructuredGrid"))
    cells, nodes = body.cells.shape
    group["NumberOfPoints"] = [len(body.points)]
    group["NumberOfCells"] = [cells]
    group["NumberOfConnectivityIds"] = [body.cells.size]
    group["Points"] = body.points
    group["Connectivity"] = body.cells.reshape(-1).astype(np.int64)
    group["Offsets"] = np.arange(0, body.cells.size + 1, nodes, dtype=np.int64)
    group["Types"] = np.full(cells, body.cell_type, dtype=np.uint8)
    for kind, fields in (
        ("PointData", {"displacement": body.displacement, **body.point_fields}),
        ("CellData", body.cell_fields),
    ):
        data = group.create_group(kind)
        for name, values in fields.items():
            data[name] = values.reshape(len(values), -1) if values.ndim > 2 else values
    group.create_group("FieldData")["load_factor"] = [load_factor]
