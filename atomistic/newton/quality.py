r"""How good a Newton step with another model's Hessian is: what it gains on the reference's surface beside the exact one.

With the reference's gradient g and Hessian H_ref, and the other Hessian H,

    quality = [ E(x) - E(x - H^-1 g) ] / [ E(x) - E(x - H_ref^-1 g) ],

energies of the reference at all three places. One is as good as exact, above one is luck with what lies beyond second order, below zero
went uphill. On a quadratic surface quality = 1 - e . H_ref e / g . H_ref^-1 g, with e the difference of the steps: second order in the
error of H. Where a Hessian is not positive definite -H^-1 g leads uphill along some mode; then both steps are trust-region steps
(`atomistic.newton.steps`), and `definite` says so.
"""

from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator
from jaxtyping import Float
from numpy import ndarray

from atomistic.newton.hessian_labels import check_hessian
from atomistic.newton.rigid import free_coordinates
from atomistic.newton.steps import Step, quadratic_step


class NothingGained(RuntimeError):
    """The exact step does not lower the reference's energy, so that nothing can be compared with what it gains."""


@dataclass(frozen=True)
class StepQuality:
    """Energies gained by two steps from one place.

    Attributes:
        gained: by the step with the other Hessian, eV.
        exact: by the step with the reference's, eV.
        definite: whether both were -H^-1 g with positive definite H, shorter than the radius.
    """

    gained: float
    exact: float
    definite: bool

    @property
    def quality(self) -> float:
        """Gained over exact."""
        return self.gained / self.exact


def step_quality(
    atoms: Atoms,
    calculator: Calculator,
    hessian: Float[ndarray, "_ _"],
    reference: Float[ndarray, "_ _"],
    *,
    radius: float = 0.1,
) -> StepQuality:
    """The quality of the step with `hessian` at a structure; three force calls.

    Args:
        atoms: where the steps start.
        calculator: the reference.
        hessian, reference: the Hessian in question and the reference's own, eV/A^2.
        radius: bound on the root mean square displacement of the atoms, Angstrom.

    Raises:
        InvalidHessian: for a Hessian of wrong shape, asymmetric or not finite.
        NothingGained: where the exact step does not lower the energy.
    """
    moving: Atoms = atoms.copy()
    moving.calc = calculator
    free = free_coordinates(moving)
    gradient = -moving.get_forces().ravel()[free.index]
    start = float(moving.get_potential_energy())

    def taken(matrix: Float[ndarray, "_ _"]) -> tuple[Step, float]:
        """A step and the energy it gains."""
        matrix = check_hessian(matrix, len(atoms))[np.ix_(free.index, free.index)]
        step = quadratic_step(
            free.basis.T @ gradient, free.basis.T @ matrix @ free.basis, radius=radius * float(np.sqrt(len(atoms)))
        )
        whole = free.expanded(free.basis @ step.displacement, len(atoms))
        moving.positions = atoms.positions + whole.reshape(-1, 3)
        return step, start - float(moving.get_potential_energy())

    (learned, gained), (exact, most) = taken(hessian), taken(reference)
    if not most > 0.0:
        raise NothingGained(
            f"the exact step gains {most:.3g} eV, expected more than zero; take a smaller radius or start nearer to the minimum"
        )
    return StepQuality(gained, most, not any(step.negative or step.bounded for step in (learned, exact)))
