"""Averages of correlated samples: error bars of series whose error is known, correlated, anticorrelated and oscillating."""

import numpy as np
import pytest
from scipy.signal import lfilter

from atomistic import time_average
from atomistic.time_series import TooFewSamples, statistical_inefficiency

REPETITIONS = 400


def autoregression(
    samples: int, coefficients: list[float], generator: np.random.Generator, repetitions: int = REPETITIONS
) -> np.ndarray:
    """x_t = sum_k a_k x_{t-k} + noise of unit variance, stationary; its density at frequency zero is 1 / (1 - sum a)^2."""
    start = 2000
    noise = generator.normal(size=(start + samples, repetitions))
    return np.asarray(lfilter([1.0], [1.0, *(-a for a in coefficients)], noise, axis=0)[start:])


def vibration(samples: int, generator: np.random.Generator) -> np.ndarray:
    """A damped oscillator that noise excites: period 12, life time 40 samples."""
    damping, frequency = np.exp(-1.0 / 40.0), 2.0 * np.pi / 12.0
    return autoregression(samples, [2.0 * damping * np.cos(frequency), -(damping**2)], generator)


def covered(series: np.ndarray, stated: np.ndarray) -> tuple[float, float]:
    """How often the true mean, zero, lies within one and two stated errors."""
    deviations = np.abs(series.mean(axis=0)) / stated
    return float(np.mean(deviations < 1.0)), float(np.mean(deviations < 2.0))


@pytest.mark.parametrize("correlation", [-0.8, -0.4, 0.0, 0.5, 0.9])
def test_inefficiency_of_an_autoregression(correlation: float) -> None:
    g = statistical_inefficiency(autoregression(4000, [correlation], np.random.default_rng(0), 100))
    assert np.median(g) == pytest.approx((1.0 + correlation) / (1.0 - correlation), rel=0.2)
    assert (g > 0.0).all()


@pytest.mark.parametrize("kind", ["white", "relaxing", "alternating", "vibrating", "vibrating while it relaxes"])
def test_standard_errors_cover(kind: str) -> None:
    """68 and 95 %. Naive errors of the third and fourth are two to three times too large, nor do sums cut off at negative terms help."""
    generator, n = np.random.default_rng(1), 2000
    if kind == "vibrating":
        series = vibration(n, generator)
    elif kind == "vibrating while it relaxes":
        # a tenth of the variance lasts longer than the vibration, and makes most of the error
        fast = vibration(n, generator)
        slow = autoregression(n, [np.exp(-1.0 / 25.0)], generator)
        series = fast / fast.std() + 0.3 * slow / slow.std()
    else:
        correlation = {"white": 0.0, "relaxing": 0.8, "alternating": -0.8}[kind]
        series = autoregression(n, [correlation], generator)
    g = statistical_inefficiency(series)
    within = covered(series, series.std(axis=0) * np.sqrt(g / n))
    naive = covered(series, series.std(axis=0) / np.sqrt(n))
    assert 0.60 < within[0] < 0.78 and 0.89 < within[1] < 0.99
    if kind in ("alternating", "vibrating"):
        assert naive[0] > 0.9 and np.median(g) < 0.4


def test_the_start_that_is_chosen_leaves_errors_honest() -> None:
    series = autoregression(600, [0.8], np.random.default_rng(2), 80)
    averages = [time_average(column[:, None]) for column in series.T]
    deviations = np.array([abs(average.mean[0]) / average.standard_error[0] for average in averages])
    assert 0.55 < np.mean(deviations < 1.0) < 0.80
    assert 0.88 < np.mean(deviations < 2.0) < 0.99


def test_columns_do_not_know_each_other() -> None:
    series = autoregression(300, [0.7], np.random.default_rng(3), 4)
    together = statistical_inefficiency(series)
    alone = [statistical_inefficiency(column[:, None])[0] for column in series.T]
    np.testing.assert_allclose(together, alone, rtol=1e-10)
    # neither their origin, nor their unit
    np.testing.assert_allclose(statistical_inefficiency(5.0 + 1e-3 * series), together, rtol=1e-8)
    assert statistical_inefficiency(np.full((50, 1), 3.0)).tolist() == [1.0]


def test_equilibration_is_left_out() -> None:
    series = autoregression(1000, [0.5], np.random.default_rng(2), 1)
    series[:200, 0] += 20.0 * np.exp(-np.arange(200) / 40.0)
    average = time_average(series)
    assert 100 <= average.equilibration <= 500
    assert abs(average.mean[0]) < 4.0 * average.standard_error[0]


def test_too_few_samples_are_refused() -> None:
    with pytest.raises(TooFewSamples, match="10 samples"):
        time_average(np.zeros((10, 1)))
    with pytest.raises(TooFewSamples, match="independent samples"):
        time_average(np.linspace(0.0, 1.0, 100)[:, None])
