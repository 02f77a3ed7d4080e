"""The training states of a law as a set: how far a strain is from the nearest of them.

Two strains that the material's symmetry carries into each other are the same state, so the distance of a strain E is

    d(E) = min over training states E_k and rotations R of the group of | E - R E_k R^T |    (Frobenius norm).

Under an infinite group strains of one orbit share a representative up to a few rotations (MaterialSymmetry.representative), and R runs
over these. The unit of the distance is the design's own spacing: the distance within which 95 % of the training states have another one. A
state drawn from the same design is as far from the training states as these are from each other. F = I is one of them:
energy, stress and elastic constants are given there. What a law makes of the distance is multiscale.trust.gauge.
"""

from functools import cached_property

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.spatial import KDTree
from scipy.stats import qmc

from multiscale.laws.strain import (
    SHEAR_DOUBLING,
    green_lagrange,
    log_strain,
    strain_norm_components,
    strain_tensor,
    stretch_of_log_strain,
)
from multiscale.symmetry.material_symmetry import MaterialSymmetry

SAME_STATE = 1e-9
"""Strains closer than this are one state."""

COVERED = 0.95
"""Share of the training states that have another one within the spacing."""


class InvalidDomain(ValueError):
    """The training states make no domain."""


class Domain:
    """The training states of a law.

    Args:
        strain: components e (n, 6) of the training states (see multiscale.laws.strain), at least one of them not zero.
        symmetry: under which states are the same.

    Raises:
        InvalidDomain: no strained state, or not finite.
    """

    def __init__(self, strain: Float[ndarray, "n 6"], symmetry: MaterialSymmetry) -> None:
        strain = np.ascontiguousarray(strain, dtype=np.float64)
        if strain.ndim != 2 or strain.shape[1] != 6 or not np.isfinite(strain).all():
            raise InvalidDomain(
                f"the training strain has shape {strain.shape}, expected finite numbers of shape (n, 6)"
            )
        if not (np.linalg.norm(strain, axis=1) > SAME_STATE).any():
            raise InvalidDomain("no training state is strained; expected at least one besides F = I")
        self.strain = strain
        self.symmetry = symmetry

    @cached_property
    def _states(self) -> Float[ndarray, "m 6"]:
        """F = I and the training states, each once."""
        states = self.symmetry.representative(np.concatenate([np.zeros((1, 6)), self.strain]))
        tree, owner = self._images_of(states)
        near = tree.query_ball_point(strain_norm_components(states), SAME_STATE)
        return states[[owner[found].min() == state for state, found in enumerate(near)]]

    @cached_property
    def _tree(self) -> tuple[KDTree, Int[ndarray, "k"]]:
        return self._images_of(self._states)

    def _images_of(self, states: Float[ndarray, "m 6"]) -> tuple[KDTree, Int[ndarray, "k"]]:
        """All images of the states, and the state that each belongs to."""
        images = states @ np.swapaxes(self.symmetry.undecided, -1, -2)
        return KDTree(strain_norm_components(images.reshape(-1, 6))), np.tile(np.arange(len(states)), len(images))

    @cached_property
    def spacing(self) -> float:
        """The distance within which 95 % of the states have another one."""
        tree, owner = self._tree
        # a state has at most as many images of its own, itself among them, as there are rotations
        distance, index = tree.query(strain_norm_components(self._states), k=len(self.symmetry.undecided) + 1)
        other = owner[index] != np.arange(len(index))[:, None]
        return float(np.quantile(np.where(other, distance, np.inf).min(axis=1), COVERED))

    def distance(self, strain: Float[ndarray, "n 6"]) -> Float[ndarray, "n"]:
        """d(E) to the nearest training state."""
        tree, _ = self._tree
        return np.asarray(tree.query(strain_norm_components(self.symmetry.representative(strain)))[0])

    def box(self, count: int, seed: int) -> Float[ndarray, "count 3 3"]:
        """States that fill the box of the training states' logarithmic strains evenly (Sobol), as symmetric right stretches.

        Raises:
            InvalidDomain: fewer than one.
        """
        if count < 1:
            raise InvalidDomain(f"{count} states are asked for, expected at least 1")
        known = log_strain_of(np.concatenate([np.zeros((1, 6)), self.strain]))
        low, high = known.min(axis=0), known.max(axis=0)
        points = qmc.Sobol(d=6, rng=np.random.default_rng(seed)).random_base2((count - 1).bit_length())[:count]
        return stretch_of_log_strain(low + points * (high - low))

    def states(self, count: int, seed: int) -> Float[ndarray, "count 3 3"]:
        """States inside the domain, as symmetric right stretches: training states, and others around them.

        The others lie evenly in balls of radius `spacing` about training states drawn at random, pulled back into the box of the
        training states' logarithmic strains, so that none is outside what was sampled.

        Raises:
            InvalidDomain: fewer than one.
        """
        if count < 1:
            raise InvalidDomain(f"{count} states are asked for, expected at least 1")
        rng = np.random.default_rng(seed)
        centres = log_strain_of(self._states)
        low, high = centres.min(axis=0), centres.max(axis=0)
        found, radius = centres[rng.permutation(len(centres))[:count]], self.spacing
        while len(found) < count:
            direction = rng.normal(size=(count, 6))
            direction /= np.linalg.norm(direction, axis=1)[:, None]
            length = radius * rng.uniform(size=(count, 1)) ** (1.0 / 6.0)
            moved = centres[rng.integers(len(centres), size=count)] + length * direction * np.sqrt(SHEAR_DOUBLING)
            moved = np.clip(moved, low, high)
            inside = self.distance(green_lagrange(stretch_of_log_strain(moved))) <= self.spacing
            found = np.concatenate([found, moved[inside]])
        return stretch_of_log_strain(found[:count])


def log_strain_of(strain: Float[ndarray, "n 6"]) -> Float[ndarray, "n 6"]:
    """Components of the logarithmic strain of this Green-Lagrange strain, shear doubled."""
    # any F with this C has it; C = L L^T gives F = L^T
    factor = np.linalg.cholesky(np.eye(3) + 2.0 * strain_tensor(strain))
    return log_strain(np.swapaxes(factor, -1, -2))
