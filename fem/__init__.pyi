from . import laws
from .attempt import ResidualStagnated
from .c_function import CFunction, NoCFunction
from .checkpoint import CheckpointError
from .conditions import ConditionError
from .kind import KindError
from .law import InadmissibleDeformation, Law, Response, ShapeError, check_deformation_gradient
from .law_check import InconsistentLaw, SlowNewton, check_law
from .load_step import LoadStep
from .load_stepping import LoadNotConverged
from .material import LawFailed
from .mesh import Mesh, MeshError, MeshNameError, read_mesh
from .orientation import OrientationError
from .probes import PointOutside
from .progress import progress_line
from .solid import Solid
from .solution import PointData, Solution
from .stability import UnstableEquilibrium

__all__ = [
    "CFunction",
    "CheckpointError",
    "ConditionError",
    "InadmissibleDeformation",
    "InconsistentLaw",
    "KindError",
    "Law",
    "LawFailed",
    "LoadNotConverged",
    "LoadStep",
    "Mesh",
    "MeshError",
    "MeshNameError",
    "NoCFunction",
    "OrientationError",
    "PointData",
    "PointOutside",
    "ResidualStagnated",
    "Response",
    "ShapeError",
    "SlowNewton",
    "Solid",
    "Solution",
    "UnstableEquilibrium",
    "check_deformation_gradient",
    "check_law",
    "laws",
    "progress_line",
    "read_mesh",
]
