"""Where a kernel's model puts its arrays: into memory, for calls from Python, or into C text, for a library with the weights in it.

A structure is the tuple of its members in C's order; an array in it stands by its address. Members left out at the end are zero.
"""

from typing import Any, Final, Protocol, runtime_checkable

import numpy as np
from cffi import FFI
from numpy import ndarray

NUMBERS: Final = {"double": np.float64, "int32_t": np.int32}
"""C types that numpy's arrays are taken for."""


@runtime_checkable
class Arrays(Protocol):
    """Takes arrays and gives their addresses."""

    def add(self, kind: str, values: ndarray | list[Any]) -> Any:
        """Address of an array of the C type `kind`; numbers in an ndarray are taken in its own order, whatever its shape."""
        ...


class ArraysInMemory:
    """C arrays that live as long as this object; addresses are cffi's pointers."""

    def __init__(self, ffi: FFI) -> None:
        self.ffi = ffi
        self._kept: list[Any] = []

    def add(self, kind: str, values: ndarray | list[Any]) -> Any:
        """A pointer to the array."""
        if isinstance(values, ndarray):
            pointer = self.ffi.from_buffer(f"{kind}[]", np.ascontiguousarray(values, dtype=NUMBERS[kind]))
        else:
            pointer = self.ffi.new(f"{kind}[]", values)
        self._kept.append(pointer)
        return pointer


class ArraysAsText:
    """Definitions of C arrays, `text`, with all digits of their numbers; addresses are names."""

    def __init__(self) -> None:
        self._definitions: list[str] = []

    @property
    def text(self) -> str:
        """C source of the arrays added so far."""
        return "".join(self._definitions)

    def add(self, kind: str, values: ndarray | list[Any]) -> str:
        """The array's name."""
        name = f"array_{len(self._definitions)}"
        items = values.ravel().tolist() if isinstance(values, ndarray) else values
        written = ", ".join(map(c_text, items)) or "0"
        self._definitions.append(f"static const {kind} {name}[] __attribute__((aligned(64))) = {{{written}}};\n")
        return name


def c_text(value: int | float | str | tuple[Any, ...]) -> str:
    """A number, to its last bit, a name or a structure in C."""
    if isinstance(value, tuple):
        return f"{{{', '.join(map(c_text, value))}}}"
    return value.hex() if isinstance(value, float) else str(value)
