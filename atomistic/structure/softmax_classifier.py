r"""Multinomial logistic regression on whitened descriptors, its probabilities calibrated on structures kept from the fit.

With z the whitened features (`atomistic.descriptor_distance.Whitening`: near unit variance in every direction that the data explore),

    p_c(z) = exp(s_c / T) / sum_c' exp(s_c' / T),        s_c = w_c . z + b_c.

The weights minimise -sum_i ln p_{y_i}(z_i) + |W|^2 / (2 width^2) at T = 1, the negative log posterior under a normal prior (Bishop,
Pattern Recognition and Machine Learning, 2006, section 4.3.4): convex, with one minimum, which Newton's method finds (trust regions,
conjugate gradients with products with the Hessian: Nocedal and Wright, Numerical Optimization, 2006, section 7.1). Then T, the temperature
(Guo and others, ICML 2017), minimises the log loss of what was held out, with a normal prior for ln T about 0 of width 1: held-out samples
without a mistake would else make T zero. The width is the one of least log loss there.

Samples of one source (the atoms of one structure, the frames of one run) are alike: a classifier that has seen some of them looks better on
the others than it is. Sources are held out whole, and count once, whatever the number of their samples, in the choice of T.
"""

import os
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from scipy.optimize import minimize, minimize_scalar
from scipy.special import log_softmax, softmax

from atomistic.descriptor_distance import FLOOR, Whitening
from atomistic.network_file import NetworkFileError, read_network_file, write_network_file
from atomistic.structure.reliability import InvalidFeatures, Reliability, class_places, reliability

SCHEMA: Final = "atomlaw/classifier"
SCHEMA_VERSION: Final = 1

WIDTHS: Final = (0.1, 0.3, 1.0, 3.0)
MINIMUM_SOURCES: Final = 4
"""Of each class: fewer leave none to calibrate with, or too few to fit."""
LARGEST_LOG_TEMPERATURE: Final = 5.0
GRADIENT: Final = 1e-7
"""Of the mean log posterior a sample, at which a fit ends."""


class EmptyClass(ValueError):
    """A class that no example shows."""


class TooFewStructures(ValueError):
    """A class whose examples come from too few structures to be fitted and calibrated."""


class ClassifierNotFitted(RuntimeError):
    """The minimisation of the log posterior did not end."""


