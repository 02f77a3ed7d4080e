r"""The many-body expansion of the energy of a cluster, term by term, for any calculator.

The energies E(S) of all subsets S of the atoms determine the terms of their interaction by inclusion and exclusion,

    E(S) = sum_{T in S} e(T),      e(T) = sum_{S in T} (-1)^(|T| - |S|) E(S),

e of one atom is its energy alone, of two what they add to it, and so on: sums over all |T| = k are the k-body energies, whose sum up to
the number of atoms is the energy itself (Hankins, Moskowitz and Stillinger, J. Chem. Phys. 53 (1970) 4544). An atom left out is not
there: whatever the calculator makes of an atom's surroundings enters. With S_m = sum_{|S| = m} E(S) the sums need no e(T),

    E_k = sum_{m <= k} (-1)^(k - m) C(n - m, k - m) S_m .
"""

from dataclasses import dataclass
from itertools import combinations
from math import comb
from typing import Final

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator
from jaxtyping import Float
from numpy import ndarray

from atomistic.clusters.surface import closest_pair, surface_of

MOST_SUBSETS: Final = 1_000_000


class TooFewAtoms(ValueError):
    """More bodies were asked for than there are atoms."""


class TooManySubsets(ValueError):
    """An expansion of more subsets than can be evaluated."""


@dataclass(frozen=True)
class ManyBodyExpansion:
    """Sums of the many-body terms of a cluster.

    Attributes:
        terms: E_1, E_2, ... E_k, eV.
        energy: of the cluster, eV: the sum of the terms where k is the number of atoms.
        subsets: evaluated.
    """

    terms: Float[ndarray, "bodies"]
    energy: float
    subsets: int

    @property
    def sums(self) -> Float[ndarray, "bodies"]:
        """E_1 + ... + E_k: what the expansion makes of the energy if it ends there, eV."""
        return np.cumsum(self.terms)

    @property
    def rest(self) -> float:
        """Energy beyond the last term, eV: zero where all were asked for, to round-off."""
        return self.energy - float(self.terms.sum())


def many_body_expansion(atoms: Atoms, calculator: Calculator, bodies: int | None = None) -> ManyBodyExpansion:
    """Terms of one to `bodies` atoms (None for all of them) of the energy that `calculator` gives the cluster.

    It asks for sum_k C(n, k) energies: 8191 for all terms of 13 atoms, 9177 for those of up to three of 38.

    Raises:
        TooFewAtoms: for more bodies than atoms.
        TooManySubsets: for more than a million subsets.
        ValueError: for fewer bodies than one, and for a periodic structure, whose subsets have no end.
        OverlappingAtoms: where two atoms are closer than a tenth of an Angstrom.
    """
    count = len(atoms)
    bodies = count if bodies is None else bodies
    if atoms.pbc.any():
        raise ValueError(f"pbc = {atoms.pbc.tolist()}, expected a cluster: the subsets of a crystal have no end")
    if bodies < 1:
        raise ValueError(f"bodies = {bodies}, expected 1 or more")
    if bodies > count:
        raise TooFewAtoms(f"terms of {bodies} bodies of {count} atoms, expected at most as many bodies as atoms")
    needed = sum(comb(count, k) for k in range(1, bodies + 1))
    if needed > MOST_SUBSETS:
        raise TooManySubsets(
            f"terms of up to {bodies} bodies of {count} atoms need {needed} energies, more than {MOST_SUBSETS}; ask for fewer bodies"
        )
    closest_pair(atoms.positions, least=0.1)
    # sums over subsets cancel: of a thousand energies of the order of one, thirteen digits are left
    of_size = np.zeros(bodies + 1)
    for size in range(1, bodies + 1):
        energies = []
        for subset in combinations(range(count), size):
            some = list(subset)
            energies.append(surface_of(atoms[some], calculator)(atoms.positions[some])[0])
        of_size[size] = sum(energies)
    terms = [
        sum((-1) ** (k - m) * comb(count - m, k - m) * of_size[m] for m in range(1, k + 1))
        for k in range(1, bodies + 1)
    ]
    energy = float(of_size[count]) if bodies == count else surface_of(atoms, calculator)(atoms.positions)[0]
    return ManyBodyExpansion(np.array(terms), energy, needed)
