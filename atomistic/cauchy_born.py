r"""The Cauchy-Born law of a crystal: relaxed energy, stress and exact tangent at every deformation gradient, in one batch.

Atoms of the primitive cell sit at x = F (X + w); w are internal displacements in the reference frame, so that W(QF, w) = W(F, w).
With the cell's energy E and the reference volume V,

    W(F) = min_w E(F, w) / V,      P = E_F / V,      A = (E_FF - E_Fw E_ww^{-1} E_wF) / V:

the Born term minus the internal relaxation, by implicit differentiation of E_w(F, w(F)) = 0 (Born and Huang 1954, ch. 3; Tadmor and
others, Phys. Rev. B 59 (1999) 235). Atom 0 stays put, which removes the translations. All derivatives are those of the potential
itself: E depends on F and w through the edge vectors r = F (D + w_j - w_i) alone.

A state whose internal Hessian E_ww is not positive definite, or whose atoms run away while relaxing, is no minimum: it is flagged,
and its numbers are those of where the relaxation stopped.
"""

from dataclasses import dataclass

import numpy as np
import torch
from ase import Atoms
from jaxtyping import Bool, Float
from numpy import ndarray
from numpy.typing import ArrayLike
from torch import Tensor

from atomistic.crystal import check_crystal
from atomistic.neighbours import NeighbourTable, neighbour_table
from atomistic.potential import NeuralPotential


class InvalidDeformation(ValueError):
    """A deformation gradient with wrong shape, NaN or det F <= 0."""


@dataclass(frozen=True)
class CauchyBornResponse:
    """Relaxed states of n deformation gradients.

    Attributes:
        energy: W relative to F = I, eV/A^3 of reference volume.
        first_piola: P, eV/A^3.
        tangent: A[i,J,k,L] = dP[i,J]/dF[k,L], eV/A^3; None where not asked for.
        internal_displacement: w of every atom of the cell (Angstrom, reference frame).
        stable: whether the state is a minimum: relaxed to the force tolerance, the internal Hessian positive definite.
    """

    energy: Float[ndarray, "n"]
    first_piola: Float[ndarray, "n 3 3"]
    tangent: Float[ndarray, "n 3 3 3 3"] | None
    internal_displacement: Float[ndarray, "n atoms 3"]
    stable: Bool[ndarray, "n"]


