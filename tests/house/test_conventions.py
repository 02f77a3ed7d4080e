"""One test behind each line of docs/conventions.md."""

import ast
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ase import Atoms, units
from ase.build import bulk
from ase.calculators.calculator import Calculator
from ase.stress import voigt_6_to_full_3x3_stress
from scipy.spatial.transform import Rotation

import atomistic
import multiscale
from fem.laws import NeoHooke
from multiscale.laws.strain import stiffness_components
from multiscale.symmetry.point_group import PointGroup

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "conventions.md"
ROOMS = ("atomistic", "multiscale", "fem")
SHEARED = np.array([[1.03, 0.02, -0.01], [0.04, 0.98, 0.03], [0.01, -0.02, 1.01]])
"""No symmetry, det F > 0: a wrong index order or transpose shows."""


@pytest.fixture(scope="module")
def reference() -> Calculator:
    return atomistic.reference_calculator("stillinger-weber")


@pytest.fixture(scope="module")
def silicon(reference: Calculator) -> Atoms:
    return atomistic.relax_crystal(bulk("Si", a=5.43), reference).atoms


@pytest.fixture(scope="module")
def data(silicon: Atoms, reference: Calculator) -> multiscale.StressStrainData:
    return multiscale.sample(silicon, reference, max_strain=0.03, states=12, seed=0)


@pytest.fixture(scope="module")
def law(data: multiscale.StressStrainData, silicon: Atoms) -> multiscale.OrbitLaw:
    return multiscale.fit(data, PointGroup.of(silicon), neurons=2, starts=1, seed=0)


def random_potential() -> atomistic.NeuralPotential:
    """A potential with random weights: what holds for it holds by construction."""
    descriptors = atomistic.SymmetryFunctions.spread((14,), nearest=2.35, cutoff=4.0, radial=4, angular=2)
    generator = np.random.default_rng(0)
    shapes = ((6, descriptors.count(14)), (1, 6))
    layers = tuple((torch.from_numpy(generator.normal(0.0, 0.3, s)), torch.zeros(s[0]).double()) for s in shapes)
    return atomistic.NeuralPotential(descriptors, {14: atomistic.Network(layers)}, {})


def differences(function: Any, F: np.ndarray, step: float = 1e-5) -> np.ndarray:
    """d function / dF[k,L] at one F by central differences; the indices k, L come last."""
    columns = []
    for k in range(3):
        for L in range(3):
            move = np.zeros((3, 3))
            move[k, L] = step
            columns.append((function(F + move) - function(F - move)) / (2.0 * step))
    derivative = np.stack(columns, axis=-1)
    return derivative.reshape(*derivative.shape[:-1], 3, 3)


def source_files() -> list[Path]:
    return [path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))]


def test_every_line_has_a_test() -> None:
    named = re.findall(r"`(test_\w+)`", PAGE.read_text())
    written = [
        node.name
        for node in ast.parse(Path(__file__).read_text()).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    ]
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("- ")]
    assert len(named) == len(lines)
    assert sorted(named) == sorted(set(written) - {"test_every_line_has_a_test"})


def test_stress_is_derivative_of_energy(law: multiscale.OrbitLaw) -> None:
    P = law.evaluate(SHEARED[None]).first_piola[0]
    numerical = differences(lambda F: law.evaluate(F[None]).energy[0], SHEARED)
    np.testing.assert_allclose(P, numerical, atol=1e-7 * np.abs(P).max())


@pytest.mark.parametrize("kind", ["fitted", "classical"])
def test_tangent_index_order(kind: str, law: multiscale.OrbitLaw) -> None:
    chosen = law if kind == "fitted" else NeoHooke(mu=1.0, lmbda=2.0)
    A = chosen.evaluate(SHEARED[None]).tangent[0]
    numerical = differences(lambda F: chosen.evaluate(F[None]).first_piola[0], SHEARED)
    np.testing.assert_allclose(A, numerical, atol=1e-7 * np.abs(A).max())


