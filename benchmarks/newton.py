"""What a Newton step costs with a learned law, beside neo-Hooke in UFL; double precision, one thread.

    newton_ufl_us_per_point_<element>        residual and Jacobian of neo-Hooke in UFL, compiled by FFCx with the flags of `fem`
    newton_us_per_point_<element>            the same of the default cubic law (12 neurons, 288 images) in `fem`
    newton_ratio_<element>                   ratio of the second to the first
    newton_neohooke_ratio_<element>          neo-Hooke by hand in C, in `fem`, over neo-Hooke in UFL
    newton_array_ratio_<element>             the learned law as arrays of points, over neo-Hooke in UFL
    newton_solve_ratio_<element>             a whole Newton step, MUMPS included: the learned law over neo-Hooke in UFL
    newton_external_operator_ratio_p2        dolfinx-external-operator with torch.func.vmap(jacfwd(grad)) of the same energy, over `fem`;
                                             left out where that package is missing

Elements: q1, q2 (hexahedra), p1, p2 (tetrahedra) of a deformed cube with about 65,000 quadrature points, the same rule for all.
Residual and Jacobian are vector and PETSc matrix, assembled; in `fem` with the energy and all that is checked besides. Times are CPU
time of one thread: on an idle machine that is the wall time. The candidates take turns; the best of the rounds counts. Weights are random:
a fitted law costs the same.
"""

# MPI comes before dolfinx, dolfinx-external-operator before any algorithm of UFL
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mpi4py import MPI  # isort: skip

with suppress(ImportError):
    import dolfinx_external_operator as external  # isort: skip

import basix.ufl
import dolfinx
import dolfinx.fem.petsc as petsc_fem
import numpy as np
import torch
import ufl
from dolfinx import fem as dfem
from petsc4py import PETSc

sys.path.insert(0, str(Path(__file__).parent))
from law import neo_hooke, orbit_law, torch_response

import fem
from fem.c_function import CFunction
from fem.compiled_kernel import FLAGS
from fem.kind import Kind
from fem.laws import NeoHooke
from fem.linear_solver import DIRECT
from fem.quadrature import default_quadrature_degree
from fem.weak_form import Physics, WeakForm
from multiscale.symmetry.point_group import PointGroup

ELEMENTS: Final = {
    "q1": ("hexahedron", 1, (20, 20, 20)),
    "q2": ("hexahedron", 2, (13, 13, 14)),
    "p1": ("tetrahedron", 1, (22, 22, 22)),
    "p2": ("tetrahedron", 2, (14, 14, 14)),
}
CLASSICAL: Final = NeoHooke(mu=60.0, lmbda=70.0)
ROUNDS, FEW_ROUNDS, SOLVE_ROUNDS = 9, 2, 5


@dataclass(frozen=True)
class NeoHookeInC:
    """`CLASSICAL` in C, as a law of `fem`."""

    def c_function(self) -> CFunction:
        return neo_hooke()

    def evaluate(
        self, F: np.ndarray, state: Mapping | None = None, *, tangent: bool = True, trust: bool = False
    ) -> fem.Response:
        return CLASSICAL.evaluate(F, tangent=tangent)


class Element:
    """A deformed cube, clamped on one side, and how its problems are put together."""

    def __init__(self, cell: str, degree: int, cells: tuple[int, int, int]) -> None:
        self.domain = dolfinx.mesh.create_unit_cube(MPI.COMM_SELF, *cells, dolfinx.mesh.CellType[cell])
        self.space = dfem.functionspace(self.domain, ("Lagrange", degree, (3,)))
        self.rule = default_quadrature_degree(cell, degree)
        left = dfem.locate_dofs_geometrical(self.space, lambda X: np.isclose(X[0], 0.0))
        self.supports = [dfem.dirichletbc(np.zeros(3), left, self.space)]
        points = len(basix.make_quadrature(self.domain.basix_cell(), self.rule)[1])
        self.points = points * self.domain.topology.index_map(3).size_local

    def deform(self, u: dfem.Function) -> None:
        """Strains of some per cent, another at each point."""
        u.interpolate(
            lambda X: 0.02 * X[0] * np.array([np.sin(3.0 * X[1]), np.cos(2.0 * X[2]), np.sin(2.0 * X[0] + X[1])])
        )


