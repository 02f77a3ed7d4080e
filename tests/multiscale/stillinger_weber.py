"""Relaxed Stillinger-Weber silicon of the two-atom cell, batched in float64: test data that no code under test has touched.

F. H. Stillinger and T. A. Weber, Phys. Rev. B 31 (1985) 5262: E = sum_pairs f2(r_ij) + sum_triples h(r_ij, r_ik, theta_jik),
    f2 = eps A (B (sigma/r)^4 - 1) exp(sigma / (r - a sigma)),
    h  = eps lambda exp(gamma sigma / (r_ij - a sigma) + gamma sigma / (r_ik - a sigma)) (cos theta_jik + 1/3)^2.

With atoms at x = F (X + k xi), k = 0, 1, distances depend on C = F^T F and xi alone, so W(e, xi) has nine arguments; xi is
relaxed by Newton, and the relaxed Hessian is W_ee - W_ex W_xx^-1 W_xe (implicit differentiation).
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.func import grad, hessian, vmap

from multiscale.data.dataset import StressStrainData
from multiscale.laws.strain import first_piola, green_lagrange, tangent

EPSILON, SIGMA = 2.1683, 2.0951  # eV, A
A, B, CUTOFF, LAMBDA, GAMMA = 7.049556277, 0.6022245584, 1.8, 21.0, 1.2
EV_PER_CUBIC_ANGSTROM_IN_GPA = 160.21766208

LATTICE_CONSTANT = 5.430949778405212  # A, where the pressure of diamond silicon vanishes
LATTICE = 0.5 * LATTICE_CONSTANT * np.array([[0.0, 1, 1], [1, 0, 1], [1, 1, 0]])
BASIS = 0.25 * LATTICE_CONSTANT * np.ones(3)
VOLUME = abs(np.linalg.det(LATTICE))


def neighbour_shell(reach: float) -> tuple[Tensor, Tensor]:
    """Vectors (m, 3) from atom 0 to all others within `reach`, and the coefficient of xi in each, (m, 1)."""
    translations = np.stack(np.meshgrid(*[np.arange(-3, 4)] * 3, indexing="ij"), -1).reshape(-1, 3) @ LATTICE
    to_all = np.concatenate([translations, translations + BASIS])
    moves = np.repeat([0.0, 1.0], len(translations))
    distance = np.linalg.norm(to_all, axis=1)
    near = (distance > 1e-8) & (distance < reach)
    return torch.tensor(to_all[near]), torch.tensor(moves[near, None])


SHELL, MOVES = neighbour_shell(
    4.2
)  # the 4 + 12 nearest; the third shell, at 4.503 A, enters 3.77 A below a stretch of 0.84
FIRST, SECOND = torch.triu_indices(len(SHELL), len(SHELL), 1)


def energy_density(e: Tensor, xi: Tensor) -> Tensor:
    """W in GPa, per reference volume, of one state: strain components e (shear doubled), internal shift xi (A)."""
    half_shear = 0.5 * e[3:]
    E = torch.stack(
        [e[0], half_shear[2], half_shear[1], half_shear[2], e[1], half_shear[0], half_shear[1], half_shear[0], e[2]]
    ).reshape(3, 3)
    bonds = SHELL + MOVES * xi
    carried = bonds @ (torch.eye(3, dtype=e.dtype) + 2.0 * E)
    r = torch.sqrt((carried * bonds).sum(1)) / SIGMA
    inside = r < CUTOFF
    gap = torch.where(inside, r - CUTOFF, -1.0)
    pair = torch.where(inside, A * (B * r**-4 - 1.0) * torch.exp(1.0 / gap), 0.0)
    screen = torch.where(inside, torch.exp(GAMMA / gap), 0.0)
    cosine = (carried[FIRST] * bonds[SECOND]).sum(1) / (SIGMA * SIGMA * r[FIRST] * r[SECOND])
    triple = LAMBDA * screen[FIRST] * screen[SECOND] * (cosine + 1.0 / 3.0) ** 2
    # both atoms have this energy (an inversion swaps them), and a pair belongs to two atoms
    return 2.0 * EPSILON * (0.5 * pair.sum() + triple.sum()) * (EV_PER_CUBIC_ANGSTROM_IN_GPA / VOLUME)


def joint(x: Tensor) -> Tensor:
    return energy_density(x[:6], x[6:])


ENERGY, GRADIENT, HESSIAN = vmap(joint), vmap(grad(joint)), vmap(hessian(joint), chunk_size=64)


@dataclass(frozen=True)
class RelaxedStates:
    """Strain e, energy W, second Piola-Kirchhoff S = dW/de, D = d2W/de2, internal shift xi, internal Hessian positive."""

    strain: np.ndarray
    energy: np.ndarray
    stress: np.ndarray
    stiffness: np.ndarray
    clamped_stiffness: np.ndarray
    shift: np.ndarray
    stable: np.ndarray


def relaxed(F: np.ndarray) -> RelaxedStates:
    """The crystal at deformation gradients F (n, 3, 3), internal shift relaxed to 1e-12 GPa/A."""
    e = torch.tensor(green_lagrange(F))
    x = torch.cat([e, torch.zeros(len(e), 3, dtype=e.dtype)], dim=1)
    for _ in range(30):
        gradient = GRADIENT(x)[:, 6:]
        if gradient.abs().max() < 1e-11:
            break
        curvature, axes = torch.linalg.eigh(HESSIAN(x)[:, 6:, 6:])
        step = -(axes @ ((axes.transpose(1, 2) @ gradient[..., None]) / curvature.abs()[..., None]))[..., 0]
        longest = step.norm(dim=1, keepdim=True)
        x[:, 6:] += step * torch.clamp(0.2 / longest, max=1.0)
    else:
        raise AssertionError(f"the internal shift did not relax: {gradient.abs().max():.1e} GPa/A left")
    H = HESSIAN(x)
    clamped, mixed, internal = H[:, :6, :6], H[:, :6, 6:], H[:, 6:, 6:]
    stiffness = clamped - mixed @ torch.linalg.solve(internal, mixed.transpose(1, 2))
    energy = ENERGY(x) - joint(torch.zeros(9, dtype=torch.float64))
    return RelaxedStates(
        strain=e.numpy(),
        energy=energy.numpy(),
        stress=GRADIENT(x)[:, :6].numpy(),
        stiffness=stiffness.numpy(),
        clamped_stiffness=clamped.numpy(),
        shift=x[:, 6:].numpy(),
        stable=(torch.linalg.eigvalsh(internal)[:, 0] > 0).numpy(),
    )


def silicon_data(F: np.ndarray) -> StressStrainData:
    """The data set that a sampling run would write: W, P, A at F, and the exact reference tangent."""
    states, reference = relaxed(F), relaxed(np.eye(3)[None])
    return StressStrainData(
        deformation_gradient=F,
        energy=states.energy,
        first_piola=first_piola(F, states.stress),
        tangent=tangent(F, states.stress, states.stiffness),
        admissible=states.stable,
        reference_tangent=tangent(np.eye(3)[None], reference.stress, reference.stiffness)[0],
        crystal={"numbers": [14, 14], "cell": LATTICE.tolist(), "positions": [[0.0, 0.0, 0.0], BASIS.tolist()]},
        provenance={"reference": "Stillinger-Weber silicon, tests"},
    )
