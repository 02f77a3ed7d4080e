"""Third-order elasticity: a cubic polynomial of the Green-Lagrange strain.

    W = 1/2 C_ab e_a e_b + 1/6 C_abc e_a e_b e_c

in the components e of multiscale.laws.strain, so that C_abc are Brugger's constants (K. Brugger, Phys. Rev. 133 (1964) A1611) with
Voigt indices 1..6 = xx, yy, zz, yz, xz, xy. S_a = C_ab e_b + 1/2 C_abc e_b e_c and D_ab = C_ab + C_abc e_c. A polynomial of odd
degree is unbounded below at large strains: a law for small and moderate ones.
"""

from dataclasses import dataclass
from functools import cached_property
from itertools import permutations
from typing import Final

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from fem.c_function import CFunction
from fem.law import Response
from fem.laws.saint_venant_kirchhoff import SaintVenantKirchhoff
from multiscale.classical.potentials import InvalidParameters
from multiscale.laws.compiled_law import CompiledLaw
from multiscale.laws.kernel import library
from multiscale.laws.network_terms import NetworkTerms, StrainComponents

CUBIC: Final[dict[str, tuple[str, ...]]] = {
    "c111": ("111", "222", "333"),
    "c112": ("112", "113", "122", "223", "133", "233"),
    "c123": ("123",),
    "c144": ("144", "255", "366"),
    "c155": ("155", "166", "244", "266", "344", "355"),
    "c456": ("456",),
}
"""Independent constant of the Laue class m-3m -> the Voigt index triples that are equal to it (Brugger 1964, table I)."""


@dataclass(frozen=True, eq=False)
class ThirdOrderElasticity(CompiledLaw):
    """The law above, for any crystal (fem.law.Law).

    Attributes:
        elastic_constants: C_ab (6, 6), symmetric.
        third_order_constants: C_abc (6, 6, 6), totally symmetric; same unit, which is that of stress.

    Raises:
        InvalidParameters: shape or symmetry.
    """

    elastic_constants: Float[ndarray, "6 6"]
    third_order_constants: Float[ndarray, "6 6 6"]

    def __post_init__(self) -> None:
        for name, rank in (("elastic_constants", 2), ("third_order_constants", 3)):
            value = np.array(getattr(self, name), dtype=np.float64)
            if value.shape != (6,) * rank or not np.isfinite(value).all():
                raise InvalidParameters(
                    f"{name} has shape {value.shape}, expected finite numbers of shape {(6,) * rank}"
                )
            skew = max(float(np.abs(value - value.transpose(order)).max()) for order in permutations(range(rank)))
            if skew > 1e-9 * float(np.abs(value).max()):
                raise InvalidParameters(
                    f"{name} change by {skew:.3g} when indices are exchanged, expected full symmetry"
                )
            object.__setattr__(self, name, value)

    @classmethod
    def cubic(
        cls,
        c11: float,
        c12: float,
        c44: float,
        c111: float,
        c112: float,
        c123: float,
        c144: float,
        c155: float,
        c456: float,
    ) -> "ThirdOrderElasticity":
        """A crystal of Laue class m-3m with its axes along x, y, z."""
        third = np.zeros((6, 6, 6))
        for value, triples in zip((c111, c112, c123, c144, c155, c456), CUBIC.values(), strict=True):
            for triple in triples:
                for order in permutations(int(index) - 1 for index in triple):
                    third[order] = value
        return cls(SaintVenantKirchhoff.cubic(c11, c12, c44).elastic_constants, third)

    @cached_property
    def terms(self) -> NetworkTerms:
        """The polynomial; no neurons."""
        none = np.zeros((0, 6)), np.zeros(0), np.zeros(0)
        return NetworkTerms(
            StrainComponents(self.third_order_constants), *none, 0.0, np.zeros(6), self.elastic_constants
        )

    def in_c(self) -> CFunction | None:
        return library.compiled([self.terms], None)

    def in_numpy(self, F: Float[ndarray, "n 3 3"], *, tangent: bool, trust: bool) -> Response:
        return Response(*self.terms.evaluate(F, tangent=tangent))
