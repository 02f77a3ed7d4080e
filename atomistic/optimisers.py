"""Optimisers of a training, each advancing by steps that a checkpoint can lie between.

A step takes parameters and state and returns both; a state is arrays alone. A run that was interrupted between two steps and goes on
from what was written ends with the same bits as one that was not.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from scipy.optimize import minimize

from atomistic.training_loss import Loss, TrainingFailed
from atomistic.training_rows import Rows

State = dict[str, ndarray]


@runtime_checkable
class Optimiser(Protocol):
    """One phase of a training.

    Attributes:
        name: of the phase, for its learning curve.
        steps: how many it has: epochs or cycles.
    """

    @property
    def name(self) -> str: ...

    @property
    def steps(self) -> int: ...

    def advance(
        self, step: int, theta: Float[ndarray, "parameters"], state: State
    ) -> tuple[Float[ndarray, "parameters"], State]:
        """Parameters and state after one more step; `state` is empty at the first."""
        ...


def batches(rows: Sequence[Rows], count: int) -> list[list[Rows]]:
    """Structures dealt into `count` batches, each with its share of every size; views, in the order in which the rows lie."""
    dealt = [[block[len(block) * k // count : len(block) * (k + 1) // count] for block in rows] for k in range(count)]
    present = [[block for block in batch if len(block)] for batch in dealt]
    return [batch for batch in present if batch]


@dataclass(frozen=True)
class Adam:
    """Adam (Kingma and Ba 2015) on batches in a new order every epoch; the learning rate rises in the first and falls as a cosine.

    Attributes:
        loss: what is minimised.
        batches: of the loss's rows.
        steps: epochs.
        learning_rate: the largest.
        seed: of the orders.
    """

    loss: Loss
    batches: list[list[Rows]]
    steps: int
    learning_rate: float
    seed: int
    name: str = "Adam"

    def advance(self, step: int, theta: ndarray, state: State) -> tuple[ndarray, State]:
        """One epoch.

        Raises:
            TrainingFailed: where the loss is not finite.
        """
        parameters = torch.tensor(theta, device=self.loss.device, requires_grad=True)
        adam = torch.optim.Adam([parameters])
        if state:
            # torch keeps the count of steps in single precision on the host.
            step_count = torch.tensor(state["step"], dtype=torch.float32)
            moments = {name: torch.tensor(state[name], device=self.loss.device) for name in ("exp_avg", "exp_avg_sq")}
            adam.state[parameters] = {"step": step_count, **moments}
        count = len(self.batches)
        for k, chosen in enumerate(np.random.default_rng((self.seed, step)).permutation(count)):
            adam.param_groups[0]["lr"] = self._rate((step * count + k + 1) / (self.steps * count))
            adam.zero_grad()
            loss = self.loss.value(parameters, self.batches[chosen])
            if not torch.isfinite(loss):
                raise TrainingFailed(f"the loss became {float(loss)} in epoch {step + 1}; lower learning_rate")
            loss.backward()
            adam.step()
        state = {name: np.asarray(value.cpu().numpy(), np.float64) for name, value in adam.state[parameters].items()}
        return parameters.detach().cpu().numpy(), state

    def _rate(self, fraction: float) -> float:
        rise = min(1.0, fraction * self.steps)
        return self.learning_rate * (rise * 0.5 * (1.0 + math.cos(math.pi * fraction)) + 1e-3)


@dataclass(frozen=True)
class LBFGS:
    """L-BFGS (scipy) on all rows, begun anew with every cycle.

    Attributes:
        loss: what is minimised.
        steps: cycles.
        iterations: of each cycle.
    """

    loss: Loss
    steps: int
    iterations: int
    name: str = "L-BFGS"

    def advance(self, step: int, theta: ndarray, state: State) -> tuple[ndarray, State]:
        """One cycle.

        Raises:
            TrainingFailed: where the loss is not finite.
        """
        options = {"maxiter": self.iterations, "maxfun": 2 * self.iterations, "maxcor": 40, "ftol": 0.0, "gtol": 0.0}
        result = minimize(self.loss.gradient, theta, jac=True, method="L-BFGS-B", options=options)
        return np.asarray(result.x), {}
