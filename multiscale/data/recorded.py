"""What a reference model has said before, so that a run can start from it without the model: density functional theory, say.

A JSON file beside a dataset of labelled structures holds the model's own crystal, its elastic constants and its stress along a uniaxial
strain, all at 0 K: what a report sets beside the potential and the law.
"""

import json
from pathlib import Path
from typing import Annotated, Self

import numpy as np
from ase import Atoms
from jaxtyping import Float
from numpy import ndarray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

Row = tuple[float, float, float]
Tensor = tuple[Row, Row, Row]
SixRow = tuple[float, float, float, float, float, float]
Matrix = tuple[SixRow, SixRow, SixRow, SixRow, SixRow, SixRow]


class UnreadableRecord(ValueError):
    """A file that is no record of a reference model."""


class Frozen(BaseModel):
    """Checked when read, never changed."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class RecordedCrystal(Frozen):
    """Atomic numbers, rows of the cell and positions (Angstrom) of the relaxed primitive cell."""

    numbers: tuple[int, ...] = Field(min_length=1)
    cell: Tensor
    positions: tuple[Row, ...] = Field(min_length=1)

    @property
    def atoms(self) -> Atoms:
        """The same as ASE's Atoms."""
        return Atoms(numbers=self.numbers, cell=self.cell, positions=self.positions, pbc=True)


class UniaxialStrain(Frozen):
    """P (GPa) at F = diag(exp(e), 1, 1), internal coordinates relaxed, for each log-strain e."""

    log_strain: tuple[Annotated[float, Field(gt=-0.5, lt=0.5)], ...]
    first_piola_gpa: tuple[Tensor, ...]

    @model_validator(mode="after")
    def _one_stress_a_strain(self) -> Self:
        if len(self.log_strain) != len(self.first_piola_gpa):
            raise ValueError(f"{len(self.log_strain)} strains and {len(self.first_piola_gpa)} stresses")
        return self

    @property
    def strain(self) -> Float[ndarray, "n"]:
        """Log-strains."""
        return np.array(self.log_strain)

    @property
    def stress(self) -> Float[ndarray, "n 3 3"]:
        """P, GPa."""
        return np.array(self.first_piola_gpa).reshape(-1, 3, 3)


class RecordedReference(Frozen):
    """A reference model's own figures.

    Attributes:
        model: which model, with what settings, in a line.
        crystal: relaxed by the model.
        elastic_constants_gpa: 6 x 6, Voigt order, internal coordinates relaxed.
        clamped_elastic_constants_gpa: the same without internal relaxation.
        uniaxial_strain: the stress along x.
    """

    model: str
    crystal: RecordedCrystal
    elastic_constants_gpa: Matrix
    clamped_elastic_constants_gpa: Matrix
    uniaxial_strain: UniaxialStrain

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """Read and check a record.

        Raises:
            UnreadableRecord: naming the file and what is wrong in it.
        """
        try:
            return cls.model_validate_json(Path(path).read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise UnreadableRecord(f"{path} cannot be read: {error}") from error
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            place = ".".join(str(key) for key in first["loc"]) or "the file"
            raise UnreadableRecord(f"{path} is no record of a reference model: {place}: {first['msg']}") from error

    def text(self) -> str:
        """The record as JSON."""
        return json.dumps(self.model_dump(), indent=1) + "\n"
