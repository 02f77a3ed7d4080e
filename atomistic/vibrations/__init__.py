"""Vibrations of crystals: force constants, dispersion, densities of states, heat capacity, sound, thermal expansion.

`force_constants` are exact derivatives of a potential, `force_constants_by_differences` those of any ASE calculator; `phonopy_of` hands
either to phonopy, which sums over the Brillouin zone here too. See `docs/vibrations.md`.
"""

from atomistic.memory import HessianTooLarge
from atomistic.vibrations.exact import ResidualForces, force_constants
from atomistic.vibrations.force_constants import AcousticSumRuleViolated, ForceConstants, InvalidForceConstants
from atomistic.vibrations.harmonic import (
    DensityOfStates,
    Dispersion,
    HarmonicThermodynamics,
    ImaginaryModes,
    UnstableStructure,
    density_of_states,
    dispersion,
    thermal_properties,
)
from atomistic.vibrations.quasi_harmonic import QuasiHarmonic, ShapeHeld, VolumeOutOfRange, quasi_harmonic
from atomistic.vibrations.sound import christoffel_speeds, speeds_of_sound
from atomistic.vibrations.springs import Springs, chain, chain_frequencies
from atomistic.vibrations.velocity_spectrum import RunTooShort, dynamics_density_of_states, velocity_density_of_states
from atomistic.vibrations.with_phonopy import (
    PhonopyMissing,
    SupercellTooSmall,
    force_constants_by_differences,
    phonopy_of,
)

__all__ = [
    "AcousticSumRuleViolated",
    "DensityOfStates",
    "Dispersion",
    "ForceConstants",
    "HarmonicThermodynamics",
    "HessianTooLarge",
    "ImaginaryModes",
    "InvalidForceConstants",
    "PhonopyMissing",
    "QuasiHarmonic",
    "ResidualForces",
    "RunTooShort",
    "ShapeHeld",
    "Springs",
    "SupercellTooSmall",
    "UnstableStructure",
    "VolumeOutOfRange",
    "chain",
    "chain_frequencies",
    "christoffel_speeds",
    "density_of_states",
    "dispersion",
    "dynamics_density_of_states",
    "force_constants",
    "force_constants_by_differences",
    "phonopy_of",
    "quasi_harmonic",
    "speeds_of_sound",
    "thermal_properties",
    "velocity_density_of_states",
]
