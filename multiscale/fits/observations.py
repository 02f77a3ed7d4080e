"""Strain-stress data as weighted linear observations of x = (W, S, D), compressed to at most 28 rows a state.

At a given F the energy, P = F S and A = delta S + F F D are linear in the 28 numbers x = (W, S_1..6, D_1..21) of a potential
of strain. A state's weighted residuals T x - t (up to 91 rows) and R x - y, with T = Q R and y = Q^T t, have equal
sums of squares up to a constant, so nothing is lost and the fit works on R and y.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from multiscale.data.dataset import StressStrainData
from multiscale.laws.strain import UPPER_COLUMNS, UPPER_ROWS, first_piola, green_lagrange, tangent

MODEL_ERROR = {"energy": 3e-4, "first_piola": 3e-4, "tangent": 3e-3}
"""What a good law misses, as a fraction of the rms of each kind of label. It adds to the standard errors, so that labels
without one weigh sensibly against each other and no single state of tiny error rules the fit."""


@dataclass(frozen=True)
class Observations:
    """Rows R x - y of n states, whose components are standardised: of unit standard error.

    Attributes:
        strain: e (n, 6).
        columns: (c,) which of the 28 components of x are observed.
        rows: R (n, c, c).
        targets: y (n, c).
    """

    strain: Float[ndarray, "n 6"]
    columns: Int[ndarray, "c"]
    rows: Float[ndarray, "n c c"]
    targets: Float[ndarray, "n c"]

    @classmethod
    def of(cls, data: StressStrainData) -> "Observations":
        F, n = data.deformation_gradient, len(data)
        operators, labels = [], []
        for name, operator in (("energy", energy_rows), ("first_piola", stress_rows), ("tangent", tangent_rows)):
            label = getattr(data, name)
            if label is None:
                continue
            label = label.reshape(n, -1)
            error = getattr(data, f"{name}_error")
            error = np.zeros_like(label) if error is None else error.reshape(n, -1)
            rms = np.sqrt(np.mean(label**2))
            weight = 1.0 / np.sqrt(error**2 + (MODEL_ERROR[name] * max(rms, np.finfo(float).tiny)) ** 2)
            operators.append(operator(F) * weight[:, :, None])
            labels.append(label * weight)
        T, t = np.concatenate(operators, axis=1), np.concatenate(labels, axis=1)
        columns = np.flatnonzero(np.abs(T).max(axis=(0, 1)) > 0.0)
        Q, R = np.linalg.qr(T[:, :, columns])
        return cls(green_lagrange(F), columns, R, np.einsum("nmc,nm->nc", Q, t))

    @classmethod
    def of_everything(
        cls, deformation_gradient: Float[ndarray, "n 3 3"], columns: Int[ndarray, "c"] | None = None
    ) -> "Observations":
        """All 28 components (or some) at these states, in GPa, each observed as zero: residuals are then the components themselves."""
        columns, n = np.arange(28) if columns is None else columns, len(deformation_gradient)
        c = len(columns)
        return cls(
            green_lagrange(deformation_gradient), columns, np.broadcast_to(np.eye(c), (n, c, c)), np.zeros((n, c))
        )

    def select(self, states: Bool[ndarray, "n"]) -> "Observations":
        return Observations(self.strain[states], self.columns, self.rows[states], self.targets[states])

    @property
    def count(self) -> int:
        """Number of scalar equations."""
        return self.targets.size


def energy_rows(F: Float[ndarray, "n 3 3"]) -> Float[ndarray, "n 1 28"]:
    rows = np.zeros((len(F), 1, 28))
    rows[:, 0, 0] = 1.0
    return rows


def stress_rows(F: Float[ndarray, "n 3 3"]) -> Float[ndarray, "n 9 28"]:
    """P of unit values of each component of S."""
    rows = np.zeros((len(F), 9, 28))
    for a in range(6):
        rows[:, :, 1 + a] = first_piola(F, np.broadcast_to(np.eye(6)[a], (len(F), 6))).reshape(-1, 9)
    return rows


def tangent_rows(F: Float[ndarray, "n 3 3"]) -> Float[ndarray, "n 81 28"]:
    """A of unit values of each component of S and D."""
    n = len(F)
    rows = np.zeros((n, 81, 28))
    nothing = np.zeros((n, 6)), np.zeros((n, 6, 6))
    for a in range(6):
        rows[:, :, 1 + a] = tangent(F, np.broadcast_to(np.eye(6)[a], (n, 6)), nothing[1]).reshape(n, 81)
    for k, (a, b) in enumerate(zip(UPPER_ROWS, UPPER_COLUMNS, strict=True)):
        unit = np.zeros((6, 6))
        unit[a, b] = unit[b, a] = 1.0
        rows[:, :, 7 + k] = tangent(F, nothing[0], np.broadcast_to(unit, (n, 6, 6))).reshape(n, 81)
    return rows
