"""What an expert asks of any interatomic model, asked of every kind of descriptors with random weights: no training can hide it.

Derivatives, rotations and supercells have their tests in `test_potential.py`, curvature in `test_hessian.py` and `vibrations/`.
"""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, fcc111, make_supercell

import atomistic
from atomistic import NeuralCalculator, NeuralPotential

from .conftest import DESCRIPTORS, random_potential_of

Trained = tuple[list[Atoms], atomistic.Training]

CRYSTALS = {
    "diamond": bulk("Si", "diamond", a=5.43),
    "zincblende": bulk("GaAs", "zincblende", a=5.65),
    "rocksalt": bulk("GaAs", "rocksalt", a=5.3),
    "face-centred": bulk("Si", "fcc", a=3.9),
    "body-centred, two atoms": bulk("Si", "bcc", a=3.1, cubic=True),
}

every_kind = pytest.mark.parametrize("kind", DESCRIPTORS)


def potential_for(kind: str, atoms: Atoms) -> NeuralPotential:
    return random_potential_of(kind, tuple(sorted(set(atoms.numbers.tolist()))))


def disordered(seed: int = 0) -> Atoms:
    """A strained, rattled GaAs crystal."""
    generator = np.random.default_rng(seed)
    atoms = atomistic.deform(CRYSTALS["zincblende"].repeat((1, 2, 1)), np.eye(3) + generator.normal(0.0, 0.04, (3, 3)))
    atoms.positions += generator.normal(0.0, 0.1, atoms.positions.shape)
    return atoms


@every_kind
@pytest.mark.parametrize("name", CRYSTALS)
def test_symmetry_forbids_forces_and_shear_in_perfect_cubic_crystals(kind: str, name: str) -> None:
    for stretch in (0.93, 1.0, 1.1):
        atoms = atomistic.deform(CRYSTALS[name], stretch * np.eye(3))
        prediction = potential_for(kind, atoms).predict(atoms)
        pressure = -np.trace(prediction.stress) / 3.0
        assert abs(pressure) > 1e-6
        assert np.abs(prediction.forces).max() < 1e-12
        assert np.abs(prediction.stress + pressure * np.eye(3)).max() < 1e-12


@every_kind
def test_internal_forces_balance(kind: str) -> None:
    """No net force on a crystal, no net force or torque on a molecule (Newton's third law)."""
    atoms = disordered()
    forces = potential_for(kind, atoms).predict(atoms).forces
    assert np.abs(forces).max() > 1e-3
    assert np.abs(forces.sum(0)).max() < 1e-12
    molecule = Atoms("SiGe2Si", positions=[[0, 0, 0], [2.3, 0, 0], [0.4, 2.5, 0.1], [1.9, 2.0, 2.2]])
    forces = potential_for(kind, molecule).predict(molecule).forces
    assert np.abs(forces.sum(0)).max() < 1e-12
    assert np.abs(np.cross(molecule.positions, forces).sum(0)).max() < 1e-12


@every_kind
def test_the_cell_is_a_matter_of_description(kind: str) -> None:
    """Twice the cell, another basis of the lattice, an atom in the next cell, atoms wrapped or not: the same crystal."""
    atoms = disordered()
    potential = potential_for(kind, atoms)
    reference = potential.predict(atoms)
    elsewhere = atoms.copy()
    elsewhere.positions[1] += atoms.cell.array[0] - 3.0 * atoms.cell.array[2]
    wrapped = elsewhere.copy()
    wrapped.wrap()
    skewed = atoms.copy()
    skewed.set_cell(np.array([[1, 3, 0], [0, 1, 0], [-2, 0, 1]]) @ atoms.cell.array)
    for other in (elsewhere, wrapped, skewed):
        prediction = potential.predict(other)
        assert prediction.energy == pytest.approx(reference.energy, abs=1e-11)
        np.testing.assert_allclose(prediction.forces, reference.forces, atol=1e-11)
        np.testing.assert_allclose(prediction.stress, reference.stress, atol=1e-11)
    double = potential.predict(make_supercell(atoms, [[1, 1, 0], [-1, 1, 0], [0, 0, 1]]))
    assert double.energy == pytest.approx(2.0 * reference.energy, abs=1e-11)
    np.testing.assert_allclose(double.stress, reference.stress, atol=1e-11)


