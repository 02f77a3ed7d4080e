"""Paths of equilibria: past limit points, from other states, with steps as long as Newton likes."""

from pathlib import Path
from typing import Any

from mpi4py import MPI  # isort: skip

import dolfinx
import numpy as np
import pytest
from scipy.interpolate import CubicSpline

import fem
from fem.laws import NeoHooke, SaintVenantKirchhoff

from .conftest import unit_mesh

LAW = NeoHooke.from_young(2.8, 0.4)
YOUNG = 3.0
# nu = 0: uniaxial stress is P = E/2 (F^3 - F), which bears E/sqrt(27) in compression and then less and less
SOFTENING = SaintVenantKirchhoff.cubic(YOUNG, 0.0, 0.5 * YOUNG)
STRONGEST = YOUNG / np.sqrt(27.0)


def column(mesh: fem.Mesh, *, held: bool = True) -> fem.Solid:
    """A block which stays straight, along x."""
    body = fem.Solid(mesh, SOFTENING, degree=1)
    for side in ("left", "front", "bottom") if held else ("front", "bottom"):
        body.symmetry(side)
    body.watch("left", (0.0, 0.0, 0.0))
    body.watch("right", (1.0, 0.0, 0.0))
    return body


def test_past_a_limit_point() -> None:
    body = column(unit_mesh("hexahedron", 1))
    body.traction("right", (-1.1 * STRONGEST, 0.0, 0.0))  # never reached
    steps = body.trace(200, first_step=0.1, until=lambda step: step.probes["right"][0] < -0.9).steps
    F = np.array([1.0 + step.probes["right"][0] for step in steps])
    load = np.array([step.load_factor for step in steps])
    assert np.abs(1.1 * STRONGEST * load + 0.5 * YOUNG * (F**3 - F)).max() <= 1e-9
    assert np.all(np.diff(F) < 0.0)
    assert 0.99 / 1.1 < load.max() <= 1.0 / 1.1
    assert F[-1] < 0.1 and load[-1] < 0.4
    assert len(steps) < 40
    reaction = np.array([step.reactions["left"][0] for step in steps])
    assert np.abs(reaction - 1.1 * STRONGEST * load).max() <= 1e-9


def test_snap_back() -> None:
    # a softening block on a soft spring: past the strongest state the spring lets go, and the driven end has to come back
    stiffness = 0.3
    body = column(unit_mesh("hexahedron", 1), held=False)
    body.foundation("left", normal=stiffness)
    body.prescribe("right", (-2.5, None, None))
    steps = body.trace(
        200,
        first_step=0.02,
        longest_step=0.1,
        until=lambda step: step.probes["right"][0] - step.probes["left"][0] < -0.8,
    ).steps
    left, right = (np.array([step.probes[end][0] for step in steps]) for end in ("left", "right"))
    F = 1.0 + right - left
    force = 0.5 * YOUNG * (F**3 - F)
    assert np.abs(stiffness * left - force).max() <= 1e-9
    assert np.abs(right + 2.5 * np.array([step.load_factor for step in steps])).max() <= 1e-9
    turning = np.argmin(right)
    assert 3 < turning < len(steps) - 3
    assert np.all(np.diff(F) < 0.0)  # the block gives way all along, while its end goes there and back


def test_trace_lands_on_the_full_load(cube: fem.Mesh) -> None:
    def bent() -> fem.Solid:
        body = fem.Solid(cube, LAW, degree=1)
        body.clamp("left")
        body.traction("right", (0.0, 0.0, -0.3))
        return body

    traced, solved = bent().trace(first_step=0.3), bent().solve(load_steps=3)
    assert traced.load_factor == 1.0
    assert np.abs(traced.displacement.x.array - solved.displacement.x.array).max() <= 1e-9
    ended = bent().trace(2, first_step=0.1)
    assert len(ended.steps) == 2 and ended.load_factor < 1.0


