"""What a structure is: the phase of each atom, the stability of a strained crystal, the hand of a molecule, from descriptors.

from atomistic.structure import AtomClassifier
classifier = AtomClassifier.fit(structures, labels, atomistic.BodyOrdered((14,)))
classifier.classify(frame).labels
"""

from atomistic.structure.atom_classifier import AtomClassifier, UnfamiliarAtomsWarning
from atomistic.structure.environments import structure_features
from atomistic.structure.handedness import PseudoScalars
from atomistic.structure.reliability import InvalidFeatures, Reliability, reliability
from atomistic.structure.softmax_classifier import (
    ClassifierNotFitted,
    EmptyClass,
    TooFewStructures,
    fit_classifier,
)

__all__ = [
    "AtomClassifier",
    "ClassifierNotFitted",
    "EmptyClass",
    "InvalidFeatures",
    "PseudoScalars",
    "Reliability",
    "TooFewStructures",
    "UnfamiliarAtomsWarning",
    "fit_classifier",
    "reliability",
    "structure_features",
]
