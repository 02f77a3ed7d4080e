r"""A chain on a learned potential: connectivity by index, everything else by the potential.

Bonds, angles and dihedral angles are known by the beads' places in the sequence, which descriptors of surroundings cannot see. What beads
do to each other that are far from each other along the chain is learned: a potential N fitted to loose beads, one element for each kind.
In a chain it would count the near pairs too, bonded ones and next neighbours, which the model of the chain leaves out; so its own
two-body terms (`atomistic.clusters.many_body`) of these are taken off again,

    E = E_chain + N(all beads) - sum_near pairs e_ij(r_ij),      e_ij(r) = N(i, j at r) - N(i) - N(j).

Exact where N is a sum over pairs; else a bonded neighbour is still seen as part of a bead's surroundings. The e(r) are functions of a
distance, interpolated once by cubic splines (to 1e-7 eV), so that they cost next to nothing.
"""

from typing import Final

import numpy as np
from ase import Atoms
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.interpolate import CubicSpline

from atomistic.calculator import NeuralCalculator
from atomistic.clusters.bln import BLNProtein
from atomistic.clusters.surface import Positions, PotentialSurface

KNOTS: Final = 1500

NEAREST: Final = 0.3
"""Angstrom: the splines begin here, and are continued below."""


class LearnedProtein:
    """The energy surface of a chain whose loose interaction is a potential's.

    Attributes:
        protein: gives bonds, angles and dihedral angles.

    Raises:
        UnknownElement: where the potential lacks an element of the beads (`atomistic.clusters.bln.ELEMENTS`).
    """

    def __init__(self, protein: BLNProtein, calculator: NeuralCalculator) -> None:
        self.protein = protein
        atoms = protein.atoms(np.zeros((len(protein), 3)))
        calculator.potential.check_elements(atoms)
        self._loose = PotentialSurface(calculator, atoms)
        self._first, self._second = protein.near_pairs.T
        self._terms = TwoBodyTerms(calculator, atoms.numbers[protein.near_pairs])

    def __call__(self, positions: Positions) -> tuple[float, Positions]:
        """E (eV) and forces (eV/A)."""
        energy, forces = self.protein.chain_energy_and_forces(positions)
        loose, pull = self._loose(positions)
        forces += pull
        between = positions[self._second] - positions[self._first]
        distance = np.sqrt(np.einsum("pa,pa->p", between, between))
        near, slopes = self._terms(distance)
        push = (slopes / distance)[:, None] * between
        np.subtract.at(forces, self._first, push)
        np.add.at(forces, self._second, push)
        return energy + loose - float(near.sum()), forces


class TwoBodyTerms:
    """e(r) of pairs of elements, and its slope: what a potential makes of two atoms beyond each alone."""

    def __init__(self, calculator: NeuralCalculator, pairs: Int[ndarray, "pairs 2"]) -> None:
        kinds, self._kind = np.unique(pairs, axis=0, return_inverse=True)
        cutoff = calculator.potential.cutoff
        self._cutoff, self._step = cutoff, (cutoff - NEAREST) / KNOTS
        knots = NEAREST + self._step * np.arange(KNOTS + 1)
        self._coefficients = np.stack([CubicSpline(knots, _dimers(calculator, kind, knots)).c for kind in kinds])

    def __call__(self, distance: Float[ndarray, "pairs"]) -> tuple[Float[ndarray, "pairs"], Float[ndarray, "pairs"]]:
        """e (eV) and de/dr (eV/A) of all pairs at these distances (Angstrom)."""
        place = np.clip(((distance - NEAREST) / self._step).astype(int), 0, KNOTS - 1)
        x = distance - (NEAREST + self._step * place)
        a, b, c, d = self._coefficients[self._kind, :, place].T
        inside = distance < self._cutoff
        return inside * (((a * x + b) * x + c) * x + d), inside * ((3.0 * a * x + 2.0 * b) * x + c)


def _dimers(
    calculator: NeuralCalculator, kind: Int[ndarray, "2"], distances: Float[ndarray, "knots"]
) -> Float[ndarray, "knots"]:
    """Energies of two atoms at each distance beyond those of each alone, eV."""
    surface = PotentialSurface(calculator, Atoms(numbers=kind, positions=np.zeros((2, 3))))
    alone = sum(PotentialSurface(calculator, Atoms(numbers=[z]))(np.zeros((1, 3)))[0] for z in kind)
    ends = np.zeros((len(distances), 2, 3))
    ends[:, 1, 0] = distances
    return np.array([surface(pair)[0] for pair in ends]) - alone
