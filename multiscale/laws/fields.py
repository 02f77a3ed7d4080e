"""What makes the fields of a law right: shapes, numbers, the group's symmetry; and the errors that say what does not."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from multiscale.laws.strain import stress_components
from multiscale.symmetry.material_symmetry import MaterialSymmetry


class InvalidLaw(ValueError):
    """Parameters that make no law: shapes, numbers that are not finite, constants that break the symmetry."""


class UnknownState(ValueError):
    """A per-point state was handed to a law that has none of that name, or one that is no such state."""


class NoUncertainty(ValueError):
    """An error bar was asked of a law that no fit gave one."""


def settle_arrays(law: object, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Store fields of a frozen law as float64 once their shapes and numbers are right.

    Raises:
        InvalidLaw: names the field and what was expected.
    """
    for name, shape in shapes.items():
        array = np.array(getattr(law, name), dtype=np.float64)
        if array.shape != shape:
            raise InvalidLaw(f"{name} has shape {array.shape}, expected {shape}")
        if not np.isfinite(array).all():
            raise InvalidLaw(f"{name} holds NaN or infinity, expected finite numbers")
        object.__setattr__(law, name, array)


def check_growth(modulus: float, threshold: float) -> None:
    """Refuse a growth term that acts at F = I or is no number.

    Raises:
        InvalidLaw: names both numbers.
    """
    if not (0.0 <= threshold < 1.0 and 0.0 <= modulus < np.inf):
        raise InvalidLaw(
            f"the growth term has modulus {modulus} GPa and threshold J0 = {threshold}, expected a modulus >= 0 and 0 <= J0 < 1 "
            "(F = I is inside every law's data)"
        )


def check_reference_state(
    symmetry: MaterialSymmetry, constants: Float[ndarray, "6 6"], reference_stress: Float[ndarray, "3 3"]
) -> None:
    """Refuse elastic constants that are not symmetric, and constants or a stress at F = I that break the group's symmetry.

    Raises:
        InvalidLaw: by how much.
    """
    skew = float(np.abs(constants - constants.T).max())
    if skew > 1e-9 * float(np.abs(constants).max()):
        raise InvalidLaw(
            f"the elastic constants differ from their transpose by {skew:.3g} GPa, expected a symmetric matrix"
        )
    stress = stress_components(reference_stress)
    for name, given, projected in (
        ("constants", constants, symmetry.project_stiffness(constants)),
        ("reference_stress", stress, symmetry.project_stress(stress)),
    ):
        broken = float(np.abs(given - projected).max())
        if broken > 1e-9 * max(float(np.abs(given).max()), 1e-30):
            raise InvalidLaw(
                f"{name} differ from their average over {symmetry.name} by {broken:.3g} GPa; project them on the group "
                "(project_stiffness, project_stress) or use the group they have"
            )
