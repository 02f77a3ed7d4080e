r"""Fewest-switches surface hopping (Tully, J. Chem. Phys. 93 (1990) 1061): classical nuclei, quantum electrons.

Atomic units, hbar = 1. Nuclei follow M R'' = -grad E_a of the active state a by velocity Verlet. The amplitudes are
propagated in the diabatic basis, where the equation c' = -i H(R(t)) c has no singular couplings: over a step with the
mean of H at its ends,

    c(t + dt) = exp(-i dt (H(t) + H(t + dt)) / 2) c(t) ,

which conserves the norm to round-off and is of second order. In the adiabatic basis, b = V^T c, the population of the
active state flows to j at the rate 2 Re(b_a^* b_j) R' . d_aj, so that in dt the trajectory hops with the probability
(eq. 19)

    g_aj = max(0, 2 dt Re(b_a^* b_j) R' . d_aj / |b_a|^2) .

At a hop the velocity changes along M^-1 d_aj so that the total energy stays as it was; where the kinetic energy of that
direction is not enough the hop is not made and the velocity kept. No decoherence is added. All trajectories are
advanced at once.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Bool, Complex, Float, Int

from atomistic.excited.adiabatic import AdiabaticStates, adiabatic_states
from atomistic.excited.hamiltonian import Hamiltonian

CERTAIN: Final = 0.5
"""A probability of a hop above it is a matter of one step: rare, unless steps are too long."""


class StepTooLong(RuntimeError):
    """Total energies drift, or hops are likely in a single step."""


@dataclass(frozen=True)
class Swarm:
    """Trajectories at one time.

    Attributes:
        coordinates, velocities: R, R'.
        active: the state each one moves on.
        amplitudes: c, in the diabatic basis.
    """

    coordinates: Float[np.ndarray, "trajectories dimensions"]
    velocities: Float[np.ndarray, "trajectories dimensions"]
    active: Int[np.ndarray, "trajectories"]
    amplitudes: Complex[np.ndarray, "trajectories states"]


@dataclass(frozen=True)
class Hopping:
    """What the trajectories did.

    Attributes:
        times: of each step.
        active: share of the trajectories on each state.
        populations: mean |b_i|^2.
        end: the swarm in the end, or each trajectory where it left the region.
        hops, frustrated: how many were made, and how many lacked the energy.
        energy_drift: largest change of a trajectory's total energy.
        norm_drift: largest change of a norm.
    """

    times: Float[np.ndarray, "steps"]
    active: Float[np.ndarray, "steps states"]
    populations: Float[np.ndarray, "steps states"]
    end: Swarm
    hops: int
    frustrated: int
    energy_drift: float
    norm_drift: float

    def channels(self, beyond: float = 0.0) -> Float[np.ndarray, "2 states"]:
        """Of problems in one dimension: the shares reflected (first row, R below `beyond`) and transmitted, on each state."""
        far = self.end.coordinates[:, 0] > beyond
        states = self.active.shape[1]
        return np.array(
            [[np.mean((far == side) & (self.end.active == k)) for k in range(states)] for side in (False, True)]
        )


def start_on(
    hamiltonian: Hamiltonian,
    state: int,
    coordinates: Float[np.ndarray, "trajectories dimensions"],
    velocities: Float[np.ndarray, "trajectories dimensions"],
) -> Swarm:
    """Trajectories in an adiabatic state."""
    if not 0 <= state < hamiltonian.states:
        raise ValueError(f"state {state}, expected 0 ... {hamiltonian.states - 1}")
    vectors = adiabatic_states(hamiltonian, coordinates).vectors[:, :, state]
    return Swarm(
        np.array(coordinates, dtype=float),
        np.array(velocities, dtype=float),
        np.full(len(coordinates), state),
        vectors.astype(complex),
    )


def surface_hopping(
    hamiltonian: Hamiltonian,
    swarm: Swarm,
    *,
    masses: Float[np.ndarray, "dimensions"],
    timestep: float,
    steps: int,
    seed: int,
    region: float = np.inf,
    energy_tolerance: float = 1e-3,
) -> Hopping:
    """Follow a swarm.

    Args:
        masses: M, of each coordinate.
        timestep: dt.
        steps: at most; the run ends when all trajectories have left the region.
        seed: of the hops.
        region: a trajectory rests where |R| of any coordinate exceeds it on the way out.
        energy_tolerance: largest drift of a trajectory's total energy, relative to its kinetic energy at the start or to
        1e-3 of the swarm's mean.

    Raises:
        ValueError: for masses, steps or a timestep that are not positive.
        StepTooLong: where energies drift by more, or where more than one step in a thousand has a probability of a hop above `CERTAIN`.
    """
    masses = np.asarray(masses, dtype=float)
    if masses.shape != (hamiltonian.dimensions,) or not (masses > 0.0).all() or timestep <= 0.0 or steps < 1:
        raise ValueError(
            f"masses {masses}, timestep {timestep}, steps {steps}: expected {hamiltonian.dimensions} positive masses and positive numbers"
        )
    generator = np.random.default_rng(seed)
    R, velocity, active, c = (
        swarm.coordinates.copy(),
        swarm.velocities.copy(),
        swarm.active.copy(),
        swarm.amplitudes.copy(),
    )
    states = adiabatic_states(hamiltonian, R)
    total = _total(states, velocity, masses, active)
    kinetic = 0.5 * (velocity**2 @ masses)
    moving = np.ones(len(R), dtype=bool)
    shares, populations = [_shares(active, hamiltonian.states)], [_populations(states, c)]
    hops = frustrated = abrupt = moved = 0
    for _ in range(steps):
        dt = np.where(moving, timestep, 0.0)
        half = velocity - 0.5 * dt[:, None] * _slope(states, active) / masses
        R = R + dt[:, None] * half
        new = adiabatic_states(hamiltonian, R)
        velocity = half - 0.5 * dt[:, None] * _slope(new, active) / masses
        c = _advance(c, 0.5 * (_diabatic(states) + _diabatic(new)), dt)
        states = new
        chance, couplings = _chances(states, c, velocity, active, dt)
        abrupt += int((chance.sum(1) > CERTAIN).sum())
        moved += int(moving.sum())
        drawn = generator.random(len(R))[:, None] < np.cumsum(chance, axis=1)
        wanted = np.where(drawn.any(1), drawn.argmax(1), active)
        made = _hop(states, velocity, masses, active, wanted, couplings)
        hops += int(made.sum())
        frustrated += int(((wanted != active) & ~made).sum())
        active = np.where(made, wanted, active)
        outward = (np.abs(R) > region) & (R * velocity > 0.0)
        moving &= ~outward.any(1)
        shares.append(_shares(active, hamiltonian.states))
        populations.append(_populations(states, c))
        if not moving.any():
            break
    drift = np.abs(_total(states, velocity, masses, active) - total)
    allowed = energy_tolerance * np.maximum(kinetic, 1e-3 * kinetic.mean())
    if (drift > allowed).any():
        worst = int(np.argmax(drift / allowed))
        raise StepTooLong(
            f"the energy of trajectory {worst} changed by {drift[worst]:.2e}, more than {allowed[worst]:.2e}: take a "
            f"timestep below {timestep:g}"
        )
    if abrupt > 1e-3 * moved:
        raise StepTooLong(
            f"{abrupt} of {moved} steps have a hop likelier than {CERTAIN:g}: take a timestep below {timestep:g}"
        )
    return Hopping(
        timestep * np.arange(len(shares)),
        np.array(shares),
        np.array(populations),
        Swarm(R, velocity, active, c),
        hops,
        frustrated,
        float(drift.max()),
        float(np.abs(np.sum(np.abs(c) ** 2, axis=1) - np.sum(np.abs(swarm.amplitudes) ** 2, axis=1)).max()),
    )


def _chances(
    states: AdiabaticStates, c: np.ndarray, velocity: np.ndarray, active: np.ndarray, dt: np.ndarray
) -> tuple[Float[np.ndarray, "trajectories states"], Float[np.ndarray, "trajectories states dimensions"]]:
    """g_aj, and d_aj of the active state."""
    rows = np.arange(len(c))
    couplings = states.couplings()[rows, active]
    b = np.einsum("tki,tk->ti", states.vectors, c)
    own = b[rows, active]
    flow = 2.0 * np.real(np.conj(own)[:, None] * b) * np.einsum("tjd,td->tj", couplings, velocity)
    return dt[:, None] * np.maximum(flow, 0.0) / np.maximum(np.abs(own) ** 2, 1e-12)[:, None], couplings


def _hop(
    states: AdiabaticStates,
    velocity: np.ndarray,
    masses: np.ndarray,
    active: np.ndarray,
    wanted: np.ndarray,
    couplings: np.ndarray,
) -> Bool[np.ndarray, "trajectories"]:
    """Change the velocities of those that can: v + s d / M with (M/2) |v + s d / M|^2 = (M/2) |v|^2 + E_a - E_j; which ones did."""
    rows = np.flatnonzero(wanted != active)
    made = np.zeros(len(active), dtype=bool)
    if not len(rows):
        return made
    along = couplings[rows, wanted[rows]] / masses
    gain = states.energies[rows, active[rows]] - states.energies[rows, wanted[rows]]
    square = 0.5 * (along**2 @ masses)
    linear = np.einsum("td,td,d->t", velocity[rows], along, masses)
    inside = linear**2 + 4.0 * square * gain
    able = (inside >= 0.0) & (square > 0.0)
    root = np.sqrt(np.maximum(inside, 0.0))
    # the smaller of the two changes, which does not turn the velocity around
    change = np.where(linear < 0.0, -linear - root, -linear + root) / np.where(able, 2.0 * square, 1.0)
    velocity[rows[able]] += change[able, None] * along[able]
    made[rows[able]] = True
    return made


def _advance(c: np.ndarray, H: np.ndarray, dt: np.ndarray) -> Complex[np.ndarray, "trajectories states"]:
    energies, vectors = np.linalg.eigh(H)
    phases = np.exp(-1j * dt[:, None] * energies)
    rotated: np.ndarray = np.einsum("tki,ti,tli,tl->tk", vectors, phases, vectors, c, optimize=True)
    return rotated


def _diabatic(states: AdiabaticStates) -> Float[np.ndarray, "trajectories states states"]:
    H: np.ndarray = np.einsum("tki,ti,tli->tkl", states.vectors, states.energies, states.vectors)
    return H


def _slope(states: AdiabaticStates, active: np.ndarray) -> Float[np.ndarray, "trajectories dimensions"]:
    taken: np.ndarray = states.gradients[np.arange(len(active)), active]
    return taken


def _total(
    states: AdiabaticStates, velocity: np.ndarray, masses: np.ndarray, active: np.ndarray
) -> Float[np.ndarray, "trajectories"]:
    total: np.ndarray = 0.5 * (velocity**2 @ masses) + states.energies[np.arange(len(active)), active]
    return total


def _shares(active: np.ndarray, states: int) -> Float[np.ndarray, "states"]:
    shares: np.ndarray = np.bincount(active, minlength=states) / len(active)
    return shares


def _populations(states: AdiabaticStates, c: np.ndarray) -> Float[np.ndarray, "states"]:
    mean: np.ndarray = (np.abs(np.einsum("tki,tk->ti", states.vectors, c)) ** 2).mean(0)
    return mean
