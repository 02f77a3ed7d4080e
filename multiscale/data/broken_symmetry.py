"""Whether data break the symmetry of the law that was fitted to them.

A law of a group cannot follow what the group forbids, so that it is left in the residual stress r = S - S_law. Two models of r are
compared: elastic constants of second and third order (and a stress at F = I)

    that the group leaves as they are,
    any, of which some break the group.

The first takes up what the law's form misses; where the data have the symmetry the second explains no more than chance, by the same test
as in multiscale.data.closed_cycles (Fisher's). What it explains beyond is the part of the stress that breaks the symmetry.
"""

import warnings
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.stats import f as fisher

from fem.law import Law
from multiscale.data.closed_cycles import least_squares
from multiscale.data.dataset import StressStrainData
from multiscale.laws.strain import SHEAR_DOUBLING, green_lagrange, stress_components
from multiscale.symmetry.material_symmetry import MaterialSymmetry
from multiscale.symmetry.point_group import PointGroup

UNLIKELY, NOTICEABLE = 1e-6, 3e-3
"""Worth a warning: a chance below the first, of a part of the stress (root mean square) above the second. What a law misses by its form
is no independent noise, so that chances of 1e-5 do occur where no symmetry is broken."""


class BrokenSymmetry(UserWarning):
    """The data break the symmetry asked for."""


@dataclass(frozen=True)
class SymmetryCheck:
    """What the comparison found.

    Attributes:
        chance: the probability that data with the symmetry look as bad; 1 where the states cannot tell.
        share: root mean square of the stress that breaks the symmetry over that of the stress.
        forbidden: (6, 6) elastic constants in GPa that the group forbids, as the data have them beside the law's.
    """

    chance: float
    share: float
    forbidden: Float[ndarray, "6 6"]

    @property
    def broken(self) -> bool:
        """Whether the symmetry is broken, beyond chance and by a part of the stress that is worth a warning."""
        return self.chance < UNLIKELY and self.share > NOTICEABLE


def symmetry_check(law: Law, data: StressStrainData, symmetry: MaterialSymmetry) -> SymmetryCheck:
    """Compare what is left of the data's stress with what the group forbids.

    Raises:
        InvalidData: the data have no stress.
    """
    F, P = data.deformation_gradient, data.labels("first_piola")
    left_over = P - law.evaluate(F, tangent=False).first_piola
    scale = np.sqrt(SHEAR_DOUBLING)
    S, r = (stress_components(np.linalg.solve(F, part)) * scale for part in (P, left_over))
    e = green_lagrange(F)
    weight = np.ones(len(e))
    if data.first_piola_error is not None:
        noise = np.sqrt(np.mean(data.first_piola_error**2, axis=(1, 2)))
        weight = 1.0 / np.sqrt(noise**2 + NOTICEABLE**2 * np.mean(S**2))
    every = PointGroup.named("-1")
    nothing = SymmetryCheck(1.0, 0.0, np.zeros((6, 6)))
    for order in (3, 2):
        allowed, free = (rows(e, group, order) * scale[:, None] for group in (symmetry, every))
        allowed, free = ((part * weight[:, None, None]).reshape(r.size, -1) for part in (allowed, free))
        if 2 * free.shape[1] <= r.size:
            break
    else:
        return nothing
    target = (r * weight[:, None]).ravel()
    without, rank_without, _ = least_squares(allowed, target)
    both, rank_both, coefficients = least_squares(free, target)
    added, left = rank_both - rank_without, r.size - rank_both
    total = float(np.sum((S * weight[:, None]) ** 2))
    if added <= 0 or left < added or total == 0.0:
        return nothing
    drop = max(without - both, 0.0)
    statistic = (drop / added) / max(both / left, np.finfo(float).tiny)
    found = np.einsum("m,mij->ij", coefficients[6:27], every.invariant_stiffnesses())
    return SymmetryCheck(
        chance=float(fisher.sf(statistic, added, left)),
        share=float(np.sqrt(drop / total)),
        forbidden=found - symmetry.project_stiffness(found),
    )


def warn_of_broken_symmetry(law: Law, data: StressStrainData, symmetry: MaterialSymmetry) -> SymmetryCheck:
    """`symmetry_check`, with a warning that gives the number where the symmetry is broken."""
    found = symmetry_check(law, data, symmetry)
    if found.broken:
        a, b = (int(k) for k in np.unravel_index(np.argmax(np.abs(found.forbidden)), (6, 6)))
        warnings.warn(
            f"the data break the symmetry {symmetry.name}: {100 * found.share:.2g} % of their stress is of a kind that it forbids (chance "
            f"{found.chance:.1g}); the constant C{a + 1}{b + 1} is {found.forbidden[a, b]:.3g} GPa off. Check the "
            "orientation of the axes, or ask for a lower symmetry",
            BrokenSymmetry,
            stacklevel=2,
        )
    return found


def rows(e: Float[ndarray, "n 6"], group: MaterialSymmetry, order: int) -> Float[ndarray, "n 6 m"]:
    """S of unit values of the stress at F = I and of the elastic constants that the group leaves as they are."""
    stress, second = group.invariant_stresses(), group.invariant_stiffnesses()
    parts = [np.broadcast_to(stress.T, (len(e), *stress.T.shape)), np.einsum("mab,nb->nam", second, e)]
    if order == 3:
        parts.append(np.einsum("kabc,nb,nc->nak", group.invariant_third_order(), e, e / np.abs(e).max()))
    return np.concatenate(parts, axis=2)
