"""What every material symmetry shares, be its group finite or infinite: averages of tensors over it.

The group's average of a tensor is its projection on the invariant tensors (the Reynolds operator). For elastic constants of second and
third order it is the mean over rotations R of the two- and threefold products of Q_R, the action on strain components
(multiscale.laws.strain.strain_action). Those products are polynomials of degree four and six in R, so that a finite set of
rotations averages them exactly for an infinite group too:

- about an axis, the angles 2 pi k / 7, k = 0 .. 6: the mean of exp(i m phi) over them vanishes for 0 < |m| <= 6, as the integral does;
- over all of SO(3), R = Rz(alpha) Ry(beta) Rz(gamma) with seven angles alpha, seven gamma, and the six points of Chebyshev's
  equal-weight quadrature in cos(beta): what is left after alpha and gamma is a Legendre polynomial P_l(cos beta) with l <= 6.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import permutations
from typing import Final

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.spatial.transform import Rotation

from multiscale.laws.strain import (
    COLUMNS,
    ROWS,
    SHEAR_DOUBLING,
    UPPER_COLUMNS,
    UPPER_ROWS,
    strain_action,
    strain_tensor,
)

ISOTROPIC: Final = "isotropic"
TRANSVERSELY_ISOTROPIC: Final = "transversely isotropic"

SQUARES = np.sort(np.roots([1.0, -1.0, 1.0 / 5.0, -1.0 / 105.0]).real)
"""x^2 of the quadrature points +-x in [-1, 1]: the means of x^2, x^4 and x^6 over them are 1/3, 1/5 and 1/7 (Newton's identities)."""
EQUAL_WEIGHT_COSINES: Final = np.concatenate([-np.sqrt(SQUARES)[::-1], np.sqrt(SQUARES)])


class InvalidSymmetry(ValueError):
    """A name or an axis that makes no material symmetry."""


class MaterialSymmetry(ABC):
    """A group of rotations under which a material is the same.

    Attributes:
        name: Hermann-Mauguin symbol, "isotropic" or "transversely isotropic".
    """

    name: str

    @property
    @abstractmethod
    def averaging_action(self) -> Float[ndarray, "r 6 6"]:
        """Q of rotations whose mean over products of up to three Q is the group's mean."""

    @abstractmethod
    def representative(self, e: Float[ndarray, "n 6"]) -> Float[ndarray, "n 6"]:
        """Strains of the same orbits, those of one orbit being the same up to the rotations of `undecided`."""

    @property
    @abstractmethod
    def undecided(self) -> Float[ndarray, "k 6 6"]:
        """Q of the rotations of the group that carry representatives of one orbit into each other, the identity among them."""

    def invariant_stresses(self) -> Float[ndarray, "k 6"]:
        """A basis of the Voigt stresses that the group leaves as they are: k = 6 triclinic ... 1 cubic and isotropic."""
        return independent_rows(np.array([self.project_stress(S) for S in np.eye(6)]))

    def invariant_stiffnesses(self) -> Float[ndarray, "m 6 6"]:
        """A basis of the Voigt matrices C with Q^T C Q = C for all Q: m = 21 triclinic ... 3 cubic, 2 isotropic."""
        unit = np.zeros((21, 6, 6))
        unit[np.arange(21), UPPER_ROWS, UPPER_COLUMNS] = 1.0
        unit[np.arange(21), UPPER_COLUMNS, UPPER_ROWS] = 1.0
        images = np.array([self.project_stiffness(C) for C in unit]).reshape(21, 36)
        return independent_rows(images).reshape(-1, 6, 6)

    def invariant_third_order(self) -> Float[ndarray, "m 6 6 6"]:
        """A basis of the third-order elastic constants C_abc (Brugger's, totally symmetric) that the group leaves as they are.

        m = 56, 32, 20, 16, 12, 20, 14, 12, 10, 8, 6 for -1, 2/m, mmm, 4/m, 4/mmm, -3, -3m, 6/m, 6/mmm, m-3, m-3m
        (K. Brugger, J. Appl. Phys. 36 (1965) 759), 9 transversely isotropic, 3 isotropic.
        """
        Q = self.averaging_action
        r = len(Q)
        # the mean of Q x Q x Q as a 36 r product, one matrix for all 56 constants
        pairs = (Q[:, :, None, :, None] * Q[:, None, :, None, :]).reshape(r, 36 * 36)
        mean = (pairs.T @ Q.reshape(r, 36) / r).reshape(6, 6, 6, 6, 6, 6)
        mean = mean.transpose(0, 1, 4, 2, 3, 5).reshape(216, 216)
        unit = symmetric_units().reshape(56, 216)
        return independent_rows(unit @ mean).reshape(-1, 6, 6, 6)

    def project_stiffness(self, C: Float[ndarray, "6 6"]) -> Float[ndarray, "6 6"]:
        """The group's average of a Voigt stiffness."""
        Q = self.averaging_action
        return np.asarray((np.swapaxes(Q, -1, -2) @ C @ Q).mean(axis=0))

    def project_stress(self, S: Float[ndarray, "6"]) -> Float[ndarray, "6"]:
        """The group's average of a Voigt stress (it acts on stress by Q^T, as on the gradient of W(Q e))."""
        return np.asarray((S @ self.averaging_action).mean(axis=0))


@dataclass(frozen=True, eq=False)
class InfiniteGroup(MaterialSymmetry):
    """Isotropy, or transverse isotropy: all rotations about an axis and the half-turns across it.

    Without the half-turns a potential of C could hold the pseudo-scalar det(a, C a, C^2 a) as well; a bundle of fibres does not.

    Attributes:
        name: "isotropic" or "transversely isotropic".
        axis: a, of unit length (scaled if it is not); of no meaning where isotropic.

    Raises:
        InvalidSymmetry: another name, an axis that is zero or not finite.
    """

    name: str
    axis: Sequence[float] = (0.0, 0.0, 1.0)

    def __post_init__(self) -> None:
        if self.name not in (ISOTROPIC, TRANSVERSELY_ISOTROPIC):
            raise InvalidSymmetry(
                f"symmetry {self.name!r} is no infinite group, expected {ISOTROPIC!r} or {TRANSVERSELY_ISOTROPIC!r}; "
                "PointGroup.named gives the crystal classes"
            )
        axis = np.asarray(self.axis, dtype=float)
        length = float(np.linalg.norm(axis))
        if axis.shape != (3,) or not (np.isfinite(length) and length > 0.0):
            raise InvalidSymmetry(f"the axis is {axis.tolist()}, expected three finite numbers, not all zero")
        object.__setattr__(self, "axis", tuple((axis / length).tolist()))

    @cached_property
    def frame(self) -> Float[ndarray, "3 3"]:
        """A rotation that carries z to the axis."""
        a = np.asarray(self.axis)
        # of the two coordinate axes farthest from a, none is near it
        first = np.cross(np.eye(3)[int(np.argmin(np.abs(a)))], a)
        first /= np.linalg.norm(first)
        return np.stack([first, np.cross(a, first), a], axis=1)

    @cached_property
    def averaging_action(self) -> Float[ndarray, "r 6 6"]:
        about = turns([0.0, 0.0, 1.0], 2.0 * np.pi * np.arange(7) / 7.0)
        if self.name == TRANSVERSELY_ISOTROPIC:
            half_turn = np.diag([1.0, -1.0, -1.0])
            R = self.frame @ np.concatenate([about, about @ half_turn]) @ self.frame.T
            return strain_action(R)
        tilts = turns([0.0, 1.0, 0.0], np.arccos(EQUAL_WEIGHT_COSINES))
        R = about[:, None, None] @ tilts[None, :, None] @ about[None, None, :]
        return strain_action(R.reshape(-1, 3, 3))

    def representative(self, e: Float[ndarray, "n 6"]) -> Float[ndarray, "n 6"]:
        """Strains of the same orbits, those of one orbit being the same up to the rotations of `undecided`.

        Isotropic: the principal strains in falling order, on the coordinate axes; the distance of two of them is the least distance of
        the orbits (Hoffman and Wielandt, Duke Math. J. 20 (1953) 37). Transversely isotropic: turned about the axis until the
        part normal to it is diagonal in `frame`; the distance is then an upper bound.
        """
        if self.name == ISOTROPIC:
            principal = np.linalg.eigvalsh(strain_tensor(e))[:, ::-1]
            return np.concatenate([principal, np.zeros_like(principal)], axis=1)
        E = self.frame.T @ strain_tensor(e) @ self.frame
        angle = 0.5 * np.arctan2(2.0 * E[:, 0, 1], E[:, 0, 0] - E[:, 1, 1])
        turn = turns([0.0, 0.0, 1.0], -angle)
        turn = self.frame @ turn
        E = turn @ E @ np.swapaxes(turn, -1, -2)
        return np.asarray(E[:, ROWS, COLUMNS] * SHEAR_DOUBLING)

    @cached_property
    def undecided(self) -> Float[ndarray, "k 6 6"]:
        half_turns = [np.diag(signs) for signs in ((1.0, -1.0, -1.0), (-1.0, 1.0, -1.0), (-1.0, -1.0, 1.0))]
        R = [np.eye(3)] if self.name == ISOTROPIC else [np.eye(3), *half_turns]
        return strain_action(self.frame @ np.array(R) @ self.frame.T)


def turns(axis: Sequence[float], angles: Float[ndarray, "n"]) -> Float[ndarray, "n 3 3"]:
    """Rotations about a unit axis."""
    return np.asarray(Rotation.from_rotvec(np.outer(angles, axis)).as_matrix())


def symmetric_units() -> Float[ndarray, "56 6 6 6"]:
    """The totally symmetric arrays of rank three with a unit constant each."""
    triples = [(a, b, c) for a in range(6) for b in range(a, 6) for c in range(b, 6)]
    unit = np.zeros((len(triples), 6, 6, 6))
    for k, triple in enumerate(triples):
        for a, b, c in permutations(triple):
            unit[k, a, b, c] = 1.0
    return unit


def independent_rows(rows: Float[ndarray, "n m"]) -> Float[ndarray, "r m"]:
    """An orthonormal basis of the space that the rows span (by SVD; ranks of Reynolds images are clear-cut)."""
    _, singular, basis = np.linalg.svd(rows, full_matrices=False)
    return np.asarray(basis[: int((singular > 1e-9 * max(singular.max(), 1.0)).sum())])
