"""The Sobol design of strains."""

import warnings

import numpy as np
import pytest

from multiscale.design import InvalidDesign, strain_design
from multiscale.strain import SHEAR_DOUBLING, log_strain


def test_reproducible_extensible_and_silent() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        design = strain_design(100, 0.06, seed=3)
    assert np.array_equal(design, strain_design(100, 0.06, seed=3))
    assert np.array_equal(design[:37], strain_design(37, 0.06, seed=3))
    assert not np.array_equal(design, strain_design(100, 0.06, seed=4))


def test_fills_the_box_of_logarithmic_strain() -> None:
    F = strain_design(256, 0.06, seed=0)
    h = log_strain(F) / SHEAR_DOUBLING
    assert np.array_equal(F, np.swapaxes(F, 1, 2))
    assert np.abs(h).max() <= 0.06
    # Sobol: every component's 256 values fall one into each of 256 intervals
    for component in h.T:
        assert len(set(np.floor((component / 0.06 + 1.0) * 128).astype(int))) >= 255


@pytest.mark.parametrize(("states", "largest"), [(0, 0.06), (10, 0.0), (10, 2.0), (10, float("nan"))])
def test_refusals(states: int, largest: float) -> None:
    with pytest.raises(InvalidDesign, match="expected"):
        strain_design(states, largest, seed=0)
