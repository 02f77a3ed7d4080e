r"""Simulated annealing: molecular dynamics that cools while it runs, for what no jump between minima does: fold a chain.

Kirkpatrick, Gelatt and Vecchi (Science 220 (1983) 671), with Langevin's equation (ASE's integrator) in place of random steps,

    m d2r/dt2 = F - m gamma dr/dt + sqrt(2 m gamma T) R(t),      T from `hot` to `cold` evenly in time.

Where it ends lies above a minimum, from which basin hopping goes on.
"""

from typing import Final

import numpy as np
from ase import Atoms, units
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import thermalize_momenta

from atomistic.clusters.surface import Positions, Surface

STEPS_AT_ONE_TEMPERATURE: Final = 100

ESCAPED: Final = 1e3
"""Times `hot`: no kinetic energy of a degree of freedom is that large unless the integration has failed."""


class AnnealingDiverged(RuntimeError):
    """The dynamics blew up."""


def anneal(
    surface: Surface,
    positions: Positions,
    *,
    hot: float,
    cold: float,
    steps: int,
    generator: np.random.Generator,
    timestep: float = 0.015,
    friction: float = 0.05,
) -> Positions:
    """Where dynamics of unit masses end that start at `positions` with the velocities of `hot`.

    Args:
        surface: positions (Angstrom) in, energy (eV) and forces (eV/A) out.
        positions: to start from.
        hot, cold: temperatures at the start and at the end, k_B T in eV.
        steps: of the integrator.
        generator: of everything random.
        timestep: in the unit of time that eV, Angstrom and the mass give, A sqrt(m/eV).
        friction: gamma, in the inverse of that unit.

    Raises:
        ValueError: for numbers that are not positive, or a start that is colder than the end.
        AnnealingDiverged: where the atoms fly apart, as they do when the time step is too long.
        OverlappingAtoms, InvalidStructure: of the surface, where atoms come on top of each other.
    """
    if not (hot >= cold > 0.0 and steps >= 1 and timestep > 0.0 and friction > 0.0):
        raise ValueError(
            f"hot = {hot} eV, cold = {cold} eV, steps = {steps}, timestep = {timestep}, friction = {friction}; expected positive "
            "numbers and hot >= cold"
        )
    atoms = Atoms("H" * len(positions), positions, masses=np.ones(len(positions)), calculator=_OnSurface(surface))
    thermalize_momenta(atoms, temperature_K=hot / units.kB, rng=generator)
    dynamics = Langevin(
        atoms, timestep, temperature_K=hot / units.kB, friction=friction, fixcm=False, rng=generator, logfile=None
    )
    for done in range(0, steps, STEPS_AT_ONE_TEMPERATURE):
        temperature = hot + (cold - hot) * done / steps
        dynamics.set_temperature(temperature_K=temperature / units.kB)
        dynamics.run(min(STEPS_AT_ONE_TEMPERATURE, steps - done))
        reached = 2.0 * atoms.get_kinetic_energy() / (3 * len(atoms))
        if not reached < ESCAPED * hot:
            raise AnnealingDiverged(
                f"after {done + STEPS_AT_ONE_TEMPERATURE} of {steps} steps of {timestep:g} the temperature is {reached:.3g} eV, expected "
                f"about {temperature:.3g}; take a shorter time step"
            )
    return np.array(atoms.positions)


class _OnSurface:
    """A surface for ASE's integrator, which asks for the forces of one structure several times, and for nothing else."""

    def __init__(self, surface: Surface) -> None:
        self._surface = surface
        self._positions = np.empty((0, 3))
        self._forces = np.empty((0, 3))

    def get_forces(self, atoms: Atoms) -> Positions:
        if not np.array_equal(atoms.positions, self._positions):
            self._positions = atoms.positions.copy()
            self._forces = self._surface(self._positions)[1]
        return self._forces.copy()
