r"""Adiabatic states of a diabatic Hamiltonian: energies, gradients and nonadiabatic couplings, exact derivatives of its eigenvalues.

With H v_i = E_i v_i and dH = dH/dR,

    grad E_i = v_i . dH v_i      (Hellmann and Feynman)
    h_ij     = v_i . dH v_j      interstate coupling, finite everywhere
    d_ij     = <i|grad j> = h_ij / (E_j - E_i)      nonadiabatic coupling, i /= j, antisymmetric

(Domcke, Yarkony, Koppel, Conical Intersections, World Scientific 2004, chapter 2). The signs of v_i are arbitrary, and
with them those of h_ij and d_ij; E_i, grad E_i and products around closed cycles such as h_ij h_ji are not. At an
intersection d_ij is infinite and single gradients depend on the direction R is left in: the slopes of the surfaces
there are the eigenvalues of the derivative of H within the degenerate states,

    dE/dt = eig( P (dH . u) P ),    P onto the degenerate states, R + t u,  t -> 0+ .
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from atomistic.excited.hamiltonian import Hamiltonian


class DegenerateStates(ValueError):
    """Nonadiabatic couplings asked for at an intersection, where they are infinite."""


@dataclass(frozen=True)
class AdiabaticStates:
    """Eigenstates at some points; the sign of each state is arbitrary.

    Attributes:
        energies: E, ascending.
        gradients: grad E_i.
        interstate: h_ij; the gradients on the diagonal.
        vectors: v_i as columns.
    """

    energies: Float[np.ndarray, "points states"]
    gradients: Float[np.ndarray, "points states dimensions"]
    interstate: Float[np.ndarray, "points states states dimensions"]
    vectors: Float[np.ndarray, "points states states"]

    def couplings(self, least_gap: float = 1e-10) -> Float[np.ndarray, "points states states dimensions"]:
        """d_ij, zero for i = j.

        Raises:
            DegenerateStates: where two states are closer than `least_gap` times the largest |E| of the point, or 1.
        """
        gap = self.energies[:, None, :] - self.energies[:, :, None]
        others = ~np.eye(gap.shape[1], dtype=bool)
        limit = least_gap * np.maximum(1.0, np.abs(self.energies).max(1))
        close = (np.abs(gap) < limit[:, None, None]) & others
        if close.any():
            point, i, j = (int(k) for k in np.argwhere(close)[0])
            raise DegenerateStates(
                f"states {i} and {j} are {abs(gap[point, i, j]):.1e} apart at point {point}: their nonadiabatic coupling "
                f"is infinite there; "
                "use `interstate`, or leave the point out"
            )
        divisor = np.where(others, gap, 1.0)[..., None]
        coupling: np.ndarray = np.where(others[..., None], self.interstate / divisor, 0.0)
        return coupling


def matrix_and_derivative(
    hamiltonian: Hamiltonian, coordinates: Float[Tensor, "points dimensions"], *, graph: bool = False
) -> tuple[Float[Tensor, "points states states"], Float[Tensor, "points states states dimensions"]]:
    """H and dH/dR; with `graph` both can be differentiated by the parameters of H."""
    R = coordinates.detach().requires_grad_(True)
    H = hamiltonian.matrix(R)
    n = H.shape[1]
    derivative: list[list[Tensor]] = [[R] * n for _ in range(n)]
    for i in range(n):
        for j in range(i, n):
            (slope,) = torch.autograd.grad(H[:, i, j].sum(), R, create_graph=graph, retain_graph=True)
            derivative[i][j] = derivative[j][i] = slope
    return H, torch.stack([torch.stack(row, dim=1) for row in derivative], dim=1)


def adiabatic_states(hamiltonian: Hamiltonian, coordinates: Float[np.ndarray, "points dimensions"]) -> AdiabaticStates:
    """Energies, gradients and couplings at each point.

    Raises:
        ValueError: for coordinates of another length than the Hamiltonian's, or not finite.
    """
    H, slope = (
        part.detach().numpy() for part in matrix_and_derivative(hamiltonian, as_points(hamiltonian, coordinates))
    )
    energies, vectors = np.linalg.eigh(H)
    interstate = np.einsum("pki,pkld,plj->pijd", vectors, slope, vectors, optimize=True)
    return AdiabaticStates(energies, np.einsum("piid->pid", interstate).copy(), interstate, vectors)


def slopes_along(
    hamiltonian: Hamiltonian,
    point: Float[np.ndarray, "dimensions"],
    direction: Float[np.ndarray, "dimensions"],
    *,
    degenerate: float = 1e-8,
) -> Float[np.ndarray, "states"]:
    """dE/dt of the surfaces at R + t u for t -> 0+, right at an intersection too; ascending among states closer than `degenerate`."""
    states = adiabatic_states(hamiltonian, np.asarray(point)[None])
    along = states.interstate[0] @ np.asarray(direction, dtype=float)
    energies = states.energies[0]
    slopes = np.empty(len(energies))
    start = 0
    for end in range(1, len(energies) + 1):
        if end == len(energies) or energies[end] - energies[end - 1] > degenerate:
            slopes[start:end] = np.linalg.eigvalsh(along[start:end, start:end])
            start = end
    return slopes


def as_points(
    hamiltonian: Hamiltonian, coordinates: Float[np.ndarray, "points dimensions"]
) -> Float[Tensor, "points dimensions"]:
    """Coordinates as the Hamiltonian takes them."""
    found = np.asarray(coordinates, dtype=float)
    if found.ndim != 2 or found.shape[1] != hamiltonian.dimensions:
        raise ValueError(f"coordinates of shape {found.shape}, expected (points, {hamiltonian.dimensions})")
    if not np.isfinite(found).all():
        raise ValueError(f"coordinates of point {int(np.argwhere(~np.isfinite(found))[0][0])} are not finite")
    return torch.from_numpy(np.ascontiguousarray(found))