def test_array_shapes(law: multiscale.OrbitLaw, data: multiscale.StressStrainData) -> None:
    answer = law.evaluate(np.tile(SHEARED, (5, 1, 1)))
    shapes = (answer.energy.shape, answer.first_piola.shape, answer.tangent.shape)
    assert shapes == ((5,), (5, 3, 3), (5, 3, 3, 3, 3))
    assert data.deformation_gradient.shape == (12, 3, 3)


def test_voigt_order(silicon: Atoms, reference: Calculator) -> None:
    # a label for each entry of a symmetric tensor: its place in the Voigt vector
    labels = voigt_6_to_full_3x3_stress(np.arange(6.0))
    order = [labels[i, j] for i, j in ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))]
    assert order == [0, 1, 2, 3, 4, 5]
    stiffness = np.einsum("ij,kl->ijkl", labels, labels)
    np.testing.assert_array_equal(stiffness_components(stiffness), np.outer(order, order))
    # stretching along x and y alone tells the entries 12 and 13 of a tetragonal crystal apart
    stretched = atomistic.deform(silicon, np.diag([1.0, 1.0, 1.05]))
    constants = atomistic.elastic_constants(stretched, reference)
    assert constants[0, 2] == pytest.approx(constants[1, 2], rel=1e-4)
    assert constants[3, 3] == pytest.approx(constants[4, 4], rel=1e-4)
    assert abs(constants[5, 5] / constants[3, 3] - 1.0) > 0.01


def test_tension_is_positive(silicon: Atoms, reference: Calculator, law: multiscale.OrbitLaw) -> None:
    stretch = np.diag([1.01, 1.0, 1.0])
    atoms = atomistic.deform(silicon, stretch)
    atoms.calc = reference
    assert atoms.get_stress()[0] > 0.0
    assert law.evaluate(stretch[None]).first_piola[0, 0, 0] > 0.0
    # the virial sum_ij r_ij (x) f_ij of a neural potential is -sigma V
    potential = random_potential()
    table = atomistic.neighbour_table(atoms, potential.cutoff)
    vectors = table.vectors.clone().requires_grad_()
    (pull,) = torch.autograd.grad(potential.atomic_energies(table, vectors).sum(), vectors)
    virial = -torch.einsum("ami,amj->ij", pull, table.vectors).numpy()
    np.testing.assert_allclose(virial, -potential.predict(atoms).stress * atoms.get_volume(), atol=1e-12)


def test_piola_of_cauchy(law: multiscale.OrbitLaw) -> None:
    P = law.evaluate(SHEARED[None]).first_piola[0]
    J = np.linalg.det(SHEARED)
    sigma = P @ SHEARED.T / J
    np.testing.assert_allclose(sigma, sigma.T, atol=1e-12 * np.abs(P).max())
    np.testing.assert_allclose(atomistic.first_piola(sigma, SHEARED), P, atol=1e-12 * np.abs(P).max())
    np.testing.assert_allclose(J * sigma @ np.linalg.inv(SHEARED).T, P, atol=1e-12 * np.abs(P).max())


def test_cells_are_rows(silicon: Atoms, reference: Calculator) -> None:
    deformed = atomistic.deform(silicon, SHEARED)
    np.testing.assert_allclose(deformed.cell.array, silicon.cell.array @ SHEARED.T)
    # the positions follow the cell here, so that the energy is a function of F alone: P from the virial is dW/dF

    def energy(F: np.ndarray) -> float:
        atoms = atomistic.deform(silicon, F)
        atoms.calc = reference
        return float(atoms.get_potential_energy()) / silicon.get_volume()

    deformed.calc = reference
    P = atomistic.first_piola(deformed.get_stress(voigt=False), SHEARED)
    np.testing.assert_allclose(P, differences(energy, SHEARED), atol=1e-7 * np.abs(P).max())
    lines = [line for path in source_files() for line in path.read_text().splitlines() if "scale_atoms=True" in line]
    assert len(lines) == 1, "the cell is deformed in one place"


