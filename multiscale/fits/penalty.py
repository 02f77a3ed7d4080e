"""A fit that pays for negative acoustic eigenvalues: penalised, not polyconvex by construction.

To the weighted residuals of the data come, at states F_k of the domain, the rows

    r_k = max(0, margin - lambda_k) / scale,    lambda_k = min over |n| = |a| = 1 of a.Q(F_k, n).a    (multiscale.trust.ellipticity).

At the minimum (n, a) lambda does not change with n and a to first order (the envelope theorem, Danskin 1967), and there it is
linear in the second Piola-Kirchhoff stress S and the stiffness D = dS/de: with c = F^T a and the strain-like components m
(shear doubled) of the symmetric part of c n,

    lambda = n.S n + m.D m,

so the rows' derivatives by the parameters are exact and cost no more than a label's. Crystals lose ellipticity in reality: the
error that this costs on the data is theirs to show.

States come in rounds: where the law falls below the margin on a pool of the domain's states, they join the penalty, which is
weighed more each time, until none is lost. What remains afterwards is said by `check_ellipticity`; sampled states prove
nothing between them.
"""

from collections.abc import Callable
from typing import Final, Protocol

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from multiscale.fits.levenberg_marquardt import levenberg_marquardt
from multiscale.laws.strain import COLUMNS, ROWS, UPPER_COLUMNS, UPPER_ROWS, tangent
from multiscale.trust.domain import Domain
from multiscale.trust.ellipticity import AcousticMinimum, acoustic_minimum, descend, scanned_normals

POOL: Final = 2000
"""States of the domain that are looked at in a round."""

MARGIN: Final = 0.03
"""The eigenvalue asked for, in units of the stiffness scale."""

SCALE: Final = 3e-3
"""What weighs as much as one standard error in the first round, in the same units; a third of it in each later one."""

ADDED, ROUNDS, ITERATIONS = 100, 6, 30
"""At most so many states join in a round, so many rounds, and iterations in each."""


class Components(Protocol):
    """The 28 components x = (W, S, D) of a law at some states in GPa, as weighted residuals of zero, one state after the other;
    what else there is (a prior) comes behind them."""

    def residual(self, parameters: Float[ndarray, "p"]) -> Float[ndarray, "r"]:
        """x, growth term left out."""
        ...

    def linearisation(self, parameters: Float[ndarray, "p"]) -> tuple[Float[ndarray, "r"], Float[ndarray, "r p"]]:
        """x and its Jacobian."""
        ...

    def on(self, states: Bool[ndarray, "n"]) -> "Components":
        """Those of some of the states."""
        ...


class Penalisable(Protocol):
    """A least-squares problem whose law can be looked at anywhere."""

    @property
    def unknowns(self) -> int:
        """Number of parameters."""
        ...

    @property
    def stiffness_scale(self) -> float:
        """K in GPa."""
        ...

    def residual(self, parameters: Float[ndarray, "p"]) -> Float[ndarray, "r"]:
        """Weighted residuals."""
        ...

    def linearisation(self, parameters: Float[ndarray, "p"]) -> tuple[Float[ndarray, "r"], Float[ndarray, "r p"]]:
        """Residuals and their Jacobian."""
        ...

    def at(self, deformation_gradient: Float[ndarray, "m 3 3"]) -> Components:
        """The law itself at other states."""
        ...


class EllipticityPenalty:
    """The penalty's rows on some states, as functions of the parameters of a problem.

    Args:
        problem: whose parameters they are.
        deformation_gradient: F (n, 3, 3).
        margin, scale: in GPa.
    """

    def __init__(
        self, problem: Penalisable, deformation_gradient: Float[ndarray, "n 3 3"], *, margin: float, scale: float
    ) -> None:
        self.deformation_gradient, self.margin, self.scale = deformation_gradient, margin, scale
        self._components = problem.at(deformation_gradient)

    def tangents(self, parameters: Float[ndarray, "p"]) -> Float[ndarray, "n 3 3 3 3"]:
        """A in GPa, the growth term left out: it is zero inside the data."""
        return self._tangents(self._components.residual(parameters))

    def residual(self, parameters: Float[ndarray, "p"]) -> Float[ndarray, "n"]:
        A = self.tangents(parameters)
        if not np.isfinite(A).all():
            return np.full(len(A), np.inf)
        return np.maximum(0.0, self.margin - least(A).eigenvalue) / self.scale

    def linearisation(self, parameters: Float[ndarray, "p"]) -> tuple[Float[ndarray, "n"], Float[ndarray, "n p"]]:
        """The rows and their Jacobian, which is computed where they are not zero."""
        F = self.deformation_gradient
        found = least(self.tangents(parameters))
        residual = np.maximum(0.0, self.margin - found.eigenvalue) / self.scale
        J, active = np.zeros((len(F), len(parameters))), residual > 0.0
        if active.any():
            rows, count = eigenvalue_rows(F, found)[active], int(active.sum())
            by = self._components.on(active).linearisation(parameters)[1][: 28 * count].reshape(count, 28, -1)
            J[active] = -(rows[:, None, :] @ by)[:, 0] / self.scale
        return residual, J

    def _tangents(self, x: Float[ndarray, "q"]) -> Float[ndarray, "n 3 3 3 3"]:
        F = self.deformation_gradient
        x = x[: 28 * len(F)].reshape(len(F), 28)
        D = np.empty((len(F), 6, 6))
        D[:, UPPER_ROWS, UPPER_COLUMNS] = D[:, UPPER_COLUMNS, UPPER_ROWS] = x[:, 7:]
        return tangent(F, x[:, 1:7], D)


