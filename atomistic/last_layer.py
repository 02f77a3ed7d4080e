r"""The last layer of a potential as a linear model: energies, forces and stress are rows times its weights.

With the features phi_i of atom i (its last hidden layer h_i, a constant 1, and its descriptors where the network has a linear skip)
the trained weights w = (w_L, b_L, skip) of each element enter linearly,

    E = sum_i phi_i . w,     f_i = -sum_p w_p d(sum_j phi_jp)/dr_i,     sigma = 1/V sum_p w_p sum_ij d phi_ip/dr_ij (x) r_ij ,

so each energy, force component and stress component is one row r times w. Elements follow one another in the columns. By the same
linearity r v is what the potential predicts whose last layer is v: rows come from the potential's own predictions, by its fastest path.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import torch
from ase import Atoms
from jaxtyping import Float
from numpy import ndarray

from atomistic.neighbour_list import NeighbourList
from atomistic.potential import NeuralPotential, Prediction

SHARED: Final = 0.01
"""Skin (Angstrom) by which a list made for one structure holds for all potentials asked about it."""


@dataclass(frozen=True)
class FeatureRows:
    """Rows of one structure in the linear model of the last layer, times a matrix whose columns are directions v of the weights.

    Attributes:
        atomic: of the atoms' energies, eV; their sum is the row of the energy.
        forces: of the force components, eV/A.
        stress: of the stress components, eV/A^3; zero where the structure is not periodic in all directions.
    """

    atomic: Float[ndarray, "atoms columns"]
    forces: Float[ndarray, "atoms 3 columns"]
    stress: Float[ndarray, "3 3 columns"]


def last_layer_weights(potential: NeuralPotential) -> Float[ndarray, "columns"]:
    """w of the module's docstring, elements in ascending order; the bias of each follows its weights, its skip comes last."""
    parts = []
    for number in potential.descriptors.numbers:
        network = potential.networks[number]
        weight, bias = network.layers[-1]
        parts += [weight[0], bias] + ([] if network.skip is None else [network.skip])
    return np.asarray(torch.cat(parts).detach().cpu().numpy())


def bias_columns(potential: NeuralPotential) -> Float[ndarray, "columns"]:
    """One where a column is the constant feature of an element, else zero."""
    parts = []
    for number in potential.descriptors.numbers:
        network = potential.networks[number]
        after = 0 if network.skip is None else len(network.skip)
        parts += [np.zeros(network.layers[-1][0].shape[1]), np.ones(1), np.zeros(after)]
    return np.concatenate(parts)


def with_last_layer(potential: NeuralPotential, weights: Float[ndarray, "columns"]) -> NeuralPotential:
    """The potential with other weights in the last layers; the inverse of `last_layer_weights`."""
    networks = {}
    start = 0
    for number in potential.descriptors.numbers:
        network = potential.networks[number]
        after = start + network.layers[-1][0].shape[1] + 1
        own = torch.tensor(weights[start:after], device=potential.device)
        start = after
        skip = network.skip
        if skip is not None:
            start += len(skip)
            skip = torch.tensor(weights[after:start], device=potential.device)
        networks[number] = replace(network, layers=(*network.layers[:-1], (own[None, :-1], own[-1:])), skip=skip)
    return replace(potential, networks=networks)


def directions(potential: NeuralPotential, matrix: Float[ndarray, "columns mapped"]) -> tuple[NeuralPotential, ...]:
    """The potential with each column of `matrix` as its last layer: what `feature_rows` takes."""
    return tuple(with_last_layer(potential, column) for column in matrix.T)


def feature_rows(
    along: Sequence[NeuralPotential], atoms: Atoms, neighbours: NeighbourList | None = None
) -> FeatureRows:
    """Rows of the energy, the forces and the stress of a structure times the directions `along`.

    Raises:
        UnknownElement: where an element is not known.
        InvalidStructure: as `NeuralPotential.predict`.
    """
    predictions = predict_together(along, atoms, neighbours)
    return FeatureRows(
        atomic=np.stack([one.energies for one in predictions], axis=-1),
        forces=np.stack([one.forces for one in predictions], axis=-1),
        stress=np.stack([one.stress for one in predictions], axis=-1),
    )


def predict_together(
    potentials: Sequence[NeuralPotential], atoms: Atoms, neighbours: NeighbourList | None = None
) -> list[Prediction]:
    """Predictions by several potentials, which share one list of neighbours.

    Raises:
        UnknownElement, InvalidStructure: as `NeuralPotential.predict`.
    """
    cutoff = max(potential.cutoff for potential in potentials)
    neighbours = NeighbourList(cutoff, skin=SHARED) if neighbours is None else neighbours
    return [potential.predict(atoms, neighbours) for potential in potentials]
