"""The error bar of a fitted orbit law (multiscale.trust.posterior): what its parameters are, and the stress's derivatives by them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from multiscale.data.dataset import StressStrainData
from multiscale.fits.observations import Observations
from multiscale.fits.orbit_least_squares import OrbitFit
from multiscale.laws.reference_state import ReferenceState
from multiscale.symmetry.material_symmetry import MaterialSymmetry
from multiscale.symmetry.point_group import PointGroup
from multiscale.trust.posterior import (
    InvalidUncertainty,
    Posterior,
    laplace_factor,
    number_or_nan,
    number_or_none,
)


@dataclass(frozen=True, eq=False)
class Uncertainty(Posterior):
    """What the parameters of an orbit law may be, besides what they are.

    Attributes:
        point_group: G.
        parameters: x (p,), dimensionless, as OrbitFit orders them.
        strain_scale, stiffness_scale: their units, the second in GPa.
        stiffness_basis: (m, 6, 6) and stress_basis (k, 6): what is fitted at F = I.
        factor: s L (p, r), calibrated: the parameters' covariance is factor factor^T.
        left_out: normalised mean square error of the stress of training states, each predicted from the others (to first order);
            NaN where the data have no stress.
    """

    stored: ClassVar[tuple[str, ...]] = ("parameters", "stiffness_basis", "stress_basis", "factor")

    point_group: PointGroup
    parameters: Float[ndarray, "p"]
    strain_scale: float
    stiffness_scale: float
    stiffness_basis: Float[ndarray, "m 6 6"]
    stress_basis: Float[ndarray, "k 6"]
    factor: Float[ndarray, "p r"]
    left_out: float

    def __post_init__(self) -> None:
        p, m, k = len(self.parameters), len(self.stiffness_basis), len(self.stress_basis)
        found = (self.stiffness_basis.shape, self.stress_basis.shape, self.factor.shape[:1])
        expected = ((m, 6, 6), (k, 6), (p,))
        if found != expected or self.factor.ndim != 2 or (p - m - k) % 8 or not p > m + k:
            raise InvalidUncertainty(
                f"{p} parameters, stiffness_basis, stress_basis and factor of shapes {found}: expected {expected} and eight "
                "parameters a neuron"
            )
        if not (self.strain_scale > 0.0 and self.stiffness_scale > 0.0):
            raise InvalidUncertainty(
                f"strain_scale is {self.strain_scale} and stiffness_scale {self.stiffness_scale}, expected them positive"
            )

    @classmethod
    def of(
        cls,
        problem: OrbitFit,
        parameters: Float[ndarray, "p"],
        data: StressStrainData,
        predicted: Float[ndarray, "n 3 3"],
        penalty: Float[ndarray, "q p"],
    ) -> "Uncertainty":
        """The posterior at a minimum.

        Args:
            problem, parameters: what was minimised, and where.
            data: calibrate it where they have stresses; s = 1 where not.
            predicted: the law's stresses at the states of `data`.
            penalty: Jacobian of what else was minimised; empty in a free fit.
        """
        residual, J = problem.linearisation(parameters)
        reference, count = problem.reference, problem.observations.count
        unit = cls(
            problem.group,
            np.array(parameters),
            problem.strain_scale,
            problem.stiffness_scale,
            reference.stiffness_basis,
            reference.stress_basis,
            laplace_factor(J, penalty),
            float("nan"),
        )
        factor, left_out = unit.calibrated(J[:count], residual[:count], data, predicted)
        return replace(unit, factor=factor, left_out=left_out)

    def observed(self, F: Float[ndarray, "n 3 3"], columns: Int[ndarray, "c"]) -> Float[ndarray, "n c p"]:
        """Derivatives by the parameters of some of the 28 components (W, S, D) of the law at F, in GPa."""
        n, c = len(F), len(columns)
        observations = Observations.of_everything(F, columns)
        nothing = ReferenceState(np.zeros((6, 6)), np.zeros(6), self.stiffness_basis, self.stress_basis)
        linear = len(self.stiffness_basis) + len(self.stress_basis)
        problem = OrbitFit(
            observations,
            self.point_group,
            (len(self.parameters) - linear) // 8,
            nothing,
            strain_scale=self.strain_scale,
            stiffness_scale=self.stiffness_scale,
            prior=1.0,
        )
        return problem.linearisation(self.parameters)[1][: n * c].reshape(n, c, -1)

    def scales(self) -> dict[str, Any]:
        return {
            "strain_scale": self.strain_scale,
            "stiffness_scale": self.stiffness_scale,
            "left_out": number_or_none(self.left_out),
        }

    @classmethod
    def restored(
        cls, symmetry: MaterialSymmetry, scales: Mapping[str, Any] | None, stored: Mapping[str, ndarray]
    ) -> "Uncertainty | None":
        if scales is None:
            return None
        if not isinstance(symmetry, PointGroup):
            raise InvalidUncertainty(f"an orbit law of symmetry {symmetry.name}, expected a finite group")
        return cls(
            symmetry,
            stored["uncertainty_parameters"],
            float(scales["strain_scale"]),
            float(scales["stiffness_scale"]),
            stored["uncertainty_stiffness_basis"],
            stored["uncertainty_stress_basis"],
            stored["uncertainty_factor"],
            number_or_nan(scales["left_out"]),
        )
