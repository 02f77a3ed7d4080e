"""Equilibrium of a solid at a given load, solved by PETSc's Newton method.

Find u with its prescribed components such that for all admissible v

    R(u; v) = int P(I + grad u) : grad v dV  -  (work of the loads, see `fem.loads`)  =  0,
    K(u; v, du) = int grad v : A : grad du dV  -  (its derivative by u).

SNES does the Newton steps; how far to go along each is decided by `fem.line_search` before SNES takes it, on numbers
which all ranks share: one decision, no deadlock, also when the law cannot be evaluated on one rank only.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mpi4py import MPI  # isort: skip

import dolfinx.fem.petsc as petsc_fem
import numpy as np
from dolfinx import fem as dfem
from jaxtyping import Float
from petsc4py import PETSc

from fem.law import InadmissibleDeformation
from fem.law_check import InconsistentLaw, SlowNewton, law_errors, lost_its_order
from fem.line_search import ANY_STEP, RESIDUAL_ONLY, Trial, step_length
from fem.linear_solver import solver_options, tell_rigid_motions
from fem.loads import Load, Loads
from fem.material import LawFailed
from fem.supports import Supports
from fem.weak_form import WeakForm

NEWTON: Mapping[str, object] = {
    "snes_type": "newtonls",
    "snes_linesearch_type": "basic",  # of what `fem.line_search` leaves of the step
    "snes_max_it": 25,
}

# A residual this small beside the nodal forces which gets no better is as good as the law's stress allows.
_STAGNANT = 1e-6


class ResidualStagnated(UserWarning):
    """Equilibrium holds to the digits of the law's stress, not to the tolerance asked for."""


@dataclass(frozen=True)
class Attempt:
    """Outcome of one Newton solve.

    Attributes:
        converged: whether equilibrium was reached.
        iterations: Newton iterations done.
        residuals: |R| before the first iteration and after each, with prescribed values counted as residuals.
        reason: PETSc's name for the outcome, what is left of the residual, and the law's objection if that was it.
        stagnated: converged to the floor of the law's noise only, see `Equilibrium`.
        linear_iterations: of the linear solver, all Newton iterations together.
    """

    converged: bool
    iterations: int
    residuals: tuple[float, ...]
    reason: str
    stagnated: bool = False
    linear_iterations: int = 0


@dataclass(frozen=True)
class Look:
    """A displacement and load factor, in equilibrium or not.

    Attributes:
        residual: |R|, with prescribed values counted as residuals.
        balanced: whether that is as good as equilibrium.
    """

    residual: float
    balanced: bool


