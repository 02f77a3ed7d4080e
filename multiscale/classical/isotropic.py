"""From a potential of power sums of the isochoric principal stretches to energy, stress and tangent: the one place that does it.

Let N_a be the principal axes of C and x_a = ln lambda_a, s = ln J = x_1 + x_2 + x_3, xbar_a = x_a - s / 3. The law is

    W = Psi(K_1, ..., K_m) + U(J),    K_i = sum_a exp(alpha_i xbar_a) - 3,    U = kappa/4 (J^2 - 1 - 2 ln J)

(the split of Flory, Trans. Faraday Soc. 57 (1961) 829; U after Simo and Taylor, Comput. Methods Appl. Mech. Eng. 85 (1991) 273, convex
and growing at both ends). With q_ia = alpha_i exp(alpha_i xbar_a) and its deviator p_ia = q_ia - mean_b q_ib, the principal Kirchhoff
stresses and their derivatives are

    tau_a = dW/dx_a = sum_i Psi_i p_ia + U_s,
    dtau_a/dx_b = sum_ij Psi_ij p_ia p_jb + sum_i Psi_i [Q diag(alpha_i q_i) Q]_ab + U_ss,    Q_ab = delta_ab - 1/3.

S = sum_a S_a N_a N_a, S_a = tau_a / lambda_a^2, and D = dS/dE has (Ogden, Non-Linear Elastic Deformations, 1984, section 6.1.4)

    D_aabb = (dtau_a/dx_b - 2 delta_ab tau_a) / (lambda_a^2 lambda_b^2),    D_abab = theta_ab / 2,    theta_ab = (S_a - S_b) / (E_a - E_b).

The divided difference is never formed as one: each term of S_a is a power of lambda_a, and with d = x_a - x_b

    (lambda_a^beta - lambda_b^beta) / (E_a - E_b) = 2 exp((beta/2 - 1) (x_a + x_b)) sinh(beta d / 2) / sinh d,

which is exact to round-off at any distance and beta exp((beta/2 - 1) 2x) at equal stretches. P and A follow from S and D by
multiscale.laws.strain. At F = I tau = 0 and D_1212 = theta / 2 = 1/2 sum_i Psi_i alpha_i^2: the shear modulus; the bulk modulus is kappa.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from fem.c_function import CFunction
from fem.law import Response
from fem.laws.kinematics import minus_expm1
from multiscale.classical.potentials import InC, InvalidParameters, Potential
from multiscale.laws.compiled_law import CompiledLaw
from multiscale.laws.jets import Jet
from multiscale.laws.kernel import library
from multiscale.laws.network_terms import NetworkTerms, StrainComponents
from multiscale.laws.strain import first_piola, green_lagrange, strain_tensor, stress_components
from multiscale.laws.strain import tangent as tangent_of

SAME_VOLUME = 1e-9
"""|ln J| up to which a state counts as one of an incompressible material."""

FIRST, SECOND = np.array([0, 0, 1]), np.array([1, 2, 2])
"""The pairs of principal directions."""


class VolumeChange(ValueError):
    """A law without a bulk modulus was asked about a state of another volume."""


KINDS = ("polynomial", "gent", "arruda_boyce", "carroll", "convex_network")
"""The potentials of the C text (multiscale/laws/kernel/principal.h), in its order."""


@dataclass(frozen=True, eq=False)
class PrincipalStretches:
    """What the C text of these laws is given (multiscale.laws.network_terms.Arguments): e, and the row of `tables` that makes the law."""

    tables: Float[ndarray, "1 c"]
    kernel = "principal"

    def jet(self, F: Float[ndarray, "n 3 3"]) -> Jet:
        return StrainComponents().jet(F)


@dataclass(frozen=True)
class IsotropicLaw(CompiledLaw):
    """W = Psi + U as a constitutive law (fem.law.Law).

    Attributes:
        potential: Psi, one of multiscale.classical.potentials.
        bulk_modulus: kappa, in the unit of the potential's moduli; stress comes in that unit. None: incompressible. Such a law takes states
            with det F = 1 alone, and its stress lacks the pressure that equilibrium adds (multiscale.measured.specimen finds it).

    Raises:
        InvalidParameters: kappa <= 0 or not finite.
    """

    potential: Potential
    bulk_modulus: float | None = None

    def __post_init__(self) -> None:
        if self.bulk_modulus is not None and not (np.isfinite(self.bulk_modulus) and self.bulk_modulus > 0.0):
            raise InvalidParameters(f"bulk_modulus is {self.bulk_modulus}, expected a number > 0, or None")

    @property
    def shear_modulus(self) -> float:
        """mu at F = I."""
        alpha = np.array(self.potential.exponents)
        _, slope, _ = self.potential.derivatives(np.zeros((1, len(alpha))))
        return float(0.5 * slope[0] @ alpha**2)

    def in_c(self) -> CFunction | None:
        """None as well where the law is incompressible, or its potential has no C text (or more than eight exponents)."""
        exponents = self.potential.exponents
        if self.bulk_modulus is None or not isinstance(self.potential, InC) or len(exponents) > 8:
            return None
        name, coefficients = self.potential.in_c()
        row = np.array([[KINDS.index(name), self.bulk_modulus, len(exponents), *exponents, *coefficients]])
        none = np.zeros((0, 6)), np.zeros(0), np.zeros(0)
        return library.compiled(
            [NetworkTerms(PrincipalStretches(row), *none, 0.0, np.zeros(6), np.zeros((6, 6)))], None
        )

    def in_numpy(self, F: Float[ndarray, "n 3 3"], *, tangent: bool, trust: bool) -> Response:
        """W, P and A.

        Raises:
            VolumeChange: the law is incompressible and det F is not 1.
            BeyondLocking: see the potential.
        """
        principal, axes = np.linalg.eigh(strain_tensor(green_lagrange(F)))
        x = 0.5 * np.log1p(2.0 * principal)
        energy, S, D = self._principal_response(x, axes, tangent)
        return Response(energy, first_piola(F, S), None if D is None else tangent_of(F, S, D))

    def _principal_response(
        self, x: Float[ndarray, "n 3"], axes: Float[ndarray, "n 3 3"], hessian: bool
    ) -> tuple[Float[ndarray, "n"], Float[ndarray, "n 6"], Float[ndarray, "n 6 6"] | None]:
        """W, and S and D = dS/dE in Voigt components, of logarithmic principal stretches and their axes (columns)."""
        alpha = np.array(self.potential.exponents)
        s = x.sum(axis=1)
        y = alpha[:, None] * (x - s[:, None] / 3.0)[:, None, :]
        # sum_a y_a = 0: of K only what is of second order is left, and summed without cancellation
        psi, psi1, psi2 = self.potential.derivatives(minus_expm1(y).sum(axis=2))
        rise = np.expm1(y)
        deviator = alpha[:, None] * (rise - rise.mean(axis=2, keepdims=True))
        U, U1, U2 = self._volumetric(s)
        tau = np.einsum("ni,nia->na", psi1, deviator) + U1[:, None]
        lower = np.exp(-2.0 * x)
        diagonal = axes.transpose(0, 2, 1)[:, :, :, None] * axes.transpose(0, 2, 1)[:, :, None, :]
        normal = stress_components(diagonal)
        S = np.einsum("na,nav->nv", tau * lower, normal)
        if not hessian:
            return psi + U, S, None
        by_x = np.einsum("nia,nij,njb->nab", deviator, psi2, deviator) + U2[:, None, None]
        Q = np.eye(3) - 1.0 / 3.0
        curvature = alpha[:, None] ** 2 * (1.0 + rise)
        by_x += np.einsum("ni,nic,ac,cb->nab", psi1, curvature, Q, Q)
        by_x -= 2.0 * tau[:, :, None] * np.eye(3)
        coefficients = by_x * lower[:, :, None] * lower[:, None, :]
        theta = self._divided_difference(x, s, psi1, rise.mean(axis=2), U1)
        a, b = axes[:, :, FIRST].transpose(0, 2, 1), axes[:, :, SECOND].transpose(0, 2, 1)
        # stress_components symmetrises: 1/2 (N_a N_b + N_b N_a)
        shear = stress_components(a[..., :, None] * b[..., None, :])
        D = np.einsum("nav,nab,nbw->nvw", normal, coefficients, normal)
        D += np.einsum("nkv,nk,nkw->nvw", shear, 2.0 * theta, shear)
        return psi + U, S, D

    def _divided_difference(
        self,
        x: Float[ndarray, "n 3"],
        s: Float[ndarray, "n"],
        psi1: Float[ndarray, "n m"],
        mean_rise: Float[ndarray, "n m"],
        U1: Float[ndarray, "n"],
    ) -> Float[ndarray, "n 3"]:
        """theta_ab of the pairs: S_a = sum_i Psi_i alpha_i (J^(-alpha_i/3) lambda_a^(alpha_i - 2) - m_i lambda_a^-2) + U_s lambda_a^-2."""
        alpha = np.array(self.potential.exponents)
        sums, d = x[:, FIRST] + x[:, SECOND], x[:, FIRST] - x[:, SECOND]
        weight = psi1 * alpha
        constant = U1 - np.einsum("ni,ni->n", weight, 1.0 + mean_rise)
        theta = constant[:, None] * power_difference(-2.0, sums, d)
        for i, exponent in enumerate(alpha):
            scale = weight[:, i] * np.exp(-exponent / 3.0 * s)
            theta += scale[:, None] * power_difference(exponent - 2.0, sums, d)
        return np.asarray(theta)

    def _volumetric(
        self, s: Float[ndarray, "n"]
    ) -> tuple[Float[ndarray, "n"], Float[ndarray, "n"], Float[ndarray, "n"]]:
        """U and its first two derivatives by s = ln J."""
        if self.bulk_modulus is None:
            changed = np.abs(s) > SAME_VOLUME
            if changed.any():
                point = int(np.argmax(changed))
                raise VolumeChange(
                    f"ln det F = {s[point]:.6g} at point {point}, expected 0: the law is incompressible; give it a bulk_modulus"
                )
            return np.zeros_like(s), np.zeros_like(s), np.zeros_like(s)
        kappa = self.bulk_modulus
        return 0.25 * kappa * minus_expm1(2.0 * s), 0.5 * kappa * np.expm1(2.0 * s), kappa * np.exp(2.0 * s)


def power_difference(beta: float, sums: Float[ndarray, "n 3"], d: Float[ndarray, "n 3"]) -> Float[ndarray, "n 3"]:
    """(lambda_a^beta - lambda_b^beta) / (E_a - E_b) of logarithmic stretches with these sums and differences."""
    equal = d == 0.0
    safe = np.where(equal, 1.0, d)
    ratio = np.where(equal, 0.5 * beta, np.sinh(0.5 * beta * safe) / np.sinh(safe))
    return np.asarray(2.0 * np.exp((0.5 * beta - 1.0) * sums) * ratio)
