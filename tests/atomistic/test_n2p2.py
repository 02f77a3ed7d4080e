"""n2p2's format: energies and forces against those of n2p2's own program, round trips, and files that are wrong."""

import os
import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk
from ase.units import Bohr, Hartree

from atomistic import BodyOrdered, NetworkFileError, NeuralPotential, NotInN2P2Format, read_n2p2, write_n2p2
from atomistic.descriptors import Descriptors
from atomistic.network import Network
from atomistic.straight_nodes import beside_layers, through_layers
from atomistic.symmetry_functions import SymmetryFunction, SymmetryFunctions

FUNCTIONS = """
symfunction_short Ga 3 Ga As 0.002 -1 4.0 11.0 1.5
symfunction_short Ga 3 As Ga 0.001 -1 2.0 11.0
symfunction_short Ga 2 As 0.2 4.0 11.0      # not in n2p2's order
symfunction_short Ga 2 Ga 0.05 1.0 11.5
symfunction_short Ga 9 As As 0.002 1 1.0 11.0
symfunction_short Ga 12 0.05 3.0 11.0
symfunction_short As 13 0.002 1.0 1 3.0 11.2 ! weighted
symfunction_short As 2 Ga 0.1 4.5 10.5
symfunction_short As 9 Ga As 0.001 -1 2.5 10.5
symfunction_short As 3 As As 0.001 1 1.0 11.0
"""
HEADER = """number_of_elements 2
elements As Ga
atom_energy Ga -0.5
atom_energy As -0.25
global_hidden_layers_short 2
global_nodes_short 4 3
"""
VARIANTS = {
    "scaled": "cutoff_type 2\nscale_symmetry_functions\nglobal_activation_short t t l\n",
    "scaled and centred": "cutoff_type 6\nscale_symmetry_functions\ncenter_symmetry_functions\nscale_min_short -1.0\n"
    "global_activation_short t s l\nmean_energy -0.75\nconv_energy 2.5\nconv_length 1.7\n",
    "by sigma": "cutoff_type 7 0.1\nscale_symmetry_functions_sigma\nscale_max_short 2.0\nglobal_activation_short p t l\n"
    "normalize_nodes\nelement_activation_short As s p l\n",
    "centred": "cutoff_type 3\ncenter_symmetry_functions\nglobal_activation_short p l l\nepochs 20\nkalman_type 0\n",
    "as they are": "cutoff_type 4\nglobal_activation_short p p l\n",
}
STATISTICS = {
    1: ((2.4, 0.08), (0.32, 0.02), (0.085, 0.0064), (0.016, 0.0014), (3.0, 0.14), (103.0, 2.1)),
    2: ((2.5, 0.05), (0.19, 0.02), (2.5, 0.1), (2000.0, 78.0)),
}
# Energy and the first force of `structure` by n2p2's own nnp-predict (main branch of November 2024), in hartree and bohr.
OF_N2P2 = {
    "scaled": (-18.5789857401777, (-0.00012318736567988175, -0.003587532005808949, -0.003649732112783325)),
    "scaled and centred": (-59.30233778740697, (-0.025047959653127026, 0.012650608019571942, -0.030855322328500648)),
    "by sigma": (-21.90859275267652, (-0.0017762311302326576, -0.0031002254176565316, 0.0028422495020427084)),
    "centred": (16844.20184881032, (1.0706781632964621, -2.020211445855395, 0.06832986508450123)),
    "as they are": (-11652.25067330932, (-2.4035030932683936, -4.476692138126074, -0.7620889351097571)),
}


def structure() -> Atoms:
    """Gallium arsenide, displaced by sines: a structure that needs no random numbers."""
    atoms = bulk("GaAs", "zincblende", a=5.65, cubic=True).repeat((2, 2, 2))
    atoms.positions += 0.1 * np.sin(np.arange(3 * len(atoms))).reshape(-1, 3)
    return atoms


def weights(inputs: int, phase: float) -> str:
    """A weights file for layers of 4, 3 and 1 nodes: sines."""
    count = sum((a + 1) * b for a, b in ((inputs, 4), (4, 3), (3, 1)))
    return "# value\n" + "".join(f"{0.8 * np.sin(phase + k):.16e}\n" for k in range(count))


@pytest.fixture
def folder(tmp_path: Path) -> Callable[[str], Path]:
    def make(variant: str) -> Path:
        (tmp_path / "input.nn").write_text(HEADER + VARIANTS[variant] + FUNCTIONS)
        rows = [
            f"{e} {k} {m - 3 * d} {m + 3 * d} {m} {d}"
            for e, own in STATISTICS.items()
            for k, (m, d) in enumerate(own, 1)
        ]
        (tmp_path / "scaling.data").write_text("\n".join(["# comment", *rows, "-3.0 -1.0", ""]))
        (tmp_path / "weights.031.data").write_text(weights(6, 0.3))
        (tmp_path / "weights.033.data").write_text(weights(4, 1.1))
        return tmp_path

    return make


