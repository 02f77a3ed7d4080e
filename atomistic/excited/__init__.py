"""Excited states: diabatic Hamiltonians learned from adiabatic labels, their intersections, and dynamics between surfaces.

`fit_diabatic` fits a `DiabaticNetwork` to `AdiabaticLabels`; `adiabatic_states` gives energies, gradients and couplings
of any Hamiltonian, `conical_intersection` and `geometric_phase` what is special where surfaces meet, `surface_hopping`
and `propagate` how nuclei move among them. See `docs/excited_states.md`.
"""

from atomistic.excited.adiabatic import AdiabaticStates, DegenerateStates, adiabatic_states, slopes_along
from atomistic.excited.hamiltonian import DiabaticNetwork, Hamiltonian, NotAGroup, Symmetry
from atomistic.excited.intersection import (
    CoarseLoop,
    Intersection,
    NoIntersection,
    conical_intersection,
    geometric_phase,
)
from atomistic.excited.labels import AdiabaticLabels, InvalidLabels, UnorderedStates
from atomistic.excited.surface_hopping import Hopping, StepTooLong, Swarm, start_on, surface_hopping
from atomistic.excited.training import DiabaticFit, FitFailed, fit_diabatic
from atomistic.excited.transport import transported
from atomistic.excited.wave_packet import GridTooSmall, WavePacket, propagate

__all__ = [
    "AdiabaticLabels",
    "AdiabaticStates",
    "CoarseLoop",
    "DegenerateStates",
    "DiabaticFit",
    "DiabaticNetwork",
    "FitFailed",
    "GridTooSmall",
    "Hamiltonian",
    "Hopping",
    "Intersection",
    "InvalidLabels",
    "NoIntersection",
    "NotAGroup",
    "StepTooLong",
    "Swarm",
    "Symmetry",
    "UnorderedStates",
    "WavePacket",
    "adiabatic_states",
    "conical_intersection",
    "fit_diabatic",
    "geometric_phase",
    "propagate",
    "slopes_along",
    "start_on",
    "surface_hopping",
    "transported",
]
