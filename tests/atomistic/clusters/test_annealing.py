"""Dynamics that cool: equipartition at a constant temperature, a double well found, the same again from the same seed."""

import numpy as np
import pytest

from atomistic.clusters import AnnealingDiverged, anneal
from atomistic.clusters.surface import Positions

STIFFNESS = 3.0


def springs(positions: Positions) -> tuple[float, Positions]:
    """Each coordinate on a spring of its own."""
    return 0.5 * STIFFNESS * float((positions**2).sum()), -STIFFNESS * positions


def tilted(positions: Positions) -> tuple[float, Positions]:
    """x^4 - 2 x^2 + 0.4 x for each coordinate: two minima, the lower one at x = -1.05."""
    energy = positions**4 - 2.0 * positions**2 + 0.4 * positions
    return float(energy.sum()), -(4.0 * positions**3 - 4.0 * positions + 0.4)


def test_equipartition_at_a_constant_temperature() -> None:
    """<k x^2> = T in each of 3000 degrees of freedom: within four standard errors, T sqrt(2/3000)."""
    generator = np.random.default_rng(0)
    end = anneal(
        springs, np.zeros((1000, 3)), hot=0.7, cold=0.7, steps=300, generator=generator, timestep=0.1, friction=0.3
    )
    assert STIFFNESS * (end**2).mean() == pytest.approx(0.7, abs=4 * 0.7 * np.sqrt(2.0 / 3000.0))


def test_cooling_ends_in_the_lower_well_and_quenching_at_once_does_not() -> None:
    start = np.ones((100, 3))
    slow, fast = (
        anneal(
            tilted,
            start,
            hot=hot,
            cold=0.02,
            steps=4000,
            generator=np.random.default_rng(1),
            timestep=0.05,
            friction=0.3,
        )
        for hot in (0.6, 0.02)
    )
    assert (slow < 0.0).mean() > 0.85 and (fast > 0.0).all()


def test_a_seed_repeats_the_run() -> None:
    runs = [
        anneal(springs, np.ones((4, 3)), hot=1.0, cold=0.1, steps=50, generator=np.random.default_rng(seed))
        for seed in (3, 3, 4)
    ]
    assert np.array_equal(runs[0], runs[1]) and not np.allclose(runs[0], runs[2])


@pytest.mark.parametrize(
    "hot, cold, steps, timestep, friction",
    [
        (0.1, 0.5, 10, 0.1, 0.1),
        (1.0, 0.0, 10, 0.1, 0.1),
        (1.0, 0.5, 0, 0.1, 0.1),
        (1.0, 0.5, 10, -0.1, 0.1),
        (1.0, 0.5, 10, 0.1, 0.0),
        (np.nan, 0.5, 10, 0.1, 0.1),
    ],
)
def test_numbers_that_make_no_sense_are_refused(
    hot: float, cold: float, steps: int, timestep: float, friction: float
) -> None:
    with pytest.raises(ValueError, match="expected positive"):
        anneal(
            springs,
            np.ones((2, 3)),
            hot=hot,
            cold=cold,
            steps=steps,
            generator=np.random.default_rng(0),
            timestep=timestep,
            friction=friction,
        )


def test_a_time_step_too_long_is_told() -> None:
    with pytest.raises(AnnealingDiverged, match="shorter time step"):
        anneal(
            springs, np.ones((2, 3)), hot=1.0, cold=0.5, steps=2000, generator=np.random.default_rng(0), timestep=2.0
        )
