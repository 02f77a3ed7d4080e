r"""Birch and Murnaghan's equation of state: energy, pressure, bulk modulus and enthalpy of a phase from one curve.

With u = (V0/V)^(2/3) - 1 and a = 3 (B0' - 4) / 4 (Birch, Phys. Rev. 71 (1947) 809, third order), all per atom,

    E(V) = E0 + 9 V0 B0 / 8 (u^2 + 2 a u^3 / 3)
    P(V) = -dE/dV     = 3 B0 / 2 (1 + u)^(5/2) (u + a u^2)
    B(V) = -V dP/dV   = B0 (1 + u)^(5/2) (1 + (7/2 + 2a) u + 9/2 a u^2)
    H(P) = E(V(P)) + P V(P),     dH/dP = V .

P and H are exact consequences of E, and V(P) inverts P to round-off on the branch B > 0, whose ends are roots of a quadratic. E is a
cubic polynomial in V^(-2/3), so its fit is linear least squares: no starting values, nothing to converge.
Energies are in eV, volumes in Angstrom^3 an atom, pressures and bulk moduli in eV/Angstrom^3.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from numpy.polynomial import Polynomial

PARAMETERS: Final = 4
"""Of the equation of state; fewer volumes leave it undetermined."""

ITERATIONS: Final = 100
"""At most so many; each bisects at least, and Newton's method ends after a few."""


class TooFewVolumes(ValueError):
    """Fewer different volumes than the equation of state has parameters."""


class MinimumNotBracketed(ValueError):
    """The energy has no minimum inside the volumes given."""


class PressureOutOfRange(ValueError):
    """A pressure at which the phase has no stable volume by its equation of state."""


