"""Surfaces in two dimensions with known saddles, as calculators: one atom moves about another that is fixed."""

from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.constraints import FixAtoms

# Mueller and Brown, Theor. Chim. Acta 53 (1979) 75: minima and saddles to six digits, energies in their unit.
MINIMA = {(-0.558224, 1.441726): -146.69952, (-0.050011, 0.466694): -80.76782, (0.623499, 0.028038): -108.16672}
SADDLES = {(-0.822002, 0.624313): -40.66484, (0.212487, 0.292988): -72.24894}
UNIT = 0.01  # eV


class Surface(Calculator):
    """E(x, y) + z^2 of the vector from the fixed atom to the other."""

    implemented_properties: list[str] = ["energy", "forces"]  # noqa: RUF012

    def value(self, x: float, y: float) -> tuple[float, float, float]:
        """Energy and its slopes."""
        raise NotImplementedError

    def calculate(self, atoms: Any = None, properties: Any = None, system_changes: Any = all_changes) -> None:
        super().calculate(atoms, properties, system_changes)
        x, y, z = atoms.positions[1] - atoms.positions[0]
        energy, by_x, by_y = self.value(x, y)
        force = -np.array([by_x, by_y, 2.0 * z])
        self.results = {"energy": energy + z**2, "forces": np.array([-force, force])}


class DoubleWell(Surface):
    """h (x^2 - 1)^2 + (y - c (1 - x^2))^2: minima at (-1, 0) and (1, 0), saddle of height h at (0, c), on a curved path."""

    def __init__(self, height: float = 0.5, curve: float = 0.4) -> None:
        super().__init__()
        self.height, self.curve = height, curve

    def value(self, x: float, y: float) -> tuple[float, float, float]:
        off = y - self.curve * (1.0 - x**2)
        slope = 4.0 * self.height * x * (x**2 - 1.0) + 4.0 * self.curve * x * off
        return self.height * (x**2 - 1.0) ** 2 + off**2, slope, 2.0 * off


class MuellerBrown(Surface):
    def value(self, x: float, y: float) -> tuple[float, float, float]:
        A, a, b = np.array([-200, -100, -170, 15.0]), np.array([-1, -1, -6.5, 0.7]), np.array([0, 0, 11, 0.6])
        c, dx, dy = np.array([-10, -10, -6.5, 0.7]), x - np.array([1, 0, -0.5, -1]), y - np.array([0, 0.5, 1.5, 1])
        terms = UNIT * A * np.exp(a * dx**2 + b * dx * dy + c * dy**2)
        return terms.sum(), (terms * (2 * a * dx + b * dy)).sum(), (terms * (b * dx + 2 * c * dy)).sum()


def at(x: float, y: float) -> Atoms:
    """The moving atom at a point of the surface."""
    return Atoms(
        "HHe", positions=[[10, 10, 10], [10 + x, 10 + y, 10]], cell=[20, 20, 20], pbc=True, constraint=FixAtoms([0])
    )


def point(atoms: Atoms) -> Any:
    """Where it is."""
    return (atoms.positions[1] - atoms.positions[0])[:2]
