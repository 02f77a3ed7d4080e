"""Clusters and chains assembled on a potential: many-body expansion, basin hopping, labels where the potential is least sure.

    from atomistic.clusters import LennardJones, many_body_expansion
    terms = many_body_expansion(cluster, atomistic.NeuralCalculator(potential)).terms
"""

from atomistic.clusters.basin_hopping import BasinHopping, ClusterEvaporated, NoMoveAccepted, basin_hopping
from atomistic.clusters.lennard_jones import LennardJones, OverlappingAtoms
from atomistic.clusters.many_body import ManyBodyExpansion, TooFewAtoms, many_body_expansion
from atomistic.clusters.surface import Bounds, surface_of

__all__ = [
    "BasinHopping",
    "Bounds",
    "ClusterEvaporated",
    "LennardJones",
    "ManyBodyExpansion",
    "NoMoveAccepted",
    "OverlappingAtoms",
    "TooFewAtoms",
    "basin_hopping",
    "many_body_expansion",
    "surface_of",
]
