"""Levenberg-Marquardt: nonlinear least squares where the Jacobian is cheap and the minimum has to be reached.

K. Levenberg, Q. Appl. Math. 2 (1944) 164; D. Marquardt, J. SIAM 11 (1963) 431; damping by the gain ratio after H. B. Nielsen,
IMM-REP-1999-05, DTU (1999). The damping is isotropic: the caller's parameters are of order one. Scaling by the
columns of J instead sends the parameters of idle neurons far away; on networks it stalls ten times higher.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.linalg import LinAlgError, cho_factor, cho_solve

Residual = Callable[[Float[ndarray, "p"]], Float[ndarray, "m"]]
Linearisation = Callable[[Float[ndarray, "p"]], tuple[Float[ndarray, "m"], Float[ndarray, "m p"]]]

LARGEST_DAMPING = 1e12


@dataclass(frozen=True)
class Minimum:
    """Where the iteration stopped.

    Attributes:
        parameters: x.
        cost: 1/2 |r(x)|^2.
        iterations: Jacobians used.
        converged: whether no step lowers the cost by more than the tolerance.
    """

    parameters: Float[ndarray, "p"]
    cost: float
    iterations: int
    converged: bool


def levenberg_marquardt(
    residual: Residual,
    linearisation: Linearisation,
    start: Float[ndarray, "p"],
    *,
    iterations: int,
    damping: float = 1e-3,
    tolerance: float = 1e-8,
) -> Minimum:
    """Minimise 1/2 |r(x)|^2 by steps (J^T J + damping mean(diag J^T J) I) dx = -J^T r.

    Args:
        residual: x -> r.
        linearisation: x -> r, J.
        start: x to start from, where r is finite.
        iterations: at most so many Jacobians.
        damping: of the first step.
        tolerance: converged when a step lowers the cost, and was predicted to, by less than this fraction.
    """
    x, growth = start, 2.0
    r, J = linearisation(x)
    cost = 0.5 * float(r @ r)
    for iteration in range(iterations):
        gradient, normal = J.T @ r, J.T @ J
        mean = float(np.trace(normal)) / len(x)
        while True:
            step = damped_step(normal, gradient, damping * mean)
            if step is not None:
                predicted = -float(gradient @ step) - 0.5 * float(step @ normal @ step)
                with np.errstate(over="ignore", invalid="ignore"):
                    trial = residual(x + step)
                    trial_cost = 0.5 * float(trial @ trial)
                # a trial that is not finite compares false, and is rejected
                if trial_cost < cost:
                    break
                if predicted < tolerance * cost:
                    return Minimum(x, cost, iteration, True)
            damping, growth = damping * growth, growth * 2.0
            if damping > LARGEST_DAMPING:
                return Minimum(x, cost, iteration, True)
        gain = (cost - trial_cost) / predicted
        settled = cost - trial_cost < tolerance * cost and predicted < tolerance * cost
        x, cost = x + step, trial_cost
        if settled:
            return Minimum(x, cost, iteration + 1, True)
        damping, growth = max(damping * max(1.0 / 3.0, 1.0 - (2.0 * gain - 1.0) ** 3), 1e-14), 2.0
        r, J = linearisation(x)
    return Minimum(x, cost, iterations, False)


def damped_step(
    normal: Float[ndarray, "p p"], gradient: Float[ndarray, "p"], damping: float
) -> Float[ndarray, "p"] | None:
    """The step, or None where round-off makes the matrix indefinite."""
    try:
        return np.asarray(-cho_solve(cho_factor(normal + damping * np.eye(len(gradient))), gradient))
    except LinAlgError:
        return None