Residual = Callable[[PETSc.Vec], None]
Stiffness = Callable[[PETSc.Mat, Sequence[dfem.DirichletBC]], None]


def assembled(form: dfem.Form) -> Stiffness:
    """As dolfinx does it."""

    def assemble(matrix: PETSc.Mat, supports: Sequence[dfem.DirichletBC]) -> None:
        petsc_fem.assemble_matrix(matrix, form, supports)
        matrix.assemble()

    return assemble


class Problem:
    """A law on an element: the vector R and the matrix K by `assemble`, and a Newton step by `step`."""

    def __init__(
        self, element: Element, jacobian: dfem.Form, residual: Residual, stiffness: Stiffness | None = None
    ) -> None:
        self._residual, self._stiffness, self._supports = residual, stiffness or assembled(jacobian), element.supports
        self.K, self.f = petsc_fem.create_matrix(jacobian), petsc_fem.create_vector(element.space)
        self._du = self.f.duplicate()
        self._solver = PETSc.KSP().create(MPI.COMM_SELF)
        self._solver.setOptionsPrefix("newton_")
        for name, value in DIRECT.items():
            PETSc.Options().setValue("newton_" + name, value)
        self._solver.setFromOptions()

    def assemble(self) -> None:
        self.f.set(0.0)
        self._residual(self.f)
        self.K.zeroEntries()
        self._stiffness(self.K, self._supports)

    def step(self) -> None:
        self.assemble()
        petsc_fem.set_bc(self.f, self._supports)
        self._solver.setOperators(self.K)
        self._solver.solve(self.f, self._du)

    def destroy(self) -> None:
        for thing in (self._solver, self.K, self.f, self._du):
            thing.destroy()


def in_ufl(element: Element) -> Problem:
    """Neo-Hooke and nothing else than UFL."""
    u = dfem.Function(element.space)
    element.deform(u)
    F = ufl.Identity(3) + ufl.grad(u)
    log_J = ufl.ln(ufl.det(F))
    mu, lmbda = (dfem.Constant(element.domain, value) for value in (CLASSICAL.mu, CLASSICAL.lmbda))
    W = lmbda / 2 * log_J**2 - mu * log_J + mu / 2 * (ufl.inner(F, F) - 3)
    R = ufl.derivative(W * ufl.dx(metadata={"quadrature_degree": element.rule}), u)
    options = {"cffi_extra_compile_args": list(FLAGS)}
    residual, jacobian = (dfem.form(form, jit_options=options) for form in (R, ufl.derivative(R, u)))
    return Problem(element, jacobian, lambda f: petsc_fem.assemble_vector(f, residual))


def in_fem(element: Element, law: fem.Law, *, in_cells: bool = True) -> Problem:
    """Any law, as `fem.Solid` has it."""
    mesh = fem.Mesh.of(element.domain, {})
    physics = Physics(law, None, Kind.of(element.domain, None), "displacement", element.rule, in_cells)
    weak = WeakForm(mesh, element.space, physics)
    element.deform(weak.displacement)

    def residual(f: PETSc.Vec) -> None:
        if not weak.material.update():
            raise RuntimeError(weak.material.rejection)
        weak.material.nodal_forces(f)

    (jacobian,) = weak.tangents
    return Problem(element, jacobian, residual, weak.material.add_stiffness)


