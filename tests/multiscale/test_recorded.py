"""Records of a reference model: what is computed is what is read; anything else is refused with its place."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase.build import bulk

import atomistic
from multiscale.data.recorded import RecordedReference, UnreadableRecord
from multiscale.stages.reference import record_reference


@pytest.fixture(scope="module")
def record() -> RecordedReference:
    calculator = atomistic.reference_calculator("stillinger-weber")
    crystal = atomistic.relax_crystal(bulk("Si", a=5.43), calculator).atoms
    return record_reference("Stillinger and Weber", crystal, calculator, np.array([-0.02, 0.0, 0.02]))


def test_record_of_stillinger_weber(record: RecordedReference, tmp_path: Path) -> None:
    """Published constants (Cowley 1988: C11 151.4, C12 76.4, C44 56.4, unrelaxed 109.8 GPa) and the slope of the path, C11."""
    relaxed, clamped = np.array(record.elastic_constants_gpa), np.array(record.clamped_elastic_constants_gpa)
    assert relaxed[0, 0] == pytest.approx(151.4, abs=0.1)
    assert relaxed[0, 1] == pytest.approx(76.4, abs=0.1)
    assert (relaxed[3, 3], clamped[3, 3]) == pytest.approx((56.4, 109.8), abs=0.1)
    path = record.uniaxial_strain
    slope = (path.stress[2, 0, 0] - path.stress[0, 0, 0]) / 0.04
    assert slope == pytest.approx(relaxed[0, 0], rel=0.01)
    assert abs(path.stress[1]).max() < 1e-3
    assert record.crystal.atoms.get_volume() == pytest.approx(5.431**3 / 4, rel=1e-3)
    file = tmp_path / "record.json"
    file.write_text(record.text())
    assert RecordedReference.read(file) == record


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": None}, "model"),
        ({"elastic_constants_gpa": [[1.0]]}, "elastic_constants_gpa"),
        ({"uniaxial_strain": {"log_strain": [0.0, 0.1], "first_piola_gpa": []}}, "2 strains and 0 stresses"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_what_is_no_record_is_refused(
    record: RecordedReference, tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    file = tmp_path / "record.json"
    file.write_text(json.dumps(record.model_dump() | change))
    with pytest.raises(UnreadableRecord, match=f"record.json.*{message}"):
        RecordedReference.read(file)
    with pytest.raises(UnreadableRecord, match="cannot be read"):
        RecordedReference.read(tmp_path / "missing.json")
