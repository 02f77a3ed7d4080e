r"""Minimum energy paths and their barriers: ASE's climbing-image nudged elastic band between two minima, judged by Hessians.

The band is ASE's (`ase.mep.NEB`: improved tangents, Henkelman and Jonsson, J. Chem. Phys. 113 (2000) 9978; climbing image, Henkelman,
Uberuaga and Jonsson, same volume, 9901), in the coordinates of `fixed_cell` or `variable_cell`. What is ours stands before and after it:
ends that are no minima, equal or out of order are refused, the highest image is settled to a stationary point and must have exactly one
negative curvature. Energies are enthalpies where a pressure is given.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Final

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write
from ase.mep import NEB
from ase.optimize import FIRE
from ase.utils.forcecurve import fit_images
from jaxtyping import Float
from numpy import ndarray

from atomistic.crystal import deform_into
from atomistic.paths.ends import InvalidEnds, Order, check_comparable, ordered_ends
from atomistic.paths.fixed_cell import FixedCell
from atomistic.paths.stationary import Coordinates, StationaryPoint, largest_force, stationary_point
from atomistic.paths.variable_cell import VariableCell

TIME_STEP: Final = 0.3
"""Largest of FIRE's, a third of its default: with that, bands over two barriers went on oscillating."""

LONGEST: Final = 0.1
"""Step (Angstrom) of FIRE, half of its default."""


class NotAMinimum(ValueError):
    """An end of a path has forces, or a negative curvature."""


class PathFailed(RuntimeError):
    """A path did not converge, or not to a transition state.

    Attributes:
        images: the structures of the path as far as it came; pass them as `guess` to go on.
        curvatures: of the highest image where it converged (eV/A^2, ascending), else None.
    """

    def __init__(self, message: str, images: Sequence[Atoms], curvatures: Float[ndarray, "free"] | None = None) -> None:
        super().__init__(message)
        self.images = list(images)
        self.curvatures = curvatures


@dataclass(frozen=True)
class ReactionPath:
    """A minimum energy path.

    Attributes:
        images: structures from end to end.
        energies: theirs, eV a cell.
        distances: along the path, in the coordinates' metric, Angstrom.
        curve: distances and energies on a fine grid: cubic between the images by their energies and forces.
        initial: the minimum at which it begins.
        saddle: the transition state.
        final: the minimum at which it ends.
    """

    images: list[Atoms]
    energies: Float[ndarray, "images"]
    distances: Float[ndarray, "images"]
    curve: Float[ndarray, "2 points"]
    initial: StationaryPoint
    saddle: StationaryPoint
    final: StationaryPoint

    @property
    def barrier(self) -> float:
        """Of the transition state above the initial minimum, eV a cell."""
        return self.saddle.energy - self.initial.energy

    @property
    def reverse_barrier(self) -> float:
        """Above the final minimum, eV a cell."""
        return self.saddle.energy - self.final.energy


@dataclass(frozen=True)
class PathSettings:
    """How a band is relaxed.

    Attributes:
        images: with the ends; an odd number has one half-way, where the saddle between equal ends is.
        fmax: largest force of the band at which it has converged, eV/A.
        max_steps: of the optimiser.
        spring: of the band, eV/A^2.
        bend: of the straight line between the ends, sideways in a random direction by so much (Angstrom) at half-way; frees a path from
            symmetry that holds it on a ridge.
        seed: of that direction.
        end_force: largest force that an end may have, eV/A.
        relax_ends: relax them first in place of refusing them.
        order: of the atoms of the final structure: "check" refuses one that can be bettered, "match" betters it, "given" takes it.
        write_to: a file (extxyz, say) for the images, also of a path that fails.
    """

    images: int = 7
    fmax: float = 0.02
    max_steps: int = 500
    spring: float = 1.0
    bend: float = 0.0
    seed: int = 0
    end_force: float = 0.02
    relax_ends: bool = False
    order: Order = "check"
    write_to: str | os.PathLike[str] | None = None

    def __post_init__(self) -> None:
        if self.order not in ("check", "match", "given"):
            raise ValueError(f"order = {self.order!r}, expected 'check', 'match' or 'given'")
        if self.images < 3:
            raise ValueError(f"images = {self.images}, expected at least 3: two ends and one between them")
        for name in ("fmax", "max_steps", "spring", "end_force"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} = {getattr(self, name)}, expected a positive number")