def arch(rise: float = 0.06) -> fem.Solid:
    """A shallow arch, half of it: span 2, clamped at its end, cut at its crown, which is pushed down."""
    domain = dolfinx.mesh.create_rectangle(
        MPI.COMM_WORLD, [[0.0, 0.0], [1.0, 0.03]], [16, 1], dolfinx.mesh.CellType.quadrilateral
    )
    x = domain.geometry.x
    x[:, 1] += rise * 0.5 * (1.0 + np.cos(np.pi * x[:, 0]))
    mesh = fem.Mesh.of(domain, {"crown": lambda X: np.isclose(X[0], 0.0), "end": lambda X: np.isclose(X[0], 1.0)})
    body = fem.Solid(mesh, NeoHooke.from_young(1000.0, 0.3), degree=2)
    body.clamp("end")
    body.symmetry("crown")
    body.watch("crown", (0.0, rise))
    return body


def test_snap_through_of_an_arch() -> None:
    # the same path twice: under a load which goes up, down and up again, and by pushing the crown down
    loaded = arch()
    loaded.traction("crown", (0.0, -0.5))
    steps = loaded.trace(first_step=0.05, longest_step=0.2).steps
    load = np.array([step.load_factor for step in steps])
    down = np.array([-step.probes["crown"][1] for step in steps])
    assert load[-1] == 1.0 and len(steps) < 30
    assert np.all(np.diff(down) > 0.0)
    turns = 1 + np.flatnonzero(np.diff(np.sign(np.diff(load))))
    assert len(turns) == 2  # up, down, up
    assert load[turns[0]] > 3.0 * load[turns[1]]
    pushed = arch()
    pushed.prescribe("crown", (0.0, -0.15))
    curve = pushed.solve(load_steps=60).steps
    force = CubicSpline([0.15 * step.load_factor for step in curve], [-step.reactions["crown"][1] for step in curve])
    before = down < 0.15
    # a dead traction leaves the section free to shorten, a pushed one moves as a whole
    difference = np.abs(force(down[before]) / (0.5 * 0.03) - load[before])
    assert difference.max() < 0.02 * load[turns[0]]


def test_load_control_stops_at_the_limit_point_with_the_state_on_disk(tmp_path: Path) -> None:
    body = column(unit_mesh("hexahedron", 1))
    body.traction("right", (-1.1 * STRONGEST, 0.0, 0.0))
    file = tmp_path / "last.h5"
    with pytest.raises(
        fem.LoadNotConverged, match=r"`.solution` and in '.*last.h5'.*trace\(\.\.\.\) follows"
    ) as caught:
        body.solve(load_steps=4, checkpoint=file)
    reached = caught.value.load_factor
    assert 1.0 / 1.1 - 2e-3 < reached <= 1.0 / 1.1
    # from there, by the length of the path
    solution = body.trace(5, start=file, first_step=0.02)
    assert solution.steps[: len(caught.value.solution.steps)] == caught.value.solution.steps
    assert solution.load_factor < reached
    F = 1.0 + solution.steps[-1].probes["right"][0]
    assert 1.1 * STRONGEST * solution.load_factor == pytest.approx(-0.5 * YOUNG * (F**3 - F), abs=1e-9)


def test_steps_grow_from_a_small_one(cube: fem.Mesh) -> None:
    body = fem.Solid(cube, LAW, degree=1)
    body.clamp("left")
    body.traction("right", (0.0, 0.0, -0.3))
    solution = body.solve(load_steps=2, first_step=0.01)
    loads = np.array([0.0, *(step.load_factor for step in solution.steps)])
    lengths = np.diff(loads)
    assert lengths[0] == pytest.approx(0.01)
    assert lengths.max() > 0.25
    assert lengths.max() <= 0.5
    assert np.all(lengths[1:-1] <= 2.0 * lengths[:-2] + 1e-12)


