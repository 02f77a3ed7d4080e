"""Manufactured solutions: the body force that a chosen displacement needs, the discrete solution, and its errors.

The stress is the law's own at the exact F, whose divergence is taken by central differences of fourth order: no law is written twice.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mpi4py import MPI  # isort: skip  # noqa: F401

import numpy as np
import scipy.sparse.linalg
import ufl
from dolfinx import fem as dfem

import fem
from fem.constitution import Constitution
from fem.kind import Kind
from fem.plane_stress import PlaneStress
from fem.quadrature import Quadrature
from fem.weak_form import Physics, WeakForm

# of the differences: their error is 1e-11 beside stresses of the size of the moduli
_STEP = 1e-3


def displacement(X: np.ndarray) -> np.ndarray:
    """A smooth u (d, n) at X (d, n), odd in x along x and even across, as round bodies want it; complex X gives its gradient."""
    x, y = X[0], X[1]
    z = X[2] if len(X) == 3 else 0.0 * x
    u = [
        0.12 * x * np.cos(1.3 * y + 0.4) * (1.0 + 0.5 * z),
        0.08 * np.cos(1.7 * x) * np.sin(1.1 * y + 0.3) + 0.05 * z * z,
        0.07 * np.sin(x + 2.0 * y) * np.cos(1.5 * z),
    ]
    return np.stack(u[: len(X)])


def gradient(kind: Kind, X: np.ndarray) -> np.ndarray:
    """F (n, 3, 3)."""
    d = len(X)
    F = np.tile(np.eye(3), (X.shape[1], 1, 1))
    for J in range(d):
        shift = np.zeros((d, 1), dtype=complex)
        shift[J] = 1e-30j
        F[:, :d, J] += np.imag(displacement(X + shift) / 1e-30).T
    if kind.name == "axisymmetric":
        F[:, 2, 2] += displacement(X)[0] / X[0]
    return F


def body_force(kind: Kind, law: fem.Law, X: np.ndarray) -> np.ndarray:
    """-Div P (n, d)."""

    def stress(X: np.ndarray) -> np.ndarray:
        F = gradient(kind, X)
        laws = Constitution((law,), np.zeros(len(F), dtype=np.int64), None, 1)
        if kind.name == "plane_stress":
            return PlaneStress(laws, len(F)).close(F)[1].first_piola
        return laws.evaluate(F, tangent=False).first_piola

    d = len(X)
    force = np.zeros((X.shape[1], d))
    for J in range(d):
        shift = _STEP * np.eye(d)[:, J : J + 1]
        near, far = (stress(X + s * shift) - stress(X - s * shift) for s in (1, 2))
        force -= (8.0 * near - far)[:, :d, J] / (12.0 * _STEP)
    if kind.name == "axisymmetric":
        P = stress(X)
        force[:, 0] -= (P[:, 0, 0] - P[:, 2, 2]) / X[0]
        force[:, 1] -= P[:, 1, 0] / X[0]
    return force


@dataclass(frozen=True)
class Errors:
    """Norms of u_h - u, and of their gradients."""

    L2: float
    H1: float


def solve(mesh: fem.Mesh, law: fem.Law, degree: int, kind: Any = None, formulation: Any = "displacement") -> Errors:
    """The discrete solution with u prescribed on the whole boundary, by full Newton steps."""
    domain = mesh.domain
    d = domain.geometry.dim
    space = dfem.functionspace(domain, ("Lagrange", degree, (d,)))
    physics = Physics(law, None, Kind.of(domain, kind), formulation, 2 * degree + 1)
    weak = WeakForm(mesh, space, physics)
    quadrature = weak.material.quadrature
    force = quadrature.function((d,))
    quadrature.assign(force, body_force(weak.kind, law, quadrature.coordinates().T))
    v = ufl.TestFunction(space)
    load = dfem.assemble_vector(dfem.form(ufl.inner(force, v) * weak.kind.width * quadrature.measure)).array

    nodes = dfem.locate_dofs_topological(space, d - 1, mesh.facets("boundary"))
    held = (nodes[:, None] * d + np.arange(d)).ravel()
    free = np.setdiff1d(np.arange(len(load)), held)
    u = weak.displacement.x.array
    # Newton starts from the interpolant, which the boundary nodes keep
    u.reshape(-1, d)[:] = displacement(space.tabulate_dof_coordinates()[:, :d].T).T
    for _ in range(20):
        assert weak.material.update(), weak.material.rejection
        residual = dfem.assemble_vector(weak.internal).array - load
        matrix = sum(dfem.assemble_matrix(form).to_scipy() for form in weak.tangents)
        step = scipy.sparse.linalg.spsolve(scipy.sparse.csc_matrix(matrix)[free][:, free], residual[free])
        u[free] -= step
        if np.abs(step).max() < 1e-12:
            break
    else:
        raise AssertionError("Newton's method did not converge on the manufactured problem")
    return errors(weak, degree)


def errors(weak: WeakForm, degree: int) -> Errors:
    fine = Quadrature(weak.mesh.domain, 2 * degree + 4)
    X = fine.coordinates().T
    values, slopes = fine.expression(weak.displacement), fine.expression(ufl.grad(weak.displacement))
    d = len(X)
    exact = gradient(weak.kind, X)[:, :d, :d] - np.eye(d)
    weights = fine.weights()

    def norm(difference: np.ndarray) -> float:
        return float(np.sqrt(weights @ (difference**2).reshape(len(weights), -1).sum(axis=1)))

    return Errors(norm(fine.evaluate(values) - displacement(X).T), norm(fine.evaluate(slopes) - exact))


def rates(solved: Callable[[int], Errors], coarse: int, fine: int) -> tuple[float, float]:
    """Observed orders in L2 and H1 between two meshes of so many cells a side."""
    a, b = solved(coarse), solved(fine)
    ratio = np.log(fine / coarse)
    return float(np.log(a.L2 / b.L2) / ratio), float(np.log(a.H1 / b.H1) / ratio)