@pytest.mark.parametrize("variant", sorted(VARIANTS))
def test_energies_and_forces_are_those_of_n2p2s_own_program(folder: Callable[[str], Path], variant: str) -> None:
    potential = read_n2p2(folder(variant), units="hartree, bohr")
    prediction = potential.predict(structure())
    energy, force = OF_N2P2[variant]
    assert prediction.energy / Hartree == pytest.approx(energy, rel=1e-13)
    np.testing.assert_allclose(prediction.forces[0] * Bohr / Hartree, force, rtol=1e-11, atol=1e-14)


def test_the_published_silicon_network() -> None:
    """That of Zuo and others, J. Phys. Chem. A 124 (2020) 731: energy and first force by n2p2's own nnp-predict."""
    place = os.environ.get("ATOMLAW_N2P2_SILICON")
    if not place:
        pytest.skip("ATOMLAW_N2P2_SILICON does not name a folder with mlearn's mvl_models/Si/nnp")
    atoms = bulk("Si", a=5.43, cubic=True).repeat((2, 2, 2))
    atoms.positions += 0.1 * np.sin(np.arange(3 * len(atoms))).reshape(-1, 3)
    stretch = np.array([[1.02, 0.01, 0.0], [0.0, 0.99, 0.0], [0.0, 0.02, 1.0]])
    atoms.set_cell(atoms.cell @ stretch, scale_atoms=True)
    prediction = read_n2p2(place, units="hartree, bohr").predict(atoms)
    assert prediction.energy / Hartree == pytest.approx(-12.41775291733785, rel=1e-13)
    np.testing.assert_allclose(
        prediction.forces[0] * Bohr / Hartree, [-0.00614302, -0.01625929, -0.03542143], atol=1e-8, rtol=0
    )


def test_other_units_are_the_same_potential_rescaled(folder: Callable[[str], Path]) -> None:
    path = folder("scaled")
    atoms = structure()
    in_bohr = atoms.copy()
    in_bohr.set_cell(atoms.cell / Bohr, scale_atoms=True)
    ours, theirs = read_n2p2(path, units="hartree, bohr"), read_n2p2(path, units="eV, Angstrom")
    assert ours.predict(atoms).energy == pytest.approx(theirs.predict(in_bohr).energy * Hartree, rel=1e-13)
    with pytest.raises(ValueError, match="units 'kcal', expected one of"):
        read_n2p2(path, units="kcal")


def random_potential(
    descriptors: Descriptors, activations: tuple[str, ...] = ("tanh", "softplus"), seed: int = 1, skip: bool = False
) -> NeuralPotential:
    generator = np.random.default_rng(seed)

    def layer(inputs: int, outputs: int) -> tuple[torch.Tensor, torch.Tensor]:
        weight = generator.normal(0.0, inputs**-0.5, (outputs, inputs))
        return torch.from_numpy(weight), torch.from_numpy(generator.normal(0.0, 0.5, outputs))

    networks = {}
    for z in descriptors.numbers:
        widths = (descriptors.count(z), *(7, 5)[: len(activations)], 1)
        layers = tuple(layer(a, b) for a, b in pairwise(widths))
        networks[z] = Network(layers, activations, torch.ones(widths[0]).double() if skip else None)
    return NeuralPotential(descriptors, networks, {})


def gallium_arsenide(cutoff_function: str = "polynomial", inner: float = 0.0) -> SymmetryFunctions:
    of_gallium = (
        SymmetryFunction("narrow", (31, 33), 0.01, 0.0, 5.5, 2.0, -1.0),
        SymmetryFunction("wide", (33, 33), 0.013, 0.7, 5.0, 4.0, 1.0),
        SymmetryFunction("radial", (33,), 0.7, 2.4 / 7, 5.5),
        SymmetryFunction("radial", (31,), 0.1, 0.0, 5.5),
        SymmetryFunction("narrow", (), 0.01 / 3, 0.0, 4.5, 1.0, 0.7),
    )
    return SymmetryFunctions((31, 33), (of_gallium, of_gallium[2:]), cutoff_function, inner)


