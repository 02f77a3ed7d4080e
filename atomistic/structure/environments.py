"""Descriptors as features: of every atom of a structure, or of a structure as a whole."""

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols
from jaxtyping import Float, Int
from numpy import ndarray

from atomistic.descriptor_distance import descriptors_by_element
from atomistic.descriptors import Descriptors
from atomistic.potential import UnknownElement


def atom_features(
    descriptors: Descriptors, atoms: Atoms
) -> dict[int, tuple[Int[ndarray, "own"], Float[ndarray, "own functions"]]]:
    """For each element of a structure, its atoms and their descriptors.

    Raises:
        UnknownElement: where the descriptors do not know an element.
        InvalidStructure: positions or cell are not finite, or atoms are too many.
    """
    unknown = sorted(set(atoms.numbers.tolist()) - set(descriptors.numbers))
    if unknown:
        raise UnknownElement(
            f"element {', '.join(chemical_symbols[z] for z in unknown)} is unknown to the descriptors, which are of "
            f"{', '.join(chemical_symbols[z] for z in descriptors.numbers)}"
        )
    return descriptors_by_element(descriptors, atoms)


def structure_features(descriptors: Descriptors, atoms: Atoms) -> Float[ndarray, "features"]:
    """The mean of the descriptors over the atoms of each element, one element after the other; zero for one that is not there.

    Of a crystal strained homogeneously, x = F X, these are invariants of F^T F under the crystal's point group: rotations and
    permutations of its atoms change no mean.

    Raises:
        UnknownElement, InvalidStructure: as `atom_features`.
    """
    found = atom_features(descriptors, atoms)
    means = [
        found[number][1].mean(0) if number in found else np.zeros(descriptors.count(number))
        for number in descriptors.numbers
    ]
    return np.concatenate(means)
