r"""Diabatic matrices along a line from adiabatic labels with couplings: the states are carried from point to point.

The adiabatic vectors as columns of V obey dV/dx = V d(x), d_ij = <i|dj/dx>, so that over a step

    V(x + dx) = V(x) exp( dx (d(x) + d(x + dx)) / 2 ),    H = V diag(E) V^T,    V = 1 at the first point,

to second order in dx (the transformation of Smith, Phys. Rev. 179 (1969) 111). The sign of each d_ij is free at every point; it is taken
so that d_ij continues the straight line through the two points before: where it vanishes it changes its sign.
"""

import numpy as np
from jaxtyping import Float
from scipy.linalg import expm

from atomistic.excited.labels import AdiabaticLabels, InvalidLabels


def transported(labels: AdiabaticLabels) -> Float[np.ndarray, "points states states"]:
    """H at the points of a line, in the order of the labels: what a fit may start from.

    Raises:
        InvalidLabels: for labels of more than one dimension, without couplings, or with two points in one place.
    """
    if labels.coordinates.shape[1] != 1 or labels.interstate is None:
        couplings = "no couplings" if labels.interstate is None else "couplings"
        raise InvalidLabels(
            f"labels of {labels.coordinates.shape[1]} dimensions with {couplings}, expected one dimension and couplings; in more, surfaces "
            "determine the couplings"
        )
    order = np.argsort(labels.coordinates[:, 0])
    x, energies = labels.coordinates[order, 0], labels.energies[order]
    if (np.diff(x) == 0.0).any():
        raise InvalidLabels(f"two points at {x[:-1][np.diff(x) == 0.0][0]:g}; leave one of them out")
    states = energies.shape[1]
    gap = energies[:, None, :] - energies[:, :, None] + np.eye(states)
    d = np.abs(labels.interstate[order, :, :, 0] / gap) * (1.0 - np.eye(states))
    d = np.triu(d) - np.tril(d)
    V = np.eye(states)
    H = np.empty((len(x), states, states))
    H[0] = np.diag(energies[0])
    for k in range(1, len(x)):
        before = d[k - 1] - d[k - 2] if k > 1 else np.zeros_like(d[0])
        expected = d[k - 1] + before * (x[k] - x[k - 1]) / (x[k - 1] - x[k - 2] if k > 1 else 1.0)
        d[k] = np.where(np.abs(d[k] - expected) <= np.abs(d[k] + expected), d[k], -d[k])
        V = V @ expm(0.5 * (x[k] - x[k - 1]) * (d[k - 1] + d[k]))
        H[k] = V @ np.diag(energies[k]) @ V.T
    found = np.empty_like(H)
    found[order] = H
    return found
