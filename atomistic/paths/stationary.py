r"""Minima and saddles of a path: settled to the last digits, and told apart by the signs of their curvatures.

With an orthonormal basis Z of what changes the energy (no translations, and no rotations of clusters or cells) the curvatures are the
eigenvalues of Z^T H Z. A minimum has none below zero, a transition state exactly one, whose eigenvector leads down to both sides
(Murrell and Laidler, Trans. Faraday Soc. 64 (1968) 371). The Hessian is there, so Newton steps with it, x <- x + Z (Z^T H Z)^-1 Z^T f,
take what forces the search left, at the cost of one force call each.
"""

from dataclasses import dataclass
from typing import Final, Protocol, runtime_checkable

import numpy as np
from ase import Atoms
from jaxtyping import Float
from numpy import ndarray

FLAT: Final = 1e-3
"""Curvatures (eV/A^2) between minus this and this are neither up nor down: round-off, differences of forces, what is left of rotations."""

LONGEST: Final = 0.2
"""Newton steps (Angstrom) longer than this are not trusted: the search has not been finished."""

STEPS: Final = 30


@runtime_checkable
class Coordinates(Protocol):
    """What a path is made of: `FixedCell`, `VariableCell`."""

    def image(self, structure: Atoms) -> Atoms: ...

    def structure(self, image: Atoms) -> Atoms: ...

    def basis(self, image: Atoms) -> Float[ndarray, "coordinates free"]: ...

    def hessian(self, image: Atoms) -> Float[ndarray, "coordinates coordinates"]: ...


@dataclass(frozen=True)
class StationaryPoint:
    """A structure without forces.

    Attributes:
        image: in the coordinates of the path.
        atoms: the structure.
        energy: eV a cell; the enthalpy under pressure.
        largest_force: on an atom or a row of the cell's coordinates, eV/A.
        curvatures: eigenvalues of the Hessian by the coordinates of the path, ascending, eV/A^2; rigid motions are left out.
        mode: the eigenvector of the lowest one, a row for each atom (and three for the cell).
    """

    image: Atoms
    atoms: Atoms
    energy: float
    largest_force: float
    curvatures: Float[ndarray, "free"]
    mode: Float[ndarray, "rows 3"]

    @property
    def negative(self) -> int:
        """How many curvatures are negative: 0 for a minimum, 1 for a transition state."""
        return int((self.curvatures < -FLAT).sum())


def stationary_point(coordinates: Coordinates, image: Atoms, *, tolerance: float = 1e-7) -> StationaryPoint:
    """The stationary point next to an image, by Newton steps with one Hessian, and its curvatures.

    Where the steps do not lower the forces the image itself is judged; `tolerance` (eV/A) ends them.
    """
    basis = coordinates.basis(image)
    curvatures, modes = _curvatures(coordinates, image, basis)
    start, positions = image.positions.copy(), image.positions.copy()
    least = force = largest_force(image)
    steep = np.abs(curvatures) > FLAT
    for _ in range(STEPS):
        if force <= tolerance:
            break
        along = modes[:, steep].T @ image.get_forces().ravel()
        step = (modes[:, steep] @ (along / curvatures[steep])).reshape(-1, 3)
        if np.linalg.norm(image.positions + step - start, axis=1).max() > LONGEST:
            break
        image.positions = image.positions + step
        force = largest_force(image)
        if not force < least:
            break
        least, positions = force, image.positions.copy()
    image.positions = positions
    if np.abs(positions - start).max() > 1e-4:
        curvatures, modes = _curvatures(coordinates, image, basis)
    atoms = coordinates.structure(image)
    return StationaryPoint(
        image, atoms, float(image.get_potential_energy()), largest_force(image), curvatures, modes[:, 0].reshape(-1, 3)
    )


def largest_force(image: Atoms) -> float:
    """Length (eV/A) of the largest force of an image."""
    return float(np.linalg.norm(image.get_forces(), axis=1).max())


def _curvatures(
    coordinates: Coordinates, image: Atoms, basis: Float[ndarray, "coordinates free"]
) -> tuple[Float[ndarray, "free"], Float[ndarray, "coordinates free"]]:
    values, vectors = np.linalg.eigh(basis.T @ coordinates.hessian(image) @ basis)
    return values, basis @ vectors
