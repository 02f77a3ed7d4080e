from . import laws
from .c_function import CFunction, NoCFunction
from .conditions import ConditionError
from .equilibrium import ResidualStagnated
from .law import InadmissibleDeformation, Law, Response, ShapeError, check_deformation_gradient
from .load_stepping import LoadNotConverged, LoadStep
from .material import LawFailed
from .mesh import Mesh, MeshError, MeshNameError, read_mesh
from .solid import Solid
from .solution import PointData, Solution

__all__ = [
    "CFunction",
    "ConditionError",
    "InadmissibleDeformation",
    "Law",
    "LawFailed",
    "LoadNotConverged",
    "LoadStep",
    "Mesh",
    "MeshError",
    "MeshNameError",
    "NoCFunction",
    "PointData",
    "ResidualStagnated",
    "Response",
    "ShapeError",
    "Solid",
    "Solution",
    "check_deformation_gradient",
    "laws",
    "read_mesh",
]
