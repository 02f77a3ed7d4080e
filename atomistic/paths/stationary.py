r"""Minima and saddles of a path: settled to the last digits, and told apart by the signs of their curvatures.

With an orthonormal basis Z of what changes the energy (no translations, and no rotations of clusters or cells) the curvatures are the
eigenvalues of Z^T H Z. A minimum has none below zero, a transition state exactly one, whose eigenvector leads down to both sides
(Murrell and Laidler, Trans. Faraday Soc. 64 (1968) 371). The Hessian is there, so Newton steps with it, x <- x + Z (Z^T H Z)^-1 Z^T f,
take what forces the search left; a Hessian serves as long as they fall.
"""

from dataclasses import dataclass
from typing import Final, Protocol, runtime_checkable

import numpy as np
from ase import Atoms
from jaxtyping import Float
from numpy import ndarray

FLAT: Final = 1e-3
"""Curvatures (eV/A^2) between minus this and this are neither up nor down: round-off, differences of forces, what is left of rotations."""

LONGEST: Final = 0.1
"""Newton steps (Angstrom) are at most so long."""

FURTHEST: Final = 0.5
"""A stationary point further away (Angstrom) is not the one that the search was near."""

STEPS: Final = 30
"""At most, with one Hessian."""

HESSIANS: Final = 8
"""At most; one more once the forces have halved."""


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
    """The stationary point next to an image, by Newton steps with few Hessians, and its curvatures.

    Where steps do not lower the forces the image is judged as it is; `tolerance` (eV/A) ends them.
    """
    basis = coordinates.basis(image)
    start, force = image.positions.copy(), largest_force(image)
    for _ in range(HESSIANS):
        curvatures, modes = _curvatures(coordinates, image, basis)
        judged, before = image.positions.copy(), force
        if force > tolerance:
            force = _stepped(image, curvatures, modes, tolerance)
        if np.linalg.norm(image.positions - start, axis=1).max() > FURTHEST:
            image.positions = start  # this is another point, if one at all
            break
        if force <= tolerance or force > 0.5 * before:
            break
    if np.abs(image.positions - judged).max() > 1e-4:
        curvatures, modes = _curvatures(coordinates, image, basis)
    atoms = coordinates.structure(image)
    return StationaryPoint(
        image, atoms, float(image.get_potential_energy()), largest_force(image), curvatures, modes[:, 0].reshape(-1, 3)
    )


def _stepped(
    image: Atoms, curvatures: Float[ndarray, "free"], modes: Float[ndarray, "coordinates free"], tolerance: float
) -> float:
    """Newton steps with one Hessian as long as they lower the forces; the largest force then."""
    steep = np.abs(curvatures) > FLAT
    force = largest_force(image)
    for _ in range(STEPS):
        here = image.positions.copy()
        along = modes[:, steep].T @ image.get_forces().ravel()
        step = (modes[:, steep] @ (along / curvatures[steep])).reshape(-1, 3)
        step *= min(1.0, LONGEST / np.linalg.norm(step, axis=1).max())
        for part in (1.0, 0.25):
            image.positions = here + part * step
            lower = largest_force(image)
            if lower < force:
                break
        else:
            image.positions = here
            break
        force = lower
        if force <= tolerance:
            break
    return force


def largest_force(image: Atoms) -> float:
    """Length (eV/A) of the largest force of an image."""
    return float(np.linalg.norm(image.get_forces(), axis=1).max())


def _curvatures(
    coordinates: Coordinates, image: Atoms, basis: Float[ndarray, "coordinates free"]
) -> tuple[Float[ndarray, "free"], Float[ndarray, "coordinates free"]]:
    values, vectors = np.linalg.eigh(basis.T @ coordinates.hessian(image) @ basis)
    return values, basis @ vectors
