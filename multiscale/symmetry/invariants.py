"""Invariants of C under a material symmetry, zero at F = I, with closed-form derivatives by strain.

Isotropic (Rivlin and Ericksen, J. Ration. Mech. Anal. 4 (1955) 323), with the isochoric split of Flory (1961):

    ln J,    J^(-2/3) I_1 - 3,    J^(-4/3) I_2 - 3.

Transversely isotropic with axis a, besides these (Spencer, in Continuum Physics I, Academic Press 1971; Boehler 1979):

    I_4 - 1 = a.C a - 1,    |C a|^2 - I_4^2 = I_5 - I_4^2    (the squared shear along the axis; zero to second order at F = I).

I_1 .. I_5 are functions of these five, so that every potential is a function of them. Near F = I all of them are formed from E and not
from C, as 1 + a small number: I_1 - 3 = 2 tr E, I_2 - 3 = 4 tr E + 2 (tr^2 E - tr E^2), I_4 - 1 = 2 a.E a, and
I_5 - I_4^2 = 4 (|E a|^2 - (a.E a)^2). Finite groups have polynomial invariants (multiscale.symmetry.integrity_basis).
"""

from functools import lru_cache
from typing import Protocol

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from multiscale.laws.jets import UNIT, Jet, exponential, linear_form, log_volume, quadratic_form, symmetric_product
from multiscale.laws.network_terms import Arguments
from multiscale.laws.strain import UPPER_COLUMNS, UPPER_ROWS, green_lagrange, stress_components
from multiscale.symmetry.integrity_basis import integrity_basis
from multiscale.symmetry.material_symmetry import ISOTROPIC, InfiniteGroup, MaterialSymmetry
from multiscale.symmetry.point_group import PointGroup

TWICE_SECOND = 2.0 * (np.outer(UNIT, UNIT) - np.diag([1.0, 1.0, 1.0, 0.5, 0.5, 0.5]))
"""d2/de2 of tr^2 E - tr E^2."""


class Invariants(Arguments, Protocol):
    """A complete set of invariants, each zero at F = I.

    Attributes:
        orders: the order in strain to which each vanishes at F = I.
    """

    @property
    def orders(self) -> tuple[int, ...]: ...


@lru_cache(maxsize=64)
def invariants_of(symmetry: MaterialSymmetry) -> Invariants:
    """The invariants of a group: those above for the infinite ones, an integrity basis for the finite ones."""
    if isinstance(symmetry, InfiniteGroup):
        if symmetry.name == ISOTROPIC:
            return IsotropicInvariants()
        return AxialInvariants(np.asarray(symmetry.axis))
    if isinstance(symmetry, PointGroup):
        return integrity_basis(symmetry)
    raise TypeError(
        f"no invariants are known of a {type(symmetry).__name__}, expected an InfiniteGroup or a PointGroup"
    )


class IsotropicInvariants:
    """ln J, Ibar_1 - 3, Ibar_2 - 3."""

    orders = (1, 2, 2)
    kernel = "isotropic"
    tables = np.zeros((0, 0))

    def jet(self, F: Float[ndarray, "n 3 3"]) -> Jet:
        e, volume = green_lagrange(F), log_volume(F)
        first = linear_form(e, 2.0 * UNIT)
        second = first.scaled(2.0) + quadratic_form(e, 2.0 * TWICE_SECOND)
        return Jet.stack([volume, isochoric(first, volume, -2.0 / 3.0), isochoric(second, volume, -4.0 / 3.0)])


class AxialInvariants:
    """The isotropic ones, I_4 - 1 and I_5 - I_4^2, of a unit axis (3,)."""

    orders = (1, 2, 2, 1, 2)
    kernel = "isotropic"

    def __init__(self, axis: Float[ndarray, "3"]) -> None:
        dyad = np.outer(axis, axis)
        # components of a.E a as a stress: shear counted twice by the strain
        self._along = stress_components(dyad)
        self._shear = 8.0 * (symmetric_product(dyad, np.eye(3)) - np.outer(self._along, self._along))

    @property
    def tables(self) -> Float[ndarray, "1 27"]:
        """Gradient of I_4 - 1, Hessian of I_5 - I_4^2."""
        return np.concatenate([2.0 * self._along, self._shear[UPPER_ROWS, UPPER_COLUMNS]])[None]

    def jet(self, F: Float[ndarray, "n 3 3"]) -> Jet:
        e = green_lagrange(F)
        along = linear_form(e, 2.0 * self._along)
        return Jet.stack([IsotropicInvariants().jet(F), along, quadratic_form(e, self._shear)])


def isochoric(change: Jet, volume: Jet, rate: float) -> Jet:
    """J^rate (3 + change) - 3 = J^rate change + 3 expm1(rate ln J)."""
    power = exponential(volume, rate)
    shifted = Jet(3.0 * np.expm1(rate * volume.value), 3.0 * power.gradient, 3.0 * power.hessian)
    return power * change + shifted
