"""Writing a potential with symmetry functions as a folder of n2p2's: `input.nn`, `scaling.data`, `weights.ZZZ.data`."""

import os
import shutil
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np
import torch
from ase import Atoms
from ase.data import chemical_symbols
from jaxtyping import Float
from numpy import ndarray

from atomistic.n2p2 import ACTIVATION_LETTERS, CUTOFF_TYPES, FUNCTION_TYPES, n2p2_order
from atomistic.neighbours import neighbour_table
from atomistic.network import Network
from atomistic.potential import NeuralPotential
from atomistic.straight_nodes import through_layers
from atomistic.symmetry_functions import SymmetryFunction, SymmetryFunctions

UNBOUNDED: Final = 1e300
"""Where no structures are given, every value lies inside the range that n2p2 warns outside of."""


class NotInN2P2Format(ValueError):
    """A potential that n2p2's files cannot describe."""


def write_n2p2(folder: str | os.PathLike[str], potential: NeuralPotential, structures: Sequence[Atoms] = ()) -> None:
    """Write `potential` as a new folder for n2p2 and LAMMPS's pair style hdnnp, in eV and Angstrom; whole or not at all.

    Args:
        folder: does not exist yet, or is empty.
        potential: with symmetry functions, and networks whose layers are alike for all elements.
        structures: those it was trained on: the ranges outside which n2p2 warns of extrapolation. Without, it never does.

    Raises:
        NotInN2P2Format: for body-ordered descriptors, and whatever else the format lacks.
        ValueError: where the folder has files.
    """
    descriptors = potential.descriptors
    if not isinstance(descriptors, SymmetryFunctions):
        raise NotInN2P2Format(
            f"descriptors of kind {descriptors.kind!r} cannot be written for n2p2, which has symmetry functions only; "
            "train a potential with SymmetryFunctions"
        )
    target = Path(folder)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ValueError(f"{target} exists and is not an empty folder; name a new one")
    orders = {}
    for number in descriptors.numbers:
        own = descriptors.of(number)
        for function in own:
            if (function.kind, len(function.neighbours)) not in FUNCTION_TYPES.values():
                raise NotInN2P2Format(f"{function} has no type in n2p2; expected one of {FUNCTION_TYPES}")
        orders[number] = sorted(range(len(own)), key=lambda k, own=own: n2p2_order(own[k]))  # type: ignore[misc]
    networks = {number: _layers_only(network) for number, network in potential.networks.items()}
    files = {
        "input.nn": _settings(descriptors, list(networks.values())),
        "scaling.data": _scaling(descriptors, orders, structures),
    }
    for number, network in networks.items():
        files[f"weights.{number:03d}.data"] = _weights(network, orders[number])
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        partial.mkdir(parents=True)
        for name, text in files.items():
            (partial / name).write_text(text, encoding="utf-8")
        os.replace(partial, target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _layers_only(network: Network) -> Network:
    """The same function by layers alone, at least one of them hidden, as n2p2 has it."""
    try:
        network = through_layers(network)
    except ValueError as error:
        raise NotInN2P2Format(f"{error}, since n2p2 has layers only") from error
    if len(network.layers) > 1:
        return network
    weight, bias = network.layers[0]
    return Network((*network.layers, (weight.new_ones(1, 1), bias.new_zeros(1))), ("linear",))


def _settings(descriptors: SymmetryFunctions, networks: list[Network]) -> str:
    """The text of `input.nn`."""
    topologies = {(*(len(bias) for _, bias in network.layers), *network.activations) for network in networks}
    if len(topologies) > 1:
        raise NotInN2P2Format(f"networks with different layers {sorted(topologies, key=str)}; n2p2 needs them alike")
    letters = {name: letter for letter, name in ACTIVATION_LETTERS.items()}
    unknown = sorted(set(networks[0].activations) - set(letters))
    if unknown:
        raise NotInN2P2Format(f"activations {unknown}, expected names in {sorted(letters)}")
    cutoff_type = {name: number for number, name in CUTOFF_TYPES.items()}[descriptors.cutoff_function]
    symbols = [chemical_symbols[number] for number in descriptors.numbers]
    widths = [str(len(bias)) for _, bias in networks[0].layers[:-1]]
    lines = [
        "# written by atomlaw; energies in eV, lengths in Angstrom",
        f"number_of_elements {len(symbols)}",
        f"elements {' '.join(symbols)}",
        f"cutoff_type {cutoff_type} {descriptors.inner_cutoff!r}",
        f"global_hidden_layers_short {len(widths)}",
        f"global_nodes_short {' '.join(widths)}",
        f"global_activation_short {' '.join([*(letters[name] for name in networks[0].activations), 'l'])}",
    ]
    for number, symbol in zip(descriptors.numbers, symbols, strict=True):
        lines += [f"symfunction_short {symbol} {_function(f)}" for f in sorted(descriptors.of(number), key=n2p2_order)]
    return "\n".join(lines) + "\n"


def _function(f: SymmetryFunction) -> str:
    """Type, neighbours and parameters of a function, in the order of its type; every digit."""
    (number,) = (t for t, one in FUNCTION_TYPES.items() if one == (f.kind, len(f.neighbours)))
    parameters = {
        2: (f.eta, f.shift, f.cutoff),
        12: (f.eta, f.shift, f.cutoff),
        3: (f.eta, f.lambda_, f.zeta, f.cutoff, f.shift),
        9: (f.eta, f.lambda_, f.zeta, f.cutoff, f.shift),
        13: (f.eta, f.shift, f.lambda_, f.zeta, f.cutoff),
    }[number]
    return " ".join([str(number), *(chemical_symbols[z] for z in f.neighbours), *map(repr, parameters)])


def _scaling(descriptors: SymmetryFunctions, orders: dict[int, list[int]], structures: Sequence[Atoms]) -> str:
    """The text of `scaling.data`: the range of each function; nothing is scaled."""
    values: dict[int, list[Float[ndarray, "atoms functions"]]] = {number: [] for number in descriptors.numbers}
    with torch.no_grad():
        for atoms in structures:
            table = neighbour_table(atoms, descriptors.cutoff)
            for number in set(atoms.numbers.tolist()) & set(descriptors.numbers):
                rows = table.numbers == number
                part = (table.vectors[rows], table.neighbour_numbers[rows], table.mask[rows])
                values[number].append(descriptors.values(number, *part).numpy())
    lines = ["# element function minimum maximum mean sigma"]
    for element, (number, order) in enumerate(orders.items(), start=1):
        all_values = np.concatenate(values[number])[:, order] if values[number] else None
        for k in range(len(order)):
            if all_values is None:
                statistics = (-UNBOUNDED, UNBOUNDED, 0.0, 1.0)
            else:
                column = all_values[:, k]
                statistics = (column.min(), column.max(), column.mean(), column.std())
            lines.append(f"{element:4d} {k + 1:4d} " + " ".join(f"{value:24.16E}" for value in statistics))
    return "\n".join(lines) + "\n"


def _weights(network: Network, order: list[int]) -> str:
    """The text of a weights file: for each layer all weights from its first input, its second, ..., then the biases."""
    layers = [(weight.detach().cpu().numpy(), bias.detach().cpu().numpy()) for weight, bias in network.layers]
    layers[0] = (layers[0][0][:, order], layers[0][1])
    lines: list[str] = ["# value type index layer node layer node"]
    widths = (network.inputs, *(len(bias) for _, bias in layers))
    for layer, (inputs, outputs) in enumerate(pairwise(widths), start=1):
        weight, bias = layers[layer - 1]
        for source in range(inputs):
            for target in range(outputs):
                place = f"a {len(lines)} {layer - 1} {source + 1} {layer} {target + 1}"
                lines.append(f"{weight[target, source]:24.16E} {place}")
        lines += [f"{bias[target]:24.16E} b {len(lines) + target} {layer} {target + 1}" for target in range(outputs)]
    return "\n".join(lines) + "\n"
