"""Symmetry functions in C (symmetry_functions.c): the tables that describe them to it."""

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple

from cffi import FFI
from jaxtyping import Float, Int32
from numpy import ndarray

from atomistic.kernel.arrays import Arrays, ArraysInMemory
from atomistic.kernel.calling import cutoff_name, evaluate, kernel_source
from atomistic.kernel.networks import NETWORKS_INTERFACE, add_networks
from atomistic.neighbour_list import NeighbourRows
from atomistic.network import Network
from atomistic.symmetry_functions import SymmetryFunction, SymmetryFunctions

SOURCE: Final = Path(__file__).with_suffix(".c")

INTERFACE: Final = (
    NETWORKS_INTERFACE
    + """
typedef struct { double eta, shift, cutoff; } radial_shape;
typedef struct { int64_t index; double factor; radial_shape shape; } radial_term;
typedef struct { int64_t shape, narrow; int64_t begin, end; } angular_run;
typedef struct { int64_t index, angle; double factor; } angular_term;
typedef struct { double zeta, half_lambda; } angular_power;
typedef struct {
    int64_t runs, powers, narrow;
    const angular_run *run;
    const angular_power *power;
    const angular_term *term;
} element_pair;
typedef struct {
    int64_t functions, shapes;
    double inner;
    const radial_shape *shape;
    const int64_t *radial_begin;
    const radial_term *radial;
    const element_pair *pairs;
} centre;
typedef struct {
    double cutoff;
    int64_t most_functions, most_shapes, most_powers, most_terms;
    const centre *centres;
    const atomic_network *networks;
} symmetry_functions_model;
int64_t symmetry_functions_evaluate(const symmetry_functions_model *model, const neighbour_rows *rows, int64_t atoms, int64_t owners,
                                    int64_t threads, double *energies, double *forces, double *virial);
"""
)


@cache
def source(descriptors: SymmetryFunctions) -> str:
    """The C source for a number of elements and a cutoff function."""
    macros = {
        "MODEL": "symmetry_functions_model",
        "EVALUATE": "symmetry_functions_evaluate",
        "ELEMENTS": len(descriptors.numbers),
        "CUTOFF": cutoff_name(descriptors.cutoff_function),
        "INNER_CUTOFF": repr(float(descriptors.inner_cutoff)),
    }
    return kernel_source(macros, SOURCE.read_text())


class AngularTables(NamedTuple):
    """Angular functions of neighbours of two elements, as in symmetry_functions.c.

    Functions of one shape make a run, and equal angular factors are computed once.
    """

    runs: list[tuple[int, int, int, int]]
    powers: list[tuple[float, float]]
    terms: list[tuple[int, int, float]]


def angular_shapes(own: Sequence[SymmetryFunction]) -> list[tuple[float, float, float]]:
    """Different shapes of an element's angular functions."""
    return sorted({function.shape for function in own if function.kind != "radial"})


def angular_tables(own: Sequence[SymmetryFunction], pair: tuple[int, int]) -> AngularTables:
    """Of an element's functions those with neighbours of two elements; none where the second is less than the first."""
    shapes = angular_shapes(own)
    ordered = pair[0] <= pair[1]
    chosen = [k for k, f in enumerate(own) if ordered and f.kind != "radial" and f.neighbours in ((), pair)]
    powers = sorted({(own[k].zeta, 0.5 * own[k].lambda_) for k in chosen})
    keys = sorted({(shapes.index(own[k].shape), int(own[k].kind == "narrow")) for k in chosen})
    runs: list[tuple[int, int, int, int]] = []
    terms: list[tuple[int, int, float]] = []
    for shape, narrow in keys:
        members = [k for k in chosen if (shapes.index(own[k].shape), own[k].kind == "narrow") == (shape, narrow)]
        runs.append((shape, narrow, len(terms), len(terms) + len(members)))
        terms += [
            (
                k,
                powers.index((own[k].zeta, 0.5 * own[k].lambda_)),
                2.0 * (1.0 if own[k].neighbours else float(pair[0] * pair[1])),
            )
            for k in members
        ]
    return AngularTables(runs, powers, terms)


def model(descriptors: SymmetryFunctions, networks: Mapping[int, Network], arrays: Arrays) -> tuple[Any, ...]:
    """The structure `symmetry_functions_model`."""
    numbers, functions = descriptors.numbers, descriptors.functions
    pairs = [[angular_tables(own, (first, second)) for first in numbers for second in numbers] for own in functions]
    centres = [_centre(own, numbers, tables, arrays) for own, tables in zip(functions, pairs, strict=True)]
    return (
        descriptors.cutoff,
        max(map(len, functions)),
        max(len(angular_shapes(own)) for own in functions),
        max(len(pair.powers) for tables in pairs for pair in tables),
        max(len(pair.terms) for tables in pairs for pair in tables),
        arrays.add("centre", centres),
        add_networks([networks[number] for number in numbers], arrays),
    )


def _centre(
    own: Sequence[SymmetryFunction], numbers: Sequence[int], pairs: Sequence[AngularTables], arrays: Arrays
) -> tuple[Any, ...]:
    """The structure `centre` of an element's functions."""
    shapes = angular_shapes(own)
    radial: list[Any] = []
    begin = [0]
    for number in numbers:
        radial += [
            (k, 1.0 if function.neighbours else float(number), function.shape)
            for k, function in enumerate(own)
            if function.kind == "radial" and function.neighbours in ((), (number,))
        ]
        begin.append(len(radial))
    return (
        len(own),
        len(shapes),
        max((function.cutoff for function in own if function.kind != "radial"), default=0.0),
        arrays.add("radial_shape", shapes),
        arrays.add("int64_t", begin),
        arrays.add("radial_term", radial),
        arrays.add("element_pair", [_element_pair(tables, arrays) for tables in pairs]),
    )


def _element_pair(tables: AngularTables, arrays: Arrays) -> tuple[Any, ...]:
    return (
        len(tables.runs),
        len(tables.powers),
        sum(narrow for _, narrow, _, _ in tables.runs),
        arrays.add("angular_run", tables.runs),
        arrays.add("angular_power", tables.powers),
        arrays.add("angular_term", tables.terms),
    )


class SymmetryFunctionsKernel:
    """Networks of symmetry functions laid out for the C kernel; safe from any thread."""

    def __init__(self, library: Any, ffi: FFI, descriptors: SymmetryFunctions, networks: Mapping[int, Network]) -> None:
        self._library, self._ffi = library, ffi
        self._elements = len(descriptors.numbers)
        self._arrays = ArraysInMemory(ffi)
        self._model = self._arrays.add("symmetry_functions_model", [model(descriptors, networks, self._arrays)])

    def evaluate(
        self,
        neighbours: NeighbourRows,
        positions: Float[ndarray, "all 3"],
        elements: Int32[ndarray, "atoms"],
        threads: int,
    ) -> tuple[Float[ndarray, "atoms"], Float[ndarray, "atoms 3"], Float[ndarray, "3 3"]]:
        """Energies (eV), forces (eV/A) and virial sum dE/dr (x) r (eV); `elements` are places in the descriptors' `numbers`.

        Raises:
            InvalidStructure: where atoms are on top of each other.
        """
        function, elements_known = self._library.symmetry_functions_evaluate, self._elements
        return evaluate(self._ffi, function, self._model, elements_known, neighbours, positions, elements, threads)
