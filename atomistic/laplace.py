r"""Bayesian last layer: how well the training labels determine the weights of a potential's last layer.

The last layer is a linear model (`atomistic.last_layer`): every label y is a row r times the weights w, with an error of variance e^2.
With a normal prior on w of precision Lambda, the posterior is normal around the trained weights with covariance

    Sigma = ( sum_rows r^T r / e^2 + Lambda )^-1 ,

the inverse Hessian of the loss, exact because the model is linear (MacKay, Neural Comput. 4 (1992) 448; the last-layer Laplace
approximation of Daxberger and others, NeurIPS 2021). Any linear output has the predictive variance

    var(r . w) = r Sigma r^T + noise,

so the energy, each force component and each stress component have one from their own row. With Sigma = L L^T it is |r L|^2: the sum of
squares of what the potential predicts with each column of L as its last layer. What `evaluate` returns is the first term's square root;
the noise, and a factor on the first term for what the hidden layers leave undetermined, come from held-out data by
`atomistic.calibration`, as in Bigi and others, Mach. Learn.: Sci. Technol. 5 (2024) 045018, since residuals on training data are too
small. Units: eV, Angstrom.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from ase import Atoms
from jaxtyping import Float
from numpy import ndarray

from atomistic.ensemble import PotentialEnsemble
from atomistic.label_errors import root_mean_squares
from atomistic.last_layer import SHARED, bias_columns, directions, feature_rows, last_layer_weights
from atomistic.neighbour_list import NeighbourList
from atomistic.potential import NeuralPotential, Prediction
from atomistic.uncertainty import InvalidEstimator, Uncertainty, prefixed, with_prefix
from atomistic.whitening import ErrorScales

BIAS_ERROR = 10.0
"""Prior standard deviation of the energy of an element's atom, eV: no information beside that of the labels."""


