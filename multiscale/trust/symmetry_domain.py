"""The domain of a law of any symmetry: nearest states under an infinite group by way of representatives.

Under an infinite group strains of one orbit share a representative up to a few rotations (InfiniteGroup.representative), so that
the gauge of multiscale.trust.domain on representatives, with those rotations as its group, is the gauge on the orbits.
"""

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from multiscale.symmetry.material_symmetry import InfiniteGroup, MaterialSymmetry
from multiscale.symmetry.point_group import PointGroup
from multiscale.trust.domain import Domain


class OrbitDomain(Domain):
    """A domain under an infinite group; `strain` holds representatives.

    Raises:
        InvalidDomain: as Domain.
    """

    def __init__(self, strain: Float[ndarray, "n 6"], symmetry: InfiniteGroup) -> None:
        super().__init__(symmetry.representative(strain), PointGroup.named(symmetry.discrete, symmetry.frame))
        self.symmetry = symmetry

    def distance(self, strain: Float[ndarray, "n 6"]) -> Float[ndarray, "n"]:
        """To the nearest training state, over all rotations of the group."""
        return super().distance(self.symmetry.representative(np.asarray(strain)))


def domain_of(strain: Float[ndarray, "n 6"], symmetry: MaterialSymmetry) -> Domain:
    """The domain of training states under a symmetry of either kind.

    Raises:
        InvalidDomain: as Domain.
    """
    if isinstance(symmetry, InfiniteGroup):
        return OrbitDomain(strain, symmetry)
    if isinstance(symmetry, PointGroup):
        return Domain(strain, symmetry)
    raise TypeError(f"no domain is known for a {type(symmetry).__name__}, expected an InfiniteGroup or a PointGroup")
