"""What a run takes from outside is tried before anything is computed: `atomlaw check`, and the same at the start of `run`."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.io import write

import atomistic
from multiscale.command_line import main
from multiscale.configuration import Configuration
from multiscale.data.recorded import RecordedReference
from multiscale.stages.inputs import recorded_reference
from multiscale.stages.reference import record_reference

from .conftest import Written, write_box

BUILT = 'element = "Si"\nstructure = "diamond"\nlattice_constant_angstrom = 5.43'


def left_handed() -> Atoms:
    silicon = bulk("Si", cubic=True)
    silicon.set_cell(silicon.cell.array[[1, 0, 2]])
    return silicon


def overlapping() -> Atoms:
    silicon = bulk("Si", cubic=True)
    silicon.positions[1] = silicon.positions[0] + 0.1
    return silicon


def not_a_number() -> Atoms:
    silicon = bulk("Si")
    silicon.positions[0, 0] = np.nan
    return silicon


def molecule() -> Atoms:
    return Atoms("Si2", positions=[[0, 0, 0], [0, 0, 2.3]])


CRYSTALS: dict[str, tuple[Callable[[], Atoms], str]] = {
    "left-handed cell": (left_handed, "det(cell) = -160.1"),
    "overlapping atoms": (overlapping, "atoms 0 and 1 overlap: they are 0.1732 A apart, expected more than 0.5 A"),
    "NaN": (not_a_number, "cell or positions contain NaN"),
    "molecule": (molecule, "pbc = [False, False, False]; expected periodicity"),
}


@pytest.mark.parametrize(("crystal", "message"), CRYSTALS.values(), ids=CRYSTALS.keys())
def test_crystal_of_a_file_refused(
    tiny: Written,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    crystal: Callable[[], Atoms],
    message: str,
) -> None:
    write(tmp_path / "crystal.extxyz", crystal(), format="extxyz")
    path = tiny((BUILT, 'file = "crystal.extxyz"'))
    assert_refused(path, capsys, f"{path}: [crystal] file = '{tmp_path / 'crystal.extxyz'}': ", message)


@pytest.fixture(scope="module")
def labelled() -> tuple[list[Atoms], RecordedReference]:
    """A few labelled structures, the last held out, and the record of the model that labelled them."""
    calculator = atomistic.reference_calculator("stillinger-weber")
    crystal = atomistic.relax_crystal(bulk("Si", a=5.43), calculator).atoms
    groups = (atomistic.ConfigurationGroup("strained", 4, 1, 1.0, 0.05, relaxed=False),)
    structures = atomistic.label_configurations(
        crystal, calculator, max_strain=0.03, seed=0, groups=groups, test_fraction=0.5
    )
    return structures, record_reference("Stillinger and Weber", crystal, calculator, np.array([0.0]))


RECORDED = (
    'name = "stillinger-weber"\nconfigurations_scale = 0.05',
    'name = "asked before"\ndataset = "labels.extxyz"\nrecorded = "recorded.json"',
)


def without_split(structures: list[Atoms]) -> None:
    del structures[2].info["split"]


def without_test(structures: list[Atoms]) -> None:
    for atoms in structures:
        atoms.info["split"] = "train"


def without_labels(structures: list[Atoms]) -> None:
    structures[1].calc = None


def test_recorded_reference_is_read(
    tiny: Written, tmp_path: Path, labelled: tuple[list[Atoms], RecordedReference]
) -> None:
    structures, record = labelled
    write(tmp_path / "labels.extxyz", structures)
    (tmp_path / "recorded.json").write_text(record.text())
    path = tiny(RECORDED)
    read, found = recorded_reference(Configuration.read(path))
    assert found == record
    assert [atoms.info["split"] for atoms in read] == [atoms.info["split"] for atoms in structures]
    np.testing.assert_allclose(read[0].get_forces(), structures[0].get_forces(), atol=1e-7)
    assert main(["check", str(path)]) == 0


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (without_split, 'structure 2 of .* has split = None, expected "train" or "test"'),
        (without_test, "no structure of .* has split = 'test'"),
        (without_labels, "has no energy"),
    ],
)
def test_dataset_that_cannot_be_trained_on(
    tiny: Written,
    tmp_path: Path,
    labelled: tuple[list[Atoms], RecordedReference],
    capsys: pytest.CaptureFixture[str],
    damage: Callable[[list[Atoms]], None],
    message: str,
) -> None:
    structures, record = [atoms.copy() for atoms in labelled[0]], labelled[1]
    for atoms, original in zip(structures, labelled[0], strict=True):
        atoms.calc = original.calc
    damage(structures)
    write(tmp_path / "labels.extxyz", structures)
    (tmp_path / "recorded.json").write_text(record.text())
    path = tiny(RECORDED)
    assert main(["check", str(path)]) == 2
    assert re.search(message, capsys.readouterr().err)


def test_record_and_dataset_come_together(tiny: Written, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "labels.extxyz").write_text("")
    path = tiny((RECORDED[0], 'name = "asked before"\ndataset = "labels.extxyz"'))
    assert main(["check", str(path)]) == 2
    assert "dataset and recorded together, or neither" in capsys.readouterr().err


def test_unreadable_crystal(tiny: Written, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "crystal.extxyz").write_text("two atoms of silicon\n")
    path = tiny((BUILT, 'file = "crystal.extxyz"'))
    assert_refused(path, capsys, "[crystal] file = ", "ASE cannot read a crystal from it")


CHANGES = {
    "atoms squeezed together": (
        ("5.43", "0.3"),
        "[crystal] element = 'Si', lattice_constant_angstrom = 0.3: atoms 0 and 1 overlap",
    ),
    "unknown reference": (
        ('"stillinger-weber"', '"stilinger-weber"'),
        f"[reference] reference 'stilinger-weber' is not registered, expected one of {atomistic.reference_names()}; "
        "did you mean 'stillinger-weber'?",
    ),
    "unknown parameter": (
        ("configurations_scale = 0.05", "parameters = { sigma = 2.0 }"),
        "[reference] reference 'stillinger-weber' does not take the parameters {'sigma': 2.0}",
    ),
    "element unknown to the reference": (
        ('"stillinger-weber"', '"emt"'),
        "[reference] name = 'emt': cannot compute the crystal of Si (No EMT-potential for Si); expected a model",
    ),
    "element taken for another by the reference": (
        ('element = "Si"\nstructure = "diamond"', 'element = "Ge"\nstructure = "diamond"'),
        "[reference] name = 'stillinger-weber': cannot compute the crystal of Ge (no parameters for Ge; this model covers Si)",
    ),
    "clamped surface": (
        ('["wall"]', '["wal"]'),
        "[structure] clamp: surface 'wal': the mesh has no surface named 'wal'; surfaces of this mesh: 'wall', 'tip'",
    ),
    "loaded surface": (
        ("tip =", "top ="),
        "[structure] traction_gpa: surface 'top': the mesh has no surface named 'top'; surfaces of this mesh",
    ),
}


@pytest.mark.parametrize(("change", "message"), CHANGES.values(), ids=CHANGES.keys())
def test_refused(tiny: Written, capsys: pytest.CaptureFixture[str], change: tuple[str, str], message: str) -> None:
    path = tiny(change)
    assert_refused(path, capsys, f"atomlaw: error: {path}: ", message)


def test_surface_missing_in_the_coarse_mesh_alone(
    tiny: Written, boxes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tiny()
    text = (boxes / "coarse.msh").read_text()
    (tmp_path / "coarse.msh").write_text(re.sub('"tip"', '"top"', text))
    assert_refused(path, capsys, "[truth] mesh = ", "[structure] traction_gpa: surface 'tip'", "'top'")


def test_unreadable_mesh(tiny: Written, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tiny()
    (tmp_path / "box.msh").write_text("no mesh\n")
    assert_refused(path, capsys, "[structure] mesh file", "box.msh")


def test_plane_mesh(tiny: Written, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tiny()
    write_box(tmp_path / "coarse.msh", size=1.0, dimension=2)
    assert_refused(path, capsys, "[truth] mesh file", "has 2 dimensions, expected a body of 3")


def test_good_inputs_pass(tiny: Written, capsys: pytest.CaptureFixture[str]) -> None:
    path = tiny()
    assert main(["check", str(path)]) == 0
    assert capsys.readouterr().out == f"{path}: run 'tiny' can start\n"


def assert_refused(path: Path, capsys: pytest.CaptureFixture[str], *fragments: str) -> None:
    """Both commands exit with 2 and one short error, before a run folder is made."""
    for command in (["check"], ["run", "--runs", str(path.parent / "runs")]):
        assert main([*command, str(path)]) == 2
        told = capsys.readouterr()
        assert told.out == ""
        assert told.err.startswith("atomlaw: error: ") and "Traceback" not in told.err
        assert told.err.count("\n") == 1 and len(told.err) < 600
        for fragment in fragments:
            assert fragment in told.err
    assert not (path.parent / "runs").exists()


def test_symmetry_refused(tiny: Written, capsys: pytest.CaptureFixture[str]) -> None:
    path = tiny(("neurons = 2", 'neurons = 2\nsymmetry = "cubic"'))
    assert main(["check", str(path)]) == 2
    assert f"{path}: [law] point group 'cubic' is not known, expected one of 1, -1" in capsys.readouterr().err


def test_modes_of_the_law(tiny: Written, capsys: pytest.CaptureFixture[str]) -> None:
    path = tiny(("neurons = 2", 'neurons = 2\nmode = "polyconvex"\nsymmetry = "isotropic"'))
    assert main(["check", str(path)]) == 0
    assert Configuration.read(path).law.mode == "polyconvex"
    path = tiny(("neurons = 2", 'mode = "convex"'))
    assert main(["check", str(path)]) == 2
    assert "[law] mode = \"convex\": expected 'free', 'penalised' or 'polyconvex'" in capsys.readouterr().err