def least(A: Float[ndarray, "n 3 3 3 3"]) -> AcousticMinimum:
    """The minimum that the best of the directions scanned leads to."""
    return descend(A, scanned_normals(A)[:, 0])


def eigenvalue_rows(F: Float[ndarray, "n 3 3"], found: AcousticMinimum) -> Float[ndarray, "n 28"]:
    """The row that takes x = (W, S, D) to a.Q(n).a, n and a given."""
    n, a = found.normal, found.polarisation
    c = (np.swapaxes(F, 1, 2) @ a[:, :, None])[:, :, 0]
    twice = np.where(ROWS == COLUMNS, 1.0, 2.0)
    m = 0.5 * (c[:, ROWS] * n[:, COLUMNS] + c[:, COLUMNS] * n[:, ROWS]) * twice
    pairs = np.where(UPPER_ROWS == UPPER_COLUMNS, 1.0, 2.0)
    S, D = n[:, ROWS] * n[:, COLUMNS] * twice, m[:, UPPER_ROWS] * m[:, UPPER_COLUMNS] * pairs
    return np.concatenate([np.zeros((len(F), 1)), S, D], axis=1)


def penalised_minimum(
    problem: Penalisable,
    start: Float[ndarray, "p"],
    domain: Domain,
    *,
    seed: int,
    progress: Callable[[int, int, float], None],
) -> tuple[Float[ndarray, "p"], Float[ndarray, "q p"]]:
    """Parameters near `start` that fit the data and keep the margin where they can, and the penalty's Jacobian there.

    Args:
        problem: the data.
        start: where the free fit ended.
        domain: of the law, whose states are watched.
        seed: of the states.
        progress: called with the round, the number of the pool's states that are lost, and the smallest eigenvalue in GPa.
    """
    K = problem.stiffness_scale
    margin, x = MARGIN * K, start
    watched = np.empty((0, 3, 3))
    slope = np.zeros((0, problem.unknowns))
    for turn in range(ROUNDS):
        pool = domain.states(POOL, seed + turn)
        whole = EllipticityPenalty(problem, pool, margin=margin, scale=1.0)
        eigenvalue = acoustic_minimum(whole.tangents(x)).eigenvalue
        progress(turn, int((eigenvalue <= 0.0).sum()), float(eigenvalue.min()))
        if turn > 0 and eigenvalue.min() > 0.0:
            break
        worst = np.argsort(eigenvalue)[:ADDED]
        watched = np.concatenate([watched, pool[worst[eigenvalue[worst] < 2.0 * margin]]])
        if not len(watched):
            break
        penalty = EllipticityPenalty(problem, watched, margin=margin, scale=SCALE * K / 3.0**turn)

        def residual(y: Float[ndarray, "p"], penalty: EllipticityPenalty = penalty) -> Float[ndarray, "r"]:
            return np.concatenate([problem.residual(y), penalty.residual(y)])

        def linearisation(
            y: Float[ndarray, "p"], penalty: EllipticityPenalty = penalty
        ) -> tuple[Float[ndarray, "r"], Float[ndarray, "r p"]]:
            r, J = problem.linearisation(y)
            s, K = penalty.linearisation(y)
            return np.concatenate([r, s]), np.concatenate([J, K])

        x = levenberg_marquardt(residual, linearisation, x, iterations=ITERATIONS).parameters
        slope = penalty.linearisation(x)[1]
    return x, slope
