"""Boundary conditions: which displacement components are prescribed where, and which surfaces carry a dead traction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mpi4py import MPI  # isort: skip

import numpy as np
import ufl
from dolfinx import fem as dfem
from dolfinx.mesh import exterior_facet_indices
from jaxtyping import Float
from petsc4py import PETSc

from fem.mesh import Mesh


class ConditionError(ValueError):
    """Boundary conditions which define no problem: contradictory, of the wrong size, or leaving the body loose."""


Field = Callable[[Float[np.ndarray, "3 n"]], Float[np.ndarray, "gdim n"]]
"""A displacement as a function of the undeformed positions X."""


@dataclass(frozen=True)
class Support:
    """Displacement components prescribed on a surface, at full load; None leaves a component free."""

    surface: str
    displacement: tuple[float | None, ...] | Field


@dataclass(frozen=True)
class Traction:
    """Dead traction on a surface: force per reference area, in the law's stress unit, at full load."""

    surface: str
    traction: tuple[float, ...]


def checked_vector(values: Sequence[float | None], dimension: int, what: str) -> tuple[float | None, ...]:
    """The components as floats; raises ConditionError unless there are `dimension`, finite or None."""
    if len(values) != dimension:
        raise ConditionError(f"{what} has {len(values)} components {tuple(values)}, expected {dimension}")
    checked = tuple(None if v is None else float(v) for v in values)
    if not all(v is None or np.isfinite(v) for v in checked):
        raise ConditionError(f"{what} is {tuple(values)}, expected finite components")
    return checked


def normal_axis(mesh: Mesh, surface: str) -> int:
    """The coordinate axis normal to a plane surface. Collective.

    Raises:
        ConditionError: the surface is curved or its normal is no coordinate axis.
    """
    n = ufl.FacetNormal(mesh.domain)
    ds = facet_measure(mesh, surface)
    square = [float(_integral(mesh, n[i] * n[i] * ds)) for i in range(mesh.domain.geometry.dim)]
    axis = int(np.argmax(square))
    share = square[axis] / sum(square)
    if share < 1.0 - 1e-10:
        raise ConditionError(
            f"surface {surface!r} is not normal to a coordinate axis (its closest axis is {'xyz'[axis]}, share "
            f"{share:.6f}), expected a symmetry plane x, y or z = constant"
        )
    return axis


def _integral(mesh: Mesh, form: ufl.Form) -> float:
    return float(mesh.domain.comm.allreduce(dfem.assemble_scalar(dfem.form(form))))


