r"""Potentials in the format of n2p2 and RuNNer: a folder with `input.nn`, `scaling.data` and one `weights.ZZZ.data` an element.

There the network of an element sees scaled symmetry functions, and energies may be normalised:

    E_i = E_net(s) / conv_energy + mean_energy + atom_energy,        s = S_min + f (G - G_0),

with f = (S_max - S_min) / (G_max - G_min), or over G_sigma, or 1, and G_0 = G_min, G_mean or 0. All of this is linear: it goes into the
first and the last layer here, and the potential is an ordinary one. (`conv_length` leaves G and E_net as they are.) The order of the
functions is that which n2p2 sorts them into, not that of the file. Format and definitions: n2p2's documentation; Singraber, Behler and
Dellago, J. Chem. Theory Comput. 15 (2019) 1827.
"""

import os
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np
import torch
from ase.data import atomic_numbers
from ase.units import Bohr, Hartree
from jaxtyping import Float
from numpy import ndarray

from atomistic.n2p2_settings import Setting, Settings, count_in, number_in, read_lines, read_settings
from atomistic.network import Network
from atomistic.network_file import NetworkFileError
from atomistic.potential import NeuralPotential
from atomistic.straight_nodes import beside_layers
from atomistic.symmetry_functions import SymmetryFunction, SymmetryFunctions

UNITS: Final = {"eV, Angstrom": (1.0, 1.0), "hartree, bohr": (Hartree, Bohr)}
"""Units of energy and length a folder may be in, in eV and Angstrom; the files do not say."""

CUTOFF_TYPES: Final = {
    1: "cosine",
    2: "tanh3",
    3: "normalised-tanh3",
    4: "exponential",
    5: "cubic",
    6: "polynomial",
    7: "septic",
    8: "nonic",
}
FUNCTION_TYPES: Final = {
    2: ("radial", 1),
    3: ("narrow", 2),
    9: ("wide", 2),
    12: ("radial", 0),
    13: ("narrow", 0),
}
"""n2p2's types: the kind here, and how many elements of neighbours are named (none: weighted by atomic numbers)."""

ACTIVATION_LETTERS: Final = {"t": "tanh", "s": "logistic", "p": "softplus", "l": "linear"}

SCALINGS: Final = {
    (True, False, False): ("minimum", "range"),
    (False, True, False): ("mean", "one"),
    (True, True, False): ("mean", "range"),
    (False, False, True): ("mean", "sigma"),
}
"""What the keywords scale_symmetry_functions, center_symmetry_functions and scale_symmetry_functions_sigma subtract and divide by."""


def n2p2_order(function: SymmetryFunction) -> tuple[float | int, ...]:
    """The key by which n2p2 sorts the functions of an element."""
    named = len(function.neighbours)
    (number,) = (t for t, (kind, count) in FUNCTION_TYPES.items() if (kind, count) == (function.kind, named))
    return (
        number,
        function.cutoff,
        function.eta,
        function.shift,
        function.zeta,
        function.lambda_,
        *function.neighbours,
    )


def read_n2p2(folder: str | os.PathLike[str], *, units: str) -> NeuralPotential:
    """Read a potential of n2p2 or RuNNer; nothing in its files is executed.

    Args:
        folder: with `input.nn`, `weights.ZZZ.data` of each element and, where functions are scaled, `scaling.data`.
        units: those of the folder's energies and lengths, a name in `UNITS`.

    Raises:
        ValueError: for other units.
        NetworkFileError: naming file and line, where a file is missing, truncated, foreign or inconsistent, or asks for physics that is
            not supported (charges, committees, compact functions, other activations).
    """
    if units not in UNITS:
        raise ValueError(f"units {units!r}, expected one of {sorted(UNITS)}: those that the potential was trained in")
    energy_unit, length_unit = UNITS[units]
    folder = Path(folder)
    settings = read_settings(folder / "input.nn")
    numbers = _elements(settings)
    functions = _functions(settings, numbers)
    scaling = _scaling(settings, folder / "scaling.data", [len(functions[number]) for number in numbers])
    offsets = dict.fromkeys(numbers, settings.number("mean_energy", 0.0))
    for setting in settings.all("atom_energy"):
        offsets[_element(settings, setting, numbers)] += _number(settings, setting, 1, "atom_energy")
    for keyword in ("mean_energy", "conv_energy", "conv_length"):
        if settings.has(keyword) != settings.has("conv_energy"):
            raise NetworkFileError(f"{settings.path} has some, not all, of mean_energy, conv_energy and conv_length")
    conversion = settings.number("conv_energy", 1.0)
    if not conversion > 0.0:
        raise settings.error(
            settings.one("conv_energy").line, f"conv_energy = {conversion}, expected a positive number"
        )
    networks = {}
    for number, (factor, shift) in zip(numbers, scaling, strict=True):
        widths, activations = _topology(settings, number, numbers)
        path = folder / f"weights.{number:03d}.data"
        layers = _weights(path, (len(functions[number]), *widths, 1))
        if settings.has("normalize_nodes"):
            layers = [(weight / weight.shape[1], bias / weight.shape[1]) for weight, bias in layers]
        weight, bias = layers[0]
        layers[0] = (weight * factor, bias + weight @ shift)
        weight, bias = layers[-1]
        layers[-1] = (weight * (energy_unit / conversion), (bias / conversion + offsets[number]) * energy_unit)
        tensors = tuple((torch.from_numpy(weight), torch.from_numpy(bias)) for weight, bias in layers)
        networks[number] = beside_layers(Network(tensors, activations))
    name, inner = _cutoff(settings)
    own = tuple(
        tuple(
            f._replace(eta=f.eta / length_unit**2, shift=f.shift * length_unit, cutoff=f.cutoff * length_unit)
            for f in functions[number]
        )
        for number in numbers
    )
    descriptors = SymmetryFunctions(numbers, own, name, inner)
    return NeuralPotential(descriptors, networks, {"read from": f"n2p2 folder {folder.name}", "its units": units})


