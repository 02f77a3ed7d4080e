"""Meshes whose surfaces have names, read from files or taken from dolfinx."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mpi4py import MPI  # isort: skip  (before dolfinx, or libmpi is not found)

import dolfinx
import numpy as np
from jaxtyping import Float, Int

_CELLS = ("triangle", "quadrilateral", "tetrahedron", "hexahedron")
# gmsh's names of element families
_GMSH_FAMILY = {"Triangle": "triangle", "Quadrilateral": "quadrilateral", "Tetrahedron": "tetrahedron"}
_GMSH_FAMILY["Hexahedron"] = "hexahedron"


class MeshError(ValueError):
    """A mesh file which cannot be used; says which file, why, and what is expected."""


class MeshNameError(MeshError):
    """A surface or volume which the mesh does not have; lists those it has.

    Attributes:
        name: the name asked for.
        present: the names of the mesh.
    """

    def __init__(self, name: str, present: tuple[str, ...], what: str = "surface") -> None:
        self.name, self.present = name, present
        known = ", ".join(repr(p) for p in present) if present else "none"
        super().__init__(f"the mesh has no {what} named {name!r}; {what}s of this mesh: {known}")


@dataclass(frozen=True)
class Mesh:
    """A dolfinx mesh and its named surfaces and volumes.

    Attributes:
        domain: the dolfinx mesh, distributed over its communicator.
        surfaces: facets of each named surface: sorted indices local to this rank. Surfaces may overlap. Every rank
            has all names, also those of which it has no facet.
        volumes: cells of each named part of the body, likewise (areas in the plane).
    """

    domain: dolfinx.mesh.Mesh
    surfaces: Mapping[str, Int[np.ndarray, " facets"]]
    volumes: Mapping[str, Int[np.ndarray, " cells"]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        cell = self.domain.topology.cell_name()
        if cell not in _CELLS:
            raise MeshError(
                f"the mesh is made of {cell} cells, expected one of {', '.join(_CELLS)} (dolfinx 0.11 cannot assemble on the "
                "facets of prisms and pyramids)"
            )
        if self.domain.geometry.dim != self.domain.topology.dim:
            raise MeshError(
                f"the mesh has {self.domain.topology.dim}-d cells in {self.domain.geometry.dim}-d space: "
                "shells and membranes are not solids; use gdim = tdim"
            )

    @classmethod
    def of(
        cls,
        domain: dolfinx.mesh.Mesh,
        surfaces: Mapping[str, Callable[[Float[np.ndarray, "3 n"]], np.ndarray]],
        volumes: Mapping[str, Callable[[Float[np.ndarray, "3 n"]], np.ndarray]] | None = None,
    ) -> Mesh:
        """Name surfaces and volumes of a dolfinx mesh by where they are. Collective.

        Args:
            domain: any dolfinx mesh.
            surfaces: name -> marker; a boundary facet belongs to it when the marker is true at all its vertices, as in
                `dolfinx.mesh.locate_entities_boundary`.
            volumes: name -> marker; a cell belongs to it when the marker is true at its midpoint.

        Raises:
            MeshError: a marker finds no boundary facet, or no cell.
        """
        dimension = domain.topology.dim - 1
        domain.topology.create_connectivity(dimension, dimension + 1)
        found = {
            name: np.sort(dolfinx.mesh.locate_entities_boundary(domain, dimension, marker))
            for name, marker in surfaces.items()
        }
        for name, facets in found.items():
            if domain.comm.allreduce(facets.size) == 0:
                raise MeshError(f"the marker of surface {name!r} is true on no boundary facet")
        cells = domain.topology.index_map(domain.topology.dim)
        local = np.arange(cells.size_local + cells.num_ghosts, dtype=np.int32)
        middles = dolfinx.mesh.compute_midpoints(domain, domain.topology.dim, local).reshape(-1, 3).T
        parts = {name: local[np.asarray(marker(middles), dtype=bool)] for name, marker in (volumes or {}).items()}
        for name, part in parts.items():
            if domain.comm.allreduce(part.size) == 0:
                raise MeshError(f"the marker of volume {name!r} is true at the midpoint of no cell")
        return cls(domain, found, parts)

    def facets(self, name: str) -> Int[np.ndarray, " facets"]:
        """Facets of the named surface on this rank; raises MeshNameError, alike on all ranks."""
        if name not in self.surfaces:
            raise MeshNameError(name, tuple(self.surfaces))
        return self.surfaces[name]

    def cells(self, name: str) -> Int[np.ndarray, " cells"]:
        """Cells of the named volume on this rank, ghosts included; raises MeshNameError, alike on all ranks."""
        if name not in self.volumes:
            raise MeshNameError(name, tuple(self.volumes), "volume")
        return self.volumes[name]


def read_mesh(path: str | Path, comm: MPI.Intracomm = MPI.COMM_WORLD) -> Mesh:
    """Read a mesh with named surfaces; it is distributed over `comm`.

    gmsh files (.msh) are read by gmsh: physical groups of the highest dimension are the volumes and say which cells belong
    to the solid, those one dimension below are the surfaces. Other formats are read by meshio (Abaqus, VTK, Exodus, MED,
    ...; `fem.foreign_mesh` says what becomes of their sets and tags). A plane mesh (z = 0) gives a two-dimensional domain.

    Args:
        path: file name.
        comm: communicator over which the mesh is distributed.

    Raises:
        MeshError: missing, unreadable or unsuitable file; cells which are inverted, duplicate, without volume or in parts
            that do not hang together; alike on all ranks.
    """
    path = Path(path)
    if path.suffix != ".msh":
        from fem import foreign_mesh

        return foreign_mesh.read(path, comm)
    # Rank 0 alone reads and checks; the verdict is sent before anything collective starts, so nobody is left waiting.
    with _gmsh_session(comm.rank == 0) as gmsh:
        verdict: tuple[str, int, list[tuple[int, int, str]]] = ("", 0, [])
        if comm.rank == 0:
            try:
                verdict = ("", *_load(gmsh, path))
            except MeshError as error:
                verdict = (str(error), 0, [])
        message, dimension, names = comm.bcast(verdict)
        if message:
            raise MeshError(message)
        from dolfinx.io.gmsh import model_to_mesh

        data = model_to_mesh(gmsh.model if gmsh else None, comm, 0, gdim=dimension)
    return Mesh(
        data.mesh,
        _entities(data.facet_tags, {tag: name for d, tag, name in names if d == dimension - 1}),
        _entities(data.cell_tags, {tag: name for d, tag, name in names if d == dimension}),
    )


def _entities(tags: Any, names: Mapping[int, str]) -> dict[str, Int[np.ndarray, " n"]]:
    """Indices of the tagged entities by name; several tags of one name come together."""
    found: dict[str, np.ndarray] = {}
    for tag, name in sorted(names.items()):
        indices = tags.find(tag) if tags is not None else np.empty(0, dtype=np.int32)
        found[name] = np.union1d(found.get(name, indices), indices).astype(np.int32)
    return found


@contextmanager
def _gmsh_session(wanted: bool) -> Iterator[Any]:
    """gmsh with a fresh model, leaving a session of the caller's as it was; None where it is not wanted."""
    if not wanted:
        yield None
        return
    import gmsh

    ours = not gmsh.isInitialized()
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    if ours:
        gmsh.initialize(interruptible=False)
        _take_back(handlers)
    previous = gmsh.model.getCurrent()
    verbosity = gmsh.option.getNumber("General.Verbosity")
    gmsh.option.setNumber("General.Verbosity", 0)
    gmsh.model.add("atomlaw mesh")
    try:
        yield gmsh
    finally:
        gmsh.model.remove()
        gmsh.option.setNumber("General.Verbosity", verbosity)
        if ours:
            gmsh.finalize()
            _take_back(handlers)
        else:
            gmsh.model.setCurrent(previous)


