"""Strain-stress data: states F of a material with its energy, stress and tangent, each optional, each with its error.

Energy density and stress are in GPa, per reference volume; energies are relative to F = I. The file is HDF5 with a schema
version and the provenance of every number; it is written whole or not at all.
"""

import io
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import h5py
import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from multiscale.laws.strain import determinant

SCHEMA: Final = "atomlaw/strain-stress"
SCHEMA_VERSION: Final = 1
UNITS: Final = "GPa, K"

SHAPES: Final[dict[str, tuple[int, ...]]] = {
    "deformation_gradient": (3, 3),
    "energy": (),
    "first_piola": (3, 3),
    "tangent": (3, 3, 3, 3),
    "internal_energy": (),
    "energy_error": (),
    "first_piola_error": (3, 3),
    "tangent_error": (3, 3, 3, 3),
    "internal_energy_error": (),
}
"""Field -> shape of one state's entry."""

IDENTITY_TOLERANCE: Final = 1e-12
"""A state with |F - I| below this is the reference state, whose energy is zero."""


class InvalidData(ValueError):
    """The numbers cannot be strain-stress data; the message names the field, the state and what was expected."""


class DataFileError(ValueError):
    """A file that cannot be read as strain-stress data: missing, truncated, foreign, or of a later schema."""


def no_states() -> Bool[ndarray, "0"]:
    return np.empty(0, dtype=bool)


