"""The whole deformed body on one rank, as files and pictures want it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mpi4py import MPI  # isort: skip  # noqa: F401

import numpy as np
from dolfinx.plot import vtk_mesh
from jaxtyping import Float, Int

if TYPE_CHECKING:
    from fem.solution import Solution


@dataclass(frozen=True)
class Body:
    """A deformed body in VTK's terms.

    Attributes:
        points: X of the nodes of the displacement (of all degrees), padded to three coordinates.
        cells: nodes of each cell, in VTK's order.
        cell_type: VTK's number of the cell type, the same for all.
        displacement: u at the nodes, padded.
        cell_fields: averages over each cell.
        point_fields: the same scalars recovered at the nodes.
    """

    points: Float[np.ndarray, "n 3"]
    cells: Int[np.ndarray, "m k"]
    cell_type: int
    displacement: Float[np.ndarray, "n 3"]
    cell_fields: Mapping[str, Float[np.ndarray, "m ..."]]
    point_fields: Mapping[str, Float[np.ndarray, " n"]]


def gather(solution: Solution) -> Body | None:
    """The body on rank 0, None elsewhere. Collective."""
    space = solution.displacement.function_space
    comm = solution.mesh.domain.comm
    index_map = space.dofmap.index_map
    gdim = solution.mesh.domain.geometry.dim
    owned_cells = solution.mesh.domain.topology.index_map(solution.mesh.domain.topology.dim).size_local

    topology, types, _ = vtk_mesh(space)
    # VTK writes the number of nodes before the nodes of each cell
    local_cells = topology.reshape(owned_cells, 1 + space.dofmap.list.shape[1])[:, 1:]
    displacement = np.zeros((index_map.size_local, 3))
    displacement[:, :gdim] = solution.displacement.x.array.reshape(-1, gdim)[: index_map.size_local]
    cell_fields = solution.cell_fields()
    recovered = _at_cell_nodes(solution)
    part = (
        index_map.local_to_global(local_cells.reshape(-1).astype(np.int32)).reshape(local_cells.shape),
        int(types[0]) if owned_cells else -1,
        space.tabulate_dof_coordinates()[: index_map.size_local],
        displacement,
        cell_fields,
        index_map.local_to_global(space.dofmap.list[:owned_cells].reshape(-1)),
        recovered,
    )
    parts = comm.gather(part)  # owned nodes are numbered rank by rank, so concatenation is in global order
    if parts is None:
        return None
    cells, cell_types, points, displacements, fields, cell_nodes, at_nodes = zip(*parts, strict=True)
    numbers = np.concatenate(cell_nodes)
    times_met = np.bincount(numbers, minlength=index_map.size_global)
    # a rank without cells has an empty field of unknown trailing shape: left out
    full = [f for f in fields if len(f["stress"])]
    return Body(
        points=np.concatenate(points),
        cells=np.concatenate(cells),
        cell_type=max(cell_types),
        displacement=np.concatenate(displacements),
        cell_fields={name: np.concatenate([f[name] for f in full]) for name in full[0]},
        point_fields={
            name: np.bincount(numbers, np.concatenate([a[name].reshape(-1) for a in at_nodes if name in a])) / times_met
            for name in at_nodes[0] or full[0]
        },
    )


def _at_cell_nodes(solution: Solution) -> dict[str, Float[np.ndarray, "cells k"]]:
    """Scalars at the nodes of each cell of this rank: the polynomial of first degree which fits the cell's points best."""
    quadrature = solution.material.quadrature
    nodes = solution.displacement.function_space.element.interpolation_points
    at_points, at_nodes = _first_degree(quadrature.points), _first_degree(nodes)
    if at_points.shape[0] < at_points.shape[1]:  # too few points for a slope
        at_points, at_nodes = at_points[:, :1], at_nodes[:, :1]
    extrapolation = at_nodes @ np.linalg.pinv(at_points)
    fields = solution.at_quadrature().scalars()
    bounded = {"trust": (0.0, 1.0), "stress": (0.0, np.inf)}
    return {
        name: np.clip(values.reshape(-1, len(quadrature.points)) @ extrapolation.T, *bounded.get(name, (None, None)))
        for name, values in fields.items()
    }


def _first_degree(points: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n m"]:
    return np.hstack([np.ones((len(points), 1)), points])
