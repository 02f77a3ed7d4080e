"""Surface hopping and wave packets: conservation, the formula of Landau and Zener, and each other."""

import numpy as np
import pytest

from atomistic.excited import GridTooSmall, StepTooLong, propagate, start_on, surface_hopping
from atomistic.excited.models import TULLY, TULLY_MASS, LinearVibronicCoupling

from .models import LinearCrossing

SIMPLE = TULLY["simple avoided crossing"]


def test_landau_and_zener() -> None:
    """Fast through a linear crossing: exp(-2 pi V^2 / (v |F1 - F2|)) stay on their diabat (Zener, Proc. R. Soc. A 137 (1932) 696)."""
    model, velocity, mass = LinearCrossing(), 0.02, 1e5
    expected = np.exp(-2.0 * np.pi * model.coupling**2 / (velocity * 2.0 * model.slope))
    count = 400
    swarm = start_on(model, 0, np.full((count, 1), -14.0), np.full((count, 1), velocity))
    run = surface_hopping(model, swarm, masses=np.array([mass]), timestep=2.0, steps=700, seed=1, region=14.0)
    # trajectories share their amplitudes but for the little that a hop changes the velocity; oscillations fall as 1 / x
    assert run.populations[-1, 1] == pytest.approx(expected, abs=0.02)
    error = np.sqrt(expected * (1.0 - expected) / count)
    assert run.active[-1, 1] == pytest.approx(expected, abs=0.02 + 3.0 * error)
    assert run.norm_drift < 1e-8


def test_energy_is_conserved_hops_included_and_falls_with_the_step() -> None:
    drifts = []
    for timestep in (8.0, 4.0):
        swarm = start_on(SIMPLE, 0, np.full((60, 1), -5.0), np.full((60, 1), 10.0 / TULLY_MASS))
        run = surface_hopping(
            SIMPLE,
            swarm,
            masses=np.array([TULLY_MASS]),
            timestep=timestep,
            steps=int(2400 / timestep),
            seed=2,
            region=5.0,
        )
        assert run.hops > 10
        assert run.norm_drift < 1e-8
        drifts.append(run.energy_drift)
    assert drifts[1] < 1e-4 * 0.5 * 100.0 / TULLY_MASS
    assert drifts[1] < 0.5 * drifts[0]


def test_hops_without_the_energy_are_not_made() -> None:
    """Below the threshold of the upper state no trajectory ends there."""
    swarm = start_on(SIMPLE, 0, np.full((60, 1), -5.0), np.full((60, 1), 7.0 / TULLY_MASS))
    run = surface_hopping(SIMPLE, swarm, masses=np.array([TULLY_MASS]), timestep=6.0, steps=900, seed=3, region=5.0)
    assert run.frustrated > 0
    assert run.channels()[:, 1].sum() == 0.0
    assert run.channels().sum() == 1.0


def test_a_packet_keeps_its_norm_and_spreads_as_it_should() -> None:
    model = LinearCrossing(slope=0.0, coupling=0.3)  # two flat surfaces
    packet = propagate(model, position=-5.0, momentum=6.0, width=1.0, mass=20.0, timestep=0.5, steps=40, points=512)
    np.testing.assert_allclose(packet.populations, np.tile([1.0, 0.0], (len(packet.times), 1)), atol=1e-12)
    density = np.sum(np.abs(packet.end) ** 2, axis=1) * (packet.grid[1] - packet.grid[0])
    mean = density @ packet.grid
    assert mean == pytest.approx(-5.0 + 6.0 * 20.0 / 20.0, abs=1e-9)
    assert density @ (packet.grid - mean) ** 2 == pytest.approx(1.0 + (20.0 / (2.0 * 20.0)) ** 2, rel=1e-9)


def test_hopping_agrees_with_the_packet_on_a_single_crossing() -> None:
    momentum, count = 20.0, 300
    packet = propagate(
        SIMPLE,
        position=-6.0,
        momentum=momentum,
        width=10.0 / momentum,
        mass=TULLY_MASS,
        timestep=5.0,
        steps=240,
        edge=30.0,
    )
    generator = np.random.default_rng(4)
    width = 10.0 / momentum
    positions = generator.normal(-6.0, width, (count, 1))
    velocities = generator.normal(momentum, 0.5 / width, (count, 1)) / TULLY_MASS
    run = surface_hopping(
        SIMPLE,
        start_on(SIMPLE, 0, positions, velocities),
        masses=np.array([TULLY_MASS]),
        timestep=3.0,
        steps=600,
        seed=5,
        region=6.0,
    )
    quantum = packet.channels[1, 1]
    assert packet.channels.sum() == pytest.approx(1.0, abs=1e-10)
    assert run.channels()[1, 1] == pytest.approx(quantum, abs=3.0 * np.sqrt(quantum * (1.0 - quantum) / count) + 0.02)


def test_nonsense_is_refused() -> None:
    swarm = start_on(SIMPLE, 0, np.full((3, 1), -0.5), np.full((3, 1), 10.0 / TULLY_MASS))
    with pytest.raises(ValueError, match="positive masses"):
        surface_hopping(SIMPLE, swarm, masses=np.array([-1.0]), timestep=1.0, steps=1, seed=0)
    with pytest.raises(StepTooLong, match="take a timestep below 200"):
        surface_hopping(SIMPLE, swarm, masses=np.array([TULLY_MASS]), timestep=200.0, steps=20, seed=0)
    with pytest.raises(ValueError, match="state 2"):
        start_on(SIMPLE, 2, np.zeros((1, 1)), np.zeros((1, 1)))
    with pytest.raises(ValueError, match="expected one"):
        propagate(LinearVibronicCoupling(), position=0.0, momentum=1.0, width=1.0, mass=1.0, timestep=1.0, steps=1)
    with pytest.raises(ValueError, match="more points"):
        propagate(SIMPLE, position=0.0, momentum=1e3, width=1.0, mass=1.0, timestep=1.0, steps=1)
    with pytest.raises(GridTooSmall, match="take a wider grid"):
        propagate(SIMPLE, position=-5.0, momentum=20.0, width=0.5, mass=TULLY_MASS, timestep=5.0, steps=400, edge=8.0)
