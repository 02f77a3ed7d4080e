r"""Energy of a phase against its volume, everything else relaxed: what its equation of state is fitted to.

At each volume the shape of the cell and the positions are relaxed (ASE's FrechetCellFilter with the trace of the strain projected out), the
symmetry kept or not. A phase that does not survive is refused by name: its structure after the relaxation is compared with the one before
(`structure_name`), nearest distances with each other, and the shape of the cell from volume to volume. Pressures -tr(sigma)/3 come with
the energies, but no fit uses them: they tell whether P(V) of the fit is that of the calculator.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator
from ase.constraints import FixSymmetry
from ase.filters import FrechetCellFilter
from ase.optimize import BFGS
from jaxtyping import Float
from numpy import ndarray
from scipy.optimize import minimize_scalar

from atomistic.crystal import SYMMETRY_TOLERANCE, RelaxationFailed, check_crystal, deform, nearest_distance
from atomistic.neighbour_list import InvalidStructure
from atomistic.phases.equation_of_state import BirchMurnaghan, MinimumNotBracketed
from atomistic.phases.prototypes import structure_name

Relaxation = Literal["symmetric", "free", "none"]

SPAN: Final = 0.08
"""Volumes about the minimum: as far as this fraction of it to both sides."""

COUNT: Final = 11

SEARCH: Final = (0.6, 1.6)
"""Of the volume given, between which that of least energy is sought."""

DISPLACEMENT: Final = 0.02
"""Standard deviation along each axis (Angstrom) of the displacements that a free relaxation starts from."""

CLOSER: Final = 0.75
"""Of its nearest distance before: a relaxation at constant volume that brings atoms nearer than this pairs or collapses them."""

SHAPE_JUMP: Final = 0.1
"""Log-strain of the cell's shape between neighbouring volumes beyond which they belong to two branches."""


class PhaseChanged(RuntimeError):
    """A phase collapsed, or became another, as it was relaxed."""


@dataclass(frozen=True)
class EnergyVolume:
    """Energies of a phase at several volumes, ascending.

    Attributes:
        name: of the phase.
        volumes: Angstrom^3 an atom.
        energies: eV an atom.
        pressures: of the calculator, eV/Angstrom^3.
        structures: relaxed.
    """

    name: str
    volumes: Float[ndarray, "n"]
    energies: Float[ndarray, "n"]
    pressures: Float[ndarray, "n"]
    structures: tuple[Atoms, ...]

    def equation_of_state(self) -> BirchMurnaghan:
        """Fitted to the energies.

        Raises:
            TooFewVolumes, MinimumNotBracketed: as `BirchMurnaghan.fit`.
        """
        return BirchMurnaghan.fit(self.name, self.volumes, self.energies)


def energy_volume(
    name: str,
    atoms: Atoms,
    calculator: Calculator,
    volumes: Sequence[float] | ndarray | None = None,
    *,
    relaxation: Relaxation = "symmetric",
    force_tolerance: float = 1e-5,
    max_steps: int = 300,
    seed: int = 0,
) -> EnergyVolume:
    """Energies and pressures of a phase over volumes.

    Args:
        name: of the phase, for messages and pictures.
        atoms: a cell of it at any volume; it is scaled to each.
        calculator: with energies, forces and stress.
        volumes: Angstrom^3 an atom; None for 11 within 8 % of the one of least energy, which is sought from 0.6 to 1.6 times that
            of `atoms`.
        relaxation: "symmetric" of shape and positions as far as symmetry leaves them free; "free" of both, from atoms displaced at random
            by 0.02 Angstrom (forces along an instability are zero by symmetry): a phase that is not stable leaves; "none".
        force_tolerance: eV/Angstrom, for forces and the gradient of the shape as in `relax_crystal`.
        max_steps: of each relaxation.
        seed: of the displacements.

    Raises:
        InvalidCrystal: where `check_crystal` refuses the atoms.
        ValueError: for volumes that are not positive.
        MinimumNotBracketed: for `volumes` of None where the energy has no minimum in the range searched.
        PhaseChanged: naming what the phase became, and at which volume.
        RelaxationFailed: where a relaxation does not converge or an energy is not finite.
    """
    check_crystal(atoms)
    before = structure_name(atoms)

    def relaxed(volume: float) -> Atoms:
        return _relaxed(name, before, atoms, calculator, volume, relaxation, force_tolerance, max_steps, seed)

    if volumes is None:
        volumes = _about_minimum(name, relaxed, atoms.get_volume() / len(atoms))
    chosen = np.sort(np.asarray(volumes, dtype=np.float64))
    if chosen.ndim != 1 or not (np.isfinite(chosen).all() and (chosen > 0.0).all()):
        raise ValueError(f"{name}: volumes {volumes} A^3/atom, expected a list of positive numbers")
    structures: list[Atoms] = []
    energies, pressures = [], []
    for volume in chosen:
        structure = relaxed(float(volume))
        energies.append(float(structure.get_potential_energy()) / len(structure))
        pressures.append(-float(np.trace(structure.get_stress(voigt=False))) / 3.0)
        structure.calc = None
        if structures:
            _check_branch(name, structures[-1], structure)
        structures.append(structure)
    return EnergyVolume(name, chosen, np.array(energies), np.array(pressures), tuple(structures))


