"""Levenberg-Marquardt on problems with known minima."""

import numpy as np
import pytest

from multiscale.fits.levenberg_marquardt import levenberg_marquardt


def test_rosenbrock() -> None:
    def residual(x: np.ndarray) -> np.ndarray:
        return np.array([10.0 * (x[1] - x[0] ** 2), 1.0 - x[0]])

    def linearisation(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return residual(x), np.array([[-20.0 * x[0], 10.0], [-1.0, 0.0]])

    minimum = levenberg_marquardt(residual, linearisation, np.array([-1.2, 1.0]), iterations=100)
    assert minimum.converged and minimum.parameters == pytest.approx([1.0, 1.0], abs=1e-8)


def test_linear_problem_with_a_residue_and_a_useless_parameter() -> None:
    J = np.array([[1.0, 0.0, 0.0], [1.0, 1.0, 0.0], [1.0, 2.0, 0.0], [1.0, 3.0, 0.0]])
    y = np.array([1.0, 2.0, 2.0, 4.0])
    minimum = levenberg_marquardt(lambda x: J @ x - y, lambda x: (J @ x - y, J), np.zeros(3), iterations=50)
    assert minimum.converged
    assert minimum.parameters == pytest.approx([*np.linalg.lstsq(J[:, :2], y)[0], 0.0], abs=1e-6)


def test_trials_that_are_not_finite_are_rejected() -> None:
    def residual(x: np.ndarray) -> np.ndarray:
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.log(x) - np.log(2.0)

    minimum = levenberg_marquardt(
        residual, lambda x: (residual(x), np.diag(1.0 / x)), np.array([40.0]), iterations=100, damping=1e-12
    )
    assert minimum.converged and minimum.parameters == pytest.approx([2.0])


def test_says_when_it_ran_out_of_iterations() -> None:
    minimum = levenberg_marquardt(lambda x: x**3, lambda x: (x**3, np.diag(3 * x**2)), np.ones(1), iterations=3)
    assert not minimum.converged and minimum.iterations == 3
