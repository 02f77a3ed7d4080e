"""Ranking candidates by what they predict of a kind of test that they were not fitted to.

A law that follows its own tests may still be wrong elsewhere: rubber laws fitted to uniaxial tension differ by factors in equibiaxial
tension. So every candidate is fitted to the other tests, and judged by

    error = root mean square of (predicted - measured) / root mean square of measured    on the tests left out.

Whether the fitted tests can tell anything of those left out is another question: to first order in strain all tests of an isotropic
incompressible material say the same, beyond that a test reaches states (Ibar1, Ibar2) of its own. In the coordinates
(sqrt(Ibar1 - 3), sqrt(Ibar2 - 3)), in which small strains lie on the diagonal, points outside the convex hull of the fitted points
and the state of rest are extrapolated; `rank` warns of them.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool
from numpy import ndarray

from fem.law import InadmissibleDeformation, Law
from multiscale.classical.fitting import invariants, one_unit
from multiscale.laws.reference_state import FitError
from multiscale.measured.measured_test import Kind, MeasuredTest
from multiscale.measured.specimen import NoEquilibrium, UnequalFaces, predicted_stress

MARGIN: Final = 0.05
"""A point is outside the hull when it is so by more than this fraction of the largest fitted coordinate."""


class Extrapolation(UserWarning):
    """The data cannot support the prediction asked for."""


class NothingLeft(ValueError):
    """The kind of test to leave out is not among the tests, or it is all of them."""


@runtime_checkable
class Candidate(Protocol):
    """Whatever makes a law of measured tests: a classical model, a network."""

    @property
    def name(self) -> str:
        """For the table."""
        ...

    def fit(self, tests: Sequence[MeasuredTest], *, seed: int) -> Law:
        """A law whose stress is in the unit of the tests."""
        ...


@dataclass(frozen=True)
class Standing:
    """One candidate's result.

    Attributes:
        name: of the candidate.
        error: relative error on the tests left out; infinite where the law has no answer there.
        fitted_error: the same on the tests fitted.
        law: None where the fit failed.
        remark: why there is no law or no answer.
    """

    name: str
    error: float
    fitted_error: float
    law: Law | None
    remark: str = ""


@dataclass(frozen=True)
class Ranking:
    """Candidates, best first.

    Attributes:
        left_out: the kind of test, or of state, that judged.
        standings: by error.
        unsupported: fraction of the points left out that lie outside of what the fitted tests reach.
    """

    left_out: str
    standings: tuple[Standing, ...]
    unsupported: float

    def __str__(self) -> str:
        lines = [f"{'law':<26}{'error on ' + self.left_out:>24}{'on its own data':>20}"]
        for standing in self.standings:
            errors = [
                f"{100 * value:.1f} %" if np.isfinite(value) else "-"
                for value in (standing.error, standing.fitted_error)
            ]
            lines.append(f"{standing.name:<26}{errors[0]:>24}{errors[1]:>20}  {standing.remark}".rstrip())
        return "\n".join(lines)


def rank(candidates: Sequence[Candidate], tests: Sequence[MeasuredTest], *, left_out: Kind, seed: int) -> Ranking:
    """Fit every candidate to the tests of other kinds and sort them by their error on this one.

    Tests in several units are converted to the first one's. A candidate that fails is last, with the reason.

    Raises:
        NothingLeft: no test of this kind, or none of another.
    """
    if not tests:
        raise NothingLeft("no tests are given, expected some to fit and some to leave out")
    tests = [test.in_unit(tests[0].unit) for test in tests]
    judged, fitted = [t for t in tests if t.kind == left_out], [t for t in tests if t.kind != left_out]
    if not judged or not fitted:
        kinds = ", ".join(sorted({test.kind for test in tests}))
        raise NothingLeft(f"{left_out!r} cannot be left out of tests that are {kinds}; expected that kind and another")
    one_unit(tests)
    outside = extrapolated(fitted, judged)
    unsupported = float(outside.mean())
    if outside.any():
        warnings.warn(
            f"{int(outside.sum())} of {len(outside)} points of the {left_out} tests reach states (Ibar1, Ibar2) outside those of the "
            "fitted tests: there the ranking compares extrapolations, and no fit to these tests can be trusted. Add a test of that kind",
            Extrapolation,
            stacklevel=2,
        )
    standings = sorted((stand(candidate, fitted, judged, seed) for candidate in candidates), key=lambda s: s.error)
    return Ranking(left_out, tuple(standings), unsupported)


def stand(candidate: Candidate, fitted: Sequence[MeasuredTest], judged: Sequence[MeasuredTest], seed: int) -> Standing:
    """One candidate fitted and judged."""
    try:
        law = candidate.fit(fitted, seed=seed)
    except FitError as error:
        return Standing(candidate.name, np.inf, np.inf, None, f"not fitted: {error}")
    own = np.inf
    try:
        own = relative_error(law, fitted)
        return Standing(candidate.name, relative_error(law, judged), own, law)
    except (InadmissibleDeformation, NoEquilibrium, UnequalFaces) as error:
        return Standing(candidate.name, np.inf, own, law, f"no answer: {error}")


def relative_error(law: Law, tests: Sequence[MeasuredTest]) -> float:
    """Root mean square of the missed stress over that of the measured."""
    measured = np.concatenate([test.stress for test in tests])
    return float(np.linalg.norm(predicted_stress(law, tests) - measured) / np.linalg.norm(measured))


def extrapolated(fitted: Sequence[MeasuredTest], asked: Sequence[MeasuredTest]) -> Bool[ndarray, "n"]:
    """Which points of the tests asked about lie outside the hull of the fitted ones, by the support function in 360 directions."""
    angle = np.deg2rad(np.arange(360.0))
    directions = np.stack([np.cos(angle), np.sin(angle)])
    known = np.sqrt(np.concatenate([np.zeros((1, 2)), invariants(fitted)]))
    beyond = (np.sqrt(invariants(asked)) @ directions) - (known @ directions).max(axis=0)
    return np.asarray(beyond.max(axis=1) > MARGIN * known.max())
