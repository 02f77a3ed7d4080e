"""Clusters and chains assembled on a potential: many-body expansion, basin hopping, labels where the potential is least sure.

    from atomistic.clusters import LennardJones, many_body_expansion
    terms = many_body_expansion(cluster, atomistic.NeuralCalculator(potential)).terms

Moves are in `atomistic.clusters.moves`, the chain of beads in `atomistic.clusters.bln` and `atomistic.clusters.chain`.
"""

from atomistic.clusters.active_learning import ActiveLearning, candidates_by_hopping, learn_while_hopping
from atomistic.clusters.annealing import AnnealingDiverged, anneal
from atomistic.clusters.basin_hopping import BasinHopping, ClusterEvaporated, NoMoveAccepted, basin_hopping
from atomistic.clusters.labels import label_cluster, label_small_clusters
from atomistic.clusters.lennard_jones import LennardJones, OverlappingAtoms
from atomistic.clusters.many_body import ManyBodyExpansion, TooFewAtoms, many_body_expansion
from atomistic.clusters.surface import Bounds, quench, surface_of

__all__ = [
    "ActiveLearning",
    "AnnealingDiverged",
    "BasinHopping",
    "Bounds",
    "ClusterEvaporated",
    "LennardJones",
    "ManyBodyExpansion",
    "NoMoveAccepted",
    "OverlappingAtoms",
    "TooFewAtoms",
    "anneal",
    "basin_hopping",
    "candidates_by_hopping",
    "label_cluster",
    "label_small_clusters",
    "learn_while_hopping",
    "many_body_expansion",
    "quench",
    "surface_of",
]
