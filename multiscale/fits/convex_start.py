"""Parameters to start the fit of a polyconvex law from: of many random convex neurons, the few that explain most of the data together.

With the tensors and biases of its neurons held, a polyconvex law is linear in amplitudes v >= 0, in a linear term that is a sum of
multiples >= 0 of given ones, and in kappa >= 0. The best of all such laws of many random neurons is a convex problem with one minimum:
nonnegative least squares (Lawson and Hanson, Solving Least Squares Problems, 1974, ch. 23). Its largest neurons, as many as are
wanted, and what is best beside them are the start. Each neuron's stress at F = I is balanced alone here; the law balances their sum.
"""

from typing import Final

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.optimize import nnls

from multiscale.fits.argument_forms import PolyconvexForm
from multiscale.fits.argument_least_squares import ArgumentFit

CANDIDATES: Final = 200
"""Random neurons."""

LINEAR: Final = 40
"""Random tensors G and H of the linear term."""

SHARPNESS: Final = (0.5, 4.0)
"""How far the argument of softplus changes over the data, as of orbit networks."""

RIDGE: Final = 1e-3
"""On multiples of columns of unit length."""

EXCHANGES: Final = 10_000
"""Of columns, at most; a few hundred are usual."""

LEAST: Final = 1e-2
"""Roots of amplitudes, tensors and modulus: from zero no gradient leads away."""


def convex_start(problem: ArgumentFit, form: PolyconvexForm, rng: np.random.Generator) -> Float[ndarray, "p"]:
    """Parameters of `problem`, whose form is of this kind."""
    neurons, linear = random_neurons(form, CANDIDATES, rng), random_tensors(form, LINEAR, rng)
    modulus = problem.form.extra(np.ones(1))[0]
    columns = [
        *(problem.alone(row[:-1], row[-1]) for row in neurons),
        *(problem.alone(row, None) for row in linear),
        problem.observed(modulus),
    ]
    rows = np.stack(columns, axis=1)
    size = np.linalg.norm(rows, axis=0)
    rows /= np.where(size > 0.0, size, 1.0)
    # a triangle of the same normal equations: nonnegative least squares then costs as much for many states as for few. Columns that
    # hardly differ would be exchanged for ever without the ridge
    ridge = RIDGE * np.eye(len(size), len(size) + 1)
    whole = np.concatenate([np.column_stack([rows, problem.target.ravel()]), ridge])
    triangle = np.linalg.qr(whole, mode="r")
    share, _ = nnls(triangle[:, :-1], triangle[:, -1], maxiter=EXCHANGES)
    picked = np.argsort(-share[:CANDIDATES])[: problem.neurons]
    kept = np.concatenate([picked, np.arange(CANDIDATES, len(size))])
    share, _ = nnls(triangle[:, kept], triangle[:, -1], maxiter=EXCHANGES)
    share /= size[kept]
    h = problem.neurons
    tensors = sum((v * form.weights(row)[0] for v, row in zip(share[h:-1], linear, strict=True)), np.zeros(13))
    roots = np.sqrt(np.maximum(share, LEAST**2))
    own = np.column_stack([neurons[picked], roots[:h]])
    return np.concatenate([own.ravel(), form.raw_of(tensors, LEAST), roots[-1:]])


def random_neurons(form: PolyconvexForm, count: int, rng: np.random.Generator) -> Float[ndarray, "count q"]:
    """Raw weights, then the bias, of neurons of C, of cof C, of both, and of J alone."""
    k = (form.raw - 1) // 2
    sharpness = np.exp(rng.uniform(*np.log(SHARPNESS), size=count))
    raw = rng.normal(size=(count, form.raw))
    kind = rng.integers(4, size=count)
    raw[kind == 0, k : 2 * k] *= 0.1
    raw[kind == 1, :k] *= 0.1
    raw[:, : 2 * k] *= (1.5 * np.sqrt(sharpness) / np.linalg.norm(raw[:, : 2 * k], axis=1))[:, None]
    raw[:, -1] *= sharpness
    raw[kind == 3, : 2 * k] *= 1e-3
    raw[kind == 3, -1] *= 2.0
    return np.column_stack([raw, 1.5 * sharpness * rng.normal(size=count)])


def random_tensors(form: PolyconvexForm, count: int, rng: np.random.Generator) -> Float[ndarray, "count r"]:
    """Raw weights of linear terms of C and of cof C, in turn."""
    k = (form.raw - 1) // 2
    raw = rng.normal(size=(count, form.raw))
    raw[::2, k : 2 * k] = raw[1::2, :k] = raw[:, -1] = 0.0
    return raw
