"""Which phase each atom of a structure belongs to: a classifier of each element's descriptors, and a warning where it cannot know.

An atom is unfamiliar where its descriptors lie farther from those of all training atoms, in the space of
`atomistic.descriptor_distance`, than all but one in a thousand of the held-out atoms do: its probabilities are then an extrapolation.
"""

import os
import warnings
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols
from jaxtyping import Bool, Float
from numpy import ndarray

from atomistic.descriptor_distance import farthest_points, nearest
from atomistic.descriptors import KINDS, Descriptors, descriptors_from_header, descriptors_to_header
from atomistic.network_file import NetworkFileError, read_network_file, write_network_file
from atomistic.structure.environments import atom_features
from atomistic.structure.reliability import InvalidFeatures, Reliability
from atomistic.structure.softmax_classifier import ClassifierFit, EmptyClass, SoftmaxClassifier, fit_classifier

SCHEMA: Final = "atomlaw/atom-classifier"
SCHEMA_VERSION: Final = 1

REFERENCES: Final = 4000
FAMILIAR: Final = 0.999
UNLABELLED: Final = ""
"""Label of atoms that are not to be learned from, such as those of an interface."""


class UnfamiliarAtomsWarning(UserWarning):
    """Probabilities were asked for atoms unlike all those trained on."""


@dataclass(frozen=True)
class AtomLabels:
    """What is said of each atom of a structure.

    Attributes:
        classes: names of the columns.
        probabilities: calibrated, rows of sum one.
        distance: to the nearest training atom in whitened descriptors.
        familiar: whether that is as near as held-out atoms were.
    """

    classes: tuple[str, ...]
    probabilities: Float[ndarray, "atoms classes"]
    distance: Float[ndarray, "atoms"]
    familiar: Bool[ndarray, "atoms"]

    @property
    def labels(self) -> ndarray:
        """The likeliest class of each atom."""
        return np.array(self.classes)[self.probabilities.argmax(1)]

    def count(self) -> dict[str, int]:
        """Number of atoms of each class."""
        labels = self.labels
        return {name: int((labels == name).sum()) for name in self.classes}


