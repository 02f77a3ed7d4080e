"""The discrete model: minimax paths against all paths, a class that contains the landscape and one that does not."""

from itertools import product

import numpy as np
import pytest
from jaxtyping import Float
from numpy import ndarray

from atomistic.paths.lattice import (
    LEAPS,
    ClusterExpansion,
    InvalidLandscape,
    cluster_products,
    fit_cluster_expansion,
    minimax_path,
)

COUNTS = tuple(2 ** (3 + leap) for leap in LEAPS)


def landscape(order: int, seed: int) -> ClusterExpansion:
    """Random, with hops well above the sites."""
    generator = np.random.default_rng(seed)
    coefficients = []
    for leap in LEAPS:
        width = cluster_products(np.ones(3 + leap, dtype=int), leap, order).shape[1]
        own = generator.normal(0.0, 0.05, width)
        own[0] = 2.0 * leap
        coefficients.append(own)
    return ClusterExpansion(order, tuple(coefficients))


def lines(count: int, sites: int, seed: int) -> list[ndarray]:
    generator = np.random.default_rng(seed)
    return [generator.choice([-1, 1], sites) for _ in range(count)]


def every_path(sites: Float[ndarray, "_"], hops: dict[tuple[int, int], float]) -> float:
    """The least highest hop by trying all ways up the line and down again."""
    best = np.inf
    both = {**hops, **{hop[::-1]: e for hop, e in hops.items()}}

    def walk(k: int, seen: frozenset[int], highest: float) -> None:
        nonlocal best
        if k == len(sites) - 1:
            best = min(best, highest)
        for (a, b), e in both.items():
            if a == k and b not in seen:
                walk(b, seen | {b}, max(highest, e))

    walk(0, frozenset([0]), -np.inf)
    return float(best - sites[0])


@pytest.mark.parametrize("seed", range(5))
def test_against_all_paths(seed: int) -> None:
    generator = np.random.default_rng(seed)
    sites = generator.uniform(0.0, 1.0, 7)
    hops = {(k, k + leap): generator.uniform(1.0, 2.0) for leap in (1, 2) for k in range(7 - leap)}
    found = minimax_path(sites, hops, 0, 6)
    assert found.barrier == every_path(sites, hops)
    tops = [hops[min(a, b), max(a, b)] for a, b in zip(found.sites, found.sites[1:], strict=False)]
    assert max(tops) - sites[0] == found.barrier


def test_a_leap_over_a_wall() -> None:
    found = minimax_path([0.0, 0.2, 0.1], {(0, 1): 0.9, (1, 2): 0.4, (0, 2): 0.7}, 0, 2)
    assert found.sites == (0, 2) and found.barrier == 0.7
    assert minimax_path([0.0, 0.2, 0.1], {(0, 1): 0.5, (1, 2): 0.4, (0, 2): 0.7}, 2, 0).barrier == 0.5 - 0.1


def test_class_that_contains_the_landscape() -> None:
    """The barriers of lines that the fit has not seen are exact."""
    truth = landscape(2, 0)
    seen = lines(40, 12, 1)
    labels = [tuple(truth.energies(kinds, leap) for leap in LEAPS) for kinds in seen]
    for order in (2, 3):
        fit = fit_cluster_expansion(seen, labels, order)
        for kinds in lines(50, 14, 2):
            assert fit.path(kinds).barrier == pytest.approx(truth.path(kinds).barrier, abs=1e-10)
            assert fit.path(kinds).sites == truth.path(kinds).sites


@pytest.mark.parametrize(("order", "fitted"), [(3, 2), (2, 1), (3, 1)])
def test_class_that_does_not(order: int, fitted: int) -> None:
    """With every arrangement once, the error is the norm of what the class leaves out; barriers are wrong by that order."""
    truth = landscape(order, 3)
    errors = []
    for leap in LEAPS:
        everything = [np.array(kinds) for kinds in product((-1, 1), repeat=3 + leap)]
        short = [cluster_products(kinds, leap, fitted) for kinds in everything]
        energies = np.concatenate([truth.energies(kinds, leap) for kinds in everything])
        residual = energies - np.vstack(short) @ np.linalg.lstsq(np.vstack(short), energies)[0]
        missing = truth.coefficients[leap][short[0].shape[1] :]
        assert np.sqrt(np.mean(residual**2)) == pytest.approx(np.linalg.norm(missing), rel=1e-9)
        errors.append(np.linalg.norm(missing))
    seen = lines(200, 30, 4)
    fit = fit_cluster_expansion(seen, [tuple(truth.energies(kinds, leap) for leap in LEAPS) for kinds in seen], fitted)
    wrong = [fit.path(kinds).barrier - truth.path(kinds).barrier for kinds in lines(50, 14, 5)]
    assert 0.3 * min(errors) < np.sqrt(np.mean(np.square(wrong))) < 3.0 * max(errors)


def test_bad_landscapes() -> None:
    with pytest.raises(InvalidLandscape, match="from site 1 to 1"):
        minimax_path([0.0, 0.0], {(0, 1): 1.0}, 1, 1)
    with pytest.raises(InvalidLandscape, match="not a minimum"):
        minimax_path([0.0, 0.5], {(0, 1): 0.4}, 0, 1)
    with pytest.raises(InvalidLandscape, match="NaN"):
        minimax_path([0.0, 0.5], {(0, 1): float("nan")}, 0, 1)
    with pytest.raises(InvalidLandscape, match="no hops lead"):
        minimax_path([0.0, 0.0, 0.0], {(0, 1): 1.0}, 0, 2)
    with pytest.raises(InvalidLandscape, match="expected a line of 3 or more of -1 and 1"):
        cluster_products(np.array([0, 1, 1]), 0, 1)
    truth = landscape(2, 0)
    few = lines(1, 6, 0)
    with pytest.raises(InvalidLandscape, match="determine"):
        fit_cluster_expansion(few, [tuple(truth.energies(k, leap) for leap in LEAPS) for k in few], 2)
