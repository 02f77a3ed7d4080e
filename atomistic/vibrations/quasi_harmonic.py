r"""Thermal expansion in the quasi-harmonic approximation: at each temperature the volume of least free energy.

    G(p, T) = min_V E(V) + F_vib(V, T) + p V,
    beta = 1/V dV/dT = (dS/dV)_T / (V d2(E + F_vib)/dV2),        B_T = V d2(E + F_vib)/dV2

(M. T. Dove, Introduction to Lattice Dynamics, 1993, ch. 5; A. Togo and I. Tanaka, Scr. Mater. 108 (2015) 1). The second line is
Grueneisen's law, beta = gamma C_V / (B V), with derivatives at fixed temperature: no differences between temperatures. All over the volumes
are polynomials of degree four in the length's strain, through five volumes or more. All frequencies are those of the strained crystal;
what modes do to each other at fixed volume is left out.
"""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator
from ase.stress import voigt_6_to_full_3x3_stress
from jaxtyping import Float
from numpy import ndarray
from numpy.polynomial import Polynomial
from numpy.typing import ArrayLike

from atomistic.calculator import NeuralCalculator
from atomistic.crystal import deform, relax_positions
from atomistic.vibrations.exact import force_constants
from atomistic.vibrations.force_constants import ForceConstants
from atomistic.vibrations.harmonic import MESH, thermal_properties

DEGREE: Final = 4

STRAINS: Final = (-0.015, -0.01, -0.005, 0.0, 0.005, 0.01, 0.015, 0.02)
"""Of lengths: from 4.5 % less volume to 6 % more, what silicon does between 0 K and melting with room to spare."""

DEVIATOR: Final = 0.05
"""Of the pressure, above which a cell that keeps its shape is not what the crystal would do."""


class VolumeOutOfRange(ValueError):
    """The free energy has no minimum among the volumes given."""


class ShapeHeld(UserWarning):
    """The cell would change its shape with its volume; it was scaled alike in all directions."""


@dataclass(frozen=True)
class QuasiHarmonic:
    """A crystal over temperature at constant pressure.

    Attributes:
        temperatures: K.
        volume: A^3 per cell.
        stretch: of lengths, relative to the crystal given.
        linear_expansion: alpha = beta / 3, 1/K.
        bulk_modulus: isothermal, eV/A^3.
        gibbs_energy: eV per cell.
        heat_capacity_volume, heat_capacity_pressure: C_V, and C_p = C_V + T V beta^2 B_T, eV/K per cell.
        grueneisen: gamma = beta B_T V / C_V; zero at 0 K, where C_V is.
    """

    temperatures: Float[ndarray, "n"]
    volume: Float[ndarray, "n"]
    stretch: Float[ndarray, "n"]
    linear_expansion: Float[ndarray, "n"]
    bulk_modulus: Float[ndarray, "n"]
    gibbs_energy: Float[ndarray, "n"]
    heat_capacity_volume: Float[ndarray, "n"]
    heat_capacity_pressure: Float[ndarray, "n"]
    grueneisen: Float[ndarray, "n"]


