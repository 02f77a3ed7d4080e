"""How much faster the law is than asking the atoms, per constitutive evaluation, and how close to them.

A neural potential of the demo's size is trained for some seconds and a law fitted to it. Then both give W, P and A at states that
neither has seen, in turns, one thread; the atoms relax from a cold start to forces of 1e-8 eV/A.
"""

from ase.build import bulk

import atomistic
import multiscale
from multiscale.laws.cauchy_born import CauchyBornLaw
from multiscale.sampling.relaxed_states import crystal_from_record
from multiscale.stages.truth import seconds_per_point

MAX_STRAIN = 0.04


def measure() -> dict[str, float]:
    """Microseconds a point, their ratio, and the law's errors on unseen states."""
    reference = atomistic.reference_calculator("stillinger-weber")
    crystal = atomistic.relax_crystal(bulk("Si", a=5.43), reference).atoms
    labelled = atomistic.label_configurations(
        crystal, reference, max_strain=MAX_STRAIN, seed=0, groups=atomistic.default_groups(0.5)
    )
    training = [atoms for atoms in labelled if atoms.info["split"] == "train"]
    potential = atomistic.train(training, atomistic.TrainingSettings(cycles=3), seed=0).potential
    data = multiscale.sample(crystal, potential, max_strain=MAX_STRAIN, states=60, seed=0)
    law = multiscale.fit(data, multiscale.PointGroup.of(crystal), starts=2, seed=0)
    unseen = multiscale.sample(crystal, potential, max_strain=MAX_STRAIN, states=128, seed=1)
    unseen = unseen.select(unseen.admissible)
    assert unseen.first_piola is not None and unseen.tangent is not None
    answer = law.evaluate(unseen.deformation_gradient)
    atoms = CauchyBornLaw(crystal_from_record(data.crystal), potential)
    law_seconds, atoms_seconds = seconds_per_point(law, atoms, unseen.deformation_gradient)
    return {
        "law_us": 1e6 * law_seconds,
        "atoms_us": 1e6 * atoms_seconds,
        "speedup": atoms_seconds / law_seconds,
        "law_stress_nmse": multiscale.normalised_mse(answer.first_piola, unseen.first_piola),
        "law_tangent_nmse": multiscale.normalised_mse(answer.tangent, unseen.tangent),
    }
