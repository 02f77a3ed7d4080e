"""Tables of numbers in comma-separated text: the first line names the columns, `name [unit]` or `name`.

Blank lines and lines that begin with # are skipped. What is not a finite number is refused by row and column.
"""

import csv
import os
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float
from numpy import ndarray


class TableError(ValueError):
    """A file that is no table of numbers; the message names the row and the column."""


@dataclass(frozen=True)
class Table:
    """Columns of one length.

    Attributes:
        path: where they were read.
        columns: name -> values.
        units: name -> what stood in brackets behind the name, or None.
    """

    path: Path
    columns: dict[str, Float[ndarray, "n"]]
    units: dict[str, str | None]

    def column(self, name: str) -> Float[ndarray, "n"]:
        """Values of a column.

        Raises:
            TableError: there is none of that name.
        """
        if name not in self.columns:
            raise TableError(f"{self.path} has no column {name!r}, it has {', '.join(self.columns)}")
        return self.columns[name]


def read_table(path: str | os.PathLike[str]) -> Table:
    """Read a table.

    Raises:
        TableError: no such file, not text, no rows, a row of another length, a name twice, an entry that is not a finite number.
    """
    path = Path(path)
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise TableError(f"{path} cannot be read as text: {error}") from error
    numbered = [(number, line) for number, line in enumerate(lines, 1) if line.strip() and not line.startswith("#")]
    if len(numbered) < 2:
        raise TableError(f"{path} has {len(numbered)} lines, expected a header and at least one row of numbers")
    rows = [(number, next(csv.reader([line]))) for number, line in numbered]
    names, units = header(path, rows[0][1])
    values = np.empty((len(rows) - 1, len(names)))
    for k, (number, row) in enumerate(rows[1:]):
        if len(row) != len(names):
            raise TableError(
                f"line {number} of {path} has {len(row)} entries, expected {len(names)}: {', '.join(names)}"
            )
        for column, (name, entry) in enumerate(zip(names, row, strict=True)):
            values[k, column] = number_of(entry, f"column {name!r} in line {number} of {path}")
    return Table(
        path, {name: values[:, column] for column, name in enumerate(names)}, dict(zip(names, units, strict=True))
    )


def header(path: Path, entries: list[str]) -> tuple[list[str], list[str | None]]:
    """Names and units of the columns."""
    names, units = [], []
    for entry in entries:
        match = re.fullmatch(r"\s*([^\[\]]*?)\s*(?:\[\s*([^\[\]]*?)\s*\])?\s*", entry)
        if match is None or not match[1]:
            raise TableError(f"{path} has a column headed {entry!r}, expected `name` or `name [unit]`")
        names.append(match[1])
        units.append(match[2])
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise TableError(f"{path} has more than one column {twice[0]!r}, expected each once")
    return names, units


def number_of(entry: str, where: str) -> float:
    """The number that a text says."""
    try:
        value = float(entry)
    except ValueError as error:
        raise TableError(f"{where} is {entry.strip()!r}, expected a number") from error
    if not np.isfinite(value):
        raise TableError(f"{where} is {entry.strip()}, expected a finite number; leave the row out")
    return value
