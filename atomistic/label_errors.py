"""Errors of predictions against labels, structure by structure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from jaxtyping import Float
from numpy import ndarray

from atomistic.label_checks import InvalidTrainingData
from atomistic.potential import Prediction

Predict = Callable[[Atoms], Prediction]


@dataclass(frozen=True)
class LabelError:
    """Prediction minus label of one structure.

    Attributes:
        energy: eV.
        forces: eV/A.
        stress: eV/A^3; None where the cell is not periodic in all directions or the structure has no label of the stress.
    """

    energy: float
    forces: Float[ndarray, "atoms 3"]
    stress: Float[ndarray, "3 3"] | None


def label_error(prediction: Prediction, atoms: Atoms) -> LabelError:
    """Prediction minus the labels that `atoms` carries.

    Raises:
        InvalidTrainingData: where energy or forces are missing, or a label is not finite.
    """
    results = {} if atoms.calc is None else atoms.calc.results
    for name in ("energy", "forces"):
        if name not in results:
            raise InvalidTrainingData(
                f"a structure ({atoms.get_chemical_formula()}) has no {name}; expected a labelled one"
            )
    for name in ("energy", "forces", "stress"):
        if not np.isfinite(results.get(name, 0.0)).all():
            raise InvalidTrainingData(f"a structure ({atoms.get_chemical_formula()}) has a {name} that is not finite")
    labelled = all(atoms.pbc) and "stress" in results
    return LabelError(
        energy=prediction.energy - float(atoms.get_potential_energy()),
        forces=prediction.forces - atoms.get_forces(),
        stress=prediction.stress - atoms.get_stress(voigt=False) if labelled else None,
    )


def root_mean_squares(predict: Predict, structures: Sequence[Atoms]) -> tuple[float, float, float]:
    """Of the errors of energies (eV/atom), force components (eV/A) and stress components (eV/A^3; infinite where none is labelled).

    Raises:
        InvalidTrainingData: for no structures, or labels as in `label_error`.
    """
    if not structures:
        raise InvalidTrainingData("no labelled structures; expected at least one")
    errors = [label_error(predict(atoms), atoms) for atoms in structures]
    energy = [error.energy / len(error.forces) for error in errors]
    forces = np.concatenate([error.forces.ravel() for error in errors])
    stress = [error.stress.ravel() for error in errors if error.stress is not None]
    of_stress = float(np.sqrt(np.mean(np.square(stress)))) if stress else np.inf
    return float(np.sqrt(np.mean(np.square(energy)))), float(np.sqrt(np.mean(np.square(forces)))), of_stress