class CauchyBorn:
    """A crystal under homogeneous deformation, its internal coordinates relaxed by a neural potential.

    Args:
        crystal: the reference cell (F = I); take the primitive one, relaxed by the same potential.
        potential: the neural potential.
        force_tolerance: largest force on an atom of a relaxed state, eV/A.
        batch: states evaluated at once; bounds the memory.

    Raises:
        InvalidCrystal: for what is no crystal.
        UnknownElement: for an element the potential does not know.
    """

    def __init__(
        self, crystal: Atoms, potential: NeuralPotential, *, force_tolerance: float = 1e-8, batch: int = 256
    ) -> None:
        check_crystal(crystal)
        potential.check_elements(crystal)
        self.crystal = crystal
        self.potential = potential
        self.force_tolerance = force_tolerance
        self.batch = batch
        self.volume = float(crystal.get_volume())
        identity = self._relaxed(self._tensor(np.eye(3)[None]))
        self._reference_energy = float(self._energy(identity.deformation, identity.displacement, identity.table)[0])

    def evaluate(
        self, deformation_gradient: ArrayLike, *, tangent: bool = True, relax: bool = True
    ) -> CauchyBornResponse:
        """W, P and (if `tangent`) A at every deformation gradient F (n, 3, 3); each relaxed from a cold start, w = 0.

        With `relax=False` the internal displacements stay zero and A is the Born term alone (clamped ions).

        Raises:
            InvalidDeformation: naming the first bad point.
        """
        F = _checked(deformation_gradient)
        parts = [
            self._evaluate_batch(self._tensor(F[start : start + self.batch]), tangent, relax)
            for start in range(0, len(F), self.batch)
        ]
        if not parts:
            parts = [self._empty(tangent)]
        return CauchyBornResponse(
            energy=np.concatenate([part.energy for part in parts]),
            first_piola=np.concatenate([part.first_piola for part in parts]),
            tangent=np.concatenate([part.tangent for part in parts if part.tangent is not None]) if tangent else None,
            internal_displacement=np.concatenate([part.internal_displacement for part in parts]),
            stable=np.concatenate([part.stable for part in parts]),
        )

    def _evaluate_batch(self, F: Tensor, tangent: bool, relax: bool) -> CauchyBornResponse:
        state = self._relaxed(F) if relax else self._clamped(F)
        free = 3 * (len(self.crystal) - 1)
        F = state.deformation.clone().requires_grad_()
        w = state.displacement.clone().requires_grad_()
        energy = self._energy(F, w, state.table)
        energy_F, energy_w = torch.autograd.grad(energy.sum(), (F, w), create_graph=tangent)
        A = None
        if tangent:
            n = len(F)
            gradient = torch.cat([energy_F.reshape(n, 9), energy_w.reshape(n, free)], dim=1)
            hessian = torch.stack([_second(gradient[:, k], F, w) for k in range(9 + free)], dim=1)
            born = hessian[:, :9, :9]
            if free and relax:
                mixed = hessian[:, :9, 9:]
                born = born - mixed @ torch.linalg.solve(hessian[:, 9:, 9:], mixed.transpose(1, 2))
            A = (born.reshape(n, 3, 3, 3, 3) / self.volume).detach().cpu().numpy()
        return CauchyBornResponse(
            energy=((energy.detach() - self._reference_energy) / self.volume).cpu().numpy(),
            first_piola=(energy_F.detach() / self.volume).cpu().numpy(),
            tangent=A,
            internal_displacement=torch.nn.functional.pad(w.detach(), (0, 0, 1, 0)).cpu().numpy(),
            stable=state.stable.cpu().numpy(),
        )

    def _tensor(self, array: ndarray) -> Tensor:
        return torch.from_numpy(array).to(self.potential.device)

    def _empty(self, tangent: bool) -> CauchyBornResponse:
        return CauchyBornResponse(
            energy=np.zeros(0),
            first_piola=np.zeros((0, 3, 3)),
            tangent=np.zeros((0, 3, 3, 3, 3)) if tangent else None,
            internal_displacement=np.zeros((0, len(self.crystal), 3)),
            stable=np.zeros(0, dtype=bool),
        )

    def _energy(self, F: Tensor, w: Tensor, table: NeighbourTable) -> Float[Tensor, "n"]:
        """Energy (eV) of each state's cell; w (n, atoms - 1, 3) leaves out atom 0."""
        n, atoms = len(F), len(self.crystal)
        displacement = torch.nn.functional.pad(w, (0, 0, 1, 0))
        with torch.no_grad():
            edges = table.vectors + displacement[:, table.index] - displacement[:, :, None]
            distance = torch.einsum("nij,namj->nami", F, edges).square().sum(-1)
            distance = torch.where(table.mask, distance, torch.inf)
            inside = distance < self.potential.cutoff**2
            # The table reaches far enough for all states: keep, for each atom, as many as the most crowded one has.
            chosen = distance.argsort(dim=2)[:, :, : int(inside.sum(2).max())]
            mask = inside.gather(2, chosen)
            row = torch.arange(atoms, device=F.device)[None, :, None]
            vectors, index = table.vectors[row, chosen], table.index[row, chosen]
        state = torch.arange(n, device=F.device)[:, None, None]
        edges = vectors + displacement[state, index] - displacement[:, :, None]
        batch = NeighbourTable(
            vectors=torch.einsum("nij,namj->nami", F, edges).reshape(n * atoms, -1, 3),
            index=index.reshape(n * atoms, -1),
            mask=mask.reshape(n * atoms, -1),
            numbers=table.numbers.repeat(n),
        )
        return self.potential.atomic_energies(batch).reshape(n, atoms).sum(1)

    def _table(self, F: Tensor, reach: float) -> NeighbourTable:
        """Reference neighbours that cover the cutoff in every state of the batch, with internal displacements up to `reach`."""
        smallest_stretch = float(torch.linalg.svdvals(F).min())
        return neighbour_table(self.crystal, self.potential.cutoff / smallest_stretch + 2.0 * reach).to(F.device)

    def _clamped(self, F: Tensor) -> "_State":
        w = F.new_zeros(len(F), len(self.crystal) - 1, 3)
        return _State(F, w, torch.ones(len(F), dtype=torch.bool, device=F.device), self._table(F, 0.0))

    def _relaxed(self, F: Tensor, *, reach: float = 0.4, max_steps: int = 60) -> "_State":
        """Newton's method for the internal displacements of all states, with steps bounded and made downhill.

        Where the Hessian is indefinite the absolute values of its eigenvalues are used, so that the step still descends. States
        whose atoms move further than `reach` (Angstrom), or that do not converge, are marked as not stable.
        """
        state = self._clamped(F)
        if len(self.crystal) == 1:
            return state
        table = self._table(F, reach)
        w = state.displacement.clone()
        stable = state.stable.clone()
        active = torch.arange(len(F), device=F.device)
        for _ in range(max_steps):
            if len(active) == 0:
                break
            deformation, displacement = F[active], w[active].requires_grad_()
            energy = self._energy(deformation, displacement, table)
            (gradient,) = torch.autograd.grad(energy.sum(), displacement, create_graph=True)
            flat = gradient.reshape(len(active), -1)
            # w lives in the reference frame: the force on an atom is -F^-T dE/dw.
            force = torch.linalg.solve(deformation.transpose(1, 2), gradient.detach().transpose(1, 2))
            hessian = torch.stack(
                [
                    torch.autograd.grad(flat[:, k].sum(), displacement, retain_graph=True)[0].reshape(len(active), -1)
                    for k in range(flat.shape[1])
                ],
                dim=1,
            )
            eigenvalues, eigenvectors = torch.linalg.eigh(hessian)
            stable[active] = eigenvalues[:, 0] > 0.0
            unfinished = force.abs().amax((1, 2)) > self.force_tolerance
            modes = torch.einsum("nki,nk->ni", eigenvectors, flat.detach()) / eigenvalues.abs().clamp(min=1e-3)
            step = -torch.einsum("nik,nk->ni", eigenvectors, modes).reshape(displacement.shape)
            step = step * (0.1 / step.norm(dim=2).amax(1).clamp(min=0.1))[:, None, None]
            moved = displacement.detach() + torch.where(unfinished[:, None, None], step, 0.0)
            astray = ~(moved.norm(dim=2).amax(1) <= reach)
            stable[active[astray]] = False
            w[active[~astray]] = moved[~astray]
            active = active[unfinished & ~astray]
        stable[active] = False
        return _State(F, w, stable, table)


@dataclass(frozen=True)
class _State:
    deformation: Tensor
    displacement: Tensor
    stable: Tensor
    table: NeighbourTable


def _second(component: Tensor, F: Tensor, w: Tensor) -> Tensor:
    """Gradient of one component of the gradient by (F, w), one row a state."""
    by_F, by_w = torch.autograd.grad(component.sum(), (F, w), retain_graph=True, materialize_grads=True)
    return torch.cat([by_F.reshape(len(F), 9), by_w.reshape(len(F), -1)], dim=1)


def _checked(deformation_gradient: ArrayLike) -> Float[ndarray, "n 3 3"]:
    F = np.ascontiguousarray(deformation_gradient, dtype=np.float64)
    if F.ndim != 3 or F.shape[1:] != (3, 3):
        raise InvalidDeformation(f"F has shape {F.shape}, expected (n, 3, 3)")
    if not np.isfinite(F).all():
        raise InvalidDeformation(f"F is not finite at point {int(np.argmin(np.isfinite(F).all((1, 2))))}")
    determinant = np.linalg.det(F)
    if (determinant <= 0.0).any():
        point = int(np.argmin(determinant))
        raise InvalidDeformation(f"det F = {determinant[point]:.6g} at point {point}, expected a positive number")
    return F
