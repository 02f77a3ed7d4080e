r"""Labels of second derivatives: products H v of a reference's Hessian with displacements, and the whole of it.

H = d2E/dx2 = -df/dx (eV/A^2), coordinates atom by atom. A calculator of matscipy has it in closed form; of any other a product is the
central difference of the forces of fourth order, which errs by h^4,

    H v = -[ 8 f(x + h v) - 8 f(x - h v) - f(x + 2 h v) + f(x - 2 h v) ] / (12 h) + O(h^4),

four force calls a direction, so a few directions tell of a Hessian what a practitioner can afford of it.
"""

from copy import copy
from dataclasses import dataclass
from typing import Any, Final, Protocol, runtime_checkable

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator
from jaxtyping import Float
from numpy import ndarray
from scipy.sparse import spmatrix

from atomistic.configurations import LabelFailed

STEP: Final = 2e-3
"""Displacement h of the differences, Angstrom, of the atom that moves most."""


class InvalidHessian(ValueError):
    """A Hessian, or a product with one, has the wrong shape, is not symmetric or not finite."""


@runtime_checkable
class HasHessian(Protocol):
    """A calculator with second derivatives in closed form, as matscipy's have."""

    def get_hessian(self, atoms: Atoms, format: str = ...) -> spmatrix: ...


@dataclass(frozen=True)
class HessianLabel:
    """What is known of the Hessian of one structure.

    Attributes:
        atoms: the structure.
        directions: displacements v, Angstrom.
        products: H v, eV/A^2 times the unit of v.

    Raises:
        InvalidHessian: for shapes that do not fit the structure, numbers that are not finite, a direction of zeros.
    """

    atoms: Atoms
    directions: Float[ndarray, "directions atoms 3"]
    products: Float[ndarray, "directions atoms 3"]

    def __post_init__(self) -> None:
        expected = (len(self.directions), len(self.atoms), 3)
        for name in ("directions", "products"):
            array = getattr(self, name)
            if np.shape(array) != expected:
                raise InvalidHessian(
                    f"{name} have shape {np.shape(array)}, expected {expected}: for each direction a vector an atom"
                )
            if not np.isfinite(array).all():
                raise InvalidHessian(f"{name} contain NaN or infinity; label the structure again")
        if not all(np.any(v) for v in self.directions):
            raise InvalidHessian("a direction is zero, expected displacements")

    @classmethod
    def whole(cls, atoms: Atoms, hessian: Float[ndarray, "coordinates coordinates"]) -> "HessianLabel":
        """All of a Hessian: its products with displacements of single coordinates.

        Raises:
            InvalidHessian: where `check_hessian` refuses it.
        """
        hessian = check_hessian(hessian, len(atoms))
        return cls(atoms, np.eye(len(hessian)).reshape(-1, len(atoms), 3), hessian.reshape(-1, len(atoms), 3))


def check_hessian(
    hessian: Float[ndarray, "..."], atoms: int, *, tolerance: float = 1e-6
) -> Float[ndarray, "coordinates coordinates"]:
    """The Hessian made exactly symmetric.

    Raises:
        InvalidHessian: where it is not 3N x 3N, not finite, or asymmetric by more than `tolerance` of its largest entry.
    """
    hessian = np.asarray(hessian, dtype=np.float64)
    if hessian.shape != (3 * atoms, 3 * atoms):
        raise InvalidHessian(
            f"a Hessian of shape {hessian.shape} for {atoms} atoms, expected {(3 * atoms, 3 * atoms)}: "
            "coordinates atom by atom"
        )
    if not np.isfinite(hessian).all():
        raise InvalidHessian("the Hessian contains NaN or infinity")
    asymmetry = float(np.abs(hessian - hessian.T).max(initial=0.0))
    if asymmetry > tolerance * float(np.abs(hessian).max(initial=0.0)):
        raise InvalidHessian(
            f"the Hessian is asymmetric by {asymmetry:.3g} eV/A^2, expected a symmetric one: second derivatives commute"
        )
    return np.asarray(0.5 * (hessian + hessian.T))


def label_hessian(
    atoms: Atoms, calculator: Calculator, directions: Float[ndarray, "directions atoms 3"] | int, *, seed: int = 0
) -> HessianLabel:
    """Products of the reference's Hessian by central differences: four force calls a direction.

    Args:
        atoms: the structure.
        calculator: the reference.
        directions: displacements, or how many orthonormal random ones.
        seed: of the random ones.

    Raises:
        LabelFailed: where the reference's forces are not finite.
        ValueError: for fewer than one direction, or more than there are coordinates.
    """
    coordinates = 3 * len(atoms)
    if isinstance(directions, int):
        if not 1 <= directions <= coordinates:
            raise ValueError(f"{directions} directions for {len(atoms)} atoms, expected 1 to {coordinates}")
        normal = np.random.default_rng(seed).normal(size=(coordinates, directions))
        directions = np.linalg.qr(normal)[0].T.reshape(-1, len(atoms), 3)
    moving: Atoms = atoms.copy()
    moving.calc = calculator

    def forces(displacement: Float[ndarray, "atoms 3"]) -> Float[ndarray, "atoms 3"]:
        moving.positions = atoms.positions + displacement
        found = moving.get_forces(apply_constraint=False)
        if not np.isfinite(found).all():
            raise LabelFailed(f"the reference's forces are not finite for {atoms.get_chemical_formula()}")
        return np.asarray(found)

    products = []
    for v in directions:
        h = STEP / float(np.linalg.norm(v, axis=1).max())
        near, far = (forces(k * h * v) - forces(-k * h * v) for k in (1, 2))
        products.append(-(8.0 * near - far) / (12.0 * h))
    return HessianLabel(atoms.copy(), np.asarray(directions, dtype=np.float64), np.array(products))


def reference_hessian(atoms: Atoms, calculator: Calculator) -> Float[ndarray, "coordinates coordinates"]:
    """The whole Hessian of a reference: its own second derivatives where it has them, else by 12 N force calls.

    Raises:
        LabelFailed: where the reference's forces are not finite.
        InvalidHessian: where its own second derivatives are not symmetric or not finite.
    """
    inside: Any = calculator
    while not isinstance(inside, HasHessian) and isinstance(getattr(inside, "calculator", None), Calculator):
        inside = inside.calculator  # matscipy's, behind the check of the elements
    if isinstance(inside, HasHessian):
        # matscipy takes the number of atoms from its last calculation: a copy that has made none.
        unused: Any = copy(inside)
        unused.atoms = None
        return check_hessian(unused.get_hessian(atoms.copy(), "sparse").toarray(), len(atoms))
    whole = np.eye(3 * len(atoms)).reshape(-1, len(atoms), 3)
    products = label_hessian(atoms, calculator, whole).products.reshape(3 * len(atoms), -1)
    return np.asarray(0.5 * (products + products.T))
