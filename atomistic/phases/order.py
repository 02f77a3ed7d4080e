r"""The order of phases by a potential that knows how wrong it may be, and whether that order can be trusted.

A step from one phase to the next above it is sure where it exceeds the standard deviation expected of it,

    E_b - E_a > sqrt( s_a^2 + s_b^2 ),

s the calibrated standard deviation of the energy an atom of each. Errors of a phase left out of the training differ from phase to phase
and so add up as if independent; a common offset would cancel, so that the criterion errs on the side of doubt.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from ase import Atoms

from atomistic.calibration import CalibratedUncertainty
from atomistic.phases.transferability import energy_an_atom


@dataclass(frozen=True)
class PhaseOrder:
    """Phases by energy.

    Attributes:
        above: of each phase the energy above the lowest, eV/atom, ascending.
        deviation: the standard deviation expected of each one's energy, eV/atom.
    """

    above: dict[str, float]
    deviation: dict[str, float]

    @property
    def sure(self) -> bool:
        """Whether every step from phase to phase exceeds its standard deviation."""
        return all(
            self.above[b] - self.above[a] > np.hypot(self.deviation[a], self.deviation[b])
            for a, b in pairwise(self.above)
        )


def order_phases(uncertainty: CalibratedUncertainty, structures: Mapping[str, Atoms]) -> PhaseOrder:
    """The order of structures, one a phase: relaxed by the potential, or those of a reference whose order is in question.

    Raises:
        ValueError: for no structures.
        InvalidEstimator: where the estimator gives no uncertainty of the energy.
        UnknownElement, InvalidStructure: as `NeuralPotential.predict`.
    """
    if not structures:
        raise ValueError("no structures to put in order; expected one of each phase")
    energy, deviation = {}, {}
    for name, atoms in structures.items():
        prediction, expected = uncertainty.predict(atoms)
        energy[name] = prediction.energy / len(atoms)
        deviation[name] = energy_an_atom(expected)
    lowest = min(energy.values())
    return PhaseOrder(
        {name: energy[name] - lowest for name in sorted(energy, key=lambda name: energy[name])}, deviation
    )
