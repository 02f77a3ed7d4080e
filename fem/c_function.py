"""A law as a C function: the protocol of fem.law for C (law.h says what the arguments are), seen from Python.

Whoever calls it from C needs three things: the address of the function, the address of its parameters, and how many numbers of state a
point has. Element kernels, numba, cffi and other C libraries take them as integers:

    f = law.c_function()
    f.address, f.parameters_address, f.state_size

The object owns the parameters: keep it as long as they are used.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from math import prod
from pathlib import Path
from typing import Any, Final

import numpy as np
from jaxtyping import Float

from fem.law import Response, ShapeError

HEADER: Final = Path(__file__).with_name("law.h")
"""The declaration of the function, for a compiler."""

SYMBOL: Final = "atomlaw_law"
"""Its name in every library."""

SIGNATURE: Final = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64, *(7 * [ctypes.c_void_p]))


class NoCFunction(RuntimeError):
    """A law was asked for its C function and cannot have one here."""


@dataclass(frozen=True)
class StateField:
    """One of the quantities that a point's state holds.

    Attributes:
        name: as in the state of `fem.law.Law.evaluate`.
        shape: of the quantity at one point, row-major.
        default: its values where the state is NULL; None where a state must be given.
    """

    name: str
    shape: tuple[int, ...]
    default: tuple[float, ...] | None = None

    @property
    def size(self) -> int:
        return prod(self.shape)


@dataclass(frozen=True, eq=False)
class CFunction:
    """A law's function and its parameters. Safe in any number of threads; a call releases the interpreter's lock.

    Attributes:
        library: path of the shared library, whose symbol `atomlaw_law` the function is.
        parameters: the block, read only and position independent.
        state: the quantities that make a row of the state, in this order.
        trusted: whether the law fills `trust`; otherwise it writes NaN.
    """

    library: Path
    parameters: Float[np.ndarray, " p"]
    state: tuple[StateField, ...] = ()
    trusted: bool = False

    @cached_property
    def _function(self) -> Any:
        # the loaded library is kept by the function
        function = ctypes.CDLL(str(self.library))[SYMBOL]
        function.restype, function.argtypes = ctypes.c_int64, [ctypes.c_int64, *(7 * [ctypes.c_void_p])]
        return function

    @property
    def address(self) -> int:
        """Of the function; valid as long as this process."""
        return int(ctypes.cast(self._function, ctypes.c_void_p).value or 0)

    @property
    def parameters_address(self) -> int:
        """Of the parameters; valid as long as this object."""
        return int(self.parameters.ctypes.data)

    @property
    def state_size(self) -> int:
        """Numbers of state a point; 0: the state is not looked at."""
        return sum(field.size for field in self.state)

    @property
    def header(self) -> str:
        """The C declaration."""
        return HEADER.read_text()

    def state_rows(self, state: Mapping[str, np.ndarray] | None, points: int) -> Float[np.ndarray, "n s"] | None:
        """The named quantities as rows for the function; None where none is given and none is needed.

        Raises:
            ShapeError: a quantity is missing, or its shape is not (points, *shape).
        """
        given = dict(state or {})
        columns = []
        for field in self.state:
            if field.name in given:
                value = np.asarray(given[field.name], dtype=np.float64)
                if value.shape != (points, *field.shape):
                    raise ShapeError(f"{field.name} has shape {value.shape}, expected {(points, *field.shape)}")
                columns.append(value.reshape(points, -1))
            elif field.default is not None:
                columns.append(np.broadcast_to(field.default, (points, field.size)))
            else:
                raise ShapeError(f"the state lacks {field.name}, expected an array of shape {(points, *field.shape)}")
        if not given.keys() & {field.name for field in self.state} and all(field.default for field in self.state):
            return None
        # rows broadcast from a default would make columns contiguous
        return np.ascontiguousarray(np.concatenate(columns, axis=1))

    def response(
        self,
        F: Float[np.ndarray, "n 3 3"],
        state: Float[np.ndarray, "n s"] | None = None,
        *,
        tangent: bool = True,
        trust: bool = False,
    ) -> tuple[Response, int]:
        """What `fem.law.Law.evaluate` answers, and the first point that the law cannot take, or -1; state as rows.

        Raises:
            ShapeError, NoCFunction: as `call`.
        """
        n = len(F)
        answer = Response(
            np.empty(n),
            np.empty((n, 3, 3)),
            np.empty((n, 3, 3, 3, 3)) if tangent else None,
            np.empty(n) if trust and self.trusted else None,
        )
        outputs = {"energy": answer.energy, "first_piola": answer.first_piola, "tangent": answer.tangent}
        return answer, self.call(F, state, **outputs, trust=answer.trust)

    def call(
        self,
        F: Float[np.ndarray, "n 3 3"],
        state: Float[np.ndarray, "n s"] | None = None,
        *,
        energy: Float[np.ndarray, " n"] | None = None,
        first_piola: Float[np.ndarray, "n 3 3"] | None = None,
        tangent: Float[np.ndarray, "n 3 3 3 3"] | None = None,
        trust: Float[np.ndarray, " n"] | None = None,
    ) -> int:
        """Fill the arrays that are given; the first point that the law cannot take, or -1.

        Raises:
            NoCFunction: the parameters are not those of the library's function.
            ShapeError: an array is not C-contiguous float64 of its shape.
        """
        n = len(F)
        shapes = {
            "F": (F, (n, 3, 3)),
            "state": (state, (n, self.state_size)),
            "energy": (energy, (n,)),
            "first_piola": (first_piola, (n, 3, 3)),
            "tangent": (tangent, (n, 3, 3, 3, 3)),
            "trust": (trust, (n,)),
        }
        for name, (array, shape) in shapes.items():
            if array is not None and not (
                array.shape == shape and array.dtype == np.float64 and array.flags.c_contiguous
            ):
                raise ShapeError(
                    f"{name} is {array.dtype} of shape {array.shape}, expected contiguous float64 of shape {shape}"
                )
        pointers = [
            None if array is None else array.ctypes.data for array in (F, state, energy, first_piola, tangent, trust)
        ]
        answer = int(self._function(n, *pointers[:2], self.parameters_address, *pointers[2:]))
        if answer == -2:
            raise NoCFunction(
                f"the parameters are not those of the function in {self.library}; make both with c_function()"
            )
        return answer
