"""The deformed body: what a solve returns, and what one asks it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from mpi4py import MPI  # isort: skip  # noqa: F401

import dolfinx.fem.petsc as petsc_fem
import numpy as np
from dolfinx import fem as dfem
from jaxtyping import Float, Int
from numpy.typing import ArrayLike

from fem.law import Response, determinant
from fem.load_step import LoadStep, write_curve
from fem.material import Material
from fem.mesh import Mesh
from fem.probes import Probes

if TYPE_CHECKING:
    from fem.equilibrium import Equilibrium


@dataclass(frozen=True)
class PointData:
    """State at the quadrature points of the cells of this rank, ordered by cell and then by point of the rule.

    Attributes:
        position: X, undeformed.
        weight: dV, undeformed; the sum over all ranks is the volume.
        deformation_gradient: F.
        response: of the law there; with `trust` where the law has that gauge.
    """

    position: Float[np.ndarray, "n gdim"]
    weight: Float[np.ndarray, " n"]
    deformation_gradient: Float[np.ndarray, "n 3 3"]
    response: Response

    @property
    def volume_ratio(self) -> Float[np.ndarray, " n"]:
        """J = det F."""
        return determinant(self.deformation_gradient)

    @property
    def cauchy_stress(self) -> Float[np.ndarray, "n 3 3"]:
        """sigma = P F^T / J, tension positive."""
        transposed = self.deformation_gradient.transpose(0, 2, 1)
        return np.asarray(self.response.first_piola @ transposed / self.volume_ratio[:, None, None])

    @property
    def von_mises(self) -> Float[np.ndarray, " n"]:
        """sqrt(3/2 s:s), s the deviator of the Cauchy stress."""
        sigma = self.cauchy_stress
        s = sigma - np.trace(sigma, axis1=1, axis2=2)[:, None, None] / 3.0 * np.eye(3)
        return np.asarray(np.sqrt(1.5 * np.einsum("nij,nij->n", s, s)))

    def scalars(self) -> dict[str, Float[np.ndarray, " n"]]:
        """The scalar fields which pictures and files show, by name: stress (von Mises), energy, volume_ratio, trust."""
        fields = {"stress": self.von_mises, "energy": self.response.energy, "volume_ratio": self.volume_ratio}
        if self.response.trust is not None:
            fields["trust"] = self.response.trust
        return fields


@dataclass(frozen=True)
class Solution:
    """A body in equilibrium. Methods are collective unless they say otherwise.

    Attributes:
        displacement: u, a dolfinx function.
        steps: the converged load steps.
        mesh: the body's.
        material: the law at the quadrature points.
        seconds: wall time of this rank in "law", "assembly" and "linear solve".
    """

    displacement: dfem.Function
    steps: Sequence[LoadStep]
    mesh: Mesh
    material: Material = field(repr=False)
    seconds: Mapping[str, float]

    @classmethod
    def of(cls, equilibrium: Equilibrium, steps: Sequence[LoadStep]) -> Solution:
        """Take over the state of a solve."""
        body = equilibrium.residual
        law, assembly = body.material.seconds, body.seconds
        seconds = {"law": law, "assembly": assembly, "linear solve": equilibrium.seconds - law - assembly}
        return cls(body.displacement, tuple(steps), body.mesh, body.material, seconds)

    @property
    def load_factor(self) -> float:
        """The load carried, 1 = all of it. Not collective."""
        return self.steps[-1].load_factor if self.steps else 0.0

    @property
    def energy(self) -> float:
        """Strain energy of the body, int W dV. Not collective."""
        return self.steps[-1].energy if self.steps else 0.0

    @property
    def work(self) -> float:
        """Work done on the body on the way, see `LoadStep.work`. Not collective."""
        return self.steps[-1].work if self.steps else 0.0

    @property
    def iterations(self) -> int:
        """Newton iterations of all converged steps. Not collective."""
        return sum(step.iterations for step in self.steps)

    def at_quadrature(self) -> PointData:
        """Everything at the quadrature points of this rank; the tangent is left out. Not collective."""
        return self._points

    @cached_property
    def _points(self) -> PointData:
        # the law is asked once more, as the solver had no use for its trust
        F = self.material.deformation_gradient()
        quadrature = self.material.quadrature
        response = self.material.respond(F, tangent=False, trust=True)
        return PointData(quadrature.coordinates(), quadrature.weights(), F, response)

    def cell_fields(self) -> dict[str, Float[np.ndarray, "cells ..."]]:
        """Volume averages over each cell of this rank: the fields of `PointData.scalars`, first_piola and cauchy_stress (3, 3)."""
        points = self.at_quadrature()
        mean = self.material.quadrature.cell_mean
        fields: dict[str, np.ndarray] = {name: mean(values) for name, values in points.scalars().items()}
        fields["first_piola"] = mean(np.asarray(points.response.first_piola))
        fields["cauchy_stress"] = mean(points.cauchy_stress)
        return fields

    def probe(self, points: ArrayLike) -> Float[np.ndarray, "n gdim"]:
        """Displacement at points of the undeformed body; the same points and the same answer on all ranks.

        Args:
            points: X, (n, gdim) or one point (gdim,).

        Raises:
            PointOutside: no cell contains the point.
        """
        return Probes(self.mesh.domain, points).values(self.displacement)

    def resultant(self, surface: str) -> Float[np.ndarray, " gdim"]:
        """Force which the surroundings exert on the body at the nodes of a surface, int P : grad v summed over them.

        On a supported surface it is the reaction, together with any traction put on it.

        Raises:
            MeshNameError: no such surface.
        """
        _, forces = self._nodal_forces(surface)
        return np.asarray(self.mesh.domain.comm.allreduce(forces.sum(axis=0)))

    def moment(self, surface: str, about: Sequence[float] = (0.0, 0.0, 0.0)) -> Float[np.ndarray, "3"]:
        """Moment of the same nodal forces, where the nodes are now, about a point: sum (X + u - about) x f.

        Raises:
            MeshNameError: no such surface.
        """
        nodes, forces = self._nodal_forces(surface)
        space = self.displacement.function_space
        arms = space.tabulate_dof_coordinates()[nodes] - np.asarray((*about, 0.0)[:3])
        d = forces.shape[1]
        arms[:, :d] += self.displacement.x.array.reshape(-1, d)[nodes]
        padded = np.zeros_like(arms)
        padded[:, :d] = forces
        return np.asarray(self.mesh.domain.comm.allreduce(np.cross(arms, padded).sum(axis=0)))

    def _nodal_forces(self, surface: str) -> tuple[Int[np.ndarray, " n"], Float[np.ndarray, "n gdim"]]:
        """Owned nodes of a surface, and the forces of the stress on them. Collective."""
        space = self.displacement.function_space
        domain = self.mesh.domain
        nodal = petsc_fem.create_vector(space)
        self.material.nodal_forces(nodal)
        forces = nodal.array_r.reshape(-1, domain.geometry.dim).copy()
        nodal.destroy()
        nodes = dfem.locate_dofs_topological(space, domain.topology.dim - 1, self.mesh.facets(surface))
        owned = nodes[nodes < space.dofmap.index_map.size_local]
        return owned, forces[owned]

    def write(self, path: str | Path) -> None:
        """Write a VTKHDF file for ParaView: displacement at the nodes, `cell_fields` in the cells.

        The file appears whole or not at all.

        Raises:
            OSError: it cannot be written; alike on all ranks.
        """
        from fem.output import write_vtkhdf

        write_vtkhdf(self, Path(path))

    def write_curve(self, path: str | Path) -> None:
        """Write the load-displacement curve as CSV: a row for the undeformed body and for each step, with the load factor, iterations,
        energy, work, the reaction of each support and the displacement of each point watched.

        Raises:
            OSError: it cannot be written; alike on all ranks.
        """
        write_curve(self.steps, Path(path), self.mesh.domain.comm)

    def plot(
        self, path: str | Path, field: str = "stress", *, magnify: float = 1.0, unit: str = "", title: str | None = None
    ) -> None:
        """Draw the deformed body, coloured by a field, into a picture (PNG), without a display.

        Args:
            path: of the picture.
            field: "stress" (von Mises), "energy", "volume_ratio", "trust", or "displacement" (its length).
            magnify: displacement is drawn this many times larger.
            unit: written beside the colours.
            title: over the colours, instead of the field's own name.

        Raises:
            ValueError: the solution has no such field.
            OSError: the picture cannot be written.
        """
        from fem.picture import draw

        draw(self, Path(path), field, magnify=magnify, unit=unit, title=title)
