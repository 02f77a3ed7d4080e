"""Mixed form: a volume ratio of its own in every cell, so that nearly incompressible bodies do not lock.

Three fields u, J~, p (Simo, Taylor and Pister 1985), J~ and p discontinuous polynomials of degree s in each cell. The law sees

    F~ = (J~ / J)^(1/3) F,    J = det F,    E(u, J~, p) = int W(F~) + p (J - J~) dV.

J~ and p belong to one cell each and are eliminated there: J~ = Pi J and p = Pi dW/dJ~, with Pi the projection onto the polynomials
by the cell's dV. What is left is an energy of u alone, E(u) = int W(F~) dV, with everything a displacement form has: a potential,
a symmetric tangent, supports. Any law with W, P and A serves. Per point, with P~, A~ the law's at F~, G = F^-T, s = (J~/J)^(1/3),
pi = P~ : F~, a = A~ : F, f = F : A~ : F,

    P_eff = s P~ - pi/3 G + p J G,                       dW/dJ~ = pi / (3 J~)
    A_loc = s^2 (A~ - (a G + G a)/3 + f/9 G G) - s/3 (P~ G + G P~) + pi/9 G G + pi/3 G^G + p J (G G - G^G)

(products of two matrices are dyads; (G^G)_iJkL = G_iL G_kJ). The tangent is that of A_loc and a part of low rank in each cell,

    sum_a (c_a g_a^T + g_a c_a^T),    c_a[v] = int phi_a J G : grad v dV,    g_a[v] = int phi_a X : grad v dV + 1/2 sum_b H_ab c_b[v],
    X = s^2/(3 J~) (a - f/3 G) + (s P~ - pi/3 G)/(3 J~),    H_ab = int phi_a phi_b (s^2 f - 2 pi)/(9 J~^2) dV,

phi_a an orthonormal basis of the polynomials.

Newton's method. After a step from u0 the volume ratio is off by the square of the step, and p = Pi dW/dJ~ by the bulk modulus times that:
a tangent with such a p is useless, and a potential with that energy forbids the step. Newton's method on u and p together has neither
problem. Its residual is the same, as p enters linearly, and so is its tangent but for the p in A_loc, which is the one that the step
expects,

    p^ = p(u0) + sum_a phi_a (g_a + 1/2 sum_b H_ab c_b)[u - u0],    J^ = J~(u0) + sum_a phi_a c_a[u - u0]

(Magisano, Leonetti and Garcea 2017 do so with stresses at points). How good a step is, the Lagrangian says at what it expects,

    L(u) = int W((J^ / J)^(1/3) F) + p^ (J - J^) dV,

which has the value and slope of E at u0, and the curvature of that tangent along the step.

Degrees: s = k - 1 in quadrilaterals and hexahedra, k - 2 in triangles and tetrahedra of degree k: Q1-P0, Q2-P1, Q3-P2, P2-P0, P3-P1.
Simplices of degree 1 lock with any pressure and are refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

from mpi4py import MPI  # isort: skip  # noqa: F401

import basix
import basix.ufl
import numpy as np
import ufl
from dolfinx import fem as dfem
from jaxtyping import Float

from fem.constitution import Constitution
from fem.kind import Kind, KindError
from fem.law import InadmissibleDeformation, Response, determinant
from fem.quadrature import Quadrature


@dataclass(frozen=True)
class Expectation:
    """p and J~ to first order about a displacement; active components at the points, coefficients of phi_a in the cells.

    Attributes:
        F: the deformation gradients there.
        ratio, pressure: J~ - 1 and p there.
        volumetric, coupled: J G and X.
        bend: H_ab.
    """

    F: Float[np.ndarray, "n m"]
    ratio: Float[np.ndarray, "cells s"]
    pressure: Float[np.ndarray, "cells s"]
    volumetric: Float[np.ndarray, "n m"]
    coupled: Float[np.ndarray, "n m"]
    bend: Float[np.ndarray, "cells s s"]


@dataclass(frozen=True)
class Averaged:
    """What the cells answer at a displacement.

    Attributes:
        F: the deformation gradients F~ that the law saw.
        response: the law's there.
        first_piola, tangent: P_eff, and A_loc with the pressure p^ that was expected, active components.
        volumetric, coupled: c_a and g_a of each cell, by unknown of the cell.
        bend: H_ab of each cell.
    """

    F: Float[np.ndarray, "n 3 3"]
    response: Response
    first_piola: Float[np.ndarray, "n m"]
    tangent: Float[np.ndarray, "n m m"]
    volumetric: Float[np.ndarray, "cells s k"]
    coupled: Float[np.ndarray, "cells s k"]
    bend: Float[np.ndarray, "cells s s"]


def volume_degree(cell: str, degree: int) -> int:
    """s, the degree of J~ and p beside a displacement of that degree.

    Raises:
        KindError: simplices of degree 1.
    """
    simplex = cell in ("triangle", "tetrahedron")
    if simplex and degree == 1:
        raise KindError(
            f"a mixed form on {cell} cells of degree 1 locks with any pressure, expected degree 2 or 3, or "
            f"{'quadrilaterals' if cell == 'triangle' else 'hexahedra'}"
        )
    return degree - 2 if simplex else degree - 1


class MeanVolume:
    """The eliminated fields J~ and p of the cells of this rank, and what Newton's step expects of them.

    Attributes:
        latest: what `respond` answered last.

    Args:
        constitution: the laws.
        kind: of the problem.
        space: of the displacement.
        quadrature: the points.

    Raises:
        KindError: cells that cannot have a mixed form, or too few points for it.
    """

    def __init__(
        self, constitution: Constitution, kind: Kind, space: dfem.FunctionSpace, quadrature: Quadrature
    ) -> None:
        self._constitution, self._kind = constitution, kind
        domain = space.mesh
        points = len(quadrature.points)
        d = domain.geometry.dim
        self._shape = (quadrature.size // points, points)
        self._weights = quadrature.weights().reshape(self._shape)
        self._basis = _orthonormal(
            quadrature.coordinates().reshape(*self._shape, d),
            self._weights,
            volume_degree(domain.topology.cell_name(), space.ufl_element().degree),
        )
        element = basix.ufl.element("Lagrange", domain.basix_cell(), space.ufl_element().degree)
        table = element.tabulate(1, quadrature.points)
        self._nodal, self._nodal_slopes = table[0], np.asarray(table[1:])
        # d xi_j / d X_J, compiled here because compiling is collective
        self._inverse_jacobian = quadrature.evaluate(quadrature.expression(ufl.JacobianInverse(domain)))
        self._radius = quadrature.coordinates()[:, 0]
        self.latest: Averaged | None = None
        self._expected: Expectation | None = None
        self._last: tuple[Float[np.ndarray, "n 3 3"], float, Expectation] | None = None

    @property
    def rank(self) -> int:
        """Number of polynomials in a cell."""
        return int(self._basis.shape[2])

    def seen(self, F: Float[np.ndarray, "n 3 3"]) -> Float[np.ndarray, "n 3 3"]:
        """F~; raises InadmissibleDeformation where J or J~ is not positive."""
        _, s, _ = self._ratios(F)
        return np.asarray(s[:, None, None] * F)

    def respond(self, F: Float[np.ndarray, "n 3 3"]) -> Averaged:
        """Everything at the gradients F = I + grad u.

        Raises:
            InadmissibleDeformation: J or J~ is not positive somewhere, or the law says so.
        """
        J, s, ratio = self._ratios(F)
        seen = s[:, None, None] * F
        response = self._constitution.evaluate(seen, tangent=True)
        assert response.tangent is not None
        kind = self._kind
        rows, columns = (list(index) for index in zip(*kind.components, strict=True))
        G_full = _inverse_transpose(F, J)
        G, P = kind.active(G_full), kind.active(response.first_piola)
        A = response.tangent
        n = len(F)
        a_full = (A.reshape(n, 9, 9) @ F.reshape(n, 9, 1)).reshape(n, 3, 3)
        f = np.einsum("niJ,niJ->n", F, a_full)
        a = kind.active(a_full)
        work = np.einsum("niJ,niJ->n", response.first_piola, seen)
        pressure = self._coefficients(work / (3.0 * ratio))
        p, p_expected = self._field(pressure), self._field(self._foreseen(kind.active(F), pressure)[1])

        isochoric = s[:, None] * P - (work / 3.0)[:, None] * G
        tangent = kind.active_tangent(A) * (s * s)[:, None, None]
        half = -(s * s / 3.0)[:, None] * a - (s / 3.0)[:, None] * P
        dyad = half[:, :, None] * G[:, None, :]
        tangent += dyad + dyad.transpose(0, 2, 1)
        tangent += ((s * s * f + work) / 9.0 + p_expected * J)[:, None, None] * (G[:, :, None] * G[:, None, :])
        crossed = G_full[:, rows][:, :, columns]  # G_iL of the pair (i, J), (k, L); its transpose is G_kJ
        tangent += (work / 3.0 - p_expected * J)[:, None, None] * (crossed * crossed.transpose(0, 2, 1))

        X = (s * s / (3.0 * ratio))[:, None] * (a - (f / 3.0)[:, None] * G) + isochoric / (3.0 * ratio)[:, None]
        bend = (s * s * f - 2.0 * work) / (9.0 * ratio * ratio)
        JG = J[:, None] * G
        c, g = self._moments(JG), self._moments(X)
        H = np.einsum("cq,cqa,cqb->cab", self._weights * bend.reshape(self._shape), self._basis, self._basis)
        here = Expectation(kind.active(F), self._coefficients(J - 1.0), pressure, JG, X, H)
        self._last = F, float(self._weights.reshape(-1) @ response.energy), here
        self.latest = Averaged(seen, response, isochoric + (p * J)[:, None] * G, tangent, c, g + 0.5 * H @ c, H)
        return self.latest

    def set_out(self) -> None:
        """A Newton step begins where `respond` was asked last."""
        self._expected = None if self._last is None else self._last[2]

    def forget(self) -> None:
        """What the last step expected means nothing any more: the body was put elsewhere."""
        self._expected = None

    def excess(self) -> float:
        """E - L on this rank, where `respond` was asked last; 0 where no step has set out.

        Raises:
            InadmissibleDeformation: the volume ratio that the step expects is not positive somewhere, or the law says so.
        """
        if self._expected is None or self._last is None or self._last[2] is self._expected:
            return 0.0
        F, energy, here = self._last
        ratio, pressure = self._foreseen(here.F, here.pressure)
        at_points = 1.0 + self._field(ratio)
        _positive(at_points)
        s = np.cbrt(at_points / determinant(F))
        expected = self._constitution.evaluate(s[:, None, None] * F, tangent=False).energy
        return energy - float(self._weights.reshape(-1) @ expected) - float(np.sum(pressure * (here.ratio - ratio)))

    def _foreseen(
        self, F: Float[np.ndarray, "n m"], pressure: Float[np.ndarray, "cells s"]
    ) -> tuple[Float[np.ndarray, "cells s"], Float[np.ndarray, "cells s"]]:
        """J^ - 1 and p^ at F; p as it is there where no step has set out."""
        start = self._expected
        if start is None:
            return np.zeros_like(pressure), pressure
        moved = F - start.F
        grown = self._coefficients(np.einsum("nm,nm->n", start.volumetric, moved))
        pressed = self._coefficients(np.einsum("nm,nm->n", start.coupled, moved))
        return start.ratio + grown, start.pressure + pressed + np.einsum("cab,cb->ca", start.bend, grown)

    def _ratios(
        self, F: Float[np.ndarray, "n 3 3"]
    ) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
        """J, (J~/J)^(1/3) and J~."""
        J = determinant(F)
        _positive(J)
        ratio = 1.0 + self._field(self._coefficients(J - 1.0))
        _positive(ratio)
        return J, np.cbrt(ratio / J), ratio

    def _coefficients(self, values: Float[np.ndarray, " n"]) -> Float[np.ndarray, "cells s"]:
        """Of Pi: int phi_a values dV."""
        return np.asarray(np.einsum("cq,cqa->ca", self._weights * values.reshape(self._shape), self._basis))

    def _field(self, coefficients: Float[np.ndarray, "cells s"]) -> Float[np.ndarray, " n"]:
        """At the points."""
        return np.asarray(np.einsum("cqa,ca->cq", self._basis, coefficients)).reshape(-1)

    def _moments(self, X: Float[np.ndarray, "n m"]) -> Float[np.ndarray, "cells s k"]:
        """int phi_a X : grad v dV for every unknown v of a cell, node by node."""
        d = self._kind.domain.geometry.dim
        cells, points = self._shape
        # X : grad v = X_iJ dN/dxi_j dxi_j/dX_J, weights and phi_a on X: then one product of matrices for all cells
        inside = X[:, : d * d].reshape(-1, d, d) @ self._inverse_jacobian.transpose(0, 2, 1)
        weighted = self._weights[:, :, None] * self._basis  # c q a
        table = self._nodal_slopes.reshape(d, points, -1)  # j q n
        loads = np.einsum("cqa,cqij->caiqj", weighted, inside.reshape(cells, points, d, d), optimize=True)
        matrix = table.transpose(1, 0, 2).reshape(points * d, -1)
        nodes = matrix.shape[1]
        moments = loads.reshape(cells * self.rank * d, points * d) @ matrix  # (c a i) n
        result = moments.reshape(cells, self.rank, d, nodes).transpose(0, 1, 3, 2).copy()
        if self._kind.name == "axisymmetric":
            hoop = weighted * (X[:, 4] / self._radius).reshape(cells, points)[:, :, None]
            result[:, :, :, 0] += np.einsum("cqa,qn->can", hoop, self._nodal.reshape(points, -1))
        return np.asarray(result.reshape(cells, self.rank, nodes * d))


def _orthonormal(
    X: Float[np.ndarray, "cells q d"], weights: Float[np.ndarray, "cells q"], degree: int
) -> Float[np.ndarray, "cells q s"]:
    """Polynomials of that degree in the coordinates, orthonormal in each cell by its weights."""
    volume = weights.sum(axis=1)
    centre = np.einsum("cq,cqd->cd", weights, X) / volume[:, None]
    size = np.abs(X - centre[:, None]).max(axis=(1, 2), initial=0.0)
    local = (X - centre[:, None]) / np.where(size > 0.0, size, 1.0)[:, None, None]
    powers = [e for e in product(range(degree + 1), repeat=X.shape[2]) if sum(e) <= degree]
    monomials = np.stack([np.prod(local ** np.array(e), axis=2) for e in powers], axis=2)
    if len(powers) > X.shape[1]:
        raise KindError(
            f"{X.shape[1]} quadrature points a cell cannot tell {len(powers)} polynomials of the volume ratio apart, expected a "
            "higher quadrature_degree"
        )
    scaled = np.sqrt(weights)[:, :, None] * monomials
    # QR rather than Cholesky of the Gram matrix: half the digits lost
    _, R = np.linalg.qr(scaled)
    return np.asarray(np.linalg.solve(R.transpose(0, 2, 1), monomials.transpose(0, 2, 1)).transpose(0, 2, 1))


def _inverse_transpose(F: Float[np.ndarray, "n 3 3"], J: Float[np.ndarray, " n"]) -> Float[np.ndarray, "n 3 3"]:
    cofactor = [np.cross(F[:, 1], F[:, 2]), np.cross(F[:, 2], F[:, 0]), np.cross(F[:, 0], F[:, 1])]
    return np.asarray(np.stack(cofactor, axis=1) / J[:, None, None])


def _positive(ratio: Float[np.ndarray, " n"]) -> None:
    bad = ~((ratio > 0.0) & np.isfinite(ratio))
    if bad.any():
        point = int(np.argmax(bad))
        raise InadmissibleDeformation(point, float(ratio[point]))
