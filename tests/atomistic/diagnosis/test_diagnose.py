"""Diagnosis of landscapes with a known spectrum and of a trained potential; density by stochastic quadrature."""

from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms

import atomistic
from atomistic.diagnosis import Landscape, NonFiniteLoss, NotStationary, diagnose
from atomistic.diagnosis.lanczos import quadrature, spectral_density

CURVATURES = np.concatenate([np.zeros(60), np.logspace(-6, 2, 240)])


@pytest.fixture(scope="module")
def known() -> Landscape:
    """1/2 sum_i h_i (Q^T theta)_i^2."""
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(300, 300)))[0]
    matrix = torch.from_numpy(rotation * CURVATURES @ rotation.T)
    return Landscape(lambda theta: 0.5 * theta @ matrix @ theta)


def test_gauss_quadrature_is_exact_for_polynomials() -> None:
    """m steps are exact to degree 2 m - 1."""
    generator = np.random.default_rng(0)
    values = generator.normal(size=30)
    start = generator.normal(size=30)
    nodes, weights = quadrature(lambda v: values * v, start, 4)
    for degree in range(8):
        assert start @ start * (weights @ nodes**degree) == pytest.approx(start @ (values**degree * start), rel=1e-10)
    assert abs(start @ start * (weights @ nodes**8) - start @ (values**8 * start)) > 1e-3


def test_quadrature_ends_in_an_invariant_space() -> None:
    nodes, weights = quadrature(lambda v: np.where(np.arange(50) < 25, 1.0, 3.0) * v, np.ones(50), 40)
    np.testing.assert_allclose(nodes, [1.0, 3.0], atol=1e-12)
    np.testing.assert_allclose(weights, [0.5, 0.5], atol=1e-12)
    assert quadrature(lambda v: v, np.zeros(5), 3)[0].shape == (0,)


def test_density_counts_eigenvalues(known: Landscape) -> None:
    point = known.point(np.zeros(300))
    density = spectral_density(point.product, 300, steps=60, probes=16, seed=0)
    trace, error = density.trace(lambda h: h)
    assert abs(trace - CURVATURES.sum()) < 4.0 * error
    _, counts = density.counts()
    assert counts.sum() == pytest.approx(300.0, rel=1e-10)


@pytest.mark.parametrize("l2", [0.0, 1e-3, 1.0])
def test_effective_number_of_parameters(known: Landscape, l2: float) -> None:
    confined = known.confined(l2)
    whole = diagnose(confined, np.zeros(300), dense=True)
    expected = float(np.sum(CURVATURES / (CURVATURES + l2))) if l2 else 240.0
    assert whole.effective_parameters() == (pytest.approx(expected, rel=1e-6), 0.0)
    assert whole.point.zero_modes == (0 if l2 else 60)
    assert whole.point.kind == ("minimum" if l2 else "degenerate minimum")
    part = diagnose(confined, np.zeros(300), dense=False)
    gamma, error = part.effective_parameters()
    if l2:  # A step function is no smooth one: its quadrature is no better than the resolution at zero
        assert abs(gamma - expected) < 4.0 * error < 40.0
        assert part.largest == pytest.approx(100.0 + l2, rel=1e-3)
        assert part.condition == pytest.approx((100.0 + l2) / l2, rel=0.1)
        assert diagnose(known, np.zeros(300), dense=True).effective_parameters(l2)[0] == pytest.approx(
            expected, rel=1e-6
        )


def test_conditioning_improves_with_confinement(known: Landscape) -> None:
    conditions = [diagnose(known.confined(l2), np.zeros(300)).condition for l2 in (0.0, 1e-4, 1e-2)]
    np.testing.assert_allclose(conditions, [1e8, (100.0 + 1e-4) / 1e-4, (100.0 + 1e-2) / 1e-2], rtol=1e-3)


@pytest.mark.slow
def test_diagnosis_of_a_trained_potential(
    small_training: tuple[list[Atoms], atomistic.Training], tmp_path: Path
) -> None:
    """Some 900 parameters, trained for seconds: a slope still, and the report says by how much."""
    training = small_training[1]
    with pytest.warns(NotStationary, match="the spectrum is that of a slope: train on"):
        found = diagnose(training, steps=30, probes=2, limit=8)
    assert found.parameters == len(training.parameters) > 400
    assert found.l2 == 0.01 and found.density is not None
    assert found.point.kind == "slope" and found.point.loss == pytest.approx(training.history[-1, 1], rel=1e-9)
    assert 0.0 < found.effective_parameters()[0] < found.parameters
    assert found.condition > 100.0
    text = str(found)
    assert (
        f"{found.parameters} parameters, loss" in text
        and "would still fall by" in text
        and "2 x 30 Lanczos steps" in text
    )
    found.plot(tmp_path / "spectrum.png")
    assert (tmp_path / "spectrum.png").stat().st_size > 10_000


def test_a_landscape_needs_parameters_and_a_finite_loss(known: Landscape) -> None:
    # Where annotations are checked at run time, the checker speaks first.
    with pytest.raises(TypeError, match=r"str is no training, expected what `atomistic\.train` returns|'training'"):
        diagnose("a potential")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="expected theta: where to look"):
        diagnose(known)
    with pytest.raises(NonFiniteLoss):
        diagnose(known, np.full(300, np.inf))


def test_a_flat_landscape() -> None:
    found = diagnose(Landscape(lambda theta: 0.0 * theta.square().sum() + 1.0), np.ones(20))
    assert (found.point.kind, found.point.zero_modes) == ("degenerate minimum", 20)
    assert found.effective_parameters()[0] == 0.0 and found.condition == np.inf
    assert "20 zero" in str(found)
