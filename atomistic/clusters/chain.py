r"""A chain on a learned potential: connectivity by index, everything else by the potential.

Bonds, angles and dihedral angles are known by the beads' places in the sequence, which descriptors of surroundings cannot see. What beads
do to each other that are far from each other along the chain is learned: a potential N fitted to loose beads, one element for each kind.
In a chain it would count the near pairs too, bonded ones and next neighbours, which the model of the chain leaves out; so its own
two-body terms (`atomistic.clusters.many_body`) of these are taken off again,

    E = E_chain + N(all beads) - sum_near pairs [ N(i, j) - N(i) - N(j) ].

Exact where N is a sum over pairs; else a bonded neighbour is still seen as part of a bead's surroundings.
"""

from typing import Final

import numpy as np

from atomistic.calculator import NeuralCalculator
from atomistic.clusters.bln import BLNProtein
from atomistic.clusters.surface import Positions, PotentialSurface

APART: Final = 3.0
"""Cutoffs between the near pairs, which are asked for together."""


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
        # the near pairs, far from each other, are one structure: a single call
        self._first, self._second = protein.near_pairs.T
        self._pairs = PotentialSurface(calculator, atoms[protein.near_pairs.ravel()])
        self._places = np.zeros((2 * len(self._first), 3))
        self._places[:, 0] = np.repeat(np.arange(len(self._first)), 2) * APART * calculator.potential.cutoff
        alone = np.array([PotentialSurface(calculator, atoms[[k]])(np.zeros((1, 3)))[0] for k in range(len(protein))])
        self._alone = float(alone[protein.near_pairs].sum())

    def __call__(self, positions: Positions) -> tuple[float, Positions]:
        """E (eV) and forces (eV/A)."""
        energy, forces = self.protein.chain_energy_and_forces(positions)
        loose, pull = self._loose(positions)
        pairs = self._places.copy()
        pairs[1::2] += positions[self._second] - positions[self._first]
        near, along = self._pairs(pairs)
        forces = forces + pull
        np.subtract.at(forces, self._first, along[::2])
        np.subtract.at(forces, self._second, along[1::2])
        return energy + loose - (near - self._alone), forces
