"""What supports and loads have in common: named surfaces, checked components, and how they grow with the load factor."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from mpi4py import MPI  # isort: skip  # noqa: F401

import numpy as np
import ufl
from dolfinx import fem as dfem
from dolfinx.mesh import exterior_facet_indices

from fem.mesh import Mesh

Schedule = Callable[[float], float]
"""The part of a full load, or of a full motion, which acts at a load factor; 0 at 0."""

# of the differences which give rates: the error is 1e-12 for a schedule of size and curvature 1
_INCREMENT = 1e-6


class ConditionError(ValueError):
    """Boundary conditions which define no problem: contradictory, of the wrong size, or leaving the body loose."""


def proportional(load_factor: float) -> float:
    """The schedule of whoever names no other: as much of the full load as the load factor says."""
    return load_factor


def checked_schedule(schedule: Schedule | None, what: str) -> Schedule:
    """The schedule, or the proportional one for None.

    Raises:
        ConditionError: it does not start from zero, as the undeformed body does, or is no finite number at 1.
    """
    if schedule is None:
        return proportional
    if not callable(schedule):
        raise ConditionError(f"the schedule of {what} is {schedule!r}, expected a function of the load factor")
    start, end = float(schedule(0.0)), float(schedule(1.0))
    if start != 0.0 or not np.isfinite(end):
        raise ConditionError(
            f"the schedule of {what} is {start:g} at load factor 0 and {end:g} at 1, expected 0 (the undeformed body carries "
            "nothing) and a finite number"
        )
    return schedule


def rate(schedule: Schedule, load_factor: float) -> float:
    """Derivative of a schedule by central differences."""
    if schedule is proportional:
        return 1.0
    ahead, behind = schedule(load_factor + _INCREMENT), schedule(load_factor - _INCREMENT)
    return float(ahead - behind) / (2.0 * _INCREMENT)


def checked_vector(values: Sequence[float | None], dimension: int, what: str) -> tuple[float | None, ...]:
    """The components as floats; raises ConditionError unless there are `dimension`, finite or None."""
    try:
        checked = tuple(None if v is None else float(v) for v in values)
    except (TypeError, ValueError):
        raise ConditionError(f"{what} is {values!r}, expected {dimension} numbers") from None
    if len(checked) != dimension:
        raise ConditionError(f"{what} has {len(checked)} components {tuple(values)}, expected {dimension}")
    if not all(v is None or np.isfinite(v) for v in checked):
        raise ConditionError(f"{what} is {tuple(values)}, expected finite components")
    return checked


def checked_numbers(values: Sequence[float], dimension: int, what: str) -> tuple[float, ...]:
    """As `checked_vector`, where no component may be left out."""
    numbers = checked_vector(values, dimension, what)
    if any(v is None for v in numbers):
        raise ConditionError(f"{what} is {tuple(values)}, expected numbers")
    return tuple(v for v in numbers if v is not None)


def normal_axis(mesh: Mesh, surface: str) -> int:
    """The coordinate axis normal to a plane surface. Collective.

    Raises:
        ConditionError: the surface is curved or its normal is no coordinate axis.
    """
    n = ufl.FacetNormal(mesh.domain)
    ds = facet_measure(mesh, surface)
    square = [_integral(mesh, n[i] * n[i] * ds) for i in range(mesh.domain.geometry.dim)]
    axis = int(np.argmax(square))
    share = square[axis] / sum(square)
    if share < 1.0 - 1e-10:
        raise ConditionError(
            f"surface {surface!r} is not normal to a coordinate axis (its closest axis is {'xyz'[axis]}, share "
            f"{share:.6f}), expected a symmetry plane x, y or z = constant"
        )
    return axis


def centroid(mesh: Mesh, surface: str) -> tuple[float, float, float]:
    """Centre of area of an undeformed surface, padded to three coordinates. Collective."""
    X = ufl.SpatialCoordinate(mesh.domain)
    ds = facet_measure(mesh, surface)
    area = _integral(mesh, dfem.Constant(mesh.domain, 1.0) * ds)
    centre = [_integral(mesh, X[i] * ds) / area for i in range(mesh.domain.geometry.dim)]
    return tuple((*centre, 0.0, 0.0)[:3])  # type: ignore[return-value]


def _integral(mesh: Mesh, form: ufl.Form) -> float:
    return float(mesh.domain.comm.allreduce(dfem.assemble_scalar(dfem.form(form))))


def facet_measure(mesh: Mesh, surface: str) -> ufl.Measure:
    """ds over a named surface; see `facet_measures`."""
    return facet_measures(mesh, [surface])[surface]


def facet_measures(mesh: Mesh, surfaces: Iterable[str]) -> dict[str, ufl.Measure]:
    """ds over named surfaces, of one family, so that one form may integrate over several. Collective.

    Raises:
        ConditionError: part of a surface lies inside the body, where a traction would act on nothing.
    """
    topology = mesh.domain.topology
    topology.create_connectivity(topology.dim - 1, topology.dim)
    topology.create_connectivity(topology.dim, topology.dim - 1)
    exterior = exterior_facet_indices(topology)
    names = list(dict.fromkeys(surfaces))
    entities = []
    for number, surface in enumerate(names):
        facets = mesh.facets(surface)
        owned = facets[facets < topology.index_map(topology.dim - 1).size_local]
        outside = np.intersect1d(owned, exterior).astype(np.int32)
        inside = mesh.domain.comm.allreduce(owned.size - outside.size)
        if inside:
            raise ConditionError(
                f"{inside} facets of surface {surface!r} lie inside the body, expected a boundary surface"
            )
        domains = dfem.compute_integration_domains(dfem.IntegralType.exterior_facet, topology, outside)
        entities.append((number, domains))
    ds = ufl.Measure("ds", domain=mesh.domain, subdomain_data=entities)
    return {surface: ds(number) for number, surface in enumerate(names)}
