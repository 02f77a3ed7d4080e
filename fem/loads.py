"""Loads: what acts on a body besides its supports.

The virtual work of all loads at a displacement u and a load factor, for a virtual displacement v:

    dead traction       s int t . v dA
    body force          s int b . v dV
    follower pressure  -s int p cof(F) N . v dA,   cof(F) N dA = J F^-T N dA = n da  (Nanson)
    spring foundation  -int (k_n N N^T + k_t (I - N N^T)) u . v dA

dA, dV, N are those of the undeformed body, s = schedule(load factor). A pressure pushes onto the deformed surface, wherever
it goes; its derivative by u (by UFL, exact) makes the tangent unsymmetric unless the surface is closed or its rim is held.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mpi4py import MPI  # isort: skip  # noqa: F401

import dolfinx.fem.petsc as petsc_fem
import numpy as np
import ufl
from dolfinx import fem as dfem
from jaxtyping import Float
from petsc4py import PETSc

from fem.conditions import Schedule, facet_measures, proportional, rate
from fem.mesh import Mesh
from fem.rigid_motions import motions_of


@dataclass(frozen=True)
class Traction:
    """Dead traction t on a surface: force per reference area, in the law's stress unit, at full load."""

    surface: str
    traction: tuple[float, ...]
    schedule: Schedule = proportional


@dataclass(frozen=True)
class BodyForce:
    """Dead force b per reference volume, at full load."""

    force: tuple[float, ...]
    schedule: Schedule = proportional


@dataclass(frozen=True)
class Pressure:
    """Follower pressure p per deformed area, positive onto the body, at full load."""

    surface: str
    pressure: float
    schedule: Schedule = proportional


@dataclass(frozen=True)
class Foundation:
    """Springs between a surface and the ground, stiffness per reference area along the undeformed normal and across it."""

    surface: str
    normal: float
    tangential: float


Load = Traction | BodyForce | Pressure | Foundation


class Loads:
    """The nodal forces of all loads, their derivatives, and the potential of those which have one. Collective.

    Args:
        mesh: the body's.
        displacement: u.
        loads: of any kinds, several on one surface add up.
        width: extent of the body across the plane, as a UFL expression which multiplies dA and dV: 2 pi R in axisymmetry, say.
        stretch: F33 at the surfaces, as a UFL expression; 1 in plane strain.

    Attributes:
        conservative: whether the loads have a potential whatever the supports are: no follower pressure.
        constant: whether nodal forces depend on the load factor alone.
    """

    def __init__(
        self,
        mesh: Mesh,
        displacement: dfem.Function,
        loads: Sequence[Load],
        width: Any = 1.0,
        stretch: Any = 1.0,
    ) -> None:
        self._u = displacement
        space = displacement.function_space
        self._scales: list[tuple[Schedule, np.ndarray, dfem.Constant]] = []
        v, du = ufl.TestFunction(space), ufl.TrialFunction(space)
        domain, N = mesh.domain, ufl.FacetNormal(mesh.domain)
        F = ufl.Identity(domain.geometry.dim) + ufl.grad(displacement)
        ds = facet_measures(mesh, [load.surface for load in loads if not isinstance(load, BodyForce)])
        dead, following, springs = [], [], []
        for load in loads:
            match load:
                case Traction(surface, traction, schedule):
                    t = self._scaled(schedule, traction)
                    dead.append(width * ufl.inner(t, v) * ds[surface])
                case BodyForce(force, schedule):
                    b = self._scaled(schedule, force)
                    dead.append(width * ufl.inner(b, v) * ufl.dx(domain))
                case Pressure(surface, pressure, schedule):
                    p = self._scaled(schedule, pressure)
                    pushed = width * stretch * ufl.inner(ufl.cofac(F) * N, v)
                    following.append(-p * pushed * ds[surface])
                case Foundation(surface):
                    springs.append(width * _spring(mesh, load, N, du, v) * ds[surface])
        self.conservative = not following
        self.constant = not following and not springs
        restoring = [-ufl.action(k, displacement) for k in springs]
        moving = sum([*following, *restoring])
        self._dead = dfem.form(sum(dead)) if dead else None
        self._following = dfem.form(sum(following)) if following else None
        self._moving = None if self.constant else dfem.form(moving)
        self.tangent = None if self.constant else dfem.form(-ufl.derivative(moving, displacement, du))
        self._stored = (
            dfem.form(-0.5 * sum(ufl.action(force, displacement) for force in restoring)) if springs else None
        )
        self._vectors = [petsc_fem.create_vector(space) for _ in range(3)]
        self._constant_part, self._work, self._frozen = self._vectors
        self._comm = domain.comm
        self.set_load_factor(0.0)

    def set_load_factor(self, factor: float) -> None:
        """Let the loads of that load factor act."""
        for schedule, full, constant in self._scales:
            constant.value = schedule(factor) * full
        assemble(self._constant_part, self._dead)

    def add_forces(self, vector: PETSc.Vec, scale: float = 1.0) -> None:
        """Add `scale` times the nodal forces at the present displacement and load factor."""
        vector.axpy(scale, self._constant_part)
        if self._moving is not None:
            assemble(self._work, self._moving)
            vector.axpy(scale, self._work)

    def rate(self, vector: PETSc.Vec, factor: float) -> None:
        """Derivative of the nodal forces by the load factor, at the present displacement."""
        now = [np.array(constant.value) for _, _, constant in self._scales]
        for schedule, full, constant in self._scales:
            constant.value = rate(schedule, factor) * full
        assemble(vector, self._dead, self._following)
        for (_, _, constant), value in zip(self._scales, now, strict=True):
            constant.value = value

    def freeze(self) -> None:
        """Count the following loads, as they act now, as dead ones in `dead_work`, until they are frozen again. Collective."""
        if self._following is not None:
            assemble(self._frozen, self._following)

    def size(self) -> float:
        """Norm of the nodal forces which depend on the load factor alone. Collective."""
        return float(self._constant_part.norm())

    def dead_work(self, x: PETSc.Vec) -> float:
        """Dead and frozen forces times displacements: what the loads' potential falls by. Collective."""
        work = float(self._constant_part.dot(x))
        return work if self._following is None else work + float(self._frozen.dot(x))

    def stored(self) -> float:
        """Energy of the springs at the present displacement. Collective."""
        if self._stored is None:
            return 0.0
        return float(self._comm.allreduce(dfem.assemble_scalar(self._stored)))

    def destroy(self) -> None:
        """Free the PETSc objects. Collective."""
        for vector in self._vectors:
            vector.destroy()

    def _scaled(self, schedule: Schedule, full: float | tuple[float, ...]) -> dfem.Constant:
        """What acts of a full load; a constant of the form, which is compiled once for all values of it."""
        values = np.asarray(full, dtype=np.float64)
        constant = dfem.Constant(self._u.function_space.mesh, np.zeros_like(values))
        self._scales.append((schedule, values, constant))
        return constant


