"""Averages of correlated time series with honest error bars.

The mean of n samples has the variance S(0) / n, S(0) = c_0 + 2 sum_t c_t the spectral density at frequency zero, c_t the
autocovariance; g = S(0) / c_0, the statistical inefficiency, is how many consecutive samples make an independent one. It is below one
where consecutive samples take turns above and below the mean. The sum itself is hopelessly noisy, and so is it cut off at its first
negative terms where the series oscillates: stresses of crystals do. An autoregression of order p,

    x_t = sum_k a_k x_{t-k} + noise of variance v,        S(0) = v / (1 - sum_k a_k)^2,

represents decays and damped oscillations alike, positive or negative, and finds S(0) with the relative variance (4 p + 2) / n
(K. N. Berk, Ann. Stat. 2 (1974) 489); M. B. Thompson, arXiv:1011.0175, compares it with blocking, spectrum fits and initial sequences,
and prefers it. Coefficients are those of Yule and Walker by Levinson's recursion, p is the least AICc (C. M. Hurvich and C.-L. Tsai,
Biometrika 76 (1989) 297).

A slow part of small variance (temperature that a thermostat exchanges, under the vibrations) hardly helps to predict the next sample,
hence p is too low for it. It shows in averages of blocks (H. Flyvbjerg and H. G. Petersen, J. Chem. Phys. 91 (1989) 461), which leave S(0)
as it is: blocks double as long as `FEWEST_BLOCKS` remain, and where they raise S(0) by more than its standard error, they are right.

As equilibration the shortest start is thrown away that leaves nearly the most independent samples, n/g (J. D. Chodera, J. Chem. Theory
Comput. 12 (2016) 1799).
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float
from numpy import ndarray

FEWEST_BLOCKS: Final = 40
"""An autoregression of fewer numbers says nothing."""


ALIKE: Final = 0.9
"""Starts that leave this share of the most independent samples are as good: the estimate scatters so much, and the greatest flatters."""


class TooFewSamples(ValueError):
    """A time series too short to tell its own error."""


@dataclass(frozen=True)
class TimeAverage:
    """Mean of several observables sampled together.

    Attributes:
        mean: averages after equilibration.
        standard_error: their standard errors, autocorrelation included.
        equilibration: samples left out at the start.
        inefficiency: statistical inefficiency g of each observable, in samples; below one where samples are anticorrelated.
    """

    mean: Float[ndarray, "observables"]
    standard_error: Float[ndarray, "observables"]
    equilibration: int
    inefficiency: Float[ndarray, "observables"]


def statistical_inefficiency(series: Float[ndarray, "samples observables"]) -> Float[ndarray, "observables"]:
    """g > 0 of stationary series, one a column; 1 for a constant one."""
    blocks = series - series.mean(axis=0)
    variance = np.mean(blocks**2, axis=0)
    varying = variance > 1e-28 * np.maximum(1.0, np.abs(series).max(axis=0) ** 2)
    g = np.ones(series.shape[1])
    if not varying.any():
        return g
    blocks = blocks[:, varying]
    found, _ = density_at_zero(blocks)
    size = 1
    while len(blocks) >= 2 * FEWEST_BLOCKS:
        # an odd sample is left out at the start, where equilibration matters most
        blocks = 0.5 * (blocks[len(blocks) % 2 :: 2] + blocks[len(blocks) % 2 + 1 :: 2])
        size *= 2
        density, relative_error = density_at_zero(blocks)
        found = np.where(size * density > found * (1.0 + relative_error), size * density, found)
    g[varying] = found / variance[varying]
    return g


def density_at_zero(series: Float[ndarray, "n m"]) -> tuple[Float[ndarray, "m"], Float[ndarray, "m"]]:
    """S(0) of each column by an autoregression, and its relative standard error."""
    n, m = series.shape
    highest = min(n // 4, int(10.0 * np.log10(n)))
    centred = series - series.mean(axis=0)
    spectrum = np.fft.rfft(centred, 2 * n, axis=0)
    # dividing by n, not n - t, keeps the sequence positive definite, and |a| stable
    c = np.fft.irfft(np.abs(spectrum) ** 2, axis=0)[: highest + 1] / n
    a, v = np.zeros((0, m)), c[0]
    least, density, order = np.full(m, np.inf), c[0], np.zeros(m)
    for p in range(highest + 1):
        if p > 0:
            reflection = (c[p] - np.einsum("km,km->m", a, c[p - 1 : 0 : -1])) / v
            a = np.concatenate([a - reflection * a[::-1], reflection[None]])
            v = v * (1.0 - reflection**2)
        criterion = n * np.log(v) + 2.0 * n * (p + 1) / (n - p - 2)
        better = criterion < least
        least = np.where(better, criterion, least)
        density = np.where(better, v / (1.0 - a.sum(axis=0)) ** 2, density)
        order = np.where(better, p, order)
    return density, np.sqrt((4.0 * order + 2.0) / n)


def time_average(series: Float[ndarray, "samples observables"], *, candidates: int = 20) -> TimeAverage:
    """Mean and standard error of each column after the shortest equilibration that leaves nearly the most independent samples.

    One start serves all columns, by the smallest n/g among them; at most half of the series is left out.

    Raises:
        TooFewSamples: for fewer than 20 samples, or fewer than 5 independent ones.
    """
    samples = len(series)
    if samples < 20:
        raise TooFewSamples(f"the series has {samples} samples, expected at least 20; run longer or sample more often")
    starts = np.unique(np.linspace(0, samples // 2, candidates).astype(int))
    found = np.array([statistical_inefficiency(series[start:]) for start in starts])
    count = (samples - starts) / found.max(axis=1)
    if count.max() < 5.0:
        raise TooFewSamples(f"the series holds {count.max():.1f} independent samples, expected at least 5; run longer")
    chosen = int(np.argmax(count >= ALIKE * count.max()))
    start, inefficiency = int(starts[chosen]), found[chosen]
    kept = series[start:]
    independent = len(kept) / inefficiency
    error = kept.std(axis=0) / np.sqrt(np.maximum(independent - 1.0, 1.0))
    return TimeAverage(kept.mean(axis=0), error, start, inefficiency)
