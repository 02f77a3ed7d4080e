"""The orbit network as a function of its parameters: weighted residuals of observations, and their exact Jacobian.

The parameters are dimensionless and of order one: w s, b and v / (K s^2) of the neurons, then the coefficients of elastic
constants and reference stress in the group's invariant bases, in units of K and K s; s is the size of the strains, K that
of the stiffness. The average over the group is taken over the images e_R = Q_R e of the strains:
with y = w.e_R, u = Q_R^T w and phi = softplus(b + y) less its Taylor polynomial of degree two in y,

    W = v <phi>,    S = v <phi' u>,    D = v <phi'' u u^T>,    < > the mean over R,

so that a neuron and the derivatives by its eight parameters cost a few small dense products.
"""

from typing import Final

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from multiscale.fits.observations import Observations
from multiscale.laws.reference_state import ReferenceState
from multiscale.laws.strain import SHEAR_DOUBLING, UPPER_COLUMNS, UPPER_ROWS
from multiscale.symmetry.point_group import PointGroup

WEIGHT_RANGE: Final = (1.0, 4.0)
"""Norms of random neurons' weights times the strain scale: how sharply a neuron switches within the data."""


class OrbitFit:
    """The least-squares problem of one network size on one set of observations.

    Args:
        observations: what is fitted.
        group: the symmetry.
        neurons: how many.
        reference: what is known at F = I, and what is fitted there.
        strain_scale: s. stiffness_scale: K in GPa.
        prior: standard deviation of a normal prior about zero on the neurons' parameters. It keeps small what the data leave
            undetermined, and weighs nothing against good data.
    """

    def __init__(
        self,
        observations: Observations,
        group: PointGroup,
        neurons: int,
        reference: ReferenceState,
        *,
        strain_scale: float,
        stiffness_scale: float,
        prior: float,
    ) -> None:
        s, K = strain_scale, stiffness_scale
        self.observations, self.group, self.neurons, self.reference = observations, group, neurons, reference
        self.strain_scale, self.stiffness_scale, self.prior = s, K, prior
        self.unknowns = 8 * neurons + len(reference.stiffness_basis) + len(reference.stress_basis)
        strain = observations.strain / s
        # without tangents nothing looks at D, the last 21 of the 28 components of x
        self._tangents = bool((observations.columns >= 7).any())
        self._size = 28 if self._tangents else 7
        # (n, 6, g): rotations last, for products over them
        images = np.einsum("rij,nj->nir", group.strain_action, strain)
        self._images: Float[ndarray, "n 6 g"] = np.ascontiguousarray(images)
        units = K * np.concatenate([[s * s], np.full(6, s), np.ones(21)])
        self._rows: Float[ndarray, "n c c"] = observations.rows * units[observations.columns]
        known = quadratic_columns(strain, reference.stiffness[None] / K, reference.stress[None] / (K * s))
        self._target = observations.targets - self._observe(known).sum(axis=2)
        self._linear = self._observe(quadratic_columns(strain, reference.stiffness_basis, reference.stress_basis))

    def on(self, states: Bool[ndarray, "n"]) -> "OrbitFit":
        """The same problem on some of the states."""
        return OrbitFit(
            self.observations.select(states),
            self.group,
            self.neurons,
            self.reference,
            strain_scale=self.strain_scale,
            stiffness_scale=self.stiffness_scale,
            prior=self.prior,
        )

    def at(self, deformation_gradient: Float[ndarray, "m 3 3"]) -> "OrbitFit":
        """The law's 28 components themselves at other states, in GPa, as observations of zero."""
        return OrbitFit(
            Observations.of_everything(deformation_gradient),
            self.group,
            self.neurons,
            self.reference,
            strain_scale=self.strain_scale,
            stiffness_scale=self.stiffness_scale,
            prior=self.prior,
        )

    def _observe(self, x: Float[ndarray, "n k p"]) -> Float[ndarray, "n c p"]:
        return np.asarray(self._rows @ x[:, self.observations.columns])

    def residual(self, parameters: Float[ndarray, "p"]) -> Float[ndarray, "r"]:
        """All weighted residuals, then the prior's."""
        w, b, v, rest = self.split(parameters)
        prediction = self._observe((self._neuron_values(w, b) @ v)[:, :, None])[:, :, 0] + self._linear @ rest
        return np.concatenate([(prediction - self._target).ravel(), parameters[: 8 * self.neurons] / self.prior])

    def chi_square(self, parameters: Float[ndarray, "p"]) -> float:
        """Mean square of the weighted residuals, the prior's left out: 1 where the labels are missed by their errors."""
        return float(np.mean(self.residual(parameters)[: self.observations.count] ** 2))

    def linearisation(self, parameters: Float[ndarray, "p"]) -> tuple[Float[ndarray, "r"], Float[ndarray, "r p"]]:
        """Residuals and their Jacobian."""
        w, b, v, rest = self.split(parameters)
        h, p = self.neurons, self.unknowns
        values, derivatives = self._neuron_derivatives(w, b, v)
        rows = np.concatenate([self._observe(derivatives), self._observe(values), self._linear], axis=2)
        prediction = rows[:, :, 7 * h : 8 * h] @ v + self._linear @ rest
        residual = np.concatenate([(prediction - self._target).ravel(), parameters[: 8 * h] / self.prior])
        return residual, np.concatenate([rows.reshape(-1, p), np.eye(8 * h, p) / self.prior])

    def split(
        self, parameters: Float[ndarray, "p"]
    ) -> tuple[Float[ndarray, "h 6"], Float[ndarray, "h"], Float[ndarray, "h"], Float[ndarray, "q"]]:
        """Weights, biases, amplitudes, and the coefficients of what is linear."""
        h = self.neurons
        return (
            parameters[: 6 * h].reshape(h, 6),
            parameters[6 * h : 7 * h],
            parameters[7 * h : 8 * h],
            parameters[8 * h :],
        )

    def candidate_rows(self, w: Float[ndarray, "h 6"], b: Float[ndarray, "h"]) -> Float[ndarray, "r q"]:
        """Observed rows of neurons of unit amplitude, and of the other linear unknowns."""
        rows = np.concatenate([self._observe(self._neuron_values(w, b)), self._linear], axis=2)
        return np.asarray(rows.reshape(-1, rows.shape[2]))

    @property
    def target(self) -> Float[ndarray, "r"]:
        """What the rows are to reproduce."""
        return np.asarray(self._target.ravel())

    def _neuron_values(self, w: Float[ndarray, "h 6"], b: Float[ndarray, "h"]) -> Float[ndarray, "n k h"]:
        """x of each neuron with unit amplitude; its first seven components where no tangent is observed."""
        y, u, uu = self._layer(w)
        (phi, phi1, phi2, _), _ = softplus_remainder(y, b[:, None, None])
        return self._averages(phi, phi1, phi2, u, uu)

    def _layer(
        self, w: Float[ndarray, "h 6"]
    ) -> tuple[Float[ndarray, "h n g"], Float[ndarray, "h g 6"], Float[ndarray, "h g 21"]]:
        n, _, g = self._images.shape
        y = (w @ self._images.transpose(1, 0, 2).reshape(6, n * g)).reshape(len(w), n, g)
        u = np.einsum("hi,rij->hrj", w, self.group.strain_action)
        return y, u, u[:, :, UPPER_ROWS] * u[:, :, UPPER_COLUMNS]

    def _averages(
        self,
        energy: Float[ndarray, "h n g"],
        slope: Float[ndarray, "h n g"],
        curvature: Float[ndarray, "h n g"],
        u: Float[ndarray, "h g 6"],
        uu: Float[ndarray, "h g 21"],
    ) -> Float[ndarray, "n k h"]:
        h, n, g = energy.shape
        x = np.empty((n, self._size, h))
        x[:, 0] = energy.mean(axis=2).T
        x[:, 1:7] = (slope @ u / g).transpose(1, 2, 0)
        if self._tangents:
            x[:, 7:] = (curvature @ uu / g).transpose(1, 2, 0)
        return x

    def _neuron_derivatives(
        self, w: Float[ndarray, "h 6"], b: Float[ndarray, "h"], v: Float[ndarray, "h"]
    ) -> tuple[Float[ndarray, "n k h"], Float[ndarray, "n k q"]]:
        """x of unit amplitudes, and the derivatives of v x by w (6 h, neuron by neuron) and b (h)."""
        y, u, uu = self._layer(w)
        h, n, g = y.shape
        (phi, phi1, phi2, phi3), (by_b0, by_b1, by_b2) = softplus_remainder(y, b[:, None, None])
        Q, e = self.group.strain_action, self._images[None]
        share = v[:, None, None] / g
        by_w = np.empty((n, self._size, h, 6))
        # dy/dw = e_R and du/dw = Q_R^T
        by_w[:, 0] = np.einsum("hnr,nmr->nhm", phi1 * share, self._images, optimize=True)
        stress = (phi2 * share)[:, :, None, :] * e
        by_w[:, 1:7] = (stress.reshape(h, n * 6, g) @ u).reshape(h, n, 6, 6).transpose(1, 3, 0, 2)
        turned = Q.transpose(0, 2, 1)
        by_w[:, 1:7] += (
            ((phi1 * share).reshape(h * n, g) @ turned.reshape(g, 36)).reshape(h, n, 6, 6).transpose(1, 2, 0, 3)
        )
        if self._tangents:
            stiffness = (phi3 * share)[:, :, None, :] * e
            by_w[:, 7:] = (stiffness.reshape(h, n * 6, g) @ uu).reshape(h, n, 6, 21).transpose(1, 3, 0, 2)
            products = (
                turned[:, UPPER_ROWS] * u[:, :, UPPER_COLUMNS, None]
                + turned[:, UPPER_COLUMNS] * u[:, :, UPPER_ROWS, None]
            )
            by_w[:, 7:] += ((phi2 * share) @ products.reshape(h, g, 126)).reshape(h, n, 21, 6).transpose(1, 2, 0, 3)
        by_b = self._averages(by_b0, by_b1, by_b2, u, uu) * v
        derivatives = np.concatenate([by_w.reshape(n, self._size, 6 * h), by_b], axis=2)
        return self._averages(phi, phi1, phi2, u, uu), derivatives