def assemble(vector: PETSc.Vec, *forms: dfem.Form | None) -> None:
    """Sum of linear forms, ghost contributions sent to their owners. Collective."""
    with vector.localForm() as local:
        local.set(0.0)
    for form in forms:
        if form is not None:
            petsc_fem.assemble_vector(vector, form)
    add_ghosts(vector)


def add_ghosts(vector: PETSc.Vec) -> None:
    """Send ghost contributions to their owners. Collective."""
    vector.ghostUpdate(addv=PETSc.InsertMode.ADD, mode=PETSc.ScatterMode.REVERSE)


def spring_energies(mesh: Mesh, space: dfem.FunctionSpace, loads: Sequence[Load]) -> Float[np.ndarray, "m m"] | None:
    """What springs cost rigid motions, K_ml between those of `fem.rigid_motions.motions_of`; None without springs. Collective."""
    foundations = [load for load in loads if isinstance(load, Foundation)]
    if not foundations:
        return None
    N = ufl.FacetNormal(mesh.domain)
    a, b = dfem.Function(space), dfem.Function(space)
    ds = facet_measures(mesh, [f.surface for f in foundations])
    energy = dfem.form(sum(_spring(mesh, f, N, a, b) * ds[f.surface] for f in foundations))
    modes = motions_of(space)
    count = modes.shape[2]
    gram = np.zeros((count, count))
    for m in range(count):
        a.x.array[:] = modes[:, :, m].reshape(-1)
        for k in range(m + 1):
            b.x.array[:] = modes[:, :, k].reshape(-1)
            gram[m, k] = gram[k, m] = mesh.domain.comm.allreduce(dfem.assemble_scalar(energy))
    return gram


def _spring(mesh: Mesh, foundation: Foundation, N: Any, u: Any, v: Any) -> Any:
    """(k_n N N^T + k_t (I - N N^T)) u . v"""
    normal, tangential = (dfem.Constant(mesh.domain, k) for k in (foundation.normal, foundation.tangential))
    across = ufl.inner(u, N) * ufl.inner(v, N)
    return normal * across + tangential * (ufl.inner(u, v) - across)
