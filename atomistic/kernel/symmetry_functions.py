"""Symmetry functions in C (symmetry_functions.c): the tables that describe them to it."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

from cffi import FFI
from jaxtyping import Float, Int32
from numpy import ndarray

from atomistic.kernel import networks as packing
from atomistic.kernel.calling import cutoff_name, evaluate, kernel_source
from atomistic.neighbour_list import NeighbourRows
from atomistic.network import Network
from atomistic.symmetry_functions import SymmetryFunction, SymmetryFunctions

SOURCE: Final = Path(__file__).with_suffix(".c")

INTERFACE: Final = (
    packing.INTERFACE
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


class SymmetryFunctionsKernel:
    """Networks of symmetry functions laid out for the C kernel; safe from any thread."""

    def __init__(self, library: Any, ffi: FFI, descriptors: SymmetryFunctions, networks: Mapping[int, Network]) -> None:
        self._library, self._ffi = library, ffi
        self._kept: list[Any] = []
        numbers = descriptors.numbers
        self._networks = packing.PackedNetworks(ffi, [networks[number] for number in numbers])
        self._model = ffi.new("symmetry_functions_model *")
        self._model.cutoff, self._model.networks = descriptors.cutoff, self._networks.address
        centres = self._array("centre", [self._centre(own, numbers) for own in descriptors.functions])
        self._model.centres = centres
        pairs = [pair for one in centres for pair in ffi.unpack(one.pairs, len(numbers) ** 2)]
        self._model.most_functions = max(one.functions for one in centres)
        self._model.most_shapes = max(one.shapes for one in centres)
        self._model.most_powers = max(pair.powers for pair in pairs)
        self._model.most_terms = max(pair.run[pair.runs - 1].end if pair.runs else 0 for pair in pairs)

    def _array(self, of: str, values: list[Any]) -> Any:
        self._kept.append(self._ffi.new(f"{of}[]", values))
        return self._kept[-1]

    def _centre(self, own: tuple[SymmetryFunction, ...], numbers: tuple[int, ...]) -> dict[str, Any]:
        """The C structure `centre` of an element's functions."""
        angular = [function for function in own if function.kind != "radial"]
        shapes = sorted({function.shape for function in angular})
        radial: list[Any] = []
        begin = [0]
        for number in numbers:
            radial += [
                (k, 1.0 if function.neighbours else float(number), function.shape)
                for k, function in enumerate(own)
                if function.kind == "radial" and function.neighbours in ((), (number,))
            ]
            begin.append(len(radial))
        pairs = [
            self._pair(own, shapes, (first, second)) if first <= second else (0, 0, 0)
            for first in numbers
            for second in numbers
        ]
        return {
            "functions": len(own),
            "shapes": len(shapes),
            "inner": max((function.cutoff for function in angular), default=0.0),
            "shape": self._array("radial_shape", shapes),
            "radial_begin": self._array("int64_t", begin),
            "radial": self._array("radial_term", radial),
            "pairs": self._array("element_pair", pairs),
        }

    def _pair(
        self, own: tuple[SymmetryFunction, ...], shapes: list[tuple[float, float, float]], pair: tuple[int, int]
    ) -> tuple[Any, ...]:
        """The C structure `element_pair`: functions of one shape make a run, and equal angular factors are computed once."""
        chosen = [k for k, f in enumerate(own) if f.kind != "radial" and f.neighbours in ((), pair)]
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
        arrays = (
            self._array("angular_run", runs),
            self._array("angular_power", powers),
            self._array("angular_term", terms),
        )
        return len(runs), len(powers), sum(narrow for _, narrow in keys), *arrays

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
        function, elements_known = self._library.symmetry_functions_evaluate, len(self._networks.address)
        return evaluate(self._ffi, function, self._model, elements_known, neighbours, positions, elements, threads)
