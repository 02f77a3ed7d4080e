"""Boundary conditions: which displacement components are prescribed where, and which surfaces carry a dead traction."""

from __future__ import annotations

from collections.abc import Sequence
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


@dataclass(frozen=True)
class Support:
    """Displacement components prescribed on a surface, at full load; None leaves a component free."""

    surface: str
    displacement: tuple[float | None, ...]


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
        self._values: list[tuple[dfem.Constant, float]] = []
        self.conditions: list[dfem.DirichletBC] = []
        prescribed = np.full((space.tabulate_dof_coordinates().shape[0], space.dofmap.bs), np.nan)
        conflict = ""
        facets = mesh.domain.topology.dim - 1
        for support in supports:
            nodes = dfem.locate_dofs_topological(space, facets, mesh.facets(support.surface))
            for i, value in enumerate(support.displacement):
                if value is None:
                    continue
                before = prescribed[nodes, i]
                if np.any(~np.isnan(before) & (before != value)):
                    other = before[~np.isnan(before) & (before != value)][0]
                    conflict = (
                        f"surface {support.surface!r} prescribes u_{'xyz'[i]} = {value} where another support "
                        f"prescribes {other}"
                    )
                prescribed[nodes, i] = value
                constant = dfem.Constant(mesh.domain, value)
                dofs = (nodes * space.dofmap.bs + i).astype(np.int32)
                self.conditions.append(dfem.dirichletbc(constant, dofs, space.sub(i)))
                self._values.append((constant, value))
        conflicts = [c for c in mesh.domain.comm.allgather(conflict) if c]
        if conflicts:
            raise ConditionError(conflicts[0])
        self._check_rigid_motions(mesh, ~np.isnan(prescribed))

    def set_load_factor(self, factor: float) -> None:
        """Prescribe `factor` times the full values."""
        for constant, value in self._values:
            constant.value = factor * value

    def reached(self, x: PETSc.Vec) -> bool:
        """Whether the vector has the prescribed values already, to round-off. Collective."""
        gap, largest = 0.0, 0.0
        values = x.array_r
        for condition, (constant, _) in zip(self.conditions, self._values, strict=True):
            dofs, owned = condition.dof_indices()
            wanted = float(constant.value)
            gap = max(gap, float(np.max(np.abs(values[dofs[:owned]] - wanted), initial=0.0)))
            largest = max(largest, abs(wanted))
        return bool(self._comm.allreduce(gap, MPI.MAX) <= 1e-12 * largest)

    def _check_rigid_motions(self, mesh: Mesh, held: np.ndarray) -> None:
        """Refuse supports under which some rigid motion costs nothing: the tangent would be singular."""
        comm, dimension = mesh.domain.comm, mesh.domain.geometry.dim
        owned = self._space.dofmap.index_map.size_local
        X = self._space.tabulate_dof_coordinates()[:owned]
        count = comm.allreduce(len(X))
        X = X - comm.allreduce(X.sum(axis=0)) / count
        X /= np.sqrt(comm.allreduce(float((X * X).sum())) / count)
        motions = rigid_motions(X, dimension) * held[:owned, :dimension, None]
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
