"""Checkpoints: the last converged state in a file, which any number of ranks can go on from.

The file stands by itself: nodes, cells and nodal values, cells in an order which depends on nothing but where their corners are.
Another run of the same mesh, however it is distributed and numbered, finds its own nodes cell by cell. Each step writes a new file and
renames it over the old one: whenever the run is killed, the last converged step is there, whole.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mpi4py import MPI  # isort: skip

import h5py
import numpy as np
from dolfinx import fem as dfem
from dolfinx.mesh import Mesh as Domain
from jaxtyping import Float, Int

from fem.load_step import LoadStep
from fem.output import write_whole

_KIND = "atomlaw checkpoint"
_VERSION = 1
# nodes of the same cell closer than this part of it are the same node
_SAME = 1e-6


class CheckpointError(ValueError):
    """A file which is no checkpoint, or one of another mesh or element."""


def check_folder(path: Path, comm: MPI.Intracomm) -> None:
    """Raise OSError, alike on all ranks, where the folder of a checkpoint does not exist or cannot be written to. Collective."""
    problem = ""
    if comm.rank == 0 and not (path.parent.is_dir() and os.access(path.parent, os.W_OK)):
        problem = f"cannot write the checkpoint {str(path)!r}: {str(path.parent)!r} is no folder that can be written to"
    problem = comm.bcast(problem)
    if problem:
        raise OSError(problem)


class Checkpoint:
    """A file for the state of one body. Collective.

    Args:
        path: of the file; it appears with the first `write`.
        state: the functions which make up the state, by name; all on one mesh.

    Raises:
        OSError: the folder does not exist or cannot be written to; alike on all ranks, before anything is solved.
    """

    def __init__(self, path: Path, state: Mapping[str, dfem.Function]) -> None:
        self._path, self._state = path, state
        self._domain = next(iter(state.values())).function_space.mesh
        self._comm = self._domain.comm
        check_folder(path, self._comm)
        self._mesh = _canonical_mesh(self._domain)
        self._layouts = {name: _layout(function.function_space) for name, function in state.items()}

    def write(self, steps: Sequence[LoadStep]) -> None:
        """Put the present state and the steps that led to it into the file. Collective.

        Raises:
            OSError: it cannot be written; alike on all ranks.
        """
        values = {name: _gathered(function) for name, function in self._state.items()}

        def write(unfinished: Path) -> None:
            assert self._mesh is not None
            order, digest = self._mesh
            image = io.BytesIO()
            with h5py.File(image, "w") as file:
                file.attrs.update({"kind": _KIND, "version": _VERSION, "mesh": digest})
                file.attrs["steps"] = np.void(json.dumps([asdict(step) for step in steps]).encode())
                for name, layout in self._layouts.items():
                    assert layout is not None
                    group = file.create_group(name)
                    group["cells"], group["points"] = layout[0][order], layout[1]
                    group["values"] = values[name]
            with unfinished.open("wb") as raw:
                raw.write(image.getbuffer())
                raw.flush()
                os.fsync(raw.fileno())

        write_whole(self._path, write, self._comm)

    def read(self) -> list[LoadStep]:
        """Take the state from the file, whichever ranks wrote it; returns the steps that led to it. Collective.

        Raises:
            CheckpointError: no checkpoint, or of another mesh or element; alike on all ranks.
        """
        problem = ""
        steps: list[LoadStep] = []
        values: dict[str, np.ndarray] = {}
        if self._comm.rank == 0:
            try:
                steps, values = self._read()
            except CheckpointError as error:
                problem = str(error)
        problem = self._comm.bcast(problem)
        if problem:
            raise CheckpointError(problem)
        for name, function in self._state.items():
            everywhere = self._comm.bcast(values.get(name))
            index_map = function.function_space.dofmap.index_map
            first, last = index_map.local_range
            function.x.array[: index_map.size_local * function.function_space.dofmap.bs] = everywhere[
                first:last
            ].reshape(-1)
            function.x.scatter_forward()
        return list(self._comm.bcast(steps))

    def _read(self) -> tuple[list[LoadStep], dict[str, Float[np.ndarray, "n d"]]]:
        assert self._mesh is not None
        order, digest = self._mesh
        path = str(self._path)
        if not self._path.is_file():
            raise CheckpointError(f"checkpoint {path!r} does not exist")
        try:
            with h5py.File(self._path, "r") as file:
                if file.attrs.get("kind") != _KIND or file.attrs.get("version") != _VERSION:
                    raise CheckpointError(f"{path!r} is no {_KIND} of version {_VERSION}")
                if file.attrs["mesh"] != digest:
                    raise CheckpointError(
                        f"checkpoint {path!r} is of another mesh (fingerprint {file.attrs['mesh'][:12]}, this mesh has {digest[:12]})"
                    )
                records: list[dict[str, Any]] = json.loads(file.attrs["steps"].tobytes())
                steps = [LoadStep.of(record) for record in records]
                stored = {name: {k: file[name][k][:] for k in file[name]} for name in file}
        except OSError as error:
            raise CheckpointError(f"checkpoint {path!r} cannot be read: {error}") from error
        values = {}
        for name, layout in self._layouts.items():
            assert layout is not None
            cells, points = layout[0][order], layout[1]
            theirs = stored.get(name)
            if theirs is None or set(stored) != set(self._layouts) or theirs["cells"].shape != cells.shape:
                raise CheckpointError(
                    f"checkpoint {path!r} holds {', '.join(sorted(stored))} with {_nodes(stored)} nodes a cell, expected "
                    f"{', '.join(sorted(self._layouts))} with {cells.shape[1]}: it was made with another degree or formulation"
                )
            values[name] = np.empty((len(points), theirs["values"].shape[1]))
            values[name][cells] = theirs["values"][_matched(cells, points, theirs["cells"], theirs["points"])]
        return steps, values


def _nodes(stored: Mapping[str, Mapping[str, np.ndarray]]) -> str:
    return ", ".join(str(stored[name]["cells"].shape[1]) for name in sorted(stored))


def _canonical_mesh(domain: Domain) -> tuple[Int[np.ndarray, " m"], str] | None:
    """An order of the cells (as ranks have them, one after the other) by their corners, and a fingerprint; None but on rank 0."""
    owned = domain.topology.index_map(domain.topology.dim).size_local
    corners = domain.geometry.x[domain.geometry.dofmaps[0][:owned]]
    gathered = domain.comm.gather(corners)
    if gathered is None:
        return None
    cells = np.concatenate(gathered) + 0.0  # no -0.0: bytes are compared
    k = cells.shape[1]
    # corners of each cell in the order of their coordinates
    inner = np.lexsort((cells[:, :, 2], cells[:, :, 1], cells[:, :, 0]), axis=1)
    rows = np.take_along_axis(cells, inner[:, :, None], axis=1).reshape(len(cells), 3 * k)
    order = np.lexsort(rows.T[::-1])
    digest = hashlib.sha256(domain.topology.cell_name().encode())
    digest.update(np.ascontiguousarray(rows[order]).tobytes())
    return order, digest.hexdigest()


def _layout(space: dfem.FunctionSpace) -> tuple[Int[np.ndarray, "m k"], Float[np.ndarray, "n 3"]] | None:
    """Global nodes of all cells, rank after rank, and where the nodes are; None but on rank 0."""
    domain = space.mesh
    owned = domain.topology.index_map(domain.topology.dim).size_local
    index_map = space.dofmap.index_map
    local = space.dofmap.list[:owned]
    nodes = index_map.local_to_global(local.reshape(-1).astype(np.int32)).reshape(local.shape)
    gathered = domain.comm.gather((nodes, space.tabulate_dof_coordinates()[: index_map.size_local]))
    if gathered is None:
        return None
    return np.concatenate([cells for cells, _ in gathered]), np.concatenate([points for _, points in gathered])


def _gathered(function: dfem.Function) -> Float[np.ndarray, "n d"] | None:
    """Nodal values in the order of global numbers; None but on rank 0."""
    dofmap = function.function_space.dofmap
    owned = function.x.array.reshape(-1, dofmap.bs)[: dofmap.index_map.size_local]
    parts = function.function_space.mesh.comm.gather(owned)
    return None if parts is None else np.concatenate(parts)


def _matched(
    cells: Int[np.ndarray, "m k"],
    points: Float[np.ndarray, "n 3"],
    their_cells: Int[np.ndarray, "m k"],
    their_points: Float[np.ndarray, "l 3"],
) -> Int[np.ndarray, "m k"]:
    """For each node of each cell the other numbering's node at the same place of the same cell."""
    found = np.empty(cells.shape, dtype=np.int64)
    chunk = max(1, 10_000_000 // cells.shape[1] ** 2)
    for first in range(0, len(cells), chunk):
        part = slice(first, first + chunk)
        ours, theirs = points[cells[part]], their_points[their_cells[part]]
        distance = np.linalg.norm(ours[:, :, None] - theirs[:, None], axis=3)
        nearest = distance.argmin(axis=2)
        if distance.min(axis=2).max() > _SAME * np.ptp(ours, axis=1).max():
            raise CheckpointError(
                "the checkpoint's nodes lie elsewhere in their cells: it was made with another element"
            )
        found[part] = np.take_along_axis(their_cells[part], nearest, axis=1)
    return found
