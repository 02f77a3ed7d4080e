"""A hyperelastic body: a mesh, a law, supports and loads by the names of surfaces."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mpi4py import MPI  # isort: skip  # noqa: F401

import numpy as np
from dolfinx import fem as dfem

from fem.arc_length import Until, trace_path
from fem.body import Body
from fem.driver import Journey, travel
from fem.equilibrium import Equilibrium
from fem.history import History
from fem.kind import Kind, KindName
from fem.law import Law
from fem.load_stepping import follow_load
from fem.loads import spring_energies
from fem.mesh import Mesh, MeshError
from fem.mesh_check import check_cells
from fem.mixed import volume_degree
from fem.orientation import Orientation
from fem.progress import Progress, progress_line
from fem.quadrature import default_quadrature_degree
from fem.solution import Solution
from fem.supports import Supports
from fem.weak_form import Formulation, Physics, WeakForm


class Solid(Body):
    """A body in static equilibrium at finite strain. All methods are collective.

        body = fem.Solid(fem.read_mesh("meshes/bracket.msh"), law)
        body.clamp("wall")
        body.traction("tip", (0.0, 0.0, -0.5))
        solution = body.solve(load_steps=10)

    Tetrahedra and hexahedra in space; triangles and quadrilaterals in plane strain, plane stress (both per unit of undeformed
    thickness) or axisymmetry (about the y axis, at x >= 0; energy and forces of the whole turn). Lengths are the mesh's, stresses the
    law's.

    Args:
        mesh: with named surfaces.
        law: anything with `fem.Law`'s method; or one for each named volume.
        degree: of the displacement, 1 to 3.
        quadrature_degree: of the volume integrals; the usual rule of the element when None.
        kind: "3d", "plane_strain", "plane_stress" or "axisymmetric"; when None "3d" in space and "plane_strain" in the plane.
        formulation: "displacement", or "mixed" for nearly incompressible materials, which then do not lock (`fem.mixed`).
        orientation: rotation R from the material's axes to the laboratory's, (3, 3); one for each cell as the mesh was made,
            (cells, 3, 3); or one for each named volume.

    Raises:
        ValueError: degree or quadrature_degree out of range.
        KindError: a kind or formulation which does not suit the mesh, or unknown.
    """

    def __init__(
        self,
        mesh: Mesh,
        law: Law | Mapping[str, Law],
        degree: int = 2,
        quadrature_degree: int | None = None,
        *,
        kind: KindName | None = None,
        formulation: Formulation = "displacement",
        orientation: Orientation | None = None,
    ) -> None:
        if degree not in (1, 2, 3):
            raise ValueError(f"degree is {degree!r}, expected 1, 2 or 3")
        if quadrature_degree not in (None, *range(1, 31)):
            raise ValueError(f"quadrature_degree is {quadrature_degree!r}, expected 1 to 30")
        if not isinstance(mesh, Mesh):
            raise MeshError(f"mesh is a {type(mesh).__name__}, expected fem.read_mesh(...) or fem.Mesh.of(...)")
        for each in law.values() if isinstance(law, Mapping) else [law]:
            if not callable(getattr(each, "evaluate", None)):
                raise ValueError(f"law is a {type(each).__name__} without a method `evaluate`, expected a fem.Law")
        cell = mesh.domain.topology.cell_name()
        self._physics = Physics(
            law,
            orientation,
            Kind.of(mesh.domain, kind),
            formulation,
            quadrature_degree or default_quadrature_degree(cell, degree),
        )
        if formulation == "mixed":
            volume_degree(cell, degree)
        self.degree = degree
        super().__init__(mesh, self._physics.kind)

    def solve(
        self,
        load_steps: int = 1,
        *,
        first_step: float | None = None,
        stable: bool = True,
        start: Solution | str | Path | None = None,
        checkpoint: str | Path | None = None,
        progress: Progress | None = progress_line,
        tolerance: float = 1e-10,
        petsc_options_prefix: str = "solid_",
        petsc_options: Mapping[str, object] | None = None,
    ) -> Solution:
        """Raise all loads and prescribed displacements together from zero to full, and find equilibrium.

        Args:
            load_steps: no step is longer than 1 / load_steps. A step which fails is shortened; steps grow again where Newton is quick.
            first_step: of the load factor, 1 / load_steps when None.
            stable: leave equilibria which are no minimum of the potential, a straight beam past its buckling load say, for one that is
                (`fem.stability`); for loads which have a potential and the direct linear solver.
            start: a solution of the same mesh, or the file of a checkpoint, to go on from; the undeformed body when None.
            checkpoint: file which holds the last converged step at any moment.
            progress: called on rank 0 as progress(load factor, message) after each step; a line on a terminal unless told
                otherwise, None for silence.
            tolerance: of the residual, relative to the nodal forces.
            petsc_options_prefix: ends in "_"; options under it, e.g. on the command line, win over the defaults.
            petsc_options: for the SNES, without prefix, over the defaults (`fem.equilibrium.NEWTON`, `fem.linear_solver`).

        Raises:
            ConditionError: supports which contradict each other or leave the body loose; a load on an inner surface.
            LoadNotConverged: the full load was not reached; it has the last converged solution.
            LawFailed: the law cannot be evaluated even in the undeformed state.
            ShapeError, AsymmetricTangent, InconsistentLaw: the law does not keep the protocol.
            CheckpointError: `start` is no checkpoint of this mesh and degree.
            OSError: `checkpoint` cannot be written.
        """
        if not (isinstance(load_steps, (int, np.integer)) and load_steps > 0):
            raise ValueError(f"load_steps is {load_steps!r}, expected a whole number of at least 1")
        longest = 1.0 / int(load_steps)
        first = _checked_step("first_step", longest if first_step is None else first_step)

        def follow(equilibrium: Equilibrium, history: History, load: float) -> str:
            return follow_load(equilibrium, history, start=load, longest=longest, first=first, stable=stable)

        journey = Journey(start, checkpoint, self._watched, progress)
        journey.check(self.mesh.domain.comm)
        return travel(self._equilibrium(tolerance, petsc_options_prefix, petsc_options), journey, follow)

    def trace(
        self,
        steps: int = 100,
        *,
        first_step: float = 0.05,
        longest_step: float = 1.0,
        until: Until | None = None,
        start: Solution | str | Path | None = None,
        checkpoint: str | Path | None = None,
        progress: Progress | None = progress_line,
        tolerance: float = 1e-10,
        petsc_options_prefix: str = "solid_",
        petsc_options: Mapping[str, object] | None = None,
    ) -> Solution:
        """Follow the path of equilibria by its length, past limit points, until the load factor has become 1 (see `fem.arc_length`).

        Args:
            steps: to do at most.
            first_step: change of the load factor in the first step, about; later ones are as long as Newton likes.
            longest_step: no step is longer than one which changes the load factor by this much at the first step's stiffness.
            until: until(step) true ends the path after that `LoadStep`; it must be the same on all ranks.
            start, checkpoint, progress, tolerance, petsc_options_prefix, petsc_options: as for `solve`.

        Raises as `solve`; a path which ends before the load factor is 1, by `steps` or `until`, is no error.
        """
        if not (isinstance(steps, (int, np.integer)) and steps > 0):
            raise ValueError(f"steps is {steps!r}, expected a whole number of at least 1")
        first, longest = _checked_step("first_step", first_step), _checked_step("longest_step", longest_step)

        def follow(equilibrium: Equilibrium, history: History, load: float) -> str:
            return trace_path(
                equilibrium, history, start=load, first=first, longest=longest, steps=int(steps), until=until
            )

        journey = Journey(start, checkpoint, self._watched, progress)
        journey.check(self.mesh.domain.comm)
        return travel(self._equilibrium(tolerance, petsc_options_prefix, petsc_options), journey, follow)

    def _equilibrium(self, tolerance: float, prefix: str, options: Mapping[str, object] | None) -> Equilibrium:
        if not (isinstance(tolerance, (int, float, np.number)) and 0.0 < tolerance < 1.0):
            raise ValueError(f"tolerance is {tolerance!r}, expected between 0 and 1")
        check_cells(self.mesh.domain)
        space = dfem.functionspace(self.mesh.domain, ("Lagrange", self.degree, (self._dimension,)))
        springs = spring_energies(self.mesh, space, self._loads)
        if self._physics.kind.name == "axisymmetric":
            # the hoops hold the body across the axis and against turning in the plane; along the axis they do not
            springs = np.diag([1.0, 0.0, 1.0]) + (0.0 if springs is None else springs / np.trace(springs))
        supports = Supports(self.mesh, space, self._supports, springs)
        return Equilibrium(
            WeakForm(self.mesh, space, self._physics),
            supports,
            self._loads,
            tolerance=tolerance,
            petsc_options_prefix=prefix,
            petsc_options=options,
        )


def _checked_step(name: str, step: float) -> float:
    if not (isinstance(step, (int, float, np.number)) and 0.0 < step < np.inf):
        raise ValueError(f"{name} is {step!r}, expected a positive part of the load")
    return float(step)
