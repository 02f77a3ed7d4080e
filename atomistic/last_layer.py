r"""The last layer of a potential as a linear model: energies, forces and stress are rows times its weights.

With the features phi_i of atom i (its last hidden layer h_i, a constant 1, and its descriptors where the network has a linear skip)
the trained weights w = (w_L, b_L, skip) of each element enter linearly,

    E = sum_i phi_i . w,     f_i = -sum_p w_p d(sum_j phi_jp)/dr_i,     sigma = 1/V sum_p w_p sum_ij d phi_ip/dr_ij (x) r_ij ,

so each energy, force component and stress component is one row of length p times w. Elements follow one another in the columns. With
the derivatives of the descriptors, dphi/dr = dphi/dG dG/dr is a product of dense matrices for each atom.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from ase import Atoms
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from atomistic.descriptor_jacobian import values_and_jacobian
from atomistic.neighbours import neighbour_table
from atomistic.network import ACTIVATIONS, Network
from atomistic.potential import NeuralPotential


@dataclass(frozen=True)
class FeatureRows:
    """Rows of one structure in the linear model of the last layer, or in a linear map of it.

    Attributes:
        atomic: of the atoms' energies; their sum is the row of the energy, eV.
        forces: of the force components, eV/A.
        stress: of the stress components, eV/A^3; None where the structure is not periodic in all directions.
    """

    atomic: Float[Tensor, "atoms columns"]
    forces: Float[Tensor, "atoms 3 columns"]
    stress: Float[Tensor, "3 3 columns"] | None


def last_layer_weights(potential: NeuralPotential) -> Float[ndarray, "columns"]:
    """w of the module's docstring, elements in ascending order; the bias of each follows its weights, its skip comes last."""
    parts = []
    for number in potential.descriptors.numbers:
        network = potential.networks[number]
        weight, bias = network.layers[-1]
        parts += [weight[0], bias] + ([] if network.skip is None else [network.skip])
    return np.asarray(torch.cat(parts).detach().cpu().numpy())


def with_last_layer(potential: NeuralPotential, weights: Float[ndarray, "columns"]) -> NeuralPotential:
    """The potential with other weights in the last layers; the inverse of `last_layer_weights`."""
    networks = {}
    start = 0
    for number in potential.descriptors.numbers:
        network = potential.networks[number]
        after = start + network.layers[-1][0].shape[1] + 1
        own = torch.from_numpy(weights[start:after].copy())
        start = after
        skip = network.skip
        if skip is not None:
            start += len(skip)
            skip = torch.from_numpy(weights[after:start].copy())
        networks[number] = replace(network, layers=(*network.layers[:-1], (own[None, :-1], own[-1:])), skip=skip)
    return replace(potential, networks=networks)


def bias_columns(potential: NeuralPotential) -> Float[ndarray, "columns"]:
    """One where a column is the constant feature of an element, else zero."""
    parts = []
    for number in potential.descriptors.numbers:
        network = potential.networks[number]
        after = 0 if network.skip is None else len(network.skip)
        parts += [np.zeros(network.layers[-1][0].shape[1]), np.ones(1), np.zeros(after)]
    return np.concatenate(parts)


def last_hidden_and_jacobian(
    network: Network, descriptors: Float[Tensor, "atoms functions"]
) -> tuple[Float[Tensor, "atoms width"], Float[Tensor, "atoms width functions"]]:
    """h_{L-1} and dh_{L-1}/dG; the descriptors themselves and the identity in a network of one layer."""
    hidden = descriptors
    jacobian = torch.eye(descriptors.shape[1], dtype=descriptors.dtype, device=descriptors.device)
    jacobian = jacobian.expand(len(descriptors), -1, -1)
    for (weight, bias), activation in zip(network.layers[:-1], network.activations, strict=True):
        argument = torch.addmm(bias, hidden, weight.T).detach().requires_grad_()
        hidden = ACTIVATIONS[activation](argument)
        (slope,) = torch.autograd.grad(hidden.sum(), argument)
        hidden = hidden.detach()
        jacobian = slope[..., None] * (weight @ jacobian)
    return hidden, jacobian


def feature_rows(
    potential: NeuralPotential, atoms: Atoms, transform: Float[Tensor, "columns mapped"] | None = None
) -> FeatureRows:
    """Rows of the energy, the forces and the stress of a structure, times `transform` where it is given.

    Raises:
        UnknownElement: where an element is not known.
    """
    potential.check_elements(atoms)
    table = neighbour_table(atoms, potential.cutoff)
    values, slopes = values_and_jacobian(potential.descriptors, table)
    width = len(last_layer_weights(potential))
    transform = torch.eye(width, dtype=values.dtype) if transform is None else transform
    columns = transform.shape[1]
    features = values.new_zeros(len(atoms), columns)
    pull = values.new_zeros(len(atoms), columns, *slopes.shape[2:])
    start = 0
    for number in potential.descriptors.numbers:
        network, functions = potential.networks[number], potential.descriptors.count(number)
        own = torch.nonzero(table.numbers == number)[:, 0]
        hidden, jacobian = last_hidden_and_jacobian(network, values[own, :functions])
        after = start + hidden.shape[1] + 1
        of_hidden, of_bias = transform[start : after - 1], transform[after - 1]
        mapped, mapped_jacobian = hidden @ of_hidden + of_bias, of_hidden.T @ jacobian
        start = after
        if network.skip is not None:
            start += functions
            mapped = mapped + values[own, :functions] @ transform[after:start]
            mapped_jacobian = mapped_jacobian + transform[after:start].T
        features[own] = mapped
        pull[own] = torch.bmm(mapped_jacobian, slopes[own, :functions].flatten(2)).unflatten(2, slopes.shape[2:])
    by_edge = pull.transpose(1, 2)[table.mask]
    forces = pull.sum(2).index_add(0, table.index[table.mask], -by_edge)
    stress = None
    if all(atoms.pbc):
        virial = torch.einsum("epi,ej->ijp", by_edge, table.vectors[table.mask])
        stress = 0.5 * (virial + virial.transpose(0, 1)) / atoms.get_volume()
    return FeatureRows(atomic=features, forces=forces.transpose(1, 2), stress=stress)
