"""Strong ellipticity of any law: the smallest eigenvalue of its acoustic tensor, over states and directions.

A plane wave u = a f(n.X - c t) of small amplitude on a homogeneously strained body obeys Q a = rho0 c^2 a with the acoustic tensor

    Q_ik(F, n) = A_iJkL n_J n_L,    |n| = 1    (n in the reference configuration).

The law is strongly elliptic at F where lambda(F) = min over |n| = |a| = 1 of a.Q(F, n).a is positive (Legendre-Hadamard;
Truesdell and Noll, The Non-Linear Field Theories of Mechanics, 1965, section 44). Where lambda <= 0 a body of this material may
localise into bands of normal n and jump a, and finite elements then depend on their mesh.

a.Q.a = A:(a n):(a n) is quadratic in n and in a, each at the other fixed. Directions on a half-sphere give where to start; then n
becomes the lowest eigenvector of M_JL = a_i A_iJkL a_k and a that of Q(n), in turns. Every turn lowers the value, and where
it rests the gradient 2 (M n - lambda n) on the sphere vanishes: that is an M-eigenvalue of A (Qi, Dai and Han, Front. Math.
China 4 (2009) 349).
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from fem.law import Law
from multiscale.laws.strain import green_lagrange
from multiscale.trust.domain import Domain

STATES, DIRECTIONS = 2000, 50
"""Deformation gradients and directions that a check looks at: 1e5 pairs."""

CHUNK: Final = 256
"""Tangents at a time: with all directions 4 MiB."""

STARTS, APART = 4, 0.85
"""Directions that a minimum is sought from, and the largest cosine between two of them."""

TURNS, RESTED = 200, 1e-10
"""At most so many turns; a state rests when one lowers its value by less than this fraction of its tangent's size."""


class NothingToCheck(ValueError):
    """Neither states, nor a domain to draw them from."""


@dataclass(frozen=True)
class AcousticMinimum:
    """Where a.Q(n).a is least, for each of n tangents: its value (in the tangent's unit), unit normal and unit polarisation."""

    eigenvalue: Float[ndarray, "n"]
    normal: Float[ndarray, "n 3"]
    polarisation: Float[ndarray, "n 3"]


@dataclass(frozen=True, eq=False)
class Ellipticity:
    """What a check found.

    Attributes:
        deformation_gradient: F (n, 3, 3), the states looked at.
        minimum: of each of them.
        distance: (n,) Frobenius distance of the strain to the nearest state that the law was made from; None where it says none.
    """

    deformation_gradient: Float[ndarray, "n 3 3"]
    minimum: AcousticMinimum
    distance: Float[ndarray, "n"] | None

    @property
    def weakest(self) -> int:
        """Index of the state with the smallest eigenvalue."""
        return int(np.argmin(self.minimum.eigenvalue))

    @property
    def smallest(self) -> float:
        """The smallest eigenvalue."""
        return float(self.minimum.eigenvalue[self.weakest])

    @property
    def lost(self) -> Bool[ndarray, "n"]:
        """Where the law is not strongly elliptic."""
        return np.asarray(self.minimum.eigenvalue <= 0.0)

    def __str__(self) -> str:
        k, count = self.weakest, len(self.deformation_gradient)
        away = "" if self.distance is None else f", {self.distance[k]:.3g} in strain from the nearest training state"
        where = (
            f"smallest acoustic eigenvalue {self.smallest:.3g} for n = {np.round(self.minimum.normal[k], 3).tolist()}, "
            f"a = {np.round(self.minimum.polarisation[k], 3).tolist()}, "
            f"F = {np.round(self.deformation_gradient[k], 4).tolist()}{away}"
        )
        if not self.lost.any():
            return f"strongly elliptic at {count} states: {where}"
        return f"not strongly elliptic at {int(self.lost.sum())} of {count} states: {where}"


def check_ellipticity(
    law: Law, deformation_gradient: Float[ndarray, "n 3 3"] | None = None, *, states: int = STATES, seed: int = 0
) -> Ellipticity:
    """The smallest acoustic eigenvalue of a law at each of many states, by default drawn from its domain (Domain.states).

    Memory beyond the answer is bounded: tangents are looked at a few hundred at a time.

    Args:
        law: anything with `evaluate`.
        deformation_gradient: the states; by default `states` of them from `law.domain`, its training states among them.
        seed: of the states drawn.

    Raises:
        NothingToCheck: no states are given, and the law has no domain.
        fem.law.InadmissibleDeformation: det F <= 0 somewhere.
    """
    domain = getattr(law, "domain", None)
    if deformation_gradient is None:
        if not isinstance(domain, Domain):
            raise NothingToCheck(
                f"the {type(law).__name__} has no domain to draw states from; expected deformation_gradient (n, 3, 3)"
            )
        deformation_gradient = domain.states(states, seed)
    F = np.ascontiguousarray(deformation_gradient, dtype=np.float64)
    if len(F) == 0:
        raise NothingToCheck("deformation_gradient holds no state, expected at least one")
    parts = []
    for start in range(0, len(F), CHUNK):
        tangent = law.evaluate(F[start : start + CHUNK], tangent=True).tangent
        if tangent is None:
            raise NothingToCheck(f"the {type(law).__name__} returned no tangent though it was asked for")
        parts.append(acoustic_minimum(tangent))
    minimum = AcousticMinimum(
        np.concatenate([part.eigenvalue for part in parts]),
        np.concatenate([part.normal for part in parts]),
        np.concatenate([part.polarisation for part in parts]),
    )
    distance = domain.distance(green_lagrange(F)) if isinstance(domain, Domain) else None
    return Ellipticity(F, minimum, distance)


