"""Functions of strain with their first and second derivatives, and the rules by which they combine.

A jet is value, gradient and Hessian by the six strain components e (multiscale.laws.strain). Sums, products and functions of jets follow
the chain rule in closed form:

    (f g)'' = f'' g + f' g'^T + g' f'^T + f g'',    h(f)'' = h''(f) f' f'^T + h'(f) f''.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from multiscale.laws.strain import COLUMNS, ROWS, SHEAR_DOUBLING, stress_components

UNIT = np.array([1.0, 1.0, 1.0, 0.0, 0.0, 0.0])
"""d(tr E)/de."""


@dataclass(frozen=True, eq=False)
class Jet:
    """m functions at n strains.

    Attributes:
        value: f (n, m). gradient: df/de (n, m, 6). hessian: d2f/de2 (n, m, 6, 6).
    """

    value: Float[ndarray, "n m"]
    gradient: Float[ndarray, "n m 6"]
    hessian: Float[ndarray, "n m 6 6"]

    @classmethod
    def constant(cls, value: float, points: int) -> "Jet":
        return cls(np.full((points, 1), value), np.zeros((points, 1, 6)), np.zeros((points, 1, 6, 6)))

    @classmethod
    def stack(cls, jets: Sequence["Jet"]) -> "Jet":
        """The functions of several jets side by side."""
        return cls(
            np.concatenate([jet.value for jet in jets], axis=1),
            np.concatenate([jet.gradient for jet in jets], axis=1),
            np.concatenate([jet.hessian for jet in jets], axis=1),
        )

    def __getitem__(self, functions: Sequence[int]) -> "Jet":
        """Some of the functions."""
        index = list(functions)
        return Jet(self.value[:, index], self.gradient[:, index], self.hessian[:, index])

    def on(self, points: Bool[ndarray, "n"]) -> "Jet":
        """The functions at some of the points."""
        return Jet(self.value[points], self.gradient[points], self.hessian[points])

    def __add__(self, other: "Jet") -> "Jet":
        return Jet(self.value + other.value, self.gradient + other.gradient, self.hessian + other.hessian)

    def __sub__(self, other: "Jet") -> "Jet":
        return self + other.scaled(-1.0)

    def __mul__(self, other: "Jet") -> "Jet":
        f, g = self.value[:, :, None], other.value[:, :, None]
        cross = self.gradient[:, :, :, None] * other.gradient[:, :, None, :]
        return Jet(
            self.value * other.value,
            f * other.gradient + g * self.gradient,
            f[..., None] * other.hessian + g[..., None] * self.hessian + cross + np.swapaxes(cross, -1, -2),
        )

    def scaled(self, factor: float) -> "Jet":
        return Jet(factor * self.value, factor * self.gradient, factor * self.hessian)

    def combined(self, weights: Float[ndarray, "p m"]) -> "Jet":
        """The p linear combinations of the functions."""
        n, m = self.value.shape
        return Jet(
            self.value @ weights.T,
            np.asarray(weights @ self.gradient),
            np.asarray(weights @ self.hessian.reshape(n, m, 36)).reshape(n, len(weights), 6, 6),
        )

    def composed(self, h: Float[ndarray, "n m"], h1: Float[ndarray, "n m"], h2: Float[ndarray, "n m"]) -> "Jet":
        """h(f), from h, h' and h'' at the values f."""
        square = self.gradient[:, :, :, None] * self.gradient[:, :, None, :]
        return Jet(h, h1[:, :, None] * self.gradient, h2[..., None, None] * square + h1[..., None, None] * self.hessian)


def log_volume(F: Float[ndarray, "n 3 3"]) -> Jet:
    """ln J: d/dE = C^-1, d2/dE2 = -2 C^-1 o C^-1 with (A o A)_IJKL = (A_IK A_JL + A_IL A_JK) / 2.

    The value is log1p of J - 1 = tr H + (tr^2 H - tr H^2) / 2 + det H with H = F - I: no digits lost near F = I.
    """
    H = F - np.eye(3)
    trace = np.trace(H, axis1=1, axis2=2)
    change = trace + 0.5 * (trace**2 - np.einsum("nij,nji->n", H, H)) + np.linalg.det(H)
    near = np.abs(change) < 0.5
    value = np.where(near, np.log1p(np.where(near, change, 0.0)), np.log(np.where(near, 1.0, np.linalg.det(F))))
    inverse = np.linalg.inv(F)
    B = inverse @ np.swapaxes(inverse, -1, -2)
    mixed = (
        B[:, ROWS[:, None], ROWS] * B[:, COLUMNS[:, None], COLUMNS]
        + B[:, ROWS[:, None], COLUMNS] * B[:, COLUMNS[:, None], ROWS]
    )
    return Jet(value[:, None], stress_components(B)[:, None], -mixed[:, None])


def exponential(jet: Jet, rate: float) -> Jet:
    """exp(rate f)."""
    value = np.exp(rate * jet.value)
    return jet.composed(value, rate * value, rate**2 * value)


def linear_form(e: Float[ndarray, "n 6"], form: Float[ndarray, "6"]) -> Jet:
    """form.e."""
    n = len(e)
    return Jet((e @ form)[:, None], np.broadcast_to(form, (n, 1, 6)), np.zeros((n, 1, 6, 6)))


def quadratic_form(e: Float[ndarray, "n 6"], matrix: Float[ndarray, "6 6"]) -> Jet:
    """1/2 e.M.e with M symmetric."""
    gradient = e @ matrix
    value = 0.5 * np.einsum("ni,ni->n", e, gradient)
    return Jet(value[:, None], gradient[:, None], np.broadcast_to(matrix, (len(e), 1, 6, 6)))


def symmetric_product(G: Float[ndarray, "3 3"], H: Float[ndarray, "3 3"]) -> Float[ndarray, "6 6"]:
    """M with e.M.e = tr(E G E H) for symmetric G and H."""
    units = (np.eye(6) / SHEAR_DOUBLING)[:, np.array([[0, 5, 4], [5, 1, 3], [4, 3, 2]])]
    M = np.einsum("aij,jk,bkl,li->ab", units, G, units, H)
    return np.asarray(0.5 * (M + M.T))