def random_neurons(count: int, rng: np.random.Generator) -> tuple[Float[ndarray, "h 6"], Float[ndarray, "h"]]:
    """Weights and biases w s, b: directions uniform in the space of symmetric tensors, lengths log-uniform in WEIGHT_RANGE."""
    w = rng.normal(size=(count, 6))
    length = np.exp(rng.uniform(*np.log(WEIGHT_RANGE), size=count))
    w *= (length / np.linalg.norm(w, axis=1))[:, None] / np.sqrt(SHEAR_DOUBLING)
    return w, 0.7 * length * rng.normal(size=count)


def softplus_remainder(
    y: Float[ndarray, "h n g"], b: Float[ndarray, "h 1 1"]
) -> tuple[list[Float[ndarray, "h n g"]], list[Float[ndarray, "h n g"]]]:
    """phi(y) = softplus(b + y) - f - f' y - 1/2 f'' y^2, f = softplus(b), with its first three derivatives by y; then the
    derivatives by b of phi, phi' and phi''."""
    f, f1, f2, f3 = softplus(b)
    s, s1, s2, s3 = softplus(b + y)
    rise, bend, third = s1 - f1, s2 - f2, s3 - f3
    by_y = [s - f - y * (f1 + 0.5 * f2 * y), rise - f2 * y, bend, s3]
    by_b = [rise - y * (f2 + 0.5 * f3 * y), bend - f3 * y, third]
    return by_y, by_b


