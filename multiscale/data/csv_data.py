"""Strain-stress data from comma-separated text.

    F_xx, F_xy, F_xz, F_yx, ..., F_zz                        the deformation gradient, all nine
    P_xx [GPa], P_xy [GPa], ..., P_zz [GPa]                  all nine; or sigma_xx, ... or S_xx, ...: the six xx yy zz yz xz xy, or all nine
    P_xx error [GPa], ...                                    standard errors, as many as there are stresses, or none
    W [GPa], W error [GPa]                                   energy per reference volume relative to F = I

Units stand in the header or are given once for all. Columns of any other name are refused: a name that was mistyped is not overlooked.
"""

import os
import warnings
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from multiscale.data.dataset import InvalidData, StressStrainData
from multiscale.data.stress_measures import NAMES, StressMeasure, first_piola_of
from multiscale.data.stress_units import UnitError, common_unit, conversion
from multiscale.data.tables import Table, TableError, read_table

NINE = tuple(i + j for i in "xyz" for j in "xyz")
SIX = ("xx", "yy", "zz", "yz", "xz", "xy")

FEWEST = 3
"""States from which on a column that never changes is suspicious."""


class ConstantColumn(UserWarning):
    """A label is the same in all states, and not zero."""


def read_csv(path: str | os.PathLike[str], *, unit: str | None = None, temperature: float = 0.0) -> StressStrainData:
    """Strain-stress data of a table, in GPa.

    Args:
        path: see above.
        unit: of stress and energy where the header does not say it: "Pa", "kPa", "MPa", "GPa" or "eV/A^3".
        temperature: of all states, in K.

    Raises:
        TableError: no such table, or a column missing, unknown or not a number.
        UnitError: units missing, unknown or mixed.
        InvalidData, UnsymmetricStress: numbers that are no strain-stress data; det F <= 0, say.
    """
    table = read_table(path)
    check_names(table)
    F = tensor(table, "F", "")
    dimensional = [f"F_{ij}" for ij in NINE if table.units[f"F_{ij}"] not in (None, "-", "1")]
    if dimensional:
        raise UnitError(f"{dimensional[0]} of {path} has unit {table.units[dimensional[0]]!r}, expected a plain number")
    if not np.ptp(F, axis=0).any() and len(F) > 1:
        raise InvalidData(
            f"the nine columns of F in {path} are constant: all {len(F)} states are the same, expected different ones"
        )
    measure = stress_measure(table)
    P = P_error = W = W_error = None
    if measure is not None:
        columns = [name for name in table.columns if name.startswith(f"{measure}_")]
        factor = factor_of(table, columns, unit, f"{NAMES[measure]} in {path}")
        stress = factor * tensor(table, measure, "")
        stress_error = (
            factor * tensor(table, measure, " error") if any(name.endswith(" error") for name in columns) else None
        )
        # F is checked before it is inverted
        StressStrainData(F)
        P, P_error = first_piola_of(measure, F, stress, stress_error)
    if "W" in table.columns:
        columns = [name for name in ("W", "W error") if name in table.columns]
        factor = factor_of(table, columns, unit, f"the energy in {path}")
        W = factor * table.columns["W"]
        W_error = factor * table.columns["W error"] if len(columns) > 1 else None
    data = StressStrainData(
        deformation_gradient=F,
        energy=W,
        first_piola=P,
        energy_error=W_error,
        first_piola_error=P_error,
        temperature=temperature,
        provenance={"table": os.path.basename(path)},
    )
    warn_of_constant_columns(table)
    return data


def check_names(table: Table) -> None:
    """Refuse names that mean nothing here."""
    known = {f"{family}_{ij}" for family in ("F", *NAMES) for ij in NINE}
    known |= {f"{family}_{ij} error" for family in NAMES for ij in NINE} | {"W", "W error"}
    unknown = [name for name in table.columns if name not in known]
    if unknown:
        raise TableError(
            f"{table.path} has a column {unknown[0]!r}, expected F_xx ... F_zz, P_xx ... or sigma_xx ... or S_xx ..., W, each stress and W "
            "also with ' error'; correct the name, or delete the column"
        )


def stress_measure(table: Table) -> StressMeasure | None:
    """Which stress the table holds."""
    found = [measure for measure in NAMES if any(name.startswith(f"{measure}_") for name in table.columns)]
    if len(found) > 1:
        raise TableError(
            f"{table.path} holds {' and '.join(NAMES[measure] for measure in found)}, expected one of them"
        )
    return found[0] if found else None


def tensor(table: Table, family: str, suffix: str) -> Float[ndarray, "n 3 3"]:
    """Nine columns, or the six of a symmetric tensor."""
    full = [f"{family}_{ij}{suffix}" for ij in NINE]
    half = [f"{family}_{ij}{suffix}" for ij in SIX]
    lower = [name for name in full if name in table.columns and name not in half]
    if family in ("sigma", "S") and not lower:
        columns = {name: table.column(name) for name in half}
        return np.stack([columns[f"{family}_{min(ij)}{max(ij)}{suffix}"] for ij in NINE], axis=1).reshape(-1, 3, 3)
    return np.stack([table.column(name) for name in full], axis=1).reshape(-1, 3, 3)


def factor_of(table: Table, columns: Sequence[str], unit: str | None, what: str) -> float:
    """What takes these columns to GPa."""
    return conversion(common_unit([(name, table.units[name]) for name in columns], unit, what), "GPa")


def warn_of_constant_columns(table: Table) -> None:
    """Name the stresses and energies that never change and are not zero: an instrument that stood still, or a column filled by hand."""
    for name, values in table.columns.items():
        label = not name.startswith("F_") and not name.endswith(" error")
        if label and len(values) >= FEWEST and np.ptp(values) == 0.0 and values[0] != 0.0:
            warnings.warn(
                f"column {name!r} of {table.path} is {values[0]:.6g} in all {len(values)} states while F changes; check its source",
                ConstantColumn,
                stacklevel=3,
            )