@dataclass(frozen=True)
class AtomClassifier:
    """A classifier for the atoms of each element.

    Attributes:
        descriptors: what the atoms are known by.
        fits: of each element, with how it does on held-out structures.
        references: whitened descriptors of training atoms of each element.
        reach: largest distance to these of a familiar atom.
    """

    descriptors: Descriptors
    fits: dict[int, ClassifierFit]
    references: dict[int, Float[ndarray, "kept directions"]]
    reach: dict[int, float]

    @classmethod
    def fit(
        cls,
        structures: Sequence[Atoms],
        labels: Sequence[str | Sequence[str] | ndarray],
        descriptors: Descriptors,
        *,
        sources: Sequence[Hashable] | None = None,
        classes: Sequence[str] | None = None,
        references: int = REFERENCES,
        seed: int = 0,
        **settings: Any,
    ) -> "AtomClassifier":
        """From structures whose atoms' classes are known.

        Args:
            structures: the examples.
            labels: of each structure one class for all atoms, or one an atom; atoms labelled "" are left out.
            descriptors: invariant under rotation and permutation.
            sources: of each structure, what is held out together, such as the name of its run; by default each stands for itself.
            classes: all of them; by default those that occur, sorted.
            references: at most so many training atoms of each element are kept for the distance.
            seed: of which sources are held out.
            settings: of `fit_classifier`.

        Raises:
            EmptyClass, TooFewStructures, InvalidFeatures, ClassifierNotFitted: as `fit_classifier`, naming the element.
            UnknownElement, InvalidStructure: as `atom_features`.
        """
        sources = list(range(len(structures))) if sources is None else list(sources)
        if not len(structures) == len(labels) == len(sources):
            raise InvalidFeatures(
                f"{len(structures)} structures, {len(labels)} labels and {len(sources)} sources, expected one each"
            )
        rows: dict[int, list[ndarray]] = {number: [] for number in descriptors.numbers}
        names: dict[int, list[str]] = {number: [] for number in descriptors.numbers}
        origins: dict[int, list[Hashable]] = {number: [] for number in descriptors.numbers}
        for atoms, given, source in zip(structures, labels, sources, strict=True):
            each = np.array([given] * len(atoms) if isinstance(given, str) else list(given), dtype=object)
            if len(each) != len(atoms):
                raise InvalidFeatures(
                    f"{len(each)} labels for the {len(atoms)} atoms of {atoms.get_chemical_formula()}, expected one each"
                )
            for number, (own, values) in atom_features(descriptors, atoms).items():
                known = each[own] != UNLABELLED
                rows[number].append(values[known])
                names[number] += each[own][known].tolist()
                origins[number] += [source] * int(known.sum())
        if classes is None:
            classes = sorted({str(name) for own in names.values() for name in own})
        fits, kept, reach = {}, {}, {}
        for number in descriptors.numbers:
            if not names[number]:
                raise EmptyClass(
                    f"no labelled atom is {chemical_symbols[number]}; give examples, or descriptors without it"
                )
            features = np.concatenate(rows[number])
            try:
                found = fit_classifier(features, names[number], origins[number], classes=classes, seed=seed, **settings)
            except (ValueError, RuntimeError) as error:
                error.add_note(f"atoms of {chemical_symbols[number]}")
                raise
            z = found.classifier.whitening(features)
            fits[number] = found
            kept[number] = farthest_points(z[~found.held_out], references)
            reach[number] = float(np.quantile(nearest(z[found.held_out], kept[number]), FAMILIAR))
        return cls(descriptors, fits, kept, reach)

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes."""
        return next(iter(self.fits.values())).classifier.classes

    def classify(self, atoms: Atoms) -> AtomLabels:
        """The classes of all atoms, with a warning where some are unlike those trained on.

        Raises:
            UnknownElement, InvalidStructure: as `atom_features`.
        """
        probabilities = np.empty((len(atoms), len(self.classes)))
        distance, familiar = np.empty(len(atoms)), np.empty(len(atoms), dtype=bool)
        for number, (own, values) in atom_features(self.descriptors, atoms).items():
            classifier = self.fits[number].classifier
            probabilities[own] = classifier.probabilities(values)
            distance[own] = nearest(classifier.whitening(values), self.references[number])
            familiar[own] = distance[own] <= self.reach[number]
        if not familiar.all():
            strange = int(np.argmax(np.where(familiar, 0.0, distance)))
            number = int(atoms.numbers[strange])
            warnings.warn(
                f"{int((~familiar).sum())} of {len(atoms)} atoms of {atoms.get_chemical_formula()} are unlike those trained on: atom "
                f"{strange} lies {distance[strange]:.3g} from the nearest, the limit is {self.reach[number]:.3g}; their probabilities "
                "are extrapolations",
                UnfamiliarAtomsWarning,
                stacklevel=2,
            )
        return AtomLabels(self.classes, probabilities, distance, familiar)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the classifier and how it did on held-out structures to a safetensors file, whole or not at all.

        Raises:
            ValueError: for descriptors that are not among those that files can name.
        """
        if self.descriptors.kind not in KINDS:
            raise ValueError(
                f"descriptors of kind {self.descriptors.kind!r} cannot be saved, expected one of {sorted(KINDS)}"
            )
        elements: dict[str, Any] = {}
        arrays: dict[str, ndarray] = {}
        for number, fit in self.fits.items():
            own, its_arrays = fit.classifier.contents()
            elements[str(number)] = {
                "classifier": own,
                "reach": self.reach[number],
                "width": fit.width,
                "uncalibrated": fit.uncalibrated.contents(),
                "calibrated": fit.calibrated.contents(),
            }
            its_arrays |= {"references": self.references[number], "held_out": fit.held_out.astype(float)}
            arrays |= {f"{number}.{name}": array for name, array in its_arrays.items()}
        header = {"descriptors": descriptors_to_header(self.descriptors), "elements": elements}
        write_network_file(path, SCHEMA, SCHEMA_VERSION, header, arrays)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "AtomClassifier":
        """Read a classifier; nothing in the file is executed.

        Raises:
            NetworkFileError: where the file is missing, truncated, foreign, inconsistent or of another schema.
        """
        header, arrays = read_network_file(path, SCHEMA, SCHEMA_VERSION)
        fits, references, reach = {}, {}, {}
        try:
            descriptors = descriptors_from_header(header["descriptors"])
            for number in descriptors.numbers:
                own = header["elements"][str(number)]
                start = f"{number}."
                its = {name.removeprefix(start): array for name, array in arrays.items() if name.startswith(start)}
                classifier = SoftmaxClassifier.from_contents(own["classifier"], its)
                if len(classifier.whitening.mean) != descriptors.count(number):
                    raise ValueError(
                        f"{len(classifier.whitening.mean)} features of {descriptors.count(number)} descriptors"
                    )
                reports = (Reliability.from_contents(own[name]) for name in ("uncalibrated", "calibrated"))
                fits[number] = ClassifierFit(classifier, float(own["width"]), its["held_out"] > 0.5, *reports)
                references[number], reach[number] = its["references"], float(own["reach"])
            return cls(descriptors, fits, references, reach)
        except (KeyError, TypeError, ValueError) as error:
            raise NetworkFileError(f"{path} holds no consistent classifier ({error!r}); save it again") from error