@pytest.mark.parametrize(
    ("cutoff_function", "inner", "activations"),
    [("polynomial", 0.0, ("tanh", "softplus")), ("cosine", 0.3, ("logistic",)), ("tanh3", 0.0, ("linear", "tanh"))],
)
def test_what_is_written_reads_as_the_same_potential(
    tmp_path: Path, cutoff_function: str, inner: float, activations: tuple[str, ...]
) -> None:
    potential = random_potential(gallium_arsenide(cutoff_function, inner), activations)
    write_n2p2(tmp_path / "new", potential)
    again = read_n2p2(tmp_path / "new", units="eV, Angstrom")
    ours, theirs = (one.predict(structure()) for one in (potential, again))
    assert theirs.energy == pytest.approx(ours.energy, rel=1e-14)
    np.testing.assert_allclose(theirs.forces, ours.forces, atol=1e-12, rtol=0)
    np.testing.assert_allclose(theirs.stress, ours.stress, atol=1e-13, rtol=0)
    assert [set(one) for one in again.descriptors.functions] == [set(one) for one in potential.descriptors.functions]  # type: ignore[attr-defined]
    assert sorted(one.name for one in tmp_path.iterdir()) == ["new"]


def test_a_linear_model_gets_the_hidden_layer_that_n2p2_needs(tmp_path: Path) -> None:
    potential = random_potential(gallium_arsenide(), ())
    write_n2p2(tmp_path / "new", potential)
    again = read_n2p2(tmp_path / "new", units="eV, Angstrom")
    assert again.networks[31].activations == ("linear",)
    assert again.predict(structure()).energy == pytest.approx(potential.predict(structure()).energy, rel=1e-14)


@pytest.mark.parametrize("activations", [("tanh", "tanh"), ("tanh",), ("linear", "tanh"), ()])
def test_a_linear_term_beside_the_layers_goes_through_them(tmp_path: Path, activations: tuple[str, ...]) -> None:
    potential = random_potential(gallium_arsenide(), activations, skip=True)
    write_n2p2(tmp_path / "new", potential)
    again = read_n2p2(tmp_path / "new", units="eV, Angstrom")
    ours, theirs = (one.predict(structure()) for one in (potential, again))
    assert theirs.energy == pytest.approx(ours.energy, rel=1e-14)
    np.testing.assert_allclose(theirs.forces, ours.forces, atol=1e-12, rtol=0)
    if activations:
        network, original = again.networks[31], potential.networks[31]
        assert [len(bias) for _, bias in network.layers] == [len(bias) for _, bias in original.layers]
        # what n2p2 evaluates: the layers alone
        inputs = torch.linspace(-3.0, 3.0, 7 * network.inputs, dtype=torch.float64).reshape(7, -1)
        alone = through_layers(original)
        assert alone.skip is None
        torch.testing.assert_close(alone(inputs), original(inputs), rtol=1e-13, atol=1e-13)
        torch.testing.assert_close(network.skip.sort().values, original.skip.sort().values, rtol=0, atol=0)


def test_ordinary_layers_stay_layers() -> None:
    for seed in range(5):
        network = random_potential(gallium_arsenide(), ("tanh", "tanh"), seed).networks[31]
        assert beside_layers(network) is network


def test_ranges_for_n2p2s_warnings_are_those_of_the_structures(tmp_path: Path) -> None:
    potential = random_potential(gallium_arsenide())
    write_n2p2(tmp_path / "new", potential, [structure()])
    rows = np.loadtxt(tmp_path / "new" / "scaling.data")
    assert rows.shape == (8, 6)
    assert (rows[:, 2] < rows[:, 4]).all() and (rows[:, 4] < rows[:, 3]).all()
    # the first function in n2p2's order is the radial one with the smallest cutoff and then eta
    table_row = rows[0]
    own = potential.descriptors.functions[0][3]  # type: ignore[attr-defined]
    assert own == SymmetryFunction("radial", (31,), 0.1, 0.0, 5.5)
    atoms = structure()
    distances = atoms.get_all_distances(mic=True)[atoms.numbers == 31][:, atoms.numbers == 31]
    x = np.minimum(distances / own.cutoff, 1.0)
    terms = np.exp(-own.eta * distances**2) * (1 - x**3 * (10 - 15 * x + 6 * x**2)) * (distances > 0)
    assert table_row[4] == pytest.approx(terms.sum(1).mean(), rel=1e-12)


@pytest.mark.parametrize(
    ("potential", "message"),
    [
        (random_potential(BodyOrdered((14,))), "'body-ordered' cannot be written"),
        (
            random_potential(gallium_arsenide(), skip=True),
            r"\(skip\) beside layers with activations \('tanh', 'softplus'\)",
        ),
        (
            random_potential(SymmetryFunctions((14,), ((SymmetryFunction("wide", (), 0.1, 0.0, 4.0),),))),
            "has no type in n2p2",
        ),
    ],
)
def test_what_the_format_lacks_is_refused(tmp_path: Path, potential: NeuralPotential, message: str) -> None:
    with pytest.raises(NotInN2P2Format, match=message):
        write_n2p2(tmp_path / "new", potential)
    assert not list(tmp_path.iterdir())


