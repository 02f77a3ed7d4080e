"""Strain-stress data from tables and frames: units, stress measures, errors, and everything that is refused."""

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write

from multiscale.data.csv_data import NINE, SIX, ConstantColumn, read_csv
from multiscale.data.dataset import DataFileError, InvalidData, StressStrainData
from multiscale.data.extxyz import read_extxyz
from multiscale.data.files import UnknownSymmetry, read_cell, read_data, symmetry_for
from multiscale.data.stress_measures import UnsymmetricStress, first_piola_of
from multiscale.data.stress_units import UnitError
from multiscale.data.tables import TableError
from multiscale.laws.strain import COLUMNS, ROWS, first_piola, green_lagrange, stress_tensor
from multiscale.symmetry.material_symmetry import InvalidSymmetry

from .random_laws import random_law, random_strains

GPA_PER_EV = 160.21766208
F = random_strains(0, 6)


@pytest.fixture(scope="module")
def response() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """W, P, sigma and S of a law."""
    from multiscale.symmetry.point_group import PointGroup

    answer = random_law(PointGroup.named("m-3m"), 0).evaluate(F)
    P = answer.first_piola
    sigma = P @ F.transpose(0, 2, 1) / np.linalg.det(F)[:, None, None]
    return answer.energy, P, sigma, np.linalg.solve(F, P)


def table(path: Path, columns: dict[str, np.ndarray]) -> Path:
    rows = np.stack(list(columns.values()), axis=1)
    path.write_text("\n".join([",".join(columns), *(",".join(repr(float(v)) for v in row) for row in rows)]) + "\n")
    return path


def gradient_columns(gradients: np.ndarray = F) -> dict[str, np.ndarray]:
    return {f"F_{ij}": gradients.reshape(-1, 9)[:, k] for k, ij in enumerate(NINE)}


def six(name: str, tensor: np.ndarray, unit: str) -> dict[str, np.ndarray]:
    return {f"{name.format(ij)} [{unit}]": tensor[:, ROWS[k], COLUMNS[k]] for k, ij in enumerate(SIX)}


def nine(name: str, tensor: np.ndarray, unit: str) -> dict[str, np.ndarray]:
    return {f"{name.format(ij)} [{unit}]": tensor.reshape(-1, 9)[:, k] for k, ij in enumerate(NINE)}


def test_three_measures_are_one_stress(response: tuple[np.ndarray, ...], tmp_path: Path) -> None:
    W, P, sigma, S = response
    path = tmp_path / "data.csv"
    for stress in (
        nine("P_{}", P, "GPa"),
        six("sigma_{}", 1e3 * sigma, "MPa"),
        nine("sigma_{}", 1e6 * sigma, "kPa"),
        six("S_{}", S / GPA_PER_EV, "eV/A^3"),
    ):
        data = read_csv(table(path, {**gradient_columns(), **stress, "W [MPa]": 1e3 * W}))
        assert np.allclose(data.labels("first_piola"), P, rtol=1e-12, atol=1e-12)
        assert np.allclose(data.labels("energy"), W, rtol=1e-12)
        assert np.array_equal(data.deformation_gradient, F) and data.provenance == {"table": "data.csv"}
    plain = {name.split(" [")[0]: values for name, values in nine("P_{}", P, "").items()}
    assert np.allclose(read_csv(table(path, {**gradient_columns(), **plain}), unit="GPa").labels("first_piola"), P)


@pytest.mark.parametrize("measure", ["sigma", "S"])
def test_errors_propagate(measure: str, response: tuple[np.ndarray, ...]) -> None:
    """Against the scatter of 20,000 repetitions."""
    stress = response[2 if measure == "sigma" else 3][:1]
    rng = np.random.default_rng(0)
    error = stress_tensor(rng.uniform(0.1, 0.5, (1, 6)))
    _, propagated = first_piola_of(measure, F[:1], stress, error)  # type: ignore[arg-type]
    noise = stress_tensor(rng.normal(size=(20000, 6))) * error
    P, _ = first_piola_of(measure, np.repeat(F[:1], 20000, axis=0), stress + noise)  # type: ignore[arg-type]
    assert propagated is not None
    assert np.allclose(P.std(axis=0), propagated[0], rtol=0.03)


def test_errors_of_a_table(response: tuple[np.ndarray, ...], tmp_path: Path) -> None:
    W, _, sigma, _ = response
    errors = {
        **six("sigma_{} error", np.full_like(sigma, 20.0), "MPa"),
        "W error [GPa]": np.full(6, 0.01),
        "W [GPa]": W,
    }
    data = read_csv(
        table(tmp_path / "data.csv", {**gradient_columns(), **six("sigma_{}", 1e3 * sigma, "MPa"), **errors})
    )
    _, expected = first_piola_of("sigma", F, sigma, np.full_like(sigma, 0.02))
    assert expected is not None
    assert np.allclose(data.labels("first_piola_error"), expected, rtol=1e-12)
    assert np.allclose(data.labels("energy_error"), 0.01)


