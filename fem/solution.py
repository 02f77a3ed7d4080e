"""The deformed body: what a solve returns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dolfinx import fem as dfem

from fem.load_stepping import LoadStep
from fem.material import Material

if TYPE_CHECKING:
    from fem.equilibrium import Equilibrium


@dataclass(frozen=True)
class Solution:
    displacement: dfem.Function
    steps: Sequence[LoadStep]
    material: Material = field(repr=False)
    seconds: dict = field(default_factory=dict)

    @classmethod
    def of(cls, equilibrium: Equilibrium, steps: Sequence[LoadStep]) -> Solution:
        """Take over the state of a solve."""
        total = sum(s.seconds for s in steps)
        law, assembly = equilibrium.material.seconds, equilibrium.assembly_seconds
        return cls(equilibrium.displacement, tuple(steps), equilibrium.material, {"law":law,"assembly":assembly,"linear":total-law-assembly})

    @property
    def load_factor(self) -> float:
        return self.steps[-1].load_factor if self.steps else 0.0

    @property
    def energy(self) -> float:
        return self.material.energy()