@every_kind
def test_inversion_through_a_point(kind: str) -> None:
    atoms = disordered()
    potential = potential_for(kind, atoms)
    mirrored = atoms.copy()
    mirrored.positions *= -1.0
    straight, inverted = potential.predict(atoms), potential.predict(mirrored)
    assert inverted.energy == pytest.approx(straight.energy, abs=1e-11)
    np.testing.assert_allclose(inverted.forces, -straight.forces, atol=1e-11)
    np.testing.assert_allclose(inverted.stress, straight.stress, atol=1e-11)


@every_kind
def test_stress_is_the_strain_derivative_of_the_energy(kind: str) -> None:
    atoms = disordered()
    potential = potential_for(kind, atoms)
    stress, h = potential.predict(atoms).stress, 2e-5
    for i, j in ((0, 0), (2, 2), (0, 1), (1, 2)):
        strain = np.zeros((3, 3))
        strain[i, j] += 0.5 * h
        strain[j, i] += 0.5 * h
        up, down = (potential.predict(atomistic.deform(atoms, np.eye(3) + s * strain)).energy for s in (1.0, -1.0))
        assert abs((up - down) / (2.0 * h * atoms.get_volume()) - stress[i, j]) <= 1e-6 * np.abs(stress).max()


@every_kind
def test_atoms_out_of_reach_are_alone(kind: str) -> None:
    """An isolated atom has an energy of its element and no force; out of the cutoff, energies add up."""
    potential = random_potential_of(kind, (31, 33))
    alone = {symbol: potential.predict(Atoms(symbol)) for symbol in ("Ga", "As")}
    assert alone["Ga"].energy != alone["As"].energy
    assert not any(prediction.forces.any() for prediction in alone.values())
    in_a_box = Atoms("Ga", cell=3.0 * potential.cutoff * np.eye(3), pbc=True)
    assert potential.predict(in_a_box).energy == alone["Ga"].energy
    assert not potential.predict(in_a_box).stress.any()
    pair = potential.predict(Atoms("GaAs", positions=[[0, 0, 0], [0, 0, potential.cutoff + 1e-9]]))
    assert pair.energy == pytest.approx(alone["Ga"].energy + alone["As"].energy, abs=1e-14)
    assert not pair.forces.any()


@every_kind
def test_crossing_the_cutoff_is_smooth(kind: str) -> None:
    """Energy, forces and curvature of a bonded pair while a third atom leaves the cutoff of one of them."""
    potential = random_potential_of(kind, (31, 33))

    def at(distance: float) -> Atoms:
        direction = np.array([0.6, 0.48, 0.64])
        return Atoms("GaAsGa", positions=[[0, 0, 0], [0, 2.4, 0], distance * direction])

    inside, outside = (at(potential.cutoff + side * 1e-9) for side in (-1.0, 1.0))
    near, far = potential.predict(inside), potential.predict(outside)
    assert abs(near.energy - far.energy) <= 1e-10
    assert np.abs(near.forces).max() > 1e-3
    # The atom has moved by 2e-9 as well: its own slope is what is left.
    slope = np.abs(atomistic.hessian(potential, outside)).max()
    assert np.abs(near.forces - far.forces).max() <= 1e-10 + 4e-9 * slope
    jump = np.abs(atomistic.hessian(potential, inside) - atomistic.hessian(potential, outside)).max()
    assert jump <= 1e-6 * slope
    # A pair alone: nothing but the crossing.
    pairs = [Atoms("GaAs", positions=[[0, 0, 0], (potential.cutoff + s * 1e-6) * np.eye(3)[0]]) for s in (-1.0, 1.0)]
    near, far = (potential.predict(pair) for pair in pairs)
    assert abs(near.energy - far.energy) <= 1e-10
    assert np.abs(near.forces - far.forces).max() <= 1e-10


