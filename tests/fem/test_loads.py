"""Loads and supports: their derivatives, closed forms, balances of force and of work."""

from collections.abc import Callable

import dolfinx.fem.petsc as petsc_fem
import numpy as np
import pytest
from dolfinx import fem as dfem

import fem
from fem.laws import NeoHooke
from fem.loads import BodyForce, Foundation, Load, Loads, Pressure, Traction

from .conftest import unit_mesh

LAW = NeoHooke(1.0, 2.0)
# nu = 0: stays straight under uniaxial load
SLENDER = NeoHooke(1.0, 0.0)


def cycle(s: float) -> float:
    """Up and back again."""
    return float(np.sin(np.pi * s)) if 0.0 < s < 1.0 else 0.0


@pytest.mark.parametrize("cell", ["hexahedron", "triangle"])
def test_derivatives_of_the_nodal_forces(cell: str) -> None:
    mesh = unit_mesh(cell, 1)
    d = mesh.domain.geometry.dim
    u = dfem.Function(dfem.functionspace(mesh.domain, ("Lagrange", 2, (d,))))
    kinds: list[Load] = [
        Traction("right", (0.3,) * d),
        BodyForce((-0.2,) * d),
        Pressure("right", 0.3),
        Pressure("top", -0.7, lambda s: s * s),
        Foundation("bottom", 1.0, 0.4),
    ]
    loads = Loads(mesh, u, kinds)
    random = np.random.default_rng(0)
    at, direction = 0.1 * random.standard_normal((2, u.x.array.size))
    vector = petsc_fem.create_vector(u.function_space)

    def forces(step: float, load_factor: float) -> np.ndarray:
        u.x.array[:] = at + step * direction
        loads.set_load_factor(load_factor)
        vector.set(0.0)
        loads.add_forces(vector)
        return np.array(vector.array_r)

    h = 1e-5
    by_u = (forces(h, 0.7) - forces(-h, 0.7)) / (2 * h)
    by_load_factor = (forces(0.0, 0.7 + h) - forces(0.0, 0.7 - h)) / (2 * h)
    before = forces(0.0, 0.7)
    tangent = petsc_fem.assemble_matrix(loads.tangent)
    tangent.assemble()
    x, product = vector.duplicate(), vector.duplicate()
    x.array[:] = direction
    tangent.mult(x, product)
    assert np.abs(product.array + by_u).max() <= 1e-8 * np.abs(by_u).max()
    loads.rate(product, 0.7)
    assert np.abs(product.array - by_load_factor).max() <= 1e-9 * np.abs(by_load_factor).max()
    assert np.array_equal(forces(0.0, 0.7), before)  # asking for a rate changes nothing
    assert not loads.conservative and not loads.constant


def test_pressure_pushes_onto_the_deformed_surface(cube: fem.Mesh) -> None:
    # all round: F = stretch I with P = -pressure stretch^2 I
    pressure = 0.8
    body = fem.Solid(cube, LAW, degree=1)
    for side in ("left", "front", "bottom"):
        body.symmetry(side)
    for side in ("right", "back", "top"):
        body.pressure(side, pressure)
    solution = body.solve()
    stretch = 1.0 + solution.probe([1.0, 1.0, 1.0])[0]
    assert np.allclose(stretch, stretch[0], rtol=1e-12)
    assert LAW.evaluate(stretch[0] * np.eye(3)[None]).first_piola[0, 0, 0] == pytest.approx(-pressure * stretch[0] ** 2)
    assert stretch[0] < 0.95


def test_pressure_turns_with_the_body(cube: fem.Mesh) -> None:
    # the same block, once held still and once turned on its way by more than half a turn
    def pressed(angle: float) -> fem.Solution:
        body = fem.Solid(cube, LAW, degree=1)
        body.rotate("left", angle, (0.0, 0.0, 1.0), centre=(0.0, 0.0, 0.0))
        body.pressure("right", 0.2)
        body.pressure("top", 0.1)
        return body.solve(load_steps=1 if angle == 0.0 else 10)

    point = np.array([1.0, 0.7, 0.6])
    still, turned = (point + pressed(angle).probe(point)[0] for angle in (0.0, 3.5))
    R = np.array([[np.cos(3.5), -np.sin(3.5), 0.0], [np.sin(3.5), np.cos(3.5), 0.0], [0.0, 0.0, 1.0]])
    assert np.allclose(turned, R @ still, atol=1e-9)
    assert not np.allclose(still, point, atol=1e-2)