@dataclass(frozen=True)
class SoftmaxClassifier:
    """Probabilities of classes as a function of features.

    Attributes:
        classes: their names.
        whitening: from features to z.
        weights, bias: w and b.
        temperature: T.
    """

    classes: tuple[str, ...]
    whitening: Whitening
    weights: Float[ndarray, "directions classes"]
    bias: Float[ndarray, "classes"]
    temperature: float

    def log_probabilities(
        self, features: Float[ndarray, "samples features"], *, calibrated: bool = True
    ) -> Float[ndarray, "samples classes"]:
        """ln p of each sample; at T = 1 unless `calibrated`.

        Raises:
            InvalidFeatures: for another number of features than fitted, or some that are not finite.
        """
        check_features(features, len(self.whitening.mean))
        scores = self.whitening(features) @ self.weights + self.bias
        return np.asarray(log_softmax(scores / (self.temperature if calibrated else 1.0), axis=1))

    def probabilities(
        self, features: Float[ndarray, "samples features"], *, calibrated: bool = True
    ) -> Float[ndarray, "samples classes"]:
        """p of each sample; the rows sum to one."""
        return np.asarray(np.exp(self.log_probabilities(features, calibrated=calibrated)))

    def contents(self) -> tuple[dict[str, Any], dict[str, ndarray]]:
        """Header (JSON-able) and arrays that describe the classifier in a file."""
        header = {"classes": list(self.classes), "temperature": self.temperature}
        return header, {
            "mean": self.whitening.mean,
            "transform": self.whitening.transform,
            "weights": self.weights,
            "bias": self.bias,
        }

    @classmethod
    def from_contents(cls, header: Mapping[str, Any], arrays: Mapping[str, ndarray]) -> "SoftmaxClassifier":
        """The classifier that `contents` described.

        Raises:
            KeyError, TypeError, ValueError: where header and arrays are inconsistent.
        """
        classes, temperature = tuple(map(str, header["classes"])), float(header["temperature"])
        mean, transform, weights, bias = (arrays[name] for name in ("mean", "transform", "weights", "bias"))
        features, directions = transform.shape
        shapes = mean.shape, weights.shape, bias.shape
        if shapes != ((features,), (directions, len(classes)), (len(classes),)) or not temperature > 0.0:
            raise ValueError(
                f"mean, weights and bias have the shapes {shapes} beside {transform.shape}, temperature {temperature}"
            )
        return cls(classes, Whitening(mean, transform), weights, bias, temperature)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a safetensors file, whole or not at all."""
        write_network_file(path, SCHEMA, SCHEMA_VERSION, *self.contents())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "SoftmaxClassifier":
        """Read a classifier; nothing in the file is executed.

        Raises:
            NetworkFileError: where the file is missing, truncated, foreign, inconsistent or of another schema.
        """
        header, arrays = read_network_file(path, SCHEMA, SCHEMA_VERSION)
        try:
            return cls.from_contents(header, arrays)
        except (KeyError, TypeError, ValueError) as error:
            raise NetworkFileError(f"{path} holds no consistent classifier ({error!r}); save it again") from error


@dataclass(frozen=True)
class ClassifierFit:
    """A classifier and how it does on the sources held out.

    Attributes:
        classifier: the classifier.
        width: of the prior, as chosen.
        held_out: which samples were held out.
        uncalibrated, calibrated: on these, with T = 1 and with the T fitted.
    """

    classifier: SoftmaxClassifier
    width: float
    held_out: Bool[ndarray, "samples"]
    uncalibrated: Reliability
    calibrated: Reliability


def fit_classifier(
    features: Float[ndarray, "samples features"],
    labels: Sequence[str] | ndarray,
    sources: Sequence[Hashable],
    *,
    classes: Sequence[str] | None = None,
    held_out: float = 0.3,
    widths: Sequence[float] = WIDTHS,
    floor: float = FLOOR,
    seed: int = 0,
) -> ClassifierFit:
    """Fit and calibrate a classifier.

    Args:
        features: of each sample.
        labels: its class.
        sources: where it comes from, such as the number of its structure or the name of its run.
        classes: all of them; by default those that occur, sorted.
        held_out: fraction of the sources of each class kept for the calibration.
        widths: of the prior, of which the best is taken.
        floor: of the whitening, a fraction of the largest eigenvalue.
        seed: of which sources are held out.

    Raises:
        EmptyClass: a class without examples, or fewer than two classes.
        TooFewStructures: a class whose examples come from fewer than `MINIMUM_SOURCES` sources.
        InvalidFeatures: features that are not finite, labels that are no class, or lengths that differ.
        ValueError: a fraction or width out of range.
        ClassifierNotFitted: where the minimisation does not end.
    """
    if not (0.0 < held_out < 1.0 and widths and all(width > 0.0 for width in widths)):
        raise ValueError(
            f"held_out = {held_out}, widths = {tuple(widths)}; expected 0 < held_out < 1 and positive widths"
        )
    names = tuple(classes) if classes is not None else tuple(sorted({str(label) for label in labels}))
    if not len(labels) == len(sources) == len(features):
        raise InvalidFeatures(
            f"{len(features)} rows of features, {len(labels)} labels and {len(sources)} sources, expected one each"
        )
    check_features(features, features.shape[1])
    places = class_places(labels, names)
    number = {source: k for k, source in enumerate(dict.fromkeys(sources))}
    origin = np.array([number[source] for source in sources])
    kept = _held_out(places, origin, names, held_out, np.random.default_rng(seed))
    whitening = Whitening.fit(features[~kept], floor)
    z = whitening(features)
    weight = 1.0 / np.bincount(origin)[origin[kept]]
    found = []
    theta = np.zeros((z.shape[1] + 1, len(names)))
    for width in sorted(widths):
        theta = _most_probable(z[~kept], places[~kept], len(names), width, theta)
        weights, bias = theta[:-1], theta[-1]
        scores = z[kept] @ weights + bias
        temperature, loss = _temperature(scores, places[kept], weight)
        found.append((loss, width, SoftmaxClassifier(names, whitening, weights, bias, temperature)))
    _, width, best = min(found, key=lambda one: one[0])
    own = np.asarray(labels)[kept]
    before, after = (
        reliability(best.probabilities(features[kept], calibrated=calibrated), own, names)
        for calibrated in (False, True)
    )
    return ClassifierFit(best, width, kept, before, after)


def check_features(features: Float[ndarray, "samples features"], count: int) -> None:
    """Raises InvalidFeatures where features are not (samples, count) finite numbers."""
    if features.ndim != 2 or features.shape[1] != count:
        raise InvalidFeatures(f"features of shape {features.shape}, expected (samples, {count})")
    if not np.isfinite(features).all():
        row, column = np.argwhere(~np.isfinite(features))[0]
        raise InvalidFeatures(
            f"feature {column} of sample {row} is {features[row, column]}, expected a finite number: are the positions finite?"
        )


def _held_out(
    places: Int[ndarray, "samples"],
    origin: Int[ndarray, "samples"],
    names: tuple[str, ...],
    fraction: float,
    generator: np.random.Generator,
) -> Bool[ndarray, "samples"]:
    """Samples of the sources held out: of those of each class a fraction, the rarest class first."""
    if len(names) < 2:
        raise EmptyClass(f"classes {list(names)}, expected at least two that examples show")
    of_class = [np.unique(origin[places == k]) for k in range(len(names))]
    for name, own in zip(names, of_class, strict=True):
        if not len(own):
            raise EmptyClass(f"no example is {name!r}; give some, or leave the class out of {list(names)}")
        if len(own) < MINIMUM_SOURCES:
            raise TooFewStructures(
                f"the examples of {name!r} come from {len(own)} structures or runs, expected at least {MINIMUM_SOURCES}: some are kept "
                "for the calibration, and atoms of one structure do not tell what another will have"
            )
    chosen: set[int] = set()
    seen: set[int] = set()
    for own in sorted(of_class, key=len):
        wanted = min(len(own) - 2, max(1, round(fraction * len(own)))) - len(chosen.intersection(own.tolist()))
        free = np.array([one for one in own.tolist() if one not in seen], dtype=np.int64)
        chosen.update(generator.permutation(free)[: max(0, wanted)].tolist())
        seen.update(own.tolist())
    return np.isin(origin, sorted(chosen))


def _most_probable(
    z: Float[ndarray, "samples directions"],
    places: Int[ndarray, "samples"],
    classes: int,
    width: float,
    begin: Float[ndarray, "parameters classes"],
) -> Float[ndarray, "parameters classes"]:
    """W and, in the last row, b of the largest posterior, by Newton's method with products with the Hessian."""
    samples, directions = z.shape
    truth = np.eye(classes)[places]
    inputs = np.hstack([z, np.ones((samples, 1))])
    # sum_c s_c changes nothing: a curvature as small as round-off pins the biases
    curvature = np.append(np.full(directions, width**-2), 1e-6)[:, None] / samples

    def loss(theta: Float[ndarray, "parameters"]) -> tuple[float, Float[ndarray, "parameters"]]:
        theta = theta.reshape(directions + 1, classes)
        log_p = log_softmax(inputs @ theta, axis=1)
        value = -(log_p * truth).sum() / samples + 0.5 * (curvature * theta**2).sum()
        return value, (inputs.T @ (np.exp(log_p) - truth) / samples + curvature * theta).ravel()

    def times_hessian(
        theta: Float[ndarray, "parameters"], direction: Float[ndarray, "parameters"]
    ) -> Float[ndarray, "parameters"]:
        direction = direction.reshape(directions + 1, classes)
        p = softmax(inputs @ theta.reshape(directions + 1, classes), axis=1)
        change = p * (inputs @ direction)
        change -= p * change.sum(1, keepdims=True)
        return np.asarray((inputs.T @ change / samples + curvature * direction).ravel())

    found = minimize(
        loss,
        begin.ravel(),
        jac=True,
        hessp=times_hessian,
        method="trust-ncg",
        options={"gtol": GRADIENT, "maxiter": 500},
    )
    if not np.isfinite(found.fun) or not np.abs(found.jac).max() <= 10.0 * GRADIENT:
        raise ClassifierNotFitted(
            f"the fit of the weights stopped early ({found.message}); try a smaller width than {width}"
        )
    return np.asarray(found.x.reshape(directions + 1, classes))


def _temperature(
    scores: Float[ndarray, "samples classes"], places: Int[ndarray, "samples"], weight: Float[ndarray, "samples"]
) -> tuple[float, float]:
    """T, and the weighted mean log loss with it."""

    def loss(log_temperature: float) -> float:
        log_p = log_softmax(scores * np.exp(-log_temperature), axis=1)
        return float(-weight @ log_p[np.arange(len(places)), places])

    found = minimize_scalar(
        lambda t: loss(t) + 0.5 * t * t, bounds=(-LARGEST_LOG_TEMPERATURE, LARGEST_LOG_TEMPERATURE), method="bounded"
    )
    return float(np.exp(found.x)), loss(found.x) / float(weight.sum())
