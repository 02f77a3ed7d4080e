"""Supports: which components of the displacement are prescribed where, as functions of the load factor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mpi4py import MPI  # isort: skip

import numpy as np
from dolfinx import fem as dfem
from jaxtyping import Float
from petsc4py import PETSc

from fem.conditions import ConditionError, Schedule, proportional
from fem.mesh import Mesh
from fem.rigid_motions import RIGID_MOTIONS, motions_of

Field = Callable[[Float[np.ndarray, "3 n"]], Float[np.ndarray, "gdim n"]]
"""A displacement as a function of the undeformed positions X."""

Motion = Callable[[Float[np.ndarray, "3 n"], float], Float[np.ndarray, "gdim n"]]
"""A displacement as a function of the undeformed positions X and of the load factor; NaN where a component is free."""

# Two supports of one node have to agree at these load factors.
_COMPARED_AT = (1.0, 0.31, 0.73)
# of the central differences which give the rate of a motion: the error is 1e-12 of a motion of curvature 1
_INCREMENT = 1e-6


@dataclass(frozen=True)
class Support:
    """A prescribed motion of a surface."""

    surface: str
    motion: Motion


def components(values: Sequence[float | None], schedule: Schedule = proportional) -> Motion:
    """The same displacement of all nodes, schedule(load factor) times `values`; None leaves a component free."""
    full = np.array([[np.nan if v is None else v] for v in values])

    def motion(X: Float[np.ndarray, "3 n"], load_factor: float) -> Float[np.ndarray, "gdim n"]:
        return np.asarray(float(schedule(load_factor)) * full * np.ones(X.shape[1]))

    return motion


def field(displacement: Field, schedule: Schedule = proportional) -> Motion:
    """schedule(load factor) times a function of the undeformed positions."""

    def motion(X: Float[np.ndarray, "3 n"], load_factor: float) -> Float[np.ndarray, "gdim n"]:
        return float(schedule(load_factor)) * np.asarray(displacement(X), dtype=np.float64)

    return motion


def rotation(
    angle: float,
    axis: Sequence[float],
    centre: Sequence[float],
    along: float | None = 0.0,
    schedule: Schedule = proportional,
    dimension: int = 3,
) -> Motion:
    """A finite rigid rotation about an axis, and a displacement along it.

    u = (R - I)(X - centre) + s along axis,  R = I + sin(s angle) W + (1 - cos(s angle)) W^2,  s = schedule(load factor)

    with W the cross product by the unit vector along the axis (Rodrigues). The angle may exceed 2 pi: the path counts.

    Args:
        angle: at full load, in radians, right-handed about the axis.
        axis: its direction, of any length.
        centre: a point on it.
        along: displacement along the axis at full load; None leaves it free, for an axis along x, y or z.
        schedule: of the angle and of `along`.
        dimension: components of u which are kept.
    """
    unit = np.asarray(axis, dtype=np.float64) / np.linalg.norm(axis)
    W = np.cross(unit, np.eye(3)).T
    origin = np.asarray(centre, dtype=np.float64)[:, None]

    def motion(X: Float[np.ndarray, "3 n"], load_factor: float) -> Float[np.ndarray, "gdim n"]:
        part = float(schedule(load_factor))
        turn = part * angle
        # 1 - cos without cancellation for small turns
        u = (np.sin(turn) * W + 2.0 * np.sin(0.5 * turn) ** 2 * W @ W) @ (X - origin)
        if along is None:
            u[np.argmax(np.abs(unit))] = np.nan
        else:
            u += part * along * unit[:, None]
        return np.asarray(u[:dimension])

    return motion


class Supports:
    """The prescribed displacements of a body at a load factor. Collective.

    Args:
        mesh, space: the body.
        supports: may overlap where they agree.
        springs: what else holds the body: the energies K_ml of springs between the motions of `fem.rigid_motions.motions_of`.

    Attributes:
        conditions: for dolfinx, with the values at the present load factor.

    Raises:
        ConditionError: no support at all; two supports which prescribe different values at one node; a motion which does
            not start from zero; or supports which leave a rigid motion free.
    """

    def __init__(
        self,
        mesh: Mesh,
        space: dfem.FunctionSpace,
        supports: Sequence[Support],
        springs: Float[np.ndarray, "m m"] | None = None,
    ) -> None:
        if not supports and springs is None:
            raise ConditionError(
                "no surface is supported: the body would fly away; add clamp(...), symmetry(...) or prescribe(...)"
            )
        self._space, self._comm = space, mesh.domain.comm
        self._supports = tuple(supports)
        self._X = space.tabulate_dof_coordinates()
        self._nodes = [
            dfem.locate_dofs_topological(space, mesh.domain.topology.dim - 1, mesh.facets(support.surface))
            for support in supports
        ]
        self._check_motions()
        self._held = ~np.isnan(self._values(1.0)[0])
        self._check_rigid_motions(mesh.domain.geometry.dim, springs)
        self._largest = 0.0
        self._functions = []
        self.conditions = []
        for i in range(space.dofmap.bs):
            component, dofs = space.sub(i).collapse()
            dofs = np.asarray(dofs, dtype=np.int32).reshape(-1)
            held = np.flatnonzero(self._held.reshape(-1)[dofs]).astype(np.int32)
            held = held[np.argsort(dofs[held])]  # dolfinx counts the owned ones on sorted numbers
            value = dfem.Function(component)
            self.conditions.append(dfem.dirichletbc(value, [dofs[held], held], space.sub(i)))
            self._functions.append((value, dofs))
        self.set_load_factor(0.0)

    def set_load_factor(self, factor: float) -> None:
        """Prescribe the motions of that load factor. Collective."""
        values, _ = self._values(factor)
        self._prescribed = np.nan_to_num(values).reshape(-1)
        largest = self._comm.allreduce(float(np.abs(self._prescribed).max(initial=0.0)), MPI.MAX)
        self._largest = max(self._largest, largest)
        self._fill(self._prescribed)

    def set_rate(self, factor: float) -> None:
        """Have the derivative of the motions by the load factor as the values of the conditions, until the next `set_load_factor`."""
        ahead, _ = self._values(factor + _INCREMENT)
        behind, _ = self._values(factor - _INCREMENT)
        self._fill(np.nan_to_num((ahead - behind) / (2.0 * _INCREMENT)).reshape(-1))

    def reached(self, x: PETSc.Vec) -> bool:
        """Whether the vector has the prescribed values already, to round-off. Collective."""
        held = self._held.reshape(-1)[: x.local_size]
        gap = float(np.abs((x.array_r - self._prescribed[: x.local_size])[held]).max(initial=0.0))
        return bool(self._comm.allreduce(gap, MPI.MAX) <= 1e-12 * self._largest)

    def held(self) -> np.ndarray:
        """Which owned unknowns of this rank are prescribed."""
        owned = self._space.dofmap.index_map.size_local
        return np.asarray(self._held[:owned].reshape(-1))

    def resultants(self, forces: Float[np.ndarray, " n"]) -> dict[str, tuple[float, ...]]:
        """Sums of nodal forces, given at the owned unknowns, over the held components of each supported surface. Collective."""
        owned = self._space.dofmap.index_map.size_local
        held = np.where(self._held[:owned], forces.reshape(owned, self._space.dofmap.bs), 0.0)
        totals = {}
        for surface in dict.fromkeys(support.surface for support in self._supports):
            nodes = np.unique(
                np.concatenate([n for s, n in zip(self._supports, self._nodes, strict=True) if s.surface == surface])
            )
            total = self._comm.allreduce(held[nodes[nodes < owned]].sum(axis=0))
            totals[surface] = tuple(float(t) for t in total)
        return totals

    def _fill(self, values: Float[np.ndarray, " n"]) -> None:
        for function, dofs in self._functions:
            function.x.array[:] = values[dofs]

    def _values(self, factor: float) -> tuple[Float[np.ndarray, "nodes d"], str]:
        """Prescribed values of all nodes of this rank, NaN where free, and the first contradiction, "" if there is none."""
        values = np.full((len(self._X), self._space.dofmap.bs), np.nan)
        contradiction = ""
        for support, nodes in zip(self._supports, self._nodes, strict=True):
            theirs = self._motion(support, nodes, factor).T
            before = values[nodes]
            size = np.nanmax(np.abs(np.concatenate([before, theirs])), initial=0.0)
            clash = np.argwhere(np.abs(before - theirs) > 1e-12 * size)
            if len(clash) and not contradiction:
                node, i = clash[0]
                contradiction = (
                    f"surface {support.surface!r} prescribes u_{'xyz'[i]} = {theirs[node, i]} at a node where another support "
                    f"prescribes {before[node, i]}"
                )
            values[nodes] = np.where(np.isnan(theirs), before, theirs)
        return values, contradiction

    def _motion(self, support: Support, nodes: np.ndarray, factor: float) -> Float[np.ndarray, "d n"]:
        return np.asarray(support.motion(self._X[nodes].T, factor), dtype=np.float64)

    def _check_motions(self) -> None:
        """Every motion has the right shape, finite numbers, free components that stay free, and none contradicts another."""
        problems = [self._problem(s, n) for s, n in zip(self._supports, self._nodes, strict=True)]
        self._raise_first(problems)
        self._raise_first([self._values(factor)[1] for factor in _COMPARED_AT])

    def _problem(self, support: Support, nodes: np.ndarray) -> str:
        expected = (self._space.dofmap.bs, len(nodes))
        found = [self._motion(support, nodes, factor) for factor in (*_COMPARED_AT, 0.0)]
        shapes = {values.shape for values in found}
        if shapes != {expected} or np.isinf(found).any():
            return (
                f"the displacement function of surface {support.surface!r} returned shape {found[0].shape}, expected "
                f"{expected} with finite numbers"
            )
        free = np.isnan(found)
        if len(nodes) and ((free != free[0]).any() or (free[0].any(axis=1) != free[0].all(axis=1)).any()):
            return (
                f"the displacement function of surface {support.surface!r} returned NaN at some nodes or load factors only, "
                "expected a component to be free (NaN) everywhere or nowhere"
            )
        if np.nanmax(np.abs(found[-1]), initial=0.0) > 1e-12 * np.nanmax(np.abs(found), initial=0.0):
            return f"the displacement of surface {support.surface!r} is not zero at load factor 0, where the body is undeformed"
        return ""

    def _raise_first(self, problems: Sequence[str]) -> None:
        for problem in (p for of_rank in self._comm.allgather(list(problems)) for p in of_rank if p):
            raise ConditionError(problem)

    def _check_rigid_motions(self, dimension: int, springs: Float[np.ndarray, "m m"] | None) -> None:
        """Refuse supports under which some rigid motion costs nothing: the tangent would be singular."""
        owned = self._space.dofmap.index_map.size_local
        motions = motions_of(self._space)[:owned] * self._held[:owned, :, None]
        gram = self._comm.allreduce(np.einsum("nim,nil->ml", motions, motions))
        gram = gram / max(np.trace(gram), 1.0)
        if springs is not None:
            gram = gram + springs / np.trace(springs)
        values, vectors = np.linalg.eigh(gram)
        if values[0] <= 1e-10 * values[-1]:
            free = int(np.argmax(np.abs(vectors[:, 0])))
            raise ConditionError(
                f"the supports leave a rigid motion free (mostly: {RIGID_MOTIONS[dimension][free]}); hold it by another "
                "clamp(...), symmetry(...), prescribe(...) or foundation(...)"
            )
