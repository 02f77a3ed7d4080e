"""Feed-forward networks of atomic energies, one an element."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

Layers = tuple[tuple[Tensor, Tensor], ...]
"""Weights (out, in) and biases (out,) of the layers of one network."""


def softplus(x: Tensor) -> Tensor:
    """ln(1 + e^x), smooth everywhere (torch's own has a threshold with a jump in the slope)."""
    return torch.logaddexp(x, torch.zeros_like(x))


def radial(z: Tensor, inputs: Tensor) -> Tensor:
    """exp(min(z - |x|^2 / 2, 0)): with weights w and bias -|w|^2 / 2 the Gaussian exp(-|x - w|^2 / 2) about the centre w."""
    exponent = z - 0.5 * inputs.square().sum(-1, keepdim=True)
    # The value is bounded against round-off; a derivative of the bound would lose the curvature at the centres.
    return torch.exp(exponent - exponent.detach().clamp(min=0.0))


ACTIVATIONS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "tanh": lambda z, _: torch.tanh(z),
    "softplus": lambda z, _: softplus(z),
    "logistic": lambda z, _: torch.sigmoid(z),
    "linear": lambda z, _: z,
    "radial": radial,
}
"""Of a layer's z = W x + b and its inputs x."""


@dataclass(frozen=True)
class Network:
    """E(G) = w_L . h_{L-1} + b_L [+ skip . G],  h_k = activation_k(W_k h_{k-1} + b_k),  h_0 = G;  `radial` sees h_{k-1} too.

    Attributes:
        layers: weights and biases; the last layer is linear and has one output (eV). One layer alone is a linear model.
        activations: of each hidden layer, names in `ACTIVATIONS`; empty for tanh everywhere.
        skip: weights of the linear term beside the layers, or None.
    """

    layers: Layers
    activations: tuple[str, ...] = ()
    skip: Float[Tensor, "functions"] | None = None

    def __post_init__(self) -> None:
        if not self.activations:
            object.__setattr__(self, "activations", ("tanh",) * (len(self.layers) - 1))
        if len(self.activations) != len(self.layers) - 1:
            raise ValueError(
                f"{len(self.activations)} activations for {len(self.layers) - 1} hidden layers, expected one each"
            )
        unknown = set(self.activations) - set(ACTIVATIONS)
        if unknown:
            raise ValueError(f"activations {sorted(unknown)}, expected names in {sorted(ACTIVATIONS)}")
        width = self.inputs
        for weight, bias in self.layers:
            if weight.shape != (len(bias), width):
                raise ValueError(f"a layer has shape {tuple(weight.shape)}, expected ({len(bias)}, {width})")
            width = len(bias)
        if width != 1:
            raise ValueError(f"the last layer has {width} outputs, expected 1")
        if self.skip is not None and self.skip.shape != (self.inputs,):
            raise ValueError(f"skip has shape {tuple(self.skip.shape)}, expected ({self.inputs},)")

    @property
    def inputs(self) -> int:
        """Number of descriptors taken."""
        return int(self.layers[0][0].shape[1])

    @property
    def parameters(self) -> list[Tensor]:
        """All tensors, in the order of the layers, the skip last."""
        return [tensor for layer in self.layers for tensor in layer] + ([] if self.skip is None else [self.skip])

    def hidden(self, descriptors: Float[Tensor, "atoms functions"]) -> Float[Tensor, "atoms units"]:
        """h_{L-1}, what the last layer is linear in."""
        hidden = descriptors
        for (weight, bias), activation in zip(self.layers[:-1], self.activations, strict=True):
            hidden = ACTIVATIONS[activation](torch.addmm(bias, hidden, weight.T), hidden)
        return hidden

    def __call__(self, descriptors: Float[Tensor, "atoms functions"]) -> Float[Tensor, "atoms"]:
        """Atomic energies, eV."""
        weight, bias = self.layers[-1]
        energy = torch.addmm(bias, self.hidden(descriptors), weight.T)[:, 0]
        return energy if self.skip is None else energy + descriptors @ self.skip

    @classmethod
    def mean(cls, networks: Sequence["Network"]) -> "Network":
        """One network whose output is the mean of several on the same inputs, exactly: their layers side by side.

        The first layers are stacked, those after them stand in blocks along the diagonal, and the last are added up.

        Raises:
            ValueError: for networks of different depth, activations or inputs.
        """
        first = networks[0]
        for other in networks[1:]:
            if (other.activations, other.inputs) != (first.activations, first.inputs):
                raise ValueError(
                    f"networks with {first.activations} on {first.inputs} inputs and {other.activations} on {other.inputs}, "
                    "expected the same of all"
                )
        count, layers = len(networks), []
        for k, layer in enumerate(zip(*(network.layers for network in networks), strict=True)):
            weights, biases = [weight for weight, _ in layer], [bias for _, bias in layer]
            last = k == len(first.layers) - 1
            if last:
                side_by_side = torch.cat(weights, dim=1) / count if k else torch.stack(weights).mean(0)
                layers.append((side_by_side, torch.stack(biases).mean(0)))
            else:
                layers.append((torch.block_diag(*weights) if k else torch.cat(weights), torch.cat(biases)))
        skips = [n.layers[0][0].new_zeros(n.inputs) if n.skip is None else n.skip for n in networks]
        return cls(tuple(layers), first.activations, torch.stack(skips).mean(0))

    def to(self, device: str) -> "Network":
        """The same network on another device."""
        layers = tuple((weight.to(device), bias.to(device)) for weight, bias in self.layers)
        return replace(self, layers=layers, skip=None if self.skip is None else self.skip.to(device))