def test_reactions_balance_the_loads(cube: fem.Mesh) -> None:
    body = fem.Solid(cube, LAW, degree=2)
    body.clamp("left")
    body.prescribe("right", (None, 0.0, None))
    body.traction("right", (0.05, 0.0, -0.1))
    body.body_force((0.02, 0.03, -0.04))
    step = body.solve().steps[-1]
    total = np.add(step.reactions["left"], step.reactions["right"])
    assert np.allclose(total, [-0.07, -0.03, 0.14], atol=1e-9)
    assert step.reactions["right"][0] == step.reactions["right"][2] == 0.0  # free components react to nothing


def test_foundation_carries_the_load(cube: fem.Mesh) -> None:
    # springs alone hold the block; uniaxial along x
    body = fem.Solid(cube, SLENDER, degree=1)
    body.foundation("left", normal=4.0, tangential=1.0)
    body.traction("right", (0.3, 0.0, 0.0))  # pushed, it would topple
    solution = body.solve()
    assert np.allclose(solution.probe([[0.0, 0.0, 0.0], [0.0, 1.0, 0.3]]), [[0.3 / 4.0, 0.0, 0.0]] * 2, atol=1e-12)
    assert solution.steps[-1].reactions == {}
    # the other way round: shear is carried by the other springs
    body = fem.Solid(cube, LAW, degree=1)
    body.foundation("left", normal=4.0, tangential=1.0)
    body.traction("right", (0.0, 0.02, 0.0))
    u = body.solve().probe([[0.0, y, z] for y in (0.0, 0.5, 1.0) for z in (0.0, 0.5, 1.0)])[:, 1]
    area = np.outer([1, 2, 1], [1, 2, 1]).reshape(-1) / 16.0
    assert area @ u == pytest.approx(0.02, rel=1e-9)


def test_springs_leave_what_they_do_not_hold(cube: fem.Mesh) -> None:
    body = fem.Solid(cube, LAW, degree=1)
    body.foundation("left", normal=1.0)
    with pytest.raises(fem.ConditionError, match="leave a rigid motion free"):
        body.solve()
    body.foundation("front", normal=1.0)
    body.foundation("bottom", normal=1.0)
    assert body.solve().iterations == 0


def test_motion_as_a_function_of_the_load_factor(cube: fem.Mesh) -> None:
    body = fem.Solid(cube, LAW, degree=1)
    body.clamp("left")
    body.move(
        "right", lambda X, s: np.array([0 * X[0] + 0.1 * s, np.sin(s) * (X[1] - 0.5), np.full(X.shape[1], np.nan)])
    )
    body.watch("corner", (1.0, 1.0, 1.0))
    steps = body.solve(load_steps=4).steps
    assert len(steps) == 4
    for step in steps:
        s = step.load_factor
        assert step.probes["corner"][:2] == pytest.approx((0.1 * s, 0.5 * np.sin(s)), abs=1e-12)
        assert step.reactions["right"][2] == 0.0


def test_rotation_by_more_than_a_turn(cube: fem.Mesh) -> None:
    # a body turned as a whole bears no stress, however far it has gone
    body = fem.Solid(cube, LAW, degree=1)
    body.rotate("left", 2.5 * np.pi, (1.0, 2.0, -1.0), along=0.3)
    solution = body.solve(load_steps=8)
    axis = np.array([1.0, 2.0, -1.0]) / np.sqrt(6.0)
    X, centre = np.array([1.0, 0.2, 0.9]), np.array([0.0, 0.5, 0.5])
    r = X - centre
    turned = axis * (axis @ r) + np.cross(axis, r)  # by a quarter beyond the full turn
    assert np.allclose(X + solution.probe(X)[0], centre + turned + 0.3 * axis, atol=1e-9)
    assert abs(solution.energy) <= 1e-12


def test_rotation_in_the_plane_with_free_axis() -> None:
    mesh = unit_mesh("quadrilateral", 2)
    body = fem.Solid(mesh, LAW, degree=1)
    body.rotate("boundary", np.pi / 2, centre=(0.0, 0.0))
    assert np.allclose(body.solve(load_steps=4).probe([1.0, 0.0]), [[-1.0, 1.0]], atol=1e-12)


def test_closed_cycle_of_loads_conserves_energy(cube: fem.Mesh) -> None:
    # a traction rises and falls, and a rotation rises after it and falls before it: the way back is another one
    body = fem.Solid(cube, LAW, degree=1)
    body.clamp("left")
    body.traction("top", (0.0, 0.0, -0.2), cycle)
    body.rotate("right", 0.4, (1.0, 0.0, 0.0), along=None, schedule=lambda s: cycle(s) * s)
    steps = body.solve(load_steps=8).steps
    most = max(step.energy for step in steps)
    assert most > 1e-3
    assert abs(steps[-1].energy) <= 1e-10 * most


