"""Training as a dynamical system: the landscape of the loss, its curvature, the flow down it, its minima and saddles.

    from atomistic.diagnosis import diagnose
    print(diagnose(atomistic.train(configurations, seed=0)))

`Landscape` is a loss with an optional l2 regularisation, `gradient_flow` trains by a stiff solver, `classify` tells a minimum from
a saddle, `escape` leaves the latter. See `docs/training_dynamics.md`.
"""

from atomistic.diagnosis.diagnose import Diagnosis, diagnose
from atomistic.diagnosis.escape import NoWayDown, escape, split_neuron, twin_subspace
from atomistic.diagnosis.gradient_flow import Flow, FlowFailed, gradient_flow
from atomistic.diagnosis.landscape import Landscape, NonFiniteLoss, NoParameters
from atomistic.diagnosis.stationary import NotStationary, StationaryPoint, classify, polished
from atomistic.memory import HessianTooLarge

__all__ = [
    "Diagnosis",
    "Flow",
    "FlowFailed",
    "HessianTooLarge",
    "Landscape",
    "NoParameters",
    "NoWayDown",
    "NonFiniteLoss",
    "NotStationary",
    "StationaryPoint",
    "classify",
    "diagnose",
    "escape",
    "gradient_flow",
    "polished",
    "split_neuron",
    "twin_subspace",
]
