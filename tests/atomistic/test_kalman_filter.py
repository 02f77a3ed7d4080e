"""The extended Kalman filter: exact for a linear model, and it trains."""

from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms

import atomistic
from atomistic.kalman_filter import KalmanFilter
from atomistic.training_loss import Loss, Model, TrainingFailed
from atomistic.training_rows import descriptor_rows
from atomistic.whitening import ErrorScales, whiten, whitening

Trained = tuple[list[Atoms], atomistic.Training]
SETTINGS = atomistic.TrainingSettings(
    radial=5, angular=3, degree=2, hidden=(6,), optimiser="kalman", epochs=3, force_components=12
)


def small_loss(structures: list[Atoms], widths: tuple[int, ...]) -> Loss:
    descriptors = atomistic.BodyOrdered((14,), cutoff=4.0, angular_cutoff=3.5, radial=4, angular=2, degree=2)
    scales = ErrorScales(0.2, 1.0, 0.1)
    rows = descriptor_rows(descriptors, structures)
    rows = whiten(rows, whitening(rows, scales, floor=1e-8))
    model = Model((14,), (rows[0].values.shape[-1], *widths, 1))
    energy = float(sum(atoms.get_potential_energy() for atoms in structures) / sum(map(len, structures)))
    return Loss(rows, model, {14: energy}, scales, 0.0)


def test_for_a_linear_model_one_epoch_is_regularised_least_squares(small_training: Trained) -> None:
    """Without forgetting the filter is recursive least squares: after one pass it is where the normal equations say."""
    structures = [a for a in small_training[0] if len(a) == 2][:12]
    loss = small_loss(structures, ())
    start = np.zeros(len(loss.model))
    filter_ = KalmanFilter(loss, 1, force_components=6, seed=0, variance=4.0, forgetting=1.0)
    found, state = filter_.advance(0, start, {})
    (block,) = loss.rows

    def scaled_errors(theta: np.ndarray) -> np.ndarray:
        energy, columns = loss.residuals(loss.model.networks(loss.tensor(theta)), block)
        unit = loss.units.numpy()
        return np.concatenate(
            [energy / unit[0], (columns[:, :-6] / unit[1]).flatten(), (columns[:, -6:] / unit[2]).flatten()]
        )

    zero = scaled_errors(start)
    slopes = np.stack([scaled_errors(unit) - zero for unit in np.eye(len(start))], axis=1)
    normal = slopes.T @ slopes + np.eye(len(start)) / 4.0
    np.testing.assert_allclose(found, -np.linalg.solve(normal, slopes.T @ zero), atol=1e-9)
    np.testing.assert_allclose(state["covariance"], np.linalg.inv(normal), atol=1e-9)


def test_errors_fall(small_training: Trained) -> None:
    structures = [a for a in small_training[0] if len(a) == 2][:40]
    training = atomistic.train(structures, SETTINGS, seed=0)
    linear = atomistic.train(structures, replace(SETTINGS, epochs=0, optimiser="adam", cycles=0), seed=0)
    start = np.concatenate([np.ravel(linear.potential.predict(a).forces - a.get_forces()) for a in structures])
    assert training.history[-1, 3] < 0.8 * np.sqrt(np.mean(start**2))
    assert training.phases == ("Kalman",) * 3


def test_a_diverging_filter_stops_with_advice(small_training: Trained) -> None:
    loss = small_loss([a for a in small_training[0] if len(a) == 2][:4], (3,))
    theta = loss.model.initial(0, {14: loss.tensor(np.zeros(loss.model.widths[0]))})
    theta[0] = np.inf
    with pytest.raises(TrainingFailed, match="diverged in epoch 1"):
        KalmanFilter(loss, 1, 6, 0).advance(0, theta, {})
