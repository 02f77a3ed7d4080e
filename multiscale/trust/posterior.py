"""The error bar of a fitted law: the Gauss-Newton posterior of its parameters, calibrated on states left out.

At the minimum x of |r(x)|^2 (weighted residuals and prior) with Jacobian J, the posterior of the parameters is close to
a normal one of covariance (J^T J)^-1 (Laplace; D. J. C. MacKay, Neural Comput. 4 (1992) 448), hence stresses P(F; x) have

    var P_iJ(F) = s^2 | L^T dP_iJ/dx |^2,    L L^T = (J^T J)^-1.

It is the Mahalanobis distance of the state F from the training states in the space of what the network can tell apart; it
inherits the law's symmetry and objectivity. Where no strain like F was fitted, dP/dx leaves the span of J, and the bar grows.

A network that misses its labels by its own form, not by noise, makes J^T J alone too sure: s is fixed by prediction. To first order the
fit without state k, whose rows are J_k and residuals r_k, moves by (Beirami et al., NeurIPS 2017)

    x_(k) - x = (J^T J)^-1 J_k^T (1 - H_k)^-1 r_k,    H_k = J_k (J^T J)^-1 J_k^T,

and the covariance L (1 + L^T J_k^T (1 - H_k)^-1 J_k L) L^T. So the stress of every training state is predicted without it, at
the cost of small solves, and s makes 90 % of these predictions fall within 1.645 standard errors.

What the parameters are is the law's own affair: multiscale.trust.uncertainty (orbit laws), multiscale.trust.argument_uncertainty (others).
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Final, Protocol, Self, final

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.linalg import cholesky, solve_triangular

from fem.law import check_deformation_gradient
from multiscale.data.dataset import StressStrainData
from multiscale.fits.observations import Observations
from multiscale.laws.strain import UPPER_COLUMNS, UPPER_ROWS, VOIGT
from multiscale.symmetry.material_symmetry import MaterialSymmetry

CHUNK: Final = 128
"""States at a time: their Jacobians stay in the cache."""

LEVEL, DEVIATIONS = 0.9, 1.6448536269514722
"""The interval that is calibrated: 90 % of a normal distribution lie within so many standard deviations."""


class InvalidUncertainty(ValueError):
    """Arrays that are no posterior."""


class LeastSquares(Protocol):
    """What was minimised."""

    observations: Observations

    def linearisation(self, parameters: Float[ndarray, "p"]) -> tuple[Float[ndarray, "r"], Float[ndarray, "r p"]]:
        """Weighted residuals of the observations, then of the prior, and their Jacobian."""
        ...


class Posterior(ABC):
    """What the parameters of a law may be, besides what they are; subclasses are frozen dataclasses.

    Attributes:
        parameters: x (p,), dimensionless.
        factor: s L (p, r), calibrated: the parameters' covariance is factor factor^T.
        left_out: normalised mean square error of the stress of training states, each predicted from the others (to first order);
            NaN where the data have no stress.
        stored: names of the fields that a file keeps as arrays.
    """

    stored: ClassVar[tuple[str, ...]]

    parameters: Float[ndarray, "p"]
    factor: Float[ndarray, "p r"]
    left_out: float

    @abstractmethod
    def observed(self, F: Float[ndarray, "n 3 3"], columns: Int[ndarray, "c"]) -> Float[ndarray, "n c p"]:
        """Derivatives by the parameters of some of the 28 components (W, S, D) of the law at F, in GPa."""

    @abstractmethod
    def scales(self) -> dict[str, Any]:
        """For a file: what is no array; None where NaN, which JSON lacks."""

    @classmethod
    @abstractmethod
    def restored(
        cls, symmetry: MaterialSymmetry, scales: Mapping[str, Any] | None, stored: Mapping[str, ndarray]
    ) -> Self | None:
        """What a file holds; None where it holds none.

        Raises:
            KeyError, TypeError, ValueError: incomplete or inconsistent.
        """

    @final
    def calibrated(
        self,
        rows: Float[ndarray, "r p"],
        residual: Float[ndarray, "r"],
        data: StressStrainData,
        predicted: Float[ndarray, "n 3 3"],
    ) -> tuple[Float[ndarray, "p r"], float]:
        """The factor s L and the error on states left out, `self.factor` being L.

        Args:
            rows, residual: of the observations, at the minimum.
            data: calibrate it where they have stresses; s = 1 where not.
            predicted: the law's stresses at the states of `data`.
        """
        if data.first_piola is None:
            return self.factor, float("nan")
        n, L = len(data), self.factor
        seen, r = (rows @ L).reshape(n, -1, L.shape[1]), residual.reshape(n, -1, 1)
        move, variance = self.without_each(data.deformation_gradient, seen, r)
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
        return max(s, np.finfo(float).tiny) * L, missed

    @final
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

    @final
    def stress_error(self, deformation_gradient: Float[ndarray, "n 3 3"]) -> Float[ndarray, "n 3 3"]:
        """Standard error of P in GPa at F (n, 3, 3)."""
        F = check_deformation_gradient(deformation_gradient)
        error = np.empty(F.shape)
        for start in range(0, len(F), CHUNK):
            part = slice(start, start + CHUNK)
            error[part] = np.sqrt(np.square(self.stress_derivatives(F[part])).sum(axis=3))
        return error

    @final
    def constants_error(self) -> Float[ndarray, "6 6"]:
        """Standard error of the elastic constants in GPa, Voigt; zero where they were given to the fit."""
        upper = np.sqrt(np.square(self.observed(np.eye(3)[None], np.arange(7, 28))[0] @ self.factor).sum(axis=1))
        error = np.zeros((6, 6))
        error[UPPER_ROWS, UPPER_COLUMNS] = error[UPPER_COLUMNS, UPPER_ROWS] = upper
        return error

    @final
    def stress_derivatives(self, F: Float[ndarray, "n 3 3"]) -> Float[ndarray, "n 3 3 r"]:
        """dP/dx along the columns of the factor, in GPa."""
        by = self.observed(F, np.arange(1, 7)) @ self.factor
        return np.asarray((F @ by[:, VOIGT].reshape(len(F), 3, -1)).reshape(len(F), 3, 3, -1))

    @final
    def arrays(self) -> dict[str, ndarray]:
        """For a file: the arrays, by the names that `restored` asks for."""
        return {f"uncertainty_{name}": getattr(self, name) for name in self.stored}


def laplace_factor(J: Float[ndarray, "r p"], penalty: Float[ndarray, "q p"]) -> Float[ndarray, "p p"]:
    """L with L L^T = (J^T J + penalty^T penalty)^-1, of the Jacobians of all that was minimised."""
    normal = J.T @ J + penalty.T @ penalty
    # round-off may leave a direction that nothing but the prior bounds slightly negative
    normal += 1e-13 * np.trace(normal) / len(normal) * np.eye(len(normal))
    return np.asarray(solve_triangular(cholesky(normal, lower=True), np.eye(len(normal)), lower=True).T)


def number_or_none(number: float) -> float | None:
    """For JSON, which lacks NaN."""
    return None if np.isnan(number) else number


def number_or_nan(number: float | None) -> float:
    """What `number_or_none` wrote."""
    return float("nan") if number is None else float(number)
