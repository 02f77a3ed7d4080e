"""Stable equilibria: leaving a state that balances the loads but is no minimum of the potential, like a straight beam past buckling.

Newton finds stationary points of Pi = int W dV - (potential of the loads), saddles as well as minima, and follows a straight branch
past its bifurcation without a sign of distress. Minima have a positive definite tangent. Its eigenvalues of least magnitude,
which change sign first, come by subspace iteration with the factors that Newton's last step left behind; where one is negative, its
eigenvector is a way down:

    u -> u + a phi,    a = the best of +-a0 2^k for Pi, and phi the best of such modes,

and Newton goes on from there, turned round where it would climb, to equilibrium again. Which of two sides is taken, a perturbation
decides: its potential is the lower one.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
from jaxtyping import Float

from fem.attempt import Attempt
from fem.equilibrium import Equilibrium

_VECTORS = 3
_FIRST, _LATER = 3, 1  # iterations: the vectors of the last step are a good start
# of the largest curvature along the vectors, or in roundings of the tangent: below this an eigenvalue is round-off
_ZERO, _ROUNDINGS = 1e-12, 10.0
_ALIKE = 1e-8  # of the largest eigenvalue of the vectors' Gram matrix
_SMALLEST, _DOUBLINGS = 1e-3, 9  # first amplitude, beside the size of the body
_TRIES = 3


class UnstableEquilibrium(UserWarning):
    """A state balances the loads but is no minimum of the potential, and no way down from it was found."""


class Stability:
    """Looks for ways down. Collective.

    Args:
        equilibrium: the problem.
    """

    def __init__(self, equilibrium: Equilibrium) -> None:
        self._equilibrium = equilibrium
        domain = equilibrium.residual.mesh.domain
        self._comm = domain.comm
        space = equilibrium.residual.displacement.function_space
        X = space.tabulate_dof_coordinates()[: space.dofmap.index_map.size_local]
        extents = [np.ptp(np.concatenate(domain.comm.allgather(X[:, i]))) for i in range(3)]
        self._size = float(max(extents))
        # waves of different lengths and directions: nothing that a symmetry of the body would leave out, the same on any ranks
        random = np.random.default_rng(0)
        waves = random.uniform(-4.0, 4.0, (_VECTORS, space.dofmap.bs, 3)) / self._size
        phases = random.uniform(0.0, 2.0 * np.pi, (_VECTORS, space.dofmap.bs))
        self._vectors = np.cos(np.einsum("ni,vdi->ndv", X, waves) + phases.T).reshape(
            len(X) * space.dofmap.bs, _VECTORS
        )
        self._vectors[equilibrium.residual.held()] = 0.0
        self._iterations = _FIRST

    def ways_down(self) -> list[Float[np.ndarray, " n"]]:
        """Directions of negative curvature near the last Newton iterate; the largest entry of each is 1."""
        solve, apply = self._equilibrium.inverse, self._equilibrium.apply
        V = self._vectors
        for _ in range(self._iterations):
            images = self._each(solve, V)
            if images is None:
                return []
            lengths = np.sqrt(np.diag(self._gram(images, images)))
            if not lengths.all():  # nothing is free to move
                return []
            V = images / lengths
        KV = self._each(apply, V)
        assert KV is not None
        curvature, mass = self._gram(V, KV), self._gram(V, V)
        # fewer free unknowns than vectors, or vectors which have become alike: what is left of them counts once
        sizes, axes = np.linalg.eigh(mass)
        kept = axes[:, sizes > _ALIKE * sizes[-1]] / np.sqrt(sizes[sizes > _ALIKE * sizes[-1]])
        values, turn = np.linalg.eigh(kept.T @ (0.5 * (curvature + curvature.T)) @ kept)
        mixing = kept @ turn
        self._vectors, self._iterations = V @ mixing, _LATER
        zero = max(_ZERO * np.abs(values).max(), _ROUNDINGS * self._equilibrium.round_off())
        modes = self._vectors[:, values < -zero].T
        return [mode / max(self._comm.allgather(float(np.abs(mode).max(initial=0.0)))) for mode in modes]

    def settle(self, load_factor: float, attempt: Attempt) -> tuple[Attempt, bool]:
        """From the equilibrium that an attempt found to a stable one at the same load factor.

        Returns:
            The attempt that led to the last state, and whether another state was taken. Warns with UnstableEquilibrium where it is a
            saddle nevertheless.
        """
        moved = False
        for _ in range(_TRIES):
            if not attempt.converged or attempt.iterations == 0:
                return attempt, moved
            modes = self.ways_down()
            if modes:  # the factors are those of the iterate before: look again where the body is
                self._equilibrium.relinearise()
                self._iterations = _FIRST
                modes = self.ways_down()
            if not modes:
                return attempt, moved
            here = self._equilibrium.residual.owned()
            if not self._descend(here, modes, load_factor):
                self._equilibrium.look(here, load_factor)
                break
            attempt, moved = self._equilibrium.solve(load_factor, descend=True), True
        if self._comm.rank == 0:
            warnings.warn(
                f"the equilibrium at load factor {load_factor:.4g} is no minimum of the potential, and the way down from it led "
                "nowhere: shorter load steps, or a perturbation, may find the stable state",
                UnstableEquilibrium,
                stacklevel=2,
            )
        return attempt, moved

    def _descend(self, here: np.ndarray, modes: list[np.ndarray], load_factor: float) -> bool:
        """Go to the lowest of some points along each mode, on both sides; False if there is no lower one."""
        start = self._potential(here, load_factor)
        best, lowest = np.zeros_like(here), start
        # Next to the saddle both sides are alike to third order: what tells them apart shows further down.
        for way in (way for mode in modes for way in (mode, -mode)):
            amplitude, last = _SMALLEST * self._size, start
            for _ in range(_DOUBLINGS):
                there = self._potential(here + amplitude * way, load_factor)
                if not there < last:
                    break
                last = there
                if there < lowest:
                    best, lowest = amplitude * way, there
                amplitude *= 2.0
        if lowest == start:
            return False
        self._equilibrium.look(here + best, load_factor)
        return True

    def _potential(self, u: np.ndarray, load_factor: float) -> float:
        return np.nan if self._equilibrium.look(u, load_factor) is None else self._equilibrium.potential()

    def _each(self, function: Callable[[np.ndarray], np.ndarray | None], V: np.ndarray) -> np.ndarray | None:
        images = [function(column) for column in V.T]
        found = [image for image in images if image is not None]
        return np.column_stack(found) if len(found) == len(images) else None

    def _gram(self, A: np.ndarray, B: np.ndarray) -> Float[np.ndarray, "v v"]:
        return np.asarray(self._comm.allreduce(A.T @ B))
