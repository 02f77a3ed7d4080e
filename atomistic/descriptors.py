"""Descriptors of atoms: what a set of them offers, whichever it is."""

from dataclasses import asdict
from typing import Any, ClassVar, Final, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Int
from torch import Tensor

from atomistic.body_ordered import BodyOrdered
from atomistic.symmetry_functions import SymmetryFunction, SymmetryFunctions


@runtime_checkable
class Descriptors(Protocol):
    """Functions of an atom's neighbourhood, invariant under rotation and under permutation of like atoms; a frozen dataclass.

    Attributes:
        kind: name of the set in files.
        numbers: atomic numbers of the elements known, ascending.
        cutoff: largest distance (Angstrom) at which a neighbour counts.
    """

    kind: ClassVar[str]

    @property
    def numbers(self) -> tuple[int, ...]: ...

    @property
    def cutoff(self) -> float: ...

    def count(self, number: int) -> int:
        """Number of descriptors of an atom of element `number`."""
        ...

    def radial_orders(self, number: int) -> Float[np.ndarray, "functions"]:
        """How fast each descriptor varies with the distances: its degree in radial polynomials, 0 where it has none."""
        ...

    def values(
        self,
        number: int,
        vectors: Float[Tensor, "atoms neighbours 3"],
        neighbour_numbers: Int[Tensor, "atoms neighbours"],
        mask: Bool[Tensor, "atoms neighbours"],
    ) -> Float[Tensor, "atoms functions"]:
        """Descriptors of atoms of element `number`; differentiable in `vectors`, twice."""
        ...


KINDS: Final = {cls.kind: cls for cls in (BodyOrdered, SymmetryFunctions)}


def descriptors_to_header(descriptors: Descriptors) -> dict[str, Any]:
    """A set as a JSON-able dictionary."""
    return {"kind": descriptors.kind, **asdict(descriptors)}  # type: ignore[call-overload]


def descriptors_from_header(header: dict[str, Any]) -> Descriptors:
    """The set a header describes.

    Raises:
        KeyError, TypeError, ValueError: where the header is not one of ours.
    """
    fields = {name: _tupled(value) for name, value in header.items() if name != "kind"}
    if header["kind"] == SymmetryFunctions.kind:
        fields["functions"] = tuple(tuple(SymmetryFunction(*one) for one in own) for own in fields["functions"])
    return KINDS[header["kind"]](**fields)


def _tupled(value: Any) -> Any:
    """JSON lists back to the tuples of a frozen dataclass."""
    return tuple(_tupled(item) for item in value) if isinstance(value, list) else value
