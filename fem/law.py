"""The protocol by which a constitutive law reaches the finite elements.

A law is anything with a method `evaluate`: deformation gradients in, energy density, first Piola-Kirchhoff stress and
tangent out, at many points at once. Per point

    x = F X,    P = dW/dF,    A[i,J,k,L] = dP[i,J] / dF[k,L],

W per reference volume. Stress has the law's unit: whoever applies a traction uses the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike


class ShapeError(ValueError):
    """An array has another shape than the one agreed; the message names both."""


class InadmissibleDeformation(ValueError):
    """A deformation gradient no material can have: det F <= 0, or not a number.

    The solver treats it as "this iterate is rejected" (a shorter step follows), so a law raises it rather than
    returning something plausible.

    Attributes:
        point: index of the first such point in the array handed over.
        determinant: det F there (NaN where F is not finite).
    """

    def __init__(self, point: int, determinant: float) -> None:
        self.point = point
        self.determinant = determinant
        found = f"det F = {determinant:.6g}" if np.isfinite(determinant) else "F is not finite"
        super().__init__(f"{found} at point {point}, expected det F > 0: the material is turned inside out there")


class AsymmetricTangent(ValueError):
    """A tangent without major symmetry: it is not the second derivative of an energy."""


@dataclass(frozen=True)
class Response:
    """What a law answers at n points.

    Attributes:
        energy: W, per reference volume.
        first_piola: P = dW/dF.
        tangent: A[i,J,k,L] = dP[i,J]/dF[k,L]; None when it was not asked for.
        trust: in (0, 1], 1 = inside the data the law was made from; None when the law has no such gauge or it was
            not asked for.
    """

    energy: Float[np.ndarray, " n"]
    first_piola: Float[np.ndarray, "n 3 3"]
    tangent: Float[np.ndarray, "n 3 3 3 3"] | None
    trust: Float[np.ndarray, " n"] | None = None


@runtime_checkable
class Law(Protocol):
    """A hyperelastic constitutive law evaluated on arrays of points."""

    def evaluate(
        self,
        deformation_gradient: Float[np.ndarray, "n 3 3"],
        state: Mapping[str, np.ndarray] | None = None,
        *,
        tangent: bool = True,
        trust: bool = False,
    ) -> Response:
        """Energy, stress and (when asked) tangent and trust at every point.

        Args:
            deformation_gradient: F.
            state: further fields per point, first axis n (temperature, orientation, ...), by name.
            tangent: whether A is wanted.
            trust: whether the domain gauge is wanted; a law without one returns None.

        Raises:
            ShapeError: F is not (n, 3, 3).
            InadmissibleDeformation: det F <= 0 or not finite at some point.
        """
        ...


def check_deformation_gradient(deformation_gradient: ArrayLike) -> Float[np.ndarray, "n 3 3"]:
    """F as a C-contiguous float64 array (n, 3, 3), finite and with det F > 0. Every law starts with this line.

    Raises:
        ShapeError: another shape.
        InadmissibleDeformation: det F <= 0 or not finite; names the point.
    """
    F = np.ascontiguousarray(deformation_gradient, dtype=np.float64)
    if F.ndim != 3 or F.shape[1:] != (3, 3):
        raise ShapeError(f"F has shape {F.shape}, expected (n, 3, 3)")
    J = determinant(F)
    # `not J > 0` catches NaN as well; an infinite entry makes J infinite or NaN.
    bad = ~((J > 0.0) & np.isfinite(J))
    if bad.any():
        point = int(np.argmax(bad))
        raise InadmissibleDeformation(point, float(J[point]))
    return F


def check_response(response: Response, points: int, *, tangent: bool) -> Response:
    """The response itself, once its shapes are those of the protocol.

    Raises:
        ShapeError: names the field, its shape and the expected one.
        AsymmetricTangent: A[i,J,k,L] is not A[k,L,i,J] (looked at in a sample of the points).
    """
    expected: dict[str, tuple[int, ...]] = {"energy": (points,), "first_piola": (points, 3, 3)}
    if tangent:
        expected["tangent"] = (points, 3, 3, 3, 3)
    if response.trust is not None:
        expected["trust"] = (points,)
    for name, shape in expected.items():
        found = np.shape(getattr(response, name)) if getattr(response, name) is not None else None
        if found != shape:
            raise ShapeError(f"the law returned {name} of shape {found}, expected {shape}: see fem.law.Response")
    if tangent:
        sample = np.asarray(response.tangent)[:: max(1, points // 100)].reshape(-1, 9, 9)
        asymmetry = np.max(np.abs(sample - sample.transpose(0, 2, 1)), initial=0.0)
        # written so that NaN passes: whether it is fatal is the solver's decision
        if asymmetry > 1e-6 * np.max(np.abs(sample), initial=0.0):
            raise AsymmetricTangent(
                f"the law's tangent differs from its transpose by {asymmetry:.3g}, expected A[i,J,k,L] = A[k,L,i,J]: "
                "is it the derivative of the stress, and the stress that of an energy?"
            )
    return response


def determinant(matrix: Float[np.ndarray, "n 3 3"]) -> Float[np.ndarray, " n"]:
    """det F written out: many times faster than LAPACK on small matrices."""
    a = matrix
    J: Float[np.ndarray, " n"] = (
        a[:, 0, 0] * (a[:, 1, 1] * a[:, 2, 2] - a[:, 1, 2] * a[:, 2, 1])
        - a[:, 0, 1] * (a[:, 1, 0] * a[:, 2, 2] - a[:, 1, 2] * a[:, 2, 0])
        + a[:, 0, 2] * (a[:, 1, 0] * a[:, 2, 1] - a[:, 1, 1] * a[:, 2, 0])
    )
    return J
