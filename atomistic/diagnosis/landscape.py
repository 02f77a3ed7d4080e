r"""The loss of a training as a landscape over its parameters: value, slope and curvature.

    E(theta) = D(theta) + lambda/2 |theta|^2,     H v = d/dtheta (v . grad E),

D the loss of the data, lambda the strength of the confining potential that l2 regularisation is. Products with the Hessian H are exact:
a backward pass through the graph of the gradient (Pearlmutter, Neural Comput. 6 (1994) 147), at the cost of about one gradient each.
A training's ``decay`` |theta|^2 is lambda = 2 ``decay``.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from scipy.sparse.linalg import LinearOperator
from torch import Tensor

from atomistic.memory import check_memory
from atomistic.training_loss import Loss, TrainingFailed
from atomistic.training_objective import Objective

DENSE_MEMORY = 2.0**31
"""Bytes that a dense Hessian may take: 16,000 parameters."""


class NoParameters(ValueError):
    """A landscape over nothing."""


class NonFiniteLoss(TrainingFailed):
    """The loss, its gradient or its Hessian is not finite.

    Attributes:
        theta: where.
    """

    def __init__(self, message: str, theta: Float[ndarray, "parameters"]) -> None:
        super().__init__(message)
        self.theta = theta


@dataclass(frozen=True)
class Landscape:
    """E(theta) = function(theta) + l2/2 |theta|^2.

    Attributes:
        function: D of the module's docstring, a torch function of the flat parameters that can be differentiated twice.
        l2: lambda >= 0.
        device: of torch.
    """

    function: Callable[[Tensor], Tensor]
    l2: float = 0.0
    device: str = "cpu"

    def __post_init__(self) -> None:
        if not 0.0 <= self.l2 < np.inf:
            raise ValueError(f"l2 = {self.l2}, expected zero or a positive number: it confines the parameters")

    @classmethod
    def of(cls, objective: Objective) -> "Landscape":
        """That of a training; its decay becomes `l2`."""
        loss = objective.loss
        data = Loss(loss.rows, loss.model, loss.shift, loss.scales, 0.0)
        return cls(data.value, 2.0 * loss.decay, str(loss.device))

    def confined(self, l2: float) -> "Landscape":
        """The same data in a confining potential of another strength."""
        return replace(self, l2=l2)

    def restricted(self, basis: Float[ndarray, "parameters coordinates"]) -> "Landscape":
        """The landscape over the coordinates x of theta = basis x, its l2 included; orthonormal columns keep lengths, and so the flow."""
        columns = torch.from_numpy(np.asarray(basis, np.float64)).to(self.device)
        return Landscape(lambda x: self._value(columns @ x), device=self.device)

    def at(self, theta: Float[ndarray, "parameters"]) -> float:
        """E.

        Raises:
            NonFiniteLoss: where it is not finite.
            NoParameters: where `theta` is empty.
        """
        with torch.no_grad():
            return self._value(self._tensor(theta)).item()

    def gradient(self, theta: Float[ndarray, "parameters"]) -> tuple[float, Float[ndarray, "parameters"]]:
        """E and grad E.

        Raises:
            NonFiniteLoss: where either is not finite.
            NoParameters: where `theta` is empty.
        """
        point = self.point(theta, curvature=False)
        return point.loss, point.gradient

    def point(self, theta: Float[ndarray, "parameters"], *, curvature: bool = True) -> "Point":
        """Value, gradient and, with the graph of the gradient held, products with the Hessian at one point.

        Raises:
            NonFiniteLoss: where the loss or its gradient is not finite.
            NoParameters: where `theta` is empty.
        """
        at = self._tensor(theta).requires_grad_()
        value = self._value(at)
        (slope,) = torch.autograd.grad(value, at, create_graph=curvature)
        gradient = slope.detach().cpu().numpy()
        if not np.isfinite(gradient).all():
            bad = int(np.flatnonzero(~np.isfinite(gradient))[0])
            raise NonFiniteLoss(f"the gradient of the loss is {gradient[bad]} by parameter {bad}", theta)
        return Point(theta, value.item(), gradient, at, slope)

    def _tensor(self, theta: ndarray) -> Tensor:
        if theta.ndim != 1 or not theta.size:
            raise NoParameters(f"parameters of shape {theta.shape}, expected one flat vector with at least one")
        return torch.from_numpy(np.asarray(theta, np.float64)).to(self.device, copy=True)

    def _value(self, theta: Tensor) -> Tensor:
        value = self.function(theta) + 0.5 * self.l2 * theta.square().sum()
        if not torch.isfinite(value):
            size = float(theta.detach().abs().max())
            raise NonFiniteLoss(
                f"the loss is {value.item()} at parameters up to {size:.3g}, expected a finite number: check the labels, or "
                "start nearer",
                theta.detach().cpu().numpy(),
            )
        return value


@dataclass(frozen=True)
class Point:
    """A point of a landscape.

    Attributes:
        theta: where.
        loss, gradient: E and grad E.
        at, slope: the same parameters and gradient in torch, with the graph of the latter.
    """

    theta: Float[ndarray, "parameters"]
    loss: float
    gradient: Float[ndarray, "parameters"]
    at: Tensor
    slope: Tensor

    def __len__(self) -> int:
        """Number of parameters."""
        return len(self.theta)

    def product(self, vector: Float[ndarray, "parameters"]) -> Float[ndarray, "parameters"]:
        """H v, exact.

        Raises:
            NonFiniteLoss: where it is not finite.
        """
        along = torch.from_numpy(np.ascontiguousarray(vector, np.float64)).to(self.slope.device)
        (row,) = torch.autograd.grad(self.slope, self.at, along.reshape(-1), retain_graph=True)
        product = row.cpu().numpy()
        if not np.isfinite(product).all():
            raise NonFiniteLoss("a product with the Hessian of the loss is not finite", self.theta)
        return np.asarray(product)

    def operator(self) -> LinearOperator:
        """H for scipy's iterative solvers."""
        size = len(self)
        return LinearOperator((size, size), matvec=self.product, rmatvec=self.product, dtype=np.float64)

    def hessian(self, memory: float = DENSE_MEMORY) -> Float[ndarray, "parameters parameters"]:
        """H, as many products as there are parameters.

        Raises:
            HessianTooLarge: where it takes more than `memory` bytes.
            NonFiniteLoss: where it is not finite.
        """
        size = len(self)
        check_memory(
            f"the second derivatives by {size} parameters",
            8.0 * size**2,
            memory,
            "use products with them (dense=False), or allow more memory",
        )
        rows, unit = np.empty((size, size)), np.zeros(size)
        for k in range(size):
            unit[k] = 1.0
            rows[k] = self.product(unit)
            unit[k] = 0.0
        return 0.5 * (rows + rows.T)