@dataclass(frozen=True)
class BirchMurnaghan:
    """Equation of state of a phase.

    Attributes:
        name: of the phase.
        energy0: E0, eV an atom.
        volume0: V0, Angstrom^3 an atom.
        bulk_modulus0: B0, eV/Angstrom^3.
        derivative: B0' = dB/dP at V0.
        fitted: smallest and largest volume that it rests on, Angstrom^3 an atom.
        residual: root mean square of the energies minus the curve, eV an atom.
    """

    name: str
    energy0: float
    volume0: float
    bulk_modulus0: float
    derivative: float
    fitted: tuple[float, float]
    residual: float = 0.0

    @classmethod
    def fit(
        cls, name: str, volumes: Sequence[float] | ndarray, energies: Sequence[float] | ndarray
    ) -> "BirchMurnaghan":
        """By least squares; volumes and energies an atom, in any order.

        Raises:
            TooFewVolumes: for fewer than four different volumes.
            MinimumNotBracketed: where the energy has no minimum between the smallest and the largest volume.
            ValueError: for volumes and energies that do not pair up or are not finite, or volumes that are not positive.
        """
        V, E = np.asarray(volumes, dtype=np.float64), np.asarray(energies, dtype=np.float64)
        if V.shape != E.shape or V.ndim != 1:
            raise ValueError(
                f"{name}: volumes of shape {V.shape} and energies of shape {E.shape}, expected two equal lists"
            )
        if not (np.isfinite(V).all() and np.isfinite(E).all() and (V > 0.0).all()):
            raise ValueError(
                f"{name}: volumes and energies must be finite and volumes positive, got {V} A^3 and {E} eV"
            )
        different = len(np.unique(V))
        if different < PARAMETERS:
            raise TooFewVolumes(
                f"{name}: {different} different volumes for {PARAMETERS} parameters (E0, V0, B0, B0'); give at least "
                f"{PARAMETERS}, better 7 or more"
            )
        x = (V / V.mean()) ** (-2.0 / 3.0)
        curve = Polynomial.fit(x, E, PARAMETERS - 1)
        stationary = curve.deriv().roots()
        real = stationary[np.abs(stationary.imag) < 1e-9 * np.abs(stationary)].real
        minima = [one for one in real if x.min() <= one <= x.max() and curve.deriv(2)(one) > 0.0]
        if not minima:
            order = np.argsort(V)
            lowest = V[np.argmin(E)]
            where = "smaller" if lowest < np.median(V) else "larger"
            raise MinimumNotBracketed(
                f"{name}: volumes from {V[order[0]]:.4g} to {V[order[-1]]:.4g} A^3/atom do not bracket a minimum of the energy "
                f"(lowest at {lowest:.4g}); add {where} volumes"
            )
        (x0,) = minima  # a cubic has one minimum at most
        volume0 = float(V.mean() * x0**-1.5)
        bulk_modulus0 = float(4.0 * x0**2 * curve.deriv(2)(x0) / (9.0 * volume0))
        derivative = float(4.0 + 8.0 * x0**3 * curve.deriv(3)(x0) / (27.0 * volume0 * bulk_modulus0))
        residual = float(np.sqrt(np.mean(np.square(curve(x) - E))))
        fitted = (float(V.min()), float(V.max()))
        return cls(name, float(curve(x0)), volume0, bulk_modulus0, derivative, fitted, residual)

    @property
    def _a(self) -> float:
        return 0.75 * (self.derivative - 4.0)

    def _u(self, volume: float | ndarray) -> ndarray:
        return np.asarray((self.volume0 / np.asarray(volume)) ** (2.0 / 3.0) - 1.0)

    def energy(self, volume: Float[ndarray, "*shape"] | float) -> Float[ndarray, "*shape"]:
        """E(V), eV an atom."""
        u = self._u(volume)
        return np.asarray(
            self.energy0 + 1.125 * self.volume0 * self.bulk_modulus0 * u**2 * (1.0 + 2.0 / 3.0 * self._a * u)
        )

    def pressure(self, volume: Float[ndarray, "*shape"] | float) -> Float[ndarray, "*shape"]:
        """P(V) = -dE/dV, eV/Angstrom^3."""
        u = self._u(volume)
        return np.asarray(1.5 * self.bulk_modulus0 * (1.0 + u) ** 2.5 * u * (1.0 + self._a * u))

    def bulk_modulus(self, volume: Float[ndarray, "*shape"] | float) -> Float[ndarray, "*shape"]:
        """B(V) = -V dP/dV, eV/Angstrom^3."""
        u, a = self._u(volume), self._a
        return np.asarray(self.bulk_modulus0 * (1.0 + u) ** 2.5 * (1.0 + (3.5 + 2.0 * a) * u + 4.5 * a * u**2))

    @cached_property
    def stable_volumes(self) -> tuple[float, float]:
        """Volumes between which B > 0, Angstrom^3 an atom; 0 where every compression is stable."""
        a = self._a
        roots = (
            Polynomial([1.0, 3.5 + 2.0 * a, 4.5 * a]).trim().roots().real
        )  # its discriminant is positive for every a
        dilated = max(root for root in roots if -1.0 < root < 0.0)
        compressed = min((root for root in roots if root > 0.0), default=np.inf)
        return self.volume0 * (1.0 + compressed) ** -1.5, self.volume0 * (1.0 + dilated) ** -1.5

    @cached_property
    def fitted_pressures(self) -> tuple[float, float]:
        """The pressures that the fitted volumes cover on the stable branch, eV/Angstrom^3, ascending."""
        low, high = self.stable_volumes
        smallest, largest = self.fitted
        return float(self.pressure(min(largest, high))), float(self.pressure(max(smallest, low)))

    def volume(self, pressure: Float[ndarray, "*shape"] | float) -> Float[ndarray, "*shape"]:
        """V(P), Angstrom^3 an atom, on the branch where B > 0.

        Raises:
            PressureOutOfRange: beyond the pressures that the branch reaches.
        """
        wanted = np.asarray(pressure, dtype=np.float64)
        smallest, largest = self.stable_volumes
        if smallest == 0.0:  # every pressure is reached
            smallest = 0.5 * self.volume0
            while float(self.pressure(smallest)) < wanted.max(initial=0.0) < np.inf:
                smallest *= 0.5
        reached = float(self.pressure(largest)), float(self.pressure(smallest))
        outside = ~((wanted >= reached[0]) & (wanted <= reached[1]))
        if outside.any():
            raise PressureOutOfRange(
                f"{self.name}: no stable volume at {wanted[outside][0]:.4g} eV/A^3 (expected {reached[0]:.4g} to {reached[1]:.4g}); "
                "beyond, the equation of state has a negative bulk modulus"
            )
        # Newton's method, P' = -B/V, kept between bounds that P, which falls with V, closes in.
        low, high = np.full(wanted.shape, smallest), np.full(wanted.shape, largest)
        volume = np.full(wanted.shape, self.volume0)
        for _ in range(ITERATIONS):
            excess = self.pressure(volume) - wanted
            low, high = np.where(excess >= 0.0, volume, low), np.where(excess <= 0.0, volume, high)
            with np.errstate(divide="ignore", invalid="ignore"):
                following = volume * (1.0 + excess / self.bulk_modulus(volume))
            following = np.where((following >= low) & (following <= high), following, 0.5 * (low + high))
            settled = np.abs(following - volume) <= 4.0 * np.finfo(np.float64).eps * volume
            volume = following
            if settled.all():
                break
        return volume

    def enthalpy(self, pressure: Float[ndarray, "*shape"] | float) -> Float[ndarray, "*shape"]:
        """H(P) = E + P V at V(P), eV an atom.

        Raises:
            PressureOutOfRange: as `volume`.
        """
        volume = self.volume(pressure)
        return np.asarray(self.energy(volume) + np.asarray(pressure) * volume)
