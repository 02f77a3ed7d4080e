r"""Sound: the slopes of the acoustic branches, and what the elastic constants say of them.

    rho v^2 u = Q u,        Q_ik = C_ijkl n_j n_l

(Christoffel; Born and Huang 1954, sec. 27). The continuum's speeds and the lattice's slopes are computed by routes that share nothing: the
ones by stresses under strain, the others by force constants.
"""

from typing import Final

import numpy as np
from ase import Atoms, units
from jaxtyping import Float
from numpy import ndarray
from numpy.typing import ArrayLike

from atomistic.elasticity import VOIGT
from atomistic.vibrations.force_constants import THZ_OF_ROOT, ForceConstants

KM_PER_S: Final = units.fs * 100.0
"""Of one Angstrom per ASE's unit of time: A/fs are 100 km/s."""

WAVE_NUMBER: Final = 2e-3
"""At which the slope is taken, 1/A: branches bend with its square, round-off comes with its inverse."""


def speeds_of_sound(constants: ForceConstants, directions: ArrayLike) -> Float[ndarray, "directions 3"]:
    """Slopes d omega / dq of the acoustic branches at q = 0, km/s, ascending, along Cartesian directions of any length.

    Raises:
        ValueError: for directions of another shape than (n, 3), zero or not finite.
    """
    cell = constants.crystal.cell.array
    q = _unit(directions) * WAVE_NUMBER @ cell.T / (2.0 * np.pi)
    omega = constants.frequencies(q)[:, :3] / THZ_OF_ROOT
    return np.asarray(omega / WAVE_NUMBER * KM_PER_S)


def christoffel_speeds(
    elastic_constants: Float[ndarray, "6 6"], crystal: Atoms, directions: ArrayLike
) -> Float[ndarray, "directions 3"]:
    """The same by the elastic constants C_ab (eV/A^3, as `elastic_constants` gives them) at the crystal's density.

    Raises:
        ValueError: for directions as above, or a wave that would grow (rho v^2 below zero).
    """
    n = _unit(directions)
    C = np.zeros((3, 3, 3, 3))
    for a, (i, j) in enumerate(VOIGT):
        for b, (k, m) in enumerate(VOIGT):
            C[i, j, k, m] = C[j, i, k, m] = C[i, j, m, k] = C[j, i, m, k] = elastic_constants[a, b]
    density = crystal.get_masses().sum() / crystal.get_volume()
    squares = np.linalg.eigvalsh(np.einsum("ijkl,nj,nl->nik", C, n, n)) / density
    if squares.min() < 0.0:
        at = n[int(squares.min(axis=1).argmin())]
        raise ValueError(
            f"rho v^2 = {density * squares.min():.3g} eV/A^3 along {at}, expected positive: the crystal is unstable"
        )
    return np.asarray(np.sqrt(squares) * KM_PER_S)


def _unit(directions: ArrayLike) -> Float[ndarray, "directions 3"]:
    given = np.asarray(directions, dtype=np.float64)
    if given.ndim != 2 or given.shape[1] != 3 or not np.isfinite(given).all() or not given.any(axis=1).all():
        raise ValueError(f"directions have shape {given.shape}, expected (n, 3) of finite numbers, none of them zero")
    return np.asarray(given / np.linalg.norm(given, axis=1, keepdims=True))
