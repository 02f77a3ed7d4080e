"""The residual of equilibrium and its tangent, as PETSc's vectors and matrix, at a displacement and a load factor.

    R(u; v) = int P(I + grad u) : grad v dV  -  (work of the loads, see `fem.loads`)
    K(u; v, du) = int grad v : A : grad du dV  -  (its derivative by u)

Rows of prescribed components say u - (prescribed value) = 0. While that does not hold yet, its change acts on the free rows through K:
a Newton step then moves the whole body, not the supported nodes alone.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from mpi4py import MPI  # isort: skip

import dolfinx.fem.petsc as petsc_fem
import numpy as np
from dolfinx import fem as dfem
from jaxtyping import Float
from petsc4py import PETSc

from fem.linear_solver import tell_rigid_motions
from fem.loads import Load, Loads, add_ghosts
from fem.material import LawFailed
from fem.supports import Supports
from fem.weak_form import WeakForm


class Residual:
    """R and K of a body. Collective.

    Args:
        weak: the body, its law and what it resists.
        supports, loads: what holds and what loads the body.

    Attributes:
        mesh: the body's.
        displacement: u at present.
        material: the law at the quadrature points.
        loads: what acts besides the supports.
        matrix: K as last assembled.
        objection: of the law to the last displacement which it rejected.
        useless: why `matrix` is the identity and not K, "" if it is K.
        supported: whether the last displacement had the prescribed values.
        nodal_force: the larger norm of the internal forces, reactions included, and of the loads, at the last displacement.
        round_off: |R| below which digits are noise.
        seconds: wall time of assembly so far, on this rank.

    Raises:
        LawFailed: the law cannot be evaluated in the undeformed state.
    """

    def __init__(self, weak: WeakForm, supports: Supports, loads: Sequence[Load]) -> None:
        self.mesh, self.displacement, self.material = weak.mesh, weak.displacement, weak.material
        space = self.displacement.function_space
        self.loads = Loads(weak.mesh, self.displacement, loads, weak.kind.width, weak.kind.stretch(self.displacement))
        self.matrix = petsc_fem.create_matrix(weak.tangents[0])
        tell_rigid_motions(self.matrix, space)
        self.objection = self.useless = ""
        self.supported = False
        self.nodal_force = self.seconds = 0.0
        self._weak, self._supports = weak, supports
        self._comm = weak.mesh.domain.comm
        self._load_factor = 0.0
        self._work = petsc_fem.create_vector(space)
        self._owned = self._work.local_size
        if not self.material.update():
            raise LawFailed(f"the law cannot be evaluated in the undeformed state: {self.material.rejection}")
        self._evaluated_at: np.ndarray | None = np.zeros(self._owned)
        d = weak.mesh.domain.geometry.dim
        nodes = space.dofmap.index_map.size_global
        self._spacing = (self.material.volume() / nodes) ** (1.0 / d)
        self._rounding = (
            10.0 * np.finfo(float).eps * self.material.stiffness() * self._spacing ** (d - 1) * np.sqrt(nodes)
        )
        self.round_off = float(self._rounding)

    def vector(self) -> Any:
        """A new vector of nodal values; whoever asks for it destroys it."""
        return petsc_fem.create_vector(self.displacement.function_space)

    def set_load_factor(self, load_factor: float) -> None:
        """Let the loads and prescribed displacements of that load factor act. Collective."""
        self._load_factor = load_factor
        self._supports.set_load_factor(load_factor)
        self.loads.set_load_factor(load_factor)

    def owned(self) -> Float[np.ndarray, " n"]:
        """The present displacement of the owned nodes, a copy."""
        return np.array(self.displacement.x.array[: self._owned])

    def set_owned(self, displacement: Float[np.ndarray, " n"]) -> None:
        """Change the displacement of the owned nodes, and of the ghosts with them. Collective."""
        self.displacement.x.array[: self._owned] = displacement
        self.displacement.x.scatter_forward()

    def held(self) -> np.ndarray:
        """Which owned unknowns are prescribed."""
        return self._supports.held()

    def evaluate(self, x: PETSc.Vec, f: PETSc.Vec) -> float:
        """R at x into f; returns |R|, NaN where the law cannot be evaluated (`objection`). Collective."""
        if not self._ask_law(x):
            f.set(np.nan)
            return float("nan")
        start = time.perf_counter()
        self.material.nodal_forces(f)
        self.nodal_force = max(_norm(f), self.loads.size())
        self.round_off = self._round_off_level(x)
        self.loads.add_forces(f, -1.0)
        self.supported = self._supports.reached(x)
        if not self.supported:
            self._lift(x, -1.0)
            f.axpy(1.0, self._work)
        petsc_fem.set_bc(f, self._supports.conditions, x0=x, alpha=-1.0)
        self.seconds += time.perf_counter() - start
        return _norm(f)

    def linearise(self, x: PETSc.Vec) -> None:
        """K at x into `matrix`, with ones on the diagonal of prescribed rows. Collective."""
        self._ask_law(x)
        start = time.perf_counter()
        self.matrix.zeroEntries()
        self.material.add_stiffness(self.matrix, self._supports.conditions)
        if self.loads.tangent is not None:
            petsc_fem.assemble_matrix(self.matrix, self.loads.tangent, self._supports.conditions, diag=1.0)
            self.matrix.assemble()
        self.useless = self.material.objection()
        if self.useless:
            self.objection = self.useless
            self.matrix.zeroEntries()  # MUMPS would not recover from what is no number
            self.matrix.shift(1.0)
        self.seconds += time.perf_counter() - start

    def rate(self, f: PETSc.Vec) -> None:
        """Minus the derivative of R by the load factor into f, that of the prescribed values on their rows. Collective."""
        self.loads.rate(f, self._load_factor)
        self._supports.set_rate(self._load_factor)
        self._lift(None, 1.0)
        f.axpy(1.0, self._work)
        petsc_fem.set_bc(f, self._supports.conditions)
        self._supports.set_load_factor(self._load_factor)

    def potential(self, x: PETSc.Vec) -> tuple[float, float]:
        """Pi of the body and of the loads that have one, at the x last evaluated, and the size of its terms. Collective."""
        stored, work = self.material.energy() + self.loads.stored(), self.loads.dead_work(x)
        return stored - work, abs(stored) + abs(work)

    def nodal_forces(self) -> tuple[np.ndarray, dict[str, tuple[float, ...]]]:
        """Forces of loads, springs and supports on the owned unknowns where R was last evaluated, and the supports' resultants."""
        with self._work.localForm() as local:
            local.set(0.0)
        self.loads.add_forces(self._work)
        external = self._work.array_r.copy()
        self.material.nodal_forces(self._work)
        reactions = np.where(self.held(), self._work.array_r - external, 0.0)
        return external + reactions, self._supports.resultants(reactions)

    def show(self, x: PETSc.Vec) -> None:
        """Copy a vector into the displacement, ghosts included. Collective."""
        self.set_owned(x.array_r)

    def destroy(self) -> None:
        """Free the PETSc objects. Collective."""
        for thing in (self.matrix, self.loads, self._work):
            thing.destroy()

    @property
    def _tangents(self) -> list[dfem.Form]:
        """Whose sum is the tangent: of the law, and of the loads which follow the body."""
        return self._weak.tangents if self.loads.tangent is None else [*self._weak.tangents, self.loads.tangent]

    def _lift(self, x: PETSc.Vec | None, scale: float) -> None:
        """-scale K (prescribed values - x) on the free rows, into the work vector."""
        with self._work.localForm() as local:
            local.set(0.0)
        start = None if x is None else [x]
        for form in self._tangents:
            petsc_fem.apply_lifting(self._work, [form], bcs=[self._supports.conditions], x0=start, alpha=scale)
        add_ghosts(self._work)

    def _ask_law(self, x: PETSc.Vec) -> bool:
        """Have P and A at x, without asking the law twice at the same point. Collective."""
        same = self._evaluated_at is not None and np.array_equal(self._evaluated_at, x.array_r)
        self.show(x)  # whoever changed the displacement meanwhile: the stiffness is assembled there
        if self._comm.allreduce(same, MPI.LAND):
            return True
        self._evaluated_at = None
        accepted = self.material.update()
        if accepted:
            self._evaluated_at = x.array_r.copy()
        else:
            self.objection = self.material.rejection
        return accepted

    def _round_off_level(self, x: PETSc.Vec) -> float:
        """|R| below which digits are noise: ten roundings of F = I + sum_a u_a grad N_a, relative to 1 + max |u| / h where a node has the
        volume h^d, times stiffness and nodal area."""
        return float(self._rounding * (1.0 + _norm(x, PETSc.NormType.NORM_INFINITY) / self._spacing))


def _norm(vector: PETSc.Vec, kind: Any = None) -> float:
    norm: Any = vector.norm(kind)  # a pair for some kinds of norm, says petsc4py
    return float(norm)
