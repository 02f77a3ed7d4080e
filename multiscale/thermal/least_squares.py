"""The least-squares problem of a free energy psi(F, T): an orbit network's at each temperature, in one set of unknowns.

At one temperature a thermal law is an orbit network whose neurons' amplitudes, elastic constants and stress at F = I are sums
sum_k theta^k x_k of the unknowns x_k (multiscale.thermal.law). So each data set is a least-squares problem of an orbit network
(multiscale.fits.orbit_least_squares) in parameters B x, with one matrix B a temperature, and residuals and Jacobian of the whole are

    r(x) = (r_1(B_1 x), r_2(B_2 x), ...),    J(x) = (J_1 B_1, J_2 B_2, ...).

Internal energies U = sum_k u_k(T) (a_k + W_k) + c T are one more set of this kind, with u_k for theta^k.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.linalg import cholesky, solve_triangular

from multiscale.data.dataset import StressStrainData
from multiscale.fits.matching_pursuit import matching_pursuit
from multiscale.fits.observations import MODEL_ERROR, Observations
from multiscale.fits.orbit_law import PRIOR
from multiscale.fits.orbit_least_squares import OrbitFit
from multiscale.laws.reference_state import FitError, ReferenceState
from multiscale.laws.strain import green_lagrange, strain_norm_components, stress_tensor
from multiscale.symmetry.point_group import PointGroup
from multiscale.thermal.law import ThermalLaw
from multiscale.thermal.standard_error import parameters_of
from multiscale.trust.posterior import DEVIATIONS, LEVEL

THERMAL_PRIOR: Final = 0.1
"""Standard deviation of a neuron's change with temperature over the data's span, beside PRIOR for what it is at the reference."""


@dataclass(frozen=True, eq=False)
class Part:
    """The problem of one kind of label at one temperature: residuals problem(B x) + offset x.

    Attributes:
        problem: whose own prior is not used.
        image: B (q, p). offset: (r, p), of the unknowns of f(T); zero for labels that do not see it.
        noise: one where the labels came with standard errors, zero where their weights allow for the law's own error alone.
    """

    problem: OrbitFit
    image: Float[ndarray, "q p"]
    offset: Float[ndarray, "r p"]
    noise: float

    def residual(self, x: Float[ndarray, "p"]) -> Float[ndarray, "r"]:
        return np.asarray(self.problem.residual(self.image @ x)[: len(self.offset)] + self.offset @ x)

    def linearisation(self, x: Float[ndarray, "p"]) -> tuple[Float[ndarray, "r"], Float[ndarray, "r p"]]:
        residual, J = self.problem.linearisation(self.image @ x)
        count = len(self.offset)
        return residual[:count] + self.offset @ x, J[:count] @ self.image + self.offset

    def needed_scale(self, x: Float[ndarray, "p"], L: Float[ndarray, "p q"]) -> Float[ndarray, "n c"]:
        """What the posterior's factor L has to be multiplied with for each label to lie just within its interval.

        Each state is predicted by the fit without it, to first order: its residuals are (1 - H_k)^-1 r_k, H_k = J_k L L^T J_k^T, and the
        variance of the prediction diag((1 - H_k)^-1 H_k).
        """
        residual, J = self.linearisation(x)
        states = len(self.problem.observations.targets)
        rows, r = (J @ L).reshape(states, -1, L.shape[1]), residual.reshape(states, -1, 1)
        H = rows @ np.swapaxes(rows, 1, 2)
        gap = np.eye(H.shape[1]) - H
        left_out = np.linalg.solve(gap, r)[:, :, 0]
        variance = np.einsum("nii->ni", np.linalg.solve(gap, H))
        return np.asarray(np.sqrt(np.maximum((left_out / DEVIATIONS) ** 2 - self.noise**2, 0.0) / variance))


class ThermalFit:
    """The least-squares problem of all temperatures.

    The unknowns x, dimensionless: w s, b and v_0 / (K s^2) of the neurons; elastic constants and stress of W_0 (those not known), W_1 ...
    in the group's invariant bases; v_1, v_2, ...; and, with internal energies, a_0, a_2, a_3, ... / (K s^2) and c dT / (K s^2).

    Args:
        data: sets of different temperatures, admissible states only.
        group: the symmetry. neurons: how many. degree: K, of the polynomial in T.
        reference: what is known at F = I and the reference temperature. reference_temperature: T0.
        stiffness_scale: K in GPa.
    """

    prior = PRIOR

    def __init__(
        self,
        data: Sequence[StressStrainData],
        group: PointGroup,
        neurons: int,
        degree: int,
        reference: ReferenceState,
        *,
        reference_temperature: float,
        stiffness_scale: float,
    ) -> None:
        self.group, self.neurons, self.degree, self.reference = group, neurons, degree, reference
        self.reference_temperature = reference_temperature
        self.span = max(abs(one.temperature - reference_temperature) for one in data)
        strains = np.concatenate([green_lagrange(one.deformation_gradient) for one in data])
        # the half-width of a box in which strains like these are spread evenly (fitting.strain_size)
        self.strain_scale = float(np.sqrt(3.0 * np.mean(strain_norm_components(strains) ** 2)))
        self.stiffness_scale = stiffness_scale
        self.stiffness_basis, self.stress_basis = group.invariant_stiffnesses(), group.invariant_stresses()
        m, k, h = len(self.stiffness_basis), len(self.stress_basis), neurons
        # which of the coefficients of W_0 are unknown
        open_ = np.concatenate(
            [np.full(m, len(reference.stiffness_basis) > 0), np.full(k, len(reference.stress_basis) > 0)]
        )
        first = 8 * h
        self._linear: list[Int[ndarray, "q"]] = [np.flatnonzero(open_)] + degree * [np.arange(m + k)]
        self._linear_starts = first + np.cumsum([0, *(len(columns) for columns in self._linear)])
        self._amplitude_starts = [7 * h, *(self._linear_starts[-1] + h * np.arange(degree))]
        self._rest_start = int(self._linear_starts[-1]) + h * degree
        self.energies = [one for one in data if one.internal_energy is not None]
        self._rest_powers = [0, *range(2, degree + 1)] if self.energies else []
        self.unknowns = self._rest_start + len(self._rest_powers) + bool(self.energies)
        self.parts = [self._mechanical(one) for one in data if has_mechanical_labels(one)]
        self._pursued = len(self.parts)
        self.parts += [self._caloric(one) for one in self.energies]
        self._widths = np.zeros(self.unknowns)
        self._widths[: 8 * h] = 1.0 / PRIOR
        for start in self._amplitude_starts[1:]:
            self._widths[start : start + h] = 1.0 / THERMAL_PRIOR

    @property
    def linear_unknowns(self) -> Int[ndarray, "q"]:
        """Which unknowns are constants at F = I, or belong to f(T)."""
        return np.concatenate(
            [np.arange(8 * self.neurons, self._linear_starts[-1]), np.arange(self._rest_start, self.unknowns)]
        )

    @property
    def count(self) -> int:
        """Number of scalar equations."""
        return sum(len(part.offset) for part in self.parts)

    def residual(self, x: Float[ndarray, "p"]) -> Float[ndarray, "r"]:
        """All weighted residuals, then the prior's."""
        return np.concatenate([*(part.residual(x) for part in self.parts), (self._widths * x)[self._widths > 0.0]])

    def linearisation(self, x: Float[ndarray, "p"]) -> tuple[Float[ndarray, "r"], Float[ndarray, "r p"]]:
        """Residuals and their Jacobian."""
        residuals, jacobians = zip(*(part.linearisation(x) for part in self.parts), strict=True)
        bounded = self._widths > 0.0
        residual = np.concatenate([*residuals, (self._widths * x)[bounded]])
        return residual, np.concatenate([*jacobians, np.diag(self._widths)[bounded]])

    def candidate_rows(self, w: Float[ndarray, "h 6"], b: Float[ndarray, "h"]) -> Float[ndarray, "r q"]:
        """Rows of neurons that do not change with temperature, of unit amplitude, and of all constants: what a start is picked from."""
        h, linear = len(b), slice(8 * self.neurons, self._linear_starts[-1])
        found = []
        for part in self.parts[: self._pursued]:
            rows = part.problem.candidate_rows(w, b)
            found.append(np.concatenate([rows[:, :h], rows[:, h:] @ part.image[8 * self.neurons :, linear]], axis=1))
        return np.concatenate(found)

    @property
    def target(self) -> Float[ndarray, "r"]:
        """What those rows are to reproduce."""
        return np.concatenate([part.problem.target for part in self.parts[: self._pursued]])

    def start(self, rng: np.random.Generator) -> Float[ndarray, "p"]:
        """Parameters to start from: neurons by matching pursuit, unchanging with temperature; f(T) by least squares beside them."""
        picked = matching_pursuit(self, rng)
        x = np.concatenate([picked, np.zeros(self.unknowns - len(picked))])
        if self.energies:
            residual, J = self.linearisation(x)
            x[self._rest_start :] -= np.linalg.lstsq(J[:, self._rest_start :], residual)[0]
        return x

    def law(self, x: Float[ndarray, "p"]) -> ThermalLaw:
        """The law with these parameters, in GPa; a linear function of them."""
        s, K, h = self.strain_scale, self.stiffness_scale, self.neurons
        m = len(self.stiffness_basis)
        constants, stresses = np.zeros((self.degree + 1, 6, 6)), np.zeros((self.degree + 1, 6))
        constants[0], stresses[0] = self.reference.stiffness, self.reference.stress
        for k, columns in enumerate(self._linear):
            values = np.zeros(m + len(self.stress_basis))
            values[columns] = x[self._linear_starts[k] : self._linear_starts[k + 1]]
            constants[k] += K * np.einsum("m,mij->ij", values[:m], self.stiffness_basis)
            stresses[k] += K * s * values[m:] @ self.stress_basis
        rest = np.zeros(self.degree + 1)
        rest[self._rest_powers] = K * s**2 * x[self._rest_start : self._rest_start + len(self._rest_powers)]
        return ThermalLaw(
            symmetry=self.group,
            weights=x[: 6 * h].reshape(h, 6) / s,
            biases=x[6 * h : 7 * h],
            amplitudes=K * s**2 * np.array([x[start : start + h] for start in self._amplitude_starts]),
            constants=np.array([self.group.project_stiffness(C) for C in constants]),
            reference_stress=stress_tensor(np.array([self.group.project_stress(S) for S in stresses])),
            reference_temperature=self.reference_temperature,
            temperature_span=self.span,
            rest_energy=rest,
            heat_capacity=float(K * s**2 / self.span * x[-1]) if self.energies else None,
        )

    def factor(self, x: Float[ndarray, "p"]) -> Float[ndarray, "y p"]:
        """A factor of the covariance of the law's parameters at the minimum x: Laplace's approximation, calibrated.

        The covariance of x is s^2 (J^T J)^-1, s >= 1 such that nine of ten labels, each state predicted without itself to first order, lie
        within 1.645 standard errors (multiscale.trust.uncertainty says how, for laws without temperature).
        """
        J = self.linearisation(x)[1]
        normal = J.T @ J
        normal += 1e-13 * np.trace(normal) / len(normal) * np.eye(len(normal))
        L = solve_triangular(cholesky(normal, lower=True), np.eye(len(normal)), lower=True).T
        needed = np.concatenate([part.needed_scale(x, L).ravel() for part in self.parts])
        s = float(np.quantile(needed, min(1.0, np.ceil((len(needed) + 1) * LEVEL) / len(needed))))
        nothing = parameters_of(self.law(np.zeros(self.unknowns)))
        by_parameters = [parameters_of(self.law(direction)) - nothing for direction in np.eye(self.unknowns)]
        return np.asarray(np.stack(by_parameters, axis=1) @ L * max(s, 1.0))

    def _image(self, multipliers: Float[ndarray, "k"]) -> Float[ndarray, "q p"]:
        """B of a temperature, from the multipliers of W_0, W_1, ..."""
        h, q = self.neurons, len(self.stiffness_basis) + len(self.stress_basis)
        B = np.zeros((8 * h + q, self.unknowns))
        B[: 7 * h, : 7 * h] = np.eye(7 * h)
        for k, multiplier in enumerate(multipliers):
            start = self._amplitude_starts[k]
            B[7 * h : 8 * h, start : start + h] = multiplier * np.eye(h)
            columns = np.arange(self._linear_starts[k], self._linear_starts[k + 1])
            B[8 * h + self._linear[k], columns] = multiplier
        return B

    def _problem(self, observations: Observations) -> OrbitFit:
        known = ReferenceState(self.reference.stiffness, self.reference.stress, self.stiffness_basis, self.stress_basis)
        return OrbitFit(
            observations,
            self.group,
            self.neurons,
            known,
            strain_scale=self.strain_scale,
            stiffness_scale=self.stiffness_scale,
            prior=PRIOR,
        )

    def _mechanical(self, data: StressStrainData) -> Part:
        theta = (data.temperature - self.reference_temperature) / self.span
        problem = self._problem(Observations.of(data))
        image = self._image(theta ** np.arange(self.degree + 1))
        stated = any(getattr(data, f"{name}_error") is not None for name in MODEL_ERROR)
        return Part(problem, image, np.zeros((problem.observations.count, self.unknowns)), float(stated))

    def _caloric(self, data: StressStrainData) -> Part:
        """Internal energies: observations of the first of the 28 components alone, and of f(T)."""
        scale, n = self.stiffness_scale * self.strain_scale**2, len(data)
        energy, orders = data.labels("internal_energy"), np.arange(self.degree + 1)
        theta = (data.temperature - self.reference_temperature) / self.span
        slopes = np.concatenate([[0.0], orders[1:] * theta ** orders[:-1]]) / self.span
        multipliers = theta**orders - data.temperature * slopes
        error = np.zeros(n) if data.internal_energy_error is None else data.internal_energy_error
        spread = float(np.sqrt(np.mean([np.var(one.labels("internal_energy")) for one in self.energies])))
        if spread == 0.0 and not error.all():
            raise FitError(
                "internal_energy is constant and has no standard error, expected strained states or an error"
            )
        weight = 1.0 / np.sqrt(error**2 + (MODEL_ERROR["energy"] * spread) ** 2)
        problem = self._problem(
            Observations(
                green_lagrange(data.deformation_gradient),
                np.array([0]),
                weight[:, None, None],
                (weight * energy)[:, None],
            )
        )
        offset = np.zeros((n, self.unknowns))
        offset[:, self._rest_start : -1] = scale * weight[:, None] * multipliers[self._rest_powers]
        offset[:, -1] = scale * weight * data.temperature / self.span
        return Part(problem, self._image(multipliers), offset, float(data.internal_energy_error is not None))


def has_mechanical_labels(data: StressStrainData) -> bool:
    return not (data.energy is None and data.first_piola is None and data.tangent is None)
