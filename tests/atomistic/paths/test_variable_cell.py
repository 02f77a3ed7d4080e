"""Combined coordinates of cell and atoms: derivatives, invariances, the Jacobian."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import make_supercell
from hypothesis import given, settings
from hypothesis import strategies as st

import atomistic
from atomistic.paths.variable_cell import VariableCell
from atomistic.phases.prototypes import beta_tin
from tests.atomistic.conftest import random_potential


def two_crystals(seed: int) -> tuple[Atoms, Atoms]:
    generator = np.random.default_rng(seed)
    ends = (beta_tin("Si", 20.0, np.sqrt(2.0)), beta_tin("Si", 17.0))
    for atoms in ends:
        strain = np.eye(3) + generator.normal(0.0, 0.02, (3, 3))
        atoms.set_cell(atoms.cell.array @ strain, scale_atoms=True)
        atoms.positions += generator.normal(0.0, 0.05, (2, 3))
    return ends


@pytest.fixture(scope="module")
def calculator() -> atomistic.NeuralCalculator:
    return atomistic.NeuralCalculator(random_potential((14,), nearest=2.3, cutoff=4.0, seed=4))


@pytest.mark.parametrize("pressure", [0.0, 0.07])
def test_forces_and_hessian(calculator: atomistic.NeuralCalculator, pressure: float) -> None:
    """Forces are minus the slope of the enthalpy, the exact Hessian minus that of the forces; rigid motions cost nothing."""
    initial, final = two_crystals(0)
    coordinates = VariableCell.between(initial, final, calculator, pressure)
    image = coordinates.image(final)
    crystal = coordinates.structure(image)
    crystal.calc = calculator
    enthalpy = crystal.get_potential_energy() + pressure * crystal.get_volume()
    assert image.get_potential_energy() == pytest.approx(enthalpy, abs=1e-12)
    H = coordinates.hessian(image)
    np.testing.assert_allclose(H, H.T, atol=1e-10)
    generator = np.random.default_rng(1)
    start, forces = image.positions.copy(), image.get_forces()
    for _ in range(3):
        v = generator.normal(size=start.shape)
        ends = []
        for h in (1e-4, -1e-4):
            image.positions = start + h * v
            ends.append((image.get_potential_energy(), image.get_forces()))
        assert (ends[0][0] - ends[1][0]) / 2e-4 == pytest.approx(-np.vdot(forces, v), abs=1e-6)
        np.testing.assert_allclose(
            -(ends[0][1] - ends[1][1]).ravel() / 2e-4, H @ v.ravel(), atol=2e-5 * np.abs(H).max()
        )
    image.positions = start
    basis = coordinates.basis(image)
    assert basis.shape == (15, 9)
    rigid = np.eye(15) - basis @ basis.T
    np.testing.assert_allclose(rigid @ H, 0.0, atol=1e-9 * np.abs(H).max())
    np.testing.assert_allclose(rigid @ forces.ravel(), 0.0, atol=1e-10)


@given(seed=st.integers(0, 1000))
@settings(max_examples=10, deadline=None)
def test_ends_and_rotations(seed: int) -> None:
    """Both ends come back with their metric; rotations and the order of the ends change no distance."""
    initial, final = two_crystals(seed)
    reference = atomistic.reference_calculator("stillinger-weber")
    coordinates = VariableCell.between(initial, final, reference)
    images = [coordinates.image(end) for end in (initial, final)]
    for end, image in zip((initial, final), images, strict=True):
        back = coordinates.structure(image)
        np.testing.assert_allclose(back.cell.array @ back.cell.array.T, end.cell.array @ end.cell.array.T, atol=1e-9)
        np.testing.assert_allclose(back.get_scaled_positions(), end.get_scaled_positions(), atol=1e-9)
    np.testing.assert_allclose(coordinates.stretch(images[0]) @ coordinates.stretch(images[1]), np.eye(3), atol=1e-9)
    turned = final.copy()
    turned.rotate(71.0, (0.3, -1.0, 2.0), rotate_cell=True)
    for a, b in ((initial, turned), (final, initial)):
        other = VariableCell.between(a, b, reference)
        between = other.image(b).positions[-3:] - other.image(a).positions[-3:]
        expected = images[1].positions[-3:] - images[0].positions[-3:]
        assert np.linalg.norm(between) == pytest.approx(np.linalg.norm(expected), rel=1e-9)


def test_supercell_has_the_same_path() -> None:
    """Squared distances grow as the number of atoms: the Jacobian weighs strain as it does displacements."""
    initial, final = two_crystals(3)
    reference = atomistic.reference_calculator("stillinger-weber")
    squares = []
    for P in (np.eye(3), np.diag([3, 1, 2])):
        ends = [make_supercell(end, P) for end in (initial, final)]
        own = VariableCell.between(*ends, reference)
        images = [own.image(end) for end in ends]
        squares.append(np.square(images[1].positions - images[0].positions).sum())
        forces = np.square(images[0].get_forces()).sum()
        squares.append(forces)
    assert squares[2] == pytest.approx(6.0 * squares[0], rel=1e-9)
    assert squares[3] == pytest.approx(6.0 * squares[1], rel=1e-6)


def test_differences_where_there_is_no_exact_hessian(calculator: atomistic.NeuralCalculator) -> None:
    """Any calculator: the same Hessian by differences of the forces."""
    from atomistic.newton import reference_hessian

    initial, final = two_crystals(5)
    coordinates = VariableCell.between(initial, final, calculator)
    image = coordinates.image(initial)
    H = coordinates.hessian(image)
    np.testing.assert_allclose(reference_hessian(image, image.calc), H, atol=1e-5 * np.abs(H).max())
