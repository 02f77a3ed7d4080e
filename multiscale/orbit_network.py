"""The orbit law: a hyperelastic potential with exact crystal symmetry, exact elastic constants, and closed-form derivatives.

With the six strain components e (multiscale.strain) and the group's action Q_R on them,

    W(e) = S0.e + 1/2 e.C.e + N(e) - N(0) - N'(0).e - 1/2 e.N''(0).e + growth(J),
    N(e) = 1/|G| sum_R sum_h v_h softplus(w_h.(Q_R e) + b_h),
    growth(J) = gamma (J0 / J - 1)_+^4.

The average over the group makes N an exact function of the group's invariants. It is a network of one hidden layer
whose weights are the images Q_R^T w_h, equal ones merged. Objectivity (a function of C), symmetry, zero energy, the
stress S0 and the elastic constants C at F = I all hold by construction. The growth term vanishes identically for J above J0,
which lies below the data, and keeps W three times differentiable; it makes W -> infinity as J -> 0+ at bounded strain.

Softplus of a strain component along a direction is a soft switch of one bond direction: few neurons follow a crystal
where polynomials and networks of invariants stall. Group averaging as in Kondor and Trivedi, ICML 2018 (arXiv:1802.03690).
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from atomistic.network_file import NetworkFileError, read_network_file, write_network_file
from fem.law import Response, check_deformation_gradient
from multiscale import orbit_kernel
from multiscale.domain import Domain
from multiscale.orbit_terms import OrbitTerms, merged_images
from multiscale.strain import green_lagrange, stress_components
from multiscale.symmetry import LAUE_CLASS_OF, PointGroup
from multiscale.uncertainty import Uncertainty

SCHEMA: Final = "atomlaw/orbit-law"
SCHEMA_VERSION: Final = 2


class InvalidLaw(ValueError):
    """Parameters that make no orbit law: shapes, numbers that are not finite, constants that break the symmetry."""


class UnknownState(ValueError):
    """A per-point state was handed to a law that has none."""


class NoUncertainty(ValueError):
    """An error bar was asked of a law that no fit gave one."""


@dataclass(frozen=True, eq=False)
class OrbitLaw:
    """An orbit network as a constitutive law (fem.law.Law).

    Attributes:
        point_group: the exact symmetry G.
        weights: w (h, 6), biases: b (h,), amplitudes: v (h,) in GPa.
        constants: C (6, 6) in GPa, Voigt; invariant under the group.
        reference_stress: S0 (3, 3) in GPa at F = I; invariant under the group.
        growth_modulus: gamma in GPa.
        growth_threshold: J0.
        domain: what the law was made from; None where nobody says.
        provenance: what made it.
        uncertainty: the posterior of its parameters; None where no fit made it.

    Raises:
        InvalidLaw: see there.
    """

    point_group: PointGroup
    weights: Float[ndarray, "h 6"]
    biases: Float[ndarray, "h"]
    amplitudes: Float[ndarray, "h"]
    constants: Float[ndarray, "6 6"]
    reference_stress: Float[ndarray, "3 3"] = field(default_factory=lambda: np.zeros((3, 3)))
    growth_modulus: float = 0.0
    growth_threshold: float = 0.0
    domain: Domain | None = None
    provenance: Mapping[str, str] = field(default_factory=dict)
    uncertainty: Uncertainty | None = None

    def __post_init__(self) -> None:
        h = len(np.atleast_1d(np.asarray(self.biases)))
        shapes = {
            "weights": (h, 6), "biases": (h,), "amplitudes": (h,), "constants": (6, 6), "reference_stress": (3, 3)
        }  # fmt: skip
        for name, shape in shapes.items():
            array = np.array(getattr(self, name), dtype=np.float64)
            if array.shape != shape:
                raise InvalidLaw(f"{name} has shape {array.shape}, expected {shape}")
            if not np.isfinite(array).all():
                raise InvalidLaw(f"{name} holds NaN or infinity, expected finite numbers")
            object.__setattr__(self, name, array)
        if not (0.0 <= self.growth_threshold < 1.0 and self.growth_modulus >= 0.0):
            raise InvalidLaw(
                f"the growth term has modulus {self.growth_modulus} GPa and threshold J0 = {self.growth_threshold}, "
                "expected a modulus >= 0 and 0 <= J0 < 1 (F = I is inside every law's data)"
            )
        stress = stress_components(self.reference_stress)
        for name, given, projected in (
            ("constants", self.constants, self.point_group.project_stiffness(self.constants)),
            ("reference_stress", stress, self.point_group.project_stress(stress)),
        ):
            broken = float(np.abs(given - projected).max())
            if broken > 1e-9 * max(float(np.abs(given).max()), 1e-30):
                raise InvalidLaw(
                    f"{name} differ from their average over {self.point_group.name} by {broken:.3g} GPa; project them on the "
                    "group (PointGroup.project_stiffness, project_stress) or use the group they have"
                )
        skew = float(np.abs(self.constants - self.constants.T).max())
        if skew > 1e-9 * float(np.abs(self.constants).max()):
            raise InvalidLaw(
                f"the elastic constants differ from their transpose by {skew:.3g} GPa, expected a symmetric matrix"
            )
        object.__setattr__(self, "constants", 0.5 * (self.constants + self.constants.T))

    def elastic_constants(self) -> Float[ndarray, "6 6"]:
        """C = d2W/de2 at F = I in GPa, Voigt order xx, yy, zz, yz, xz, xy."""
        return self.constants.copy()

    def stress_error(self, deformation_gradient: Float[ndarray, "n 3 3"]) -> Float[ndarray, "n 3 3"]:
        """Standard error of P in GPa at F (n, 3, 3), calibrated where the law was made (multiscale.uncertainty).

        Raises:
            NoUncertainty: the law was not fitted.
            fem.law.ShapeError, fem.law.InadmissibleDeformation: as `evaluate`.
        """
        if self.uncertainty is None:
            raise NoUncertainty("this law has no error bar; expected one made by multiscale.fit")
        return self.uncertainty.stress_error(deformation_gradient)

    @cached_property
    def terms(self) -> OrbitTerms:
        """The network with its weights' images written out."""
        weights, biases, amplitudes = merged_images(self.point_group, self.weights, self.biases, self.amplitudes)
        bare = OrbitTerms(weights, biases, amplitudes, 0.0, np.zeros(6), np.zeros((6, 6)), 0.0, 0.0)
        W, S, D = bare.potential(np.eye(3)[None], hessian=True)
        assert D is not None
        return OrbitTerms(
            weights,
            biases,
            amplitudes,
            -float(W[0]),
            stress_components(self.reference_stress) - S[0],
            self.constants - D[0],
            self.growth_modulus,
            self.growth_threshold,
        )

    @cached_property
    def _compiled(self) -> "orbit_kernel.CompiledTerms | None":
        """The terms bound to the C kernel; None without a compiler (orbit_kernel warns then)."""
        return orbit_kernel.compiled(self.terms)

    @property
    def backend(self) -> str:
        """What evaluates this law here: "c" or "numpy"."""
        return "numpy" if self._compiled is None else "c"

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
        evaluator = self._compiled or self.terms
        W, P, A = evaluator.evaluate(F, tangent=tangent)
        gauge = self.domain.trust(green_lagrange(F)) if trust and self.domain is not None else None
        return Response(energy=W, first_piola=P, tangent=A, trust=gauge)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write safetensors with a JSON header, whole or not at all."""
        arrays = {
            "weights": self.weights,
            "biases": self.biases,
            "amplitudes": self.amplitudes,
            "constants": self.constants,
            "reference_stress": self.reference_stress,
            "rotations": self.point_group.rotations,
            "domain_strain": np.zeros((0, 6)) if self.domain is None else self.domain.strain,
        }
        if self.uncertainty is not None:
            arrays |= self.uncertainty.arrays()
        header: dict[str, Any] = {
            "point_group": self.point_group.name,
            "growth_modulus": self.growth_modulus,
            "growth_threshold": self.growth_threshold,
            "units": "GPa",
            "provenance": dict(self.provenance),
            "uncertainty": None if self.uncertainty is None else self.uncertainty.scales(),
        }
        write_network_file(path, SCHEMA, SCHEMA_VERSION, header, arrays)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "OrbitLaw":
        """Read what `save` wrote; the law is the same to the last bit.

        Raises:
            NetworkFileError: missing, truncated, foreign or inconsistent file, or of a later schema.
        """
        header, stored = read_network_file(path, SCHEMA, SCHEMA_VERSION)
        try:
            names = ("weights", "biases", "amplitudes", "constants", "reference_stress", "rotations", "domain_strain")
            arrays = {name: stored[name] for name in names}
            name = header["point_group"]
            if name not in LAUE_CLASS_OF:
                raise InvalidLaw(f"the point group {name!r} is not known")
            group = PointGroup(name, arrays.pop("rotations"))
            strain = arrays.pop("domain_strain")
            return cls(
                point_group=group,
                growth_modulus=float(header["growth_modulus"]),
                growth_threshold=float(header["growth_threshold"]),
                domain=Domain(strain, group) if len(strain) else None,
                provenance=dict(header["provenance"]),
                uncertainty=Uncertainty.restored(group, header["uncertainty"], stored),
                **arrays,
            )
        except (KeyError, TypeError, ValueError) as error:
            raise NetworkFileError(f"{path} holds no consistent law ({error}); save the law again") from error
