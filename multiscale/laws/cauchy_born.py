"""The law that asks the atoms: a potential evaluated at every point, behind the protocol of the finite elements.

It is exact for its potential and thousands of times slower than a fitted law: the truth to compare with.
"""

from collections.abc import Mapping

import numpy as np
from ase import Atoms
from jaxtyping import Float
from numpy import ndarray

from atomistic import EV_PER_CUBIC_ANGSTROM_IN_GPA, CauchyBorn, NeuralPotential
from fem.law import Response, check_deformation_gradient


class UnstableCrystal(RuntimeError):
    """The crystal has no stable internal state at a deformation gradient."""


class CauchyBornLaw:
    """Relaxed Cauchy-Born evaluation of `potential` (GPa); see `atomistic.CauchyBorn` for the equations.

    Args:
        crystal: the primitive cell at F = I, relaxed by the potential.
        potential: the neural potential.
    """

    def __init__(self, crystal: Atoms, potential: NeuralPotential, *, force_tolerance: float = 1e-8) -> None:
        self.cauchy_born = CauchyBorn(crystal, potential, force_tolerance=force_tolerance)

    def evaluate(
        self,
        deformation_gradient: Float[ndarray, "n 3 3"],
        state: Mapping[str, ndarray] | None = None,
        *,
        tangent: bool = True,
        trust: bool = False,
    ) -> Response:
        """W, P and A of the relaxed crystal at every point.

        Raises:
            ShapeError, InadmissibleDeformation: for what is no deformation gradient.
            UnstableCrystal: naming the first point without a stable internal state.
        """
        F = check_deformation_gradient(deformation_gradient)
        answer = self.cauchy_born.evaluate(F, tangent=tangent)
        if not answer.stable.all():
            point = int(np.argmin(answer.stable))
            raise UnstableCrystal(
                f"point {point}: the crystal has no stable internal state at F = {np.round(F[point], 4).tolist()}; the load is too large"
            )
        return Response(
            energy=EV_PER_CUBIC_ANGSTROM_IN_GPA * answer.energy,
            first_piola=EV_PER_CUBIC_ANGSTROM_IN_GPA * answer.first_piola,
            tangent=None if answer.tangent is None else EV_PER_CUBIC_ANGSTROM_IN_GPA * answer.tangent,
        )
