r"""Calibration of an estimator's figures on labelled structures that were kept from training: standard deviations and intervals.

For the energy an atom, the force components and the stress components, the figure u becomes the standard deviation

    s(u) = sqrt( a^2 + b^2 (u/u_0)^2p ),      u_0 the root mean square figure of the held-out data,

a the noise that the estimator does not see, b and p scale what it does (Musil and others, J. Chem. Theory Comput. 15 (2019) 906, without
the noise). The parameters maximise the likelihood of the held-out errors e as normal deviates, -sum (ln s + e^2/2s^2), with a normal
prior for ln p about 0 of width 1/4, so that few data cannot bend the scale. Errors have heavier tails than that: the half width of an
interval is q(c) s(u), with q(c) the ceil((n+1) c)-th smallest of the n scores |e|/s, so that it covers at least the fraction c of errors
exchangeable with those held out (split conformal prediction: Vovk, Gammerman and Shafer, Algorithmic Learning in a Random World, 2005;
Lei and others, J. Am. Stat. Assoc. 113 (2018) 1094). Nothing of the kind is promised for structures unlike those held out: there the
figures rank, and `threshold` says from where on a structure is unlike them.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from ase import Atoms
from jaxtyping import Float
from numpy import ndarray
from scipy.optimize import minimize

from atomistic.descriptor_distance import MahalanobisDistance, NearestNeighbourDistance
from atomistic.label_errors import label_error
from atomistic.laplace import LastLayerLaplace
from atomistic.neighbour_list import NeighbourList
from atomistic.network_file import NetworkFileError, read_network_file, write_network_file
from atomistic.potential import NeuralPotential, Prediction
from atomistic.uncertainty import EnsembleSpread, Uncertainty, UncertaintyEstimator, prefixed, with_prefix

SCHEMA: Final = "atomlaw/uncertainty"
SCHEMA_VERSION: Final = 1
KINDS: Final[dict[str, type[UncertaintyEstimator]]] = {
    cls.kind: cls for cls in (EnsembleSpread, LastLayerLaplace, MahalanobisDistance, NearestNeighbourDistance)
}
LEVELS: Final = np.concatenate([np.arange(0.05, 0.95, 0.05), np.arange(0.95, 0.999, 0.01), [0.995, 0.999]])
"""Coverages whose half widths are kept; those between are interpolated."""
PARAMETERS: Final = ("noise", "factor", "power", "unit")
LOG_POWER_WIDTH: Final = 0.25
MINIMUM_STRUCTURES: Final = 10
BY_SYMMETRY: Final = 1e-8
"""Forces (eV/A) predicted below this are zero by symmetry, as their labels are: they would count as errors of zero."""


class InvalidCalibrationData(ValueError):
    """Too few held-out structures, or none with the labels that a figure needs."""


@dataclass(frozen=True)
class Scale:
    """From an estimator's figure to a standard deviation and to half widths.

    Attributes:
        noise, factor, power, unit: a, b, p and u_0 of the module's docstring.
        levels: coverages, ascending.
        multipliers: q of each level.
    """

    noise: float
    factor: float
    power: float
    unit: float
    levels: Float[ndarray, "levels"]
    multipliers: Float[ndarray, "levels"]

    @classmethod
    def fit(cls, figures: Float[ndarray, "n"], errors: Float[ndarray, "n"]) -> "Scale":
        """By maximum likelihood on held-out errors.

        Raises:
            InvalidCalibrationData: for fewer than ten errors, figures that are negative or not finite, or errors that are all zero.
        """
        if len(errors) < MINIMUM_STRUCTURES:
            raise InvalidCalibrationData(
                f"{len(errors)} errors to calibrate with, expected at least {MINIMUM_STRUCTURES}"
            )
        if not (np.isfinite(figures).all() and (figures >= 0.0).all() and np.isfinite(errors).all()):
            raise InvalidCalibrationData(
                "figures or errors that are negative or not finite; expected finite uncertainties"
            )
        squares = np.square(errors)
        total = float(squares.mean())
        if not total > 0.0:
            raise InvalidCalibrationData(
                "all held-out errors are zero; expected structures that the potential has not seen"
            )
        unit = float(np.sqrt(np.mean(np.square(figures)))) or 1.0
        logarithms = np.log(np.maximum(figures / unit, 1e-12))

        def cost(parameters: ndarray) -> tuple[float, ndarray]:
            """Mean of ln s^2 + e^2/s^2 in units of the mean square error, and its gradient."""
            noise, slope, power = parameters
            first, second = np.exp(2.0 * noise), np.exp(2.0 * (slope + power * logarithms))
            variance = total * (first + second)
            pull = (1.0 - squares / variance) / variance * total
            gradient = 2.0 * np.array(
                [(pull * first).mean(), (pull * second).mean(), (pull * second * logarithms).mean()]
            )
            bend = np.log(power) / LOG_POWER_WIDTH
            gradient[2] += 2.0 * bend / (LOG_POWER_WIDTH * power * len(errors))
            return float((np.log(variance) + squares / variance).mean() + bend**2 / len(errors)), gradient

        starts = [(-3.0, 0.0), (-1.0, -1.0), (0.0, -3.0)]
        fits = [
            minimize(cost, [*start, 1.0], jac=True, method="L-BFGS-B", bounds=[(-7.0, 3.0), (-14.0, 3.0), (0.25, 4.0)])
            for start in starts
        ]
        noise, slope, power = min(fits, key=lambda fit: fit.fun).x
        scale = float(np.sqrt(total))
        nothing = np.zeros(0)
        fitted = cls(scale * float(np.exp(noise)), scale * float(np.exp(slope)), float(power), unit, nothing, nothing)
        scores = np.sort(np.abs(errors) / fitted.deviation(figures))
        rank = np.ceil((len(scores) + 1) * LEVELS).astype(int)
        known = rank <= len(scores)
        return replace(fitted, levels=LEVELS[known], multipliers=scores[rank[known] - 1])

    def deviation(self, figures: Float[ndarray, "*shape"]) -> Float[ndarray, "*shape"]:
        """s(u)."""
        return np.asarray(np.hypot(self.noise, self.factor * (figures / self.unit) ** self.power))

    def width(self, figures: Float[ndarray, "*shape"], coverage: float | None) -> Float[ndarray, "*shape"]:
        """s(u), or q(c) s(u) where a coverage is given."""
        deviation = self.deviation(figures)
        return np.asarray(deviation if coverage is None else self.multiplier(coverage) * deviation)

    def multiplier(self, coverage: float) -> float:
        """q(c): half widths of intervals are this many standard deviations.

        Raises:
            ValueError: where the held-out data are too few for the coverage.
        """
        if not self.levels[0] <= coverage <= self.levels[-1]:
            raise ValueError(
                f"coverage = {coverage}, expected between {self.levels[0]:.3g} and {self.levels[-1]:.3g}: what the held-out data tell"
            )
        return float(np.interp(coverage, self.levels, self.multipliers))


@dataclass(frozen=True)
class CalibratedUncertainty:
    """An estimator whose figures are standard deviations, and its potential: all that a simulation needs, in one file.

    Attributes:
        estimator: of the raw figures.
        energy: scale of the energies an atom, None where the estimator gives none.
        forces: scale of the force components.
        stress: scale of the stress components, None where the estimator gives none or no stress was held out.
        held_out: standard deviations of the forces of all held-out atoms, ascending, eV/A.
    """

    estimator: UncertaintyEstimator
    energy: Scale | None
    forces: Scale
    stress: Scale | None
    held_out: Float[ndarray, "atoms"]

    def evaluate(self, atoms: Atoms) -> Uncertainty:
        """Standard deviations of one structure; the novelty of its atoms stays the estimator's.

        Raises:
            UnknownElement: where an element is not known.
        """
        return self._mapped(self.estimator.evaluate(atoms))

    def predict(self, atoms: Atoms, neighbours: NeighbourList | None = None) -> tuple[Prediction, Uncertainty]:
        """The prediction and its standard deviations; a series of structures, as in dynamics, shares a list `neighbours`."""
        prediction, raw = self.estimator.predict(atoms, neighbours)
        return prediction, self._mapped(raw)

    def interval(self, atoms: Atoms, coverage: float = 0.9) -> Uncertainty:
        """Half widths of the intervals about the prediction that cover this fraction of errors in the domain of the held-out data.

        Raises:
            UnknownElement: where an element is not known.
            ValueError: where the held-out data are too few for the coverage.
        """
        return self._mapped(self.estimator.evaluate(atoms), coverage)

    def largest_force_uncertainty(self, atoms: Atoms) -> float:
        """Of all atoms, eV/A: what a guard of a simulation compares with a threshold."""
        return float(self.forces.deviation(force_figures(self.estimator.evaluate(atoms))).max())

    def threshold(self, false_alarms: float) -> float:
        """The force uncertainty (eV/A) that this fraction of the held-out atoms exceeds: a gate for atoms unlike them.

        Raises:
            ValueError: for a fraction outside 0 to 1.
        """
        if not 0.0 <= false_alarms <= 1.0:
            raise ValueError(f"false_alarms = {false_alarms}, expected a fraction of the held-out atoms")
        return float(np.quantile(self.held_out, 1.0 - false_alarms))

    def _mapped(self, raw: Uncertainty, coverage: float | None = None) -> Uncertainty:
        """Standard deviations, or half widths where a coverage is given."""
        energy = stress = None
        if self.energy is not None and raw.energy is not None:
            size = len(raw.atomic)
            energy = size * float(self.energy.width(np.array(raw.energy / size), coverage))
        if self.stress is not None and raw.stress is not None:
            stress = self.stress.width(raw.stress, coverage)
        return Uncertainty(energy, self.forces.width(force_figures(raw), coverage), stress, raw.atomic)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write potential, estimator and calibration to one safetensors file, whole or not at all."""
        header, arrays = self.estimator.contents()
        arrays = prefixed("estimator/", arrays) | {"held_out": self.held_out}
        scales = {}
        for name in ("energy", "forces", "stress"):
            scale = getattr(self, name)
            if scale is not None:
                scales[name] = {own: getattr(scale, own) for own in PARAMETERS}
                arrays |= {f"{name}/levels": scale.levels, f"{name}/multipliers": scale.multipliers}
        write_network_file(
            path, SCHEMA, SCHEMA_VERSION, {"kind": self.estimator.kind, "estimator": header, "scales": scales}, arrays
        )

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "CalibratedUncertainty":
        """Read what `save` wrote; nothing in the file is executed.

        Raises:
            NetworkFileError: where the file is missing, truncated, foreign, inconsistent or of another schema.
        """
        header, arrays = read_network_file(path, SCHEMA, SCHEMA_VERSION)
        try:
            estimator = KINDS[header["kind"]].from_contents(header["estimator"], with_prefix("estimator/", arrays))
            scales = {name: _scale(own, with_prefix(f"{name}/", arrays)) for name, own in header["scales"].items()}
            return cls(estimator, scales.get("energy"), scales["forces"], scales.get("stress"), arrays["held_out"])
        except (KeyError, TypeError, ValueError) as error:
            raise NetworkFileError(f"{path} holds no consistent uncertainty ({error!r}); save it again") from error


