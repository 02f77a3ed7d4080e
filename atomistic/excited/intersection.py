r"""Conical intersections and the phase that goes around them.

Two states are degenerate where H restricted to them is a multiple of the identity: two conditions, so that
intersections fill N - 2 of N dimensions. In the eigenvectors v_i, v_j of a point held fixed, these conditions are
smooth functions of R,

    c(R) = ( v_i . H(R) v_i - v_j . H(R) v_j ,  v_i . H(R) v_j ) = 0 ,

exact for two states and to second order in what couples them to others; their gradients span the branching plane. The
intersection of least energy minimises (E_i + E_j) / 2 under c = 0; solved by sequential quadratic programming and
repeated with the vectors found, until the gap is closed (in the manner of Bearpark, Robb, Schlegel, Chem. Phys. Lett.
223 (1994) 269, where the gap itself, which is not smooth, is minimised).

A real eigenvector carried around an intersection returns with the other sign (Longuet-Higgins and others, Proc. R. Soc.
A 244 (1958) 1). On a closed loop R_1 ... R_m, R_{m+1} = R_1 the phase is the sign of the product of overlaps prod_k
<i(R_k)|i(R_{k+1})>, in which arbitrary signs cancel.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float, Int
from scipy.optimize import minimize

from atomistic.excited.adiabatic import adiabatic_states
from atomistic.excited.hamiltonian import Hamiltonian

ROUNDS: Final = 20

LEAST_OVERLAP: Final = 0.7
"""cos 45 degrees: between smaller ones a turn by 90 degrees more could hide."""


class NoIntersection(RuntimeError):
    """The search ended at states that are still apart."""


class CoarseLoop(ValueError):
    """Neighbouring points of a loop whose states have too little in common for a sign."""


@dataclass(frozen=True)
class Intersection:
    """Where two surfaces meet.

    Attributes:
        point: R.
        energy: of both states.
        gap: what is left between them.
        branching: half the difference of gradients and the interstate coupling, of one pair of degenerate vectors: they
        span the branching plane.
    """

    point: Float[np.ndarray, "dimensions"]
    energy: float
    gap: float
    branching: Float[np.ndarray, "2 dimensions"]


def conical_intersection(
    hamiltonian: Hamiltonian, start: Float[np.ndarray, "dimensions"], *, lower: int = 0, tolerance: float = 1e-8
) -> Intersection:
    """The intersection of states `lower` and `lower` + 1 with least energy, downhill from `start`.

    Args:
        tolerance: of the gap, in units of the larger of 1 and |E|.

    Raises:
        ValueError: for a state that has none above it.
        NoIntersection: where the gap does not close.
    """
    if not 0 <= lower < hamiltonian.states - 1:
        raise ValueError(f"lower = {lower}, expected 0 ... {hamiltonian.states - 2}")
    pair = slice(lower, lower + 2)
    point = np.array(start, dtype=float)

    def block(R: np.ndarray, vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """V^T H V and its derivative, from the eigenstates at R."""
        states = adiabatic_states(hamiltonian, R[None])
        mixing = states.vectors[0].T @ vectors
        return (
            mixing.T @ (states.energies[0][:, None] * mixing),
            np.einsum("ki,kld,lj->ijd", mixing, states.interstate[0], mixing),
        )

    for _ in range(ROUNDS):
        states = adiabatic_states(hamiltonian, point[None])
        vectors = states.vectors[0][:, pair]

        def energy(R: np.ndarray, V: np.ndarray = vectors) -> tuple[float, np.ndarray]:
            H, slope = block(R, V)
            return 0.5 * float(np.trace(H)), 0.5 * np.einsum("iid->d", slope)

        def conditions(R: np.ndarray, V: np.ndarray = vectors) -> np.ndarray:
            H, _ = block(R, V)
            return np.array([H[0, 0] - H[1, 1], H[0, 1]])

        def their_slopes(R: np.ndarray, V: np.ndarray = vectors) -> np.ndarray:
            _, slope = block(R, V)
            return np.stack([slope[0, 0] - slope[1, 1], slope[0, 1]])

        found = minimize(
            energy,
            point,
            jac=True,
            method="SLSQP",
            constraints={"type": "eq", "fun": conditions, "jac": their_slopes},
            options={"maxiter": 200, "ftol": 1e-14},
        )
        step = float(np.linalg.norm(found.x - point))
        point = found.x
        end = adiabatic_states(hamiltonian, point[None])
        energies = end.energies[0][pair]
        gap = float(energies[1] - energies[0])
        if gap <= tolerance * max(1.0, float(np.abs(energies).max())) and step <= 1e-6 * max(
            1.0, float(np.abs(point).max())
        ):
            both = end.interstate[0][pair, pair]
            branching = np.stack([0.5 * (both[1, 1] - both[0, 0]), both[0, 1]])
            return Intersection(point, float(energies.mean()), gap, branching)
    raise NoIntersection(
        f"states {lower} and {lower + 1} are still {gap:.3g} apart at {np.array2string(point, precision=4)} after "
        f"{ROUNDS} rounds; start nearer to "
        "an intersection, or there is none"
    )


def geometric_phase(
    hamiltonian: Hamiltonian, loop: Float[np.ndarray, "points dimensions"]
) -> Int[np.ndarray, "states"]:
    """+1 or -1 for each state carried around the loop, which closes from its last point to the first.

    Raises:
        ValueError: for fewer than three points.
        CoarseLoop: where a state has an overlap below `LEAST_OVERLAP` with the next: take more points, or a loop farther
        from the intersection.
    """
    if len(loop) < 3:
        raise ValueError(f"a loop of {len(loop)} points, expected at least three")
    vectors = adiabatic_states(hamiltonian, loop).vectors
    overlaps = np.einsum("pki,pki->pi", vectors, np.roll(vectors, -1, axis=0))
    weak = np.argwhere(np.abs(overlaps) < LEAST_OVERLAP)
    if len(weak):
        point, state = (int(k) for k in weak[0])
        raise CoarseLoop(
            f"state {state} has an overlap of {abs(overlaps[point, state]):.2f} between points {point} and "
            f"{(point + 1) % len(loop)} of {len(loop)}, "
            f"expected at least {LEAST_OVERLAP}: take more points, or keep away from the intersection"
        )
    signs: np.ndarray = np.sign(overlaps).prod(axis=0).astype(int)
    return signs
