"""Minimum energy paths and barriers, at fixed cell and between phases, on any ASE calculator.

`minimum_energy_path` and `phase_path` find them, `learn_path` teaches a potential what a path needs,
`atomistic.paths.lattice` is the discrete model.
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
from atomistic.paths.learning import LearnedPath, PathNotLearned, learn_path
from atomistic.paths.stationary import StationaryPoint

__all__ = [
    "EquivalentEnds",
    "InvalidEnds",
    "LearnedPath",
    "NotAMinimum",
    "PathFailed",
    "PathNotLearned",
    "PathSettings",
    "PermutedEnds",
    "ReactionPath",
    "SameEnds",
    "StationaryPoint",
    "learn_path",
    "match_ends",
    "minimum_energy_path",
    "phase_path",
]
