r"""Training as a flow down the gradient: an ordinary differential equation and what its exact solutions obey.

    d theta/dt = -grad E(theta),        dE/dt = -|grad E|^2,        E(0) - E(t) = int_0^t |grad E|^2 dt'.

Eigenvalues of the Hessian span many decades, which makes the equation stiff: it is integrated by an implicit method of order 5 that
damps the stiff modes (Radau IIA; Hairer and Wanner, Solving Ordinary Differential Equations II, 1996, sec. IV.8) with the exact
Jacobian -H, at a step that its error estimate sets. The integral on the right is one more component of the equation, so that the
balance of a run measures its error. The loss falls at every accepted step: one along which it rises is taken again with a tighter
tolerance.
"""

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.integrate import BDF, Radau

from atomistic.diagnosis.landscape import DENSE_MEMORY, Landscape, NonFiniteLoss
from atomistic.memory import check_memory

ROUND_OFF: Final = 1e-13
"""Changes of the loss below this part of it are not resolved."""

RESOLVED: Final = 1e-9
"""Falls of the loss above this part of it are known to some seven digits."""

DISSIPATED: Final = 1e-15
"""Absolute error of the dissipation in units of the loss: from a saddle it starts very small, and grows by many decades."""

METHODS: Final = {"Radau": Radau, "BDF": BDF}


@dataclass(frozen=True)
class Flow:
    """A trajectory of the gradient flow, at its accepted steps.

    Attributes:
        theta: parameters at the end.
        times: t, zero first; the unit is that of theta^2 / E.
        losses, gradient_norms: E and |grad E|.
        dissipated: int |grad E|^2 dt from the start.
        gradients, hessians: how many were computed.
        ended: "stationary" (the gradient is small), "round-off" (the loss no longer resolves its fall) or "time"; "failed" in the
            flow that a `FlowFailed` carries.
    """

    theta: Float[ndarray, "parameters"]
    times: Float[ndarray, "steps"]
    losses: Float[ndarray, "steps"]
    gradient_norms: Float[ndarray, "steps"]
    dissipated: Float[ndarray, "steps"]
    gradients: int
    hessians: int
    ended: str

    @property
    def imbalance(self) -> float:
        """Largest |(E(0) - E(t)) / int |grad E|^2 dt - 1|, zero for the exact flow.

        Steps before the loss has fallen by `RESOLVED` of it are left out: round-off of the loss is all that they would show.
        """
        fallen = self.losses[0] - self.losses
        seen = fallen > RESOLVED * abs(self.losses[0])
        return float(np.abs(fallen[seen] / self.dissipated[seen] - 1.0).max(initial=0.0))


class FlowFailed(RuntimeError):
    """The flow could not be followed to its end.

    Attributes:
        flow: as far as it came, with the last parameters.
    """

    def __init__(self, message: str, flow: Flow) -> None:
        super().__init__(message)
        self.flow = flow


class _Equation:
    """Right-hand side and Jacobian of parameters and dissipation together, counted."""

    def __init__(self, landscape: Landscape) -> None:
        self.landscape = landscape
        self.gradients = self.hessians = 0

    def slope(self, _: float, state: ndarray) -> ndarray:
        self.gradients += 1
        _, gradient = self.landscape.gradient(state[:-1])
        return np.concatenate([-gradient, [gradient @ gradient]])

    def jacobian(self, _: float, state: ndarray) -> ndarray:
        self.hessians += 1
        point = self.landscape.point(state[:-1])
        hessian = point.hessian()
        jacobian = np.zeros((len(state), len(state)))
        jacobian[:-1, :-1] = -hessian
        jacobian[-1, :-1] = 2.0 * hessian @ point.gradient
        return jacobian


