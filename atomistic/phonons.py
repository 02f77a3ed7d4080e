r"""Phonon frequencies from the exact second derivatives of a neural potential, at any wave vector, without supercells.

With the Hessian at a wave vector, H_na,n'b(q) = sum_R d2E / dx_na(0) dx_n'b(R) exp(i q . (x_n'(R) - x_n(0))), the sum over all lattice
translations R, and masses m,

    D(q) e = omega^2 e,        D_na,n'b = H_na,n'b(q) / sqrt(m_n m_n')

(Born and Huang 1954, sec. 26; Gonze and Lee, Phys. Rev. B 55 (1997) 10355, eq. 10). A negative omega^2 is an instability.
"""

import math

import numpy as np
import torch
from ase import Atoms, units
from jaxtyping import Float
from numpy import ndarray
from numpy.typing import ArrayLike

from atomistic.crystal import check_crystal
from atomistic.potential import NeuralPotential
from atomistic.second_derivatives import edge_hessian


def phonon_frequencies(
    potential: NeuralPotential, crystal: Atoms, wave_vectors: ArrayLike = ((0.0, 0.0, 0.0),)
) -> Float[ndarray, "wave_vectors modes"]:
    """Frequencies omega / 2 pi in THz, ascending, 3N at each wave vector; imaginary ones are given as negative numbers.

    Args:
        potential: the potential.
        crystal: atoms at rest, masses included; the primitive cell gives the usual branches.
        wave_vectors: in units of the reciprocal lattice vectors of `crystal`; Gamma by default.

    Raises:
        InvalidCrystal: for what is no crystal.
        UnknownElement: where an element is not known.
        ValueError: where the wave vectors have another shape than (n, 3), or are not finite.
    """
    check_crystal(crystal)
    q = np.asarray(wave_vectors, dtype=np.float64)
    if q.ndim != 2 or q.shape[1] != 3 or not np.isfinite(q).all():
        raise ValueError(f"wave vectors have shape {q.shape}, expected (n, 3) of finite numbers")
    curvature = edge_hessian(potential, crystal)
    scale = torch.from_numpy(np.repeat(crystal.get_masses() ** -0.5, 3))
    frequencies = np.empty((len(q), 3 * len(crystal)))
    for k, wave_vector in enumerate(2.0 * math.pi * q @ crystal.cell.reciprocal().array):
        dynamical = scale[:, None] * curvature.folded(wave_vector).reshape(len(scale), -1) * scale
        squares = torch.linalg.eigvalsh(dynamical).numpy()
        frequencies[k] = np.sign(squares) * np.sqrt(np.abs(squares)) / (2.0 * math.pi)
    # One over ASE's unit of time, in 1/fs, in THz.
    return frequencies * units.fs * 1000.0
