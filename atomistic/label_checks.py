"""Labels that cannot be trained on."""

from collections.abc import Sequence

import numpy as np
from ase import Atoms


class InvalidTrainingData(ValueError):
    """A configuration without usable labels."""


def check_labels(structures: Sequence[Atoms]) -> None:
    """Refuse configurations without finite energy, forces and stress.

    Raises:
        InvalidTrainingData: naming the configuration.
    """
    if not structures:
        raise InvalidTrainingData("no training configurations; expected at least one")
    for k, atoms in enumerate(structures):
        results = {} if atoms.calc is None else atoms.calc.results
        for name in ("energy", "forces", "stress"):
            if name not in results:
                raise InvalidTrainingData(f"configuration {k} ({atoms.get_chemical_formula()}) has no {name}")
            if not np.isfinite(results[name]).all():
                raise InvalidTrainingData(
                    f"configuration {k} ({atoms.get_chemical_formula()}) has a {name} that is not finite"
                )
