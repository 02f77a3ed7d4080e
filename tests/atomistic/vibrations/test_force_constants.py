"""Force constants: chains in closed form, supercells fold onto wave vectors, exact ones against differences, what is refused."""

from collections.abc import Callable

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.calculator import Calculator
from hypothesis import given
from hypothesis import strategies as st

import atomistic
from atomistic import NeuralCalculator, NeuralPotential
from atomistic.vibrations import (
    AcousticSumRuleViolated,
    ForceConstants,
    HessianTooLarge,
    InvalidForceConstants,
    ResidualForces,
    Springs,
    SupercellTooSmall,
    chain,
    chain_frequencies,
    force_constants,
    force_constants_by_differences,
    phonopy_of,
)
from atomistic.vibrations.force_constants import needed_repeats, shortest_vector

from ..conftest import random_potential
from .conftest import SW_REACH

SPRINGS = Springs(stiffness=3.0, length=2.0, cutoff=2.5)
WAVE_VECTORS = np.random.default_rng(0).uniform(-1.0, 1.0, (12, 3))


def squares(frequencies: np.ndarray) -> np.ndarray:
    """omega^2 / 4 pi^2, ascending; differences are then not magnified where a frequency is zero."""
    return np.sort((np.sign(frequencies) * frequencies**2).ravel())


def by_phonopy(constants: ForceConstants, wave_vectors: np.ndarray) -> np.ndarray:
    return np.asarray(phonopy_of(constants).run_qpoints(wave_vectors).frequencies)


@pytest.mark.parametrize("of", [ForceConstants.frequencies, by_phonopy])
@pytest.mark.parametrize("masses", [(28.0,), (12.0, 40.0), (12.0, 12.0)])
def test_chains_in_closed_form(
    masses: tuple[float, ...], of: Callable[[ForceConstants, np.ndarray], np.ndarray]
) -> None:
    """1e-8 THz for one and two atoms a period; across the chain springs at rest do not pull."""
    q = np.linspace(0.0, 1.0, 41)[1:-1]
    constants = force_constants(SPRINGS, chain(SPRINGS, masses))
    found = np.sort(of(constants, np.column_stack([q, 0.0 * q, 0.0 * q])), axis=1)
    expected = chain_frequencies(SPRINGS, masses, q)
    assert expected.min() > 0.3
    np.testing.assert_allclose(found[:, -len(masses) :], expected, atol=1e-8)
    np.testing.assert_allclose(found[:, : -len(masses)], 0.0, atol=1e-6)


def test_a_chain_of_two_equal_atoms_is_the_chain_of_one_folded() -> None:
    """The closed forms against each other."""
    q = np.linspace(0.05, 0.45, 9)
    two = chain_frequencies(SPRINGS, (28.0, 28.0), q)
    one = np.column_stack([chain_frequencies(SPRINGS, (28.0,), q / 2 + shift)[:, 0] for shift in (0.0, 0.5)])
    np.testing.assert_allclose(two, np.sort(one, axis=1), rtol=1e-12)


def test_supercell_at_gamma_holds_the_wave_vectors_that_fit() -> None:
    crystal = bulk("GaAs", "zincblende", a=5.65)
    crystal.rattle(0.05, seed=0)
    potential = random_potential((31, 33), nearest=2.45, cutoff=4.6, seed=1)
    wave_vectors = [[i / 2, j / 2, k / 2] for i in range(2) for j in range(2) for k in range(2)]
    constants = force_constants(potential, crystal, force_tolerance=np.inf)
    folded = constants.frequencies(wave_vectors)
    assert folded.shape == (8, 6)
    large = force_constants(potential, crystal.repeat(2), force_tolerance=np.inf).frequencies()
    np.testing.assert_allclose(squares(folded), squares(large), atol=1e-10)
    np.testing.assert_allclose(constants.frequencies([[1.0, -1.0, 2.0]]), folded[:1], atol=1e-5)


def test_gamma_is_the_hessian(potential: NeuralPotential, crystal: Atoms, constants: ForceConstants) -> None:
    scale = np.repeat(crystal.get_masses(), 3) ** -0.5
    expected = scale[:, None] * atomistic.hessian(potential, crystal) * scale
    np.testing.assert_allclose(constants.dynamical_matrices([[0.0, 0.0, 0.0]])[0], expected, atol=1e-12)


def test_rotation_turns_wave_vectors_with_it(
    potential: NeuralPotential, crystal: Atoms, constants: ForceConstants
) -> None:
    """Frequencies at wave vectors given by reciprocal lattice vectors do not know how the crystal lies; x -> -x neither."""
    turned = crystal.copy()
    turned.rotate(37.0, (1.0, 2.0, 3.0), rotate_cell=True)
    frequencies = constants.frequencies(WAVE_VECTORS)
    np.testing.assert_allclose(force_constants(potential, turned).frequencies(WAVE_VECTORS), frequencies, atol=1e-9)
    np.testing.assert_allclose(constants.frequencies(-WAVE_VECTORS), frequencies, atol=1e-9)


