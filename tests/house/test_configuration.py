"""A TOML file that describes no run is refused by its place, its value and what was expected."""

from pathlib import Path

import pytest

from multiscale.configuration import Configuration, ConfigurationError

from .conftest import TINY

EXAMPLES = Path(__file__).parents[2] / "examples"

REFUSED = {
    "unknown key": (("seed = 0", "sede = 0"), "sede: unknown key; did you mean seed?"),
    "unknown key, nothing like it": (("seed = 0", "zzz = 0"), "zzz: unknown key; known here: name, seed, max_strain"),
    "unknown key in a section": (
        ("load_steps = 2", "laod_steps = 2"),
        "[structure] laod_steps: unknown key; did you mean load_steps?",
    ),
    "unknown section": (("[thermal]", "[termal]"), "termal: unknown key; did you mean thermal?"),
    "key missing": (('name = "tiny"', ""), "name is missing"),
    "section missing": (("[truth]", "[trut]"), "[truth] is missing"),
    "wrong unit": (
        ("traction_gpa", "traction_mpa"),
        "[structure] traction_mpa: unknown key; did you mean traction_gpa?",
    ),
    "wrong unit of length": (
        ("lattice_constant_angstrom", "lattice_constant_nm"),
        "[crystal] lattice_constant_nm: unknown key; did you mean lattice_constant_angstrom?",
    ),
    "unit in the value": (("300.0", '"300 K"'), '[thermal] temperature_k = "300 K": expected a number'),
    "text for a number": (("neurons = 2", 'neurons = "2"'), '[law] neurons = "2": expected a whole number'),
    "fraction for a whole number": (("neurons = 2", "neurons = 2.5"), "[law] neurons = 2.5: expected a whole number"),
    "boolean for a number": (("starts = 1", "starts = true"), "[law] starts = true: expected a whole number"),
    "number for a section": (("seed = 0", "seed = 0\nreport = 3"), "[report] = 3: expected a table"),
    "negative": (("neurons = 2", "neurons = -3"), "[law] neurons = -3: expected a number greater than or equal to 1"),
    "percent for a fraction": (
        ("max_strain = 0.03", "max_strain = 6"),
        "max_strain = 6: expected a number less than or equal to 0.3 (a log-strain: 6 % is 0.06)",
    ),
    "NaN": (("max_strain = 0.03", "max_strain = nan"), "max_strain = NaN: expected a finite number"),
    "infinite load": (("-0.2]", "-inf]"), "[structure.traction_gpa] tip[2] = -Infinity: expected a finite number"),
    "two components of three": (("0.0, 0.0, -0.2", "0.0, -0.2"), "[structure.traction_gpa] tip[2] is missing"),
    "four components": (("0.0, 0.0, -0.2", "0.0, 0.0, 0.0, -0.2"), "[structure.traction_gpa] tip"),
    "no load": (("-0.2]", "0.0]"), "[structure] traction_gpa: expected a traction other than zero on 'tip'"),
    "load on a support": (("tip =", "wall ="), "[structure]: expected surfaces with a traction that are not clamped"),
    "no support": (('["wall"]', "[]"), "[structure] clamp = []: expected at least one entry"),
    "text for a list": (('["wall"]', '"wall"'), '[structure] clamp = "wall": expected a list in square brackets'),
    "entry of a list": (("hidden = [8]", "hidden = [8, 0]"), "[potential] hidden[1] = 0: expected a number"),
    "only entry of a list": (("strains = [0.0]", "strains = [0.5]"), "[thermal] strains[0] = 0.5: expected a number"),
    "dynamics too short": (("steps = 200", "steps = 50"), "an error bar needs 20 samples"),
    "no element": (('"Si"', '"Sj"'), '[crystal] element = "Sj": expected a chemical symbol'),
    "no structure": (('"diamond"', '"diamnd"'), "[crystal] structure = \"diamnd\": expected 'diamond', 'fcc'"),
    "crystal half described": (
        ('structure = "diamond"\n', ""),
        "[crystal]: expected either element, structure and lattice_constant_angstrom, or file alone",
    ),
    "missing mesh": (
        ('mesh = "box.msh"', 'mesh = "bx.msh"'),
        '[structure] mesh = "bx.msh": expected an existing file; there is none at',
    ),
    "missing crystal": (('element = "Si"', 'file = "si.xyz"'), '[crystal] file = "si.xyz": expected an existing file'),
    "name with a path": (('"tiny"', '"../tiny"'), 'name = "../tiny": expected another name (letters, digits'),
    "no TOML": (("[law]", "[law"), "not a TOML file: Expected ']' at the end of a table declaration (at line"),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Holds meshes by name alone: they are not opened here."""
    for name in ("box.msh", "coarse.msh"):
        (tmp_path / name).touch()
    return tmp_path


def written(folder: Path, old: str = "", new: str = "") -> Path:
    text = TINY.read_text(encoding="utf-8")
    assert old in text
    path = folder / "run.toml"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    return path


@pytest.mark.parametrize(("change", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_refused(folder: Path, change: tuple[str, str], message: str) -> None:
    path = written(folder, *change)
    with pytest.raises(ConfigurationError) as caught:
        Configuration.read(path)
    lines = str(caught.value).splitlines()
    assert all(line.startswith(f"{path}: ") for line in lines)
    assert any(message in line for line in lines)
    assert len(lines) <= 2 and all(len(line) < 400 for line in lines)


def test_all_mistakes_are_told_at_once(folder: Path) -> None:
    path = folder / "run.toml"
    text = TINY.read_text(encoding="utf-8").replace("seed = 0", "seed = -1").replace("neurons = 2", "neurons = 0")
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError) as caught:
        Configuration.read(path)
    assert [line.split(": ")[1] for line in str(caught.value).splitlines()] == ["seed = -1", "[law] neurons = 0"]


def test_file_missing(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"none.toml: no such file; expected the TOML file of a run"):
        Configuration.read(tmp_path / "none.toml")


def test_folder_for_a_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"cannot be read: Is a directory"):
        Configuration.read(tmp_path)


def test_bytes_for_text(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigurationError, match=r"run.toml: not a TOML file: 'utf-8' codec"):
        Configuration.read(path)


def test_a_configuration_is_frozen_and_paths_start_at_the_file(folder: Path) -> None:
    configuration = Configuration.read(written(folder))
    assert configuration.structure.mesh == folder / "box.msh"
    with pytest.raises(ValueError, match="frozen"):
        configuration.law.neurons = 3  # type: ignore[misc]


def test_ingredients_follow_the_content_of_files_not_their_place(folder: Path) -> None:
    before = Configuration.read(written(folder))
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "box.msh").touch()
    (elsewhere / "coarse.msh").write_text("other")
    moved = Configuration.read(written(elsewhere))
    assert moved.ingredients(("structure",)) == before.ingredients(("structure",))
    assert moved.ingredients(("truth",)) != before.ingredients(("truth",))


def test_examples_differ_in_what_the_atoms_are() -> None:
    first, second = (Configuration.read(EXAMPLES / f"{name}_bracket.toml") for name in ("silicon", "copper"))
    differing = {key for key in Configuration.model_fields if getattr(first, key) != getattr(second, key)}
    assert differing == {"name", "crystal", "reference", "potential"}
