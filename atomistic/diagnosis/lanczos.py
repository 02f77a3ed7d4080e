r"""Spectra of symmetric matrices that are known by their products alone.

Lanczos from a start v gives a tridiagonal T with Ritz values theta_k and first components tau_k of its eigenvectors, and with them

    v^T f(H) v ~ |v|^2 sum_k tau_k^2 f(theta_k)        (Gauss quadrature; Golub and Meurant, Matrices, Moments and Quadrature, 2010),
    tr f(H) ~ n <sum_k tau_k^2 f(theta_k)>              over random starts of signs

(stochastic Lanczos quadrature: Ubaru, Chen and Saad, SIAM J. Matrix Anal. Appl. 38 (2017) 1075). The lowest eigenpairs come from ARPACK
with deflation: a second pass on the complement of those found looks for the copies of a multiple eigenvalue that one start can miss.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.linalg import eigh_tridiagonal, null_space
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh

Product = Callable[[ndarray], ndarray]

PASSES: Final = 8
"""Of deflation: more copies than this of one eigenvalue, all missed one by one, are not expected."""

SHIFT: Final = 2.0
"""ARPACK's tolerance is relative to the eigenvalue: of zero modes it would ask for what round-off does not allow."""

TOLERANCE: Final = 1e-8
"""Residual of an eigenpair in units of the largest eigenvalue; the error of the eigenvalue is of the order of its square."""

RESTARTS: Final = 5
"""Of ARPACK, after which a search ends incomplete: the eigenvalues are too close to each other."""

REST: Final = 16
"""Dimensions left over that are cheaper to look at all at once."""


def quadrature(
    product: Product, start: Float[ndarray, "size"], steps: int
) -> tuple[Float[ndarray, "nodes"], Float[ndarray, "nodes"]]:
    """Nodes and weights of v^T f(H) v = |v|^2 sum_k weight_k f(node_k), the weights of sum one; zero nodes for a start of zero.

    Orthogonality is kept in full, so that no copies of nodes arise; the recurrence ends early where the start spans an invariant space.
    """
    size = float(np.linalg.norm(start))
    if size == 0.0:
        return np.zeros(0), np.zeros(0)
    basis = [start / size]
    diagonal: list[float] = []
    beside: list[float] = []
    for _ in range(min(steps, len(start))):
        image = product(basis[-1])
        diagonal.append(float(basis[-1] @ image))
        spanned = np.array(basis)
        for _ in range(2):  # Once is not enough where much cancels
            image = image - spanned.T @ (spanned @ image)
        left = float(np.linalg.norm(image))
        if left <= 1e-12 * max(abs(value) for value in (*diagonal, *beside, 1e-300)):
            break
        beside.append(left)
        basis.append(image / left)
    nodes, vectors = eigh_tridiagonal(np.array(diagonal), np.array(beside[: len(diagonal) - 1]))
    return nodes, vectors[0] ** 2


@dataclass(frozen=True)
class SpectralDensity:
    """Density of the eigenvalues of a matrix by quadrature from random starts.

    Attributes:
        size: of the matrix.
        nodes, weights: of each start; the weights of one sum to one.
    """

    size: int
    nodes: tuple[Float[ndarray, "nodes"], ...]
    weights: tuple[Float[ndarray, "nodes"], ...]

    def trace(self, f: Callable[[ndarray], ndarray]) -> tuple[float, float]:
        """tr f(H), and its standard error from the scatter of the starts."""
        values = [float(w @ f(h)) for h, w in zip(self.nodes, self.weights, strict=True)]
        error = np.std(values, ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.inf
        return self.size * float(np.mean(values)), self.size * float(error)

    def counts(self) -> tuple[Float[ndarray, "nodes"], Float[ndarray, "nodes"]]:
        """All nodes, ascending, and the number of eigenvalues that each stands for."""
        nodes, weights = np.concatenate(self.nodes), np.concatenate(self.weights)
        order = np.argsort(nodes)
        return nodes[order], weights[order] * self.size / len(self.nodes)


def spectral_density(product: Product, size: int, *, steps: int, probes: int, seed: int) -> SpectralDensity:
    """By stochastic Lanczos quadrature: `probes` starts of random signs, `steps` products each."""
    generator = np.random.default_rng(seed)
    pairs = [quadrature(product, generator.choice((-1.0, 1.0), size), steps) for _ in range(probes)]
    return SpectralDensity(size, tuple(nodes for nodes, _ in pairs), tuple(weights for _, weights in pairs))


@dataclass(frozen=True)
class Lowest:
    """The eigenpairs of a matrix up to a bound.

    Attributes:
        values: ascending; one or more above the bound may be among them.
        vectors: in columns.
        complete: whether none at or below the bound is missing.
    """

    values: Float[ndarray, "found"]
    vectors: Float[ndarray, "size found"]
    complete: bool


def lowest(product: Product, size: int, *, bound: float, largest: float, limit: int, seed: int) -> Lowest:
    """All eigenpairs up to `bound`, or `limit` of them.

    Args:
        product: with the matrix.
        size: of the matrix, above 2.
        bound: eigenvalues up to which are wanted.
        largest: modulus of the eigenvalues, above which the deflated ones are moved.
        limit: of the number found.
        seed: of the starts.
    """
    generator = np.random.default_rng(seed)
    values, vectors, complete = np.zeros(0), np.zeros((size, 0)), False
    wanted, passes = min(8, limit), 0
    while len(values) < limit and passes < PASSES:
        found = vectors

        def deflated(vector: ndarray, found: ndarray = found) -> ndarray:
            vector = np.ravel(vector)
            return np.asarray(product(vector) / largest - SHIFT * vector + 3.0 * (found @ (found.T @ vector)))

        operator = LinearOperator((size, size), matvec=deflated, dtype=np.float64)
        count = min(wanted, limit - len(values))
        if size - len(values) <= max(REST, count):
            rest = null_space(vectors.T) if len(values) else np.eye(size)
            own, inner = np.linalg.eigh(rest.T @ np.stack([product(column) for column in rest.T], axis=1))
            values, vectors, complete = np.append(values, own), np.hstack([vectors, rest @ inner]), True
            break
        new_values, new_vectors, converged = _smallest(operator, count, generator)
        new_values = new_values + SHIFT
        keep = new_values <= 1.5  # The others are the deflated ones
        values = np.concatenate([values, largest * new_values[keep]])
        vectors, _ = np.linalg.qr(np.hstack([vectors, new_vectors[:, keep]]))
        if not converged:
            break
        passes += 1
        # Whatever lies above the bound ends the search, unless it came with members below: then one more pass looks for their copies.
        if not (largest * new_values <= bound).any():
            complete = True
            break
        wanted = 2 * wanted
    order = np.argsort(values)
    return Lowest(values[order], vectors[:, order], complete)


def _smallest(operator: LinearOperator, count: int, generator: np.random.Generator) -> tuple[ndarray, ndarray, bool]:
    size = operator.shape[0]
    start = generator.normal(size=size)
    ncv = min(size, max(3 * count + 1, 120))
    try:
        values, vectors = eigsh(operator, count, which="SA", v0=start, ncv=ncv, tol=TOLERANCE, maxiter=RESTARTS)
    except ArpackNoConvergence as failed:
        return failed.eigenvalues, failed.eigenvectors.reshape(size, -1), False
    return values, vectors, True
