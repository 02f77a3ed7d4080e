"""Units of stress and energy density: always said, never guessed.

A column of a table says its unit in its header, `P_xx [GPa]`, or the caller says it for all of them. An energy density has the unit of a
stress: 1 GPa = 1 GJ/m^3.
"""

from collections.abc import Iterable
from typing import Final

from atomistic.units import EV_PER_CUBIC_ANGSTROM_IN_GPA

IN_GPA: Final[dict[str, float]] = {
    "Pa": 1e-9,
    "kPa": 1e-6,
    "MPa": 1e-3,
    "GPa": 1.0,
    "eV/A^3": EV_PER_CUBIC_ANGSTROM_IN_GPA,
}
"""Unit -> its value in GPa."""


class UnitError(ValueError):
    """A unit is missing or unknown, or units disagree; the message names what was found and what was expected."""


def checked_unit(unit: str | None, what: str) -> str:
    """The unit itself.

    Raises:
        UnitError: none given, or one that is not known.
    """
    if unit is None:
        raise UnitError(
            f"{what} has no unit, expected one of {', '.join(IN_GPA)}: in brackets in the header, or as unit="
        )
    if unit not in IN_GPA:
        raise UnitError(f"{what} has unit {unit!r}, expected one of {', '.join(IN_GPA)}")
    return unit


def conversion(unit: str, into: str) -> float:
    """The factor that takes numbers in `unit` to numbers in `into`."""
    return IN_GPA[checked_unit(unit, "the given stress")] / IN_GPA[checked_unit(into, "the wanted stress")]


def common_unit(said: Iterable[tuple[str, str | None]], unit: str | None, what: str) -> str:
    """The one unit of several columns.

    Args:
        said: (column, unit in its header or None) of each.
        unit: what the caller says, or None.
        what: whose columns they are, for the message.

    Raises:
        UnitError: missing, unknown or mixed units.
    """
    columns = list(said)
    found = {name for _, name in columns}
    if len(found) > 1:
        listed = ", ".join(f"{column} in {name or 'no unit'}" for column, name in columns)
        raise UnitError(f"{what} mixes units ({listed}), expected one unit for all of these columns")
    (header,) = found
    if header is not None and unit is not None and header != unit:
        raise UnitError(
            f"{what} has unit {header!r} in its header and unit={unit!r} was given, expected the same or one of them"
        )
    return checked_unit(header or unit, what)
