"""Averages of correlated time series with honest error bars.

The statistical inefficiency g = 1 + 2 sum_t (1 - t/n) C(t), C the normalised autocorrelation, says how many consecutive samples
make an independent one; the sum stops where pairs of C turn negative (initial positive sequence, Geyer, Stat. Sci. 7 (1992) 473).
The start that is thrown away as equilibration is the one that leaves the most independent samples, n/g (Chodera, J. Chem. Theory
Comput. 12 (2016) 1799).
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray


class TooFewSamples(ValueError):
    """A time series too short to tell its own error."""


@dataclass(frozen=True)
class TimeAverage:
    """Mean of several observables sampled together.

    Attributes:
        mean: averages after equilibration.
        standard_error: their standard errors, autocorrelation included.
        equilibration: samples left out at the start.
        inefficiency: statistical inefficiency g of each observable, in samples.
    """

    mean: Float[ndarray, "observables"]
    standard_error: Float[ndarray, "observables"]
    equilibration: int
    inefficiency: Float[ndarray, "observables"]


def statistical_inefficiency(series: Float[ndarray, "samples"]) -> float:
    """g >= 1 of one stationary series; 1 for a constant one."""
    n = len(series)
    centred = series - series.mean()
    variance = float(centred @ centred) / n
    if variance <= 1e-28 * max(1.0, float(np.abs(series).max()) ** 2):
        return 1.0
    spectrum = np.fft.rfft(centred, 2 * n)
    # Dividing by n, not n - t, is the triangular weight (1 - t/n).
    correlation = np.fft.irfft(spectrum * spectrum.conj())[:n] / (n * variance)
    pairs = correlation[: n - n % 2].reshape(-1, 2).sum(1)
    negative = np.nonzero(pairs < 0.0)[0]
    stop = int(negative[0]) if len(negative) else len(pairs)
    return max(1.0, 2.0 * float(pairs[:stop].sum()) - 1.0)


def time_average(series: Float[ndarray, "samples observables"], *, candidates: int = 20) -> TimeAverage:
    """Mean and standard error of each column after the equilibration that leaves the most independent samples.

    One start serves all columns: the one with the largest smallest n/g; at most half of the series is left out.

    Raises:
        TooFewSamples: for fewer than 20 samples, or fewer than 5 independent ones.
    """
    samples = len(series)
    if samples < 20:
        raise TooFewSamples(f"the series has {samples} samples, expected at least 20; run longer or sample more often")
    best, start, inefficiency = 0.0, 0, np.ones(series.shape[1])
    for candidate in np.unique(np.linspace(0, samples // 2, candidates).astype(int)):
        g = np.array([statistical_inefficiency(column) for column in series[candidate:].T])
        independent = (samples - candidate) / g.max()
        if independent > best:
            best, start, inefficiency = independent, int(candidate), g
    if best < 5.0:
        raise TooFewSamples(f"the series holds {best:.1f} independent samples, expected at least 5; run longer")
    kept = series[start:]
    independent = len(kept) / inefficiency
    error = kept.std(axis=0) / np.sqrt(np.maximum(independent - 1.0, 1.0))
    return TimeAverage(kept.mean(axis=0), error, start, inefficiency)