def quasi_harmonic(
    crystal: Atoms,
    calculator: Calculator,
    temperatures: ArrayLike,
    *,
    constants: Callable[[Atoms], ForceConstants] | None = None,
    strains: Sequence[float] = STRAINS,
    pressure: float = 0.0,
    mesh: int | tuple[int, int, int] = MESH,
    classical: bool = False,
) -> QuasiHarmonic:
    """Volume, expansion, bulk modulus and heat capacities of a crystal over temperature.

    The cell keeps its shape (exact for cubic crystals), positions relax at each volume.

    Args:
        crystal: primitive cell, near rest.
        calculator: gives energies, forces and stress.
        temperatures: K.
        constants: force constants of a strained cell at rest; those of the potential itself for a neural calculator.
        strains: of lengths, five or more.
        pressure: eV/A^3.
        mesh: of wave vectors.
        classical: statistics of molecular dynamics, to compare with; temperatures are then above zero.

    Raises:
        ValueError: for fewer than five different strains, and where a calculator of another kind comes without `constants`.
        VolumeOutOfRange: where the minimum is not among the volumes.
        ImaginaryModes: where the crystal is unstable at a volume.
        RelaxationFailed: where positions do not come to rest.

    Warns:
        ShapeHeld: where the crystal, uniformly strained, has a stress that is no pressure.
    """
    x = np.unique(np.asarray(strains, dtype=np.float64))
    if len(x) <= DEGREE or not np.isfinite(x).all() or x[0] <= -1.0:
        raise ValueError(f"strains = {x}, expected at least {DEGREE + 1} different finite numbers above -1")
    if constants is None:
        if not isinstance(calculator, NeuralCalculator):
            raise ValueError(
                f"constants is None and {type(calculator).__name__} has no Hessian of its own: pass constants, for example "
                "partial(force_constants_by_differences, calculator=calculator, reach=...)"
            )
        constants = partial(force_constants, calculator.potential)
    T = np.atleast_1d(np.asarray(temperatures, dtype=np.float64))
    energies, free, entropies, capacities = [], [], [], []
    for strain in x:
        atoms = relax_positions(deform(crystal, (1.0 + strain) * np.eye(3)), calculator)
        energies.append(float(atoms.get_potential_energy()))
        _warn_of_deviator(atoms, strain)
        atoms.calc = None
        vibrations = thermal_properties(constants(atoms), T, mesh=mesh, classical=classical)
        free.append(vibrations.free_energy)
        entropies.append(vibrations.entropy)
        capacities.append(vibrations.heat_capacity)
    volume = float(crystal.get_volume())
    columns = [
        _at_least_free_energy(x, volume, pressure, np.array(energies) + F, S, C, temperature)
        for temperature, F, S, C in zip(T, np.array(free).T, np.array(entropies).T, np.array(capacities).T, strict=True)
    ]
    return QuasiHarmonic(T, *np.array(columns).T)


def _at_least_free_energy(
    x: Float[ndarray, "volumes"],
    volume: float,
    pressure: float,
    free: Float[ndarray, "volumes"],
    entropy: Float[ndarray, "volumes"],
    capacity: Float[ndarray, "volumes"],
    temperature: float,
) -> tuple[float, ...]:
    """Volume, stretch, alpha, B_T, G, C_V, C_p and gamma at one temperature; polynomials in the strain, V = V_0 (1 + x)^3."""
    F, S, C = (Polynomial.fit(x, values, DEGREE).convert() for values in (free, entropy, capacity))
    size = Polynomial([1.0, 1.0]) ** 3 * volume
    pull = F.deriv() + pressure * size.deriv()
    grid = np.linspace(x[0], x[-1], 2001)
    signs = np.sign(pull(grid))
    rising = np.nonzero((signs[:-1] < 0) & (signs[1:] >= 0))[0]
    if len(rising) != 1:
        where = "below" if signs[0] > 0 else "above"
        raise VolumeOutOfRange(
            f"at {temperature:g} K the free energy has {len(rising)} minima between the strains {x[0]:g} and {x[-1]:g}, expected one; the "
            f"least is {where} them: widen the strains to that side, or go less hot"
        )
    bracket = grid[rising[0] : rising[0] + 2]
    # the pull is straight between neighbours of so fine a grid, and one step of Newton takes what is left
    at = float(bracket.mean())
    for _ in range(4):
        at -= float(pull(at) / pull.deriv()(at))
    V, dV, ddV = (float(p(at)) for p in (size, size.deriv(), size.deriv(2)))
    # d2F/dV2 by the strain: (F'' - F'/V' V'') / V'^2
    slope = float(F.deriv()(at))
    curvature = (float(F.deriv(2)(at)) - slope / dV * ddV) / dV**2
    bulk_modulus = V * curvature
    beta = float(S.deriv()(at)) / dV / bulk_modulus
    C_V = float(C(at))
    gamma = beta * bulk_modulus * V / C_V if C_V > 0.0 else 0.0
    C_p = C_V + temperature * V * beta**2 * bulk_modulus
    return V, 1.0 + at, beta / 3.0, bulk_modulus, float(F(at)) + pressure * V, C_V, C_p, gamma


def _warn_of_deviator(atoms: Atoms, strain: float) -> None:
    stress = voigt_6_to_full_3x3_stress(np.asarray(atoms.get_stress()))
    mean = float(np.trace(stress)) / 3.0
    deviator = float(np.abs(stress - mean * np.eye(3)).max())
    # near zero pressure round-off and residual forces are all there is
    if deviator > DEVIATOR * abs(mean) and deviator > 1e-4:
        warnings.warn(
            f"at a strain of {strain:g} the stress deviates by {deviator:.3g} eV/A^3 from a pressure of {-mean:.3g}: the cell would "
            "change its shape, which is held; expansion is exact for cubic crystals only",
            ShapeHeld,
            stacklevel=3,
        )
