"""A second law, from virials of molecular dynamics alone, solves the bracket of the demo."""

from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk

import atomistic
import multiscale
from multiscale.configuration import Configuration
from multiscale.stages.structure import solve
from multiscale.stages.workers import workers

CONFIGURATION = Path(__file__).parents[2] / "examples" / "silicon_bracket.toml"


def silent(fraction: float, message: str) -> None:
    """Progress that nobody watches."""


@pytest.mark.slow
def test_law_from_virials_alone_solves_the_bracket() -> None:
    """32 strained cells at 300 K, P and its error bar, no energies: C_ij near those at 0 K, and a bracket that bends alike.

    Stillinger-Weber silicon softens little up to 300 K, and pushes outwards at the 0 K lattice constant by 3 K alpha T, a few
    tenths of a GPa, which the law carries as its reference stress.
    """
    reference = atomistic.reference_calculator("stillinger-weber")
    relaxed = atomistic.relax_crystal(bulk("Si", a=5.43), reference).atoms
    configurations = atomistic.label_configurations(
        relaxed, reference, max_strain=0.06, seed=0, groups=atomistic.default_groups(0.5)
    )
    training = [atoms for atoms in configurations if atoms.info["split"] == "train"]
    potential = atomistic.train(training, atomistic.TrainingSettings(cycles=5), seed=0).potential
    crystal = atomistic.relax_crystal(bulk("Si", a=5.43), atomistic.NeuralCalculator(potential)).atoms
    with workers(2) as executor:
        virials = multiscale.sample_thermal(
            crystal,
            potential,
            multiscale.strain_design(32, 0.04, seed=0),
            temperature=300.0,
            steps=1500,
            seed=0,
            executor=executor,
        )
    assert virials.energy is None and virials.tangent is None
    assert virials.first_piola_error is not None
    assert 0.0 < virials.first_piola_error.max() <= 0.2

    symmetry = multiscale.PointGroup.of(crystal)
    hot = multiscale.fit(virials, symmetry, neurons=4, reference_stress="fit", seed=0)
    cold = multiscale.fit(
        multiscale.sample(crystal, potential, states=60, seed=0), symmetry, neurons=8, starts=4, seed=0
    )
    at_rest = hot.evaluate(np.eye(3)[None], tangent=False).first_piola[0]
    np.testing.assert_allclose(at_rest, np.trace(at_rest) / 3 * np.eye(3), atol=1e-12)
    assert -0.6 < at_rest[0, 0] < -0.1
    constants = [law.elastic_constants()[[0, 0, 3], [0, 1, 3]] for law in (hot, cold)]
    np.testing.assert_allclose(*constants, rtol=0.05)

    configuration = Configuration.read(CONFIGURATION)
    structure = configuration.structure
    bodies = [solve(configuration, structure.mesh, law, 2, structure.load_steps, silent) for law in (hot, cold)]
    bent = [np.abs(body.displacement.x.array.reshape(-1, 3)[:, 2]).max() for body in bodies]
    assert [body.load_factor for body in bodies] == [1.0, 1.0]
    assert bent[0] == pytest.approx(bent[1], rel=0.05)
    assert bent[0] != bent[1]