def test_warm_start(cube: fem.Mesh) -> None:
    def bent(law: Any, load: float, degree: int = 1) -> fem.Solid:
        body = fem.Solid(cube, law, degree=degree)
        body.clamp("left")
        body.traction("right", (0.0, 0.0, load))
        return body

    first = bent(LAW, -0.3).solve(load_steps=3)
    stiffer = NeoHooke.from_young(3.0, 0.38)
    warm = bent(stiffer, -0.3).solve(start=first)
    cold = bent(stiffer, -0.3).solve(load_steps=3)
    assert len(warm.steps) == 1
    assert warm.iterations < cold.iterations
    assert np.abs(warm.displacement.x.array - cold.displacement.x.array).max() <= 1e-9
    assert warm.work == pytest.approx(warm.energy)
    # on another element: interpolated
    finer = bent(LAW, -0.3, degree=2).solve(start=first)
    assert finer.energy == pytest.approx(bent(LAW, -0.3, degree=2).solve(load_steps=3).energy, rel=1e-9)
    other = unit_mesh("hexahedron", 2)
    body = fem.Solid(other, LAW, degree=1)
    body.clamp("left")
    with pytest.raises(fem.ConditionError, match="another mesh object"):
        body.solve(start=first)


def test_following_pressure_bends_a_strip_from_any_first_step() -> None:
    # over more than half a turn; |R| alone as a guide finds no step at all from the first two
    domain = dolfinx.mesh.create_rectangle(
        MPI.COMM_WORLD, [[0.0, 0.0], [10.0, 0.5]], [20, 1], dolfinx.mesh.CellType.quadrilateral
    )
    markers = {"left": lambda X: np.isclose(X[0], 0.0), "top": lambda X: np.isclose(X[1], 0.5)}
    mesh = fem.Mesh.of(domain, markers)
    tips = []
    for first_step in (1.0, 0.1, 0.02):
        body = fem.Solid(mesh, NeoHooke.from_young(1000.0, 0.3))
        body.clamp("left")
        body.pressure("top", 2.0)
        tips.append(body.solve(first_step=first_step).probe([10.0, 0.25])[0])
    assert tips[0][0] < -8.0
    assert np.allclose(tips, tips[0], atol=1e-8)


def test_newton_has_a_quadratic_tail(cube: fem.Mesh) -> None:
    body = fem.Solid(cube, LAW, degree=2)
    body.rotate("left", 0.5, (1.0, 0.0, 0.0))
    body.pressure("right", 0.2)  # unsymmetric tangent
    body.foundation("bottom", normal=1.0)
    r = np.array(body.solve(tolerance=1e-13).steps[0].residuals)
    tail = r[r > 1e-11][-3:]
    order = np.log(tail[2] / tail[1]) / np.log(tail[1] / tail[0])
    assert order >= 1.8


def test_curve_as_a_table(tmp_path: Path, cube: fem.Mesh) -> None:
    body = fem.Solid(cube, LAW, degree=1)
    body.clamp("left")
    body.traction("right", (0.0, 0.0, -0.3))
    body.watch("tip", (1.0, 0.5, 0.5))
    solution = body.solve(load_steps=3)
    solution.write_curve(tmp_path / "curve.csv")
    lines = (tmp_path / "curve.csv").read_text().splitlines()
    assert lines[0] == (
        "load_factor,iterations,energy,work,reaction left x,reaction left y,reaction left z,u tip x,u tip y,u tip z"
    )
    table = np.loadtxt(lines[1:], delimiter=",")
    assert table.shape == (4, 10)
    assert np.all(table[0] == 0.0)
    assert table[-1, 2] == solution.energy
    assert np.allclose(table[:, 6], 0.3 * table[:, 0], atol=1e-9)
    assert tuple(table[-1, 7:]) == solution.steps[-1].probes["tip"] == tuple(solution.probe([1.0, 0.5, 0.5])[0])


