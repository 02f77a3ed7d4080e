"""Past limit points: the load factor as an unknown, the length of the step prescribed.

Equilibria R(u, s) = 0 form a curve in (u, s) which turns back in s at a limit point (snap-through) and in u at a turning point
(snap-back); only its length always grows. A step of length l from (u0, s0) ends where

    R(u, s) = 0,    |u - u0|^2 / a^2 + (s - s0)^2 = l^2

with a^2 = |du/ds|^2 at the beginning, so that both terms start equal. Newton on both equations at once (Riks 1979, Crisfield 1981, with
the sphere linearised rather than solved for its two roots): with K d = R and K t = -dR/ds, motions of supports included,

    du = -d + ds t,    ds = (l^2 - |Du|^2/a^2 - Ds^2 + 2 Du.d/a^2) / (2 Du.t/a^2 + 2 Ds),    Du = u - u0,  Ds = s - s0.

A step sets out along (t, 1), in the sense which makes an acute angle with the step before: the determinant of K, the other
choice, is misled by bifurcations (Feng, Peric and Owen 1996).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from mpi4py import MPI

from fem.attempt import Attempt, no_better
from fem.equilibrium import Equilibrium
from fem.history import History
from fem.load_step import LoadStep

Until = Callable[[LoadStep], bool]

_SHORTEST = 2.0**-12
_ITERATIONS = 12
# iterations that a step should take: the next one is longer or shorter by the square root of the ratio (Crisfield)
_WANTED = 4
# of the length: the sphere is met well enough, how long the step is matters to nobody
_SPHERE = 1e-6


@dataclass(frozen=True)
class _Metric:
    """Inner product of increments (Du, Ds), over all ranks."""

    comm: MPI.Intracomm
    scale: float

    def product(self, du: np.ndarray, ds: float, other_du: np.ndarray, other_ds: float) -> float:
        return float(self.comm.allreduce(float(du @ other_du))) / self.scale**2 + ds * other_ds


def trace_path(
    equilibrium: Equilibrium,
    history: History,
    *,
    start: float,
    first: float,
    longest: float,
    steps: int,
    until: Until | None,
) -> str:
    """Follow the path of equilibria from the present state at load factor `start`. Collective.

    Args:
        equilibrium: the problem.
        history: takes down the converged steps.
        start: load factor of the present state.
        first: change of the load factor in the first step, about.
        longest: no step is longer than one which changes the load factor by this much at the stiffness of the beginning.
        steps: to do at most.
        until: stops after the step for which it is true; the same on all ranks.

    Returns:
        Why it stopped short; "" at load factor 1, which is met exactly, at `until`, or after `steps`.
    """
    comm = equilibrium.residual.mesh.domain.comm
    equilibrium.expect_indefinite()
    u0, s0 = equilibrium.residual.owned(), start
    if equilibrium.look(u0, s0) is None:
        return "the law cannot be evaluated at the start"
    directions = equilibrium.directions()
    if directions is None:
        return "the linear solver failed at the start"
    t = directions[1]
    scale = float(np.sqrt(comm.allreduce(float(t @ t))))
    if scale == 0.0:
        return "nothing moves with the load factor: no load and no prescribed motion"
    metric = _Metric(comm, scale)
    length, du, ds = np.sqrt(2.0) * first, t, 1.0
    shortest, limit = _SHORTEST * length, np.sqrt(2.0) * longest
    for _ in range(steps):
        sense = np.sign(metric.product(du, ds, t, 1.0)) or 1.0
        while True:
            part = sense * length / np.sqrt(metric.product(t, 1.0, t, 1.0))
            attempt, u, s = _correct(equilibrium, metric, u0, s0, part * t, part, length)
            if attempt.converged:
                break
            equilibrium.forget()
            length *= 0.5
            if length < shortest:
                equilibrium.look(u0, s0)
                return attempt.reason
            history.failed(s, attempt, s0)
        if s0 < 1.0 <= s:
            return _land(equilibrium, history, u0, s0, u, s)
        du, ds, u0, s0 = u - u0, s - s0, u, s
        step = history.record(s, attempt)
        if until is not None and until(step):
            return ""
        directions = equilibrium.directions()
        if directions is None:
            return "the linear solver failed on the path"
        t = directions[1]
        length = min(limit, length * float(np.clip(np.sqrt(_WANTED / max(1, attempt.iterations)), 0.5, 2.0)))
    return ""


def _correct(
    equilibrium: Equilibrium, metric: _Metric, u0: np.ndarray, s0: float, du: np.ndarray, ds: float, length: float
) -> tuple[Attempt, Float[np.ndarray, " n"], float]:
    """Newton from (u0 + du, s0 + ds) back to the path at a distance of `length` from (u0, s0)."""
    residuals: list[float] = []
    reason = "too many iterations"
    for iteration in range(_ITERATIONS + 1):
        look = equilibrium.look(u0 + du, s0 + ds)
        if look is None:
            reason = equilibrium.residual.objection
            break
        residuals.append(look.residual)
        gap = length**2 - metric.product(du, ds, du, ds)
        stagnated = not look.balanced and look.nearly and no_better(residuals)
        if (look.balanced or stagnated) and abs(gap) <= _SPHERE * length**2:
            if stagnated:
                equilibrium.warn_of_stagnation(look.residual)
            return Attempt(True, iteration, tuple(residuals), "balanced", stagnated), u0 + du, s0 + ds
        directions = equilibrium.directions() if iteration < _ITERATIONS else None
        if directions is None:
            break
        d, t = directions
        change = (gap + 2.0 * metric.product(du, ds, d, 0.0)) / (2.0 * metric.product(du, ds, t, 1.0))
        if not abs(change) <= 10.0 * length:  # tangent to the sphere, or not a number
            reason = "the path turns back within the step"
            break
        du, ds = du - d + change * t, ds + change
    return Attempt(False, len(residuals), tuple(residuals), reason), u0 + du, s0 + ds


def _land(equilibrium: Equilibrium, history: History, u0: np.ndarray, s0: float, u: np.ndarray, s: float) -> str:
    """Equilibrium at load factor 1, between two states of the path on both sides of it."""
    part = (1.0 - s0) / (s - s0)
    equilibrium.residual.set_owned(u0 + part * (u - u0))
    attempt = equilibrium.solve(1.0)
    if attempt.converged:
        history.record(1.0, attempt)
        return ""
    equilibrium.look(u0, s0)
    return attempt.reason