def test_a_folder_with_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(ValueError, match="not an empty folder"):
        write_n2p2(tmp_path, random_potential(gallium_arsenide()))
    assert [one.name for one in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("input.nn", "elements As Ga", "elements As Xx", "line 2: elements As Xx"),
        ("input.nn", "number_of_elements 2", "number_of_elements 3", "line 2: elements As Ga, expected 3"),
        ("input.nn", "number_of_elements 2\n", "", "lacks the keyword 'number_of_elements'"),
        ("input.nn", "elements As Ga", "elements As Ga\nelements As Ga", "line 3: 'elements' stands in line 2 already"),
        ("input.nn", "cutoff_type 2", "cutoff_type 0", "line 7: cutoff_type 0"),
        ("input.nn", "cutoff_type 2", "cutoff_type 1 1.5", "line 7: inner cutoff 1.5"),
        (
            "input.nn",
            "cutoff_type 2",
            "cutoff_type 2\nuse_electrostatics",
            "line 8: 'use_electrostatics' asks for charges",
        ),
        (
            "input.nn",
            "cutoff_type 2",
            "cutoff_type 2\ncommittee_size 4",
            "line 8: 'committee_size' asks for a committee",
        ),
        ("input.nn", "cutoff_type 2", "cutoff_type 2\nnnp_type 4G-HDNNP", "line 8: nnp_type 4G-HDNNP is not supported"),
        ("input.nn", "cutoff_type 2", "cutoff_type 2\nmean_energy -1.0", "some, not all, of mean_energy"),
        ("input.nn", "short t t l", "short t r l", "line 9: activations t r l"),
        ("input.nn", "short t t l", "short t t t", "line 9: activations t t t"),
        ("input.nn", "nodes_short 4 3", "nodes_short 4", "line 6: 1 widths for 2 hidden layers"),
        ("input.nn", "nodes_short 4 3", "nodes_short 4 3.5", "line 6: a number of nodes is '3.5'"),
        ("input.nn", "symfunction_short Ga 9", "symfunction_short Ga 22", "line 15: symmetry function of type 22"),
        ("input.nn", "Ga 2 Ga 0.05 1.0 11.5", "Ga 2 Ga 0.05 1.0", "line 14: too few values: cutoff is missing"),
        ("input.nn", "Ga 2 Ga 0.05 1.0 11.5", "Ga 2 In 0.05 1.0 11.5", "line 14: 'In' where"),
        ("input.nn", "Ga 2 Ga 0.05 1.0 11.5", "Ga 2 Ga 0.05 nan 11.5", "line 14: shift is 'nan'"),
        ("input.nn", "Ga 9 As As 0.002 1 1.0", "Ga 9 As As 0.002 1 1.5", "line 15: zeta = 1.5"),
        ("scaling.data", "2 4 ", "2 5 ", "line 11: '2 5', expected element 2 and function 4"),
        (
            "scaling.data",
            "2 4 1766.0 2234.0",
            "2 4 1766.0 1766.0",
            "line 11: function 4 of element 2 has a range of 0.0",
        ),
        ("scaling.data", "-3.0 -1.0", "2 5 0.0 1.0 0.5 0.1", "line 12: more symmetry functions than"),
        ("weights.031.data", "# value\n", "# value\n0.5\n", "has 48 values, expected 47"),
        ("weights.031.data", "# value\n", "# value\nnonsense", "line 2: a weight is 'nonsense"),
        ("weights.031.data", "1\n", "1 a 7 0 1 1 1\n", "expected '"),
    ],
)
def test_a_wrong_file_is_named_with_its_line(
    folder: Callable[[str], Path], file: str, old: str, new: str, message: str
) -> None:
    path = folder("scaled")
    text = (path / file).read_text()
    assert old in text
    (path / file).write_text(text.replace(old, new, 1))
    with pytest.raises(NetworkFileError, match=re.escape(message)) as caught:
        read_n2p2(path, units="hartree, bohr")
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("file", ["input.nn", "scaling.data", "weights.033.data"])
@pytest.mark.parametrize("damage", ["missing", "truncated", "binary", "empty"])
def test_a_damaged_file_is_refused(folder: Callable[[str], Path], file: str, damage: str) -> None:
    path = folder("scaled")
    if damage == "missing":
        (path / file).unlink()
    elif damage == "truncated":
        (path / file).write_text((path / file).read_text()[:250])
    else:
        (path / file).write_bytes(b"" if damage == "empty" else bytes(range(256)))
    with pytest.raises(NetworkFileError, match=re.escape(str(path))):
        read_n2p2(path, units="hartree, bohr")


def test_unknown_keywords_are_named_in_a_warning(folder: Callable[[str], Path]) -> None:
    path = folder("scaled")
    with (path / "input.nn").open("a") as file:
        file.write("\nmystery_setting 3\n")
    with pytest.warns(UserWarning, match="mystery_setting"):
        read_n2p2(path, units="hartree, bohr")
