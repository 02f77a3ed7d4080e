"""An energy surface, positions in and energy and forces out, and the way down on it.

Global optimisation asks for the energy a million times, so a surface is a plain function. Calculators of the house are asked directly,
any other through ASE.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator
from jaxtyping import Float
from numpy import ndarray
from scipy.optimize import OptimizeResult, minimize
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial.distance import pdist, squareform

from atomistic.calculator import NeuralCalculator
from atomistic.clusters.lennard_jones import LennardJones, OverlappingAtoms
from atomistic.neighbour_list import InvalidStructure, NeighbourList

Positions = Float[ndarray, "atoms 3"]
Surface = Callable[[Positions], tuple[float, Positions]]
"""Positions (Angstrom) in; energy (eV) and forces (eV/A) out."""

MEMORY: Final = 8
"""Pairs that L-BFGS keeps."""

MOST_ITERATIONS: Final = 5000

VACUUM: Final = 30.0
"""Angstrom, by which the box of a cluster is wider than it."""


@dataclass(frozen=True)
class Bounds:
    """Where a structure is still a cluster.

    Attributes:
        closest: no two atoms nearer than this, Angstrom.
        farthest: the cluster stays in one piece if atoms within this distance are joined, Angstrom.
    """

    closest: float
    farthest: float

    def __post_init__(self) -> None:
        if not 0.0 < self.closest < self.farthest:
            raise ValueError(
                f"closest = {self.closest} A and farthest = {self.farthest} A, expected 0 < closest < farthest"
            )

    def state(self, positions: Positions) -> Literal["whole", "collapsed", "evaporated"]:
        """Whether atoms are too near to each other, or the structure is in pieces."""
        distances = pdist(positions)
        if not distances.min(initial=np.inf) >= self.closest:
            return "collapsed"
        return "whole" if pieces(distances, self.farthest) <= 1 else "evaporated"


@dataclass(frozen=True)
class Quench:
    """Where the way down ended.

    Attributes:
        positions: Angstrom.
        energy: eV.
        state: "whole" at a minimum; else the last structure before atoms came too near ("collapsed"), or one in pieces ("evaporated").
        evaluations: of the surface.
    """

    positions: Positions
    energy: float
    state: Literal["whole", "collapsed", "evaporated"]
    evaluations: int


def surface_of(atoms: Atoms, calculator: Calculator) -> Surface:
    """The energy surface that a calculator gives to the elements of `atoms`, which must not be periodic."""
    if atoms.pbc.any():
        raise ValueError(f"pbc = {atoms.pbc.tolist()}, expected a cluster without periodic images")
    if isinstance(calculator, LennardJones):
        return calculator.energy_and_forces
    if isinstance(calculator, NeuralCalculator):
        return PotentialSurface(calculator, atoms)
    return CalculatorSurface(calculator, atoms)


class CalculatorSurface:
    """Any calculator of ASE."""

    def __init__(self, calculator: Calculator, atoms: Atoms) -> None:
        self.atoms: Atoms = atoms.copy()
        self.atoms.set_cell(np.ptp(atoms.positions, axis=0) + VACUUM)  # some calculators sort the atoms into a box
        self.atoms.calc = calculator

    def __call__(self, positions: Positions) -> tuple[float, Positions]:
        self.atoms.positions = positions
        forces = self.atoms.get_forces()
        return float(self.atoms.get_potential_energy()), forces


class PotentialSurface:
    """A neural potential, without the copies that ASE makes; a list of neighbours of its own, so that runs repeat to the last digit."""

    def __init__(self, calculator: NeuralCalculator, atoms: Atoms) -> None:
        self.potential = calculator.potential
        self.atoms: Atoms = atoms.copy()
        self.atoms.calc = None
        self.neighbours = NeighbourList(self.potential.cutoff, calculator.neighbours.skin)

    def __call__(self, positions: Positions) -> tuple[float, Positions]:
        self.atoms.positions = positions
        prediction = self.potential.predict(self.atoms, self.neighbours)
        return prediction.energy, prediction.forces


def confined(surface: Surface, stiffness: float) -> Surface:
    """A surface with a spring (eV/A^2) from each atom to the middle of all."""

    def drawn(positions: Positions) -> tuple[float, Positions]:
        energy, forces = surface(positions)
        arms = positions - positions.mean(0)
        return energy + 0.5 * stiffness * float((arms * arms).sum()), forces - stiffness * arms

    return drawn


def pieces(distances: Float[ndarray, "pairs"], farthest: float) -> int:
    """Number of pieces of a structure with these distances (as scipy's `pdist`), atoms within `farthest` joined."""
    joined = squareform(distances <= farthest)
    return int(connected_components(csr_array(joined), directed=False, return_labels=False)) if len(joined) else 1


def closest_pair(positions: Positions, *, least: float) -> float:
    """Smallest distance of two atoms, Angstrom; infinite for one atom.

    Raises:
        OverlappingAtoms: where it is below `least`.
    """
    distances = pdist(positions)
    smallest = float(distances.min(initial=np.inf))
    if not smallest >= least:
        i, j = np.triu_indices(len(positions), 1)
        k = int(distances.argmin())
        raise OverlappingAtoms(
            f"atoms {i[k]} and {j[k]} are {smallest:.3g} A apart, expected at least {least:g} A; move them apart"
        )
    return smallest


class _Stopped(Exception):
    """The way down has left the bounds."""


def quench(
    surface: Surface, positions: Positions, *, force_tolerance: float = 1e-3, bounds: Bounds | None = None
) -> Quench:
    """The minimum below `positions`, by L-BFGS (scipy's), until no component of a force exceeds `force_tolerance` (eV/A).

    With `bounds` the way down ends at the last structure inside them where atoms come too near to each other, as they do in the holes of
    a model that never saw it.

    Raises:
        OverlappingAtoms, InvalidStructure: where the start itself has atoms on top of each other.
    """
    shape = positions.shape
    start = np.ascontiguousarray(positions, dtype=np.float64)
    evaluations = 0
    inside, energy_inside = start, float(surface(start)[0])

    def descend(x: Float[ndarray, "coordinates"]) -> tuple[float, Float[ndarray, "coordinates"]]:
        nonlocal evaluations
        evaluations += 1
        try:
            energy, forces = surface(x.reshape(shape))
        except (InvalidStructure, OverlappingAtoms) as error:
            raise _Stopped from error
        return energy, -forces.ravel()

    def watch(intermediate_result: OptimizeResult) -> None:
        nonlocal inside, energy_inside
        if bounds is not None:
            x = intermediate_result.x.reshape(shape)
            if pdist(x).min(initial=np.inf) < bounds.closest:
                raise _Stopped
            inside, energy_inside = x.copy(), float(intermediate_result.fun)

    options = {
        "maxcor": MEMORY,
        "gtol": force_tolerance,
        "ftol": 1e-13,
        "maxiter": MOST_ITERATIONS,
        "maxfun": 4 * MOST_ITERATIONS,
    }
    try:
        found = minimize(descend, start.ravel(), jac=True, method="L-BFGS-B", options=options, callback=watch)
    except _Stopped:
        return Quench(inside, energy_inside, "collapsed", evaluations)
    end = found.x.reshape(shape)
    return Quench(end, float(found.fun), "whole" if bounds is None else bounds.state(end), evaluations)
