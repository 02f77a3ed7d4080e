"""Labels of adiabatic states: energies in ascending order, gradients, and couplings where known, all free of phases."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float


class InvalidLabels(ValueError):
    """Labels of excited states that are not finite or have the wrong shapes."""


class UnorderedStates(InvalidLabels):
    """Energies that are not ascending: states were followed by character through a crossing, or not sorted at all."""


@dataclass(frozen=True)
class AdiabaticLabels:
    """What is known of the adiabatic states at some points; of one state alone too, which is then fitted as a smooth surface.

    Attributes:
        coordinates: R, (points, dimensions).
        energies: E_i, ascending, (points, states).
        gradients: grad E_i, (points, states, dimensions).
        interstate: h_ij = (E_j - E_i) d_ij, (points, states, states, dimensions), of which
            neither the sign nor the diagonal is looked at; None where unknown.

    Raises:
        InvalidLabels: for wrong shapes or numbers that are not finite.
        UnorderedStates: for energies out of order; `AdiabaticLabels.sorted` brings them into it.
    """

    coordinates: np.ndarray
    energies: np.ndarray
    gradients: np.ndarray
    interstate: np.ndarray | None = None

    def __post_init__(self) -> None:
        points, dimensions = _shape(self.coordinates, 2, "coordinates")
        states = _shape(self.energies, 2, "energies")[1]
        expected = {"energies": (points, states), "gradients": (points, states, dimensions)}
        if self.interstate is not None:
            expected["interstate"] = (points, states, states, dimensions)
        for name, shape in expected.items():
            if getattr(self, name).shape != shape:
                raise InvalidLabels(f"{name} of shape {getattr(self, name).shape}, expected {shape}")
        for name in ("coordinates", *expected):
            wrong = ~np.isfinite(getattr(self, name)).reshape(points, -1).all(1)
            if wrong.any():
                raise InvalidLabels(f"{name} of point {int(np.argmax(wrong))} are not finite; leave the point out")
        falling = np.argwhere(np.diff(self.energies, axis=1) < 0.0)
        if len(falling):
            point, state = (int(k) for k in falling[0])
            raise UnorderedStates(
                f"point {point}: E_{state} = {self.energies[point, state]:.8g} lies above E_{state + 1} = "
                f"{self.energies[point, state + 1]:.8g}, and so at {len(set(falling[:, 0]))} of {points} points; "
                f"adiabatic states are ordered "
                "by energy: AdiabaticLabels.sorted(...) puts energies, gradients and couplings in order together"
            )

    @classmethod
    def sorted(
        cls,
        coordinates: Float[np.ndarray, "points dimensions"],
        energies: Float[np.ndarray, "points states"],
        gradients: Float[np.ndarray, "points states dimensions"],
        interstate: Float[np.ndarray, "points states states dimensions"] | None = None,
    ) -> "AdiabaticLabels":
        """Labels whose states come in any order, the same for energies, gradients and couplings of a point."""
        order = np.argsort(energies, axis=1, kind="stable")
        rows = np.arange(len(order))[:, None]
        off = None if interstate is None else interstate[rows[..., None], order[:, :, None], order[:, None, :]]
        return cls(coordinates, energies[rows, order], gradients[rows, order], off)


def _shape(array: np.ndarray, axes: int, name: str) -> tuple[int, ...]:
    if array.ndim != axes or 0 in array.shape:
        raise InvalidLabels(f"{name} of shape {array.shape}, expected {axes} axes, none of them empty")
    return tuple(array.shape)
