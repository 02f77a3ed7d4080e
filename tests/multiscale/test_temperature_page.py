"""The example of docs/temperature.md and examples/silicon_temperatures.py run, and do what they say."""

import json
import re
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import multiscale

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "examples" / "data" / "silicon_temperatures"


def test_example_of_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    page = ROOT / "docs" / "temperature.md"
    (code,) = re.findall(r"```python\n(.*?)```", page.read_text(), flags=re.DOTALL)
    names: dict[str, Any] = {}
    exec(compile(code, str(page), "exec"), names)
    C, bar, direct = names["C"], names["bar"], json.loads((FOLDER / "direct.json").read_text())["300"]
    for name, place in {"C11": (0, 0), "C12": (0, 1), "C44": (3, 3)}.items():
        assert 0.01 < bar[place] < 1.0
        assert abs(C[place] - direct[name][0]) < 3.0 * np.hypot(bar[place], direct[name][1])
    np.testing.assert_allclose(C[[0, 0, 3], [0, 1, 3]], [149.0, 76.1, 55.2], atol=0.5)
    np.testing.assert_allclose(names["alpha"], 3.8e-6 * np.eye(3), atol=2e-7)
    assert names["U"][0, 0] == pytest.approx(1.0023, abs=1e-4)
    trust = names["response"].trust
    assert trust[:4].min() > 0.5 and trust[4] <= 2.0 / 3.0
    at_rest = names["warm"].evaluate(np.eye(3)[None], {"temperature": np.array([300.0])})
    assert np.abs(at_rest.first_piola).max() <= 1e-12


def test_recorded_virials() -> None:
    """What the README of the data says: sizes, errors, one crystal, no energies above 0 K."""
    sets = {T: multiscale.StressStrainData.read(FOLDER / f"silicon_{T}K.h5") for T in (0, 300, 450, 600)}
    assert [len(one) for one in sets.values()] == [32, 24, 12, 24]
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 200_000
    for T, one in sets.items():
        assert one.temperature == T and one.crystal["cell"] == sets[0].crystal["cell"]
        if T > 0:
            assert one.energy is None and 0.0 < one.labels("first_piola_error").max() < 0.1
            assert (
                "Stillinger-Weber" in one.provenance["model"]
                and "NVT Langevin, 250 atoms" in one.provenance["dynamics"]
            )


@pytest.mark.slow
def test_silicon_at_three_temperatures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture = tmp_path / "silicon.png"
    monkeypatch.setattr("sys.argv", ["silicon_temperatures.py", str(picture)])
    names = runpy.run_path(str(ROOT / "examples" / "silicon_temperatures.py"))
    assert picture.stat().st_size > 10_000
    assert names["miss"] < 2e-5
    deviations = np.array(names["deviations"])
    assert len(deviations) == 12 and np.sqrt(np.mean(deviations**2)) < 2.0
    at_600 = names["value"][600]
    np.testing.assert_allclose(at_600[:3], [146.3, 76.2, 53.5], atol=1.2)
    assert at_600[4] == pytest.approx(3.7, abs=0.3)
