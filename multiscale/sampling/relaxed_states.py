"""Strain-stress data of a crystal at 0 K: a strain design, each state relaxed internally at fixed F by an interatomic model.

The reference F = I is the primitive cell relaxed by the same model. A neural potential gives W, P and the exact relaxed tangent A; any
other ASE calculator gives W and P, and A at F = I alone, by central differences of its stress.
"""

from collections.abc import Callable
from importlib.metadata import version
from typing import Any, Literal, get_args

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator
from ase.stress import voigt_6_to_full_3x3_stress
from jaxtyping import Float
from numpy import ndarray

import atomistic
from atomistic import EV_PER_CUBIC_ANGSTROM_IN_GPA, CauchyBorn, NeuralCalculator, NeuralPotential, RelaxedCrystal
from multiscale.data.dataset import StressStrainData
from multiscale.laws.strain import stiffness_tensor
from multiscale.sampling.design import InvalidDesign, check_design, informative_design, strain_design
from multiscale.symmetry.point_group import PointGroup

Progress = Callable[[float, str], None]

Design = Literal["informative", "sobol"]

BATCH = 32
"""States between two calls of `progress`."""


def sample(
    atoms: Atoms,
    potential: NeuralPotential | Calculator,
    *,
    max_strain: float = 0.06,
    states: int = 100,
    seed: int = 0,
    design: Design = "informative",
    progress: Progress | None = None,
) -> StressStrainData:
    """Relaxed energy, stress and tangent (GPa) at `states` strains, each log-strain component up to `max_strain`.

    The design is "informative", those that tell most about a crystal of its symmetry (multiscale.informative_design), or "sobol",
    those that fill the box evenly (multiscale.strain_design): to test a law on.

    Raises:
        InvalidCrystal, UnknownElement, InvalidDesign: for the user's mistakes.
        RelaxationFailed: where the crystal, or a strained cell under a plain ASE calculator, does not relax.
    """
    check_design(states, max_strain)
    if design not in get_args(Design):
        raise InvalidDesign(f"design is {design!r}, expected one of {', '.join(get_args(Design))}")
    calculator = NeuralCalculator(potential) if isinstance(potential, NeuralPotential) else potential
    reference = atomistic.relax_crystal(atoms, calculator)
    symmetry = PointGroup.of(reference.atoms)
    if design == "informative":
        F, name = informative_design(states, max_strain, symmetry, seed), f"D-optimal for {symmetry.name}"
    else:
        F, name = strain_design(states, max_strain, seed), "Sobol"
    described: dict[str, Any] = {
        "reference_stress": EV_PER_CUBIC_ANGSTROM_IN_GPA * reference.stress,
        "crystal": crystal_record(reference.atoms),
        "provenance": {
            **model_record(potential),
            "design": f"{name}, {states} states, max_strain {max_strain}, seed {seed}",
        },
    }
    if isinstance(potential, NeuralPotential):
        return _sample_neural(F, reference, potential, described, progress)
    return _sample_calculator(F, reference, calculator, described, progress)


def model_record(potential: NeuralPotential | Calculator) -> dict[str, str]:
    """Provenance: which interatomic model, how it was made, with which versions."""
    record = {
        "model": type(potential).__name__,
        "versions": ", ".join(f"{name} {version(name)}" for name in ("ase", "numpy", "torch")),
    }
    if isinstance(potential, NeuralPotential):
        record |= {f"potential {name}": value for name, value in potential.provenance.items()}
    return record


def crystal_record(atoms: Atoms) -> dict[str, Any]:
    """A crystal as JSON-able numbers: atomic numbers, cell rows and positions in Angstrom."""
    return {
        "numbers": atoms.numbers.tolist(),
        "cell": atoms.cell.array.tolist(),
        "positions": atoms.positions.tolist(),
    }


def crystal_from_record(record: Any) -> Atoms:
    """The crystal that `crystal_record` describes."""
    return Atoms(numbers=record["numbers"], cell=record["cell"], positions=record["positions"], pbc=True)


def _sample_neural(
    F: Float[ndarray, "n 3 3"],
    reference: RelaxedCrystal,
    potential: NeuralPotential,
    described: dict[str, Any],
    progress: Progress | None,
) -> StressStrainData:
    law = CauchyBorn(reference.atoms, potential)
    identity = law.evaluate(np.eye(3)[None])
    parts = []
    for start in range(0, len(F), BATCH):
        parts.append(law.evaluate(F[start : start + BATCH]))
        if progress is not None:
            done = min(start + BATCH, len(F))
            progress(done / len(F), f"{done} states")
    return StressStrainData(
        deformation_gradient=F,
        energy=EV_PER_CUBIC_ANGSTROM_IN_GPA * np.concatenate([part.energy for part in parts]),
        first_piola=EV_PER_CUBIC_ANGSTROM_IN_GPA * np.concatenate([part.first_piola for part in parts]),
        tangent=EV_PER_CUBIC_ANGSTROM_IN_GPA
        * np.concatenate([part.tangent for part in parts if part.tangent is not None]),
        admissible=np.concatenate([part.stable for part in parts]),
        reference_tangent=EV_PER_CUBIC_ANGSTROM_IN_GPA * identity.tangent[0] if identity.tangent is not None else None,
        **described,
    )


def _sample_calculator(
    F: Float[ndarray, "n 3 3"],
    reference: RelaxedCrystal,
    calculator: Calculator,
    described: dict[str, Any],
    progress: Progress | None,
) -> StressStrainData:
    volume = reference.atoms.get_volume()
    energy, stress = np.empty(len(F)), np.empty((len(F), 3, 3))
    for k, deformation_gradient in enumerate(F):
        strained = atomistic.deform(reference.atoms, deformation_gradient)
        relaxed = atomistic.relax_positions(strained, calculator)
        energy[k] = (relaxed.get_potential_energy() - reference.energy) / volume
        cauchy = np.asarray(voigt_6_to_full_3x3_stress(relaxed.get_stress()))
        stress[k] = atomistic.first_piola(cauchy, deformation_gradient)
        if progress is not None:
            progress((k + 1) / len(F), f"{k + 1} states")
    constants = atomistic.elastic_constants(reference.atoms, calculator)
    return StressStrainData(
        deformation_gradient=F,
        energy=EV_PER_CUBIC_ANGSTROM_IN_GPA * energy,
        first_piola=EV_PER_CUBIC_ANGSTROM_IN_GPA * stress,
        # at a stress-free F = I the tangent A is the stiffness
        reference_tangent=EV_PER_CUBIC_ANGSTROM_IN_GPA * stiffness_tensor(constants),
        **described,
    )
