"""Elastic constants of a crystal by central differences of the stress: for any ASE calculator, as a reference for exact tangents."""

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator
from jaxtyping import Float
from numpy import ndarray

from atomistic.crystal import deform, relax_positions

VOIGT = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))


def elastic_constants(
    crystal: Atoms, calculator: Calculator, *, relaxed: bool = True, step: float = 5e-4, force_tolerance: float = 1e-8
) -> Float[ndarray, "6 6"]:
    """C_ab = d sigma_a / d epsilon_b (eV/A^3, Voigt order xx yy zz yz xz xy, engineering shears) at a stress-free crystal.

    Central differences with a strain of `step`, hence an error of the order of step^2 times the fourth-order constants. With
    `relaxed` the positions relax at each strain; otherwise they follow the strain (clamped ions).

    Raises:
        RelaxationFailed: where a strained cell does not relax.
    """
    constants = np.zeros((6, 6))
    for b, (i, j) in enumerate(VOIGT):
        for sign in (1.0, -1.0):
            strain = np.zeros((3, 3))
            strain[i, j] = strain[j, i] = sign * step * (1.0 if i == j else 0.5)
            atoms = deform(crystal, np.eye(3) + strain)
            if relaxed and len(atoms) > 1:
                atoms = relax_positions(atoms, calculator, force_tolerance=force_tolerance)
            else:
                atoms.calc = calculator
            constants[:, b] += sign * np.asarray(atoms.get_stress()) / (2.0 * step)
    return 0.5 * (constants + constants.T)
