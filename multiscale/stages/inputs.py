"""What a run takes from outside: the crystal, the reference model, the meshes; tried before anything is computed."""

from pathlib import Path

import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.calculators.calculator import Calculator
from ase.io import iread, read

import atomistic
from multiscale.configuration import Configuration, ConfigurationError
from multiscale.data.recorded import RecordedReference
from multiscale.fits.fit import symmetry_named


class UnreadableDataset(ValueError):
    """A file that is no dataset to train and to test on."""


class UnreadableCrystal(ValueError):
    """A file in which ASE finds no crystal."""


def read_crystal(configuration: Configuration) -> Atoms:
    """The crystal as the configuration describes it.

    Raises:
        UnreadableCrystal: where ASE finds no crystal in the file.
        InvalidCrystal: for what is no crystal.
    """
    crystal = configuration.crystal
    if crystal.file is None:
        assert crystal.element is not None  # the configuration has seen to it
        atoms = bulk(crystal.element, crystal.structure, a=crystal.lattice_constant_angstrom)
    else:
        atoms = _read_atoms(crystal.file)
    atomistic.check_crystal(atoms)
    return atoms


def _crystal_keys(configuration: Configuration) -> str:
    crystal = configuration.crystal
    if crystal.file is not None:
        return f"file = {str(crystal.file)!r}"
    return f"element = {crystal.element!r}, lattice_constant_angstrom = {crystal.lattice_constant_angstrom:g}"


def _read_atoms(path: Path) -> Atoms:
    try:
        atoms = read(path)
    except Exception as error:  # every format of ASE has its own exceptions
        raise UnreadableCrystal(
            f"ASE cannot read a crystal from it ({error}); expected extxyz, CIF, VASP ..."
        ) from error
    if not isinstance(atoms, Atoms):
        raise UnreadableCrystal(f"it holds {len(atoms)} structures, expected one crystal")
    return atoms


def reference_model(configuration: Configuration) -> Calculator:
    """The calculator that labels configurations.

    Raises:
        UnknownReference: where its name or parameters are not known.
    """
    return atomistic.reference_calculator(configuration.reference.name, **configuration.reference.parameters)


def recorded_reference(configuration: Configuration) -> tuple[list[Atoms], RecordedReference]:
    """The labelled structures of the dataset, each with its split, and the record of the model that labelled them.

    Raises:
        UnreadableDataset: where a structure has no label or no split, or there are none to train or to test on.
        UnreadableRecord: where the record is none.
    """
    dataset, record = configuration.reference.dataset, configuration.reference.recorded
    assert dataset is not None and record is not None  # the configuration has seen to it
    try:
        structures = list(iread(dataset))
    except Exception as error:  # every format of ASE has its own exceptions
        raise UnreadableDataset(
            f"ASE cannot read structures from {str(dataset)!r} ({error}); expected extxyz"
        ) from error
    for k, atoms in enumerate(structures):
        if atoms.info.get("split") not in ("train", "test"):
            raise UnreadableDataset(
                f'structure {k} of {str(dataset)!r} has split = {atoms.info.get("split")!r}, expected "train" or "test"'
            )
    for split in ("train", "test"):
        if not any(atoms.info["split"] == split for atoms in structures):
            raise UnreadableDataset(f"no structure of {str(dataset)!r} has split = {split!r}; expected some of each")
    atomistic.check_labels(structures)
    return structures, RecordedReference.read(record)


def check_inputs(configuration: Configuration, path: str | Path) -> None:
    """Try everything that a run needs from outside, so that a mistake shows in seconds and not after the training.

    Raises:
        ConfigurationError: naming the place in the TOML file at `path`.
    """
    try:
        atoms = read_crystal(configuration)
    except ValueError as error:
        raise ConfigurationError(f"{path}: [crystal] {_crystal_keys(configuration)}: {error}") from error
    try:
        if configuration.reference.dataset is None:
            calculator = reference_model(configuration)
        else:
            recorded_reference(configuration)
    except ValueError as error:
        raise ConfigurationError(f"{path}: [reference] {error}") from error
    if configuration.reference.dataset is None:
        _check_reference(configuration, atoms, calculator, path)
    if configuration.law.symmetry is not None:
        try:
            symmetry_named(configuration.law.symmetry)
        except ValueError as error:
            raise ConfigurationError(f"{path}: [law] {error}") from error
    structure, truth = configuration.structure, configuration.truth
    _check_mesh(structure.mesh, configuration, f"{path}: [structure]")
    if truth.mesh != structure.mesh:
        _check_mesh(truth.mesh, configuration, f"{path}: [truth]")


def _check_reference(configuration: Configuration, atoms: Atoms, calculator: Calculator, path: str | Path) -> None:
    """One evaluation tells whether the model knows the elements and gives what training needs."""
    name = configuration.reference.name
    elements = ", ".join(sorted(set(atoms.get_chemical_symbols())))
    atoms = atoms.copy()
    atoms.calc = calculator
    try:
        values = (atoms.get_potential_energy(), atoms.get_forces(), atoms.get_stress())
    except Exception as error:  # a calculator raises what it likes
        raise ConfigurationError(
            f"{path}: [reference] name = {name!r}: cannot compute the crystal of {elements} ({error}); expected a model that knows "
            "its elements and gives energy, forces and stress"
        ) from error
    if not all(np.isfinite(value).all() for value in values):
        raise ConfigurationError(
            f"{path}: [reference] name = {name!r}: its energy, forces or stress of the crystal are not finite; "
            "check the lattice constant and the parameters"
        )


def _check_mesh(mesh: Path, configuration: Configuration, place: str) -> None:
    import fem

    structure = configuration.structure
    try:
        named = fem.read_mesh(mesh)
        dimension = named.domain.geometry.dim
        if dimension != 3:
            raise fem.MeshError(f"mesh file {str(mesh)!r} has {dimension} dimensions, expected a body of 3")
        for key, surfaces in (("clamp", structure.clamp), ("traction_gpa", tuple(structure.traction_gpa))):
            for surface in surfaces:
                place_of_surface = f"[structure] {key}: surface {surface!r}"
                named.facets(surface)
    except fem.MeshNameError as error:
        raise ConfigurationError(f"{place} mesh = {str(mesh)!r} and {place_of_surface}: {error}") from error
    except fem.MeshError as error:
        raise ConfigurationError(f"{place} {error}") from error
