"""What a training minimises: the loss of the labels as a function of the flat parameters, and the potential that these stand for."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from atomistic.descriptors import Descriptors
from atomistic.linear_fit import LinearModel
from atomistic.potential import NeuralPotential
from atomistic.training_loss import Loss
from atomistic.training_rows import Rows
from atomistic.whitening import Whitening


@dataclass(frozen=True)
class Objective:
    """The loss of a training and the way back from its parameters to a potential.

    Attributes:
        descriptors: of the potential.
        loss: of whitened rows as a function of the flat parameters.
        whitening: that folds into the first layer.
        linear: the linear model from which the networks start.
    """

    descriptors: Descriptors
    loss: Loss
    whitening: Whitening
    linear: LinearModel

    def initial(self, seed: int) -> Float[ndarray, "parameters"]:
        """Random hidden layers beside the linear model."""
        return self.loss.model.initial(seed, self.linear.coefficients)

    def potential(self, theta: Float[ndarray, "parameters"], provenance: dict[str, str]) -> NeuralPotential:
        """The potential with these parameters; `provenance` says how they were found."""
        networks = {
            number: self.whitening.folded(network, number, self.loss.shift[number], self.descriptors.count(number))
            for number, network in self.loss.model.networks(self.loss.tensor(theta)).items()
        }
        return NeuralPotential(self.descriptors, networks, provenance)


def spread_of_energies(rows: Sequence[Rows], linear: LinearModel) -> float:
    """Root mean square of the atomic energies that a linear model gives the whitened rows, its constants left out; eV."""
    squares = atoms = 0.0
    for block in rows:
        for number, coefficients in linear.coefficients.items():
            own = block.values[block.numbers == number]
            squares += float((own @ coefficients).square().sum())
            atoms += len(own)
    return float(np.sqrt(squares / atoms))


def stored(block: Rows, precision: str) -> Rows:
    """The rows with the Jacobian, which fills the memory, in single or double precision; all else stays double."""
    return block if precision == "double" else replace(block, jacobian=block.jacobian.float())
