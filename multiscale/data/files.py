"""Strain-stress data from a file of any kind that this package reads, told by its name."""

import os
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.io import read

from multiscale.data.csv_data import FEWEST, ConstantColumn, read_csv
from multiscale.data.dataset import DataFileError, StressStrainData
from multiscale.data.extxyz import read_extxyz
from multiscale.fits.fit import symmetry_named
from multiscale.sampling.relaxed_states import crystal_from_record
from multiscale.symmetry.material_symmetry import InvalidSymmetry, MaterialSymmetry
from multiscale.symmetry.point_group import PointGroup


class UnknownSymmetry(ValueError):
    """Neither the caller nor the data say what symmetry the material has."""


def read_data(
    path: str | os.PathLike[str],
    *,
    unit: str | None = None,
    temperature: float | None = None,
    reference: Atoms | None = None,
) -> StressStrainData:
    """Strain-stress data in GPa from HDF5 (.h5, .hdf5), comma-separated text (.csv) or extended XYZ (.extxyz, .xyz).

    Args:
        path: the file.
        unit: of stress, where the file does not say it (.csv), or keeps to another than ASE's (.extxyz).
        temperature: in K, of files that do not say it; 0 K where it is not given.
        reference: the cell at F = I (.extxyz); its symmetry is the material's.

    Raises:
        DataFileError: another kind of file, or an argument that the file answers itself; and the errors of StressStrainData.read, read_csv
            and read_extxyz.
    """
    kind = Path(path).suffix.lower()
    if kind in (".h5", ".hdf5"):
        for name, value in (("unit", unit), ("temperature", temperature), ("reference", reference)):
            if value is not None:
                raise DataFileError(f"{path} says its {name} itself, expected none beside a file of HDF5")
        data = StressStrainData.read(path)
        warn_of_constant_labels(data, path)
        return data
    kelvin = 0.0 if temperature is None else temperature
    if kind == ".csv":
        if reference is not None:
            raise DataFileError(f"{path} is a table, expected no reference cell beside it; its columns are F")
        return read_csv(path, unit=unit, temperature=kelvin)
    if kind in (".extxyz", ".xyz"):
        data = read_extxyz(path, reference=reference, unit=unit or "eV/A^3", temperature=kelvin)
        warn_of_constant_labels(data, path)
        if reference is None:
            return data
        return replace(
            data,
            crystal={
                "numbers": reference.numbers.tolist(),
                "cell": reference.cell.array.tolist(),
                "positions": reference.positions.tolist(),
            },
        )
    raise DataFileError(f"{path} has the ending {kind!r}, expected .h5, .csv or .extxyz")


def warn_of_constant_labels(data: StressStrainData, path: str | os.PathLike[str]) -> None:
    """Name the labels that are the same in all states and not zero (a table has names of its own for them: multiscale.data.csv_data)."""
    if len(data) < FEWEST or not np.ptp(data.deformation_gradient, axis=0).any():
        return
    for name in ("energy", "first_piola", "tangent"):
        label = getattr(data, name)
        if label is None:
            continue
        stuck = (np.ptp(label, axis=0) == 0.0) & (label[0] != 0.0)
        if stuck.any():
            index = "".join(f"[{k}]" for k in np.argwhere(stuck)[0])
            warnings.warn(
                f"{name}{index} of {path} is {label[0][stuck][0]:.6g} GPa in all {len(data)} states while F changes; check its source",
                ConstantColumn,
                stacklevel=3,
            )


def symmetry_for(
    data: StressStrainData, name: str | None = None, axis: tuple[float, float, float] | None = None
) -> MaterialSymmetry:
    """The symmetry asked for by name, or that of the data's crystal.

    Raises:
        UnknownSymmetry: no name is given, and the data have no crystal.
        InvalidSymmetry: an axis without a name that has one.
        UnknownPointGroup: no such name.
    """
    if axis is not None and name != "transversely isotropic":
        raise InvalidSymmetry(
            f"the axis {list(axis)} is given and the symmetry {name!r}, expected 'transversely isotropic'"
        )
    if name is not None:
        return symmetry_named(name) if axis is None else symmetry_named(name, axis)
    if not data.crystal:
        raise UnknownSymmetry(
            "the data hold no crystal to take the symmetry from; say it: m-3m, 6/mmm, ..., isotropic, transversely isotropic"
        )
    return PointGroup.of(crystal_from_record(data.crystal))


def read_cell(path: str | os.PathLike[str]) -> Atoms:
    """The cell at F = I from any file that ASE reads.

    Raises:
        DataFileError: no such file, or none that holds one periodic cell.
    """
    try:
        atoms = read(os.fspath(path))
    except Exception as error:  # every format of ASE has its own exceptions
        raise DataFileError(f"{path} cannot be read as a cell ({error}); expected extxyz, CIF, VASP ...") from error
    if not isinstance(atoms, Atoms) or atoms.cell.rank != 3:
        raise DataFileError(f"{path} holds no cell with three edges, expected the one at F = I")
    return atoms
