"""The classifier: the posterior's minimum, known probabilities recovered, calibration across sources, and what is refused."""

import numpy as np
import pytest
from scipy.special import log_softmax, softmax

from atomistic.structure import (
    EmptyClass,
    InvalidFeatures,
    TooFewStructures,
    fit_classifier,
    reliability,
)
from atomistic.structure.softmax_classifier import _held_out, _most_probable

CLASSES = ("a", "b", "c")
TRUE = np.array([[2.0, 0.0, -1.0], [0.0, 1.5, -1.0], [0.5, -0.5, 0.0], [0.0, 0.0, 0.0]])


def drawn(count: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features, their probabilities by a logistic model, and classes drawn from these."""
    generator = np.random.default_rng(seed)
    features = generator.normal(size=(count, 4))
    probabilities = softmax(features @ TRUE, axis=1)
    places = (probabilities.cumsum(1) < generator.uniform(size=(count, 1))).sum(1)
    return features, probabilities, np.array(CLASSES)[places]


def test_weights_are_at_the_minimum_of_the_log_posterior() -> None:
    features, _, labels = drawn(300, 0)
    places = np.searchsorted(CLASSES, labels)
    width = 0.7

    def value(theta: np.ndarray) -> float:
        log_p = log_softmax(features @ theta[:-1] + theta[-1], axis=1)
        return float(-log_p[np.arange(300), places].sum() + 0.5 * (theta[:-1] ** 2).sum() / width**2)

    theta = _most_probable(features, places, 3, width, np.zeros((5, 3)))
    generator = np.random.default_rng(1)
    for _ in range(20):
        change = 0.01 * generator.normal(size=theta.shape)
        ahead, behind = value(theta + change), value(theta - change)
        assert ahead > value(theta) < behind
        assert abs(ahead - behind) < 1e-2 * (ahead + behind - 2.0 * value(theta))


def test_recovers_the_probabilities_that_made_the_data() -> None:
    features, _, labels = drawn(6000, 0)
    fit = fit_classifier(features, labels, range(6000), classes=CLASSES, widths=(1.0, 10.0))
    unseen, truth, drawn_labels = drawn(4000, 1)
    said = fit.classifier.probabilities(unseen)
    assert np.abs(said - truth).mean() < 0.015
    assert fit.classifier.temperature == pytest.approx(1.0, abs=0.1)
    found = reliability(said, drawn_labels, CLASSES)
    best = float(-np.log(truth[np.arange(4000), np.searchsorted(CLASSES, drawn_labels)]).mean())
    assert found.log_loss == pytest.approx(best, abs=0.01)
    assert found.calibration_error < 0.03


def clustered(sources: int, each: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Samples of a source share 30 of 32 features: enough to learn each source by heart, and of no use for others."""
    generator = np.random.default_rng(seed)
    own = np.arange(sources) % 2
    origin = np.repeat(np.arange(sources), each)
    telling = generator.normal(size=(sources * each, 2)) + 1.0 * (2.0 * own[origin, None] - 1.0)
    shared = generator.normal(size=(sources, 30))[origin]
    return np.hstack([telling, shared]), np.array(CLASSES)[own[origin]], origin


def test_held_out_by_source_the_probabilities_hold_for_others_by_sample_they_do_not() -> None:
    features, labels, origin = clustered(60, 20, 0)
    unseen, known, _ = clustered(100, 20, 1)
    promised, kept = {}, {}
    for name, sources in (("structure", origin), ("atom", np.arange(len(origin)))):
        fit = fit_classifier(features, labels, sources.tolist(), widths=(3.0,), seed=0)
        promised[name] = fit.calibrated.log_loss
        kept[name] = reliability(fit.classifier.probabilities(unseen), known, CLASSES[:2]).log_loss
    assert kept["structure"] < 2.0 * promised["structure"]
    assert kept["atom"] > 10.0 * promised["atom"]
    assert kept["structure"] < 0.2 * kept["atom"]


def test_temperature_lowers_the_log_loss_and_leaves_the_choice() -> None:
    features, labels, origin = clustered(60, 20, 0)
    fit = fit_classifier(features, labels, origin.tolist(), widths=(10.0,))
    assert fit.classifier.temperature > 1.5
    assert fit.calibrated.log_loss < fit.uncalibrated.log_loss
    assert fit.calibrated.calibration_error < fit.uncalibrated.calibration_error
    assert (fit.calibrated.confusion == fit.uncalibrated.confusion).all()
    assert set(origin[fit.held_out]).isdisjoint(origin[~fit.held_out])
    np.testing.assert_allclose(fit.classifier.probabilities(features).sum(1), 1.0, atol=1e-12)


def test_without_a_mistake_on_held_out_samples_probabilities_stay_short_of_one() -> None:
    x = np.concatenate([np.full(20, -1.0), np.full(20, 1.0)])[:, None] + np.linspace(0.0, 0.1, 40)[:, None]
    fit = fit_classifier(x, ["a"] * 20 + ["b"] * 20, range(40), widths=(1.0,))
    assert fit.calibrated.accuracy == 1.0
    assert 0.01 < fit.classifier.temperature < 1.0
    assert 0.9 < fit.classifier.probabilities(x).max() < 1.0


def test_every_class_is_held_out_and_fitted() -> None:
    places = np.array([0] * 90 + [1] * 4 + [2] * 10)
    kept = _held_out(places, np.arange(104), CLASSES, 0.3, np.random.default_rng(0))
    assert [int(kept[places == k].sum()) for k in range(3)] == [27, 1, 3]
    # a source may hold several classes: it is counted for each, once
    places, origin = np.tile([0, 1], 10), np.repeat(np.arange(10), 2)
    kept = _held_out(places, origin, CLASSES[:2], 0.3, np.random.default_rng(0))
    assert kept.sum() == 6 and len(set(origin[kept])) == 3


def test_reliability_by_hand() -> None:
    probabilities = np.array([[0.9, 0.1], [0.85, 0.15], [0.45, 0.55], [0.3, 0.7]])
    found = reliability(probabilities, ["a", "b", "b", "a"], ("a", "b"), bins=5)
    assert found.confusion.tolist() == [[1, 1], [1, 1]]
    assert found.accuracy == 0.5 and found.recall == {"a": 0.5, "b": 0.5}
    assert found.log_loss == pytest.approx(-np.log([0.9, 0.15, 0.55, 0.3]).mean())
    np.testing.assert_allclose(found.confidence, [0.55, 0.7, 0.875])
    np.testing.assert_allclose(found.accuracy_of_bin, [1.0, 0.0, 0.5])
    assert found.calibration_error == pytest.approx((0.45 + 0.7 + 2 * 0.375) / 4)
    assert "accuracy 0.5000" in str(found)


def test_calibrated_probabilities_have_no_calibration_error_but_sampling() -> None:
    _, probabilities, labels = drawn(20_000, 3)
    assert reliability(probabilities, labels, CLASSES).calibration_error < 0.015
    sharper = softmax(2.0 * np.log(probabilities), axis=1)
    assert reliability(sharper, labels, CLASSES).calibration_error > 0.08


def test_a_class_without_examples_is_named() -> None:
    features, _, labels = drawn(50, 0)
    with pytest.raises(EmptyClass, match="no example is 'quasicrystal'"):
        fit_classifier(features, labels, range(50), classes=(*CLASSES, "quasicrystal"))
    with pytest.raises(EmptyClass, match="at least two"):
        fit_classifier(features, ["a"] * 50, range(50))


def test_too_few_structures_to_calibrate_are_named() -> None:
    features, _, labels = drawn(50, 0)
    labels = np.where(labels == "b", "a", labels)
    labels[:30] = "b"
    sources = [0] * 15 + [1] * 15 + list(range(2, 22))
    with pytest.raises(TooFewStructures, match="'b' come from 2 structures"):
        fit_classifier(features, labels, sources, classes=CLASSES)


def test_features_and_labels_that_are_none() -> None:
    features, _, labels = drawn(50, 0)
    broken = features.copy()
    broken[7, 2] = np.nan
    with pytest.raises(InvalidFeatures, match="feature 2 of sample 7 is nan"):
        fit_classifier(broken, labels, range(50))
    fit = fit_classifier(features, labels, range(50))
    with pytest.raises(InvalidFeatures, match="feature 2 of sample 7 is nan"):
        fit.classifier.probabilities(broken)
    with pytest.raises(InvalidFeatures, match=r"shape \(50, 3\), expected \(samples, 4\)"):
        fit.classifier.probabilities(features[:, :3])
    with pytest.raises(InvalidFeatures, match="labels \\['d'\\]"):
        fit_classifier(features, ["d", *labels[1:]], range(50), classes=CLASSES)
    with pytest.raises(InvalidFeatures, match="49 sources"):
        fit_classifier(features, labels, range(49))
    with pytest.raises(ValueError, match=r"held_out = 1\.0"):
        fit_classifier(features, labels, range(50), held_out=1.0)
    with pytest.raises(InvalidFeatures, match="row 1"):
        reliability(np.array([[0.5, 0.5], [0.6, 0.5]]), ["a", "b"], ("a", "b"))
    with pytest.raises(InvalidFeatures, match="one row a label"):
        reliability(np.zeros((0, 2)), [], ("a", "b"))
