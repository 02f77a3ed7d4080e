"""What laws that are potentials of strain share: the response, in C or in numpy, the orientation of the material, the file.

A subclass names the arrays and numbers that make it, and gives its closed form (multiscale.network_terms).
"""

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import cached_property
from typing import Any, ClassVar, Final, Self, final

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from atomistic.network_file import NetworkFileError, read_network_file, write_network_file
from fem.c_function import CFunction, NoCFunction
from fem.law import InadmissibleDeformation, Response, ShapeError, check_deformation_gradient
from multiscale import kernel
from multiscale.domain import Domain
from multiscale.gauge import Gauge
from multiscale.law_fields import NoUncertainty, UnknownState
from multiscale.material_symmetry import InfiniteGroup, MaterialSymmetry
from multiscale.network_terms import NetworkTerms
from multiscale.strain import determinant
from multiscale.symmetry import PointGroup
from multiscale.symmetry_domain import domain_of
from multiscale.uncertainty import Uncertainty

ORIENTATION: Final = kernel.ORIENTATION.name

ROTATION: Final = 1e-6
"""How far a matrix may be off a proper rotation (law.c has the same)."""


class StrainPotential(ABC):
    """A law (fem.law.Law) made of a potential of strain; subclasses are frozen dataclasses.

    Attributes:
        schema, version: of its file.
        stored: names of the fields that are arrays.
        scalars: names of those that are numbers.
        symmetry, domain, provenance, uncertainty: fields of every such law.
    """

    schema: ClassVar[str]
    version: ClassVar[int] = 1
    stored: ClassVar[tuple[str, ...]]
    scalars: ClassVar[tuple[str, ...]]

    symmetry: MaterialSymmetry
    domain: Domain | None
    provenance: Mapping[str, str]
    uncertainty: Uncertainty | None

    @property
    @abstractmethod
    def terms(self) -> NetworkTerms:
        """The closed form; computed once."""

    @cached_property
    def gauge(self) -> Gauge | None:
        """What trust is measured by; None where the law has no domain."""
        return None if self.domain is None else Gauge.of(self.terms, self.domain.strain)

    @cached_property
    def _compiled(self) -> CFunction | None:
        """None without a compiler (a warning says so)."""
        return kernel.compiled([self.terms], self.gauge)

    @property
    @final
    def backend(self) -> str:
        """What evaluates this law here: "c" or "numpy"."""
        return "numpy" if self._compiled is None else "c"

    @final
    def c_function(self) -> CFunction:
        """The law as a function to be called from C (fem.c_function); its state is the orientation, and may be NULL.

        Raises:
            NoCFunction: there is no compiler, or the environment asks for numpy.
        """
        if self._compiled is None:
            raise NoCFunction(
                f"this law runs on numpy; install a C compiler (or name one in CC) and leave {kernel.NO_KERNEL_VARIABLE} unset"
            )
        return self._compiled

    @final
    def evaluate(
        self,
        deformation_gradient: Float[ndarray, "n 3 3"],
        state: Mapping[str, ndarray] | None = None,
        *,
        tangent: bool = True,
        trust: bool = False,
    ) -> Response:
        """W, P, A in GPa at F (n, 3, 3); with `trust`, that of multiscale.gauge (None where the law has no domain).

        The state may hold the orientation (n, 3, 3) of the material at each point, rotations R from its axes to the laboratory's:
        P(F) = P_material(F R) R^T.

        Raises:
            fem.law.ShapeError, fem.law.InadmissibleDeformation: F is not (n, 3, 3); det F <= 0 or not finite somewhere.
            UnknownState: another state, or orientations that are no rotations.
        """
        F = np.ascontiguousarray(deformation_gradient, dtype=np.float64)
        if F.ndim != 3 or F.shape[1:] != (3, 3):
            raise ShapeError(f"F has shape {F.shape}, expected (n, 3, 3)")
        R = orientation_of(state, len(F))
        evaluate = self._in_numpy if self._compiled is None else self._in_c
        return evaluate(F, R, tangent=tangent, trust=trust and self.gauge is not None)

    def _in_c(
        self, F: Float[ndarray, "n 3 3"], R: Float[ndarray, "n 3 3"] | None, *, tangent: bool, trust: bool
    ) -> Response:
        n = len(F)
        answer = Response(
            np.empty(n),
            np.empty((n, 3, 3)),
            np.empty((n, 3, 3, 3, 3)) if tangent else None,
            np.empty(n) if trust else None,
        )
        point = self.c_function().call(
            F,
            None if R is None else R.reshape(n, 9),
            energy=answer.energy,
            first_piola=answer.first_piola,
            tangent=answer.tangent,
            trust=answer.trust,
        )
        if point >= 0:
            raise InadmissibleDeformation(point, float(determinant(F[point])))
        return answer

    def _in_numpy(
        self, F: Float[ndarray, "n 3 3"], R: Float[ndarray, "n 3 3"] | None, *, tangent: bool, trust: bool
    ) -> Response:
        check_deformation_gradient(F)
        local = F if R is None else F @ R
        W, P, A = self.terms.evaluate(local, tangent=tangent)
        if R is not None:
            P = P @ np.swapaxes(R, 1, 2)
            A = None if A is None else np.einsum("niMkN,nJM,nLN->niJkL", A, R, R, optimize=True)
        return Response(W, P, A, self.gauge.trust(local) if trust and self.gauge is not None else None)

    @final
    def stress_error(self, deformation_gradient: Float[ndarray, "n 3 3"]) -> Float[ndarray, "n 3 3"]:
        """Standard error of P in GPa at F (n, 3, 3), calibrated where the law was made (multiscale.uncertainty).

        Raises:
            NoUncertainty: the law was not fitted, or by a fit that makes none.
            fem.law.ShapeError, fem.law.InadmissibleDeformation: as `evaluate`.
        """
        if self.uncertainty is None:
            raise NoUncertainty("this law has no error bar; expected one made by multiscale.fit")
        return self.uncertainty.stress_error(deformation_gradient)

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
            "uncertainty": None if self.uncertainty is None else self.uncertainty.scales(),
        }
        if self.uncertainty is not None:
            arrays |= self.uncertainty.arrays()
        write_network_file(path, self.schema, self.version, header, arrays)

    @final
    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read what `save` wrote; the law is the same to the last bit.

        Raises:
            NetworkFileError: missing, truncated, foreign or inconsistent file, or of a later schema.
        """
        header, arrays = read_network_file(path, cls.schema, cls.version)
        try:
            strain, name = arrays["domain_strain"], header["symmetry"]
            symmetry: MaterialSymmetry
            uncertainty = None
            if header["infinite"]:
                symmetry = InfiniteGroup(name, arrays["axis"].tolist())
            else:
                symmetry = PointGroup(name, arrays["rotations"])
                uncertainty = Uncertainty.restored(symmetry, header["uncertainty"], arrays)
            fields: dict[str, Any] = {
                "symmetry": symmetry,
                "domain": domain_of(strain, symmetry) if len(strain) else None,
                "provenance": dict(header["provenance"]),
                "uncertainty": uncertainty,
                **{name: arrays[name] for name in cls.stored},
                **{name: float(header[name]) for name in cls.scalars},
            }
            return cls(**fields)
        except (KeyError, TypeError, ValueError) as error:
            raise NetworkFileError(f"{path} holds no consistent law ({error}); save the law again") from error


def orientation_of(state: Mapping[str, ndarray] | None, points: int) -> Float[ndarray, "n 3 3"] | None:
    """The orientations that a state holds; None where it holds none.

    Raises:
        UnknownState: something else, another shape, or a matrix that is no rotation.
    """
    if not state:
        return None
    if state.keys() != {ORIENTATION}:
        raise UnknownState(f"the state holds {sorted(state)}; this law depends on F and {ORIENTATION!r} alone")
    R = np.ascontiguousarray(state[ORIENTATION], dtype=np.float64)
    if R.shape != (points, 3, 3):
        raise UnknownState(f"{ORIENTATION} has shape {R.shape}, expected {(points, 3, 3)}")
    skew = np.abs(np.swapaxes(R, 1, 2) @ R - np.eye(3)).max(axis=(1, 2)) + np.abs(determinant(R) - 1.0)
    if not (skew < ROTATION).all():
        point = int(np.argmax(~(skew < ROTATION)))
        raise UnknownState(f"{ORIENTATION} at point {point} is off a proper rotation by {skew[point]:.3g}")
    return R
