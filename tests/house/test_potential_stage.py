"""The potential stage: a mean of several networks is trained as asked for."""

from pathlib import Path

import pytest
from ase.io import read

import atomistic
from multiscale.configuration import Configuration, Potential
from multiscale.stages.potential import SEEDS_APART, settings, trained

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_the_potential_of_several_members_is_their_mean() -> None:
    configuration = Configuration.read(EXAMPLES / "silicon_bracket.toml")
    quick = {"model": "layers", "centres": None, "epochs": 1, "cycles": 0, "angular_functions": 4, "members": 2}
    potential_section = configuration.potential.model_copy(update=quick)
    configuration = configuration.model_copy(update={"potential": potential_section})
    structures = read(EXAMPLES / "data" / "silicon_pbe" / "silicon_pbe.extxyz", ":20")
    told: list[float] = []
    potential, history = trained(structures, configuration, progress=lambda fraction, _: told.append(fraction))
    alone = [
        atomistic.train(structures, settings(potential_section), seed=configuration.seed + SEEDS_APART * k)
        for k in range(2)
    ]
    energies = [one.potential.predict(structures[0]).energy for one in alone]
    assert energies[0] != energies[1]
    assert potential.predict(structures[0]).energy == pytest.approx(sum(energies) / 2, abs=1e-9)
    assert (history == alone[0].history).all()
    assert told == pytest.approx([0.5, 1.0])


def test_gaussians_are_asked_for_by_name_and_take_no_options_of_descent() -> None:
    configuration = Configuration.read(EXAMPLES / "silicon_bracket.toml")
    section = configuration.potential.model_copy(update={"angular_functions": 4, "centres": 30})
    configuration = configuration.model_copy(update={"potential": section})
    structures = read(EXAMPLES / "data" / "silicon_pbe" / "silicon_pbe.extxyz", ":20")
    told: list[float] = []
    potential, history = trained(structures, configuration, progress=lambda fraction, _: told.append(fraction))
    assert potential.networks[14].activations == ("linear", "radial")
    assert len(history) == 0
    assert told == sorted(told)
    assert told[-1] == 1.0
    with pytest.raises(ValueError, match="no epochs beside model = 'gaussians'"):
        Potential(model="gaussians", epochs=3)
    with pytest.raises(ValueError, match="no centres beside model = 'layers'"):
        Potential(centres=30)
