"""What a fit knows about the state F = I beforehand: elastic constants and stress, given or to be fitted, and their scales."""

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from multiscale.data.dataset import StressStrainData
from multiscale.laws.strain import (
    elastic_constants_of_tangent,
    green_lagrange,
    strain_tensor,
    stress_components,
)
from multiscale.symmetry.material_symmetry import MaterialSymmetry

ReferenceStress = Literal["zero", "fit"] | Float[ndarray, "3 3"]

SYMMETRY_TOLERANCE: Final = 0.01
"""Elastic constants and stress at F = I may break the group by this fraction: residues of relaxation, not of symmetry."""

ZERO_STRESS: Final = 1e-3
"""A stress at F = I below this fraction of the data's stress (rms) counts as zero."""


class FitError(ValueError):
    """Data that cannot be fitted as asked."""


class ContradictorySymmetry(FitError):
    """The data break the symmetry asked for."""


class ContradictoryReferenceStress(FitError):
    """The data contradict the stress at F = I asked for."""


@dataclass(frozen=True, eq=False)
class ReferenceState:
    """The law at F = I: what is known, and the bases of what is fitted (empty where it is known).

    Attributes:
        stiffness: (6, 6) and stress (6,), in GPa; zero where they are fitted.
        stiffness_basis: (m, 6, 6). stress_basis: (k, 6).
    """

    stiffness: Float[ndarray, "6 6"]
    stress: Float[ndarray, "6"]
    stiffness_basis: Float[ndarray, "m 6 6"]
    stress_basis: Float[ndarray, "k 6"]

    @classmethod
    def of(cls, data: StressStrainData, group: MaterialSymmetry, asked: ReferenceStress) -> "ReferenceState":
        """From the data and what the caller asks of the stress.

        Raises:
            ContradictorySymmetry: the tangent at F = I, or the stress asked for, breaks the group.
            ContradictoryReferenceStress: a zero stress asked for where the data have another.
        """
        stress, stress_basis = np.zeros(6), np.zeros((0, 6))
        if isinstance(asked, str):
            if asked == "fit":
                stress_basis = group.invariant_stresses()
            elif asked == "zero":
                check_zero_stress(data)
            else:
                raise FitError(f"reference_stress is {asked!r}, expected 'zero', 'fit' or a 3 x 3 stress in GPa")
        else:
            stress = prescribed_stress(np.asarray(asked, dtype=float), group)
        if data.reference_tangent is None:
            return cls(np.zeros((6, 6)), stress, group.invariant_stiffnesses(), stress_basis)
        measured = elastic_constants_of_tangent(data.reference_tangent, data.reference_stress)
        stiffness = group.project_stiffness(measured)
        broken = float(np.linalg.norm(measured - stiffness) / np.linalg.norm(measured))
        if not broken <= SYMMETRY_TOLERANCE:
            raise ContradictorySymmetry(
                f"the tangent at F = I breaks the symmetry {group.name} by {100 * broken:.2g} % of its norm, expected at most "
                f"{100 * SYMMETRY_TOLERANCE:g} %; take PointGroup.of(crystal), or check the crystal's orientation"
            )
        return cls(stiffness, stress, np.zeros((0, 6, 6)), stress_basis)


def check_zero_stress(data: StressStrainData) -> None:
    """Refuse zero stress at F = I where the residual stress, or a state at F = I, says otherwise."""
    residual, scale, error = data.reference_stress, 0.0, 0.0
    if data.first_piola is not None:
        scale = float(np.sqrt(np.mean(data.first_piola**2)))
        at_rest = np.abs(data.deformation_gradient - np.eye(3)).max(axis=(1, 2)) < 1e-9
        if at_rest.any() and len(data) > at_rest.sum():
            residual = data.first_piola[at_rest].mean(axis=0)
            if data.first_piola_error is not None:
                error = float(np.sqrt(np.mean(data.first_piola_error[at_rest] ** 2) / at_rest.sum()))
    elif data.reference_tangent is not None:
        largest = float(np.abs(strain_tensor(green_lagrange(data.deformation_gradient))).max())
        scale = float(np.abs(data.reference_tangent).max()) * largest
    found, allowed = float(np.abs(residual).max()), ZERO_STRESS * scale + 4.0 * error
    if found > allowed:
        raise ContradictoryReferenceStress(
            f"the stress at F = I is {found:.3g} GPa in the data, at most {allowed:.3g} GPa counts as zero; relax the crystal, or ask "
            "for reference_stress='fit' or its value"
        )


def prescribed_stress(stress: Float[ndarray, "3 3"], group: MaterialSymmetry) -> Float[ndarray, "6"]:
    """Voigt components of a stress that the group allows."""
    if (
        stress.shape != (3, 3)
        or not np.isfinite(stress).all()
        or np.abs(stress - stress.T).max() > 1e-9 * np.abs(stress).max()
    ):
        raise FitError(
            f"reference_stress is {stress.tolist()}, expected a symmetric 3 x 3 stress in GPa, 'zero' or 'fit'"
        )
    given = stress_components(stress)
    allowed = group.project_stress(given)
    broken = float(np.abs(given - allowed).max())
    if broken > SYMMETRY_TOLERANCE * float(np.abs(given).max()):
        raise ContradictorySymmetry(
            f"the reference stress asked for breaks the symmetry {group.name} by {broken:.3g} GPa; expected its average over the "
            f"group, {np.round(allowed, 6).tolist()} GPa (xx, yy, zz, yz, xz, xy)"
        )
    return allowed