def test_work_and_energy_balance(cube: fem.Mesh) -> None:
    def imbalance(load_steps: int) -> float:
        body = fem.Solid(cube, LAW, degree=1)
        body.foundation("bottom", normal=0.5)
        body.clamp("left")
        body.traction("top", (0.3, 0.1, 0.0))
        body.rotate("right", 0.3, (1.0, 0.0, 0.0), along=None)
        body.body_force((0.0, 0.0, -0.1), lambda s: s * s)
        solution = body.solve(load_steps)
        return abs(solution.work / solution.energy - 1.0)

    coarse, fine = imbalance(8), imbalance(16)
    assert coarse < 1e-3
    assert 3.6 < coarse / fine < 4.4  # the trapezoidal rule: to the square of the step


def test_work_of_a_closed_cycle_which_retraces_itself(cube: fem.Mesh) -> None:
    body = fem.Solid(cube, LAW, degree=1)
    body.clamp("left")
    body.traction("right", (0.4, 0.0, -0.2), lambda s: min(s, 1.0 - s) if 0.0 < s < 1.0 else 0.0)
    steps = body.solve(load_steps=8).steps
    most = max(step.work for step in steps)
    assert abs(steps[-1].work) <= 1e-10 * most
    assert abs(steps[-1].energy) <= 1e-10 * most


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda b: b.pressure("right", np.nan), "the pressure on 'right' is .*expected finite"),
        (lambda b: b.pressure("wall", 1.0), "no surface named 'wall'"),
        (lambda b: b.body_force((1.0, 2.0)), "the body force has 2 components"),
        (lambda b: b.foundation("right"), r"stiffness 0.0 along and 0.0 across its normal"),
        (lambda b: b.foundation("right", normal=-1.0), "expected numbers of at least 0"),
        (lambda b: b.rotate("right", 1.0, (0.0, 0.0, 0.0)), "the axis of the rotation of 'right'"),
        (lambda b: b.rotate("right", 1.0, (1.0, 1.0, 0.0), along=None), "expected an axis along x, y or z"),
        (lambda b: b.rotate("right", np.inf), "expected a finite angle"),
        (
            lambda b: b.traction("right", (1.0, 0.0, 0.0), lambda s: 1.0),
            "schedule of the traction on 'right' is 1 at load factor 0",
        ),
        (lambda b: b.watch("tip", (1.0, 1.0)), "the point 'tip' has 2 components"),
        (lambda b: b.solve(first_step=0.0), "first_step is 0.0"),
        (lambda b: b.trace(steps=0), "steps is 0"),
        (lambda b: b.trace(first_step=-1.0), "first_step is -1.0"),
    ],
)
def test_bad_arguments(cube: fem.Mesh, call: Callable[[fem.Solid], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call(fem.Solid(cube, LAW))


@pytest.mark.parametrize(
    ("motion", "message"),
    [
        (lambda X, s: X[:2], "returned shape"),
        (lambda X, s: 0.1 + 0.0 * X, "is not zero at load factor 0"),
        (lambda X, s: np.where(X > 0.5, np.nan, s), "returned NaN at some nodes or load factors only"),
        (lambda X, s: 0.1 * s * s * X[0] * np.ones((3, 1)), "'right' prescribes u_x = .* where another support"),
    ],
)
def test_bad_motions(cube: fem.Mesh, motion: fem.supports.Motion, message: str) -> None:
    body = fem.Solid(cube, LAW, degree=1)
    body.clamp("left")
    body.prescribe("top", lambda X: 0.1 * X[0] * np.ones((3, 1)))
    body.move("right", motion)
    with pytest.raises(fem.ConditionError, match=message):
        body.solve()


def test_loads_of_nothing(cube: fem.Mesh) -> None:
    body = fem.Solid(cube, LAW, degree=1)
    body.clamp("left")
    body.traction("right", (0.0, 0.0, 0.0))
    body.pressure("top", 0.0)
    body.body_force((0.0, 0.0, 0.0))
    solution = body.solve()
    assert solution.iterations == 0
    assert not solution.displacement.x.array.any()


@pytest.mark.parametrize("size", [1e-9, 1e-14, 1e-20])
def test_small_loads_are_loads(cube: fem.Mesh, size: float) -> None:
    # far below the round-off of forces at large strain: the body moves in proportion nevertheless
    def tip(size: float) -> np.ndarray:
        body = fem.Solid(cube, LAW, degree=1)
        body.clamp("left")
        body.traction("right", (0.0, 0.0, size))
        return np.asarray(body.solve().probe([1.0, 0.5, 0.5])[0] / size)

    assert np.allclose(tip(size), tip(1e-6), rtol=1e-5, atol=1e-5)
