"""What a law costs a point: the orbit network in C and in numpy beside neo-Hooke, in turns, one thread."""

import time
from collections.abc import Callable
from statistics import median

import numpy as np

from fem.laws import NeoHooke
from multiscale.design import strain_design
from multiscale.orbit_network import OrbitLaw
from multiscale.symmetry import PointGroup

POINTS, ROUNDS = 20_000, 7
NEURONS = (8, 12, 16)


def measure() -> dict[str, float]:
    """Microseconds a point: energy, stress and tangent, and energy and stress alone."""
    F = strain_design(POINTS, 0.06, seed=0)
    contestants: dict[str, Callable[[], object]] = {}
    for neurons in NEURONS:
        law = silicon_like(neurons)
        if law.backend == "c":
            contestants[f"orbit_{neurons}_c_us"] = lambda law=law: law.evaluate(F)
            contestants[f"orbit_{neurons}_c_stress_only_us"] = lambda law=law: law.evaluate(F, tangent=False)
        contestants[f"orbit_{neurons}_numpy_us"] = lambda law=law: law.terms.evaluate(F, tangent=True)
    neo_hooke = NeoHooke(mu=60.0, lmbda=70.0)
    contestants["neo_hooke_numpy_us"] = lambda: neo_hooke.evaluate(F)
    for run in contestants.values():
        run()  # compiles, and touches the memory
    rounds: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(ROUNDS):
        for name, run in contestants.items():
            start = time.perf_counter()
            run()
            rounds[name].append(1e6 * (time.perf_counter() - start) / POINTS)
    numbers = {name: median(times) for name, times in rounds.items()}
    if "orbit_12_c_us" in numbers:
        numbers["c_over_numpy_12"] = numbers["orbit_12_numpy_us"] / numbers["orbit_12_c_us"]
    return numbers


def silicon_like(neurons: int) -> OrbitLaw:
    """A cubic law with random neurons; its cost is that of a fitted one."""
    group = PointGroup.named("m-3m")
    rng = np.random.default_rng(neurons)
    constants = np.diag([75.0, 75.0, 75.0, 56.0, 56.0, 56.0])
    constants[:3, :3] += 76.0
    return OrbitLaw(
        symmetry=group,
        weights=rng.normal(size=(neurons, 6)) * 30.0,
        biases=rng.normal(size=neurons),
        amplitudes=rng.normal(size=neurons) * 0.2,
        constants=group.project_stiffness(constants),
        growth_modulus=500.0,
        growth_threshold=0.8,
    )
