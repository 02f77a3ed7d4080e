"""Equilibrium of a solid at a given load, R(u) = 0 (`fem.residual`), solved by PETSc's Newton method.

SNES does the Newton steps; how far to go along each is decided by `fem.line_search` before SNES takes it, on numbers
which all ranks share: one decision, no deadlock, also when the law cannot be evaluated on one rank only.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from petsc4py import PETSc

from fem.attempt import STAGNANT, Attempt, Look, ResidualStagnated, no_better
from fem.block_solver import BlockSolver
from fem.law_check import Suspicion, lost_its_order
from fem.line_search import ANY_STEP, Trial, step_length
from fem.linear_solver import solver_options
from fem.loads import Load
from fem.merit import Merit
from fem.residual import Residual
from fem.supports import Supports
from fem.weak_form import WeakForm

NEWTON: Mapping[str, object] = {
    "snes_type": "newtonls",
    "snes_linesearch_type": "basic",  # of what `fem.line_search` leaves of the step
    "snes_max_it": 25,
}


class Equilibrium:
    """Newton's method for a body. Collective.

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

    Attributes:
        residual: the body's, with its displacement.
        seconds: wall time of Newton so far, on this rank.
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
        self.residual = Residual(weak, supports, loads)
        self.seconds = 0.0
        self._comm = weak.mesh.domain.comm
        self._tolerance = tolerance
        self._vectors = [self.residual.vector() for _ in range(4)]
        self._f, self._x, self._x_trial, self._f_trial = self._vectors
        self._mean_volume = weak.mean_volume
        self._merit = Merit(self.residual, weak.mean_volume)
        self._suspicion = Suspicion(self.residual.material, self._comm)
        self._stuck = self._stagnated = self._descending = False
        self._residuals: list[float] = []
        space, symmetric = self.residual.displacement.function_space, self.residual.loads.conservative
        defaults = {**NEWTON, **solver_options(space, symmetric=symmetric, mixed=weak.formulation == "mixed")}
        self._snes = self._create_snes(petsc_options_prefix, {**defaults, **(petsc_options or {})})

    def solve(self, load_factor: float, *, descend: bool = False) -> Attempt:
        """Newton from the present displacement to equilibrium at `load_factor`. Collective.

        On failure the displacement is whatever Newton left; the caller puts back what it had. With `descend`, steps along which the
        potential rises, towards a saddle, are taken backwards.
        """
        self._descending = descend
        self.residual.set_load_factor(load_factor)
        self._residuals = []
        self._stuck = self._stagnated = False
        self.residual.objection = ""
        self._x.array[:] = self.residual.owned()
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
        self.seconds += time.perf_counter() - start
        self.residual.show(self._x)
        converged = bool(self._snes.is_converged)
        reason = self._snes.getConvergedReason()
        name = _REASONS.get(reason, f"PETSc reason {reason}")
        scale = self.residual.nodal_force
        left = f"{self._residuals[-1] / scale:.1e}" if self._residuals and scale > 0.0 else "0"
        if not converged:
            name += f", |R| {left} of the nodal forces, tolerance {self._tolerance:.1e}"
            name += f" ({self.residual.objection})" if self.residual.objection else ""
        badly = not converged or lost_its_order(self._residuals, scale)
        if badly and not (self._stagnated or self.residual.objection):
            self._suspicion.look(converged)
        if not converged:
            self.forget()
        if converged and self._stagnated:
            self.warn_of_stagnation(self._residuals[-1])
        return Attempt(
            converged,
            len(self._residuals) - 1,
            tuple(self._residuals),
            name,
            converged and self._stagnated,
            self._snes.getLinearSolveIterations(),
        )

    def look(self, displacement: Float[np.ndarray, " n"], load_factor: float) -> Look | None:
        """Go to a displacement and load factor; None where the law cannot be evaluated (`objection`). Collective."""
        self.residual.set_load_factor(load_factor)
        self._x.array[:] = displacement
        norm = self.residual.evaluate(self._x, self._f)
        if not np.isfinite(norm):
            return None
        self.residual.show(self._x)
        return Look(norm, self._balanced(norm, self.residual.round_off), self._nearly(norm))

    def directions(self) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]] | None:
        """Where the last `look` was: K^-1 R, and K^-1 of minus the derivative of R by the load factor. Collective.

        Motions of supports are part of both: minus the first is the Newton step at this load factor, the second the rate of the
        displacement along the path. None where the linear solver fails.
        """
        self.relinearise()
        if self.residual.useless:
            return None
        ksp = self._snes.getKSP()
        self.residual.rate(self._f_trial)
        found = []
        for right_hand_side in (self._f, self._f_trial):
            ksp.solve(right_hand_side, self._x_trial)
            found.append(self._x_trial.array_r.copy())
            finite = np.isfinite(self._x_trial.norm())
            if not (finite and ksp.is_converged):
                return None
        return found[0], found[1]

    def relinearise(self) -> None:
        """Have the K of the present displacement for `inverse` and `apply`. Collective."""
        self._linearise(self._x)
        self._snes.getKSP().setOperators(self.residual.matrix)

    def potential(self) -> float:
        """Pi at the last `look`, of what has a potential. Collective."""
        return self.residual.potential(self._x)[0]

    def inverse(self, vector: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"] | None:
        """K^-1 times a vector, with the K of the last Newton step or `relinearise`; None where the linear solver fails. Collective."""
        ksp = self._snes.getKSP()
        self._f_trial.array[:] = vector
        ksp.solve(self._f_trial, self._x_trial)
        return self._x_trial.array_r.copy() if ksp.is_converged else None

    def apply(self, vector: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
        """K times a vector, with the same K. Collective."""
        self._f_trial.array[:] = vector
        self.residual.matrix.mult(self._f_trial, self._x_trial)
        return np.array(self._x_trial.array_r)

    def forget(self) -> None:
        """The body is put back to another state: what the last step expected of it means nothing there."""
        if self._mean_volume is not None:
            self._mean_volume.forget()

    def warn_of_stagnation(self, norm: float) -> None:
        """|R| = `norm` is taken as converged and should be smaller. Collective."""
        if self._comm.rank == 0:
            warnings.warn(
                f"|R| stagnates at {norm / self.residual.nodal_force:.1e} of the nodal forces, tolerance "
                f"{self._tolerance:.1e}: taken as converged, the stress of the law seems to carry no more digits",
                ResidualStagnated,
                stacklevel=3,
            )

    def round_off(self) -> float:
        """Of v . K v for |v| = 1, with the same K: what rounding makes of its entries. Collective."""
        return float(np.finfo(float).eps * self.residual.matrix.norm(PETSc.NormType.NORM_INFINITY))

    @property
    def has_factors(self) -> bool:
        """Whether K^-1 costs next to nothing after a Newton step."""
        return bool(self._snes.getKSP().getType() == "preonly")

    def expect_indefinite(self) -> None:
        """Prefer a linear solver for tangents which are not positive definite."""
        ksp = self._snes.getKSP()
        if ksp.getType() == "cg":
            ksp.setType("gmres")

    def destroy(self) -> None:
        """Free the PETSc objects. Collective, as PETSc wants it: hence not left to the garbage collector."""
        for key in self._our_options:
            PETSc.Options().delValue(key)
        for thing in (self._snes, self.residual, *self._vectors):
            thing.destroy()

    def _linearise(self, x: PETSc.Vec) -> None:
        self.residual.linearise(x)
        if self._mean_volume is not None:
            self._mean_volume.set_out()

    def _lost_definiteness(self) -> bool:
        """Whether conjugate gradients met a tangent which is not positive definite."""
        ksp = self._snes.getKSP()
        reasons = PETSc.KSP.ConvergedReason
        indefinite: tuple[Any, ...] = (reasons.DIVERGED_INDEFINITE_MAT, reasons.DIVERGED_INDEFINITE_PC)
        return not self._snes.is_converged and ksp.getType() == "cg" and ksp.getConvergedReason() in indefinite

    def _create_snes(self, prefix: str, options: Mapping[str, object]) -> PETSc.SNES:
        snes = PETSc.SNES().create(self._comm)
        snes.setFunction(lambda _, x, f: self.residual.evaluate(x, f), self._f)
        snes.setJacobian(lambda _, x, *matrices: self._linearise(x), self.residual.matrix)
        snes.setConvergenceTest(self._test_convergence)
        snes.setLineSearchPreCheck(self._shorten_step)
        snes.setOptionsPrefix(prefix)
        database = PETSc.Options()
        # what the user set under this prefix, on the command line say, wins; what we set is gone with the solver
        ours = {prefix + key: value for key, value in options.items() if not database.hasName(prefix + key)}
        for key, value in ours.items():
            database.setValue(key, value)
        try:
            snes.setFromOptions()
        except PETSc.Error as error:
            for key in ours:
                database.delValue(key)
            raise ValueError(f"PETSc refuses the options {dict(options)} under {prefix!r}: {error}") from None
        ksp = snes.getKSP()
        if self._mean_volume is not None and ksp.getType() == "python":
            space, held = self.residual.displacement.function_space, self.residual.held()
            ksp.setPythonContext(BlockSolver(self._mean_volume, space, held, prefix))
        self._our_options = tuple(ours)  # parts of preconditioners read them when they are first set up
        return snes

    def _shorten_step(self, x: PETSc.Vec, step: PETSc.Vec) -> None:
        """Scale the step which SNES is about to subtract from x."""
        if self.residual.useless:
            self._stuck = True
            step.scale(0.0)
            return
        residual: Any = self._snes.getFunction()[0]
        supported = self.residual.supported
        self.residual.loads.freeze()
        start = self._merit.at(x, residual.norm())
        slope = -residual.dot(step) if supported else ANY_STEP
        if self._descending and slope > 0.0:
            step.scale(-1.0)
            slope = -slope

        def trial(part: float) -> Trial:
            self._x_trial.waxpy(-part, step, x)
            return self._merit.at(self._x_trial, self.residual.evaluate(self._x_trial, self._f_trial))

        part = step_length(start, slope, trial)
        self._stuck = part == 0.0
        step.scale(part)

    def _balanced(self, norm: float, noise: float) -> bool:
        """Whether |R| is as good as zero, or below the noise."""
        return self.residual.supported and norm <= max(self._tolerance * self.residual.nodal_force, noise)

    def _nearly(self, norm: float) -> bool:
        """Whether |R| is so small that noise in the law's stress may be all of it."""
        return self.residual.supported and norm <= STAGNANT * self.residual.nodal_force

    def _test_convergence(self, snes: PETSc.SNES, iteration: int, norms: tuple[float, float, float]) -> int:
        residual = norms[2]
        self._residuals.append(residual)
        if not np.isfinite(residual):
            return _NOT_A_NUMBER
        # a small load is not nothing: only where Newton has moved the body is what is left of it round-off
        if self._balanced(residual, self.residual.round_off if iteration else 0.0):
            return int(PETSc.SNES.ConvergedReason.CONVERGED_FNORM_RELATIVE)
        if self._nearly(residual) and (self._stuck or no_better(self._residuals)):
            self._stagnated = True
            return int(PETSc.SNES.ConvergedReason.CONVERGED_FNORM_RELATIVE)
        if self._stuck:
            return int(PETSc.SNES.ConvergedReason.DIVERGED_LINE_SEARCH)
        return int(PETSc.SNES.ConvergedReason.ITERATING)


# DIVERGED_FNORM_NAN of PETSc, which 3.25 calls DIVERGED_FUNCTION_NANORINF
_NOT_A_NUMBER = -4
_REASONS: dict[Any, str] = {
    value: name.lower().replace("_", " ")
    for name, value in vars(PETSc.SNES.ConvergedReason).items()
    if isinstance(value, int) and name.startswith(("CONVERGED", "DIVERGED"))
}
