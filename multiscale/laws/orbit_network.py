"""The orbit law: a hyperelastic potential with exact crystal symmetry, exact elastic constants, and closed-form derivatives.

With the six strain components e (multiscale.laws.strain) and the group's action Q_R on them,

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

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from multiscale.laws.fields import check_growth, check_reference_state, settle_arrays
from multiscale.laws.network_terms import NetworkTerms, StrainComponents
from multiscale.laws.strain import stress_components
from multiscale.laws.strain_potential import StrainPotential
from multiscale.symmetry.point_group import PointGroup
from multiscale.trust.domain import Domain
from multiscale.trust.posterior import Posterior
from multiscale.trust.uncertainty import Uncertainty


@dataclass(frozen=True, eq=False)
class OrbitLaw(StrainPotential):
    """An orbit network as a constitutive law (fem.law.Law).

    Attributes:
        symmetry: the exact symmetry G.
        weights: w (h, 6), biases: b (h,), amplitudes: v (h,) in GPa.
        constants: C (6, 6) in GPa, Voigt; invariant under the group.
        reference_stress: S0 (3, 3) in GPa at F = I; invariant under the group.
        growth_modulus: gamma in GPa.
        growth_threshold: J0.
        domain: what the law was made from; None where nobody says.
        provenance: what made it.
        uncertainty: the posterior of its parameters; None where no fit made it.

    Raises:
        InvalidLaw: shapes, numbers that are not finite, constants or stress that break the symmetry.
    """

    schema: ClassVar[str] = "atomlaw/orbit-law"
    version: ClassVar[int] = 3
    stored: ClassVar[tuple[str, ...]] = ("weights", "biases", "amplitudes", "constants", "reference_stress")
    posterior: ClassVar[type[Posterior]] = Uncertainty
    scalars: ClassVar[tuple[str, ...]] = ("growth_modulus", "growth_threshold")

    symmetry: PointGroup
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
        settle_arrays(self, shapes)
        check_growth(self.growth_modulus, self.growth_threshold)
        check_reference_state(self.symmetry, self.constants, self.reference_stress)
        object.__setattr__(self, "constants", 0.5 * (self.constants + self.constants.T))

    def elastic_constants(self) -> Float[ndarray, "6 6"]:
        """C = d2W/de2 at F = I in GPa, Voigt order xx, yy, zz, yz, xz, xy."""
        return self.constants.copy()

    @cached_property
    def terms(self) -> NetworkTerms:
        """The network with its weights' images written out."""
        images = merged_images(self.symmetry, self.weights, self.biases, self.amplitudes)
        bare = NetworkTerms(StrainComponents(), *images, 0.0, np.zeros(6), np.zeros((6, 6)))
        W, S, D = bare.potential(np.eye(3)[None])
        return NetworkTerms(
            StrainComponents(),
            *images,
            -float(W[0]),
            stress_components(self.reference_stress) - S[0],
            self.constants - D[0],
            growth_modulus=self.growth_modulus,
            growth_threshold=self.growth_threshold,
        )


def merged_images(
    group: PointGroup, weights: Float[ndarray, "h 6"], biases: Float[ndarray, "h"], amplitudes: Float[ndarray, "h"]
) -> tuple[Float[ndarray, "m 6"], Float[ndarray, "m"], Float[ndarray, "m"]]:
    """The images Q_R^T w_h of all neurons, amplitudes v_h / |G|; images that a neuron in special position repeats are merged."""
    rows, offsets, sizes = [], [], []
    for w, b, v in zip(weights, biases, amplitudes, strict=True):
        images = w @ group.strain_action
        scale = max(float(np.abs(w).max()), 1e-300)
        _, first, count = np.unique(np.round(images / scale, 9), axis=0, return_index=True, return_counts=True)
        rows.append(images[first])
        offsets.append(np.full(len(first), b))
        sizes.append(v * count / group.order)
    if not rows:
        return np.zeros((0, 6)), np.zeros(0), np.zeros(0)
    return np.concatenate(rows), np.concatenate(offsets), np.concatenate(sizes)
