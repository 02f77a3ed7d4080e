"""Strain-stress data from extended XYZ: frames of strained cells with their Cauchy stress, as ASE writes them.

The deformation gradient of a frame is `deformation_gradient` in its comment line, nine numbers F_xx F_xy ... F_zz, or follows from its cell
and that of the state F = I: rows deform as cell = cell_0 F^T. Stress is ASE's (Cauchy, tension positive, eV/A^3), or follows from the
virial, sigma = -virial / V. With a reference frame that has an energy, W = (E - E_0) / V_0.
"""

import os
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import PropertyNotImplementedError
from ase.io import read
from ase.stress import voigt_6_to_full_3x3_stress
from jaxtyping import Float
from numpy import ndarray

from multiscale.data.dataset import DataFileError, InvalidData, StressStrainData
from multiscale.data.stress_measures import first_piola_of
from multiscale.data.stress_units import conversion


def read_extxyz(
    path: str | os.PathLike[str], *, reference: Atoms | None = None, unit: str = "eV/A^3", temperature: float = 0.0
) -> StressStrainData:
    """Strain-stress data of the frames of a file, in GPa.

    Args:
        path: extended XYZ.
        reference: the cell at F = I; needed where the frames do not say their deformation gradient, and for energies.
        unit: of the frames' stress (and of its error), for files that do not keep to ASE's.
        temperature: of all frames, in K; above zero energies are left out, for a mean potential energy is not a free energy.

    Raises:
        DataFileError: no such file, or not extended XYZ.
        InvalidData: a frame without stress or deformation gradient, of other atoms than the reference, or numbers that are no data.
        UnitError: an unknown unit.
    """
    try:
        frames = read(os.fspath(path), index=":", format="extxyz")
    except Exception as error:  # ASE raises whatever its parser meets
        raise DataFileError(
            f"{path} cannot be read as extended XYZ ({error}); expected frames written by ASE"
        ) from error
    if not isinstance(frames, list) or not frames:
        raise DataFileError(f"{path} holds no frames, expected at least one")
    F = np.array([deformation_gradient(frame, reference, f"frame {k} of {path}") for k, frame in enumerate(frames)])
    # F is checked before it is inverted
    StressStrainData(F)
    factor = conversion(unit, "GPa")
    stress = factor * np.array([cauchy_stress(frame, f"frame {k} of {path}") for k, frame in enumerate(frames)])
    errors = [stress_error(frame, f"frame {k} of {path}") for k, frame in enumerate(frames)]
    stated = [error for error in errors if error is not None]
    if stated and len(stated) < len(errors):
        raise InvalidData(f"{len(stated)} of {len(errors)} frames of {path} state a stress_error, expected all or none")
    P, P_error = first_piola_of("sigma", F, stress, factor * np.array(stated) if stated else None)
    return StressStrainData(
        deformation_gradient=F,
        energy=energies(frames, reference, path) if temperature == 0.0 else None,
        first_piola=P,
        first_piola_error=P_error,
        temperature=temperature,
        provenance={"frames": os.path.basename(path)},
    )


def deformation_gradient(frame: Atoms, reference: Atoms | None, where: str) -> Float[ndarray, "3 3"]:
    """F of a frame: what it says, or what its cell says."""
    said = frame.info.get("deformation_gradient")
    if said is not None:
        return numbers(said, 9, f"deformation_gradient of {where}").reshape(3, 3)
    if reference is None:
        raise InvalidData(
            f"{where} says no deformation_gradient, expected nine numbers in its comment line, or reference="
        )
    if not (frame.cell.rank == 3 and reference.cell.rank == 3):
        raise InvalidData(f"{where} or the reference has no three-dimensional cell, expected periodic cells")
    return np.asarray(np.linalg.solve(reference.cell.array, frame.cell.array).T)


def cauchy_stress(frame: Atoms, where: str) -> Float[ndarray, "3 3"]:
    """The stress of a frame, from its virial where it has no stress."""
    try:
        return np.asarray(voigt_6_to_full_3x3_stress(frame.get_stress()))
    except (PropertyNotImplementedError, RuntimeError) as error:
        virial = frame.info.get("virial")
        if virial is None:
            raise InvalidData(f"{where} has neither stress nor virial, expected one of them") from error
        return np.asarray(-numbers(virial, 9, f"virial of {where}").reshape(3, 3) / frame.get_volume())


def stress_error(frame: Atoms, where: str) -> Float[ndarray, "3 3"] | None:
    """The standard error of the stress, where a frame states it: nine numbers."""
    said = frame.info.get("stress_error")
    return None if said is None else numbers(said, 9, f"stress_error of {where}").reshape(3, 3)


def energies(frames: list[Atoms], reference: Atoms | None, path: str | os.PathLike[str]) -> Float[ndarray, "n"] | None:
    """W of every frame in GPa, or None where the reference or a frame has no energy."""
    if reference is None:
        return None
    try:
        rest = reference.get_potential_energy()
        values = np.array([frame.get_potential_energy() for frame in frames])
    except (PropertyNotImplementedError, RuntimeError):
        return None
    for k, frame in enumerate(frames):
        if sorted(frame.numbers) != sorted(reference.numbers):
            raise InvalidData(
                f"frame {k} of {path} is {frame.get_chemical_formula()} and the reference {reference.get_chemical_formula()}, "
                "expected the same atoms: energies are compared"
            )
    return np.asarray((values - rest) / reference.get_volume() * conversion("eV/A^3", "GPa"))


def numbers(value: Any, count: int, what: str) -> Float[ndarray, "count"]:
    """A row of so many numbers."""
    try:
        row = np.asarray(value, dtype=np.float64).ravel()
    except (TypeError, ValueError) as error:
        raise InvalidData(f"{what} is {value!r}, expected {count} numbers") from error
    if row.shape != (count,):
        raise InvalidData(f"{what} has {row.size} numbers, expected {count}")
    return row
