"""Whether a law's stress is the derivative of its energy, and its tangent that of its stress.

Newton converges to the same state with a wrong tangent, slowly or not at all, and a wrong energy misleads the line search;
central differences find both in a handful of points:

    P : D = (W(F + h D) - W(F - h D)) / 2h,    A : D = (P(F + h D) - P(F - h D)) / 2h

for random directions D with |D| = 1.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from fem.law import Law, Response, check_response

if TYPE_CHECKING:  # check_law needs numpy only
    from mpi4py import MPI

    from fem.material import Material

# Truncation is 1e-8 times third derivatives; noise of 1e-8 in the law's answers makes 1e-5. A mistake is far larger.
_STEP = 1e-4
_TOLERANCE = 1e-4


Respond = Callable[[Float[np.ndarray, "n 3 3"], bool], Response]


class InconsistentLaw(ValueError):
    """A law whose stress is no derivative of its energy, or whose tangent is none of its stress."""


class SlowNewton(UserWarning):
    """Newton converged without its quadratic tail, as the law's tangent is wrong."""


@dataclass(frozen=True)
class LawErrors:
    """Largest differences from central differences, beside the largest derivative compared.

    Attributes:
        stress: of P : D.
        tangent: of A : D.
        noise: whether the differences get better with a tenfold step: the law's answers carry noise, which says nothing of its derivatives.
    """

    stress: float
    tangent: float
    noise: bool

    @property
    def complaint(self) -> str:
        """What is wrong with the law, "" if nothing is."""
        found = []
        # written so that NaN is a complaint
        if not self.stress <= _TOLERANCE:
            found.append(f"first_piola differs from the derivative of energy by {self.stress:.2g} of its size")
        if not self.tangent <= _TOLERANCE:
            found.append(f"tangent differs from the derivative of first_piola by {self.tangent:.2g} of its size")
        if not found:
            return ""
        return f"the law is inconsistent: {' and '.join(found)} (central differences, expected {_TOLERANCE:g} at most)"


def law_errors(respond: Respond, F: Float[np.ndarray, "n 3 3"]) -> LawErrors:
    """Compare a law with differences, two random directions a point.

    Args:
        respond: the law at F, with or without the tangent.
        F: deformation gradients; points where the law cannot be evaluated beside them are left out.
    """
    response = respond(F, True)
    stress, tangent = _differences(respond, F, response, _STEP)
    coarse_stress, coarse_tangent = _differences(respond, F, response, 10.0 * _STEP)
    noise = stress > 3.0 * coarse_stress or tangent > 3.0 * coarse_tangent
    return LawErrors(float(stress), float(tangent), bool(noise))


def _differences(
    respond: Respond, F: Float[np.ndarray, "n 3 3"], response: Response, step: float
) -> tuple[float, float]:
    assert response.tangent is not None
    random = np.random.default_rng(0)
    stress = tangent = 0.0
    for _ in range(2):
        D = random.standard_normal(F.shape)
        D /= np.linalg.norm(D, axis=(1, 2), keepdims=True)
        ahead, behind = respond(F + step * D, False), respond(F - step * D, False)
        slope = (ahead.energy - behind.energy) / (2.0 * step)
        finite = np.isfinite(ahead.energy + behind.energy)
        curvature = (ahead.first_piola - behind.first_piola) / (2.0 * step)
        stiffness = np.einsum("niJkL,nkL->niJ", response.tangent, D)
        size = np.abs(stiffness).max(initial=0.0)
        # next to F = I the stress itself is nothing: then it is compared with what a strain of 1 % gives
        energy_size = max(np.abs(response.first_piola).max(initial=0.0), 0.01 * size)
        work = np.einsum("niJ,niJ->n", response.first_piola, D)
        stress = max(stress, _ratio((slope - work)[finite], energy_size))
        tangent = max(tangent, _ratio((curvature - stiffness)[finite], size))
    return stress, tangent


def check_law(law: Law, strain: float = 0.05, points: int = 16, seed: int = 0) -> LawErrors:
    """Compare a law with differences at random deformations.

    Args:
        law: any `fem.Law`.
        strain: size of the components of F - I.
        points: how many deformations.
        seed: of the deformations.

    Raises:
        InconsistentLaw: the stress is not the derivative of the energy, or the tangent not that of the stress.
        ShapeError, AsymmetricTangent, InadmissibleDeformation: as the law's answers deserve.
    """
    F = np.eye(3) + strain * np.random.default_rng(seed).uniform(-1.0, 1.0, (points, 3, 3))

    def respond(F: Float[np.ndarray, "n 3 3"], tangent: bool) -> Response:
        return check_response(law.evaluate(F, tangent=tangent), len(F), tangent=tangent)

    errors = law_errors(respond, F)
    if errors.complaint:
        raise InconsistentLaw(errors.complaint)
    return errors


def lost_its_order(residuals: Sequence[float], nodal_force: float) -> bool:
    """Whether residuals next to equilibrium, which should fall to the square, fall in proportion: by less than a hundredfold each."""
    tail = [r for r in residuals if r <= 1e-3 * nodal_force]
    return len(tail) >= 4 and all(after > 1e-2 * before for before, after in pairwise(tail[-4:]))


class Suspicion:
    """Compares a body's laws with differences where the body is, once and only when Newton does badly.

    Args:
        material: the laws at the points.
        comm: of its ranks.
    """

    def __init__(self, material: Material, comm: MPI.Intracomm) -> None:
        self._material, self._comm = material, comm
        self._looked = False

    def look(self, converged: bool) -> None:
        """Collective.

        Raises:
            InconsistentLaw: Newton failed, and no wonder. Had it converged, SlowNewton warns.
        """
        if self._looked:
            return
        self._looked = True
        complaint = ""
        try:
            errors = law_errors(
                lambda F, tangent: self._material.respond(F, tangent=tangent), self._material.deformation_gradient()
            )
            complaint = "" if errors.noise else errors.complaint
        except Exception:
            # it could be asked where the body is, but not beside: no verdict, and this rank must not leave the others waiting
            complaint = ""
        complaint = next((c for c in self._comm.allgather(complaint) if c), "")
        if complaint and not converged:
            raise InconsistentLaw(f"Newton failed, and {complaint}")
        if complaint and self._comm.rank == 0:
            warnings.warn(f"Newton converged slowly: {complaint}", SlowNewton, stacklevel=4)


def _ratio(difference: Float[np.ndarray, " *shape"], size: float) -> float:
    largest = float(np.max(np.abs(difference), initial=0.0))
    return largest / size if size > 0.0 else largest