def test_the_same_by_edges_by_products_and_through_phonopy(
    potential: NeuralPotential, crystal: Atoms, constants: ForceConstants
) -> None:
    expected = constants.frequencies(WAVE_VECTORS)
    free = force_constants(potential, crystal, matrix_free=True, memory=1.0)
    assert len(free.first) == len(constants.first)
    np.testing.assert_allclose(free.frequencies(WAVE_VECTORS), expected, atol=1e-9)
    np.testing.assert_allclose(by_phonopy(constants, WAVE_VECTORS), expected, atol=1e-9)


def test_exact_and_finite_differences(potential: NeuralPotential, crystal: Atoms, constants: ForceConstants) -> None:
    """Within 1e-3 THz at any wave vector in the supercell that the potential's reach needs."""
    found = force_constants_by_differences(crystal, NeuralCalculator(potential))
    assert constants.reach <= found.reach <= 2.0 * potential.cutoff
    assert np.abs(found.frequencies(WAVE_VECTORS) - constants.frequencies(WAVE_VECTORS)).max() < 1e-3


@pytest.mark.filterwarnings("ignore::atomistic.vibrations.SupercellTooSmall")
def test_differences_err_with_the_square_of_the_displacement(
    potential: NeuralPotential, crystal: Atoms, constants: ForceConstants
) -> None:
    fitting = [[0.5, 0.5, 0.5], [0.5, 0.0, 0.5]]
    errors = []
    for displacement in (0.04, 0.02):
        calculator = NeuralCalculator(potential)
        found = force_constants_by_differences(crystal, calculator, repeats=(2, 2, 2), displacement=displacement)
        errors.append(np.abs(found.frequencies(fitting) - constants.frequencies(fitting)).max())
    assert errors[0] / errors[1] == pytest.approx(4.0, rel=0.2)


def test_stillinger_weber_by_differences(reference_constants: ForceConstants) -> None:
    """Published: 17.83 THz at Gamma; 4.70, 11.77, 13.40, 16.77 at L."""
    gamma, at_l = reference_constants.frequencies([[0.0, 0.0, 0.0], [0.5, 0.5, 0.5]])
    np.testing.assert_allclose(gamma, [0.0, 0.0, 0.0, 17.83, 17.83, 17.83], atol=0.01)
    np.testing.assert_allclose(at_l, [4.70, 4.70, 11.77, 13.40, 16.77, 16.77], atol=0.01)
    assert reference_constants.reach <= SW_REACH


def test_trained_silicon(constants: ForceConstants) -> None:
    """17.83 THz, threefold, within 0.2 THz after a training of seconds on half of the 300 structures; acoustic modes at zero."""
    frequencies = constants.frequencies()[0]
    assert np.abs(frequencies[:3]).max() < 1e-5
    np.testing.assert_allclose(frequencies[3:], frequencies[3], rtol=1e-6)
    assert frequencies[3] == pytest.approx(17.83, abs=0.2)


@pytest.mark.slow
def test_silicon_trained_on_300_structures(reference: Calculator, silicon: Atoms) -> None:
    """Gamma and L within 0.2 THz of Stillinger and Weber's, by the settings of the tests."""
    relaxed = atomistic.relax_crystal(silicon, reference).atoms
    groups = atomistic.default_groups(0.43)
    structures = atomistic.label_configurations(relaxed, reference, max_strain=0.06, seed=0, groups=groups)
    assert len(structures) <= 300
    settings = atomistic.TrainingSettings(radial=8, angular=5, hidden=(12, 12), epochs=10, cycles=2, iterations=50)
    potential = atomistic.train(structures, settings, seed=0).potential
    crystal = atomistic.relax_crystal(silicon, NeuralCalculator(potential), force_tolerance=1e-10).atoms
    gamma, at_l = force_constants(potential, crystal).frequencies([[0.0, 0.0, 0.0], [0.5, 0.5, 0.5]])
    np.testing.assert_allclose(gamma[3:], 17.83, atol=0.2)
    np.testing.assert_allclose(at_l, [4.70, 4.70, 11.77, 13.40, 16.77, 16.77], atol=0.2)


