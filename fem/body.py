"""A body that is held and loaded: what acts on it, by the names of its surfaces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mpi4py import MPI  # isort: skip

import numpy as np
from dolfinx.mesh import locate_entities_boundary

from fem import supports as motions
from fem.conditions import (
    ConditionError,
    Schedule,
    centroid,
    checked_numbers,
    checked_schedule,
    checked_vector,
    normal_axis,
)
from fem.kind import Kind, KindError
from fem.loads import BodyForce, Foundation, Load, Pressure, Traction
from fem.mesh import Mesh
from fem.supports import Field, Motion, Support

_AXIS = "axis of revolution"


class Body:
    """Supports, loads and watched points, for `fem.Solid` to solve with. All methods are collective.

    What is wrong with one of them by itself is said at once; what several do together is found by `solve`.

    Args:
        mesh: with named surfaces.
        kind: of the problem; the axis of revolution of an axisymmetric body is held without asking.

    Attributes:
        mesh: the body's.
    """

    def __init__(self, mesh: Mesh, kind: Kind) -> None:
        self.mesh = mesh
        self._kind = kind
        self._dimension = mesh.domain.geometry.dim
        self._supports: list[Support] = []
        self._loads: list[Load] = []
        self._watched: dict[str, tuple[float, ...]] = {}
        if kind.name == "axisymmetric":
            self._hold_axis()

    def clamp(self, surface: str) -> None:
        """No displacement on the surface."""
        self.prescribe(surface, (0.0,) * self._dimension)

    def prescribe(
        self, surface: str, displacement: Sequence[float | None] | Field, schedule: Schedule | None = None
    ) -> None:
        """Displacement on the surface at full load.

        Args:
            surface: its name.
            displacement: the components, None leaves one free; or a function of the undeformed positions, X (3, n) ->
                (dimension, n), as dolfinx interpolates.
            schedule: load factor -> part of it; proportional when None.

        Raises:
            MeshNameError: the mesh has no such surface.
            ConditionError: another number of components, or one which is not finite; a schedule which does not start at 0.
        """
        what = f"the displacement of {surface!r}"
        self.mesh.facets(surface)
        part = checked_schedule(schedule, what)
        if callable(displacement):
            motion = motions.field(displacement, part)
        else:
            motion = motions.components(checked_vector(displacement, self._dimension, what), part)
        self._supports.append(Support(surface, motion))

    def move(self, surface: str, motion: Motion) -> None:
        """A surface led along any path: motion(X, load_factor), X (3, n) -> (dimension, n), NaN where a component is free.

        Raises MeshNameError; what is wrong with the motion is found by `solve`.
        """
        self.mesh.facets(surface)
        self._supports.append(Support(surface, motion))

    def rotate(
        self,
        surface: str,
        angle: float,
        axis: Sequence[float] = (0.0, 0.0, 1.0),
        centre: Sequence[float] | None = None,
        *,
        along: float | None = 0.0,
        schedule: Schedule | None = None,
    ) -> None:
        """A surface turned rigidly about an axis, by any number of turns.

        Args:
            surface: its name.
            angle: at full load, in radians, right-handed about the axis.
            axis: its direction; z in the plane.
            centre: a point on it; the surface's centre of area when None.
            along: displacement along the axis at full load; None leaves it free, for an axis along x, y or z.
            schedule: load factor -> part of the rotation; proportional when None.

        Raises:
            MeshNameError: the mesh has no such surface.
            ConditionError: an axis of length zero, out of the plane, or oblique where `along` is None.
        """
        self.mesh.facets(surface)
        if self._kind.name == "axisymmetric":
            raise KindError(
                f"an axisymmetric body cannot be turned in its plane: the rotation of {surface!r}; solve in 3-d"
            )
        what = f"the rotation of {surface!r}"
        direction = np.array(checked_numbers(axis, 3, f"the axis of {what}"))
        if not direction.any() or (self._dimension == 2 and direction[:2].any()):
            raise ConditionError(
                f"the axis of {what} is {tuple(axis)}, expected a direction{' along z' * (self._dimension == 2)}"
            )
        if along is None and np.count_nonzero(direction) != 1:
            raise ConditionError(
                f"{what} leaves the displacement along {tuple(axis)} free, expected an axis along x, y or z"
            )
        if not np.isfinite(angle):
            raise ConditionError(f"{what} is by {angle}, expected a finite angle")
        at = centroid(self.mesh, surface) if centre is None else (*map(float, centre), 0.0)[:3]
        turned = motions.rotation(
            float(angle),
            direction.tolist(),
            checked_numbers(at, 3, f"the centre of {what}"),
            along,
            checked_schedule(schedule, what),
            self._dimension,
        )
        self._supports.append(Support(surface, turned))

    def symmetry(self, surface: str) -> None:
        """A symmetry plane: no displacement normal to it.

        Raises:
            ConditionError: the surface is no plane x, y or z = constant.
        """
        axis = normal_axis(self.mesh, surface)
        self.prescribe(surface, [0.0 if i == axis else None for i in range(self._dimension)])

    def traction(self, surface: str, traction: Sequence[float], schedule: Schedule | None = None) -> None:
        """Dead traction at full load: force per reference area, fixed direction, in the law's stress unit.

        Several loads on one surface add up. Raises as `prescribe`.
        """
        self.mesh.facets(surface)
        what = f"the traction on {surface!r}"
        values = checked_numbers(traction, self._dimension, what)
        self._loads.append(Traction(surface, values, checked_schedule(schedule, what)))

    def pressure(self, surface: str, pressure: float, schedule: Schedule | None = None) -> None:
        """Follower pressure at full load: force per deformed area, onto the deformed surface, wherever it goes.

        Raises as `prescribe`, and KindError in plane stress, where the deformed thickness is known inside the cells alone.
        """
        self.mesh.facets(surface)
        if self._kind.name == "plane_stress":
            raise KindError(
                f"a pressure on {surface!r} in plane stress is not supported; use traction(...), or solve in 3-d"
            )
        what = f"the pressure on {surface!r}"
        (value,) = checked_numbers((pressure,), 1, what)
        self._loads.append(Pressure(surface, value, checked_schedule(schedule, what)))

    def body_force(self, force: Sequence[float], schedule: Schedule | None = None) -> None:
        """Dead force per reference volume at full load, weight say. Raises as `prescribe`."""
        values = checked_numbers(force, self._dimension, "the body force")
        self._loads.append(BodyForce(values, checked_schedule(schedule, "the body force")))

    def foundation(self, surface: str, *, normal: float = 0.0, tangential: float = 0.0) -> None:
        """Springs between a surface and the ground: stiffness per reference area, along the undeformed normal and across it.

        Raises:
            MeshNameError: the mesh has no such surface.
            ConditionError: a stiffness which is negative or not finite, or none at all.
        """
        self.mesh.facets(surface)
        if not (normal >= 0.0 and tangential >= 0.0 and 0.0 < normal + tangential < np.inf):
            raise ConditionError(
                f"the foundation of {surface!r} has stiffness {normal} along and {tangential} across its normal, expected "
                "numbers of at least 0, not both 0"
            )
        self._loads.append(Foundation(surface, float(normal), float(tangential)))

    def watch(self, name: str, point: Sequence[float]) -> None:
        """Record the displacement of a point, given where it is undeformed, at each step: `LoadStep.probes[name]`."""
        self._watched[name] = checked_numbers(point, self._dimension, f"the point {name!r}")

    def _hold_axis(self) -> None:
        """No radial displacement where the body meets its axis of revolution."""
        domain = self.mesh.domain
        extent = domain.comm.allreduce(float(np.abs(domain.geometry.x[:, 0]).max(initial=0.0)), MPI.MAX)
        domain.topology.create_connectivity(1, 2)
        facets = locate_entities_boundary(domain, 1, lambda X: np.abs(X[0]) <= 1e-12 * extent)
        if domain.comm.allreduce(facets.size):
            self.mesh = replace(self.mesh, surfaces={**self.mesh.surfaces, _AXIS: np.sort(facets)})
            self._supports.append(Support(_AXIS, motions.components((0.0, None))))
