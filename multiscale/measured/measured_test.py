"""Tests of a specimen in a testing machine: one stress against one measure of deformation.

    kind           deformation                F                                    stress
    uniaxial       stretch lambda             diag(lambda, t, t)                   11, faces 2 and 3 free
    equibiaxial    stretch lambda             diag(lambda, lambda, t)              11 = 22, face 3 free
    planar         stretch lambda             diag(lambda, 1, t)                   11, face 3 free ("pure shear")
    simple shear   amount of shear gamma      I + gamma e_1 e_2                    12
    volumetric     volume ratio J             J^(1/3) I                            11 (in compression: minus the pressure)

Stress is nominal (force over the area at rest, a component of P) or Cauchy's, tension positive.
"""

import os
from dataclasses import dataclass, replace
from typing import Final, Literal, get_args

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from multiscale.data.stress_units import UnitError, checked_unit, common_unit, conversion
from multiscale.data.tables import read_table

Kind = Literal["uniaxial", "equibiaxial", "planar", "simple shear", "volumetric"]
Measure = Literal["nominal", "cauchy"]

STRESS_ERROR: Final = "stress error"


class InvalidTest(ValueError):
    """Numbers that no test of this kind can give; the message names the point and what was expected."""


@dataclass(frozen=True, eq=False)
class MeasuredTest:
    """What a testing machine wrote down.

    Attributes:
        kind: see above.
        deformation: (n,), see above.
        stress: (n,), of the kind that `measure` says, in `unit`.
        unit: "Pa", "kPa", "MPa", "GPa" or "eV/A^3".
        measure: "nominal" or "cauchy".
        stress_error: (n,) standard errors > 0, or None.
        incompressible: whether the specimen is taken to keep its volume: t follows, and the pressure from the free face. Otherwise t is
            solved for, such that the free faces are free of stress.

    Raises:
        InvalidTest, UnitError: see there.
    """

    kind: Kind
    deformation: Float[ndarray, "n"]
    stress: Float[ndarray, "n"]
    unit: str
    measure: Measure = "nominal"
    stress_error: Float[ndarray, "n"] | None = None
    incompressible: bool = True

    def __post_init__(self) -> None:
        for name, choice, expected in (
            ("kind", self.kind, get_args(Kind)),
            ("measure", self.measure, get_args(Measure)),
        ):
            if choice not in expected:
                raise InvalidTest(f"{name} is {choice!r}, expected one of {', '.join(expected)}")
        checked_unit(self.unit, f"the {self.kind} test")
        n = np.size(self.deformation)
        for name in ("deformation", "stress", "stress_error"):
            if getattr(self, name) is None:
                continue
            value = np.array(getattr(self, name), dtype=np.float64)
            if value.shape != (n,) or n == 0:
                raise InvalidTest(f"{name} has shape {value.shape}, expected ({n},) with n > 0 as the deformation has")
            if not np.isfinite(value).all():
                point = int(np.argmin(np.isfinite(value)))
                raise InvalidTest(
                    f"{name} is {value[point]} at point {point}, expected finite numbers; leave the point out"
                )
            object.__setattr__(self, name, value)
        if self.kind != "simple shear" and not (self.deformation > 0.0).all():
            point = int(np.argmin(self.deformation))
            raise InvalidTest(
                f"the deformation is {self.deformation[point]:.6g} at point {point}, expected stretches > 0 (1 at rest)"
            )
        if self.stress_error is not None and not (self.stress_error > 0.0).all():
            point = int(np.argmin(self.stress_error))
            raise InvalidTest(
                f"stress_error is {self.stress_error[point]:.6g} at point {point}, expected standard errors > 0"
            )
        if np.ptp(self.deformation) == 0.0 and n > 1:
            raise InvalidTest(f"the deformation is {self.deformation[0]:.6g} at all {n} points: a constant column")
        if np.ptp(self.stress) == 0.0 and n > 1:
            raise InvalidTest(f"the stress is {self.stress[0]:.6g} {self.unit} at all {n} points: a constant column")
        if self.kind == "volumetric" and self.incompressible:
            raise InvalidTest(
                "a volumetric test of an incompressible material says nothing; expected incompressible=False"
            )

    def __len__(self) -> int:
        return len(self.deformation)

    def select(self, points: Bool[ndarray, "n"]) -> "MeasuredTest":
        """The test with the points where the mask is true."""
        error = None if self.stress_error is None else self.stress_error[points]
        return replace(self, deformation=self.deformation[points], stress=self.stress[points], stress_error=error)

    def in_unit(self, unit: str) -> "MeasuredTest":
        """The same test with its stress in another unit."""
        factor = conversion(self.unit, unit)
        error = None if self.stress_error is None else factor * self.stress_error
        return replace(self, stress=factor * self.stress, stress_error=error, unit=unit)

    @classmethod
    def read(
        cls,
        path: str | os.PathLike[str],
        kind: Kind,
        *,
        measure: Measure = "nominal",
        unit: str | None = None,
        incompressible: bool = True,
        deformation: str = "stretch",
        stress: str = "stress",
    ) -> "MeasuredTest":
        """Read a table of which two columns are the test, `stretch` and `stress [MPa]`, and a third, `stress error [MPa]`, may be.

        Args:
            path: comma-separated text, see multiscale.data.tables.
            kind, measure, incompressible: of the test.
            unit: of the stress, where the header does not say it.
            deformation, stress: the names of the columns.

        Raises:
            TableError, UnitError, InvalidTest: see there.
        """
        table = read_table(path)
        errors = [name for name in (STRESS_ERROR,) if name in table.columns]
        said = [(name, table.units[name]) for name in (stress, *errors) if name in table.units]
        x, y = table.column(deformation), table.column(stress)
        if table.units[deformation] not in (None, "-", "1"):
            raise UnitError(f"{deformation} of {path} has unit {table.units[deformation]!r}, expected a plain number")
        return cls(
            kind=kind,
            deformation=x,
            stress=y,
            unit=common_unit(said, unit, f"the stress of {path}"),
            measure=measure,
            stress_error=table.columns[STRESS_ERROR] if errors else None,
            incompressible=incompressible,
        )
