"""The closed form that every law of this package is evaluated by: a network of arguments of strain, a quadratic, and terms of J alone.

    W = constant + linear.x + 1/2 x.quadratic.x + sum_k v_k softplus(u_k.x + b_k) + log_volume ln J + growth(J)

An orbit law's arguments x are the strain components e themselves, an invariant law's are invariants, a polyconvex law's the components of
E, cof E and J - 1. c = dW/dx and K = d2W/dx2 of the network share one sigmoid, softplus' = sigma, softplus'' = sigma (1 - sigma), and
S = dW/de = c.x', D = d2W/de2 = c.x'' + x'^T K x' lead to P and A by one chain rule (multiscale.laws.strain). The same in C is
multiscale.laws.kernel.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Final, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.special import expit

from multiscale.laws.growth import growth
from multiscale.laws.jets import Jet, log_volume
from multiscale.laws.strain import determinant, first_piola, green_lagrange
from multiscale.laws.strain import tangent as tangent_of

CHUNK: Final = 512
"""Points at a time: the (points, images) arrays stay in the second-level cache."""

Derivatives = tuple[Float[ndarray, "n"], Float[ndarray, "n 6"], Float[ndarray, "n 6 6"]]


@runtime_checkable
class Arguments(Protocol):
    """Functions of strain.

    Attributes:
        kernel: which C text computes them (a file of multiscale.laws.kernel).
        tables: numbers that the C text makes them with, zero rows where none.
    """

    @property
    def kernel(self) -> str: ...

    @property
    def tables(self) -> Float[ndarray, "r c"]: ...

    def jet(self, F: Float[ndarray, "n 3 3"]) -> Jet:
        """Values and derivatives by strain at F (n, 3, 3)."""
        ...


@dataclass(frozen=True, eq=False)
class StrainComponents:
    """x = e. With third-order constants C_abc (6, 6, 6) the law has the term 1/6 C_abc e_a e_b e_c besides."""

    third_order: Float[ndarray, "6 6 6"] | None = None
    kernel = "strain"

    @property
    def tables(self) -> Float[ndarray, "r 6"]:
        if self.third_order is None:
            return np.zeros((0, 6))
        return np.asarray(self.third_order[np.triu_indices(6)])

    def jet(self, F: Float[ndarray, "n 3 3"]) -> Jet:
        e = green_lagrange(F)
        return Jet(e, np.broadcast_to(np.eye(6), (len(e), 6, 6)), np.zeros((len(e), 6, 6, 6)))


@dataclass(frozen=True, eq=False)
class NetworkTerms:
    """The sum above; see there. m arguments, k images of neurons."""

    arguments: Arguments
    weights: Float[ndarray, "k m"]
    biases: Float[ndarray, "k"]
    amplitudes: Float[ndarray, "k"]
    constant: float
    linear: Float[ndarray, "m"]
    quadratic: Float[ndarray, "m m"]
    log_volume: float = 0.0
    growth_modulus: float = 0.0
    growth_threshold: float = 0.0

    def evaluate(
        self, F: Float[ndarray, "n 3 3"], *, tangent: bool
    ) -> tuple[Float[ndarray, "n"], Float[ndarray, "n 3 3"], Float[ndarray, "n 3 3 3 3"] | None]:
        """W, P and, where asked, A by dense products on chunks of points; F has been checked."""
        n = len(F)
        W, P = np.empty(n), np.empty((n, 3, 3))
        A = np.empty((n, 3, 3, 3, 3)) if tangent else None
        for start in range(0, n, CHUNK):
            part = slice(start, start + CHUNK)
            W[part], S, D = self.potential(F[part])
            P[part] = first_piola(F[part], S)
            if A is not None:
                A[part] = tangent_of(F[part], S, D)
        return W, P, A

    def potential(self, F: Float[ndarray, "n 3 3"]) -> Derivatives:
        """W, S = dW/de and D = d2W/de2."""
        if isinstance(self.arguments, StrainComponents):
            e = green_lagrange(F)
            W, S, D = self._network(e)
            if self.arguments.third_order is not None:
                rise = (e @ self.arguments.third_order.reshape(6, 36)).reshape(-1, 6, 6)
                bent = np.einsum("nab,nb->na", rise, e)
                W, S, D = W + np.einsum("na,na->n", bent, e) / 6.0, S + 0.5 * bent, D + rise
        else:
            jet = self.arguments.jet(F)
            W, S, D = chained(jet, *self._network(jet.value))
        if self.log_volume != 0.0:
            volume = log_volume(F).scaled(self.log_volume)
            W, S, D = W + volume.value[:, 0], S + volume.gradient[:, 0], D + volume.hessian[:, 0]
        J = determinant(F)
        crushed = self.growth_threshold > J
        if crushed.any():
            more = growth(F[crushed], J[crushed], self.growth_modulus, self.growth_threshold)
            for total, term in zip((W, S, D), more, strict=True):
                total[crushed] += term
        return W, S, D

    def _network(
        self, x: Float[ndarray, "n m"]
    ) -> tuple[Float[ndarray, "n"], Float[ndarray, "n m"], Float[ndarray, "n m m"]]:
        """Constant, linear, quadratic part and neurons as a function of the arguments: value, gradient, Hessian."""
        z = x @ self.weights.T + self.biases
        slope = expit(z)
        bent = x @ self.quadratic
        value = self.constant + x @ self.linear + 0.5 * np.einsum("ni,ni->n", x, bent)
        value += np.logaddexp(0.0, z) @ self.amplitudes
        gradient = self.linear + bent + (slope * self.amplitudes) @ self.weights
        rows, columns = np.triu_indices(x.shape[1])
        K = np.empty((len(x), x.shape[1], x.shape[1]))
        K[:, rows, columns] = (slope * (1.0 - slope) * self.amplitudes) @ self._weight_products
        K[:, columns, rows] = K[:, rows, columns]
        return value, gradient, K + self.quadratic

    @cached_property
    def _weight_products(self) -> Float[ndarray, "k p"]:
        rows, columns = np.triu_indices(self.weights.shape[1])
        return np.asarray(self.weights[:, rows] * self.weights[:, columns])


def chained(
    arguments: Jet, value: Float[ndarray, "n"], slope: Float[ndarray, "n m"], curvature: Float[ndarray, "n m m"]
) -> Derivatives:
    """A function of arguments as one of strain: S = c.x', D = c.x'' + x'^T K x'."""
    n, m = arguments.value.shape
    G, H = arguments.gradient, arguments.hessian.reshape(n, m, 36)
    S = (slope[:, None] @ G)[:, 0]
    D = (slope[:, None] @ H).reshape(n, 6, 6) + np.swapaxes(G, 1, 2) @ curvature @ G
    return value, S, D
