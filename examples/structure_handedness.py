"""A molecule and its mirror image: no reflection-even descriptor tells them apart, pseudo-scalars do.

    python examples/structure_handedness.py [--count 100] [--noise 0.06] [--seed 0] [--picture structure_handedness.png]

Five chiral molecules: a carbon with four different neighbours (CHFClBr), the same in a molecule of life (alanine), a twist (H2O2), a ring
(fluoro-oxirane), an axis without any such carbon (1,3-difluoroallene). Of each hand `count` copies with random displacements of every
atom, randomly turned; a classifier is fitted to them and says of others, of each and of its exact mirror image, which hand they have.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import matplotlib.pyplot as plt
import numpy as np
from ase import Atoms
from ase.build import molecule
from scipy.spatial.transform import Rotation

import atomistic
from atomistic.structure import PseudoScalars, fit_classifier, reliability, structure_features

HANDS: Final = ("as given", "mirrored")
TETRAHEDRON: Final = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) / np.sqrt(3.0)


def bromochlorofluoromethane() -> Atoms:
    """CHFClBr, bonds of 1.09, 1.36, 1.76 and 1.93 A along a tetrahedron's."""
    lengths = np.array([1.09, 1.36, 1.76, 1.93])
    return Atoms("CHFClBr", np.concatenate([np.zeros((1, 3)), lengths[:, None] * TETRAHEDRON]))


def alanine() -> Atoms:
    """NH2-CH(CH3)-COOH from bond lengths and tetrahedral or trigonal angles, of one hand."""
    hydrogen, amine, methyl, acid = TETRAHEDRON
    symbols, positions = ["C"], [np.zeros(3)]

    def add(symbol: str, place: np.ndarray) -> np.ndarray:
        symbols.append(symbol)
        positions.append(place)
        return place

    def around(axis: np.ndarray, angle: float, count: int, turn: float) -> np.ndarray:
        """`count` unit vectors that make `angle` (degrees) with an axis, evenly about it."""
        across = np.cross(axis, TETRAHEDRON[0] + [0.3, -0.2, 0.1])
        across /= np.linalg.norm(across)
        azimuth = np.deg2rad(turn + 360.0 / count * np.arange(count))[:, None]
        ring = np.cos(azimuth) * across + np.sin(azimuth) * np.cross(axis, across)
        return np.cos(np.deg2rad(angle)) * axis + np.sin(np.deg2rad(angle)) * ring

    add("H", 1.09 * hydrogen)
    nitrogen = add("N", 1.46 * amine)
    for way in around(amine, 70.0, 3, 20.0)[:2]:
        add("H", nitrogen + 1.01 * way)
    carbon = add("C", 1.53 * methyl)
    for way in around(methyl, 70.5, 3, 40.0):
        add("H", carbon + 1.09 * way)
    carboxyl = add("C", 1.52 * acid)
    double, single = around(acid, 60.0, 2, 75.0)
    add("O", carboxyl + 1.21 * double)
    hydroxyl = add("O", carboxyl + 1.36 * single)
    add("H", hydroxyl + 0.97 * double)
    return Atoms(symbols, np.array(positions))


def hydrogen_peroxide(torsion: float = 111.5) -> Atoms:
    """H2O2: O-O 1.45 A, O-H 0.97 A at 100 degrees, twisted."""
    half, angle = np.deg2rad(torsion) / 2.0, np.deg2rad(100.0)
    reach, along = 0.97 * np.sin(angle), -0.97 * np.cos(angle)
    ends = [(side * (0.725 + along), reach * np.cos(half), side * reach * np.sin(half)) for side in (1.0, -1.0)]
    return Atoms("O2H2", [(0.725, 0.0, 0.0), (-0.725, 0.0, 0.0), *ends])


def fluorinated(name: str, places: tuple[int, ...]) -> Atoms:
    """A hydrocarbon of ASE's with some hydrogens replaced by fluorine, 1.36 A from their carbon."""
    atoms = molecule(name)
    for k in places:
        carbon = min((j for j in range(len(atoms)) if j != k), key=lambda j: atoms.get_distance(k, j))
        atoms.set_distance(carbon, k, 1.36, fix=0)
        atoms[k].symbol = "F"
    return atoms


def fluoro_oxirane() -> Atoms:
    """Ethylene oxide with one fluorine; atoms 0, 1, 2 are the ring."""
    return fluorinated("CH2OCH2", (3,))


def difluoroallene() -> Atoms:
    """FHC=C=CHF; the ends stand across each other."""
    return fluorinated("C3H4_D2d", (3, 5))


MOLECULES: Final = {
    "CHFClBr": bromochlorofluoromethane,
    "alanine": alanine,
    "H2O2": hydrogen_peroxide,
    "fluoro-oxirane": fluoro_oxirane,
    "difluoroallene": difluoroallene,
}


def mirrored(atoms: Atoms, generator: np.random.Generator) -> Atoms:
    """The mirror image, turned at random."""
    image: Atoms = atoms.copy()
    image.positions = (
        atoms.positions @ np.diag([1.0, 1.0, -1.0]) @ Rotation.random(random_state=generator).as_matrix().T
    )
    return image


