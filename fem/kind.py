"""Which components of the deformation a body has: in space, in the plane, about an axis.

Every kind is described by the components of the displacement gradient that vary, as a vector H(u), so that one weak form serves all:

    R(u; v) = int P . H(v) w dV,    P and H over the active components (i, J),    w = width of the body across the mesh

| kind | active components | w |
|---|---|---|
| 3d | all nine | 1 |
| plane_strain | 11 12 21 22; F33 = 1, the others 0 | 1 |
| plane_stress | 11 12 21 22; F13, F23, F33 follow from P13 = P23 = P33 = 0 (`fem.plane_stress`) | 1 |
| axisymmetric | 11 12 21 22, and the hoop H33 = u_r / R | 2 pi R |

Axisymmetric bodies turn about the mesh's y axis: x is the radius R, component 3 the hoop direction. No quadrature point lies on the
axis, where u_r / R would be 0 / 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import pi
from typing import Any, Literal, get_args

from mpi4py import MPI  # isort: skip

import numpy as np
import ufl
from dolfinx.mesh import Mesh as Domain
from jaxtyping import Float

KindName = Literal["3d", "plane_strain", "plane_stress", "axisymmetric"]


class KindError(ValueError):
    """A kind of problem which does not suit the mesh, the law or the load; the message says why and what would."""


@dataclass(frozen=True)
class Kind:
    """Kinematics of a kind of problem on a mesh.

    Attributes:
        name: of the kind.
        domain: the mesh.
    """

    name: KindName
    domain: Domain

    @classmethod
    def of(cls, domain: Domain, name: KindName | None) -> Kind:
        """The kind of that name, or what follows from the mesh: "3d" in space, "plane_strain" in the plane. Collective.

        Raises:
            KindError: an unknown name; one which does not suit the mesh; an axisymmetric body at negative radii.
        """
        inferred: KindName = "3d" if domain.geometry.dim == 3 else "plane_strain"
        if name is None:
            return cls(inferred, domain)
        if name not in get_args(KindName):
            raise KindError(f"kind is {name!r}, expected one of {', '.join(get_args(KindName))}")
        if (name == "3d") != (inferred == "3d"):
            raise KindError(f"kind is {name!r} on a mesh in {domain.geometry.dim}-d space, expected {inferred!r}")
        if name == "axisymmetric":
            x = domain.geometry.x[:, 0]
            least, extent = float(x.min(initial=np.inf)), float(np.abs(x).max(initial=0.0))
            least, extent = domain.comm.allreduce(least, MPI.MIN), domain.comm.allreduce(extent, MPI.MAX)
            if least < -1e-12 * extent:
                raise KindError(
                    f"an axisymmetric body turns about the y axis at radii x >= 0, this mesh has nodes at x = {least:.4g}"
                )
        return cls(name, domain)

    @property
    def components(self) -> tuple[tuple[int, int], ...]:
        """The active components (i, J) of the gradient, in the order of `gradient`."""
        d = self.domain.geometry.dim
        inside = tuple((i, J) for i in range(d) for J in range(d))
        return (*inside, (2, 2)) if self.name == "axisymmetric" else inside

    def gradient(self, u: Any) -> Any:
        """H(u), a UFL vector of the active components."""
        H = ufl.grad(u)
        d = self.domain.geometry.dim
        inside = [H[i, J] for i in range(d) for J in range(d)]
        return ufl.as_vector([*inside, u[0] / self._radius] if self.name == "axisymmetric" else inside)

    @property
    def width(self) -> Any:
        """w, a UFL expression."""
        return 2.0 * pi * self._radius if self.name == "axisymmetric" else 1.0

    def stretch(self, u: Any) -> Any:
        """F33 at the surfaces, a UFL expression."""
        return 1.0 + u[0] / self._radius if self.name == "axisymmetric" else 1.0

    @property
    def _radius(self) -> Any:
        return ufl.SpatialCoordinate(self.domain)[0]

    def deformation_gradient(self, H: Float[np.ndarray, "n m"]) -> Float[np.ndarray, "n 3 3"]:
        """F = I + H from the active components."""
        F = np.zeros((len(H), 3, 3))
        rows, columns = self._indices
        F[:, rows, columns] = H
        F[:, range(3), range(3)] += 1.0
        return F

    def active(self, tensor: Float[np.ndarray, "n 3 3"]) -> Float[np.ndarray, "n m"]:
        """The active components of P."""
        rows, columns = self._indices
        return tensor[:, rows, columns]

    def active_tangent(self, tensor: Float[np.ndarray, "n 3 3 3 3"]) -> Float[np.ndarray, "n m m"]:
        """The active components of A."""
        rows, columns = self._indices
        flat = rows * 3 + columns
        matrix = tensor.reshape(len(tensor), 9, 9)
        return matrix if len(flat) == 9 else matrix[:, flat[:, None], flat]

    @property
    def _indices(self) -> tuple[np.ndarray, np.ndarray]:
        pairs = np.array(self.components)
        return pairs[:, 0], pairs[:, 1]
