"""Classical laws on disk: safetensors with a JSON header that says which law, and in which unit its moduli are.

A classical law is in the unit of the tests it was fitted to and does not know it; so the unit is said when it is saved, and asked for
when it is loaded: a law in MPa is not taken for one in GPa.
"""

import os
from dataclasses import fields
from typing import Final

import numpy as np
from numpy import ndarray

from atomistic.network_file import NetworkFileError, read_network_file, write_network_file
from fem.law import Law
from fem.laws import SaintVenantKirchhoff
from multiscale.classical.isotropic import IsotropicLaw
from multiscale.classical.potentials import (
    ArrudaBoyce,
    Carroll,
    Gent,
    MooneyRivlin,
    NeoHooke,
    Ogden,
    Potential,
    Yeoh,
)
from multiscale.classical.third_order import ThirdOrderElasticity
from multiscale.data.stress_units import UnitError, checked_unit
from multiscale.laws.convex_network import ConvexNetworkPotential

CLASSICAL_SCHEMA: Final = "atomlaw/classical-law"
SCHEMA_VERSION: Final = 1

POTENTIALS: Final[dict[str, type]] = {
    kind.__name__: kind
    for kind in (ArrudaBoyce, Carroll, ConvexNetworkPotential, Gent, MooneyRivlin, NeoHooke, Ogden, Yeoh)
}
SAINT_VENANT_KIRCHHOFF, THIRD_ORDER = SaintVenantKirchhoff.__name__, ThirdOrderElasticity.__name__
BULK: Final = "bulk_modulus"


class UnknownLaw(ValueError):
    """A law that has no file of this kind."""


def save_classical_law(law: Law, path: str | os.PathLike[str], *, unit: str) -> None:
    """Write a law of multiscale.classical, or Saint Venant-Kirchhoff's, whole or not at all.

    Args:
        law: an IsotropicLaw, ThirdOrderElasticity or SaintVenantKirchhoff.
        unit: of its moduli: "Pa", "kPa", "MPa", "GPa" or "eV/A^3".

    Raises:
        UnknownLaw: another law. UnitError: another unit.
        OSError: where the folder cannot be written.
    """
    checked_unit(unit, f"the {type(law).__name__}")
    arrays: dict[str, ndarray] = {}
    if isinstance(law, SaintVenantKirchhoff):
        name = SAINT_VENANT_KIRCHHOFF
        arrays["elastic_constants"] = np.asarray(law.elastic_constants, dtype=np.float64)
    elif isinstance(law, ThirdOrderElasticity):
        name = THIRD_ORDER
        arrays = {"elastic_constants": law.elastic_constants, "third_order_constants": law.third_order_constants}
    elif isinstance(law, IsotropicLaw) and type(law.potential).__name__ in POTENTIALS:
        name = type(law.potential).__name__
        for field in fields(POTENTIALS[name]):
            arrays[field.name] = np.atleast_1d(np.asarray(getattr(law.potential, field.name), dtype=np.float64))
        if law.bulk_modulus is not None:
            arrays[BULK] = np.array([law.bulk_modulus])
    else:
        raise UnknownLaw(
            f"a {type(law).__name__} is no classical law with a file; expected IsotropicLaw, ThirdOrderElasticity or "
            "SaintVenantKirchhoff (networks have `save`)"
        )
    write_network_file(path, CLASSICAL_SCHEMA, SCHEMA_VERSION, {"law": name, "units": unit}, arrays)


def load_classical_law(path: str | os.PathLike[str], *, unit: str) -> Law:
    """Read what `save_classical_law` wrote; the law is the same to the last bit.

    Args:
        unit: that its moduli are expected in.

    Raises:
        NetworkFileError: missing, truncated, foreign or inconsistent file, or of a later schema.
        UnitError: its moduli are in another unit.
    """
    header, arrays = read_network_file(path, CLASSICAL_SCHEMA, SCHEMA_VERSION)
    if header.get("units") != checked_unit(unit, "the unit asked for"):
        raise UnitError(
            f"{path} holds a law in {header.get('units')!r}, expected {unit!r}; ask for its own unit, or fit it to tests in the other"
        )
    try:
        name = header["law"]
        if name == SAINT_VENANT_KIRCHHOFF:
            return SaintVenantKirchhoff(arrays["elastic_constants"])
        if name == THIRD_ORDER:
            return ThirdOrderElasticity(arrays["elastic_constants"], arrays["third_order_constants"])
        bulk = arrays.get(BULK)
        return IsotropicLaw(restored(POTENTIALS[name], arrays), None if bulk is None else float(bulk.item()))
    except (KeyError, TypeError, ValueError) as error:
        raise NetworkFileError(f"{path} holds no consistent law ({error}); save the law again") from error


def restored(kind: type, arrays: dict[str, ndarray]) -> Potential:
    """The potential of this class with these fields."""
    values = {field.name: arrays[field.name] for field in fields(kind)}
    if kind is ConvexNetworkPotential:
        return ConvexNetworkPotential(**values)
    if kind is Ogden:
        return Ogden(**{name: tuple(row.tolist()) for name, row in values.items()})
    potential: Potential = kind(**{name: float(row.item()) for name, row in values.items()})
    return potential