def test_kinetic_part(silicon: Atoms, reference: Calculator) -> None:
    atoms = silicon.repeat(2)
    atoms.calc = reference
    at_rest = atoms.get_stress()
    temperature = 300.0
    momentum = np.sqrt(atoms.get_masses() * units.kB * temperature)
    atoms.set_momenta(np.outer(momentum, np.ones(3)))
    np.testing.assert_array_equal(atoms.get_stress(), at_rest)
    ideal_gas = -len(atoms) * units.kB * temperature / atoms.get_volume()
    np.testing.assert_allclose(atoms.get_stress(include_ideal_gas=True)[:3], at_rest[:3] + ideal_gas, rtol=1e-10)
    cold = multiscale.sample(silicon, reference, max_strain=0.01, states=1, seed=0)
    assert cold.temperature == 0.0
    hot = atomistic.thermal_stress(
        silicon, reference, np.eye(3), temperature=temperature, steps=400, timestep_fs=1.0, minimum_atoms=8, seed=0
    )
    assert hot.temperature == temperature


def test_orientation(silicon: Atoms, reference: Calculator, law: multiscale.OrbitLaw) -> None:
    R = Rotation.from_euler("zyx", [20.0, -35.0, 50.0], degrees=True).as_matrix()
    turned = atomistic.deform(silicon, R)
    F = np.array([[1.02, 0.01, 0.0], [0.0, 0.99, 0.02], [0.01, 0.0, 1.0]])

    def stress(crystal: Atoms, deformation: np.ndarray) -> np.ndarray:
        atoms = atomistic.relax_positions(atomistic.deform(crystal, deformation), reference)
        return np.asarray(atomistic.first_piola(atoms.get_stress(voigt=False), deformation))

    P = stress(turned, F)
    np.testing.assert_allclose(P, stress(silicon, F @ R) @ R.T, atol=1e-7 * np.abs(P).max())
    # the group of the turned crystal is the turned group: R Q R^T
    rotations = PointGroup.of(turned).rotations
    for Q in law.symmetry.rotations:
        assert min(np.abs(rotations - R @ Q @ R.T).max(axis=(1, 2))) < 1e-6


def test_reference_state(reference: Calculator) -> None:
    given = bulk("Si", a=5.40, cubic=True)
    data = multiscale.sample(given, reference, max_strain=0.01, states=2, seed=0)
    assert len(data.crystal["numbers"]) == 2
    assert np.abs(data.reference_stress).max() < 1e-6
    cell = np.array(data.crystal["cell"])
    assert np.linalg.det(cell) / 2 == pytest.approx(5.431**3 / 8, rel=1e-3)
    # the axes of the given crystal: primitive vectors of the same cubic lattice have whole coordinates in units of a/2
    coordinates = cell / (np.cbrt(4.0 * np.linalg.det(cell)) / 2)
    np.testing.assert_allclose(coordinates, np.round(coordinates), atol=1e-6)


def test_law_at_rest(law: multiscale.OrbitLaw) -> None:
    answer = law.evaluate(np.eye(3)[None])
    assert abs(answer.energy[0]) < 1e-12
    assert np.abs(answer.first_piola).max() < 1e-12


def test_unstable_states_are_left_out(data: multiscale.StressStrainData, silicon: Atoms) -> None:
    group = PointGroup.of(silicon)
    flags = np.ones(len(data), dtype=bool)
    flags[3] = False
    spoilt = data.first_piola.copy()
    spoilt[3] += 100.0
    fields = {"deformation_gradient": data.deformation_gradient, "reference_tangent": data.reference_tangent}
    flagged = multiscale.StressStrainData(first_piola=spoilt, admissible=flags, **fields)
    without = multiscale.StressStrainData(first_piola=data.first_piola, admissible=flags, **fields)
    laws = [multiscale.fit(one, group, neurons=1, starts=1, seed=0) for one in (flagged, without)]
    np.testing.assert_array_equal(*(one.evaluate(SHEARED[None]).first_piola for one in laws))