def without(columns: dict[str, np.ndarray], name: str) -> dict[str, np.ndarray]:
    return {key: value for key, value in columns.items() if key != name}


def test_tables_that_are_refused(response: tuple[np.ndarray, ...], tmp_path: Path) -> None:
    _, P, sigma, _ = response
    gradients, stress, path = gradient_columns(), nine("P_{}", P, "GPa"), tmp_path / "data.csv"
    mirrored = F.copy()
    mirrored[2] = np.diag([-1.0, 1.0, 1.0])
    cases: list[tuple[dict[str, np.ndarray], type[ValueError], str]] = [
        (
            {**gradients, **without(stress, "P_yz [GPa]"), "P_yz [MPa]": P[:, 1, 2]},
            UnitError,
            "mixes units .*P_yz in MPa",
        ),
        (
            {**gradients, **without(stress, "P_yz [GPa]"), "P_yz": P[:, 1, 2]},
            UnitError,
            "mixes units .*P_yz in no unit",
        ),
        (
            {**gradients, **{k.split(" ")[0]: v for k, v in stress.items()}},
            UnitError,
            "first Piola-Kirchhoff .* has no unit",
        ),
        ({**gradients, **nine("P_{}", P, "psi")}, UnitError, "has unit 'psi', expected one of Pa"),
        ({**without(gradients, "F_zz"), **stress}, TableError, "has no column 'F_zz'"),
        ({**gradients, **without(stress, "P_zy [GPa]")}, TableError, "has no column 'P_zy'"),
        (
            {**gradients, **stress, **six("sigma_{}", sigma, "GPa")},
            TableError,
            "holds .* and Cauchy's stress, expected one",
        ),
        ({**gradients, "sgima_xx [GPa]": P[:, 0, 0]}, TableError, "has a column 'sgima_xx', expected F_xx"),
        (
            {**gradients, **nine("sigma_{}", P + 0.1 * np.triu(np.ones((3, 3))), "GPa")},
            UnsymmetricStress,
            "Is it the first Piola",
        ),
        ({**gradient_columns(mirrored), **stress}, InvalidData, "det F = -1 at state 2, expected det F > 0"),
        (
            {**gradient_columns(np.tile(np.eye(3), (6, 1, 1))), **stress},
            InvalidData,
            "columns of F in .* are constant: all 6 states",
        ),
        ({**without(gradients, "F_xx"), "F_xx [mm]": F[:, 0, 0], **stress}, UnitError, "F_xx of .* has unit 'mm'"),
        (
            {**gradients, **without(stress, "P_xy [GPa]"), "P_xy [GPa]": np.full(6, np.nan)},
            TableError,
            "'P_xy' in line 2 of .* is nan",
        ),
    ]
    for columns, error, message in cases:
        with pytest.raises(error, match=message):
            read_csv(table(path, columns))


def test_a_constant_label_is_named(response: tuple[np.ndarray, ...], tmp_path: Path) -> None:
    stress = nine("P_{}", response[1], "GPa")
    stress["P_zz [GPa]"] = np.full(6, 3.0)
    with pytest.warns(ConstantColumn, match="column 'P_zz' of .* is 3 in all 6 states while F changes"):
        read_csv(table(tmp_path / "data.csv", {**gradient_columns(), **stress}))


def frames_of(response: tuple[np.ndarray, ...], silicon: Atoms) -> list[Atoms]:
    W, _, sigma, _ = response
    frames = []
    for k in range(len(F)):
        frame = silicon.copy()
        frame.set_cell(silicon.cell.array @ F[k].T, scale_atoms=True)
        energy = -9.0 + W[k] / GPA_PER_EV * silicon.get_volume()
        frame.calc = SinglePointCalculator(frame, energy=energy, stress=sigma[k, ROWS, COLUMNS] / GPA_PER_EV)
        frames.append(frame)
    return frames


