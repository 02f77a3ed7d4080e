"""The 13 arguments of a polyconvex law (multiscale.laws.polyconvex_network), as functions of strain with closed-form derivatives.

They are the components of (C - I) / 2 and (cof C - I) / 2, shear doubled, and J - 1. With C = I + 2 E and cof C = J^2 C^-1 the second is

    (cof C - I) / 2 = tr(E) I - E + 2 cof E,

quadratic in E, and none of them loses digits near F = I.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from multiscale.laws.jets import UNIT, Jet, exponential, log_volume
from multiscale.laws.strain import SHEAR_DOUBLING, green_lagrange, strain_tensor
from multiscale.symmetry.material_symmetry import MaterialSymmetry
from multiscale.symmetry.point_group import PointGroup

ARGUMENTS: Final = 13
"""How many."""


def cofactor_components(e: Float[ndarray, "n 6"]) -> Float[ndarray, "n 6"]:
    """Components (shear doubled) of cof E = E^2 - E tr E + 1/2 (tr^2 E - tr E^2) I."""
    E = strain_tensor(e)
    square, trace = E @ E, np.trace(E, axis1=1, axis2=2)[:, None, None]
    second = 0.5 * (trace**2 - np.trace(square, axis1=1, axis2=2)[:, None, None])
    cofactor = square - trace * E + second * np.eye(3)
    return np.asarray(cofactor[:, [0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]] * SHEAR_DOUBLING)


TRACE = np.outer(UNIT, UNIT) - np.eye(6)
"""The matrix of E -> tr(E) I - E."""
PAIRS = (np.eye(6)[:, None] + np.eye(6)[None]).reshape(36, 6)
BEND = 2.0 * (
    cofactor_components(PAIRS).reshape(6, 6, 6)
    - cofactor_components(np.eye(6))[:, None]
    - cofactor_components(np.eye(6))
).transpose(2, 0, 1)
"""d2/de2 of each component of 2 cof E."""


def arguments(F: Float[ndarray, "n 3 3"]) -> Jet:
    """The 13 arguments with their derivatives by strain: (cof C - I) / 2 = tr(E) I - E + 2 cof E."""
    e = green_lagrange(F)
    n = len(e)
    bent = np.einsum("aij,nj->nai", BEND, e)
    strain = Jet(e, np.broadcast_to(np.eye(6), (n, 6, 6)), np.zeros((n, 6, 6, 6)))
    cofactor = Jet(
        e @ TRACE.T + 0.5 * np.einsum("nai,ni->na", bent, e), TRACE + bent, np.broadcast_to(BEND, (n, 6, 6, 6))
    )
    log = log_volume(F)
    volume = exponential(log, 1.0)
    return Jet.stack([strain, cofactor, Jet(np.expm1(log.value), volume.gradient, volume.hessian)])


@dataclass(frozen=True)
class PolyconvexArguments:
    """The same as multiscale.laws.network_terms.Arguments."""

    kernel = "polyconvex"

    @property
    def tables(self) -> Float[ndarray, "0 0"]:
        return np.zeros((0, 0))

    def jet(self, F: Float[ndarray, "n 3 3"]) -> Jet:
        return arguments(F)


def argument_action(symmetry: MaterialSymmetry) -> Float[ndarray, "g 13 13"]:
    """How the rotations that a neuron is averaged over act on the arguments; the identity alone for an infinite group."""
    Q = symmetry.strain_action if isinstance(symmetry, PointGroup) else np.eye(6)[None]
    action = np.zeros((len(Q), ARGUMENTS, ARGUMENTS))
    action[:, :6, :6] = action[:, 6:12, 6:12] = Q
    action[:, 12, 12] = 1.0
    return action


def pressure_jet(F: Float[ndarray, "n 3 3"], pressure: float) -> Jet:
    """ln J where the pull lambda is positive, J - 1 where it is negative: minus lambda times this is convex in J."""
    log = log_volume(F)
    if pressure >= 0.0:
        return log
    volume = exponential(log, 1.0)
    return Jet(np.expm1(log.value), volume.gradient, volume.hessian)