@dataclass(frozen=True)
class LastLayerLaplace:
    """Posterior of the last layer's weights.

    Attributes:
        potential: whose errors are estimated.
        factor: L of the module's docstring, Sigma = L L^T.
        errors: of the labels, as used in Sigma.
    """

    kind: ClassVar[str] = "last-layer Laplace"

    potential: NeuralPotential
    factor: Float[ndarray, "columns columns"]
    errors: ErrorScales

    @classmethod
    def fit(
        cls,
        potential: NeuralPotential,
        structures: Sequence[Atoms],
        *,
        errors: ErrorScales | None = None,
        prior_precision: Float[ndarray, "columns"] | None = None,
    ) -> "LastLayerLaplace":
        """From the training structures.

        Args:
            potential: the trained potential.
            structures: what it was trained on; of the labels no more is used than their root mean square residuals.
            errors: of the labels; None for these residuals.
            prior_precision: diagonal of Lambda; None for weights of features in units of their standard deviation that are as large as
                the trained ones, and energies of free atoms that are free.

        Raises:
            InvalidEstimator: for no structures, for errors or precisions that are not positive, for an untrained potential.
            InvalidTrainingData: for missing or non-finite labels, where `errors` is None.
        """
        if not structures:
            raise InvalidEstimator("no structures; expected those that the potential was trained on")
        errors = errors or ErrorScales(*root_mean_squares(potential.predict, structures))
        if not all(error > 0.0 for error in asdict(errors).values()):
            raise InvalidEstimator(f"errors of the labels {errors}, expected positive numbers")
        weights = last_layer_weights(potential)
        columns = len(weights)
        along = directions(potential, np.eye(columns))
        gram = np.zeros((columns, columns))
        features = []
        for atoms in structures:
            rows = feature_rows(along, atoms)
            features.append(rows.atomic)
            parts = [rows.atomic.sum(0, keepdims=True) / (len(atoms) * errors.energy)]
            parts.append(rows.forces.reshape(-1, columns) / errors.force)
            if all(atoms.pbc):
                parts.append(rows.stress[np.triu_indices(3)] / errors.stress)
            own = np.concatenate(parts)
            gram += own.T @ own
        if prior_precision is None:
            prior_precision = _prior(np.concatenate(features), weights, bias_columns(potential))
        if prior_precision.shape != (columns,) or not (prior_precision > 0.0).all():
            raise InvalidEstimator(
                f"prior precisions of shape {prior_precision.shape} from {prior_precision.min():.3g}, "
                f"expected {columns} positive numbers"
            )
        return cls(potential, _inverse_factor(gram, prior_precision), errors)

    @property
    def covariance(self) -> Float[ndarray, "columns columns"]:
        """Sigma."""
        return np.asarray(self.factor @ self.factor.T)

    @property
    def cutoff(self) -> float:
        """Of the potential, Angstrom."""
        return self.potential.cutoff

    @cached_property
    def _along(self) -> tuple[NeuralPotential, ...]:
        return directions(self.potential, self.factor)

    def evaluate(self, atoms: Atoms, neighbours: NeighbourList | None = None) -> Uncertainty:
        """Standard deviations from the posterior; the novelty of an atom is that of its own energy, eV."""
        rows = feature_rows(self._along, atoms, neighbours)
        return Uncertainty(
            energy=float(np.linalg.norm(rows.atomic.sum(0))),
            forces=np.sqrt(np.square(rows.forces).sum(-1).mean(-1)),
            stress=np.linalg.norm(rows.stress, axis=-1) if all(atoms.pbc) else None,
            atomic=np.linalg.norm(rows.atomic, axis=-1),
        )

    def predict(self, atoms: Atoms, neighbours: NeighbourList | None = None) -> tuple[Prediction, Uncertainty]:
        """The potential's prediction and the standard deviations."""
        neighbours = NeighbourList(self.cutoff, skin=SHARED) if neighbours is None else neighbours
        return self.potential.predict(atoms, neighbours), self.evaluate(atoms, neighbours)

    def draw(self, members: int, *, seed: int) -> PotentialEnsemble:
        """Potentials whose last layers are drawn from the posterior, w + L n with n standard normal: all else is shared.

        The n are taken about their own mean, so that the mean of the ensemble is the potential itself. Its spread estimates the standard
        deviations of `evaluate` for the cost of `members` force calls, to a relative accuracy of about 1 / sqrt(6 members) for a force.
        """
        deviates = np.random.default_rng(seed).standard_normal((len(self.factor), members))
        deviates -= deviates.mean(1, keepdims=True)
        drawn = last_layer_weights(self.potential)[:, None] + self.factor @ deviates
        return PotentialEnsemble(directions(self.potential, drawn))

    def contents(self) -> tuple[dict[str, Any], dict[str, ndarray]]:
        """Header and arrays of the potential and of the posterior."""
        header, arrays = self.potential.contents()
        return {"potential": header, "errors": asdict(self.errors)}, prefixed("potential/", arrays) | {
            "factor": self.factor
        }

    @classmethod
    def from_contents(cls, header: Mapping[str, Any], arrays: Mapping[str, ndarray]) -> "LastLayerLaplace":
        """The estimator that `contents` described."""
        potential = NeuralPotential.from_contents(header["potential"], with_prefix("potential/", arrays))
        columns, factor = len(last_layer_weights(potential)), arrays["factor"]
        if factor.shape != (columns, columns):
            raise ValueError(f"a posterior of shape {factor.shape} for {columns} weights")
        return cls(potential, factor, ErrorScales(**header["errors"]))


def _prior(
    features: Float[ndarray, "atoms columns"], weights: Float[ndarray, "columns"], bias: Float[ndarray, "columns"]
) -> Float[ndarray, "columns"]:
    """Precisions by which each feature's contribution w_p std(phi_p) is as likely to be as large as the trained ones are on average."""
    contributions = (weights * features.std(0))[bias == 0.0]
    mean_square = float(np.mean(np.square(contributions)))
    if not mean_square > 0.0:
        raise InvalidEstimator(
            "the last layer is the same for all training atoms: an untrained potential; train it first"
        )
    scale = np.maximum(features.std(0), 1e-6 * features.std(0).max())
    return np.where(bias == 1.0, BIAS_ERROR**-2, np.square(scale) / mean_square)


def _inverse_factor(gram: Float[ndarray, "n n"], precision: Float[ndarray, "n"]) -> Float[ndarray, "n n"]:
    """L with L L^T = (gram + diag(precision))^-1, by the eigenvalues of the matrix scaled to a unit diagonal.

    The prior bounds the eigenvalues from below; the bound is put in again where round-off lost it.
    """
    hessian = gram + np.diag(precision)
    scale = 1.0 / np.sqrt(np.diag(hessian))
    eigenvalues, vectors = np.linalg.eigh(scale[:, None] * hessian * scale)
    bound = float((precision * scale**2).min())
    return np.asarray(scale[:, None] * vectors / np.sqrt(np.maximum(eigenvalues, bound)))