def test_frames(response: tuple[np.ndarray, ...], tmp_path: Path) -> None:
    W, P, sigma, _ = response
    silicon, path = bulk("Si", a=5.43), tmp_path / "data.extxyz"
    silicon.calc = SinglePointCalculator(silicon, energy=-9.0, stress=np.zeros(6))
    frames = frames_of(response, silicon)
    for k, frame in enumerate(frames):
        frame.info["stress_error"] = np.full(9, 0.01 * (k + 1)).tolist()
    write(path, frames)
    data = read_extxyz(path, reference=silicon)
    assert np.allclose(data.deformation_gradient, F, atol=1e-7)
    assert np.allclose(data.labels("first_piola"), P, rtol=1e-6, atol=1e-6)
    assert np.allclose(data.labels("energy"), W, rtol=1e-6, atol=1e-6)
    assert data.labels("first_piola_error")[0].min() > 0.5 * 0.01 * GPA_PER_EV
    # energies of a warm crystal are no free energies
    assert read_extxyz(path, reference=silicon, temperature=300.0).energy is None
    # frames that say F themselves need no reference; a virial is a stress
    for k, frame in enumerate(frames):
        frame.info = {
            "deformation_gradient": F[k].ravel(),
            "virial": (-sigma[k] / GPA_PER_EV * frame.get_volume()).ravel(),
        }
        frame.calc = None
    write(path, frames)
    said = read_extxyz(path)
    assert np.allclose(said.labels("first_piola"), P, rtol=1e-6, atol=1e-6) and said.energy is None
    assert np.allclose(said.deformation_gradient, F, atol=1e-7)
    assert isinstance(said, StressStrainData) and np.isfinite(green_lagrange(said.deformation_gradient)).all()
    assert first_piola(F, response[3][:, ROWS, COLUMNS]).shape == P.shape


def test_frames_that_are_refused(response: tuple[np.ndarray, ...], tmp_path: Path) -> None:
    silicon, path = bulk("Si", a=5.43), tmp_path / "data.extxyz"
    silicon.calc = SinglePointCalculator(silicon, energy=-9.0)
    frames = frames_of(response, silicon)
    write(path, frames)
    with pytest.raises(InvalidData, match=r"frame 0 of .* says no deformation_gradient, expected nine numbers"):
        read_extxyz(path)
    with pytest.raises(UnitError, match="has unit 'bar'"):
        read_extxyz(path, reference=silicon, unit="bar")
    germanium = bulk("Ge", a=5.43)
    germanium.calc = SinglePointCalculator(germanium, energy=-9.0)
    with pytest.raises(InvalidData, match=r"frame 0 of .* is Si2 and the reference Ge2"):
        read_extxyz(path, reference=germanium)
    frames[1].info["deformation_gradient"] = [1.0, 0.0]
    write(path, frames)
    with pytest.raises(InvalidData, match=r"deformation_gradient of frame 1 of .* has 2 numbers, expected 9"):
        read_extxyz(path, reference=silicon)
    frames[1].info = {"stress_error": np.ones(9).tolist()}
    write(path, frames)
    with pytest.raises(InvalidData, match=r"1 of 6 frames of .* state a stress_error, expected all or none"):
        read_extxyz(path, reference=silicon)
    frames[3].calc = None
    write(path, frames)
    with pytest.raises(InvalidData, match=r"frame 3 of .* has neither stress nor virial"):
        read_extxyz(path, reference=silicon)
    path.write_text("not\nxyz\n")
    with pytest.raises(DataFileError, match="cannot be read as extended XYZ"):
        read_extxyz(path)
    with pytest.raises(DataFileError, match="cannot be read as extended XYZ"):
        read_extxyz(tmp_path / "missing.extxyz")


def test_any_file_by_its_name(tmp_path: Path) -> None:
    data = StressStrainData(F, first_piola=F)
    data.write(tmp_path / "a.h5")
    back = read_data(tmp_path / "a.h5")
    assert np.array_equal(back.labels("first_piola"), data.labels("first_piola"))
    with pytest.raises(DataFileError, match="says its temperature itself"):
        read_data(tmp_path / "a.h5", temperature=300.0)
    with pytest.raises(DataFileError, match=r"has the ending '\.txt', expected \.h5, \.csv or \.extxyz"):
        read_data(tmp_path / "a.txt")
    with pytest.raises(UnknownSymmetry, match="hold no crystal"):
        symmetry_for(back)
    with pytest.raises(InvalidSymmetry, match="the axis"):
        symmetry_for(back, "m-3m", (0.0, 0.0, 1.0))
    assert symmetry_for(back, "m-3m").name == "m-3m"
    with pytest.raises(DataFileError, match="cannot be read as a cell"):
        read_cell(tmp_path / "a.h5")


def test_constant_labels(tmp_path: Path) -> None:
    F = np.eye(3) + np.random.default_rng(0).normal(scale=0.02, size=(5, 3, 3))
    P = F - np.eye(3)
    P[:, 1, 2] = 0.25
    StressStrainData(F, first_piola=P).write(tmp_path / "a.h5")
    with pytest.warns(
        ConstantColumn, match=r"first_piola\[1\]\[2\] of .*a\.h5 is 0\.25 GPa in all 5 states while F changes"
    ):
        read_data(tmp_path / "a.h5")
