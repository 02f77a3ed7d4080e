r"""How good probabilities are: accuracy, log loss, and whether what is said with 80 % is right in 80 % of the cases.

With the probabilities p_ic of n samples, their classes y_i, what is said c_i = argmax_c p_ic and its confidence p_i = max_c p_ic,

    log loss   L = -1/n sum_i ln p_{i y_i},            accuracy = 1/n sum_i [c_i = y_i],
    expected calibration error   ECE = sum_b n_b / n |accuracy_b - confidence_b|

over bins b of equal width of the confidence, with the accuracy and the mean confidence of the samples in each (Naeini, Cooper and
Hauskrecht, AAAI 2015; Guo and others, ICML 2017). The ECE of perfect probabilities is not zero but of the order of sqrt(bins / n), n the
number of *independent* samples: atoms of one structure are not.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

BINS: Final = 10
TINY: Final = 1e-300
"""Least probability whose logarithm is taken: a class excluded wrongly costs 691, not infinity."""


class InvalidFeatures(ValueError):
    """Features, labels or probabilities that are not numbers or do not belong together."""


@dataclass(frozen=True)
class Reliability:
    """What probabilities are worth on samples whose classes are known.

    Attributes:
        classes: their names.
        confusion: number of samples of class r (row) said to be of class c (column).
        log_loss: L, nats a sample; ln(classes) for one who knows nothing.
        calibration_error: ECE.
        confidence, accuracy_of_bin: means over the samples of each bin of confidence that has any, ascending.
        count: samples of these bins.
    """

    classes: tuple[str, ...]
    confusion: Int[ndarray, "classes classes"]
    log_loss: float
    calibration_error: float
    confidence: Float[ndarray, "bins"]
    accuracy_of_bin: Float[ndarray, "bins"]
    count: Int[ndarray, "bins"]

    def contents(self) -> dict[str, Any]:
        """As numbers and lists, for a file."""
        return {name: value.tolist() if isinstance(value, ndarray) else value for name, value in vars(self).items()}

    @classmethod
    def from_contents(cls, contents: Mapping[str, Any]) -> "Reliability":
        """What `contents` wrote.

        Raises:
            KeyError, TypeError, ValueError: where something is missing or of another kind.
        """
        return cls(
            classes=tuple(contents["classes"]),
            confusion=np.array(contents["confusion"], dtype=np.int64),
            log_loss=float(contents["log_loss"]),
            calibration_error=float(contents["calibration_error"]),
            confidence=np.array(contents["confidence"], dtype=np.float64),
            accuracy_of_bin=np.array(contents["accuracy_of_bin"], dtype=np.float64),
            count=np.array(contents["count"], dtype=np.int64),
        )

    @property
    def accuracy(self) -> float:
        """Fraction of samples whose likeliest class is theirs."""
        return float(np.trace(self.confusion) / self.confusion.sum())

    @property
    def recall(self) -> dict[str, float]:
        """Of each class that occurs, the fraction of its samples that were found."""
        return {
            name: float(row[k] / row.sum())
            for k, (name, row) in enumerate(zip(self.classes, self.confusion, strict=True))
            if row.sum()
        }

    def __str__(self) -> str:
        width = max(9, *map(len, self.classes))
        head = " " * width + "".join(f"{name:>{width + 1}}" for name in self.classes) + "   found"
        rows = [
            f"{name:<{width}}" + "".join(f"{entry:>{width + 1}}" for entry in row) + f"{self.recall[name]:>8.1%}"
            for name, row in zip(self.classes, self.confusion, strict=True)
            if row.sum()
        ]
        figures = f"accuracy {self.accuracy:.4f}, log loss {self.log_loss:.4f}, calibration error {self.calibration_error:.4f}"
        return "\n".join([head, *rows, figures])


def reliability(
    probabilities: Float[ndarray, "samples classes"],
    labels: Sequence[str] | ndarray,
    classes: Sequence[str],
    *,
    bins: int = BINS,
) -> Reliability:
    """Compare probabilities with known classes.

    Raises:
        InvalidFeatures: no samples, rows that are no probabilities, or a label that is none of the classes.
    """
    places = class_places(labels, classes)
    if probabilities.shape != (len(places), len(classes)) or not len(places):
        raise InvalidFeatures(
            f"probabilities of shape {probabilities.shape} for {len(places)} labels and {len(classes)} classes, expected one row a label"
        )
    if not (probabilities >= 0.0).all() or not np.allclose(probabilities.sum(1), 1.0, atol=1e-8):
        row = int(np.argmax(~((probabilities >= 0.0).all(1) & (np.abs(probabilities.sum(1) - 1.0) <= 1e-8))))
        raise InvalidFeatures(
            f"row {row} of the probabilities is {probabilities[row]}, expected numbers from 0 to 1 of sum 1"
        )
    said = probabilities.argmax(1)
    confusion = np.zeros((len(classes), len(classes)), dtype=np.int64)
    np.add.at(confusion, (places, said), 1)
    sure, right = probabilities.max(1), said == places
    _, which, count = np.unique(
        np.minimum((sure * bins).astype(np.int64), bins - 1), return_inverse=True, return_counts=True
    )
    confidence, accuracy = np.bincount(which, sure) / count, np.bincount(which, right) / count
    own = probabilities[np.arange(len(places)), places]
    return Reliability(
        classes=tuple(classes),
        confusion=confusion,
        log_loss=float(-np.log(np.maximum(own, TINY)).mean()),
        calibration_error=float(count @ np.abs(accuracy - confidence) / len(places)),
        confidence=confidence,
        accuracy_of_bin=accuracy,
        count=count,
    )


def class_places(labels: Sequence[str] | ndarray, classes: Sequence[str]) -> Int[ndarray, "samples"]:
    """Which of the classes each label is.

    Raises:
        InvalidFeatures: for a label that is none of them.
    """
    place = {name: k for k, name in enumerate(classes)}
    unknown = sorted({str(label) for label in labels} - set(place))
    if unknown:
        raise InvalidFeatures(f"labels {unknown}, expected names in {list(classes)}")
    return np.array([place[str(label)] for label in labels], dtype=np.int64)