def force_figures(raw: Uncertainty) -> Float[ndarray, "atoms"]:
    """What stands for the uncertainty of the forces: the estimator's own, or the atoms' novelty."""
    return raw.atomic if raw.forces is None else raw.forces


def calibrate(estimator: UncertaintyEstimator, held_out: Sequence[Atoms]) -> CalibratedUncertainty:
    """Calibrate an estimator on labelled structures that neither its potential nor itself has seen.

    They should be drawn as the structures are that it will be asked about: the errors of the training set are too small.

    Raises:
        InvalidCalibrationData: for fewer than ten structures, or none that tells of forces.
        InvalidTrainingData: for missing or non-finite labels.
        UnknownElement: where an element is not known.
    """
    if len(held_out) < MINIMUM_STRUCTURES:
        raise InvalidCalibrationData(
            f"{len(held_out)} held-out structures, expected at least {MINIMUM_STRUCTURES}: keep a tenth of the data from training"
        )
    energies: list[tuple[float, float]] = []
    forces, stresses, figures = [], [], []
    for atoms in held_out:
        prediction, raw = estimator.predict(atoms)
        error = label_error(prediction, atoms)
        if raw.energy is not None:
            energies.append((raw.energy / len(atoms), error.energy / len(atoms)))
        figures.append(force_figures(raw))
        told = np.linalg.norm(prediction.forces, axis=1) > BY_SYMMETRY
        forces.append((np.repeat(figures[-1][told], 3), error.forces[told].ravel()))
        if raw.stress is not None and error.stress is not None:
            upper = np.triu_indices(3)
            stresses.append((raw.stress[upper], error.stress[upper]))
    of_forces = Scale.fit(*_joined(forces))
    return CalibratedUncertainty(
        estimator,
        energy=Scale.fit(*np.array(energies).T) if energies else None,
        forces=of_forces,
        stress=Scale.fit(*_joined(stresses)) if stresses else None,
        held_out=np.sort(of_forces.deviation(np.concatenate(figures))),
    )