def minimum_energy_path(
    initial: Atoms,
    final: Atoms,
    calculator: Calculator,
    settings: PathSettings | None = None,
    *,
    guess: Sequence[Atoms] = (),
) -> ReactionPath:
    """The path between two minima at fixed cell, or of a cluster, and its transition state.

    Args:
        initial: where it begins.
        final: where it ends, the same atoms in the same order.
        calculator: of energies and forces.
        settings: of the band.
        guess: structures between the ends, such as those of an earlier path with its ends; a straight line where there are none.

    Raises:
        InvalidEnds: for ends with different atoms, cells, periodicity or constraints, or a guess of another number of images.
        SameEnds, PermutedEnds: as `ordered_ends`.
        NotAMinimum: naming the force or the curvature.
        PathFailed: where the band does not converge, or its top is no transition state.
    """
    check_comparable(initial, final)
    if np.abs(initial.cell.array - final.cell.array).max() > 1e-6:
        raise InvalidEnds("the cells of the ends differ, expected the same; phase_path changes the cell along the path")
    settings = settings or PathSettings()
    final = ordered_ends(initial, final, settings.order)
    return _path(FixedCell(calculator), initial, final, settings, guess)


def phase_path(
    initial: Atoms,
    final: Atoms,
    calculator: Calculator,
    settings: PathSettings | None = None,
    *,
    pressure: float = 0.0,
    guess: Sequence[Atoms] = (),
) -> ReactionPath:
    """The solid-state path between two crystals: cell and atoms change together (`variable_cell`).

    Args:
        initial: where it begins.
        final: where it ends: its lattice vectors and atoms correspond to those of `initial` in the order given; how it is turned does
            not count.
        calculator: of energies, forces and stress.
        settings: of the band.
        pressure: eV/A^3.
        guess: as for `minimum_energy_path`.

    Raises:
        InvalidCrystal: for ends that are no crystals.
        InvalidEnds, SameEnds, PermutedEnds, NotAMinimum, PathFailed: as `minimum_energy_path`.
    """
    check_comparable(initial, final)
    if initial.constraints:
        raise InvalidEnds("the ends carry constraints, expected none: the cell carries all atoms along")
    settings = settings or PathSettings()
    coordinates = VariableCell.between(initial, final, calculator, pressure)
    final = _ordered_crystal(initial, final, coordinates, settings.order)
    return _path(coordinates, initial, final, settings, guess)


def _path(
    coordinates: FixedCell | VariableCell, initial: Atoms, final: Atoms, settings: PathSettings, guess: Sequence[Atoms]
) -> ReactionPath:
    ends = [_end(coordinates, end, name, settings) for end, name in ((initial, "initial"), (final, "final"))]
    # Relaxed they may have become one.
    if isinstance(coordinates, FixedCell):
        ends[1] = coordinates.image(ordered_ends(ends[0], ends[1], "given"))
    else:
        relaxed = [coordinates.structure(end) for end in ends]
        ends[1] = coordinates.image(_ordered_crystal(relaxed[0], relaxed[1], coordinates, "given"))
    minima = [_minimum(coordinates, end, name) for end, name in zip(ends, ("initial", "final"), strict=True)]
    images = _images(coordinates, minima[0].image, minima[1].image, settings, guess)
    _relax(coordinates, images, settings)
    top = 1 + int(np.argmax([image.get_potential_energy() for image in images[1:-1]]))
    saddle = stationary_point(coordinates, _copy(coordinates, images[top]))
    structures = [coordinates.structure(image) for image in images]
    if saddle.negative != 1:
        raise PathFailed(
            f"the highest image has {saddle.negative} negative curvatures (lowest {saddle.curvatures[0]:.3g} eV/A^2, largest force "
            f"{saddle.largest_force:.2g} eV/A), expected exactly one; "
            + (
                "there is an intermediate minimum or the images are too few: take more, or the ends of each barrier in turn"
                if saddle.negative == 0
                else "the path is held on a ridge by symmetry: leave the straight line with `bend`, or by a `guess`"
            ),
            structures,
            saddle.curvatures,
        )
    images[top] = _frozen(saddle.image)
    fit = fit_images(images)
    return ReactionPath(
        images=[*structures[:top], saddle.atoms, *structures[top + 1 :]],
        energies=np.array([image.get_potential_energy() for image in images]),
        distances=np.asarray(fit.path),
        curve=np.array([fit.fit_path, fit.fit_energies + minima[0].energy]),
        initial=minima[0],
        saddle=saddle,
        final=minima[1],
    )


def _end(coordinates: FixedCell | VariableCell, structure: Atoms, name: str, settings: PathSettings) -> Atoms:
    """An end in the coordinates of the path, with small forces."""
    image = coordinates.image(structure)
    force = largest_force(image)
    if settings.relax_ends and force > 0.1 * settings.end_force:
        FIRE(image, logfile=None).run(fmax=0.1 * settings.end_force, steps=settings.max_steps)
        force = largest_force(image)
    if not force <= settings.end_force:
        raise NotAMinimum(
            f"the {name} structure has a force of {force:.3g} eV/A"
            + (f" after {settings.max_steps} steps of relaxation" if settings.relax_ends else "")
            + f", expected at most {settings.end_force:g}: "
            + ("check it, or take more steps" if settings.relax_ends else "relax it, or take relax_ends=True")
            + (" (the cell counts: its rows are forces, too)" if isinstance(coordinates, VariableCell) else "")
        )
    return image