def softplus(z: ndarray) -> tuple[ndarray, ndarray, ndarray, ndarray]:
    """ln(1 + e^z) and its first three derivatives, from t = e^-|z| in [0, 1]: no overflow, and one exponential."""
    t = np.exp(-np.abs(z))
    s = np.where(z < 0.0, t, 1.0) / (1.0 + t)
    curvature = s * (1.0 - s)
    return np.maximum(z, 0.0) + np.log1p(t), s, curvature, curvature * (1.0 - 2.0 * s)


def quadratic_columns(
    strain: Float[ndarray, "n 6"], stiffness: Float[ndarray, "m 6 6"], stress: Float[ndarray, "k 6"]
) -> Float[ndarray, "n 28 q"]:
    """x of the energies 1/2 e.C.e for each C, then S0.e for each S0."""
    n, m, k = len(strain), len(stiffness), len(stress)
    x = np.zeros((n, 28, m + k))
    linear = np.einsum("mij,nj->nim", stiffness, strain)
    x[:, 0, :m] = 0.5 * np.einsum("ni,nim->nm", strain, linear)
    x[:, 1:7, :m] = linear
    x[:, 7:, :m] = stiffness[:, UPPER_ROWS, UPPER_COLUMNS].T
    x[:, 0, m:] = strain @ stress.T
    x[:, 1:7, m:] = stress.T
    return x