def test_atomistic_units(silicon: Atoms, reference: Calculator) -> None:
    # published: 2.1683 eV a bond, four bonds for two atoms; a = 5.431 A
    atoms = silicon.copy()
    atoms.calc = reference
    assert atoms.get_potential_energy() == pytest.approx(-4 * 2.1683, rel=1e-3)
    assert silicon.cell.lengths()[0] == pytest.approx(5.431 / np.sqrt(2.0), rel=1e-3)
    constants = atomistic.elastic_constants(silicon, reference)
    assert constants[0, 0] == pytest.approx(151.4 / 160.2, rel=1e-3)


def test_gigapascal_is_written_once() -> None:
    assert atomistic.EV_PER_CUBIC_ANGSTROM_IN_GPA == 160.21766208
    assert pytest.approx(1.0 / units.GPa, rel=1e-7) == atomistic.EV_PER_CUBIC_ANGSTROM_IN_GPA
    written = [path for path in source_files() if re.search(r"\b160\.2", path.read_text())]
    assert written == [ROOT / "atomistic" / "units.py"]


def test_structures_have_no_units() -> None:
    """Lengths a thousand times larger and stresses a thousand times larger: the same shape."""
    from mpi4py import MPI  # isort: skip  (before dolfinx, or libmpi is not found)
    from dolfinx.mesh import create_box

    import fem

    largest = []
    for length, stress in ((1.0, 1.0), (1000.0, 1.0), (1.0, 1000.0)):
        box = create_box(MPI.COMM_SELF, [np.zeros(3), length * np.ones(3)], [1, 1, 1])
        ends = {
            "wall": lambda x: np.isclose(x[0], 0.0),
            "tip": lambda x, length=length: np.isclose(x[0], length),
        }
        body = fem.Solid(fem.Mesh.of(box, ends), NeoHooke(mu=stress, lmbda=stress), degree=1)
        body.clamp("wall")
        body.traction("tip", (0.1 * stress, 0.0, 0.0))
        largest.append(np.abs(body.solve().displacement.x.array).max() / length)
    np.testing.assert_allclose(largest, largest[0], rtol=1e-8)


def test_double_precision(law: multiscale.OrbitLaw, data: multiscale.StressStrainData) -> None:
    answer = law.evaluate(SHEARED[None].astype(np.float32))
    arrays = (answer.energy, answer.first_piola, answer.tangent, data.energy, data.first_piola, law.weights)
    assert {array.dtype for array in arrays} == {np.dtype(np.float64)}
    assert torch.get_default_dtype() == torch.float32, "the global default is left as torch has it"


def test_seeds(silicon: Atoms, reference: Calculator, data: multiscale.StressStrainData) -> None:
    np.random.seed(1)
    torch.manual_seed(1)
    before = (np.random.get_state()[1].copy(), torch.get_rng_state())
    groups = atomistic.default_groups(0.01)

    def label(seed: int) -> np.ndarray:
        labelled = atomistic.label_configurations(silicon, reference, max_strain=0.03, seed=seed, groups=groups)
        return np.array([atoms.get_potential_energy() for atoms in labelled])

    same, other = (label(0), label(0)), label(1)
    np.testing.assert_array_equal(*same)
    assert not np.array_equal(same[0], other)
    np.testing.assert_array_equal(multiscale.strain_design(5, 0.05, 3), multiscale.strain_design(5, 0.05, 3))
    laws = [multiscale.fit(data, PointGroup.of(silicon), neurons=1, starts=1, seed=2) for _ in range(2)]
    np.testing.assert_array_equal(*(law.weights for law in laws))
    np.testing.assert_array_equal(np.random.get_state()[1], before[0])
    assert torch.equal(torch.get_rng_state(), before[1])


def test_files_hold_no_code() -> None:
    forbidden = re.compile(r"\bimport pickle\b|\bpickle\.loads?\b|torch\.load\(|allow_pickle=True|\bjoblib\b|\byaml\b")
    for path in source_files():
        assert not forbidden.search(path.read_text()), path