def fit_uncertainty(
    potential: NeuralPotential,
    training: Sequence[Atoms],
    held_out: Sequence[Atoms],
    *,
    draws: int | None = None,
    seed: int = 0,
) -> CalibratedUncertainty:
    """The estimator that ranked errors best where it was measured (docs/uncertainty.md): the Bayesian last layer, calibrated.

    Args:
        potential: whose errors are estimated.
        training: what it was trained on.
        held_out: labelled structures that it was not trained on, drawn alike.
        draws: None for the posterior's standard deviations themselves, which cost as many force calls as the last layer has weights; else
            they are estimated from so many potentials drawn from the posterior, for simulations (16 is a good number).
        seed: of the draws.

    Raises:
        InvalidEstimator, InvalidCalibrationData, InvalidTrainingData: as `LastLayerLaplace.fit` and `calibrate`.
    """
    laplace = LastLayerLaplace.fit(potential, training)
    return calibrate(laplace if draws is None else EnsembleSpread(laplace.draw(draws, seed=seed)), held_out)


def _joined(pairs: Sequence[tuple[ndarray, ndarray]]) -> tuple[ndarray, ndarray]:
    first, second = zip(*pairs, strict=True)
    return np.concatenate(first), np.concatenate(second)


def _scale(header: Mapping[str, Any], arrays: Mapping[str, ndarray]) -> Scale:
    levels, multipliers = arrays["levels"], arrays["multipliers"]
    if levels.shape != multipliers.shape or levels.ndim != 1 or not len(levels):
        raise ValueError(f"levels of shape {levels.shape} and multipliers of shape {multipliers.shape}")
    return Scale(**{name: float(header[name]) for name in PARAMETERS}, levels=levels, multipliers=multipliers)
