"""Ranking laws by what they predict of states that they were not fitted to, for strain-stress data of any material.

As multiscale.measured.ranking does with kinds of tests: every candidate is fitted to some states and judged by the root mean square of the
stress that it misses at the others (all that are sheared, say, or a fifth drawn at random), over that of the stress. States farther from
the fitted ones than these are from each other are extrapolated, and `rank_on_states` warns of them.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool
from numpy import ndarray

from fem.law import Law
from multiscale.classical.crystal_fit import fit_elastic_constants
from multiscale.classical.models import Model
from multiscale.classical.state_fit import fit_model_to_states
from multiscale.data.dataset import StressStrainData
from multiscale.fits.fit import Mode, fit
from multiscale.fits.judgement import normalised_mse
from multiscale.laws.reference_state import FitError
from multiscale.laws.strain import green_lagrange
from multiscale.measured.ranking import Extrapolation, NothingLeft, Ranking, Standing
from multiscale.symmetry.material_symmetry import MaterialSymmetry
from multiscale.symmetry.point_group import PointGroup
from multiscale.trust.domain import Domain


@runtime_checkable
class StateCandidate(Protocol):
    """Whatever makes a law of strain-stress data."""

    @property
    def name(self) -> str:
        """For the table."""
        ...

    def fit_states(self, data: StressStrainData, *, seed: int) -> Law:
        """A law in GPa."""
        ...


@dataclass(frozen=True)
class NetworkCandidate:
    """A law of `multiscale.fit`.

    Attributes:
        symmetry, mode, neurons, starts: as of `fit`.
    """

    symmetry: MaterialSymmetry
    mode: Mode = "free"
    neurons: int | None = None
    starts: int = 8

    @property
    def name(self) -> str:
        return f"{self.mode} network, {self.symmetry.name}"

    def fit_states(self, data: StressStrainData, *, seed: int) -> Law:
        """The fitted law."""
        return fit(data, self.symmetry, mode=self.mode, neurons=self.neurons, starts=self.starts, seed=seed)


@dataclass(frozen=True)
class PolynomialCandidate:
    """Elastic constants up to an order: Saint Venant-Kirchhoff's law (two), third-order elasticity (three).

    Attributes:
        symmetry, order: as of `fit_elastic_constants`.
    """

    symmetry: MaterialSymmetry
    order: int = 3

    @property
    def name(self) -> str:
        return f"elastic constants to {self.order}, {self.symmetry.name}"

    def fit_states(self, data: StressStrainData, *, seed: int) -> Law:
        """The law of least squares."""
        return fit_elastic_constants(data, self.symmetry, order=self.order).law


@dataclass(frozen=True)
class ModelCandidate:
    """A classical isotropic model.

    Attributes:
        model: one of `classical_models`.
    """

    model: Model

    @property
    def name(self) -> str:
        return self.model.name

    def fit_states(self, data: StressStrainData, *, seed: int) -> Law:
        """The law of least squares."""
        return fit_model_to_states(self.model, data, seed=seed)


def rank_on_states(
    candidates: Sequence[StateCandidate],
    data: StressStrainData,
    left_out: Bool[ndarray, "n"],
    *,
    seed: int,
    name: str = "states left out",
) -> Ranking:
    """Fit every candidate to the states that are not left out and sort them by their error of stress on those that are.

    Args:
        left_out: which states judge.
        name: of those, for the table.

    Raises:
        NothingLeft: all of the admissible states are left out, or none.
        InvalidData: the data have no stress.
    """
    data.labels("first_piola")
    left_out = np.asarray(left_out, dtype=bool)
    if left_out.shape != (len(data),):
        raise NothingLeft(f"left_out has shape {left_out.shape}, expected ({len(data)},): one flag a state")
    fitted, judged = (
        data.select(part & data.admissible) if (part & data.admissible).any() else None
        for part in (~left_out, left_out)
    )
    if fitted is None or judged is None:
        count = int((left_out & data.admissible).sum())
        raise NothingLeft(
            f"{count} of {int(data.admissible.sum())} admissible states are left out; expected some, and some to fit"
        )
    domain = Domain(green_lagrange(fitted.deformation_gradient), PointGroup.named("-1"))
    outside = domain.distance(green_lagrange(judged.deformation_gradient)) > domain.spacing
    if outside.any():
        warnings.warn(
            f"{int(outside.sum())} of {len(outside)} states left out are farther from every fitted state than 95 % of these are from each "
            "other: there the ranking compares extrapolations, unless the symmetry brings them nearer",
            Extrapolation,
            stacklevel=2,
        )
    standings = sorted(
        (stand_on_states(candidate, fitted, judged, seed) for candidate in candidates), key=lambda s: s.error
    )
    return Ranking(name, tuple(standings), float(outside.mean()))


def stand_on_states(
    candidate: StateCandidate, fitted: StressStrainData, judged: StressStrainData, seed: int
) -> Standing:
    """One candidate fitted and judged."""
    try:
        law = candidate.fit_states(fitted, seed=seed)
    except FitError as error:
        return Standing(candidate.name, np.inf, np.inf, None, f"not fitted: {error}")
    errors = [
        float(
            np.sqrt(
                normalised_mse(
                    law.evaluate(data.deformation_gradient, tangent=False).first_piola, data.labels("first_piola")
                )
            )
        )
        for data in (judged, fitted)
    ]
    return Standing(candidate.name, errors[0], errors[1], law)
