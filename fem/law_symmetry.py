"""Whether a law is symmetric enough for a body to stay in its plane, or round about its axis.

Plane strain is equilibrium in the plane alone: a law without a mirror plane normal to z answers in-plane strain with shear stresses
P_xz, P_yz, P_zx, P_zy, which nothing would balance. An axisymmetric body needs that (no torsion) and a law to which rotations about
its axis make no difference, P(F Q) = P(F) Q. Both are asked of the law itself, at a few strains in each cell's orientation.
"""

from __future__ import annotations

from mpi4py import MPI  # isort: skip  # noqa: F401

import numpy as np
from jaxtyping import Float

from fem.constitution import Constitution
from fem.kind import Kind, KindError
from fem.law import InadmissibleDeformation

# in-plane displacement gradients; small enough for any law, large enough for third-order elasticity to show
_STRAINS = (
    ((0.010, 0.004, 0.0), (-0.002, -0.007, 0.0), (0.0, 0.0, 0.0)),
    ((-0.006, 0.009, 0.0), (0.005, 0.011, 0.0), (0.0, 0.0, 0.0)),
    ((0.003, -0.008, 0.0), (-0.010, 0.002, 0.0), (0.0, 0.0, 0.0)),
)
# of the stress: round-off and the noise of a fitted law are far below, the asymmetry of a crystal far above
_TOLERANCE = 1e-6
_NAMES = {(0, 2): "P_xz", (1, 2): "P_yz", (2, 0): "P_zx", (2, 1): "P_zy"}


def check_symmetry(laws: Constitution, kind: Kind) -> None:
    """Raise KindError where a law does not suit plane strain or axisymmetry, on all ranks alike. Collective."""
    if kind.name not in ("plane_strain", "axisymmetric"):
        return
    problem = ""
    for strain in _STRAINS:
        H = np.array(strain)
        if kind.name == "axisymmetric":
            H[2, 2] = 0.5 * H[0, 0]
        problem = problem or _problem(laws, kind, np.eye(3) + H)
    for found in kind.domain.comm.allgather(problem):
        if found:
            raise KindError(found)


def _problem(laws: Constitution, kind: Kind, F: Float[np.ndarray, "3 3"]) -> str:
    cells = len(laws.law_of_cell)
    points = np.arange(cells) * laws.points_per_cell
    everywhere = np.broadcast_to(F, (cells, 3, 3))
    if cells == 0:
        return ""
    try:
        P = laws.evaluate(everywhere, tangent=False, points=points).first_piola
        size = np.abs(P).max(axis=(1, 2))
        for (i, j), name in _NAMES.items():
            cell = int(np.argmax(np.abs(P[:, i, j]) - _TOLERANCE * size))
            if abs(P[cell, i, j]) > _TOLERANCE * size[cell]:
                return (
                    f"{kind.name} needs a law with a mirror plane normal to z, in its orientation: to the in-plane F = "
                    f"{np.round(F[:2, :2], 3).tolist()} it answers {name} = {P[cell, i, j]:.3g} beside stresses of "
                    f"{size[cell]:.3g}; turn the crystal so that one of its mirror planes is the plane, or solve in 3-d"
                )
        if kind.name == "axisymmetric":
            for angle in (0.3, 0.7, 1.9):
                c, s = np.cos(angle), np.sin(angle)
                Q = np.array([[c, 0.0, s], [0.0, 1.0, 0.0], [-s, 0.0, c]])
                turned = laws.evaluate(everywhere @ Q, tangent=False, points=points).first_piola
                gap = np.abs(turned - P @ Q).max(axis=(1, 2))
                cell = int(np.argmax(gap - _TOLERANCE * size))
                if gap[cell] > _TOLERANCE * size[cell]:
                    return (
                        f"axisymmetric needs a law to which rotations about y make no difference, in its orientation: turning "
                        f"the material by {angle} about y changes the stress by {gap[cell]:.3g} of {size[cell]:.3g}; solve in 3-d"
                    )
    except InadmissibleDeformation:
        return ""  # too far for this law: the solver will say so
    return ""
