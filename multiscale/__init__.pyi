from .classical.crystal_fit import ElasticConstantsFit, fit_elastic_constants
from .classical.files import load_classical_law, save_classical_law
from .classical.fitting import ModelFit, Undetermined, fit_model
from .classical.isotropic import IsotropicLaw
from .classical.models import Model, classical_models
from .classical.potentials import ArrudaBoyce, BeyondLocking, Carroll, Gent, MooneyRivlin, NeoHooke, Ogden, Yeoh
from .classical.third_order import ThirdOrderElasticity
from .data.broken_symmetry import BrokenSymmetry, SymmetryCheck, symmetry_check, warn_of_broken_symmetry
from .data.closed_cycles import Integrability, NotAPotential, integrability, warn_of_open_cycles
from .data.csv_data import ConstantColumn, read_csv
from .data.dataset import DataFileError, InvalidData, StressStrainData
from .data.extxyz import read_extxyz
from .data.files import read_data
from .data.stress_units import UnitError
from .data.tables import TableError
from .fits.fit import fit, symmetry_named
from .fits.invariant_law import fit_invariant_law, fit_polyconvex_law
from .fits.judgement import PoorFit, StressAtRest, normalised_mse
from .fits.learning_curve import LearningCurve, learning_curve
from .fits.orbit_law import fit_orbit_law
from .fits.state_ranking import ModelCandidate, NetworkCandidate, PolynomialCandidate, rank_on_states
from .laws.cauchy_born import CauchyBornLaw, UnstableCrystal
from .laws.convex_network import ConvexNetwork
from .laws.files import load_fitted_law, load_law
from .laws.invariant_network import InvariantLaw
from .laws.orbit_network import OrbitLaw
from .laws.polyconvex_network import PolyconvexLaw
from .laws.reference_state import FitError
from .measured.measured_test import InvalidTest, MeasuredTest
from .measured.ranking import Extrapolation, Ranking, rank
from .measured.specimen import NoEquilibrium, predicted_stress
from .sampling.design import InvalidDesign, informative_design, next_states, strain_design
from .sampling.relaxed_states import sample
from .symmetry.material_symmetry import InfiniteGroup, InvalidSymmetry, MaterialSymmetry
from .symmetry.point_group import PointGroup, UnknownPointGroup
from .thermal.expansion import elastic_constants_at, free_stretch, grueneisen_tensor, referred_to, thermal_expansion
from .thermal.fitting import fit_thermal
from .thermal.law import ThermalLaw
from .thermal.sampling import sample_thermal
from .thermal.standard_error import standard_error
from .thermal.temperature import InvalidTemperature
from .trust.domain import Domain
from .trust.ellipticity import Ellipticity, check_ellipticity
from .trust.expected_error import DesignHole, ExpectedError, expected_error
from .trust.limits import Limits, limits_of
from .trust.uncertainty import Uncertainty

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
    "StressAtRest",
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
