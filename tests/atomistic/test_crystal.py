"""Crystals: refusals, primitive cells that are not rotated, the deformation convention, relaxation, reference values."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from hypothesis import given, settings
from hypothesis import strategies as st

import atomistic
from atomistic import EV_PER_CUBIC_ANGSTROM_IN_GPA, InvalidCrystal, UnknownReference


@pytest.mark.parametrize(
    ("atoms", "message"),
    [
        (Atoms(), "no atoms"),
        (Atoms("Si", cell=np.eye(3) * 4), "pbc"),
        (Atoms("Si", cell=np.diag([4.0, 4.0, -4.0]), pbc=True), r"det\(cell\) = -64"),
        (Atoms("Si", cell=np.diag([4.0, 4.0, 0.0]), pbc=True), r"det\(cell\) = 0"),
        (Atoms("Si2", positions=[[0, 0, 0], [0.1, 0, 0]], cell=np.eye(3) * 4, pbc=True), "atoms 0 and 1 overlap"),
        (Atoms("Si2", positions=[[0, 0, 0], [0, 0, 3.9]], cell=np.eye(3) * 4, pbc=True), "overlap: they are 0.1"),
        (Atoms("Si", positions=[[np.nan, 0, 0]], cell=np.eye(3) * 4, pbc=True), "NaN"),
    ],
)
def test_what_is_no_crystal_is_refused(atoms: Atoms, message: str) -> None:
    with pytest.raises(InvalidCrystal, match=message):
        atomistic.check_crystal(atoms)


def test_primitive_cell_keeps_the_orientation() -> None:
    from scipy.spatial.transform import Rotation

    Q = Rotation.from_rotvec([0.3, -0.2, 0.5]).as_matrix()
    cubic = bulk("Si", a=5.43, cubic=True)
    turned = cubic.copy()
    turned.set_cell(cubic.cell.array @ Q.T, scale_atoms=True)
    primitive = atomistic.primitive_cell(turned)
    assert len(primitive) == 2
    # every primitive vector is a lattice vector of the turned cubic lattice: half-integer in its axes
    in_cubic_axes = primitive.cell.array @ Q / 5.43 * 2.0
    np.testing.assert_allclose(in_cubic_axes, np.round(in_cubic_axes), atol=1e-9)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**31))
def test_first_piola_from_the_virial_is_the_derivative_of_the_energy(seed: int) -> None:
    """P = J sigma F^-T with cell @ F.T; with cell @ F instead it is off by several per cent."""
    generator = np.random.default_rng(seed)
    silicon = bulk("Si", a=5.43)
    calculator = atomistic.reference_calculator("stillinger-weber")
    F = np.eye(3) + generator.uniform(-0.08, 0.08, (3, 3))

    def energy(G: np.ndarray) -> float:
        atoms = atomistic.deform(silicon, G)
        atoms.calc = calculator
        return atoms.get_potential_energy() / silicon.get_volume()

    atoms = atomistic.deform(silicon, F)
    atoms.calc = calculator
    P = atomistic.first_piola(atoms.get_stress(voigt=False), F)
    numerical = np.zeros((3, 3))
    h = 1e-4
    for i in range(3):
        for j in range(3):
            for step, weight in ((-2, 1.0), (-1, -8.0), (1, 8.0), (2, -1.0)):
                G = F.copy()
                G[i, j] += step * h
                numerical[i, j] += weight * energy(G) / (12.0 * h)
    assert np.abs(P - numerical).max() <= 1e-7 * np.abs(P).max()


def test_relaxed_silicon_and_its_elastic_constants() -> None:
    """Stillinger-Weber silicon: a0 = 5.431 A, C11 C12 C44 = 151.4 76.4 56.4 GPa, clamped C44 109.8."""
    calculator = atomistic.reference_calculator("stillinger-weber")
    relaxed = atomistic.relax_crystal(bulk("Si", a=5.6, cubic=True), calculator)
    assert len(relaxed.atoms) == 2
    assert np.abs(relaxed.stress).max() * EV_PER_CUBIC_ANGSTROM_IN_GPA < 1e-6
    assert np.linalg.det(relaxed.atoms.cell.array) * 4 == pytest.approx(5.4310**3, rel=2e-4)
    C = EV_PER_CUBIC_ANGSTROM_IN_GPA * atomistic.elastic_constants(relaxed.atoms, calculator)
    clamped = EV_PER_CUBIC_ANGSTROM_IN_GPA * atomistic.elastic_constants(relaxed.atoms, calculator, relaxed=False)
    np.testing.assert_allclose([C[0, 0], C[0, 1], C[3, 3], clamped[3, 3]], [151.4, 76.4, 56.4, 109.8], atol=0.06)
    cubic = np.zeros((6, 6))
    cubic[:3, :3] = C[0, 1]
    cubic[np.arange(6), np.arange(6)] = [C[0, 0]] * 3 + [C[3, 3]] * 3
    np.testing.assert_allclose(C, cubic, atol=1e-3)


def test_reference_refuses_elements_it_has_no_parameters_for() -> None:
    atoms = bulk("Ge", a=5.66)
    atoms.calc = atomistic.reference_calculator("stillinger-weber")
    with pytest.raises(atomistic.ElementNotCovered, match="no parameters for Ge; this model covers Si"):
        atoms.get_potential_energy()


def test_unknown_reference_names_those_known() -> None:
    with pytest.raises(UnknownReference, match="did you mean 'stillinger-weber'"):
        atomistic.reference_calculator("stilinger-weber")
    with pytest.raises(UnknownReference, match="does not take the parameters"):
        atomistic.reference_calculator("stillinger-weber", cutoff=3.0)
