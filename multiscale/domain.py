"""Where a law may be trusted: the distance of a strain to the nearest state that the law was made from.

Two strains that the crystal's symmetry carries into each other are the same state, so the distance of a strain E is

    d(E) = min over training states E_k and rotations R of the group of | E - R E_k R^T |    (Frobenius norm),

and its unit is the design's own spacing: the distance within which 95 % of the training states have another one. A
state drawn from the same design is as far from the training states as these are from each other, hence

    trust = min(1, spacing / d).

It is 1 on and between the training states, and falls like 1/d outside. F = I is one of them: energy, stress and
elastic constants are exact there.
"""

from functools import cached_property

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.spatial import KDTree

from multiscale.strain import strain_norm_components
from multiscale.symmetry import PointGroup

SAME_STATE = 1e-9
"""Strains closer than this are one state."""

COVERED = 0.95
"""Share of the training states that have another one within the spacing."""


class InvalidDomain(ValueError):
    """The training states make no domain."""


class Domain:
    """The training states of a law, and the gauge they make.

    Args:
        strain: components e (n, 6) of the training states (see multiscale.strain), at least one of them not zero.
        point_group: the symmetry under which states are the same.

    Raises:
        InvalidDomain: no strained state, or not finite.
    """

    def __init__(self, strain: Float[ndarray, "n 6"], point_group: PointGroup) -> None:
        strain = np.ascontiguousarray(strain, dtype=np.float64)
        if strain.ndim != 2 or strain.shape[1] != 6 or not np.isfinite(strain).all():
            raise InvalidDomain(f"the training strain has shape {strain.shape}, expected finite numbers of shape (n, 6)")
        if not (np.linalg.norm(strain, axis=1) > SAME_STATE).any():
            raise InvalidDomain("no training state is strained; expected at least one besides F = I")
        self.strain = strain
        self.point_group = point_group

    @cached_property
    def _images(self) -> tuple[KDTree, ndarray]:
        """All images of all states, F = I among them, and the state each belongs to."""
        states = np.concatenate([np.zeros((1, 6)), self.strain])
        images = states @ np.swapaxes(self.point_group.strain_action, -1, -2)
        owner = np.tile(np.arange(len(states)), len(images))
        return KDTree(strain_norm_components(images.reshape(-1, 6))), owner

    @cached_property
    def spacing(self) -> float:
        """The distance within which 95 % of the states have another, distinct one."""
        tree, owner = self._images
        states = np.concatenate([np.zeros((1, 6)), self.strain])
        nearest = []
        for state, components in enumerate(strain_norm_components(states)):
            # a state's own images come first and are at most as many as the group has rotations
            distance, index = tree.query(components, k=min(2 * self.point_group.order + 1, tree.n))
            other = (owner[index] != state) & (distance > SAME_STATE)
            if other.any():
                nearest.append(distance[other].min())
        return float(np.quantile(nearest, COVERED))

    def distance(self, strain: Float[ndarray, "n 6"]) -> Float[ndarray, "n"]:
        """d(E) to the nearest training state."""
        tree, _ = self._images
        return np.asarray(tree.query(strain_norm_components(strain))[0])

    def trust(self, strain: Float[ndarray, "n 6"]) -> Float[ndarray, "n"]:
        """min(1, spacing / d), in (0, 1]."""
        return np.asarray(self.spacing / np.maximum(self.distance(strain), self.spacing))
