"""The law that asks the atoms: a potential evaluated at every point, behind the protocol of the finite elements.

It is exact for its potential and thousands of times slower than a fitted law: the truth to compare with.
"""

import numpy as np
from ase import Atoms
from jaxtyping import Float
from numpy import ndarray

from atomistic import EV_PER_CUBIC_ANGSTROM_IN_GPA, CauchyBorn, NeuralPotential
from fem.c_function import CFunction
from fem.law import Response
from multiscale.laws.compiled_law import CompiledLaw


class UnstableCrystal(RuntimeError):
    """The crystal has no stable internal state at a deformation gradient."""


class CauchyBornLaw(CompiledLaw):
    """Relaxed Cauchy-Born evaluation of `potential` (GPa); see `atomistic.CauchyBorn` for the equations.

    Args:
        crystal: the primitive cell at F = I, relaxed by the potential.
        potential: the neural potential.
    """

    def __init__(self, crystal: Atoms, potential: NeuralPotential, *, force_tolerance: float = 1e-8) -> None:
        self.cauchy_born = CauchyBorn(crystal, potential, force_tolerance=force_tolerance)

    def in_c(self) -> CFunction | None:
        """None: atoms are asked in Python."""
        return None

    def in_numpy(self, F: Float[ndarray, "n 3 3"], *, tangent: bool, trust: bool) -> Response:
        """W, P and A of the relaxed crystal at every point.

        Raises:
            UnstableCrystal: naming the first point without a stable internal state.
        """
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
