"""The polyconvex law: objective, symmetric and polyconvex at once, with zero energy and stress at F = I.

W is polyconvex where it is a convex function of (F, cof F, det F) (Ball, Arch. Ration. Mech. Anal. 63 (1977) 337); it is rank-one convex
then, and its acoustic tensor nowhere indefinite. Here, with C = F^T F and cof C = J^2 C^-1,

    W = sum_h v_h 1/|G| sum_R softplus(tr((C - I) R^T G_h R) / 2 + tr((cof C - I) R^T H_h R) / 2 + c_h (J - 1) + b_h)
        + [the same with softplus replaced by the identity, for one more G, H, c]
        + kappa/2 (J - 1)^2 + balance + growth(J) - its value at F = I,

with symmetric positive semidefinite G and H, v >= 0 and kappa >= 0. tr(C G) = |F G^(1/2)|^2 is convex in F,
tr(cof C H) = |cof F H^(1/2)|^2 convex in cof F, and J - 1 linear in J; softplus is convex and non-decreasing, sums and averages
of convex functions are convex (Schroeder and Neff, Int. J. Solids Struct. 40 (2003) 401; Itskov and Aksel, ibid. 41 (2004) 3833).
In an infinite group G and H must be invariant themselves (multiples of I; of a a^T and I - a a^T), and there is nothing to average.
I_2 J^(-4/3) is not polyconvex and is not used.

Stress at F = I. Let T be the stress there of all terms so far, invariant under the group, and lambda its largest eigenvalue. The term

    tr((C - I) (lambda I - T)) / 2,

polyconvex since lambda I - T is positive semidefinite, makes it the hydrostatic lambda I, and

    - lambda ln J  where lambda >= 0,    - lambda (J - 1)  where lambda < 0,

convex in J, takes that to zero. In m-3m, m-3 and isotropic materials T is hydrostatic, the first term is nothing, and the term of J alone
does it; the nine other classes and transversely isotropic materials need both. So every class reaches zero stress, exactly. Another
residual stress, or elastic constants, cannot be prescribed: the constants are fitted.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from multiscale.laws.fields import InvalidLaw, check_growth, settle_arrays
from multiscale.laws.jets import UNIT
from multiscale.laws.network_terms import NetworkTerms
from multiscale.laws.polyconvex_arguments import ARGUMENTS, PolyconvexArguments, argument_action
from multiscale.laws.strain import stress_tensor
from multiscale.laws.strain_potential import StrainPotential
from multiscale.symmetry.material_symmetry import MaterialSymmetry
from multiscale.symmetry.point_group import PointGroup
from multiscale.trust.argument_uncertainty import ArgumentUncertainty
from multiscale.trust.domain import Domain
from multiscale.trust.posterior import Posterior


@dataclass(frozen=True, eq=False)
class PolyconvexLaw(StrainPotential):
    """The law above (fem.law.Law).

    Attributes:
        symmetry: an InfiniteGroup or a PointGroup.
        weights: (h, 13), a row holds the Voigt components (as of a stress) of G and of H, then c.
        biases: b (h,), amplitudes: v (h,) in GPa, >= 0.
        skip: (13,) in GPa, the linear term.
        bulk: kappa in GPa, >= 0.
        growth_modulus: gamma in GPa. growth_threshold: J0.
        domain: what the law was made from; None where nobody says.
        provenance: what made it.
        uncertainty: the posterior of its parameters; None where no fit made it.

    Raises:
        InvalidLaw: shapes; negative amplitudes or kappa; G or H that are not positive semidefinite, or not invariant under an infinite
            group.
    """

    schema: ClassVar[str] = "atomlaw/polyconvex-law"
    stored: ClassVar[tuple[str, ...]] = ("weights", "biases", "amplitudes", "skip")
    posterior: ClassVar[type[Posterior]] = ArgumentUncertainty
    scalars: ClassVar[tuple[str, ...]] = ("bulk", "growth_modulus", "growth_threshold")

    symmetry: MaterialSymmetry
    weights: Float[ndarray, "h 13"]
    biases: Float[ndarray, "h"]
    amplitudes: Float[ndarray, "h"]
    skip: Float[ndarray, "13"]
    bulk: float = 0.0
    growth_modulus: float = 0.0
    growth_threshold: float = 0.0
    domain: Domain | None = None
    provenance: Mapping[str, str] = field(default_factory=dict)
    uncertainty: ArgumentUncertainty | None = None

    def __post_init__(self) -> None:
        h = len(np.atleast_1d(np.asarray(self.biases)))
        settle_arrays(self, {"weights": (h, ARGUMENTS), "biases": (h,), "amplitudes": (h,), "skip": (ARGUMENTS,)})
        check_growth(self.growth_modulus, self.growth_threshold)
        if (self.amplitudes < 0.0).any() or not 0.0 <= self.bulk < np.inf:
            least = min(self.bulk, float(self.amplitudes.min(initial=0.0)))
            raise InvalidLaw(
                f"the smallest amplitude is {least:.6g} GPa, expected amplitudes and bulk >= 0: not convex"
            )
        tensors = np.concatenate([self.weights, self.skip[None]])[:, :12].reshape(-1, 6)
        size = np.abs(tensors).max(axis=1, initial=1e-300)
        least = float((np.linalg.eigvalsh(stress_tensor(tensors))[:, 0] / size).min())
        if least < -1e-9:
            raise InvalidLaw(
                f"a tensor G or H has an eigenvalue of {least:.3g} of its size, expected >= 0: the law would not be polyconvex"
            )
        if not isinstance(self.symmetry, PointGroup):
            moved = np.abs(np.array([self.symmetry.project_stress(G) for G in tensors]) - tensors).max(axis=1)
            if (moved > 1e-9 * size).any():
                raise InvalidLaw(
                    f"a tensor G or H is not invariant under the {self.symmetry.name} group; project it on the group"
                )

    @cached_property
    def _images(self) -> tuple[Float[ndarray, "k 13"], Float[ndarray, "k"], Float[ndarray, "k"], Float[ndarray, "13"]]:
        action = argument_action(self.symmetry)
        g = len(action)
        images = np.einsum("ha,gab->hgb", self.weights, action).reshape(-1, ARGUMENTS)
        return images, np.repeat(self.biases, g), np.repeat(self.amplitudes / g, g), self.skip @ action.mean(axis=0)

    @cached_property
    def terms(self) -> NetworkTerms:
        """The network with its images written out, and the terms that balance the stress at F = I."""
        weights, biases, amplitudes, skip = self._images
        network = PolyconvexArguments(), weights, biases, amplitudes
        linear, quadratic = skip.copy(), np.zeros((ARGUMENTS, ARGUMENTS))
        quadratic[12, 12] = self.bulk
        W, pull, _ = NetworkTerms(*network, 0.0, linear, quadratic).potential(np.eye(3)[None])
        largest = float(np.linalg.eigvalsh(stress_tensor(pull[0]))[-1])
        linear[:6] += largest * UNIT - pull[0]
        linear[12] -= min(largest, 0.0)
        return NetworkTerms(
            *network,
            -float(W[0]),
            linear,
            quadratic,
            log_volume=-max(largest, 0.0),
            growth_modulus=self.growth_modulus,
            growth_threshold=self.growth_threshold,
        )

    def elastic_constants(self) -> Float[ndarray, "6 6"]:
        """C = d2W/de2 at F = I in GPa, Voigt order xx, yy, zz, yz, xz, xy."""
        return np.asarray(self.terms.potential(np.eye(3)[None])[2][0])