def acoustic_tensor(tangent: Float[ndarray, "n 3 3 3 3"], normal: Float[ndarray, "n 3"]) -> Float[ndarray, "n 3 3"]:
    """Q_ik = A_iJkL n_J n_L, one direction a tangent."""
    n = len(tangent)
    # A n, then (A n) n, as products of small matrices
    half = (tangent.reshape(n, 27, 3) @ normal[:, :, None]).reshape(n, 3, 3, 3)
    return np.asarray(np.einsum("niJk,nJ->nik", half, normal))


def acoustic_minimum(tangent: Float[ndarray, "n 3 3 3 3"]) -> AcousticMinimum:
    """min over |n| = |a| = 1 of a.Q(n).a for each tangent A (with major symmetry)."""
    starts = scanned_normals(tangent)
    n, k = starts.shape[:2]
    found = descend(np.repeat(tangent, k, axis=0), starts.reshape(n * k, 3))
    best = np.argmin(found.eigenvalue.reshape(n, k), axis=1) + k * np.arange(n)
    return AcousticMinimum(found.eigenvalue[best], found.normal[best], found.polarisation[best])


def scanned_normals(tangent: Float[ndarray, "n 3 3 3 3"]) -> Float[ndarray, "n k 3"]:
    """Of many directions those of least eigenvalue, each `APART` from the ones before: one may lead to a mere local minimum."""
    directions, n = half_sphere(DIRECTIONS), len(tangent)
    dyads = (directions[:, :, None] * directions[:, None, :]).reshape(-1, 9)
    Q = tangent.transpose(0, 1, 3, 2, 4).reshape(n, 9, 9) @ dyads.T
    eigenvalues = np.linalg.eigvalsh(Q.transpose(0, 2, 1).reshape(n, -1, 3, 3))[:, :, 0]
    starts = np.empty((n, STARTS, 3))
    for k in range(STARTS):
        starts[:, k] = directions[np.argmin(eigenvalues, axis=1)]
        eigenvalues[np.abs(starts[:, k] @ directions.T) > APART] = np.inf
    return starts


def descend(tangent: Float[ndarray, "n 3 3 3 3"], normal: Float[ndarray, "n 3"]) -> AcousticMinimum:
    """The minimum of a.Q(n).a that turns from these normals lead to."""
    normal, polarisation = normal.copy(), lowest(acoustic_tensor(tangent, normal))[1]
    # M(a) is the acoustic tensor of the tangent with its two index pairs turned over
    turned = np.ascontiguousarray(tangent.transpose(0, 2, 1, 4, 3))
    value = np.full(len(tangent), np.inf)
    rested = RESTED * np.abs(tangent).max(axis=(1, 2, 3, 4))
    moving = np.arange(len(tangent))
    for _ in range(TURNS):
        normal[moving] = lowest(acoustic_tensor(turned[moving], polarisation[moving]))[1]
        lower, polarisation[moving] = lowest(acoustic_tensor(tangent[moving], normal[moving]))
        fallen = value[moving] - lower
        value[moving] = lower
        moving = moving[fallen > rested[moving]]
        if not len(moving):
            break
    return AcousticMinimum(value, normal, polarisation)


def lowest(matrix: Float[ndarray, "n 3 3"]) -> tuple[Float[ndarray, "n"], Float[ndarray, "n 3"]]:
    """The lowest eigenvalue and its unit vector."""
    values, vectors = np.linalg.eigh(matrix)
    return values[:, 0], vectors[:, :, 0]


def half_sphere(count: int) -> Float[ndarray, "count 3"]:
    """Directions spread evenly over the half-sphere z > 0 (a Fibonacci spiral): n and -n are the same wave."""
    k = np.arange(count) + 0.5
    z, angle = k / count, np.pi * (3.0 - np.sqrt(5.0)) * k
    radius = np.sqrt(1.0 - z**2)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle), z], axis=1)