def in_torch(element: Element, respond: Callable[[torch.Tensor], tuple[torch.Tensor, ...]]) -> Problem:
    """The law's energy in torch, derivatives left to it, through dolfinx-external-operator as its documentation shows."""

    def stress_and_tangent(F: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        chunks = [respond(f) for f in torch.from_numpy(np.ascontiguousarray(F)).reshape(-1, 3, 3).split(500)]
        return tuple(torch.cat([chunk[k] for chunk in chunks]).reshape(-1).numpy() for k in (2, 1))  # type: ignore[return-value]

    u, v = dfem.Function(element.space), ufl.TestFunction(element.space)
    element.deform(u)
    rule = basix.ufl.quadrature_element(element.domain.basix_cell(), (3, 3), scheme="default", degree=element.rule)
    F = ufl.variable(ufl.Identity(3) + ufl.grad(u))
    P = external.FEMExternalOperator(
        F,
        function_space=dfem.functionspace(element.domain, rule),
        external_function=lambda derivatives: stress_and_tangent,
    )
    measure = ufl.dx(metadata={"quadrature_degree": element.rule, "quadrature_rule": "default"})
    R = ufl.inner(ufl.grad(v), P) * measure
    R_replaced, stresses = external.replace_external_operators(R)
    K_replaced, tangents = external.replace_external_operators(ufl.derivative(R, u))
    options = {"cffi_extra_compile_args": list(FLAGS)}
    residual, jacobian = (dfem.form(form, jit_options=options) for form in (R_replaced, K_replaced))

    def update(f: PETSc.Vec) -> None:
        ((_, stress),) = external.evaluate_external_operators(tangents, external.evaluate_operands(stresses))
        stresses[0].ref_coefficient.x.array[:] = stress
        petsc_fem.assemble_vector(f, residual)

    return Problem(element, jacobian, update)


def measure() -> dict[str, float]:
    """All numbers."""
    torch.set_num_threads(1)
    return {
        key: value for name, element in ELEMENTS.items() for key, value in of_element(name, Element(*element)).items()
    }


def of_element(name: str, element: Element) -> dict[str, float]:
    """The numbers of one element."""
    law = orbit_law(PointGroup.named("m-3m"))
    problems = {
        "ufl": in_ufl(element),
        "fem": in_fem(element, law),
        "neohooke": in_fem(element, NeoHookeInC()),
        "array": in_fem(element, law, in_cells=False),
    }
    if name == "p2" and "external" in globals():
        problems["external"] = in_torch(element, torch_response(law.terms))
    check_alike(problems)
    rounds = {key: FEW_ROUNDS if key in ("array", "external") else ROUNDS for key in problems}
    seconds = fastest({key: (problem.assemble, rounds[key]) for key, problem in problems.items()})
    best = {key: 1e6 * value / element.points for key, value in seconds.items()}
    steps = fastest({key: (problems[key].step, SOLVE_ROUNDS) for key in ("ufl", "fem")})
    for problem in problems.values():
        problem.destroy()
    numbers = {
        f"newton_ufl_us_per_point_{name}": best["ufl"],
        f"newton_us_per_point_{name}": best["fem"],
        f"newton_ratio_{name}": best["fem"] / best["ufl"],
        f"newton_neohooke_ratio_{name}": best["neohooke"] / best["ufl"],
        f"newton_array_ratio_{name}": best["array"] / best["ufl"],
        f"newton_solve_ratio_{name}": steps["fem"] / steps["ufl"],
    }
    if "external" in best:
        numbers[f"newton_external_operator_ratio_{name}"] = best["external"] / best["fem"]
    return numbers


def check_alike(problems: dict[str, Problem]) -> None:
    """Who claims to compute the same does."""
    for problem in problems.values():
        problem.assemble()  # compiles, makes the matrix, touches the memory
        problem.assemble()
    for one, other in (("neohooke", "ufl"), ("array", "fem"), ("external", "fem")):
        if one in problems:
            difference = problems[one].K.copy()
            difference.axpy(-1.0, problems[other].K, PETSc.Mat.Structure.SAME_NONZERO_PATTERN)
            if not difference.norm() <= 1e-12 * problems[other].K.norm():
                raise RuntimeError(f"the Jacobians of {one} and {other} differ")
            difference.destroy()


def fastest(candidates: dict[str, tuple[Callable[[], object], int]]) -> dict[str, float]:
    """CPU seconds, the best of each one's rounds."""
    best = dict.fromkeys(candidates, np.inf)
    for turn in range(max(rounds for _, rounds in candidates.values())):
        for name, (run, rounds) in candidates.items():
            if turn < rounds:
                start = time.thread_time()
                run()
                best[name] = min(best[name], time.thread_time() - start)
    return best
