from .body_ordered import BodyOrdered
from .calculator import NeuralCalculator
from .calibration import CalibratedUncertainty, InvalidCalibrationData, calibrate, fit_uncertainty
from .cauchy_born import CauchyBorn, CauchyBornResponse, InvalidDeformation
from .classical import ElementNotCovered
from .compiler import KernelUnavailable
from .configurations import ConfigurationGroup, LabelFailed, default_groups, label, label_configurations
from .crystal import (
    InvalidCrystal,
    RelaxationFailed,
    RelaxedCrystal,
    check_crystal,
    deform,
    first_piola,
    nearest_distance,
    primitive_cell,
    relax_crystal,
    relax_positions,
)
from .descriptor_choice import TooFewDescriptors, choose_symmetry_functions
from .descriptor_distance import MahalanobisDistance, NearestNeighbourDistance
from .descriptors import Descriptors
from .dynamics import ThermalCell, ThermalStress, npt_average, thermal_stress
from .elasticity import elastic_constants
from .ensemble import EnsemblePrediction, PotentialEnsemble
from .ensemble_training import train_ensemble
from .gaussian_fit import fit_gaussians
from .guards import DynamicsFailed, UncertainStructure, UncertainStructureWarning, UncertaintyGuard, guarded_run
from .label_checks import (
    DuplicateStructures,
    ExplodingStructures,
    InvalidTrainingData,
    ScarceElement,
    check_labels,
)
from .lammps import LammpsFailed, LammpsMissing
from .lammps_plugin import NoPairStyle, PluginFailed, build_lammps_plugin
from .laplace import LastLayerLaplace
from .linear_fit import fit_linear
from .n2p2 import read_n2p2
from .n2p2_writer import NotInN2P2Format, write_n2p2
from .neighbour_list import InvalidStructure, NeighbourList
from .neighbours import NeighbourTable, neighbour_table
from .network import Network
from .network_file import NetworkFileError
from .potential import NeuralPotential, Prediction, UnknownElement, predict_all
from .reference import UnknownReference, reference_calculator, reference_names
from .second_derivatives import hessian, hessian_operator, hessian_vector_product, internal_strain
from .strain_derivatives import MetricDerivatives, metric_derivatives
from .stress_check import InconsistentStress
from .symmetry_functions import SymmetryFunction, SymmetryFunctions
from .time_series import TimeAverage, time_average
from .training import Training, TrainingSettings, train
from .training_loss import TrainingFailed
from .uncertain_calculator import UncertainCalculator
from .uncertainty import EnsembleSpread, InvalidEstimator, Uncertainty, UncertaintyEstimator
from .units import EV_PER_CUBIC_ANGSTROM_IN_GPA

__all__ = [
    "EV_PER_CUBIC_ANGSTROM_IN_GPA",
    "BodyOrdered",
    "CalibratedUncertainty",
    "CauchyBorn",
    "CauchyBornResponse",
    "ConfigurationGroup",
    "Descriptors",
    "DuplicateStructures",
    "DynamicsFailed",
    "ElementNotCovered",
    "EnsemblePrediction",
    "EnsembleSpread",
    "ExplodingStructures",
    "InconsistentStress",
    "InvalidCalibrationData",
    "InvalidCrystal",
    "InvalidDeformation",
    "InvalidEstimator",
    "InvalidStructure",
    "InvalidTrainingData",
    "KernelUnavailable",
    "LabelFailed",
    "LammpsFailed",
    "LammpsMissing",
    "LastLayerLaplace",
    "MahalanobisDistance",
    "MetricDerivatives",
    "NearestNeighbourDistance",
    "NeighbourList",
    "NeighbourTable",
    "Network",
    "NetworkFileError",
    "NeuralCalculator",
    "NeuralPotential",
    "NoPairStyle",
    "NotInN2P2Format",
    "PluginFailed",
    "PotentialEnsemble",
    "Prediction",
    "RelaxationFailed",
    "RelaxedCrystal",
    "ScarceElement",
    "SymmetryFunction",
    "SymmetryFunctions",
    "ThermalCell",
    "ThermalStress",
    "TimeAverage",
    "TooFewDescriptors",
    "Training",
    "TrainingFailed",
    "TrainingSettings",
    "UncertainCalculator",
    "UncertainStructure",
    "UncertainStructureWarning",
    "Uncertainty",
    "UncertaintyEstimator",
    "UncertaintyGuard",
    "UnknownElement",
    "UnknownReference",
    "build_lammps_plugin",
    "calibrate",
    "check_crystal",
    "check_labels",
    "choose_symmetry_functions",
    "default_groups",
    "deform",
    "elastic_constants",
    "first_piola",
    "fit_gaussians",
    "fit_linear",
    "fit_uncertainty",
    "guarded_run",
    "hessian",
    "hessian_operator",
    "hessian_vector_product",
    "internal_strain",
    "label",
    "label_configurations",
    "metric_derivatives",
    "nearest_distance",
    "neighbour_table",
    "npt_average",
    "predict_all",
    "primitive_cell",
    "read_n2p2",
    "reference_calculator",
    "reference_names",
    "relax_crystal",
    "relax_positions",
    "thermal_stress",
    "time_average",
    "train",
    "train_ensemble",
    "write_n2p2",
]
