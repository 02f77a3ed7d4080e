"""The invariant law: a network of the group's invariants, with exact elastic constants. What isotropic materials are fitted with.

With the invariants i(F) of the group (multiscale.symmetry.invariants), zero at F = I,

    W = N(i) - N(0) + sum_j a_j B_j(i) + growth(J),    N(i) = s.i + sum_h v_h softplus(w_h.i + b_h),

where the functions B_j (multiscale.laws.quadratic_part) carry exactly the difference between the stress S0 and elastic constants C
asked for and what N has at F = I. Objectivity, symmetry, zero energy, S0 and C hold by construction, for any weights. Growth as in
the orbit law.

The derivatives by strain are closed forms: with c = dW/di and K = d2W/di2 of network and B together,

    S = c . i',    D = c . i'' + i'^T K i'.

Networks of invariants: Linka et al., J. Comput. Phys. 429 (2021) 110010; Linden et al., J. Mech. Phys. Solids 179 (2023) 105363.
For finite groups an orbit law (multiscale.laws.orbit_network) fits far better; this form is the alternative.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from multiscale.laws.fields import check_growth, check_reference_state, settle_arrays
from multiscale.laws.network_terms import NetworkTerms
from multiscale.laws.quadratic_part import QuadraticPart
from multiscale.laws.strain import stress_components
from multiscale.laws.strain_potential import StrainPotential
from multiscale.symmetry.invariants import invariants_of
from multiscale.symmetry.material_symmetry import MaterialSymmetry
from multiscale.trust.argument_uncertainty import ArgumentUncertainty
from multiscale.trust.domain import Domain
from multiscale.trust.posterior import Posterior


@dataclass(frozen=True, eq=False)
class InvariantLaw(StrainPotential):
    """A network of invariants as a constitutive law (fem.law.Law).

    Attributes:
        symmetry: an InfiniteGroup or a PointGroup.
        weights: w (h, m), biases: b (h,), amplitudes: v (h,) in GPa, of m invariants.
        skip: s (m,) in GPa.
        constants: C (6, 6) in GPa, Voigt; invariant under the group.
        reference_stress: S0 (3, 3) in GPa at F = I; invariant under the group.
        growth_modulus: gamma in GPa. growth_threshold: J0.
        domain: what the law was made from; None where nobody says.
        provenance: what made it.
        uncertainty: the posterior of its parameters; None where no fit made it.

    Raises:
        InvalidLaw: shapes, numbers that are not finite, constants or stress that break the symmetry.
    """

    schema: ClassVar[str] = "atomlaw/invariant-law"
    stored: ClassVar[tuple[str, ...]] = ("weights", "biases", "amplitudes", "skip", "constants", "reference_stress")
    posterior: ClassVar[type[Posterior]] = ArgumentUncertainty
    scalars: ClassVar[tuple[str, ...]] = ("growth_modulus", "growth_threshold")

    symmetry: MaterialSymmetry
    weights: Float[ndarray, "h m"]
    biases: Float[ndarray, "h"]
    amplitudes: Float[ndarray, "h"]
    skip: Float[ndarray, "m"]
    constants: Float[ndarray, "6 6"]
    reference_stress: Float[ndarray, "3 3"] = field(default_factory=lambda: np.zeros((3, 3)))
    growth_modulus: float = 0.0
    growth_threshold: float = 0.0
    domain: Domain | None = None
    provenance: Mapping[str, str] = field(default_factory=dict)
    uncertainty: ArgumentUncertainty | None = None

    def __post_init__(self) -> None:
        h, m = len(np.atleast_1d(np.asarray(self.biases))), len(self.quadratic_part.invariants.orders)
        shapes = {
            "weights": (h, m), "biases": (h,), "amplitudes": (h,), "skip": (m,), "constants": (6, 6), "reference_stress": (3, 3)
        }  # fmt: skip
        settle_arrays(self, shapes)
        check_growth(self.growth_modulus, self.growth_threshold)
        check_reference_state(self.symmetry, self.constants, self.reference_stress)

    @cached_property
    def quadratic_part(self) -> QuadraticPart:
        """The functions that carry stress and elastic constants at F = I."""
        return QuadraticPart(invariants_of(self.symmetry))

    def elastic_constants(self) -> Float[ndarray, "6 6"]:
        """C = d2W/de2 at F = I in GPa, Voigt order xx, yy, zz, yz, xz, xy."""
        return self.constants.copy()

    @cached_property
    def terms(self) -> NetworkTerms:
        """The network, and the functions B_j as a linear and a quadratic form of the invariants."""
        part, network = self.quadratic_part, (self.weights, self.biases, self.amplitudes)
        m = len(self.skip)
        linear, quadratic = self.skip.copy(), np.zeros((m, m))
        W, S, D = NetworkTerms(part.invariants, *network, 0.0, linear, quadratic).potential(np.eye(3)[None])
        a = part.coefficients(stress_components(self.reference_stress) - S[0], self.constants - D[0])
        for term, coefficient in zip(part.terms, a, strict=True):
            if len(term) == 1:
                linear[term[0]] += coefficient
            else:
                quadratic[term[0], term[1]] += coefficient
                quadratic[term[1], term[0]] += coefficient
        return NetworkTerms(
            part.invariants,
            *network,
            -float(W[0]),
            linear,
            quadratic,
            growth_modulus=self.growth_modulus,
            growth_threshold=self.growth_threshold,
        )