@every_kind
def test_vacuum_is_empty(kind: str) -> None:
    """A slab does not mind how much vacuum is beside it, nor whether the cell is periodic across it."""
    slab = fcc111("Si", (1, 2, 3), a=3.9, vacuum=5.0, orthogonal=True)
    slab.rattle(0.1, seed=0)
    slab.pbc = True
    potential = potential_for(kind, slab)
    reference = potential.predict(slab)
    thicker = slab.copy()
    thicker.center(vacuum=9.0, axis=2)
    open_cell = slab.copy()
    open_cell.pbc = (True, True, False)
    for other in (thicker, open_cell):
        prediction = potential.predict(other)
        assert prediction.energy == pytest.approx(reference.energy, abs=1e-12)
        np.testing.assert_allclose(prediction.forces, reference.forces, atol=1e-12)
    np.testing.assert_allclose(reference.stress[2], 0.0, atol=np.abs(reference.forces).max())
    virial = potential.predict(thicker).stress * thicker.get_volume()
    np.testing.assert_allclose(virial, reference.stress * slab.get_volume(), atol=1e-11)


@every_kind
def test_elements_are_told_apart(kind: str) -> None:
    """Exchanging the elements of a two-component crystal changes the energy; exchanging like atoms does not."""
    atoms = disordered()
    potential = potential_for(kind, atoms)
    energy = potential.predict(atoms).energy
    swapped = atoms.copy()
    swapped.numbers = np.where(atoms.numbers == 31, 33, 31)
    assert abs(potential.predict(swapped).energy - energy) > 1e-6  # Equal energies are equal to 1e-12 here
    like = atoms.copy()
    gallium = np.nonzero(atoms.numbers == 31)[0][:2]
    like.positions[gallium] = atoms.positions[gallium[::-1]]
    assert potential.predict(like).energy == pytest.approx(energy, abs=1e-11)


def test_elastic_constants_of_a_trained_crystal(small_training: Trained, silicon: Atoms) -> None:
    """Cubic form, Born stability, and the bulk modulus from energies at five volumes: three routes to one set of numbers."""
    potential = small_training[1].potential
    calculator = NeuralCalculator(potential)
    crystal = atomistic.relax_crystal(silicon, calculator, force_tolerance=1e-10).atoms
    C = atomistic.elastic_constants(crystal, calculator)
    c11, c12, c44 = C[0, 0], C[0, 1], C[3, 3]
    cubic = np.zeros((6, 6))
    cubic[:3, :3] = c12
    np.fill_diagonal(cubic, [c11] * 3 + [c44] * 3)
    np.testing.assert_allclose(C, cubic, atol=1e-5 * c11)
    assert c11 - c12 > 0.0 and c11 + 2.0 * c12 > 0.0 and c44 > 0.0
    volume, h = crystal.get_volume(), 1e-3
    ratios = 1.0 + h * np.arange(-2, 3)
    energies = [potential.predict(atomistic.deform(crystal, np.cbrt(r) * np.eye(3))).energy for r in ratios]
    bulk_modulus = np.array([-1.0, 16.0, -30.0, 16.0, -1.0]) @ energies / (12.0 * h * h * volume)
    assert bulk_modulus == pytest.approx((c11 + 2.0 * c12) / 3.0, rel=1e-4)
    tangent = atomistic.CauchyBorn(crystal, potential).evaluate(np.eye(3)[None]).tangent
    assert tangent is not None
    exact = [tangent[0, 0, 0, 0, 0], tangent[0, 0, 0, 1, 1], tangent[0, 1, 2, 1, 2]]
    np.testing.assert_allclose([c11, c12, c44], exact, rtol=1e-4)