def gradient_flow(
    landscape: Landscape,
    theta: Float[ndarray, "parameters"],
    *,
    until: float = np.inf,
    gradient_below: float = 1e-8,
    relative_error: float = 1e-7,
    absolute_error: float = 1e-10,
    method: Literal["Radau", "BDF"] = "Radau",
    most_steps: int = 2000,
) -> Flow:
    """Follow the gradient down.

    Args:
        landscape: E.
        theta: the start.
        until: time at which to stop.
        gradient_below: |grad E| at which to stop, unless it grows, as it does beside a saddle.
        relative_error, absolute_error: of a step, by parameter.
        method: Radau IIA of order 5, or the backward differentiation formulas, whose steps are cheaper and less exact.
        most_steps: after which it is given up.

    Raises:
        FlowFailed: where a step cannot be taken, or `most_steps` have been; it carries the flow up to there.
        HessianTooLarge: where the Jacobian does not fit into memory.
        NonFiniteLoss: where the loss or its gradient is not finite at the start.
        NoParameters: where `theta` is empty.
        ValueError: for a time or tolerances that are not positive.
    """
    for name, value in (("until", until), ("relative_error", relative_error), ("absolute_error", absolute_error)):
        if not value > 0.0:
            raise ValueError(f"{name} = {value}, expected a positive number")
    check_memory(
        f"the Jacobian of the flow of {len(theta)} parameters and its factors",
        40.0 * len(theta) ** 2,  # The Hessian and the factors of a real and a complex matrix
        DENSE_MEMORY,
        "train by L-BFGS, or take a smaller network",
    )
    loss, gradient = landscape.gradient(theta)
    equation = _Equation(landscape)
    rows = [(0.0, loss, float(np.linalg.norm(gradient)), 0.0)]
    state = np.append(theta, 0.0)

    def flow(ended: str) -> Flow:
        times, losses, norms, dissipated = np.array(rows).T
        return Flow(
            state[:-1].copy(), times, losses, norms, dissipated, equation.gradients, equation.hessians, ended
        )  # fmt: skip

    def begun(tightened: float, first_step: float | None) -> Radau | BDF:
        return METHODS[method](
            equation.slope,
            rows[-1][0],
            state,
            until,
            rtol=max(tightened * relative_error, 1e-13),
            atol=np.append(np.full(len(theta), tightened * absolute_error), DISSIPATED * abs(rows[0][1]) + 1e-300),
            jac=equation.jacobian,
            first_step=first_step,
        )

    if rows[0][2] == 0.0:
        return flow("stationary")
    solver, tightened = begun(1.0, None), 1.0
    while len(rows) <= most_steps:
        try:
            message = solver.step()
            if solver.status == "failed":
                raise FlowFailed(f"the solver gave up at time {rows[-1][0]:.4g}: {message}", flow("failed"))
            loss, gradient = landscape.gradient(solver.y[:-1])
        except NonFiniteLoss as error:
            raise FlowFailed(f"beyond time {rows[-1][0]:.4g}: {error}", flow("failed")) from error
        if loss > rows[-1][1]:
            if solver.y[-1] - rows[-1][3] <= ROUND_OFF * abs(loss):
                return flow("round-off")
            tightened *= 0.1
            if tightened < 1e-4:
                raise FlowFailed(
                    f"the loss rises at time {rows[-1][0]:.4g} however small the tolerance: is the gradient that of the loss?",
                    flow("failed"),
                )
            solver = begun(tightened, min(0.5 * (solver.t - rows[-1][0]), until - rows[-1][0]))
            continue
        state = solver.y.copy()
        rows.append((solver.t, loss, float(np.linalg.norm(gradient)), float(state[-1])))
        if rows[-1][2] <= min(gradient_below, rows[-2][2]):
            return flow("stationary")
        if solver.status == "finished":
            return flow("time")
    raise FlowFailed(
        f"after {most_steps} steps the flow is at time {rows[-1][0]:.4g} with |grad E| = {rows[-1][2]:.3g}: go on from "
        "its last parameters, or allow more steps",
        flow("failed"),
    )