def test_files_are_whole(
    tmp_path: Path, law: multiscale.OrbitLaw, data: multiscale.StressStrainData, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that exists keeps its content where writing the next one fails half-way."""
    kept = {}
    for name, write in (("law.safetensors", law.save), ("data.h5", data.write)):
        write(tmp_path / name)
        kept[name] = (tmp_path / name).read_bytes()

    def full(*arguments: object, **options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    monkeypatch.setattr("pathlib.Path.replace", full)
    for name, write in (("law.safetensors", law.save), ("data.h5", data.write)):
        with pytest.raises(OSError, match="No space left"):
            write(tmp_path / name)
        assert (tmp_path / name).read_bytes() == kept[name]


def test_families_of_errors() -> None:
    """Every exception class of the three rooms derives from ValueError or RuntimeError, by however many steps."""
    families = {"ValueError", "RuntimeError"}
    classes = {}
    # functions that make an exception stand for what they return
    made_by = {}
    for path in source_files():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                classes[node.name] = [base.id for base in node.bases if isinstance(base, ast.Name)]
            elif isinstance(node, ast.FunctionDef) and isinstance(node.returns, ast.Name):
                made_by[node.name] = node.returns.id
    raised = {
        made_by.get(node.exc.func.id, node.exc.func.id)
        for path in source_files()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and isinstance(node.exc.func, ast.Name)
    }
    assert "InvalidCrystal" in raised

    def family(name: str) -> set[str]:
        bases = classes.get(name)
        return {name} if bases is None else set().union(*(family(base) for base in bases))

    ours = {name for name in raised if name in classes}
    assert all(family(name) <= families for name in ours), {name: family(name) for name in ours}
    # of Python's own: missing attributes are Python's protocol, OSError and MemoryError the system's, argparse has its own
    assert raised - ours <= families | {"AttributeError", "TypeError", "OSError", "MemoryError", "KeyboardInterrupt"}


def test_measured_laws_have_the_unit_of_their_tests(tmp_path: Path) -> None:
    x = np.linspace(1.0, 2.0, 8)
    test = multiscale.MeasuredTest("uniaxial", x, 0.4 * (x - x**-2), "MPa")
    neo_hooke = multiscale.classical_models()[0]
    assert neo_hooke.name == "neo-Hooke"
    in_megapascal, in_kilopascal = (
        multiscale.fit_model(neo_hooke, [test.in_unit(unit)], seed=0) for unit in ("MPa", "kPa")
    )
    assert in_megapascal.unit == "MPa" and np.isclose(in_megapascal.values["mu"], 0.4)
    assert in_kilopascal.unit == "kPa" and np.isclose(in_kilopascal.values["mu"], 400.0)
    multiscale.save_classical_law(in_megapascal.law, tmp_path / "rubber.safetensors", unit=in_megapascal.unit)
    assert multiscale.load_law(tmp_path / "rubber.safetensors", unit="MPa") == in_megapascal.law
    with pytest.raises(multiscale.UnitError, match="holds a law in 'MPa', expected 'GPa'"):
        multiscale.load_law(tmp_path / "rubber.safetensors")


def test_rooms() -> None:
    """Where dolfinx is missing all three rooms import, and the arrows between them hold."""
    program = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"dolfinx", "ufl", "basix", "petsc4py", "mpi4py"}:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Absent())
import atomistic, multiscale, fem, fem.laws
multiscale.fit, multiscale.sample, multiscale.CauchyBornLaw, atomistic.train, fem.laws.NeoHooke
assert "multiscale" in sys.modules and "dolfinx" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT)
    contracts = "from importlinter.cli import lint_imports; raise SystemExit(lint_imports())"
    linted = subprocess.run([sys.executable, "-c", contracts], cwd=ROOT, capture_output=True, text=True, check=False)
    assert linted.returncode == 0, linted.stdout