def test_progress_is_for_a_terminal_only(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, cube: fem.Mesh
) -> None:
    body = fem.Solid(cube, LAW, degree=1)
    body.clamp("left")
    body.traction("right", (0.0, 0.0, -0.3))
    body.solve(load_steps=2)
    assert capsys.readouterr() == ("", "")
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    body.solve(load_steps=2)
    printed = capsys.readouterr().err.splitlines()
    assert len(printed) == 2
    assert printed[0].startswith("load 0.5: ") and "iterations, |R| " in printed[0] and printed[0].endswith(" s left")
    assert printed[1].startswith("load 1: ") and "left" not in printed[1]


def beam() -> fem.Solid:
    """A beam of length 1 and thickness 0.05, both ends clamped, to be shortened."""
    domain = dolfinx.mesh.create_rectangle(
        MPI.COMM_WORLD, [[0.0, -0.025], [1.0, 0.025]], [40, 1], dolfinx.mesh.CellType.quadrilateral
    )
    mesh = fem.Mesh.of(domain, {"left": lambda X: np.isclose(X[0], 0.0), "right": lambda X: np.isclose(X[0], 1.0)})
    body = fem.Solid(mesh, NeoHooke.from_young(1000.0, 0.3), degree=2)
    body.clamp("left")
    body.prescribe("right", (-0.1, 0.0))
    body.watch("middle", (0.5, 0.0))
    return body


EULER = 4.0 * np.pi**2 * 1000.0 / (1.0 - 0.3**2) * 0.05**3 / 12.0


@pytest.mark.parametrize("steps", [{"load_steps": 20}, {"first_step": 0.05}, {"load_steps": 1}])
@pytest.mark.parametrize("side", [1.0, -1.0])
def test_buckling(steps: dict[str, Any], side: float) -> None:
    # a perturbation of a thousandth of Euler's load says to which side
    body = beam()
    body.body_force((0.0, 1e-3 * side * EULER / 0.05))
    solution = body.solve(**steps)
    last = solution.steps[-1]
    # the elastica with both ends clamped, shortened by a tenth less its compression (0.0086): k^2 = 0.0904, load (2 K / pi)^2 times
    # Euler's, deflection k / K; the thickness adds shear
    assert -last.reactions["right"][0] == pytest.approx(1.0481 * EULER, rel=0.01)
    assert side * last.probes["middle"][1] == pytest.approx(0.1870, rel=0.015)


@pytest.mark.parametrize("cells", [1, 2])
def test_bodies_with_next_to_nothing_free_are_stable(cells: int, recwarn: pytest.WarningsRecorder) -> None:
    # no free node, and one: fewer unknowns than the vectors that look for instabilities
    body = fem.Solid(unit_mesh("hexahedron", cells), LAW, degree=1)
    body.rotate("boundary", 1.0, (1.0, 1.0, 0.0))
    assert abs(body.solve(load_steps=3).energy) < 1e-12
    assert not recwarn


def test_the_unstable_branch_for_those_who_want_it() -> None:
    straight = beam().solve(load_steps=5, stable=False)
    assert abs(straight.probe([0.5, 0.0])[0, 1]) < 1e-9
    assert -straight.steps[-1].reactions["right"][0] > 10.0 * EULER
    assert beam().solve(load_steps=5).energy < 0.5 * straight.energy


@pytest.mark.parametrize("load", [1e-3, 1e-6])
def test_round_off_is_no_instability(load: float, recwarn: pytest.WarningsRecorder) -> None:
    # a strip ten thousand times as long as thick: its smallest eigenvalue is 1e-16 of its largest
    t = 1e-4
    domain = dolfinx.mesh.create_rectangle(
        MPI.COMM_WORLD, [[0.0, 0.0], [1.0, t]], [50, 1], dolfinx.mesh.CellType.quadrilateral
    )
    mesh = fem.Mesh.of(domain, {"left": lambda X: np.isclose(X[0], 0.0), "right": lambda X: np.isclose(X[0], 1.0)})
    body = fem.Solid(mesh, NeoHooke.from_young(1000.0, 0.3))
    body.clamp("left")
    body.traction("right", (t * load, t**2 * load))
    body.solve()
    assert not [w for w in recwarn if w.category is fem.UnstableEquilibrium]