def copies(atoms: Atoms, count: int, noise: float, generator: np.random.Generator) -> list[Atoms]:
    """Displaced and turned copies of one hand."""
    answer = []
    for _ in range(count):
        copy: Atoms = atoms.copy()
        copy.positions += generator.normal(0.0, noise, copy.positions.shape)
        copy.positions = copy.positions @ Rotation.random(random_state=generator).as_matrix().T
        answer.append(copy)
    return answer


@dataclass(frozen=True)
class Outcome:
    """Of one molecule and one set: accuracy; largest difference of the descriptors of an image, relative to the largest descriptor, from
    those of its original (even set) or from their negative (odd set); largest change by a rotation, likewise; probabilities of "as given"
    for test molecules of each hand."""

    accuracy: float
    image: float
    rotation: float
    said: tuple[np.ndarray, np.ndarray]


def examine(
    atoms: Atoms, descriptors: atomistic.Descriptors, sign: float, count: int, noise: float, seed: int
) -> Outcome:
    """Fit to copies of both hands, each made for itself; test with others and their exact images."""
    generator = np.random.default_rng(seed)

    def features(structures: list[Atoms]) -> np.ndarray:
        return np.array([structure_features(descriptors, one) for one in structures])

    left, right = (copies(one, count, noise, generator) for one in (atoms, mirrored(atoms, generator)))
    labels = [HANDS[0]] * count + [HANDS[1]] * count
    fit = fit_classifier(features(left + right), labels, range(2 * count), classes=HANDS, seed=seed)
    # half of the test begins as one hand, half as the other; all have their images
    first, second = copies(atoms, count, noise, generator), copies(mirrored(atoms, generator), count, noise, generator)
    given = first + [mirrored(one, generator) for one in second]
    images = [mirrored(one, generator) for one in first] + second
    tested, of_images = features(given), features(images)
    size = np.abs(tested).max()
    turned = features([*copies(atoms, 1, 0.0, generator), atoms])
    probabilities = fit.classifier.probabilities(np.concatenate([tested, of_images]))
    known = [HANDS[0]] * len(given) + [HANDS[1]] * len(images)
    column = probabilities[:, 0]
    return Outcome(
        accuracy=reliability(probabilities, known, HANDS).accuracy,
        image=float(np.abs(of_images - sign * tested).max() / size),
        rotation=float(np.abs(turned[0] - turned[1]).max() / np.abs(turned).max()),
        said=(column[: len(given)], column[len(given) :]),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=100, help="copies of each hand, to fit and again to test")
    parser.add_argument("--noise", type=float, default=0.06, help="standard deviation of each coordinate, Angstrom")
    parser.add_argument("--seed", type=int, default=0, help="of all random numbers")
    parser.add_argument("--picture", type=Path, default=Path("structure_handedness.png"))
    options = parser.parse_args()

    print(
        f"{'':16}{'even: found':>13}{'|G(image) - G|':>17}{'odd: found':>13}{'|o(image) + o|':>17}{'by rotation':>13}"
    )
    outcomes: dict[str, tuple[Outcome, Outcome]] = {}
    for name, make in MOLECULES.items():
        atoms = make()
        numbers = tuple(sorted(set(atoms.numbers.tolist())))
        even = atomistic.BodyOrdered(numbers, cutoff=5.0, angular_cutoff=5.0, radial=6, angular=2, degree=3)
        odd = PseudoScalars(numbers, cutoff=5.0, radial=2, degree=2)
        one, other = (
            examine(atoms, descriptors, sign, options.count, options.noise, options.seed)
            for descriptors, sign in ((even, 1.0), (odd, -1.0))
        )
        outcomes[name] = one, other
        print(
            f"{name:16}{one.accuracy:>12.1%} {one.image:>16.1e}{other.accuracy:>12.1%} {other.image:>16.1e}"
            f"{max(one.rotation, other.rotation):>13.1e}"
        )
    print(
        f"{options.count} molecules of each hand to fit and {2 * options.count} to test, displaced by {options.noise} A; "
        "differences are relative to the largest descriptor"
    )
    draw(outcomes, options.picture)
    for one, other in outcomes.values():
        assert max(one.image, other.image, one.rotation, other.rotation) < 1e-12
        assert abs(one.accuracy - 0.5) < 0.005  # each molecule and its image are told the same: one of the two is wrong
        assert other.accuracy > 0.99


def draw(outcomes: dict[str, tuple[Outcome, Outcome]], path: Path) -> None:
    """Probabilities said of the two hands, even set above, odd set below."""
    figure, panels = plt.subplots(2, len(outcomes), figsize=(13, 4.6), sharex=True, layout="constrained")
    bins = np.linspace(0.0, 1.0, 21)
    for column, (name, both) in zip(panels.T, outcomes.items(), strict=True):
        for panel, one in zip(column, both, strict=True):
            panel.hist(one.said[0], bins, color="#4477aa", alpha=0.7, label="as given")
            panel.hist(one.said[1], bins, color="#ee6677", histtype="step", linewidth=1.8, label="mirrored")
            panel.set_title(f"{name}: {one.accuracy:.1%}", fontsize=10)
            panel.set_yticks([])
    panels[0, 0].set_ylabel("even descriptors")
    panels[1, 0].set_ylabel("pseudo-scalars")
    panels[1, len(outcomes) // 2].set_xlabel('probability said of "as given"')
    panels[1, 0].legend(loc="upper center")
    figure.savefig(path, dpi=85)


if __name__ == "__main__":
    main()