def _ordered_crystal(initial: Atoms, final: Atoms, coordinates: VariableCell, order: Order) -> Atoms:
    """The final crystal, its atoms in the order of the path: compared in the reference cell, where strain moves no atom."""
    flat = [deform_into(crystal, np.asarray(coordinates.cell)) for crystal in (initial, final)]
    images = [coordinates.image(crystal) for crystal in (initial, final)]
    stretched = float(np.abs(images[1].positions[-3:] - images[0].positions[-3:]).max())
    near = ordered_ends(flat[0], flat[1], order, stretched=stretched)
    return deform_into(near, final.cell.array)


def _minimum(coordinates: Coordinates, image: Atoms, name: str) -> StationaryPoint:
    """An end settled to the last digits."""
    found = stationary_point(coordinates, image)
    if found.negative:
        raise NotAMinimum(
            f"the {name} structure is a stationary point with {found.negative} negative curvatures, the lowest "
            f"{found.curvatures[0]:.3g} eV/A^2, expected none: displace it along that mode and relax it"
        )
    return found


def _images(
    coordinates: Coordinates, first: Atoms, last: Atoms, settings: PathSettings, guess: Sequence[Atoms]
) -> list[Atoms]:
    """Images from end to end; the ends carry their results."""
    if guess and len(guess) not in (settings.images, settings.images - 2):
        raise InvalidEnds(
            f"a guess of {len(guess)} structures, expected {settings.images - 2} between the ends or {settings.images} with them"
        )
    between = list(guess[1:-1] if len(guess) == settings.images else guess)
    for structure in between:
        check_comparable(coordinates.structure(first), structure)
    if between:
        return [_frozen(first), *map(coordinates.image, between), _frozen(last)]
    images = [_frozen(first)]
    basis = coordinates.basis(first)
    sideways = basis @ np.random.default_rng(settings.seed).normal(size=basis.shape[1])
    sideways = settings.bend * (sideways / np.linalg.norm(sideways)).reshape(-1, 3)
    for s in np.linspace(0.0, 1.0, settings.images)[1:-1]:
        image = _copy(coordinates, first)
        image.positions = (1.0 - s) * first.positions + s * last.positions + np.sin(np.pi * s) * sideways
        images.append(image)
    return [*images, _frozen(last)]


def _relax(coordinates: Coordinates, images: list[Atoms], settings: PathSettings) -> None:
    """The band to its tolerance, climbing once it is near."""
    isolated = isinstance(coordinates, FixedCell) and not images[0].pbc.any() and not images[0].constraints
    band = NEB(
        images,
        k=settings.spring,
        climb=False,
        method="improvedtangent",
        allow_shared_calculator=True,
        remove_rotation_and_translation=isolated,
    )

    def check() -> None:
        if band.energies is not None and not np.isfinite(band.energies).all():
            raise PathFailed("an energy of the path is not finite; start closer with `guess`", structures())

    def structures() -> list[Atoms]:
        return [coordinates.structure(image) for image in images]

    steps = settings.max_steps
    converged = False
    try:
        for climb, fmax in ((False, 10.0 * settings.fmax), (True, settings.fmax)):
            band.climb = climb
            optimiser = FIRE(band, logfile=None, dtmax=TIME_STEP, maxstep=LONGEST)
            optimiser.attach(check)
            converged = optimiser.run(fmax=fmax, steps=steps)
            steps -= optimiser.nsteps
    finally:
        if settings.write_to is not None:
            write_images(settings.write_to, structures())
    if not converged:
        force = float(np.linalg.norm(band.get_forces(), axis=1).max())
        kept = "" if settings.write_to is None else f" (written to {settings.write_to})"
        raise PathFailed(
            f"the largest force of the path is {force:.3g} eV/A after {settings.max_steps} steps, expected {settings.fmax:g}; its images "
            f"are kept{kept}: go on from them by `guess`, or take more steps",
            structures(),
        )


def _copy(coordinates: Coordinates, image: Atoms) -> Atoms:
    """A copy that computes."""
    return coordinates.image(coordinates.structure(image))


def _frozen(image: Atoms) -> Atoms:
    """A copy that carries its energy and forces."""
    energy, forces = image.get_potential_energy(), image.get_forces(apply_constraint=False)
    frozen: Atoms = image.copy()
    frozen.calc = SinglePointCalculator(frozen, energy=energy, forces=forces)
    return frozen


def write_images(path: str | os.PathLike[str], images: Sequence[Atoms]) -> None:
    """Structures into one file, whole or not at all."""
    target = Path(path)
    with NamedTemporaryFile(dir=target.parent, suffix=target.suffix, delete=False) as temporary:
        name = Path(temporary.name)
    try:
        write(name, list(images))
        name.replace(target)
    finally:
        name.unlink(missing_ok=True)
