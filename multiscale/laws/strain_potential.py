"""What laws that were made from states of strain share: the closed form, trust, the error bar, the file.

A subclass names the arrays and numbers that make it, and gives its closed form (multiscale.laws.network_terms).
"""

import os
from abc import abstractmethod
from collections.abc import Mapping
from functools import cached_property
from typing import Any, ClassVar, Self, final

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from atomistic.network_file import NetworkFileError, read_network_file, write_network_file
from fem.c_function import CFunction
from fem.law import Response
from multiscale.laws.compiled_law import CompiledLaw
from multiscale.laws.fields import NoUncertainty
from multiscale.laws.kernel import library
from multiscale.laws.network_terms import NetworkTerms
from multiscale.symmetry.material_symmetry import InfiniteGroup, MaterialSymmetry
from multiscale.symmetry.point_group import PointGroup
from multiscale.trust.domain import Domain
from multiscale.trust.gauge import Gauge
from multiscale.trust.posterior import Posterior


class StrainPotential(CompiledLaw):
    """A law (fem.law.Law) made of a potential of strain; subclasses are frozen dataclasses.

    Attributes:
        schema, version: of its file.
        stored: names of the fields that are arrays.
        scalars: names of those that are numbers.
        posterior: what its uncertainty is.
        symmetry, domain, provenance, uncertainty: fields of every such law.
    """

    schema: ClassVar[str]
    version: ClassVar[int] = 1
    stored: ClassVar[tuple[str, ...]]
    scalars: ClassVar[tuple[str, ...]]
    posterior: ClassVar[type[Posterior]]

    symmetry: MaterialSymmetry
    domain: Domain | None
    provenance: Mapping[str, str]
    uncertainty: Posterior | None

    @property
    @abstractmethod
    def terms(self) -> NetworkTerms:
        """The closed form; computed once."""

    @cached_property
    def gauge(self) -> Gauge | None:
        """What trust is measured by; None where the law has no domain."""
        return None if self.domain is None else Gauge.of(self.terms, self.domain.strain, self.symmetry)

    @final
    def in_c(self) -> CFunction | None:
        return library.compiled([self.terms], self.gauge)

    @final
    def in_numpy(self, F: Float[ndarray, "n 3 3"], *, tangent: bool, trust: bool) -> Response:
        W, P, A = self.terms.evaluate(F, tangent=tangent)
        return Response(W, P, A, self.gauge.trust(F) if trust and self.gauge is not None else None)

    @final
    def stress_error(self, deformation_gradient: Float[ndarray, "n 3 3"]) -> Float[ndarray, "n 3 3"]:
        """Standard error of P in GPa at F (n, 3, 3), calibrated where the law was made (multiscale.trust.posterior); outside,
        where what the network cannot express shows, it is divided by the trust.

        Raises:
            NoUncertainty: the law was not fitted, or by a fit that makes none.
            fem.law.ShapeError, fem.law.InadmissibleDeformation: as `evaluate`.
        """
        if self.uncertainty is None:
            raise NoUncertainty("this law has no error bar; expected one made by multiscale.fit")
        error = self.uncertainty.stress_error(deformation_gradient)
        return error if self.gauge is None else error / self.gauge.trust(deformation_gradient)[:, None, None]

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
            if header["infinite"]:
                symmetry = InfiniteGroup(name, arrays["axis"].tolist())
            else:
                symmetry = PointGroup(name, arrays["rotations"])
            fields: dict[str, Any] = {
                "symmetry": symmetry,
                "domain": Domain(strain, symmetry) if len(strain) else None,
                "provenance": dict(header["provenance"]),
                "uncertainty": cls.posterior.restored(symmetry, header["uncertainty"], arrays),
                **{name: arrays[name] for name in cls.stored},
                **{name: float(header[name]) for name in cls.scalars},
            }
            return cls(**fields)
        except (KeyError, TypeError, ValueError) as error:
            raise NetworkFileError(f"{path} holds no consistent law ({error}); save the law again") from error
