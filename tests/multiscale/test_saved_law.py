"""Laws on disk: the round trip is exact, and a bad file is a typed error."""

import json
import os
import struct
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from atomistic.network_file import NetworkFileError
from multiscale.laws.orbit_network import OrbitLaw
from multiscale.symmetry.point_group import PointGroup

from .random_laws import random_law, random_strains


@pytest.mark.parametrize("laue", ["m-3m", "-3m", "-1"])
def test_round_trip_is_exact(laue: str, tmp_path: Path) -> None:
    law, F = random_law(PointGroup.named(laue), 3, stressed=True), random_strains(0, 20)
    law.save(tmp_path / "law.safetensors")
    back = OrbitLaw.load(tmp_path / "law.safetensors")
    here, there = law.evaluate(F, trust=True), back.evaluate(F, trust=True)
    for name in ("energy", "first_piola", "tangent", "trust"):
        assert np.array_equal(getattr(here, name), getattr(there, name))
    assert back.provenance == law.provenance and back.symmetry.name == laue
    assert [path.name for path in tmp_path.iterdir()] == ["law.safetensors"]


def rewrite_header(path: Path, **changes: object) -> None:
    """Change entries of the JSON header in place (safetensors: 8 bytes of length, a JSON object, the data)."""
    raw = path.read_bytes()
    (length,) = struct.unpack("<Q", raw[:8])
    header = json.loads(raw[8 : 8 + length])
    ours = {**json.loads(header["__metadata__"]["atomlaw"]), **changes}
    header["__metadata__"]["atomlaw"] = json.dumps(ours)
    encoded = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(encoded)) + encoded + raw[8 + length :])


def test_files_that_are_refused(cubic: PointGroup, tmp_path: Path) -> None:
    whole, broken = tmp_path / "law.safetensors", tmp_path / "broken.safetensors"
    random_law(cubic, 0).save(whole)
    with pytest.raises(NetworkFileError, match="is not a file"):
        OrbitLaw.load(tmp_path / "missing.safetensors")
    for cut in (4, 100, len(whole.read_bytes()) - 8):
        broken.write_bytes(whole.read_bytes()[:cut])
        with pytest.raises(NetworkFileError, match="cannot be read as a network"):
            OrbitLaw.load(broken)
    broken.write_bytes(os.urandom(4000))
    with pytest.raises(NetworkFileError):
        OrbitLaw.load(broken)
    save_file({"weights": np.zeros(3)}, broken)
    with pytest.raises(NetworkFileError, match="has schema None, expected 'atomlaw/orbit-law'"):
        OrbitLaw.load(broken)
    for changes, message in (
        ({"schema_version": 99}, "schema version 99, this release reads 3"),
        ({"schema": "atomlaw/other"}, "schema 'atomlaw/other', expected 'atomlaw/orbit-law'"),
        ({"symmetry": "m3m"}, "'m3m' is not known"),
        ({"symmetry": "m-3"}, r"shape \(24, 3, 3\), expected \(12, 3, 3\)"),
        ({"growth_threshold": "nan"}, "J0 = nan"),
        ({"growth_modulus": None}, "no consistent law"),
        ({"provenance": 3}, "no consistent law"),
    ):
        broken.write_bytes(whole.read_bytes())
        rewrite_header(broken, **changes)
        with pytest.raises(NetworkFileError, match=message):
            OrbitLaw.load(broken)


def test_arrays_that_are_refused(cubic: PointGroup, tmp_path: Path) -> None:
    path = tmp_path / "law.safetensors"
    law = random_law(cubic, 0)
    law.biases[2] = np.inf  # an array in memory can be overwritten; a file with it is not read
    law.save(path)
    with pytest.raises(NetworkFileError, match=r"'biases' of .* holds NaN or infinity"):
        OrbitLaw.load(path)


def test_an_unwritable_folder_is_an_os_error(cubic: PointGroup, tmp_path: Path) -> None:
    with pytest.raises(OSError):
        random_law(cubic, 0).save(tmp_path / "missing" / "law.safetensors")