class Supports:
    """The prescribed displacements of a body, scaled together by the load factor. Collective.

    Attributes:
        conditions: for dolfinx.

    Raises:
        ConditionError: no support at all; two supports which prescribe different values at one node; or supports which
            leave a rigid motion free.
    """

    def __init__(self, mesh: Mesh, space: dfem.FunctionSpace, supports: Sequence[Support]) -> None:
        if not supports:
            raise ConditionError(
                "no surface is supported: the body would fly away; add clamp(...), symmetry(...) or prescribe(...)"
            )
        self._space = space
        self._comm = mesh.domain.comm
        # full values of all nodes of this rank, NaN where a component is free
        self._prescribed = np.full((len(space.tabulate_dof_coordinates()), space.dofmap.bs), np.nan)
        conflicts = [self._add(mesh, support) for support in supports]
        for conflict in (c for of_rank in self._comm.allgather(conflicts) for c in of_rank if c):
            raise ConditionError(conflict)
        self._check_rigid_motions(mesh)
        self._largest = self._comm.allreduce(float(np.nanmax(np.abs(self._prescribed), initial=0.0)), MPI.MAX)
        self._factor = 0.0
        self.conditions, self._values = [], []
        for i in range(space.dofmap.bs):
            component, dofs = space.sub(i).collapse()
            dofs = np.asarray(dofs, dtype=np.int32).reshape(-1)
            full = self._prescribed.reshape(-1)[dofs]
            held = np.flatnonzero(~np.isnan(full)).astype(np.int32)
            held = held[np.argsort(dofs[held])]  # dolfinx counts the owned ones on sorted numbers
            value = dfem.Function(component)
            self.conditions.append(dfem.dirichletbc(value, [dofs[held], held], space.sub(i)))
            self._values.append((value, np.nan_to_num(full)))

    def set_load_factor(self, factor: float) -> None:
        """Prescribe `factor` times the full values."""
        self._factor = factor
        for value, full in self._values:
            value.x.array[:] = factor * full

    def reached(self, x: PETSc.Vec) -> bool:
        """Whether the vector has the prescribed values already, to round-off. Collective."""
        wanted = self._factor * self._prescribed.reshape(-1)[: x.local_size]
        gap = float(np.nanmax(np.abs(x.array_r - wanted), initial=0.0))
        return bool(self._comm.allreduce(gap, MPI.MAX) <= 1e-12 * self._factor * self._largest)

    def _add(self, mesh: Mesh, support: Support) -> str:
        """Enter one support; returns what it contradicts, "" if nothing. Collective."""
        facets = mesh.facets(support.surface)
        nodes = dfem.locate_dofs_topological(self._space, mesh.domain.topology.dim - 1, facets)
        bs = self._space.dofmap.bs
        if callable(support.displacement):
            X = self._space.tabulate_dof_coordinates()[nodes].T
            values = np.asarray(support.displacement(X), dtype=np.float64)
            if values.shape != (bs, len(nodes)) or not np.isfinite(values).all():
                return (
                    f"the displacement function of surface {support.surface!r} returned shape {values.shape}, expected "
                    f"{(bs, len(nodes))} with finite numbers"
                )
        else:
            values = np.array([[np.nan if v is None else v] for v in support.displacement]) * np.ones(len(nodes))
        before = self._prescribed[nodes]
        clash = np.argwhere(np.abs(before - values.T) > 1e-12 * np.maximum(np.abs(before), np.abs(values.T)))
        self._prescribed[nodes] = np.where(np.isnan(values.T), before, values.T)
        if not len(clash):
            return ""
        node, i = clash[0]
        return (
            f"surface {support.surface!r} prescribes u_{'xyz'[i]} = {values[i, node]} at a node where another support "
            f"prescribes {before[node, i]}"
        )

    def _check_rigid_motions(self, mesh: Mesh) -> None:
        """Refuse supports under which some rigid motion costs nothing: the tangent would be singular."""
        comm, dimension = self._comm, mesh.domain.geometry.dim
        owned = self._space.dofmap.index_map.size_local
        X = self._space.tabulate_dof_coordinates()[:owned]
        count = comm.allreduce(len(X))
        X = X - comm.allreduce(X.sum(axis=0)) / count
        X /= np.sqrt(comm.allreduce(float((X * X).sum())) / count)
        motions = rigid_motions(X, dimension) * ~np.isnan(self._prescribed[:owned, :, None])
        gram = comm.allreduce(np.einsum("nim,nil->ml", motions, motions))
        values, vectors = np.linalg.eigh(gram)
        if values[0] <= 1e-10 * values[-1]:
            free = int(np.argmax(np.abs(vectors[:, 0])))
            names = _RIGID[dimension]
            raise ConditionError(
                f"the supports leave a rigid motion free (mostly: {names[free]}); hold it by another clamp(...), "
                "symmetry(...) or prescribe(...)"
            )


_RIGID = {
    2: ("translation along x", "translation along y", "rotation about z"),
    3: (
        "translation along x",
        "translation along y",
        "translation along z",
        "rotation about x",
        "rotation about y",
        "rotation about z",
    ),
}


def rigid_motions(X: Float[np.ndarray, "n 3"], dimension: int) -> Float[np.ndarray, "n d m"]:
    """Small rigid motions at the points X: d translations, then rotations (one in the plane, three in space)."""
    modes = np.zeros((len(X), dimension, len(_RIGID[dimension])))
    modes[:, range(dimension), range(dimension)] = 1.0
    axes = np.eye(3)[2:] if dimension == 2 else np.eye(3)
    for m, axis in enumerate(axes):
        modes[:, :, dimension + m] = np.cross(axis, X)[:, :dimension]
    return modes


def external_forces(space: dfem.FunctionSpace, mesh: Mesh, tractions: Sequence[Traction]) -> list[dfem.Form]:
    """int t . v dA over each loaded surface, at full load."""
    v = ufl.TestFunction(space)
    forms = []
    for load in tractions:
        t = dfem.Constant(mesh.domain, np.asarray(load.traction, dtype=np.float64))
        forms.append(dfem.form(ufl.inner(t, v) * facet_measure(mesh, load.surface)))
    return forms


def facet_measure(mesh: Mesh, surface: str) -> ufl.Measure:
    """ds over a named surface. Collective.

    Raises:
        ConditionError: part of the surface lies inside the body, where a traction would act on nothing.
    """
    topology = mesh.domain.topology
    topology.create_connectivity(topology.dim - 1, topology.dim)
    topology.create_connectivity(topology.dim, topology.dim - 1)
    facets = mesh.facets(surface)
    owned = facets[facets < topology.index_map(topology.dim - 1).size_local]
    outside = np.intersect1d(owned, exterior_facet_indices(topology)).astype(np.int32)
    inside = mesh.domain.comm.allreduce(owned.size - outside.size)
    if inside:
        raise ConditionError(f"{inside} facets of surface {surface!r} lie inside the body, expected a boundary surface")
    entities = dfem.compute_integration_domains(dfem.IntegralType.exterior_facet, topology, outside)
    return ufl.Measure("ds", domain=mesh.domain, subdomain_data=[(1, entities)], subdomain_id=1)
