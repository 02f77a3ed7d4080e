"""The error bar of a fitted orbit law: the Gauss-Newton posterior of its parameters, calibrated on states left out.

At the minimum x of |r(x)|^2 (weighted residuals and prior, OrbitFit) with Jacobian J, the posterior of the parameters is close to
a normal one of covariance (J^T J)^-1 (Laplace; D. J. C. MacKay, Neural Comput. 4 (1992) 448), hence stresses P(F; x) have

    var P_iJ(F) = s^2 | L^T dP_iJ/dx |^2,    L L^T = (J^T J)^-1.

It is the Mahalanobis distance of the state F from the training states in the space of what the network can tell apart; it
inherits the crystal's symmetry and the law's objectivity. Where no strain like F was fitted, dP/dx leaves the span of J, and the bar grows.

A network that misses its labels by its own form, not by noise, makes J^T J alone too sure: s is fixed by prediction. To first order the
fit without state k, whose rows are J_k and residuals r_k, moves by (Beirami et al., NeurIPS 2017)

    x_(k) - x = (J^T J)^-1 J_k^T (1 - H_k)^-1 r_k,    H_k = J_k (J^T J)^-1 J_k^T,

and the covariance L (1 + L^T J_k^T (1 - H_k)^-1 J_k L) L^T. So the stress of every training state is predicted without it, at
the cost of small solves, and s makes 90 % of these predictions fall within 1.645 standard errors.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.linalg import cholesky, solve_triangular

from fem.law import check_deformation_gradient
from multiscale.data.dataset import StressStrainData
from multiscale.fits.observations import Observations
from multiscale.fits.orbit_least_squares import OrbitFit
from multiscale.laws.reference_state import ReferenceState
from multiscale.laws.strain import VOIGT, green_lagrange
from multiscale.symmetry.point_group import PointGroup

CHUNK: Final = 128
"""States at a time: their Jacobians stay in the cache."""

LEVEL, DEVIATIONS = 0.9, 1.6448536269514722
"""The interval that is calibrated: 90 % of a normal distribution lie within so many standard deviations."""

ARRAYS: Final = ("parameters", "stiffness_basis", "stress_basis", "factor")


class InvalidUncertainty(ValueError):
    """Arrays that are no posterior."""


@dataclass(frozen=True, eq=False)
class Uncertainty:
    """What the parameters of an orbit law may be, besides what they are.

    Attributes:
        point_group: G.
        parameters: x (p,), dimensionless, as OrbitFit orders them.
        strain_scale, stiffness_scale: their units, the second in GPa.
        stiffness_basis: (m, 6, 6) and stress_basis (k, 6): what is fitted at F = I.
        factor: s L (p, r), calibrated: the parameters' covariance is factor factor^T.
        left_out: normalised mean square error of the stress of training states, each predicted from the others (to first order);
            NaN where the data have no stress.
    """

    point_group: PointGroup
    parameters: Float[ndarray, "p"]
    strain_scale: float
    stiffness_scale: float
    stiffness_basis: Float[ndarray, "m 6 6"]
    stress_basis: Float[ndarray, "k 6"]
    factor: Float[ndarray, "p r"]
    left_out: float

    def __post_init__(self) -> None:
        p, m, k = len(self.parameters), len(self.stiffness_basis), len(self.stress_basis)
        found = (self.stiffness_basis.shape, self.stress_basis.shape, self.factor.shape[:1])
        expected = ((m, 6, 6), (k, 6), (p,))
        if found != expected or self.factor.ndim != 2 or (p - m - k) % 8 or not p > m + k:
            raise InvalidUncertainty(
                f"{p} parameters, stiffness_basis, stress_basis and factor of shapes {found}: expected {expected} and eight "
                "parameters a neuron"
            )
        if not (self.strain_scale > 0.0 and self.stiffness_scale > 0.0):
            raise InvalidUncertainty(
                f"strain_scale is {self.strain_scale} and stiffness_scale {self.stiffness_scale}, expected them positive"
            )

    @classmethod
    def of(
        cls,
        problem: OrbitFit,
        parameters: Float[ndarray, "p"],
        data: StressStrainData,
        predicted: Float[ndarray, "n 3 3"],
        penalty: Float[ndarray, "q p"],
    ) -> "Uncertainty":
        """The posterior at a minimum.

        Args:
            problem, parameters: what was minimised, and where.
            data: calibrate it where they have stresses; s = 1 where not.
            predicted: the law's stresses at the states of `data`.
            penalty: Jacobian of what else was minimised; empty in a free fit.
        """
        residual, J = problem.linearisation(parameters)
        normal = J.T @ J + penalty.T @ penalty
        # round-off may leave a direction that nothing but the prior bounds slightly negative
        normal += 1e-13 * np.trace(normal) / len(normal) * np.eye(len(normal))
        L = solve_triangular(cholesky(normal, lower=True), np.eye(len(normal)), lower=True).T
        reference = problem.reference
        unit = cls(
            problem.group,
            np.array(parameters),
            problem.strain_scale,
            problem.stiffness_scale,
            reference.stiffness_basis,
            reference.stress_basis,
            L,
            float("nan"),
        )
        if data.first_piola is None:
            return unit
        count, n = problem.observations.count, len(data)
        rows, r = (J[:count] @ L).reshape(n, -1, len(L)), residual[:count].reshape(n, -1, 1)
        move, variance = unit.without_each(data.deformation_gradient, rows, r)
        error = predicted + move - data.first_piola
        stated = data.first_piola_error
        noise = np.zeros_like(error) if stated is None else stated
        # the scale at which each prediction just falls within its interval
        needed = np.sqrt(np.maximum((error / DEVIATIONS) ** 2 - noise**2, 0.0) / variance)
        # of m predictions the (m + 1) 0.9-th covers 90 % of the next (conformal prediction: Vovk et al. 2005)
        m = needed.size
        s = float(np.quantile(needed, min(1.0, np.ceil((m + 1) * LEVEL) / m)))
        if stated is not None:
            s = max(s, 1.0)  # stated errors are believed: they weigh the fit, and this posterior is theirs
        missed = float(np.mean(error**2) / np.mean(data.first_piola**2))
        return replace(unit, factor=max(s, np.finfo(float).tiny) * L, left_out=missed)

    def without_each(
        self, F: Float[ndarray, "n 3 3"], rows: Float[ndarray, "n c p"], residual: Float[ndarray, "n c 1"]
    ) -> tuple[Float[ndarray, "n 3 3"], Float[ndarray, "n 3 3"]]:
        """How far P of each state moves when it is left out of the fit, and the variance of that prediction; rows are J_k L."""
        across = np.swapaxes(rows, 1, 2)
        gap = np.eye(rows.shape[1]) - rows @ across
        by = self.stress_derivatives(F).reshape(len(F), 9, -1)
        seen = by @ across
        move = seen @ np.linalg.solve(gap, residual)
        gained = np.einsum("nac,nca->na", seen, np.linalg.solve(gap, np.swapaxes(seen, 1, 2)))
        return move.reshape(-1, 3, 3), ((by**2).sum(axis=2) + gained).reshape(-1, 3, 3)

    def stress_error(self, deformation_gradient: Float[ndarray, "n 3 3"]) -> Float[ndarray, "n 3 3"]:
        """Standard error of P in GPa at F (n, 3, 3)."""
        F = check_deformation_gradient(deformation_gradient)
        error = np.empty(F.shape)
        for start in range(0, len(F), CHUNK):
            part = slice(start, start + CHUNK)
            error[part] = np.sqrt(np.square(self.stress_derivatives(F[part])).sum(axis=3))
        return error

    def constants_error(self) -> Float[ndarray, "6 6"]:
        """Standard error of the elastic constants in GPa, Voigt; zero where they were given to the fit."""
        m, k = len(self.stiffness_basis), len(self.stress_basis)
        rows = self.factor[len(self.factor) - m - k : len(self.factor) - k]
        by = self.stiffness_scale * np.einsum("mij,mr->ijr", self.stiffness_basis, rows)
        return np.asarray(np.sqrt(np.square(by).sum(axis=2)))

    def stress_derivatives(self, F: Float[ndarray, "n 3 3"]) -> Float[ndarray, "n 3 3 r"]:
        """dP/dx along the columns of the factor, in GPa."""
        by = self.observed(F, np.arange(1, 7)) @ self.factor
        return np.asarray((F @ by[:, VOIGT].reshape(len(F), 3, -1)).reshape(len(F), 3, 3, -1))

    def observed(self, F: Float[ndarray, "n 3 3"], columns: Int[ndarray, "c"]) -> Float[ndarray, "n c p"]:
        """Derivatives by the parameters of some of the 28 components (W, S, D) of the law at F, in GPa."""
        n, c = len(F), len(columns)
        unit = np.broadcast_to(np.eye(c), (n, c, c))
        observations = Observations(green_lagrange(F), columns, unit, np.zeros((n, c)))
        nothing = ReferenceState(np.zeros((6, 6)), np.zeros(6), self.stiffness_basis, self.stress_basis)
        linear = len(self.stiffness_basis) + len(self.stress_basis)
        problem = OrbitFit(
            observations,
            self.point_group,
            (len(self.parameters) - linear) // 8,
            nothing,
            strain_scale=self.strain_scale,
            stiffness_scale=self.stiffness_scale,
            prior=1.0,
        )
        return problem.linearisation(self.parameters)[1][: n * c].reshape(n, c, -1)

    def arrays(self) -> dict[str, ndarray]:
        """For a file: the arrays, by the names that `restored` asks for."""
        return {f"uncertainty_{name}": getattr(self, name) for name in ARRAYS}

    def scales(self) -> dict[str, float | None]:
        """For a file: the numbers; None where NaN, which JSON lacks."""
        return {
            "strain_scale": self.strain_scale,
            "stiffness_scale": self.stiffness_scale,
            "left_out": None if np.isnan(self.left_out) else self.left_out,
        }

    @classmethod
    def restored(
        cls, group: PointGroup, scales: Mapping[str, Any] | None, stored: Mapping[str, ndarray]
    ) -> "Uncertainty | None":
        """What a file holds; None where it holds none.

        Raises:
            KeyError, TypeError, ValueError: incomplete or inconsistent.
        """
        if scales is None:
            return None
        left_out = scales["left_out"]
        return cls(
            group,
            stored["uncertainty_parameters"],
            float(scales["strain_scale"]),
            float(scales["stiffness_scale"]),
            stored["uncertainty_stiffness_basis"],
            stored["uncertainty_stress_basis"],
            stored["uncertainty_factor"],
            float("nan") if left_out is None else float(left_out),
        )