@dataclass(frozen=True, eq=False)
class StressStrainData:
    """States of one material at one temperature.

    Attributes:
        deformation_gradient: F (n, 3, 3), det F > 0.
        energy: W (n,) in GPa relative to F = I; a free energy: refused above 0 K, where a mean potential energy is not one.
        first_piola: P = dW/dF (n, 3, 3) in GPa.
        tangent: A[i,J,k,L] = dP[i,J]/dF[k,L] (n, 3, 3, 3, 3) in GPa.
        internal_energy: U (n,) in GPa per reference volume, kinetic and potential, from any zero that all temperatures share: it
            says how the free energy of a thermal law depends on T alone (multiscale.thermal.fitting).
        energy_error, first_piola_error, tangent_error, internal_energy_error: standard errors, shapes as above.
        temperature: in K.
        admissible: (n,) whether a state is stable (internal Hessian positive definite); others are left out of a fit.
            All of them where nothing is given.
        reference_stress: (3, 3) residual stress at F = I in GPa, zero where nothing is given.
        reference_tangent: (3, 3, 3, 3) A at F = I in GPa.
        crystal: the relaxed primitive cell at F = I, {"numbers", "cell", "positions"}.
        provenance: what made the numbers.

    Raises:
        InvalidData: shapes, NaN, det F <= 0, negative errors, energies that are not relative to F = I.
    """

    deformation_gradient: Float[ndarray, "n 3 3"]
    energy: Float[ndarray, "n"] | None = None
    first_piola: Float[ndarray, "n 3 3"] | None = None
    tangent: Float[ndarray, "n 3 3 3 3"] | None = None
    internal_energy: Float[ndarray, "n"] | None = None
    energy_error: Float[ndarray, "n"] | None = None
    first_piola_error: Float[ndarray, "n 3 3"] | None = None
    tangent_error: Float[ndarray, "n 3 3 3 3"] | None = None
    internal_energy_error: Float[ndarray, "n"] | None = None
    temperature: float = 0.0
    admissible: Bool[ndarray, "n"] = field(default_factory=no_states)
    reference_stress: Float[ndarray, "3 3"] = field(default_factory=lambda: np.zeros((3, 3)))
    reference_tangent: Float[ndarray, "3 3 3 3"] | None = None
    crystal: Mapping[str, Any] = field(default_factory=dict)
    provenance: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        n = len(np.atleast_1d(np.asarray(self.deformation_gradient)))
        for name, shape in SHAPES.items():
            self._settle(name, (n, *shape))
        self._settle("reference_stress", (3, 3))
        self._settle("reference_tangent", (3, 3, 3, 3))
        admissible = np.asarray(self.admissible, dtype=bool)
        admissible = np.ones(n, dtype=bool) if admissible.shape == (0,) else admissible
        if admissible.shape != (n,):
            raise InvalidData(f"admissible has shape {admissible.shape}, expected ({n},): one flag a state")
        object.__setattr__(self, "admissible", admissible)
        if n == 0:
            raise InvalidData("the data have no states, expected at least one")
        for name in ("crystal", "provenance"):
            try:
                json.dumps(dict(getattr(self, name)))
            except (TypeError, ValueError) as error:
                raise InvalidData(
                    f"{name} cannot be written as JSON ({error}); expected lists, numbers and strings"
                ) from error
        self._check_values()

    def _settle(self, name: str, shape: tuple[int, ...]) -> None:
        """Store the field as float64 once its shape and its numbers are right."""
        value = getattr(self, name)
        if value is None:
            return
        array = np.ascontiguousarray(value, dtype=np.float64)
        if array.shape != shape:
            raise InvalidData(f"{name} has shape {array.shape}, expected {shape}")
        if not np.isfinite(array).all():
            where = np.argwhere(~np.isfinite(array))[0]
            index = tuple(int(k) for k in where)
            raise InvalidData(
                f"{name}{list(index)} is {array[index]}, expected finite numbers; leave out states that failed"
            )
        object.__setattr__(self, name, array)

    def _check_values(self) -> None:
        J = determinant(self.deformation_gradient)
        if (J <= 0.0).any():
            k = int(np.argmax(J <= 0.0))
            raise InvalidData(f"det F = {J[k]:.6g} at state {k}, expected det F > 0")
        for name in ("energy", "first_piola", "tangent", "internal_energy"):
            error = getattr(self, f"{name}_error")
            if error is not None and getattr(self, name) is None:
                raise InvalidData(f"{name}_error is given without {name}")
            if error is not None and (error < 0.0).any():
                k = int(np.argwhere(error < 0.0)[0][0])
                raise InvalidData(f"{name}_error is {error[k].min():.6g} at state {k}, expected standard errors >= 0")
        if not (np.isfinite(self.temperature) and self.temperature >= 0.0):
            raise InvalidData(f"temperature is {self.temperature} K, expected a number >= 0")
        if self.energy is not None:
            self._check_energy(self.energy)

    def _check_energy(self, energy: Float[ndarray, "n"]) -> None:
        if self.temperature > 0.0:
            raise InvalidData(
                f"energy is given at {self.temperature:g} K: a mean potential energy is no free energy, and its derivative "
                "is not the stress; give first_piola alone, or the mean of kinetic and potential energy beside it as internal_energy"
            )
        H = self.deformation_gradient - np.eye(3)
        at_rest = np.abs(H).max(axis=(1, 2)) < IDENTITY_TOLERANCE
        if (np.abs(energy[at_rest]) > 1e-9).any():
            k = int(np.flatnonzero(at_rest)[np.argmax(np.abs(energy[at_rest]))])
            raise InvalidData(
                f"energy is {energy[k]:.6g} GPa at state {k}, where F = I; expected energies relative to F = I"
            )
        if self.first_piola is not None:
            # W = 1/2 P:(F - I) up to third order in strain: an offset far above that is an absolute energy, or wrong units
            work = 0.5 * np.einsum("nij,nij->n", self.first_piola, H)
            offset, scale = float(np.median(energy - work)), float(np.sqrt(np.mean(work**2)))
            if abs(offset) > 3.0 * scale:
                raise InvalidData(
                    f"energies exceed the work 1/2 P:(F - I) by {offset:.6g} GPa where that work is {scale:.3g} GPa (rms); "
                    "expected energy per reference volume in GPa, relative to F = I"
                )

    def __len__(self) -> int:
        return len(self.deformation_gradient)

    def labels(self, name: str) -> ndarray:
        """An optional field, for those who cannot do without it.

        Raises:
            InvalidData: where the data have none.
        """
        value = getattr(self, name)
        if value is None:
            raise InvalidData(f"the data have no {name}; sample it, or do without what needs it")
        return np.asarray(value)

    def select(self, states: Bool[ndarray, "n"]) -> "StressStrainData":
        """The data of the states where the mask is true."""
        given = [name for name in (*SHAPES, "admissible") if getattr(self, name) is not None]
        return replace(self, **{name: getattr(self, name)[states] for name in given})

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write to HDF5, whole or not at all: a temporary file beside `path` takes its name when complete.

        Raises:
            OSError: where the folder cannot be written.
        """
        target = Path(path)
        partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
        try:
            # by way of memory: HDF5 crashes at the end of the process where the disk was full under one of its files
            image = io.BytesIO()
            with h5py.File(image, "w") as file:
                file.attrs["schema"] = SCHEMA
                file.attrs["schema_version"] = SCHEMA_VERSION
                file.attrs["units"] = UNITS
                file.attrs["temperature"] = self.temperature
                file.attrs["crystal"] = json.dumps(dict(self.crystal))
                file.attrs["provenance"] = json.dumps(dict(self.provenance))
                for name in (*SHAPES, "admissible", "reference_stress", "reference_tangent"):
                    if getattr(self, name) is not None:
                        file.create_dataset(name, data=getattr(self, name))
            partial.write_bytes(image.getvalue())
            os.replace(partial, target)
        finally:
            partial.unlink(missing_ok=True)

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> "StressStrainData":
        """Read what `write` wrote.

        Raises:
            DataFileError: where the file is missing, truncated, of another kind or of a later schema.
            InvalidData: where its numbers are no strain-stress data.
        """
        if not Path(path).is_file():
            raise DataFileError(f"{path} is not a file; expected strain-stress data in HDF5")
        try:
            with h5py.File(path, "r") as file:
                schema, version = file.attrs.get("schema"), file.attrs.get("schema_version")
                if schema != SCHEMA:
                    raise DataFileError(f"{path} has schema {schema!r}, expected {SCHEMA!r}: another kind of HDF5 file")
                if version != SCHEMA_VERSION:
                    raise DataFileError(
                        f"{path} has schema version {version}, this release reads {SCHEMA_VERSION}; use the release that wrote it"
                    )
                units = file.attrs.get("units")
                if units != UNITS:
                    raise DataFileError(
                        f"{path} has units {units!r}, expected {UNITS!r}: stress and energy density in GPa; convert it"
                    )
                names = (*SHAPES, "admissible", "reference_stress", "reference_tangent")
                fields: dict[str, Any] = {name: file[name][()] for name in names if name in file}
                fields["temperature"] = float(file.attrs["temperature"])
                fields["crystal"] = json.loads(file.attrs["crystal"])
                fields["provenance"] = json.loads(file.attrs["provenance"])
        except (OSError, KeyError, TypeError, AttributeError, json.JSONDecodeError, RuntimeError) as error:
            raise DataFileError(
                f"{path} cannot be read as HDF5 strain-stress data ({error}); write it again"
            ) from error
        if "deformation_gradient" not in fields:
            raise DataFileError(f"{path} has no dataset 'deformation_gradient'; write it again")
        return cls(**fields)
