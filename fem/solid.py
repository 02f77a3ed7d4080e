"""A hyperelastic body: a mesh, a law, supports and loads by the names of surfaces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mpi4py import MPI  # isort: skip  # noqa: F401

import numpy as np
from dolfinx import fem as dfem

from fem.conditions import Field, Support, Supports, Traction, checked_vector, normal_axis
from fem.equilibrium import Equilibrium
from fem.law import Law
from fem.load_stepping import LoadNotConverged, Progress, follow_load
from fem.mesh import Mesh, MeshError
from fem.quadrature import default_quadrature_degree
from fem.solution import Solution


class Solid:
    """A body of one material, in static equilibrium at finite strain. All methods are collective.

        body = fem.Solid(fem.read_mesh("meshes/bracket.msh"), law)
        body.clamp("wall")
        body.traction("tip", (0.0, 0.0, -0.5))
        solution = body.solve(load_steps=10)

    Tetrahedra and hexahedra in space; triangles and quadrilaterals in plane strain (F33 = 1, energy and forces per unit
    thickness). Lengths are the mesh's, stresses the law's.

    Args:
        mesh: with named surfaces.
        law: anything with `fem.Law`'s method.
        degree: of the displacement, 1 to 3.
        quadrature_degree: of the volume integrals; the usual rule of the element when None.

    Raises:
        ValueError: degree or quadrature_degree out of range.
    """

    def __init__(self, mesh: Mesh, law: Law, degree: int = 2, quadrature_degree: int | None = None) -> None:
        if degree not in (1, 2, 3):
            raise ValueError(f"degree is {degree!r}, expected 1, 2 or 3")
        if quadrature_degree is not None and not 1 <= quadrature_degree <= 30:
            raise ValueError(f"quadrature_degree is {quadrature_degree!r}, expected 1 to 30")
        if not isinstance(mesh, Mesh):
            raise MeshError(f"mesh is a {type(mesh).__name__}, expected fem.read_mesh(...) or fem.Mesh.of(...)")
        if not callable(getattr(law, "evaluate", None)):
            raise ValueError(f"law is a {type(law).__name__} without a method `evaluate`, expected a fem.Law")
        self.mesh = mesh
        self.law = law
        self.degree = degree
        self.quadrature_degree = quadrature_degree or default_quadrature_degree(
            mesh.domain.topology.cell_name(), degree
        )
        self._dimension = mesh.domain.geometry.dim
        self._supports: list[Support] = []
        self._tractions: list[Traction] = []

    def clamp(self, surface: str) -> None:
        """No displacement on the surface."""
        self.prescribe(surface, (0.0,) * self._dimension)

    def prescribe(self, surface: str, displacement: Sequence[float | None] | Field) -> None:
        """Displacement on the surface at full load.

        Args:
            surface: its name.
            displacement: the components, None leaves one free; or a function of the undeformed positions, X (3, n) ->
                (dimension, n), as dolfinx interpolates.

        Raises:
            MeshNameError: the mesh has no such surface.
            ConditionError: another number of components, or one which is not finite.
        """
        self.mesh.facets(surface)
        if callable(displacement):
            self._supports.append(Support(surface, displacement))
            return
        values = checked_vector(displacement, self._dimension, f"the displacement of {surface!r}")
        self._supports.append(Support(surface, values))

    def symmetry(self, surface: str) -> None:
        """A symmetry plane: no displacement normal to it.

        Raises:
            ConditionError: the surface is no plane x, y or z = constant.
        """
        axis = normal_axis(self.mesh, surface)
        self.prescribe(surface, [0.0 if i == axis else None for i in range(self._dimension)])

    def traction(self, surface: str, traction: Sequence[float]) -> None:
        """Dead traction at full load: force per reference area, fixed direction, in the law's stress unit.

        Several on one surface add up. Raises as `prescribe`.
        """
        self.mesh.facets(surface)
        values = checked_vector(traction, self._dimension, f"the traction on {surface!r}")
        if any(v is None for v in values):
            raise ValueError(f"the traction on {surface!r} is {tuple(traction)}, expected numbers")
        self._tractions.append(Traction(surface, tuple(v for v in values if v is not None)))

    def solve(
        self,
        load_steps: int = 1,
        *,
        progress: Progress | None = None,
        tolerance: float = 1e-10,
        petsc_options_prefix: str = "solid_",
        petsc_options: Mapping[str, object] | None = None,
    ) -> Solution:
        """Raise all loads and prescribed displacements together from zero to full, and find equilibrium.

        Args:
            load_steps: number of equal steps; a step which fails is halved, and lengthened again later.
            progress: called on rank 0 as progress(fraction, message) after each step.
            tolerance: of the residual, relative to the nodal forces.
            petsc_options_prefix: ends in "_"; options under it, e.g. on the command line, win over the defaults.
            petsc_options: for the SNES, without prefix, over the defaults (`fem.equilibrium.DEFAULT_OPTIONS`).

        Raises:
            ConditionError: supports which contradict each other or leave the body loose; a load on an inner surface.
            LoadNotConverged: the full load was not reached; it has the last converged solution.
            LawFailed: the law cannot be evaluated even in the undeformed state.
            ShapeError, AsymmetricTangent: the law does not keep the protocol.
        """
        if not (isinstance(load_steps, (int, np.integer)) and load_steps > 0):
            raise ValueError(f"load_steps is {load_steps!r}, expected a whole number of at least 1")
        if not 0.0 < tolerance < 1.0:
            raise ValueError(f"tolerance is {tolerance!r}, expected between 0 and 1")
        domain = self.mesh.domain
        space = dfem.functionspace(domain, ("Lagrange", self.degree, (self._dimension,)))
        supports = Supports(self.mesh, space, self._supports)
        equilibrium = Equilibrium(
            self.mesh,
            self.law,
            space,
            self.quadrature_degree,
            supports,
            self._tractions,
            tolerance=tolerance,
            petsc_options_prefix=petsc_options_prefix,
            petsc_options=petsc_options,
        )
        try:
            steps, obstacle = follow_load(equilibrium, int(load_steps), progress if domain.comm.rank == 0 else None)
            solution = Solution.of(equilibrium, self.mesh, steps)
        finally:
            equilibrium.destroy()
        if obstacle:
            raise LoadNotConverged(solution.load_factor, obstacle, solution)
        return solution
