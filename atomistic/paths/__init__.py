"""Minimum energy paths and barriers, at fixed cell and between phases, on any ASE calculator.

`minimum_energy_path` and `phase_path` find them, `learn_path` teaches a potential what a path needs, `LatticePath` is the discrete model.
"""

from atomistic.paths.band import (
    NotAMinimum,
    PathFailed,
    PathSettings,
    ReactionPath,
    minimum_energy_path,
    phase_path,
)
from atomistic.paths.ends import EquivalentEnds, InvalidEnds, PermutedEnds, SameEnds, match_ends
from atomistic.paths.stationary import StationaryPoint

__all__ = [
    "EquivalentEnds",
    "InvalidEnds",
    "NotAMinimum",
    "PathFailed",
    "PathSettings",
    "PermutedEnds",
    "ReactionPath",
    "SameEnds",
    "StationaryPoint",
    "match_ends",
    "minimum_energy_path",
    "phase_path",
]
