"""Files and pictures of solutions, and what one may ask a solution."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pyvista

import fem
from fem.laws import NeoHooke

from .conftest import CELLS, unit_mesh


class Trusted:
    """A neo-Hooke with a gauge: trust falls with the stretch."""

    def __init__(self) -> None:
        self.law = NeoHooke.from_young(2.8, 0.4)

    def evaluate(
        self, F: np.ndarray, state: Mapping[str, np.ndarray] | None = None, *, tangent: bool = True, trust: bool = False
    ) -> fem.Response:
        response = self.law.evaluate(F, tangent=tangent)
        return replace(response, trust=1.0 / (1.0 + np.abs(F - np.eye(3)).max(axis=(1, 2)))) if trust else response


def bent(cell: str = "tetrahedron", degree: int = 2, law: Any = None) -> fem.Solution:
    mesh = unit_mesh(cell, 2)
    body = fem.Solid(mesh, law or Trusted(), degree=degree)
    body.clamp("left")
    body.traction("right", (0.0, 0.0, -0.2)[-mesh.domain.geometry.dim :])
    return body.solve()


@pytest.fixture(scope="module")
def solution() -> fem.Solution:
    return bent()


@pytest.mark.parametrize("degree", [1, 2, 3])
@pytest.mark.parametrize("cell", CELLS)
def test_file_holds_the_solution(tmp_path: Path, cell: str, degree: int) -> None:
    solution = bent(cell, degree)
    solution.write(tmp_path / "bent.vtkhdf")
    assert [file.name for file in tmp_path.iterdir()] == ["bent.vtkhdf"]
    grid = pyvista.read(tmp_path / "bent.vtkhdf")
    gdim = solution.mesh.domain.geometry.dim
    assert grid.n_cells == solution.mesh.domain.topology.index_map(gdim).size_global
    assert grid.n_points == solution.displacement.function_space.dofmap.index_map.size_global
    assert set(grid.point_data) == {"displacement", "stress", "energy", "volume_ratio", "trust"}
    assert set(grid.cell_data) == {"first_piola", "cauchy_stress", "stress", "energy", "volume_ratio", "trust"}
    probed = solution.probe(grid.points[:, :gdim])
    assert np.allclose(grid.point_data["displacement"][:, :gdim], probed, atol=1e-9)
    # node numbering of the cells: VTK measures each cell right side out, and together they fill the body
    sizes = grid.compute_cell_sizes()
    measure = sizes["Volume"] if gdim == 3 else sizes["Area"]
    assert measure.sum() == pytest.approx(1.0, rel=1e-6)
    if gdim == 3:
        assert measure.min() > 0.0


def test_recovered_stress_is_exact_where_it_is_uniform(tmp_path: Path) -> None:
    mesh = unit_mesh("tetrahedron", 2)
    law = NeoHooke(1.0, 2.0)
    body = fem.Solid(mesh, law)
    body.prescribe("boundary", lambda X: np.array([[0.2, 0.1, 0], [0, -0.1, 0], [0, 0, 0.0]]) @ X)
    solution = body.solve()
    solution.write(tmp_path / "uniform.vtkhdf")
    grid = pyvista.read(tmp_path / "uniform.vtkhdf")
    F = np.array([[1.2, 0.1, 0], [0, 0.9, 0], [0, 0, 1.0]])
    sigma = law.evaluate(F[None]).first_piola[0] @ F.T / np.linalg.det(F)
    s = sigma - np.trace(sigma) / 3 * np.eye(3)
    assert np.allclose(grid.point_data["stress"], np.sqrt(1.5 * (s * s).sum()), rtol=1e-10)
    assert np.allclose(grid.cell_data["cauchy_stress"], sigma.reshape(-1), atol=1e-12)
    piola = law.evaluate(F[None]).first_piola[0]
    assert np.allclose(grid.cell_data["first_piola"], piola.reshape(-1), atol=1e-12)


def test_failed_write_leaves_the_old_file(
    tmp_path: Path, solution: fem.Solution, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "bent.vtkhdf"
    path.write_text("old")

    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("fem.output._fill", full)
    with pytest.raises(OSError, match=r"cannot write .*: No space left on device"):
        solution.write(path)
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["bent.vtkhdf"]


@pytest.mark.parametrize("field", ["stress", "trust", "energy", "volume_ratio", "displacement"])
def test_picture(tmp_path: Path, solution: fem.Solution, field: str) -> None:
    path = tmp_path / f"{field}.png"
    solution.plot(path, field=field, unit="GPa" if field == "stress" else "")
    image = pyvista.read(path)
    pixels = np.asarray(image.point_data.active_scalars).reshape(-1, image.point_data.active_scalars.shape[-1])
    coloured = np.ptp(pixels[:, :3].astype(int), axis=1) > 30
    assert 0.05 < coloured.mean() < 0.9


def test_picture_of_a_plane_body(tmp_path: Path) -> None:
    bent("quadrilateral").plot(tmp_path / "plane.png", magnify=2.0, title="bent")
    assert (tmp_path / "plane.png").stat().st_size > 10_000


def test_picture_of_nothing(tmp_path: Path, solution: fem.Solution) -> None:
    with pytest.raises(ValueError, match="field is 'strain', expected one of stress, energy, volume_ratio, trust"):
        solution.plot(tmp_path / "x.png", field="strain")
    with pytest.raises(ValueError, match="the law has no trust gauge"):
        bent(law=NeoHooke(1.0, 1.0)).plot(tmp_path / "x.png", field="trust")
    with pytest.raises(OSError, match="cannot write"):
        solution.plot(tmp_path / "missing" / "x.png")
    assert not list(tmp_path.iterdir())


def test_no_way_to_draw(tmp_path: Path, solution: fem.Solution, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fem.picture.sys.executable", "false")  # stands for a process which OpenGL takes down
    with pytest.raises(RuntimeError, match=r"picture of 'stress' could not be drawn \(exit status 1\).*EGL"):
        solution.plot(tmp_path / "x.png")
    assert not list(tmp_path.iterdir())


def test_pictures_are_silent(tmp_path: Path, solution: fem.Solution, capfd: pytest.CaptureFixture[str]) -> None:
    solution.plot(tmp_path / "x.png")
    assert capfd.readouterr() == ("", "")


def test_probe(solution: fem.Solution) -> None:
    u = solution.probe([[0.0, 0.5, 0.5], [1.0, 1.0, 1.0]])
    assert np.abs(u[0]).max() < 1e-15
    assert u[1, 2] < 0.0
    # a point on a corner, a hair outside by round-off
    assert np.allclose(solution.probe([1.0 + 1e-13, 1.0, 1.0]), u[1], atol=1e-9)
    with pytest.raises(ValueError, match=r"point \(2.0, 0.0, 0.0\) lies outside the undeformed body"):
        solution.probe([[0.5, 0.5, 0.5], [2.0, 0.0, 0.0]])
    with pytest.raises(fem.ShapeError, match=r"points have shape \(4, 2\), expected \(n, 3\)"):
        solution.probe(np.zeros((4, 2)))


def test_quadrature_points(solution: fem.Solution) -> None:
    points = solution.at_quadrature()
    n = len(points.weight)
    assert points.position.shape == (n, 3)
    assert points.weight.sum() == pytest.approx(1.0)
    assert points.weight @ points.response.energy == pytest.approx(solution.energy, rel=1e-12)
    assert points.response.trust is not None
    sigma = points.cauchy_stress
    assert np.allclose(sigma, sigma.transpose(0, 2, 1), atol=1e-13)
    assert np.allclose(points.volume_ratio, np.linalg.det(points.deformation_gradient))
    uniaxial = replace(
        points,
        deformation_gradient=np.eye(3)[None],
        response=fem.Response(np.zeros(1), np.diag([3.0, 0.0, 0.0])[None], None),
    )
    assert uniaxial.von_mises == pytest.approx([3.0])


def test_cell_averages(solution: fem.Solution) -> None:
    fields, points = solution.cell_fields(), solution.at_quadrature()
    cells = len(fields["energy"])
    volumes = points.weight.reshape(cells, -1).sum(axis=1)
    assert volumes @ fields["energy"] == pytest.approx(solution.energy, rel=1e-12)
    assert fields["cauchy_stress"].shape == (cells, 3, 3)