def _elements(settings: Settings) -> tuple[int, ...]:
    """Atomic numbers of the elements, ascending."""
    setting = settings.one("elements")
    unknown = [symbol for symbol in setting.values if not atomic_numbers.get(symbol)]
    numbers = tuple(sorted({atomic_numbers[symbol] for symbol in setting.values if symbol not in unknown}))
    counted = settings.one("number_of_elements")
    if unknown or len(numbers) != count_in(settings.path, counted.line, counted.values[0], "number_of_elements"):
        raise settings.error(
            setting.line,
            f"elements {' '.join(setting.values)}, expected {counted.values[0]} different chemical symbols",
        )
    return numbers


def _element(settings: Settings, setting: Setting, numbers: tuple[int, ...], position: int = 0) -> int:
    """Atomic number of the symbol at a position of a line."""
    symbol = setting.values[position] if position < len(setting.values) else "nothing"
    if atomic_numbers.get(symbol) not in numbers:
        raise settings.error(setting.line, f"{symbol!r} where one of the file's elements is expected")
    return int(atomic_numbers[symbol])


def _number(settings: Settings, setting: Setting, position: int, name: str) -> float:
    """The number at a position of a line."""
    if position >= len(setting.values):
        raise settings.error(setting.line, f"too few values: {name} is missing")
    return number_in(settings.path, setting.line, setting.values[position], name)


def _cutoff(settings: Settings) -> tuple[str, float]:
    """Cutoff function and inner cutoff."""
    setting = settings.one("cutoff_type")
    number = count_in(settings.path, setting.line, setting.values[0], "cutoff_type")
    if number not in CUTOFF_TYPES:
        raise settings.error(
            setting.line, f"cutoff_type {number}, expected one of {sorted(CUTOFF_TYPES)} (0 has a jump)"
        )
    inner = settings.number("cutoff_alpha", 0.0)
    if len(setting.values) > 1:
        inner = _number(settings, setting, 1, "the inner cutoff")
    if not 0.0 <= inner < 1.0:
        raise settings.error(setting.line, f"inner cutoff {inner}, expected 0 <= alpha < 1")
    # The two of tanh^3 take no inner cutoff, there as here.
    return CUTOFF_TYPES[number], inner if number not in (2, 3) else 0.0


def _functions(settings: Settings, numbers: tuple[int, ...]) -> dict[int, tuple[SymmetryFunction, ...]]:
    """Symmetry functions of each element in the file's units, in n2p2's order."""
    functions: dict[int, list[SymmetryFunction]] = {number: [] for number in numbers}
    for setting in settings.all("symfunction_short", "symfunction"):
        centre = _element(settings, setting, numbers)
        kind = int(_number(settings, setting, 1, "the type of symmetry function"))
        if kind not in FUNCTION_TYPES:
            raise settings.error(
                setting.line, f"symmetry function of type {kind}, expected one of {sorted(FUNCTION_TYPES)}"
            )
        name, named = FUNCTION_TYPES[kind]
        neighbours = tuple(sorted(_element(settings, setting, numbers, 2 + k) for k in range(named)))
        first = 2 + named
        order = {
            2: ("eta", "shift", "cutoff"),
            12: ("eta", "shift", "cutoff"),
            3: ("eta", "lambda_", "zeta", "cutoff", "shift"),
            9: ("eta", "lambda_", "zeta", "cutoff", "shift"),
            13: ("eta", "shift", "lambda_", "zeta", "cutoff"),
        }[kind]
        # In types 3 and 9 the shift came later and may be missing.
        given = order[:-1] if kind in (3, 9) and len(setting.values) == first + 4 else order
        values = {field: _number(settings, setting, first + k, field) for k, field in enumerate(given)}
        try:
            function = SymmetryFunction(name, neighbours, **{"shift": 0.0, **values}).check(numbers)
        except ValueError as error:
            raise settings.error(setting.line, str(error)) from error
        functions[centre].append(function)
    for number, own in functions.items():
        if not own:
            raise NetworkFileError(f"{settings.path} has no symmetry functions for the element of number {number}")
    return {number: tuple(sorted(own, key=n2p2_order)) for number, own in functions.items()}


