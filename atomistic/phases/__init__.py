"""Phases: energy-volume curves and equations of state, their order and transitions, and what a potential knows of phases it has not seen.

`energy_volume` relaxes a phase over volumes with any ASE calculator, `BirchMurnaghan` is its equation of state, `common_tangent` and
`equal_enthalpy` find where two coexist, `transferability` leaves phases out of a training one at a time. See `docs/phases.md`.
"""

from atomistic.phases.energy_volume import EnergyVolume, PhaseChanged, energy_volume
from atomistic.phases.equation_of_state import BirchMurnaghan, MinimumNotBracketed, PressureOutOfRange, TooFewVolumes
from atomistic.phases.order import PhaseOrder, order_phases
from atomistic.phases.prototypes import UnknownPhase, prototype, structure_name
from atomistic.phases.transferability import Fit, NoStructures, PhaseError, table, transferability
from atomistic.phases.transitions import (
    NoCommonTangent,
    Transition,
    common_tangent,
    equal_enthalpy,
    ranking,
    stable_phases,
)

__all__ = [
    "BirchMurnaghan",
    "EnergyVolume",
    "Fit",
    "MinimumNotBracketed",
    "NoCommonTangent",
    "NoStructures",
    "PhaseChanged",
    "PhaseError",
    "PhaseOrder",
    "PressureOutOfRange",
    "TooFewVolumes",
    "Transition",
    "UnknownPhase",
    "common_tangent",
    "energy_volume",
    "equal_enthalpy",
    "order_phases",
    "prototype",
    "ranking",
    "stable_phases",
    "structure_name",
    "table",
    "transferability",
]
