"""The error bar of an invariant or polyconvex law (multiscale.trust.posterior): its parameters, and the derivatives of stress by them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from multiscale.data.dataset import StressStrainData
from multiscale.fits.argument_forms import InvariantForm, PolyconvexForm
from multiscale.fits.argument_least_squares import ArgumentFit
from multiscale.fits.observations import Observations
from multiscale.laws.reference_state import ReferenceState
from multiscale.symmetry.material_symmetry import MaterialSymmetry
from multiscale.trust.posterior import (
    InvalidUncertainty,
    Posterior,
    laplace_factor,
    number_or_nan,
    number_or_none,
)


@dataclass(frozen=True, eq=False)
class ArgumentUncertainty(Posterior):
    """What the parameters of a law of invariants, or of a polyconvex one, may be, besides what they are.

    Attributes:
        symmetry: of the law. polyconvex: which of the two it is.
        neurons: how many.
        parameters: x (p,), dimensionless, as ArgumentFit orders them.
        strain_scale, stiffness_scale: their units, the second in GPa. sizes: (m,), those of the arguments.
        stiffness_basis: (q, 6, 6) and stress_basis (k, 6): what is fitted at F = I; empty in a polyconvex law.
        factor: s L (p, r), calibrated.
        left_out: as of every posterior.

    Raises:
        InvalidUncertainty: shapes or scales that do not fit together.
    """

    stored: ClassVar[tuple[str, ...]] = ("parameters", "sizes", "stiffness_basis", "stress_basis", "factor")

    symmetry: MaterialSymmetry
    polyconvex: bool
    neurons: int
    parameters: Float[ndarray, "p"]
    strain_scale: float
    stiffness_scale: float
    sizes: Float[ndarray, "m"]
    stiffness_basis: Float[ndarray, "q 6 6"]
    stress_basis: Float[ndarray, "k 6"]
    factor: Float[ndarray, "p r"]
    left_out: float

    def __post_init__(self) -> None:
        if not (self.strain_scale > 0.0 and self.stiffness_scale > 0.0 and (self.sizes > 0.0).all()):
            raise InvalidUncertainty(
                f"strain_scale is {self.strain_scale}, stiffness_scale {self.stiffness_scale} and sizes {self.sizes.tolist()}, "
                "expected them positive"
            )
        found = (self.sizes.shape, self.parameters.shape, self.factor.shape[:1])
        p = (self._problem.unknowns,)
        expected = (self._problem.form.jet.value.shape[1:], p, p)
        if found != expected or self.factor.ndim != 2:
            raise InvalidUncertainty(f"sizes, parameters and factor of shapes {found}, expected {expected}")

    @classmethod
    def of(
        cls,
        problem: ArgumentFit,
        parameters: Float[ndarray, "p"],
        data: StressStrainData,
        predicted: Float[ndarray, "n 3 3"],
        penalty: Float[ndarray, "q p"],
    ) -> "ArgumentUncertainty":
        """The posterior at a minimum.

        Args:
            problem, parameters: what was minimised, and where.
            data: calibrate it where they have stresses.
            predicted: the law's stresses at the states of `data`.
            penalty: Jacobian of what else was minimised; empty in a free fit.
        """
        form = problem.form
        if isinstance(form, InvariantForm):
            bases = form.reference.stiffness_basis, form.reference.stress_basis
        else:
            bases = np.zeros((0, 6, 6)), np.zeros((0, 6))
        residual, J = problem.linearisation(parameters)
        unit = cls(
            form.symmetry,
            isinstance(form, PolyconvexForm),
            problem.neurons,
            np.array(parameters),
            problem.strain_scale,
            problem.stiffness_scale,
            form.sizes,
            *bases,
            laplace_factor(J, penalty),
            float("nan"),
        )
        count = problem.observations.count
        factor, left_out = unit.calibrated(J[:count], residual[:count], data, predicted)
        return replace(unit, factor=factor, left_out=left_out)

    @cached_property
    def _problem(self) -> ArgumentFit:
        """The law's components as functions of its parameters, at F = I."""
        rest, s, K = np.eye(3)[None], self.strain_scale, self.stiffness_scale
        form: InvariantForm | PolyconvexForm
        if self.polyconvex:
            form = PolyconvexForm(rest, self.symmetry, s, self.sizes)
        else:
            fitted = ReferenceState(np.zeros((6, 6)), np.zeros(6), self.stiffness_basis, self.stress_basis)
            form = InvariantForm(rest, self.symmetry, fitted, s, K, self.sizes)
        return ArgumentFit(
            Observations.of_everything(rest), form, self.neurons, strain_scale=s, stiffness_scale=K, prior=1.0
        )

    def observed(self, F: Float[ndarray, "n 3 3"], columns: Int[ndarray, "c"]) -> Float[ndarray, "n c p"]:
        n, c = len(F), len(columns)
        return self._problem.at(F, columns).linearisation(self.parameters)[1][: n * c].reshape(n, c, -1)

    def scales(self) -> dict[str, Any]:
        return {
            "polyconvex": self.polyconvex,
            "neurons": self.neurons,
            "strain_scale": self.strain_scale,
            "stiffness_scale": self.stiffness_scale,
            "left_out": number_or_none(self.left_out),
        }

    @classmethod
    def restored(
        cls, symmetry: MaterialSymmetry, scales: Mapping[str, Any] | None, stored: Mapping[str, ndarray]
    ) -> "ArgumentUncertainty | None":
        if scales is None:
            return None
        return cls(
            symmetry,
            bool(scales["polyconvex"]),
            int(scales["neurons"]),
            stored["uncertainty_parameters"],
            float(scales["strain_scale"]),
            float(scales["stiffness_scale"]),
            stored["uncertainty_sizes"],
            stored["uncertainty_stiffness_basis"],
            stored["uncertainty_stress_basis"],
            stored["uncertainty_factor"],
            number_or_nan(scales["left_out"]),
        )
