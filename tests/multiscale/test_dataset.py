"""Strain-stress data: the round trip through HDF5, and everything that is refused."""

from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from multiscale.data.dataset import SHAPES, DataFileError, InvalidData, StressStrainData
from multiscale.sampling.design import strain_design


@pytest.fixture
def small(silicon_40: StressStrainData) -> StressStrainData:
    return silicon_40.select(np.arange(40) < 5)


def test_round_trip(small: StressStrainData, tmp_path: Path) -> None:
    data = replace(
        small,
        first_piola_error=np.full((5, 3, 3), 0.1),
        admissible=np.array([True, False, True, True, True]),
        reference_stress=1e-9 * np.eye(3),
    )
    data.write(tmp_path / "data.h5")
    back = StressStrainData.read(tmp_path / "data.h5")
    for name in (*SHAPES, "admissible", "reference_stress", "reference_tangent"):
        assert np.array_equal(getattr(back, name), getattr(data, name)) or getattr(data, name) is None
    assert (back.temperature, back.crystal, back.provenance) == (0.0, data.crystal, data.provenance)
    assert back.tangent_error is None
    assert [path.name for path in tmp_path.iterdir()] == ["data.h5"]


def test_a_failed_write_leaves_the_old_file_whole(
    small: StressStrainData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "data.h5"
    small.write(path)

    def fail(*arguments: object, **keywords: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(h5py.Group, "create_dataset", fail)
    with pytest.raises(OSError, match="No space left"):
        small.write(path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["data.h5"]
    assert len(StressStrainData.read(path)) == 5


def test_select_keeps_what_belongs_together(silicon_40: StressStrainData) -> None:
    odd = silicon_40.select(np.arange(40) % 2 == 1)
    assert len(odd) == 20
    assert silicon_40.energy is not None and odd.energy is not None
    assert np.array_equal(odd.energy, silicon_40.energy[1::2])
    assert odd.reference_tangent is silicon_40.reference_tangent or np.array_equal(
        odd.reference_tangent, silicon_40.reference_tangent
    )


F = strain_design(4, 0.06, seed=0)
MIRROR = np.diag([-1.0, 1.0, 1.0])


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"deformation_gradient": F[:, :2, :2]}, r"deformation_gradient has shape \(4, 2, 2\), expected \(4, 3, 3\)"),
        ({"deformation_gradient": F[:0]}, "no states"),
        ({"deformation_gradient": np.array([*F[:2], MIRROR, F[3]])}, "det F = -1 at state 2, expected det F > 0"),
        ({"energy": np.zeros(3)}, r"energy has shape \(3,\), expected \(4,\)"),
        ({"first_piola": np.full((4, 3, 3), np.nan)}, r"first_piola\[0, 0, 0\] is nan, expected finite"),
        ({"first_piola_error": np.ones((4, 3, 3))}, "first_piola_error is given without first_piola"),
        ({"energy": np.zeros(4), "energy_error": -np.ones(4)}, "energy_error is -1 at state 0"),
        ({"admissible": np.ones(3, dtype=bool)}, r"admissible has shape \(3,\), expected \(4,\)"),
        ({"temperature": -1.0}, "temperature is -1.0 K"),
        (
            {"energy": np.zeros(4), "temperature": 300.0},
            "energy is given at 300 K: a mean potential energy is no free",
        ),
        ({"crystal": {"cell": np.eye(3)}}, "crystal cannot be written as JSON"),
        (
            {"deformation_gradient": np.array([np.eye(3), *F[1:]]), "energy": np.full(4, -70.0)},
            "energy is -70 GPa at state 0, where F = I",
        ),
        ({"energy": np.full(4, -70.0), "first_piola": 100.0 * (F - np.eye(3))}, "energies exceed the work"),
        ({"reference_stress": np.zeros(6)}, r"reference_stress has shape \(6,\), expected \(3, 3\)"),
    ],
)
def test_refusals(fields: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidData, match=message):
        StressStrainData(**{"deformation_gradient": F, **fields})  # type: ignore[arg-type]


def test_files_that_are_refused(small: StressStrainData, tmp_path: Path) -> None:
    whole, broken = tmp_path / "data.h5", tmp_path / "broken.h5"
    small.write(whole)
    with pytest.raises(DataFileError, match="is not a file"):
        StressStrainData.read(tmp_path / "missing.h5")
    broken.write_bytes(whole.read_bytes()[:-2000])
    with pytest.raises(DataFileError, match="cannot be read as HDF5"):
        StressStrainData.read(broken)
    broken.write_text("strain,stress\n")
    with pytest.raises(DataFileError, match="cannot be read as HDF5"):
        StressStrainData.read(broken)
    with h5py.File(broken, "w") as file:
        file["foreign"] = np.zeros(3)
    with pytest.raises(DataFileError, match="has schema None, expected 'atomlaw/strain-stress'"):
        StressStrainData.read(broken)
    small.write(broken)
    with h5py.File(broken, "a") as file:
        file.attrs["schema_version"] = 99
    with pytest.raises(DataFileError, match="schema version 99, this release reads 1"):
        StressStrainData.read(broken)
    small.write(broken)
    for unit in ("MPa, K", None):
        with h5py.File(broken, "a") as file:
            del file.attrs["units"]
            if unit is not None:
                file.attrs["units"] = unit
        with pytest.raises(DataFileError, match=f"has units {unit!r}, expected 'GPa, K'"):
            StressStrainData.read(broken)
    small.write(broken)
    with h5py.File(broken, "a") as file:
        del file["deformation_gradient"]
    with pytest.raises(DataFileError, match="no dataset 'deformation_gradient'"):
        StressStrainData.read(broken)
