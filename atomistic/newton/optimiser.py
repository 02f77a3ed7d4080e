"""Newton steps as an optimiser of ASE: the reference's forces, another model's Hessian."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
from ase import Atoms
from ase.optimize.optimize import Optimizer
from jaxtyping import Float
from numpy import ndarray
from scipy.sparse.linalg import LinearOperator

from atomistic.newton.hessian_labels import InvalidHessian, check_hessian
from atomistic.newton.rigid import FreeCoordinates, UnsupportedConstraint, free_coordinates
from atomistic.newton.secants import Secant, corrected
from atomistic.newton.steps import METHODS, Step, quadratic_step, steihaug_step

Curvature = Callable[[Atoms], ndarray | LinearOperator]
"""The Hessian of a structure, eV/A^2, 3N x 3N, or its products with vectors."""

ENERGY_DIGITS: Final = 1e-8
"""Changes below this part of the energy are taken from the forces, whose trapezoid rule errs by the third power of the step."""

SHORT: Final = 1e-3
"""Over a step of this length (Angstrom) the energy changes by what the forces at its ends say, if anything does."""


MOVED: Final = 1e-9
"""Angstrom: further from where the last step led, the atoms were moved by someone else."""


class NewtonFailed(RuntimeError):
    """Forces are not finite, or energies do not belong to them."""


@dataclass(frozen=True)
class _Visited:
    """Where a step was made from, and what it promised."""

    positions: Float[ndarray, "coordinates"]
    energy: float
    gradient: Float[ndarray, "coordinates"]
    hessian: ndarray | LinearOperator
    free: FreeCoordinates
    step: Step | None = None


class Newton(Optimizer):
    """Newton-Raphson, trust-region or rational-function steps to a minimum or a saddle, by a Hessian that is not the calculator's own.

    Each step costs one force call of the atoms' calculator. The Hessian is evaluated again once an atom has moved by `renew`, and corrected
    by the forces met on the way (`atomistic.newton.secants`). Rigid motions are projected out (`atomistic.newton.rigid`). A step whose
    change of the energy is far from the model's is taken back and a shorter one tried.

    Attributes:
        hessians: number of Hessians evaluated.
        indefinite: number of steps at which the Hessian had another number of negative eigenvalues than `order`.
        rejected: number of steps taken back.
    """

    def __init__(
        self,
        atoms: Any,
        hessian: Curvature,
        *,
        method: str = "trust-region",
        order: int = 0,
        follow: Float[ndarray, "order atoms 3"] | None = None,
        radius: float = 0.1,
        maxstep: float = 0.4,
        secants: int = 10,
        renew: float = 0.01,
        logfile: IO[str] | str | Path | None = None,
        trajectory: str | Path | None = None,
        **others: Any,
    ) -> None:
        """Settings; `run(fmax, steps)` runs as of any optimiser of ASE.

        Args:
            atoms: the structure, with the calculator that the forces come from; FixAtoms is respected.
            hessian: such as `lambda atoms: atomistic.hessian(potential, atoms)`; where it returns an operator, such as
                `atomistic.hessian_operator` does, the steps are matrix-free (Steihaug's).
            method: "newton", "trust-region" or "rfo", as in `atomistic.newton.steps`.
            order: 0 for a minimum, 1 for a transition state.
            follow: modes to be followed uphill at first; the lowest where None.
            radius: first bound on a step: root mean square displacement of the atoms, Angstrom.
            maxstep: bound on the displacement of any one atom, Angstrom.
            secants: how many of the last steps correct the Hessian; 0 for none.
            renew: displacement of an atom, Angstrom, from which on the Hessian is evaluated again; 0 for every step.
            logfile, trajectory, others: as ASE's.

        Raises:
            ValueError: for bounds that are not positive, an unknown method, modes of a wrong shape; on the way for a saddle without a
                matrix.
            UnsupportedConstraint: for filters, and constraints other than FixAtoms.
        """
        if not isinstance(atoms, Atoms):
            raise UnsupportedConstraint(f"Newton steps move atoms, got {type(atoms).__name__}: cells are not supported")
        for name, value in (("radius", radius), ("maxstep", maxstep)):
            if not value > 0.0:
                raise ValueError(f"{name} = {value} A, expected a positive length")
        if method not in METHODS:
            raise ValueError(f"method {method!r}, expected one of {METHODS}")
        if order < 0 or secants < 0 or renew < 0.0:
            raise ValueError(f"order = {order}, secants = {secants}, renew = {renew}, expected none below zero")
        self.hessian = hessian
        self.method, self.order = method, order
        self.maxstep, self.most_secants, self.renew = maxstep, secants, renew
        self.radius = radius * np.sqrt(len(atoms))
        self.hessians, self.indefinite, self.rejected = 0, 0, 0
        self.secants: list[Secant] = []
        self._visited: _Visited | None = None
        self._expected = atoms.get_positions().ravel()
        self._evaluated: tuple[ndarray, ndarray | LinearOperator] | None = None
        index = free_coordinates(atoms).index
        if follow is not None and np.shape(follow) != (order, len(atoms), 3):
            raise ValueError(
                f"follow has shape {np.shape(follow)}, expected {(order, len(atoms), 3)}: displacements of a mode"
            )
        self.follow = None if follow is None else np.reshape(follow, (order, -1)).T[index]
        super().__init__(atoms, logfile=logfile, trajectory=trajectory, **others)

    def step(self) -> None:
        """One step from where the atoms are, or a shorter one from where they were."""
        positions = self.optimizable.get_x()
        energy, gradient = float(self.optimizable.get_value()), self.optimizable.get_gradient()
        if not (np.isfinite(energy) and np.isfinite(gradient).all()):
            raise NewtonFailed(
                f"energy or forces are not finite after {self.nsteps} steps; the calculator fails for this structure, "
                "start elsewhere or take a smaller maxstep"
            )
        before = self._visited
        if before is not None and np.abs(positions - self._expected).max() > MOVED:
            # Someone else moved the atoms: what was learned on the way does not lead here.
            before, self.secants = None, []
        if before is not None and not self._kept(before, positions, energy, gradient):
            self.rejected += 1
            start = before
        else:
            hessian = self._hessian(positions)
            if before is not None:
                self._remember(before, positions, gradient, hessian)
            start = _Visited(positions, energy, gradient, hessian, free_coordinates(self.atoms))
        step = self._proposed(start)
        self.indefinite += step.negative != self.order
        self.follow = step.followed
        self._visited = replace(start, step=step)
        self._expected = start.positions + start.free.expanded(step.displacement, len(self.atoms))
        self.optimizable.set_x(self._expected)

    def _hessian(self, positions: Float[ndarray, "coordinates"]) -> ndarray | LinearOperator:
        """At the positions, or at those near them where it was evaluated last."""
        if self._evaluated is not None:
            moved = np.linalg.norm((positions - self._evaluated[0]).reshape(-1, 3), axis=1).max()
            if moved <= self.renew and self.renew > 0.0:
                return self._evaluated[1]
        found = self.hessian(self.atoms)
        self.hessians += 1
        if isinstance(found, LinearOperator):
            size = 3 * len(self.atoms)
            if found.shape != (size, size):
                raise InvalidHessian(f"an operator of shape {found.shape}, expected {(size, size)}")
            if self.order or self.method != "trust-region":
                raise ValueError(
                    f"method {self.method!r} to a saddle of order {self.order} needs the matrix; an operator serves "
                    "trust-region steps to minima"
                )
        else:
            found = check_hessian(found, len(self.atoms))
        self._evaluated = positions.copy(), found
        return found

    def _kept(
        self,
        before: _Visited,
        positions: Float[ndarray, "coordinates"],
        energy: float,
        gradient: Float[ndarray, "coordinates"],
    ) -> bool:
        """Whether the energy changed as the model said, roughly; adapts the radius."""
        if before.step is None or self.method == "newton":
            return True
        step = positions - before.positions
        expected, length = before.step.change, float(np.linalg.norm(step))
        change, by_forces = energy - before.energy, 0.5 * float((gradient + before.gradient) @ step)
        if abs(expected) < ENERGY_DIGITS * max(1.0, abs(energy)):
            change = by_forces
        if length < SHORT and abs(change - by_forces) > 0.5 * max(abs(change), abs(expected)):
            raise NewtonFailed(
                f"a step of {length:.1g} A changed the energy by {change:.3g} eV where the forces say {by_forces:.3g} eV; the "
                "calculator's energies and forces disagree"
            )
        agreement = change / expected if expected else 1.0
        # Towards a minimum more than was promised is welcome; towards a saddle it is as wrong as less.
        off = abs(agreement - 1.0) if self.order else 1.0 - agreement
        if off < 0.25 and before.step.bounded:
            self.radius = max(self.radius, 2.0 * length)
        elif off > 0.75:
            self.radius = 0.25 * length
        return off < (2.0 if self.order else 1.0)

    def _remember(
        self,
        before: _Visited,
        positions: Float[ndarray, "coordinates"],
        gradient: Float[ndarray, "coordinates"],
        hessian: ndarray | LinearOperator,
    ) -> None:
        """The error of the Hessian along the last step."""
        if not self.most_secants or isinstance(hessian, LinearOperator):
            return
        step = positions - before.positions
        error = gradient - before.gradient - 0.5 * (before.hessian + hessian) @ step
        # Where the Hessian changes along the step by more than it errs, the error is that of the mean of its two ends.
        if np.linalg.norm((hessian - before.hessian) @ step) <= np.linalg.norm(error):
            index = before.free.index
            self.secants = [*self.secants, Secant(step[index], error[index])][-self.most_secants :]

    def _proposed(self, start: _Visited) -> Step:
        """The step of the free coordinates, none of whose atoms moves further than `maxstep`."""
        slope, radius = start.gradient[start.free.index], self.radius
        if isinstance(start.hessian, LinearOperator):
            solve = self._matrix_free(slope, start.hessian, start.free)
        else:
            solve = self._by_matrix(slope, start.hessian, start.free)
        while True:
            step = solve(radius)
            furthest = float(np.linalg.norm(step.displacement.reshape(-1, 3), axis=1).max(initial=0.0))
            if furthest <= self.maxstep:
                return step
            radius = 0.99 * float(np.linalg.norm(step.displacement)) * self.maxstep / furthest

    def _by_matrix(
        self, slope: Float[ndarray, "free"], hessian: Float[ndarray, "all all"], free: FreeCoordinates
    ) -> Callable[[float], Step]:
        """Steps in the complement of the rigid motions, by the corrected Hessian."""
        basis = free.basis
        B = corrected(basis.T @ hessian[np.ix_(free.index, free.index)] @ basis, self.secants, basis)
        follow = None if self.follow is None else basis.T @ self.follow

        def solve(radius: float) -> Step:
            step = quadratic_step(
                basis.T @ slope, B, method=self.method, order=self.order, radius=radius, follow=follow
            )
            return replace(step, displacement=basis @ step.displacement, followed=basis @ step.followed)

        return solve

    def _matrix_free(
        self, slope: Float[ndarray, "free"], hessian: LinearOperator, free: FreeCoordinates
    ) -> Callable[[float], Step]:
        """Steihaug's steps; the products are projected."""

        def product(vector: Float[ndarray, "free"]) -> Float[ndarray, "free"]:
            return free.projected(hessian.matvec(free.expanded(vector, len(self.atoms)))[free.index])

        return lambda radius: steihaug_step(free.projected(slope), product, radius=radius)
