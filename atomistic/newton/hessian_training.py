r"""A potential taught second derivatives: Hessian labels as further observations of the linear model of its last layer.

A closed-form fit to energies, forces and stresses (or the last layer of a network trained on them) is a normal distribution of the last
layer's weights, w = w_0 + L z with z standard normal (`atomistic.laplace`, `atomistic.gaussian_fit`). Products of Hessians with
displacements are linear in w too (`atomistic.newton.hessian_rows`): y = R w with an error s of each number. Bayes' rule is exact,

    z ~ N(m, (1 + B^T B)^-1),        B = R L / s,        m = (1 + B^T B)^-1 B^T (y - R w_0) / s,

and equals one fit to all labels together, whatever their order (Bishop, Pattern Recognition and Machine Learning (2006), eqs. 3.50, 3.51).
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy.linalg import cho_solve, cholesky, solve_triangular

from atomistic.laplace import LastLayerLaplace
from atomistic.last_layer import last_layer_weights, with_last_layer
from atomistic.newton.hessian_labels import HessianLabel
from atomistic.newton.hessian_rows import hessian_rows


def learn_hessians(
    posterior: LastLayerLaplace, labels: Sequence[HessianLabel], *, error: float = 0.1
) -> LastLayerLaplace:
    """The posterior of a potential's last layer, given Hessians as well; its `.potential` is the one to use.

    Args:
        posterior: of a fit to energies, forces and stresses: `GaussianFit.posterior`, or `LastLayerLaplace.fit`.
        labels: products of Hessians with displacements.
        error: standard deviation of each number among the products for displacements of length 1, eV/A^2.

    Raises:
        ValueError: for no labels, or an error that is not positive.
        UnknownElement: where an element is not known.
    """
    if not labels:
        raise ValueError("no Hessian labels, expected at least one; label_hessian makes them")
    if not error > 0.0:
        raise ValueError(f"error = {error} eV/A^2, expected a positive number")
    weights, factor = last_layer_weights(posterior.potential), posterior.factor
    precision = np.eye(factor.shape[1])
    right = np.zeros(factor.shape[1])
    displaced = [(label.atoms, v, p) for label in labels for v, p in zip(label.directions, label.products, strict=True)]
    structures, directions, products = zip(*displaced, strict=True)
    for rows, v, p in zip(hessian_rows(posterior.potential, structures, directions), directions, products, strict=True):
        unit = error * float(np.linalg.norm(v))
        scaled = rows @ factor / unit
        precision += scaled.T @ scaled
        right += scaled.T @ (p.ravel() - rows @ weights) / unit
    triangle = cholesky(precision, lower=True)
    moved = weights + factor @ cho_solve((triangle, True), right)
    potential = with_last_layer(posterior.potential, moved)
    made = {**potential.provenance, "hessians": f"{len(labels)} structures, error {error:g} eV/A^2"}
    potential = replace(potential, provenance=made)
    return replace(posterior, potential=potential, factor=solve_triangular(triangle, factor.T, lower=True).T)
