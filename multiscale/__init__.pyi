from .cauchy_born import CauchyBornLaw, UnstableCrystal
from .dataset import DataFileError, InvalidData, StressStrainData
from .design import InvalidDesign, strain_design
from .domain import Domain
from .fitting import PoorFit, fit, normalised_mse
from .orbit_network import OrbitLaw
from .reference_state import FitError
from .sampling import sample
from .symmetry import PointGroup, UnknownPointGroup
from .thermal import sample_thermal

__all__ = [
    "CauchyBornLaw",
    "DataFileError",
    "Domain",
    "FitError",
    "InvalidData",
    "InvalidDesign",
    "OrbitLaw",
    "PointGroup",
    "PoorFit",
    "StressStrainData",
    "UnknownPointGroup",
    "UnstableCrystal",
    "fit",
    "normalised_mse",
    "sample",
    "sample_thermal",
    "strain_design",
]