def _about_minimum(name: str, relaxed: Any, volume: float) -> Float[ndarray, "n"]:
    """Volumes about the one of least energy."""
    low, high = (factor * volume for factor in SEARCH)

    def energy(trial: float) -> float:
        structure = relaxed(trial)
        return float(structure.get_potential_energy()) / len(structure)

    found = float(minimize_scalar(energy, bounds=(low, high), method="bounded", options={"xatol": 1e-3 * volume}).x)
    if min(found - low, high - found) < 0.01 * volume:
        raise MinimumNotBracketed(
            f"{name}: the energy has no minimum between {low:.4g} and {high:.4g} A^3/atom, it falls towards {found:.4g}; give the volumes, "
            "or atoms nearer to equilibrium"
        )
    return found * np.linspace(1.0 - SPAN, 1.0 + SPAN, COUNT)


def _relaxed(
    name: str,
    before: str,
    atoms: Atoms,
    calculator: Calculator,
    volume: float,
    relaxation: Relaxation,
    force_tolerance: float,
    max_steps: int,
    seed: int,
) -> Atoms:
    """A copy of the atoms at this volume, relaxed, with `calculator`."""
    structure = deform(atoms, np.cbrt(volume * len(atoms) / atoms.get_volume()) * np.eye(3))
    apart = nearest_distance(structure)
    if relaxation == "free":
        structure.positions += np.random.default_rng(seed).normal(0.0, DISPLACEMENT, structure.positions.shape)
    structure.calc = calculator
    where = f"{name} at {volume:.4g} A^3/atom"
    try:
        if relaxation != "none":
            if relaxation == "symmetric":
                structure.set_constraint(FixSymmetry(structure, symprec=SYMMETRY_TOLERANCE))
            filtered: Any = FrechetCellFilter(structure, constant_volume=True)
            converged = BFGS(filtered, logfile=None, maxstep=0.05).run(fmax=force_tolerance, steps=max_steps)
            structure.set_constraint()
        energy = float(structure.get_potential_energy())
    except InvalidStructure as error:
        raise PhaseChanged(f"{where} collapsed as it was relaxed: {error}") from error
    nearest = nearest_distance(structure)
    if nearest < CLOSER * apart:
        raise PhaseChanged(
            f"{where} collapsed as it was relaxed: nearest atoms came from {apart:.4g} to {nearest:.4g} A; choose other volumes, or "
            "mistrust the potential there"
        )
    after = structure_name(structure)
    if after != before:
        raise PhaseChanged(
            f"{where} was {before} and became {after} as it was relaxed; choose other volumes, or keep it from changing by "
            'relaxation="symmetric" or "none"'
        )
    if relaxation != "none" and not converged:
        raise RelaxationFailed(f"{where} did not reach {force_tolerance} eV/A in {max_steps} steps; try more")
    if not np.isfinite(energy):
        raise RelaxationFailed(f"{where} has an energy of {energy} eV; check the calculator")
    return structure


def _check_branch(name: str, smaller: Atoms, larger: Atoms) -> None:
    """Refuse a cell whose shape jumps between two volumes.

    Raises:
        PhaseChanged: naming them.
    """
    volumes = [atoms.get_volume() / len(atoms) for atoms in (smaller, larger)]
    shapes = [atoms.cell.array / np.cbrt(atoms.get_volume()) for atoms in (smaller, larger)]
    stretches = np.linalg.svd(np.linalg.solve(shapes[0], shapes[1]), compute_uv=False)
    jump = float(np.abs(np.log(stretches)).max())
    if jump > SHAPE_JUMP:
        raise PhaseChanged(
            f"{name} changes between {volumes[0]:.4g} and {volumes[1]:.4g} A^3/atom: the shape of its cell jumps by a log-strain of "
            f"{jump:.3g}, so that the volumes belong to two branches; give volumes of one, or closer ones"
        )