def _take_back(handlers: Mapping[signal.Signals, Any]) -> None:
    """Reinstate the process's signal handlers, which gmsh replaces; threads other than the main one may not."""
    if threading.current_thread() is threading.main_thread():
        for number, handler in handlers.items():
            if handler is not None:
                signal.signal(number, handler)


def _load(gmsh: Any, path: Path) -> tuple[int, list[tuple[int, int, str]]]:
    """Merge the file into gmsh's current model; return the dimension of the solid and its groups: dimension, tag, name."""
    if not path.is_file():
        raise MeshError(f"mesh file {str(path)!r} does not exist")
    try:
        gmsh.merge(str(path))
    except Exception as error:  # gmsh raises bare Exception
        raise MeshError(f"mesh file {str(path)!r} cannot be read: {error}") from error

    groups = gmsh.model.getPhysicalGroups()
    dimension = max((d for d, _ in groups), default=0)
    if dimension < 2:
        raise MeshError(
            f"mesh file {str(path)!r} has no physical volume (or surface, in the plane): name the solid and its "
            "surfaces by physical groups"
        )
    entities = [(d, int(entity)) for d, tag in groups for entity in gmsh.model.getEntitiesForPhysicalGroup(d, tag)]
    twice = {e for e in entities if e[0] >= dimension - 1 and entities.count(e) > 1}
    if twice:
        raise MeshError(f"mesh file {str(path)!r}: entities {sorted(twice)} (dimension, tag) are in several groups")
    cells: set[str] = set()
    for entity in gmsh.model.getEntities(dimension):
        for kind in gmsh.model.mesh.getElements(*entity)[0]:
            if tuple(entity) not in entities:
                raise MeshError(f"mesh file {str(path)!r}: cells of entity {entity} belong to no physical group")
            cells.add(gmsh.model.mesh.getElementProperties(kind)[0].split()[0])
    if len(cells) != 1 or not cells <= set(_GMSH_FAMILY):
        raise MeshError(
            f"mesh file {str(path)!r} has {', '.join(sorted(cells)) or 'no'} cells, expected one kind of "
            f"{', '.join(_CELLS)} (dolfinx 0.11 cannot assemble on the facets of prisms and pyramids)"
        )
    if dimension == 2 and np.any(np.abs(gmsh.model.mesh.getNodes()[1].reshape(-1, 3)[:, 2]) > 0.0):
        raise MeshError(f"mesh file {str(path)!r} is a surface in space, expected all z = 0 for plane strain")
    gmsh.model.mesh.renumberNodes()  # dolfinx asks for consecutive node numbers
    wrong = _complaint(gmsh, dimension, _GMSH_FAMILY[next(iter(cells))])
    if wrong:
        raise MeshError(f"mesh file {str(path)!r}: {wrong}")
    names = [(d, tag, gmsh.model.getPhysicalName(d, tag) or str(tag)) for d, tag in groups if d >= dimension - 1]
    return dimension, names


def _complaint(gmsh: Any, dimension: int, cell: str) -> str:
    """What is wrong with the cells of gmsh's current model, "" if nothing is."""
    from fem.mesh_check import complaint

    numbers, coordinates, _ = gmsh.model.mesh.getNodes()
    points = np.empty((len(numbers), 3))
    points[numbers.astype(np.int64) - 1] = coordinates.reshape(-1, 3)
    kinds, _, nodes = gmsh.model.mesh.getElements(dimension)
    corners = []
    for kind, of_kind in zip(kinds, nodes, strict=True):
        _, _, _, count, _, primary = gmsh.model.mesh.getElementProperties(kind)
        corners.append(of_kind.astype(np.int64).reshape(-1, count)[:, :primary] - 1)
    return complaint(points[:, :dimension], np.concatenate(corners), cell)
