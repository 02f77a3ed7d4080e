"""Force constants to and from phonopy (A. Togo and I. Tanaka, Scr. Mater. 108 (2015) 1), and by its displacements for any calculator."""

import warnings
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator
from jaxtyping import Int
from numpy import ndarray

from atomistic.calculator import NeuralCalculator
from atomistic.crystal import check_crystal
from atomistic.vibrations.exact import FORCE_TOLERANCE, check_at_rest
from atomistic.vibrations.force_constants import (
    THZ_OF_ROOT,
    ForceConstants,
    from_supercell,
    needed_repeats,
    shortest_vector,
)

if TYPE_CHECKING:
    from phonopy import Phonopy


class PhonopyMissing(RuntimeError):
    """Phonopy is not installed."""


class SupercellTooSmall(UserWarning):
    """Force constants of a supercell in which an atom feels several images of another."""


def phonopy_module() -> ModuleType:
    """Phonopy, imported where it is first needed.

    Raises:
        PhonopyMissing: where it is not installed.
    """
    try:
        import phonopy
    except ImportError as error:
        raise PhonopyMissing(
            "densities of states, heat capacities and force constants by differences need phonopy; install it with "
            "`pip install atomlaw[vibrations]`"
        ) from error
    return phonopy


def phonopy_of(constants: ForceConstants) -> "Phonopy":
    """A `phonopy.Phonopy` of the crystal with its force constants, in the least supercell that holds them without overlap.

    Its unit conversion is ASE's, so that frequencies agree with `ForceConstants.frequencies` to round-off. It is told of no symmetry: the
    search in a supercell of hundreds of atoms takes longer than all wave vectors of a mesh.

    Raises:
        PhonopyMissing: where phonopy is not installed.
    """
    repeats = needed_repeats(constants.crystal.cell.array, constants.reach)
    phonopy = _phonopy(constants.crystal, repeats, symmetry=False)
    second, shifts = _origin(phonopy, constants.crystal)
    place = np.full((len(constants.crystal), *repeats), -1)
    place[(second, *(shifts % repeats).T)] = np.arange(len(second))
    compact = np.zeros((len(constants.crystal), len(second), 3, 3))
    columns = place[(constants.second, *(constants.shifts % repeats).T)]
    np.add.at(compact, (constants.first, columns), constants.blocks)
    phonopy.force_constants = compact
    return phonopy


def force_constants_by_differences(
    crystal: Atoms,
    calculator: Calculator,
    *,
    reach: float | None = None,
    repeats: tuple[int, int, int] | None = None,
    displacement: float = 0.005,
    force_tolerance: float = FORCE_TOLERANCE,
) -> ForceConstants:
    """Force constants by central differences of any ASE calculator's forces in a supercell, as few as the symmetry allows.

    Args:
        crystal: atoms at rest.
        calculator: gives the forces.
        reach: how far (Angstrom) force constants extend; a neural calculator says it itself, twice its cutoff.
        repeats: of the crystal's cell, in place of the needed ones.
        displacement: Angstrom; errors go with its square, those of noisy forces with its inverse.
        force_tolerance: largest residual force (eV/A).

    Raises:
        InvalidCrystal: for what is no crystal.
        ValueError: for a displacement or reach that is not positive, and where neither reach nor repeats is known.
        ResidualForces: where the atoms are not at rest.
        AcousticSumRuleViolated: where the calculator pulls on a crystal that moves as a whole.
        PhonopyMissing: where phonopy is not installed.

    Warns:
        SupercellTooSmall: where `repeats` are fewer than the reach needs: only wave vectors that fit into the supercell are then right.
    """
    check_crystal(crystal)
    if reach is None and isinstance(calculator, NeuralCalculator):
        reach = 2.0 * calculator.potential.cutoff
    for name, value in (("displacement", displacement), ("reach", reach)):
        if value is not None and not value > 0.0:
            raise ValueError(f"{name} = {value}, expected a positive number of Angstrom")
    if repeats is None:
        if reach is None:
            raise ValueError(
                "neither reach nor repeats is given: say how far force constants of this calculator extend (reach, twice the cutoff of a "
                "potential with angular terms), or in which supercell to differentiate (repeats)"
            )
        repeats = needed_repeats(crystal.cell.array, reach)
    elif reach is not None:
        _warn_where_too_small(crystal, repeats, reach)
    atoms = crystal.copy()
    atoms.calc = calculator
    check_at_rest(np.asarray(atoms.get_forces()), force_tolerance)
    phonopy = _phonopy(crystal, repeats, symmetry=True)
    phonopy.generate_displacements(distance=displacement, is_plusminus=True)
    forces = []
    for supercell in phonopy.supercells_with_displacements or []:
        displaced = Atoms(
            numbers=supercell.numbers, cell=supercell.cell, scaled_positions=supercell.scaled_positions, pbc=True
        )
        displaced.calc = calculator
        forces.append(displaced.get_forces())
    phonopy.forces = np.array(forces)
    phonopy.produce_force_constants(calculate_full_force_constants=False, show_drift=False)
    second, shifts = _origin(phonopy, crystal)
    constants = np.asarray(phonopy.force_constants)
    return from_supercell(crystal, repeats, second, shifts, constants, reach=np.inf if reach is None else reach)


def _warn_where_too_small(crystal: Atoms, repeats: tuple[int, int, int], reach: float) -> None:
    nearest = shortest_vector(np.array(repeats)[:, None] * crystal.cell.array)
    if nearest <= 2.0 * reach - 1e-6:
        needed = "x".join(map(str, needed_repeats(crystal.cell.array, reach)))
        warnings.warn(
            f"a supercell of {'x'.join(map(str, repeats))} cells has images {nearest:.3g} A apart, expected more than {2.0 * reach:.3g} A "
            f"for force constants that reach {reach:.3g} A; take {needed} cells: frequencies are right at the wave vectors that fit into "
            "it and interpolated elsewhere",
            SupercellTooSmall,
            stacklevel=3,
        )


def _phonopy(crystal: Atoms, repeats: tuple[int, int, int], *, symmetry: bool) -> "Phonopy":
    module = phonopy_module()
    from phonopy.structure.atoms import PhonopyAtoms

    unit = PhonopyAtoms(
        numbers=crystal.numbers,
        cell=crystal.cell.array,
        scaled_positions=crystal.get_scaled_positions(wrap=False),
        masses=crystal.get_masses(),
    )
    phonopy: Phonopy = module.Phonopy(
        unit, supercell_matrix=np.diag(repeats), primitive_matrix="P", is_symmetry=symmetry
    )
    phonopy.unit_conversion_factor = THZ_OF_ROOT
    return phonopy


def _origin(phonopy: "Phonopy", crystal: Atoms) -> tuple[Int[ndarray, "supercell"], Int[ndarray, "supercell 3"]]:
    """The atom of the crystal that each atom of phonopy's supercell repeats, and the translation."""
    primitive, supercell = phonopy.primitive, phonopy.supercell
    second = np.array([primitive.p2p_map[k] for k in primitive.s2p_map])
    away = supercell.positions - crystal.positions[second]
    return second, np.rint(away @ np.linalg.inv(crystal.cell.array)).astype(np.int64)
