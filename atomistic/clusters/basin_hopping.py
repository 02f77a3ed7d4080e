r"""Basin hopping: a random walk on the minima of an energy surface.

From a minimum a move leads to the start of a way down, and the minimum E' at its end is taken for E with the probability of Metropolis,

    min(1, exp(-(E' - E) / T)),

so barriers do not matter, only how the minima lie to each other (Li and Scheraga, Proc. Natl. Acad. Sci. USA 84 (1987) 6611; Wales and
Doye, J. Phys. Chem. A 101 (1997) 5111). A walk that has found nothing lower for `patience` steps starts anew at a random place: in a
landscape with two funnels one walk can spend all its time in the wrong one (Doye, Miller and Wales, J. Chem. Phys. 110 (1999) 6896).
Structures that fell into pieces or in which atoms came too near to each other are never taken.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from atomistic.clusters.moves import Move, spread_apart
from atomistic.clusters.surface import Bounds, Positions, Quench, Surface, quench


class WalkFailed(RuntimeError):
    """A walk that led nowhere.

    Attributes:
        walk: what it came across.
    """

    def __init__(self, message: str, walk: "BasinHopping") -> None:
        super().__init__(message)
        self.walk = walk


class ClusterEvaporated(WalkFailed):
    """No way down ended in a whole cluster: they fell into pieces, or into a hole of the surface."""


class NoMoveAccepted(WalkFailed):
    """A walk that never left its start."""


@dataclass(frozen=True)
class BasinHopping:
    """A finished walk.

    Attributes:
        quenches: every way down, in order.
        accepted: which of them were taken; starts count.
        started: which of them were starts.
        evaluations: of the surface, altogether.
    """

    quenches: tuple[Quench, ...]
    accepted: tuple[bool, ...]
    started: tuple[bool, ...]
    evaluations: int

    @property
    def best(self) -> Quench:
        """The lowest of the minima that are whole.

        Raises:
            ClusterEvaporated: where none is.
        """
        whole = [found for found in self.quenches if found.state == "whole"]
        if not whole:
            raise ClusterEvaporated(self._nothing(), self)
        return min(whole, key=lambda found: found.energy)

    @property
    def energies(self) -> Float[ndarray, "quenches"]:
        """Of all ways down, eV; infinite where no whole minimum was reached."""
        return np.array([found.energy if found.state == "whole" else np.inf for found in self.quenches])

    def minima(self, *, tolerance: float = 1e-3) -> list[Quench]:
        """The different minima that are whole, lowest first: of those within `tolerance` (eV) of each other the lowest."""
        found = sorted((q for q in self.quenches if q.state == "whole"), key=lambda q: q.energy)
        return [q for k, q in enumerate(found) if k == 0 or q.energy > found[k - 1].energy + tolerance]

    def _nothing(self) -> str:
        states = [found.state for found in self.quenches]
        return (
            f"of {len(states)} ways down {states.count('evaporated')} ended in pieces and {states.count('collapsed')} with atoms too near "
            "to each other, none in a whole cluster; start from a denser structure, take a smaller step, or train the potential on what "
            "it found"
        )


def basin_hopping(
    surface: Surface,
    start: Callable[[np.random.Generator], Positions],
    move: Move,
    *,
    steps: int,
    temperature: float,
    seed: int | tuple[int, ...],
    bounds: Bounds,
    patience: int | None = None,
    stop_below: float = -np.inf,
    force_tolerance: float = 1e-2,
) -> BasinHopping:
    """A walk of at most `steps` ways down.

    Args:
        surface: positions in, energy and forces out (`surface_of`).
        start: a random structure.
        move: from a minimum to the next start.
        steps: ways down, starts included.
        temperature: of Metropolis' rule, eV.
        seed: of everything random.
        bounds: within which a structure counts.
        patience: ways down without a lower energy after which the walk starts anew; None for never.
        stop_below: energy (eV) at which the walk ends.
        force_tolerance: of the ways down, eV/A.

    Raises:
        ValueError: for numbers that are not positive.
        ClusterEvaporated: where no way down, from a start or a move, ended in a whole cluster.
        NoMoveAccepted: where there were moves, and none was taken.
    """
    if steps < 1 or not temperature > 0.0 or (patience is not None and patience < 1):
        raise ValueError(
            f"steps = {steps}, temperature = {temperature} eV, patience = {patience}, expected positive numbers"
        )
    generator = np.random.default_rng(seed)
    quenches: list[Quench] = []
    accepted: list[bool] = []
    started: list[bool] = []
    current: Quench | None = None
    lowest, since = np.inf, 0
    while len(quenches) < steps:
        anew = current is None or (patience is not None and since >= patience)
        if anew or current is None:
            proposal, lowest, since = start(generator), np.inf, 0
        else:
            proposal = move(current.positions, generator)
        found = quench(
            surface, spread_apart(proposal, 1.1 * bounds.closest), force_tolerance=force_tolerance, bounds=bounds
        )
        whole = found.state == "whole"
        take = whole and (
            anew
            or current is None
            or generator.random() < np.exp(min(0.0, (current.energy - found.energy) / temperature))
        )
        quenches.append(found)
        accepted.append(bool(take))
        started.append(anew)
        if take:
            current = found
        elif anew:
            current = None
        since += 1
        if whole and found.energy < lowest - 1e-6:
            lowest, since = found.energy, 0
        if whole and found.energy <= stop_below:
            break
    walk = BasinHopping(tuple(quenches), tuple(accepted), tuple(started), sum(found.evaluations for found in quenches))
    walk.best  # noqa: B018  raises where nothing was found
    moved = [take for take, at_start in zip(accepted, started, strict=True) if not at_start]
    if moved and not any(moved):
        raise NoMoveAccepted(
            f"none of {len(moved)} moves was accepted at a temperature of {temperature:g} eV; take smaller steps or a higher temperature",
            walk,
        )
    return walk
