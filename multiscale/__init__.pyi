from .broken_symmetry import BrokenSymmetry, SymmetryCheck, symmetry_check, warn_of_broken_symmetry
from .cauchy_born import CauchyBornLaw, UnstableCrystal
from .classical.crystal_fit import ElasticConstantsFit, fit_elastic_constants
from .classical.files import load_classical_law, save_classical_law
from .classical.fitting import ModelFit, Undetermined, fit_model
from .classical.isotropic import IsotropicLaw
from .classical.models import Model, classical_models
from .classical.potentials import ArrudaBoyce, BeyondLocking, Carroll, Gent, MooneyRivlin, NeoHooke, Ogden, Yeoh
from .classical.third_order import ThirdOrderElasticity
from .closed_cycles import Integrability, NotAPotential, integrability, warn_of_open_cycles
from .convex_network import ConvexNetwork
from .data_files import read_data
from .data_frames import read_extxyz
from .data_tables import ConstantColumn, read_csv
from .dataset import DataFileError, InvalidData, StressStrainData
from .design import InvalidDesign, informative_design, next_states, strain_design
from .domain import Domain
from .ellipticity import Ellipticity, check_ellipticity
from .expected_error import DesignHole, ExpectedError, expected_error
from .fitting import PoorFit, fit_orbit_law, normalised_mse
from .invariant_fit import fit_invariant_law, fit_polyconvex_law
from .invariant_network import InvariantLaw
from .law_files import load_fitted_law, load_law
from .law_fit import fit, symmetry_named
from .learning import LearningCurve, learning_curve
from .limits import Limits, limits_of
from .material_symmetry import InfiniteGroup, InvalidSymmetry, MaterialSymmetry
from .measured import InvalidTest, MeasuredTest
from .orbit_network import OrbitLaw
from .polyconvex_network import PolyconvexLaw
from .ranking import Extrapolation, Ranking, rank
from .reference_state import FitError
from .sampling import sample
from .specimen import NoEquilibrium, predicted_stress
from .state_ranking import ModelCandidate, NetworkCandidate, PolynomialCandidate, rank_on_states
from .stress_units import UnitError
from .symmetry import PointGroup, UnknownPointGroup
from .tables import TableError
from .thermal import sample_thermal
from .thermal_error import standard_error
from .thermal_expansion import elastic_constants_at, free_stretch, grueneisen_tensor, referred_to, thermal_expansion
from .thermal_fit import fit_thermal
from .thermal_law import ThermalLaw
from .thermal_state import InvalidTemperature
from .uncertainty import Uncertainty

__all__ = [
    "ArrudaBoyce",
    "BeyondLocking",
    "BrokenSymmetry",
    "Carroll",
    "CauchyBornLaw",
    "ConstantColumn",
    "ConvexNetwork",
    "DataFileError",
    "DesignHole",
    "Domain",
    "ElasticConstantsFit",
    "Ellipticity",
    "ExpectedError",
    "Extrapolation",
    "FitError",
    "Gent",
    "InfiniteGroup",
    "Integrability",
    "InvalidData",
    "InvalidDesign",
    "InvalidSymmetry",
    "InvalidTemperature",
    "InvalidTest",
    "InvariantLaw",
    "IsotropicLaw",
    "LearningCurve",
    "Limits",
    "MaterialSymmetry",
    "MeasuredTest",
    "Model",
    "ModelCandidate",
    "ModelFit",
    "MooneyRivlin",
    "NeoHooke",
    "NetworkCandidate",
    "NoEquilibrium",
    "NotAPotential",
    "Ogden",
    "OrbitLaw",
    "PointGroup",
    "PolyconvexLaw",
    "PolynomialCandidate",
    "PoorFit",
    "Ranking",
    "StressStrainData",
    "SymmetryCheck",
    "TableError",
    "ThermalLaw",
    "ThirdOrderElasticity",
    "Uncertainty",
    "Undetermined",
    "UnitError",
    "UnknownPointGroup",
    "UnstableCrystal",
    "Yeoh",
    "check_ellipticity",
    "classical_models",
    "elastic_constants_at",
    "expected_error",
    "fit",
    "fit_elastic_constants",
    "fit_invariant_law",
    "fit_model",
    "fit_orbit_law",
    "fit_polyconvex_law",
    "fit_thermal",
    "free_stretch",
    "grueneisen_tensor",
    "informative_design",
    "integrability",
    "learning_curve",
    "limits_of",
    "load_classical_law",
    "load_fitted_law",
    "load_law",
    "next_states",
    "normalised_mse",
    "predicted_stress",
    "rank",
    "rank_on_states",
    "read_csv",
    "read_data",
    "read_extxyz",
    "referred_to",
    "sample",
    "sample_thermal",
    "save_classical_law",
    "standard_error",
    "strain_design",
    "symmetry_check",
    "symmetry_named",
    "thermal_expansion",
    "warn_of_broken_symmetry",
    "warn_of_open_cycles",
]