def _scaling(
    settings: Settings, path: Path, counts: list[int]
) -> list[tuple[Float[ndarray, "functions"], Float[ndarray, "functions"]]]:
    """For each element f and shift of s = f G + shift."""
    keywords = ("scale_symmetry_functions", "center_symmetry_functions", "scale_symmetry_functions_sigma")
    scaled, centred, by_sigma = (settings.has(keyword) for keyword in keywords)
    if not (scaled or centred or by_sigma):
        return [(np.ones(count), np.zeros(count)) for count in counts]
    origin, width = SCALINGS[scaled, centred, by_sigma and not scaled and not centred]
    smallest, largest = settings.number("scale_min_short", 0.0), settings.number("scale_max_short", 1.0)
    if origin == "mean" and width == "one":
        smallest, largest = 0.0, 1.0
    lines = read_lines(path, "#")
    if len(lines) < sum(counts):
        raise NetworkFileError(
            f"{path} has {len(lines)} lines of values, expected {sum(counts)}, one a symmetry function"
        )
    found = []
    rows = iter(lines)
    for element, count in enumerate(counts, start=1):
        factors, shifts = [], []
        for k in range(1, count + 1):
            line, words = next(rows)
            if words[:2] != (str(element), str(k)) or len(words) < (6 if width == "sigma" else 5):
                raise NetworkFileError(
                    f"{path}, line {line}: {' '.join(words[:2])!r}, expected element {element} and function {k}, then "
                    "minimum, maximum, mean and sigma"
                )
            low, high, mean, *sigma = (number_in(path, line, word, "a statistic") for word in words[2:6])
            span = {"range": high - low, "one": 1.0, "sigma": sigma[0] if sigma else 0.0}[width]
            if not span > 0.0:
                raise NetworkFileError(
                    f"{path}, line {line}: function {k} of element {element} has a {width} of {span}"
                )
            factors.append((largest - smallest) / span)
            shifts.append(smallest - factors[-1] * (low if origin == "minimum" else mean))
        found.append((np.array(factors), np.array(shifts)))
    # RuNNer ends the file with the range of energies.
    for line, words in rows:
        if len(words) > 2:
            raise NetworkFileError(f"{path}, line {line}: more symmetry functions than {settings.path} has")
    return found


def _topology(settings: Settings, number: int, numbers: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Widths and activations of an element's hidden layers."""

    def lines(quantity: str) -> Setting:
        for setting in settings.all(f"element_{quantity}_short"):
            if _element(settings, setting, numbers) == number:
                return replace(setting, values=setting.values[1:])
        return settings.one(f"global_{quantity}_short")

    hidden = lines("hidden_layers")
    if len(hidden.values) != 1:
        raise settings.error(hidden.line, "expected one number of hidden layers")
    depth = count_in(settings.path, hidden.line, hidden.values[0], "the number of hidden layers")
    nodes = lines("nodes") if depth else Setting(hidden.line, ())
    activation = lines("activation")
    letters = activation.values
    if letters[depth:] not in ((), ("l",)) or len(letters) < depth or not set(letters) <= set(ACTIVATION_LETTERS):
        raise settings.error(
            activation.line,
            f"activations {' '.join(letters)}, expected {depth} of {' '.join(ACTIVATION_LETTERS)} and then l",
        )
    if len(nodes.values) != depth:
        raise settings.error(nodes.line, f"{len(nodes.values)} widths for {depth} hidden layers")
    widths = tuple(count_in(settings.path, nodes.line, word, "a number of nodes") for word in nodes.values)
    if 0 in widths:
        raise settings.error(nodes.line, "a layer without nodes")
    return widths, tuple(ACTIVATION_LETTERS[letter] for letter in letters[:depth])


def _weights(path: Path, widths: tuple[int, ...]) -> list[tuple[Float[ndarray, "out in"], Float[ndarray, "out"]]]:
    """Weights and biases of one network: for each layer all weights from its first input, its second, ..., then the biases."""
    expected = [
        (layer, source, target)
        for layer, (inputs, outputs) in enumerate(pairwise(widths), start=1)
        for source in range(1, inputs + 2)
        for target in range(1, outputs + 1)
    ]
    lines = read_lines(path, "#")
    if len(lines) != len(expected):
        raise NetworkFileError(
            f"{path} has {len(lines)} values, expected {len(expected)} for the layers {widths}; is it whole, and of this folder?"
        )
    values = []
    for count, ((line, words), (layer, source, target)) in enumerate(zip(lines, expected, strict=True), start=1):
        bias = source > widths[layer - 1]
        place = ("b", count, layer, target) if bias else ("a", count, layer - 1, source, layer, target)
        if len(words) > 1 and words[1:] != tuple(map(str, place)):
            raise NetworkFileError(
                f"{path}, line {line}: {' '.join(words[1:])!r}, expected {' '.join(map(str, place))!r}"
            )
        values.append(number_in(path, line, words[0], "a weight"))
    flat = np.array(values)
    layers = []
    for inputs, outputs in pairwise(widths):
        block, flat = flat[: (inputs + 1) * outputs].reshape(inputs + 1, outputs), flat[(inputs + 1) * outputs :]
        layers.append((np.ascontiguousarray(block[:-1].T), block[-1].copy()))
    return layers
