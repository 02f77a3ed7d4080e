"""What tells a good part of a Newton step from a bad one: the potential, or in a mixed form its Lagrangian, the same on all ranks."""

from __future__ import annotations

from mpi4py import MPI  # isort: skip  # noqa: F401

import numpy as np
from petsc4py import PETSc

from fem.law import InadmissibleDeformation
from fem.line_search import Trial
from fem.material import LawFailed
from fem.mixed import MeanVolume
from fem.residual import Residual


class Merit:
    """Pi of a body, less E - L of `fem.mixed` in a mixed form. Collective.

    Args:
        residual: the body's.
        mean_volume: what its cells expect along a step; None in displacements alone.
    """

    def __init__(self, residual: Residual, mean_volume: MeanVolume | None) -> None:
        self._residual, self._mean_volume = residual, mean_volume
        self._comm = residual.mesh.domain.comm

    def at(self, x: PETSc.Vec, norm: float) -> Trial:
        """Of the x where R was evaluated last, with |R| = `norm`.

        Raises:
            Whatever the law raises, on the rank where it happened; LawFailed on the others.
        """
        if not np.isfinite(norm):
            return Trial(np.nan, np.nan, np.nan)
        potential, size = self._residual.potential(x)
        return Trial(potential - self._excess(), size, norm)

    def _excess(self) -> float:
        if self._mean_volume is None:
            return 0.0
        excess, failure = 0.0, None
        try:
            excess = self._mean_volume.excess()
        except InadmissibleDeformation:
            excess = np.nan
        except Exception as error:  # told to the other ranks, then raised again
            failure = error
        answers = self._comm.allgather((excess, "" if failure is None else f"{type(failure).__name__}: {failure}"))
        if failure is not None:
            raise failure
        for rank, (_, message) in enumerate(answers):
            if message:
                raise LawFailed(f"the law failed on rank {rank}: {message}")
        return float(sum(part for part, _ in answers))
