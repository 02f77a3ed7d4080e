"""Second derivatives at work: potentials taught Hessians, and Newton steps by their Hessians on a reference's surface.

`label_hessian` and `learn_hessians` teach, `Newton` optimises with the Hessian that `hessian_of` a potential gives, `step_quality` judges.
"""

from atomistic.memory import HessianTooLarge
from atomistic.newton.hessian_labels import HessianLabel, InvalidHessian, label_hessian, reference_hessian
from atomistic.newton.hessian_training import learn_hessians
from atomistic.newton.learned_hessian import hessian_of
from atomistic.newton.optimiser import Newton, NewtonFailed
from atomistic.newton.quality import StepQuality, step_quality
from atomistic.newton.rigid import UnsupportedConstraint
from atomistic.newton.steps import WrongIndex

__all__ = [
    "HessianLabel",
    "HessianTooLarge",
    "InvalidHessian",
    "Newton",
    "NewtonFailed",
    "StepQuality",
    "UnsupportedConstraint",
    "WrongIndex",
    "hessian_of",
    "label_hessian",
    "learn_hessians",
    "reference_hessian",
    "step_quality",
]
