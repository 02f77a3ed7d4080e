"""Networks of one input with tanh neurons, fitted to points on a curve: their landscapes are known well enough to be tested."""

import numpy as np
import torch
from torch import Tensor

from atomistic.diagnosis import Landscape

X = torch.linspace(-2.0, 2.0, 20, dtype=torch.float64)
TWO_NEURONS = torch.tanh(1.5 * X + 0.5) - 0.7 * torch.tanh(-X + 1.0)


def curve(neurons: int, x: Tensor = X, y: Tensor = TWO_NEURONS) -> Landscape:
    """Mean square error of sum_k v_k tanh(w_k x + b_k) + c; parameters w, b, v, c. The curve is one of two neurons."""

    def loss(theta: Tensor) -> Tensor:
        w, b, v, c = theta.split((neurons, neurons, neurons, 1))
        return (torch.tanh(x[:, None] * w + b) @ v + c - y).square().mean()

    return Landscape(loss)


def twins(theta: np.ndarray, share: float) -> np.ndarray:
    """A network of one neuron as one of two."""
    w, b, v, c = theta
    return np.array([w, w, b, b, share * v, (1.0 - share) * v, c])