@given(
    st.lists(st.floats(-1.0, 1.0), min_size=9, max_size=9).map(lambda x: 4.0 * np.eye(3) + np.reshape(x, (3, 3))),
    st.floats(1.0, 6.0),
)
def test_needed_supercell_keeps_images_apart(cell: np.ndarray, reach: float) -> None:
    repeats = needed_repeats(cell, reach)
    steps = np.stack(np.meshgrid(*[np.arange(-3, 4)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    lengths = np.linalg.norm(steps[steps.any(axis=1)] @ (np.array(repeats)[:, None] * cell), axis=1)
    assert lengths.min() > 2.0 * reach - 1e-6
    assert shortest_vector(np.array(repeats)[:, None] * cell) <= lengths.min() + 1e-9


def test_a_supercell_too_small_is_named(potential: NeuralPotential, crystal: Atoms, constants: ForceConstants) -> None:
    """Right at the wave vectors that fit into it, not elsewhere; the message says what is needed."""
    with pytest.warns(SupercellTooSmall, match=r"2x2x2 cells has images 7\.68 A apart.* take 6x6x6 cells"):
        small = force_constants_by_differences(crystal, NeuralCalculator(potential), repeats=(2, 2, 2))
    fitting, other = [[0.5, 0.5, 0.5]], [[0.3, 0.0, 0.0]]
    np.testing.assert_allclose(small.frequencies(fitting), constants.frequencies(fitting), atol=2e-3)
    assert np.abs(small.frequencies(other) - constants.frequencies(other)).max() > 0.02


def test_residual_forces_are_refused(potential: NeuralPotential, crystal: Atoms) -> None:
    moved = crystal.copy()
    moved.positions[1, 0] += 0.02
    with pytest.raises(ResidualForces, match=r"the force on atom \d is 0\.\d+ eV/A, expected at most 0\.001"):
        force_constants(potential, moved)
    with pytest.raises(ResidualForces, match="relax the crystal"):
        force_constants_by_differences(moved, NeuralCalculator(potential))


def test_too_large_for_memory_says_how_much_and_what_instead(potential: NeuralPotential, crystal: Atoms) -> None:
    with pytest.raises(
        HessianTooLarge, match=r"of 2 atoms need 0\.00\d+ GiB, expected at most 9\.31e-07 GiB.*matrix_free=True"
    ):
        force_constants(potential, crystal, memory=1000.0)
    with pytest.raises(ValueError, match=r"memory = 0\.0 bytes"):
        force_constants(potential, crystal, memory=0.0)


class Tethered(Calculator):
    """Stillinger-Weber atoms that are held to where the first of them started."""

    implemented_properties: list[str] = ["energy", "forces"]  # noqa: RUF012

    def __init__(self, inner: Calculator, home: np.ndarray) -> None:
        super().__init__()
        self.inner, self.home = inner, home

    def calculate(self, atoms: Atoms, properties: object, system_changes: object) -> None:  # type: ignore[override]
        forces = self.inner.get_forces(atoms)
        if len(atoms) == len(self.home):
            forces = forces - 0.5 * (atoms.positions - self.home)
        self.results = {"energy": 0.0, "forces": forces}


def test_violated_sum_rule_is_refused(reference: Calculator, silicon: Atoms) -> None:
    crystal = atomistic.relax_crystal(silicon, reference).atoms
    tethered = Tethered(reference, crystal.positions)
    with pytest.raises(AcousticSumRuleViolated, match=r"sum to 0\.5 eV/A\^2, expected zero within 0\.0001"):
        force_constants_by_differences(crystal, tethered, repeats=(1, 1, 1))


def test_nonsense_is_refused(
    potential: NeuralPotential, crystal: Atoms, constants: ForceConstants, reference: Calculator
) -> None:
    with pytest.raises(ValueError, match=r"shape \(3,\), expected \(n, 3\)"):
        constants.frequencies([0.0, 0.0, 0.5])
    with pytest.raises(ValueError, match="neither reach nor repeats"):
        force_constants_by_differences(crystal, reference)
    with pytest.raises(ValueError, match=r"displacement = 0\.0"):
        force_constants_by_differences(crystal, reference, reach=7.0, displacement=0.0)
    with pytest.raises(atomistic.UnknownElement, match="Ge is unknown"):
        force_constants(potential, bulk("Ge", a=5.66))
    with pytest.raises(atomistic.InvalidCrystal, match="pbc"):
        force_constants(potential, Atoms("Si2", positions=[[0, 0, 0], [2.3, 0, 0]]))
    one = np.zeros(1, dtype=np.int64)
    with pytest.raises(InvalidForceConstants, match="NaN"):
        ForceConstants(crystal, one, one, np.zeros((1, 3), dtype=np.int64), np.full((1, 3, 3), np.nan))
    with pytest.raises(InvalidForceConstants, match=r"shifts has shape \(2, 3\), expected \(1, 3\)"):
        # past the checker of shapes, which only tests have
        ForceConstants.__post_init__(
            type(
                "Given",
                (),
                {
                    "crystal": crystal,
                    "first": one,
                    "second": one,
                    "shifts": np.zeros((2, 3)),
                    "blocks": np.zeros((1, 3, 3)),
                },
            )()
        )
    with pytest.raises(ValueError, match="3 masses"):
        chain_frequencies(SPRINGS, (1.0, 2.0, 3.0), np.array([0.1]))
