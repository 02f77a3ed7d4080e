"""What laws with a C function share: the response, in C or in numpy, and the orientation of the material at each point."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import cached_property
from typing import Final, final

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from fem.c_function import CFunction, NoCFunction
from fem.law import InadmissibleDeformation, Response, ShapeError, check_deformation_gradient
from multiscale.laws.fields import UnknownState
from multiscale.laws.kernel import library, parameter_block
from multiscale.laws.strain import determinant

ORIENTATION: Final = parameter_block.ORIENTATION.name

ROTATION: Final = 1e-6
"""How far a matrix may be off a proper rotation (law.c has the same)."""


class CompiledLaw(ABC):
    """A law (fem.law.Law) that runs in C where there is a compiler, and in numpy where there is none."""

    @abstractmethod
    def in_numpy(self, F: Float[ndarray, "n 3 3"], *, tangent: bool, trust: bool) -> Response:
        """The response at checked deformation gradients, in the material's own axes; trust None where there is none."""

    @abstractmethod
    def in_c(self) -> CFunction | None:
        """The function; None without a compiler (a warning says so)."""

    @cached_property
    @final
    def _function(self) -> CFunction | None:
        return self.in_c()

    @property
    @final
    def backend(self) -> str:
        """What evaluates this law here: "c" or "numpy"."""
        return "numpy" if self._function is None else "c"

    @final
    def c_function(self) -> CFunction:
        """The law as a function to be called from C (fem.c_function); its state is the orientation, and may be NULL.

        Raises:
            NoCFunction: there is no compiler, the environment asks for numpy, or no C text knows the law.
        """
        if self._function is None:
            raise NoCFunction(
                f"this law runs on numpy; install a C compiler (or name one in CC) and leave {library.NO_KERNEL_VARIABLE} unset; "
                "incompressible laws, laws that ask atoms, and potentials of your own have no C function"
            )
        return self._function

    @final
    def evaluate(
        self,
        deformation_gradient: Float[ndarray, "n 3 3"],
        state: Mapping[str, ndarray] | None = None,
        *,
        tangent: bool = True,
        trust: bool = False,
    ) -> Response:
        """W, P, A at F (n, 3, 3), in the unit of the law's moduli (GPa where it was fitted to atoms), and trust where it has one.

        The state may hold the orientation (n, 3, 3) of the material at each point, rotations R from its axes to the laboratory's:
        P(F) = P_material(F R) R^T.

        Raises:
            fem.law.ShapeError, fem.law.InadmissibleDeformation: F is not (n, 3, 3); det F <= 0 or not finite somewhere.
            UnknownState: another state, or orientations that are no rotations.
        """
        F = np.ascontiguousarray(deformation_gradient, dtype=np.float64)
        if F.ndim != 3 or F.shape[1:] != (3, 3):
            raise ShapeError(f"F has shape {F.shape}, expected (n, 3, 3)")
        R = orientation_of(state, len(F))
        evaluate = self._turned_in_numpy if self._function is None else self._turned_in_c
        return evaluate(F, R, tangent=tangent, trust=trust)

    def _turned_in_c(
        self, F: Float[ndarray, "n 3 3"], R: Float[ndarray, "n 3 3"] | None, *, tangent: bool, trust: bool
    ) -> Response:
        rows = None if R is None else R.reshape(len(F), 9)
        answer, point = self.c_function().response(F, rows, tangent=tangent, trust=trust)
        if point >= 0:
            self._turned_in_numpy(F, R, tangent=False, trust=False)  # says what is wrong, if it is not det F
            raise InadmissibleDeformation(point, float(determinant(F[point])))
        return answer

    def _turned_in_numpy(
        self, F: Float[ndarray, "n 3 3"], R: Float[ndarray, "n 3 3"] | None, *, tangent: bool, trust: bool
    ) -> Response:
        check_deformation_gradient(F)
        if R is None:
            return self.in_numpy(F, tangent=tangent, trust=trust)
        own = self.in_numpy(F @ R, tangent=tangent, trust=trust)
        A = None
        if own.tangent is not None:
            A = np.einsum("niMkN,nJM,nLN->niJkL", own.tangent, R, R, optimize=True)
        return Response(own.energy, own.first_piola @ np.swapaxes(R, 1, 2), A, own.trust)


def orientation_of(state: Mapping[str, ndarray] | None, points: int) -> Float[ndarray, "n 3 3"] | None:
    """The orientations that a state holds; None where it holds none.

    Raises:
        UnknownState: something else, another shape, or a matrix that is no rotation.
    """
    if not state:
        return None
    if state.keys() != {ORIENTATION}:
        raise UnknownState(f"the state holds {sorted(state)}; this law depends on F and {ORIENTATION!r} alone")
    R = np.ascontiguousarray(state[ORIENTATION], dtype=np.float64)
    if R.shape != (points, 3, 3):
        raise UnknownState(f"{ORIENTATION} has shape {R.shape}, expected {(points, 3, 3)}")
    skew = np.abs(np.swapaxes(R, 1, 2) @ R - np.eye(3)).max(axis=(1, 2)) + np.abs(determinant(R) - 1.0)
    if not (skew < ROTATION).all():
        point = int(np.argmax(~(skew < ROTATION)))
        raise UnknownState(f"{ORIENTATION} at point {point} is off a proper rotation by {skew[point]:.3g}")
    return R