class Equilibrium:
    """The discrete problem of a body: forms, matrix, solver and the present displacement.

    Attributes:
        mesh: the body's.
        displacement: u at present.
        material: the law at the quadrature points.
        loads: what acts besides the supports.
        objection: of the law to the last displacement which it rejected.

    Convergence is |R| <= tolerance * |nodal forces| where the nodal forces are the larger of the applied ones and
    the internal ones including reactions, or |R| at the level of round-off. A law with noise in its stress may never
    get there: a residual below 1e-6 of the nodal forces which two further iterations do not improve counts as
    converged, with the warning ResidualStagnated.

    Args:
        weak: the body, its law and what it resists.
        supports, loads: what holds and what loads the body.
        tolerance: relative, of the residual.
        petsc_options_prefix: of the SNES, ends in "_"; options of the user's under it win over the defaults.
        petsc_options: further PETSc options, over the defaults.
    """

    def __init__(
        self,
        weak: WeakForm,
        supports: Supports,
        loads: Sequence[Load],
        *,
        petsc_options_prefix: str,
        tolerance: float = 1e-10,
        petsc_options: Mapping[str, object] | None = None,
    ) -> None:
        if not petsc_options_prefix.endswith("_"):
            raise ValueError(f"petsc_options_prefix is {petsc_options_prefix!r}, expected it to end in '_'")
        self.mesh, self.displacement, self.material = weak.mesh, weak.displacement, weak.material
        space = self.displacement.function_space
        self.assembly_seconds = self.newton_seconds = 0.0
        self._comm = weak.mesh.domain.comm
        self._supports = supports
        self._tolerance = tolerance

        self._weak = weak
        self.loads = Loads(weak.mesh, self.displacement, loads, weak.kind.width, weak.kind.stretch(self.displacement))
        self._matrix = petsc_fem.create_matrix(weak.tangents[0])
        tell_rigid_motions(self._matrix, space)
        self._vectors = [petsc_fem.create_vector(space) for _ in range(5)]
        self._residual, self._x, self._lift, self._x_trial, self._f_trial = self._vectors
        self._nodal_force = 0.0
        self._supported = False
        self._stuck = self._stagnated = self._descending = self._law_checked = False
        self.objection = ""
        if not self.material.update():
            raise LawFailed(f"the law cannot be evaluated in the undeformed state: {self.material.rejection}")
        self._evaluated_at: np.ndarray | None = self._x.array_r.copy()
        self._round_off = self._round_off_level()
        self._residuals: list[float] = []
        defaults = {
            **NEWTON,
            **solver_options(space, symmetric=self.loads.conservative, mixed=weak.formulation == "mixed"),
        }
        self._snes = self._create_snes(petsc_options_prefix, {**defaults, **(petsc_options or {})})

    def solve(self, load_factor: float, *, descend: bool = False) -> Attempt:
        """Newton from the present displacement to equilibrium at `load_factor`. Collective.

        On failure the displacement is whatever Newton left; the caller puts back what it had. With `descend`, steps along which the
        potential rises, towards a saddle, are taken backwards.
        """
        self._descending = descend
        self.set_load_factor(load_factor)
        self._residuals = []
        self._stuck = self._stagnated = False
        self.objection = ""
        self._x.array[:] = self.displacement.x.array[: self._x.local_size]
        start = time.perf_counter()
        try:
            self._snes.solve(None, self._x)
            if self._lost_definiteness():
                # conjugate gradients cannot go on from here, and met no wrong step: the same Newton iteration by GMRES
                self._snes.getKSP().setType("gmres")
                self._residuals.pop()
                self._snes.solve(None, self._x)
        except PETSc.Error as error:
            # what a callback raised (a law's mistake, an interrupt) is the news, not that PETSc passed it on
            raise error.__cause__ or error from None
        self.newton_seconds += time.perf_counter() - start
        self._show(self._x)
        converged = bool(self._snes.is_converged)
        reason = self._snes.getConvergedReason()
        name = _REASONS.get(reason, f"PETSc reason {reason}")
        left = f"{self._residuals[-1] / self._nodal_force:.1e}" if self._residuals and self._nodal_force > 0.0 else "0"
        if not converged:
            name += f", |R| {left} of the nodal forces, tolerance {self._tolerance:.1e}"
            name += f" ({self.objection})" if self.objection else ""
        if not self._stagnated and (not converged or lost_its_order(self._residuals, self._nodal_force)):
            self._suspect_law(converged)
        if converged and self._stagnated and self._comm.rank == 0:
            warnings.warn(
                f"|R| stagnates at {left} of the nodal forces, tolerance {self._tolerance:.1e}: taken as converged, the "
                "stress of the law seems to carry no more digits",
                ResidualStagnated,
                stacklevel=2,
            )
        return Attempt(
            converged,
            len(self._residuals) - 1,
            tuple(self._residuals),
            name,
            converged and self._stagnated,
            self._snes.getLinearSolveIterations(),
        )

    def set_load_factor(self, load_factor: float) -> None:
        """Let the loads and prescribed displacements of that load factor act. Collective."""
        self._load_factor = load_factor
        self._supports.set_load_factor(load_factor)
        self.loads.set_load_factor(load_factor)

    def owned(self) -> Float[np.ndarray, " n"]:
        """The present displacement of the owned nodes, a copy."""
        return np.array(self.displacement.x.array[: self._x.local_size])

    def set_owned(self, displacement: Float[np.ndarray, " n"]) -> None:
        """Change the displacement of the owned nodes, and of the ghosts with them. Collective."""
        self.displacement.x.array[: self._x.local_size] = displacement
        self.displacement.x.scatter_forward()

    def look(self, displacement: Float[np.ndarray, " n"], load_factor: float) -> Look | None:
        """Go to a displacement and load factor; None where the law cannot be evaluated (`objection`). Collective."""
        self.set_load_factor(load_factor)
        self._x.array[:] = displacement
        self._compute_residual(self._snes, self._x, self._residual)
        norm = _norm(self._residual)
        if not np.isfinite(norm):
            return None
        self._show(self._x)
        return Look(norm, self._supported and norm <= max(self._tolerance * self._nodal_force, self._round_off))

    def directions(self) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]] | None:
        """Where the last `look` was: K^-1 R, and K^-1 of minus the derivative of R by the load factor. Collective.

        Motions of supports are part of both: minus the first is the Newton step at this load factor, the second the rate of the
        displacement along the path. None where the linear solver fails.
        """
        self._compute_tangent(self._snes, self._x, self._matrix, self._matrix)
        ksp = self._snes.getKSP()
        ksp.setOperators(self._matrix)
        found = []
        for right_hand_side in (self._residual, self._path_rate()):
            ksp.solve(right_hand_side, self._x_trial)
            found.append(self._x_trial.array_r.copy())
            finite = np.isfinite(self._x_trial.norm())
            if not (finite and ksp.is_converged):
                return None
        return found[0], found[1]

    def held(self) -> np.ndarray:
        """Which owned unknowns are prescribed."""
        return self._supports.held()

    def potential(self) -> float:
        """Pi at the last `look`, of what has a potential. Collective."""
        return self.material.energy() + self.loads.stored() - self.loads.dead_work(self._x)

    def inverse(self, vector: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"] | None:
        """K^-1 times a vector, with the K of the last Newton step, as it stands; None where the linear solver fails. Collective."""
        ksp = self._snes.getKSP()
        self._f_trial.array[:] = vector
        ksp.solve(self._f_trial, self._x_trial)
        return self._x_trial.array_r.copy() if ksp.is_converged else None

    def apply(self, vector: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
        """K times a vector, with the K of the last Newton step. Collective."""
        self._f_trial.array[:] = vector
        self._matrix.mult(self._f_trial, self._x_trial)
        return np.array(self._x_trial.array_r)

    @property
    def has_factors(self) -> bool:
        """Whether K^-1 costs next to nothing after a Newton step."""
        return bool(self._snes.getKSP().getType() == "preonly")

    def expect_indefinite(self) -> None:
        """Prefer a linear solver for tangents which are not positive definite."""
        ksp = self._snes.getKSP()
        if ksp.getType() == "cg":
            ksp.setType("gmres")

    def _path_rate(self) -> Any:
        """Derivative of the loads and of the prescribed displacements by the load factor, on free and on prescribed rows."""
        rate, conditions = self._f_trial, self._supports.conditions
        self.loads.rate(rate, self._load_factor)
        self._supports.set_rate(self._load_factor)
        with self._lift.localForm() as local:
            local.set(0.0)
        for form in self._tangents:
            petsc_fem.apply_lifting(self._lift, [form], bcs=[conditions], alpha=1.0)
        _add_ghosts(self._lift)
        rate.axpy(1.0, self._lift)
        petsc_fem.set_bc(rate, conditions)
        self._supports.set_load_factor(self._load_factor)
        return rate

    def nodal_forces(self) -> tuple[np.ndarray, dict[str, tuple[float, ...]]]:
        """Forces of loads, springs and supports on the owned unknowns, and the supports' resultants, at the last solution. Collective."""
        with self._lift.localForm() as local:
            local.set(0.0)
        self.loads.add_forces(self._lift)
        external = self._lift.array_r.copy()
        _assemble(self._lift, self._weak.internal)
        reactions = np.where(self._supports.held(), self._lift.array_r - external, 0.0)
        return external + reactions, self._supports.resultants(reactions)

    def destroy(self) -> None:
        """Free the PETSc objects. Collective, as PETSc wants it: hence not left to the garbage collector."""
        for key in self._our_options:
            PETSc.Options().delValue(key)
        for thing in (self._snes, self._matrix, self.loads, *self._vectors):
            thing.destroy()

    @property
    def _tangents(self) -> list[dfem.Form]:
        """Whose sum is the tangent: of the law, and of the loads which follow the body."""
        return self._weak.tangents if self.loads.tangent is None else [*self._weak.tangents, self.loads.tangent]

    def _suspect_law(self, converged: bool) -> None:
        """Once, and only when Newton does badly: compare the law with differences where the body is now. Collective."""
        if self._law_checked or self.objection:
            return
        self._law_checked = True
        complaint = ""
        try:
            F = self.material.deformation_gradient()
            errors = law_errors(lambda F, tangent: self.material.respond(F, tangent=tangent), F)
            complaint = "" if errors.noise else errors.complaint
        except InadmissibleDeformation:
            pass  # too close to the end of what the law can do to tell
        complaint = next((c for c in self._comm.allgather(complaint) if c), "")
        if complaint and not converged:
            raise InconsistentLaw(f"Newton failed, and {complaint}")
        if complaint and self._comm.rank == 0:
            warnings.warn(f"Newton converged slowly: {complaint}", SlowNewton, stacklevel=3)

    def _lost_definiteness(self) -> bool:
        """Whether conjugate gradients met a tangent which is not positive definite."""
        ksp = self._snes.getKSP()
        reasons = PETSc.KSP.ConvergedReason
        indefinite: tuple[Any, ...] = (reasons.DIVERGED_INDEFINITE_MAT, reasons.DIVERGED_INDEFINITE_PC)
        return not self._snes.is_converged and ksp.getType() == "cg" and ksp.getConvergedReason() in indefinite

    def _create_snes(self, prefix: str, options: Mapping[str, object]) -> PETSc.SNES:
        snes = PETSc.SNES().create(self._comm)
        snes.setFunction(self._compute_residual, self._residual)
        snes.setJacobian(self._compute_tangent, self._matrix)
        snes.setConvergenceTest(self._test_convergence)
        snes.setLineSearchPreCheck(self._shorten_step)
        snes.setOptionsPrefix(prefix)
        database = PETSc.Options()
        # what the user set under this prefix, on the command line say, wins; what we set is gone with the solver
        ours = {prefix + key: value for key, value in options.items() if not database.hasName(prefix + key)}
        for key, value in ours.items():
            database.setValue(key, value)
        snes.setFromOptions()
        self._our_options = tuple(ours)  # parts of preconditioners read them when they are first set up
        return snes

    def _show(self, x: PETSc.Vec) -> None:
        """Copy a PETSc vector into the displacement, ghosts included."""
        self.displacement.x.array[: x.local_size] = x.array_r
        self.displacement.x.scatter_forward()

    def _ask_law(self, x: PETSc.Vec) -> bool:
        """Have P and A at x, without asking the law twice at the same point. Collective."""
        same = self._evaluated_at is not None and np.array_equal(self._evaluated_at, x.array_r)
        if self._comm.allreduce(same, MPI.LAND):
            return True
        self._show(x)
        self._evaluated_at = None
        accepted = self.material.update()
        if accepted:
            self._evaluated_at = x.array_r.copy()
        else:
            self.objection = self.material.rejection
        return accepted

    def _compute_residual(self, snes: PETSc.SNES, x: PETSc.Vec, f: PETSc.Vec) -> None:
        if not self._ask_law(x):
            f.set(np.nan)
            return
        start = time.perf_counter()
        _assemble(f, self._weak.internal)
        self._nodal_force = max(_norm(f), self.loads.size())
        self.loads.add_forces(f, -1.0)
        conditions = self._supports.conditions
        self._supported = self._supports.reached(x)
        if not self._supported:
            # The change of prescribed values still to come acts on the free rows through the tangent.
            with self._lift.localForm() as local:
                local.set(0.0)
            for form in self._tangents:
                petsc_fem.apply_lifting(self._lift, [form], bcs=[conditions], x0=[x], alpha=-1.0)
            _add_ghosts(self._lift)
            f.axpy(1.0, self._lift)
        petsc_fem.set_bc(f, conditions, x0=x, alpha=-1.0)
        self.assembly_seconds += time.perf_counter() - start

    def _shorten_step(self, x: PETSc.Vec, step: PETSc.Vec) -> None:
        """Scale the step which SNES is about to subtract from x."""
        residual = self._snes.getFunction()[0]
        start = self._trial(x, residual)
        slope = -residual.dot(step) if self._supported else ANY_STEP
        if self._supported and not self.loads.conservative:
            slope = RESIDUAL_ONLY
        elif self._descending and slope > 0.0:
            step.scale(-1.0)
            slope = -slope

        def trial(part: float) -> Trial:
            self._x_trial.waxpy(-part, step, x)
            self._compute_residual(self._snes, self._x_trial, self._f_trial)
            return self._trial(self._x_trial, self._f_trial)

        part = step_length(start, slope, trial)
        self._stuck = part == 0.0
        step.scale(part)

    def _trial(self, x: PETSc.Vec, residual: PETSc.Vec) -> Trial:
        norm = _norm(residual)
        if not np.isfinite(norm):
            return Trial(np.nan, np.nan, np.nan)
        stored, work = self.material.energy() + self.loads.stored(), self.loads.dead_work(x)
        return Trial(stored - work, abs(stored) + abs(work), norm)

    def _compute_tangent(self, snes: PETSc.SNES, x: PETSc.Vec, matrix: PETSc.Mat, preconditioner: PETSc.Mat) -> None:
        self._ask_law(x)
        start = time.perf_counter()
        self._matrix.zeroEntries()
        for form in self._tangents:
            petsc_fem.assemble_matrix(self._matrix, form, self._supports.conditions, diag=1.0)
            self._matrix.assemble()  # PETSc drops what is added after the ones of prescribed rows were inserted
        self.assembly_seconds += time.perf_counter() - start

    def _test_convergence(self, snes: PETSc.SNES, iteration: int, norms: tuple[float, float, float]) -> int:
        residual = norms[2]
        self._residuals.append(residual)
        if not np.isfinite(residual):
            return _NOT_A_NUMBER
        if self._supported and residual <= max(self._tolerance * self._nodal_force, self._round_off):
            return int(PETSc.SNES.ConvergedReason.CONVERGED_FNORM_RELATIVE)
        if self._supported and residual <= _STAGNANT * self._nodal_force and (self._stuck or self._no_better()):
            self._stagnated = True
            return int(PETSc.SNES.ConvergedReason.CONVERGED_FNORM_RELATIVE)
        if self._stuck:
            return int(PETSc.SNES.ConvergedReason.DIVERGED_LINE_SEARCH)
        return int(PETSc.SNES.ConvergedReason.ITERATING)

    def _no_better(self) -> bool:
        """Whether neither of the last two iterations took a tenth off the smallest residual before them."""
        before, last = self._residuals[:-2], self._residuals[-2:]
        return bool(before) and min(last) > 0.9 * min(before)

    def _round_off_level(self) -> float:
        """|R| below which digits are noise: ten roundings of F (relative to 1), each times stiffness and nodal area."""
        stiffness = self.material.stiffness()
        volume = self.material.volume()
        d = self.displacement.function_space.mesh.geometry.dim
        nodes = self.displacement.function_space.dofmap.index_map.size_global
        return float(10.0 * np.finfo(float).eps * stiffness * (volume / nodes) ** ((d - 1) / d) * np.sqrt(nodes))


def _assemble(vector: PETSc.Vec, *forms: dfem.Form) -> None:
    """Sum of linear forms, ghost contributions sent to their owners."""
    with vector.localForm() as local:
        local.set(0.0)
    for form in forms:
        petsc_fem.assemble_vector(vector, form)
    _add_ghosts(vector)


def _norm(vector: PETSc.Vec) -> float:
    norm: Any = vector.norm()  # a pair for some kinds of norm, says petsc4py
    return float(norm)


def _add_ghosts(vector: PETSc.Vec) -> None:
    vector.ghostUpdate(addv=PETSc.InsertMode.ADD, mode=PETSc.ScatterMode.REVERSE)


# DIVERGED_FNORM_NAN of PETSc, which 3.25 calls DIVERGED_FUNCTION_NANORINF
_NOT_A_NUMBER = -4
_REASONS: dict[Any, str] = {
    value: name.lower().replace("_", " ")
    for name, value in vars(PETSc.SNES.ConvergedReason).items()
    if isinstance(value, int) and name.startswith(("CONVERGED", "DIVERGED"))
}
