"""Any law from its file, whichever it is: the header says."""

import os
from typing import Final

from atomistic.network_file import NetworkFileError, read_schema
from fem.law import Law
from multiscale.classical.files import CLASSICAL_SCHEMA, load_classical_law
from multiscale.data.stress_units import UnitError
from multiscale.fits.fit import FittedLaw
from multiscale.laws.invariant_network import InvariantLaw
from multiscale.laws.orbit_network import OrbitLaw
from multiscale.laws.polyconvex_network import PolyconvexLaw
from multiscale.thermal.law import SCHEMA as THERMAL_SCHEMA
from multiscale.thermal.law import ThermalLaw

FITTED: Final[dict[str, type[FittedLaw]]] = {kind.schema: kind for kind in (OrbitLaw, InvariantLaw, PolyconvexLaw)}
"""Schema -> the law that `multiscale.fit` made; all are in GPa."""


def load_fitted_law(path: str | os.PathLike[str]) -> FittedLaw:
    """A law that `multiscale.fit` made and its `save` wrote.

    Raises:
        NetworkFileError: missing, truncated, foreign or inconsistent file, or of a later schema.
    """
    schema = read_schema(path)
    if schema not in FITTED:
        raise NetworkFileError(f"{path} has schema {schema!r}, expected one of {', '.join(FITTED)}: no fitted law")
    return FITTED[schema].load(path)


def load_law(path: str | os.PathLike[str], *, unit: str = "GPa") -> Law:
    """A law of any kind: one that was fitted, with or without a temperature, or a classical one.

    Args:
        unit: that its stress is expected in.

    Raises:
        NetworkFileError: missing, truncated, foreign or inconsistent file, or of a later schema.
        UnitError: the law is in another unit.
    """
    schema = read_schema(path)
    if schema == CLASSICAL_SCHEMA:
        return load_classical_law(path, unit=unit)
    law: Law = ThermalLaw.load(path) if schema == THERMAL_SCHEMA else load_fitted_law(path)
    if unit != "GPa":
        raise UnitError(f"{path} holds a law in 'GPa', expected {unit!r}; fitted networks are in GPa")
    return law
