"""Symmetry functions in C (symmetry_functions.c): the tables that describe them to it."""

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple

from cffi import FFI

from atomistic.kernel.arrays import Arrays, ArraysInMemory
from atomistic.kernel.calling import Kernel, cutoff_name, kernel_interface, kernel_source
from atomistic.kernel.networks import add_networks
from atomistic.network import Network
from atomistic.symmetry_functions import SymmetryFunction, SymmetryFunctions

SOURCE: Final = Path(__file__).with_suffix(".c")
NAME: Final = "symmetry_functions"

INTERFACE: Final = kernel_interface(
    NAME,
    """
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
""",
)


@cache
def source(descriptors: SymmetryFunctions) -> str:
    """The C source for a number of elements and a cutoff function."""
    macros = {
        "ELEMENTS": len(descriptors.numbers),
        "CUTOFF": cutoff_name(descriptors.cutoff_function),
        "INNER_CUTOFF": repr(float(descriptors.inner_cutoff)),
    }
    return kernel_source(NAME, macros, SOURCE.read_text())


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


def bound(library: Any, ffi: FFI, descriptors: SymmetryFunctions, networks: Mapping[int, Network]) -> Kernel:
    """Descriptors and networks bound to their library."""
    arrays = ArraysInMemory(ffi)
    return Kernel(library, NAME, model(descriptors, networks, arrays), len(descriptors.numbers), arrays)
