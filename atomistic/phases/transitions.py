r"""Transitions between phases at 0 K: the pressure at which two have the same enthalpy, which is the slope of their common tangent.

At coexistence P_a(V_a) = P_b(V_b) = p and H_a(p) = H_b(p). Written with E(V) the same says that one line, of slope -p, touches both curves:

    E_a'(V_a) = E_b'(V_b) = (E_b(V_b) - E_a(V_a)) / (V_b - V_a) = -p .

`equal_enthalpy` finds p on the enthalpies, by V(p) of each phase; `common_tangent` finds V_a and V_b on the energies, by Newton's
method, and never inverts a curve. Neither looks beyond the volumes that the equations of state were fitted to.
Units: eV and Angstrom^3 an atom, pressures in eV/Angstrom^3.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.optimize import brentq

from atomistic.phases.equation_of_state import BirchMurnaghan

SAMPLES: Final = 200
"""Of the pressures, or volumes, between which a change of sign is looked for."""


class NoCommonTangent(ValueError):
    """Two phases have no common tangent within the volumes that their equations of state rest on."""


@dataclass(frozen=True)
class Transition:
    """From one phase to another under pressure.

    Attributes:
        phases: names, the one stable below the pressure first.
        pressure: p, eV/Angstrom^3.
        volumes: of the two at p, Angstrom^3 an atom.
        enthalpy: of both at p, eV an atom.
    """

    phases: tuple[str, str]
    pressure: float
    volumes: tuple[float, float]
    enthalpy: float


def ranking(curves: Sequence[BirchMurnaghan]) -> dict[str, float]:
    """Energy of each phase at its own minimum above the lowest one's, eV an atom, ascending.

    Raises:
        ValueError: for no curves, or two of the same name.
    """
    _check(curves)
    lowest = min(curve.energy0 for curve in curves)
    return {curve.name: curve.energy0 - lowest for curve in sorted(curves, key=lambda curve: curve.energy0)}


def equal_enthalpy(first: BirchMurnaghan, second: BirchMurnaghan) -> Transition:
    """The pressure of equal enthalpy, the one nearest to zero where there are several.

    Raises:
        NoCommonTangent: where the enthalpies do not cross at the pressures that both curves cover.
    """
    pressures = _shared(first, second)

    def above(pressure: float) -> float:
        return float(second.enthalpy(pressure) - first.enthalpy(pressure))

    difference = second.enthalpy(pressures) - first.enthalpy(pressures)
    crossed = np.flatnonzero(np.sign(difference[:-1]) != np.sign(difference[1:]))
    if not len(crossed):
        raise _none(first, second, pressures[0], pressures[-1], difference[0], difference[-1])
    found = [brentq(above, pressures[k], pressures[k + 1], xtol=1e-15, rtol=1e-14) for k in crossed]
    pressure = float(min(found, key=abs))
    return _transition(first, second, float(first.volume(pressure)), float(second.volume(pressure)))


def common_tangent(first: BirchMurnaghan, second: BirchMurnaghan) -> Transition:
    """The line that touches both energy-volume curves from below, the one of slope nearest to zero where there are several.

    Raises:
        NoCommonTangent: where no line does within the volumes of both curves.
    """
    own = np.linspace(*_stable(first), SAMPLES)
    other = np.linspace(*_stable(second), SAMPLES)
    # How far the second curve lies above each tangent of the first, where it comes nearest: zero where the tangent touches both.
    heights = second.energy(other) - first.energy(own)[:, None] + first.pressure(own)[:, None] * (other - own[:, None])
    gap, touched = heights.min(1), other[heights.argmin(1)]
    inside = (touched > other[0]) & (touched < other[-1])
    candidates = [
        _newton(first, second, float(own[k]), float(touched[k]))
        for k in range(SAMPLES - 1)
        if inside[k] and inside[k + 1] and np.sign(gap[k]) != np.sign(gap[k + 1])
    ]
    touching = [one for one in candidates if own[0] <= one[0] <= own[-1] and other[0] <= one[1] <= other[-1]]
    if not touching:
        pressures = _shared(first, second)
        ends = [float(second.enthalpy(p) - first.enthalpy(p)) for p in (pressures[0], pressures[-1])]
        raise _none(first, second, pressures[0], pressures[-1], *ends)
    return _transition(first, second, *min(touching, key=lambda pair: abs(float(first.pressure(pair[0])))))


def stable_phases(curves: Sequence[BirchMurnaghan]) -> tuple[Transition, ...]:
    """Transitions between the phases of least enthalpy as the pressure grows from zero; empty where the lowest phase stays stable.

    Raises:
        ValueError: as `ranking`.
    """
    order = list(ranking(curves))
    by_name = {curve.name: curve for curve in curves}
    current, pressure = order[0], 0.0
    found: list[Transition] = []
    while True:
        following = []
        for name in order:
            if name == current:
                continue
            try:
                transition = equal_enthalpy(by_name[current], by_name[name])
            except NoCommonTangent:
                continue
            if transition.phases == (current, name) and transition.pressure > pressure:
                following.append(transition)
        if not following:
            return tuple(found)
        found.append(min(following, key=lambda transition: transition.pressure))
        current, pressure = found[-1].phases[1], found[-1].pressure


def _check(curves: Sequence[BirchMurnaghan]) -> None:
    names = [curve.name for curve in curves]
    if not names or len(set(names)) < len(names):
        raise ValueError(f"equations of state of the phases {names}, expected at least one and each name once")


def _stable(curve: BirchMurnaghan) -> tuple[float, float]:
    """The fitted volumes on the stable branch."""
    return max(curve.fitted[0], curve.stable_volumes[0]), min(curve.fitted[1], curve.stable_volumes[1])


def _shared(first: BirchMurnaghan, second: BirchMurnaghan) -> np.ndarray:
    """Pressures that both curves cover.

    Raises:
        NoCommonTangent: where there are none.
    """
    low = max(first.fitted_pressures[0], second.fitted_pressures[0])
    high = min(first.fitted_pressures[1], second.fitted_pressures[1])
    if not low < high:
        raise NoCommonTangent(
            f"{first.name} covers pressures of {first.fitted_pressures[0]:.4g} to {first.fitted_pressures[1]:.4g} eV/A^3 and "
            f"{second.name} {second.fitted_pressures[0]:.4g} to {second.fitted_pressures[1]:.4g}: nothing in common; give other volumes"
        )
    return np.linspace(low, high, SAMPLES)


def _newton(first: BirchMurnaghan, second: BirchMurnaghan, own: float, other: float) -> tuple[float, float]:
    """Equal slopes, and the line through both points has it; from a start on the grid."""
    for _ in range(30):
        slope = float(first.pressure(own)), float(second.pressure(other))
        residual = np.array(
            [slope[0] - slope[1], float(second.energy(other) - first.energy(own)) + slope[0] * (other - own)]
        )
        bend = -float(first.bulk_modulus(own)) / own, -float(second.bulk_modulus(other)) / other  # dP/dV
        jacobian = np.array([[bend[0], -bend[1]], [bend[0] * (other - own), slope[0] - slope[1]]])
        if abs(np.linalg.det(jacobian)) < 1e-300:
            break
        step = np.linalg.solve(jacobian, residual)
        own, other = own - float(step[0]), other - float(step[1])
        if np.abs(step).max() < 1e-13 * own or not (own > 0.0 and other > 0.0):
            break
    return own, other


def _transition(first: BirchMurnaghan, second: BirchMurnaghan, own: float, other: float) -> Transition:
    pressure = 0.5 * float(first.pressure(own) + second.pressure(other))
    enthalpy = 0.5 * float(first.energy(own) + pressure * own + second.energy(other) + pressure * other)
    if own >= other:  # the denser phase is the one stable above
        return Transition((first.name, second.name), pressure, (own, other), enthalpy)
    return Transition((second.name, first.name), pressure, (other, own), enthalpy)


def _none(
    first: BirchMurnaghan, second: BirchMurnaghan, low: float, high: float, at_low: float, at_high: float
) -> NoCommonTangent:
    closer = "smaller" if abs(at_high) < abs(at_low) else "larger"
    return NoCommonTangent(
        f"{first.name} and {second.name} have no common tangent in the volumes fitted: from {low:.4g} to {high:.4g} eV/A^3, which both "
        f"cover, the enthalpy of {second.name} stays {'above' if at_low > 0.0 else 'below'} (by {abs(at_low):.4g} to "
        f"{abs(at_high):.4g} eV/atom); the difference shrinks towards {closer} volumes"
    )
