"""What laws that are potentials of strain share: the response with the growth term, checks of their fields, the file.

A subclass gives W, S = dW/de and D = d2W/de2 of its own, and names the arrays and numbers that make it.
"""

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Final, Self, final

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from atomistic.network_file import NetworkFileError, read_network_file, write_network_file
from fem.law import Response, check_deformation_gradient
from multiscale.domain import Domain
from multiscale.growth import growth
from multiscale.jets import Jet
from multiscale.material_symmetry import InfiniteGroup, MaterialSymmetry
from multiscale.orbit_network import InvalidLaw, UnknownState
from multiscale.strain import determinant, first_piola, green_lagrange
from multiscale.strain import tangent as tangent_of
from multiscale.symmetry import PointGroup
from multiscale.symmetry_domain import domain_of

CHUNK: Final = 512
"""Points at a time."""

Derivatives = tuple[Float[ndarray, "n"], Float[ndarray, "n 6"], Float[ndarray, "n 6 6"]]


class StrainPotential(ABC):
    """A law (fem.law.Law) made of a potential of strain and a growth term; subclasses are frozen dataclasses.

    Attributes:
        schema, version: of its file.
        stored: names of the fields that are arrays.
        scalars: names of those that are numbers.
        symmetry, growth_modulus, growth_threshold, domain, provenance: fields of every such law.
    """

    schema: ClassVar[str]
    version: ClassVar[int] = 1
    stored: ClassVar[tuple[str, ...]]
    scalars: ClassVar[tuple[str, ...]]

    symmetry: MaterialSymmetry
    growth_modulus: float
    growth_threshold: float
    domain: Domain | None
    provenance: Mapping[str, str]

    @abstractmethod
    def potential(self, F: Float[ndarray, "n 3 3"]) -> Derivatives:
        """W, S = dW/de and D = d2W/de2 in GPa, growth left out."""

    @final
    def evaluate(
        self,
        deformation_gradient: Float[ndarray, "n 3 3"],
        state: Mapping[str, ndarray] | None = None,
        *,
        tangent: bool = True,
        trust: bool = False,
    ) -> Response:
        """W, P, A in GPa at F (n, 3, 3); with `trust`, the domain's gauge (None where the law has no domain).

        Raises:
            fem.law.ShapeError, fem.law.InadmissibleDeformation: F is not (n, 3, 3); det F <= 0 or not finite somewhere.
            UnknownState: a state was given; this law has none.
        """
        if state:
            raise UnknownState(f"the state holds {sorted(state)}; this law depends on F alone, expected no state")
        F = check_deformation_gradient(deformation_gradient)
        n = len(F)
        W, P = np.empty(n), np.empty((n, 3, 3))
        A = np.empty((n, 3, 3, 3, 3)) if tangent else None
        for start in range(0, n, CHUNK):
            part = slice(start, start + CHUNK)
            energy, S, D = self.potential(F[part])
            J = determinant(F[part])
            crushed = self.growth_threshold > J
            if crushed.any():
                more = growth(F[part][crushed], J[crushed], self.growth_modulus, self.growth_threshold)
                for total, term in zip((energy, S, D), more, strict=True):
                    total[crushed] += term
            W[part], P[part] = energy, first_piola(F[part], S)
            if A is not None:
                A[part] = tangent_of(F[part], S, D)
        gauge = self.domain.trust(green_lagrange(F)) if trust and self.domain is not None else None
        return Response(energy=W, first_piola=P, tangent=A, trust=gauge)

    @final
    def save(self, path: str | os.PathLike[str]) -> None:
        """Write safetensors with a JSON header, whole or not at all: rotations of a finite group, the axis of an infinite one."""
        symmetry = self.symmetry
        arrays = {
            **{name: np.asarray(getattr(self, name)) for name in self.stored},
            "rotations": symmetry.rotations if isinstance(symmetry, PointGroup) else np.zeros((0, 3, 3)),
            "axis": np.asarray(symmetry.axis) if isinstance(symmetry, InfiniteGroup) else np.zeros(3),
            "domain_strain": np.zeros((0, 6)) if self.domain is None else self.domain.strain,
        }
        header: dict[str, Any] = {
            **{name: getattr(self, name) for name in self.scalars},
            "symmetry": symmetry.name,
            "infinite": isinstance(symmetry, InfiniteGroup),
            "units": "GPa",
            "provenance": dict(self.provenance),
        }
        write_network_file(path, self.schema, self.version, header, arrays)

    @final
    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read what `save` wrote; the law is the same to the last bit.

        Raises:
            NetworkFileError: missing, truncated, foreign or inconsistent file, or of a later schema.
        """
        header, arrays = read_network_file(
            path, cls.schema, cls.version, (*cls.stored, "rotations", "axis", "domain_strain")
        )
        try:
            rotations, axis, strain = (arrays.pop(name) for name in ("rotations", "axis", "domain_strain"))
            name = header["symmetry"]
            symmetry = InfiniteGroup(name, axis.tolist()) if header["infinite"] else PointGroup(name, rotations)
            fields: dict[str, Any] = {
                "symmetry": symmetry,
                "domain": domain_of(strain, symmetry) if len(strain) else None,
                "provenance": dict(header["provenance"]),
                **arrays,
                **{name: float(header[name]) for name in cls.scalars},
            }
            return cls(**fields)
        except (KeyError, TypeError, ValueError) as error:
            raise NetworkFileError(f"{path} holds no consistent law ({error}); save the law again") from error


def chained(
    invariants: Jet, value: Float[ndarray, "n"], slope: Float[ndarray, "n m"], curvature: Float[ndarray, "n m m"]
) -> Derivatives:
    """A function of invariants as one of strain: S = c.i', D = c.i'' + i'^T K i'."""
    n, m = invariants.value.shape
    G, H = invariants.gradient, invariants.hessian.reshape(n, m, 36)
    S = (slope[:, None] @ G)[:, 0]
    D = (slope[:, None] @ H).reshape(n, 6, 6) + np.swapaxes(G, 1, 2) @ curvature @ G
    return value, S, D


def settle_arrays(law: object, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Store fields of a frozen law as float64 once their shapes and numbers are right."""
    for name, shape in shapes.items():
        array = np.array(getattr(law, name), dtype=np.float64)
        if array.shape != shape:
            raise InvalidLaw(f"{name} has shape {array.shape}, expected {shape}")
        if not np.isfinite(array).all():
            raise InvalidLaw(f"{name} holds NaN or infinity, expected finite numbers")
        object.__setattr__(law, name, array)


def check_growth(modulus: float, threshold: float) -> None:
    if not (0.0 <= threshold < 1.0 and 0.0 <= modulus < np.inf):
        raise InvalidLaw(
            f"the growth term has modulus {modulus} GPa and threshold J0 = {threshold}, expected a modulus >= 0 and 0 <= J0 < 1"
        )
