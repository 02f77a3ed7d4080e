"""Will a strained crystal hold? The sign of its smallest acoustic or internal Hessian eigenvalue, told from invariants alone.

    python examples/structure_stability.py [--states 600] [--largest 0.14] [--seed 0] [--picture structure_stability.png]

Silicon by Stillinger and Weber, a potential fitted to it in closed form, and its exact Cauchy-Born tangents A(F) give the labels: a state is
stable where the internal Hessian is positive definite and the acoustic tensor Q_ik(n) = A_iJkL n_J n_L, minimised over all directions n, is
too. The classifier never sees a tangent. Its inputs are the means of descriptors over the atoms of the cell strained homogeneously, not
even relaxed inside: invariants of F^T F under the crystal's point group. Beside it the six components of the logarithmic strain, and all their
products up to degree 4, which know no symmetry.
"""

import argparse
from itertools import combinations_with_replacement
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from ase.build import bulk
from scipy.linalg import logm

import atomistic
from atomistic.configurations import random_stretch
from atomistic.structure import Reliability, fit_classifier, reliability, structure_features
from multiscale.trust.ellipticity import acoustic_minimum

GPA = atomistic.EV_PER_CUBIC_ANGSTROM_IN_GPA
CLASSES = ("stable", "unstable")


def polynomials(components: np.ndarray, degree: int) -> np.ndarray:
    """All monomials of six numbers up to a degree, but the constant."""
    chosen = [c for order in range(1, degree + 1) for c in combinations_with_replacement(range(6), order)]
    return np.stack([components[:, list(c)].prod(1) for c in chosen], axis=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--states", type=int, default=600, help="strained crystals to fit with, and as many to test")
    parser.add_argument("--largest", type=float, default=0.14, help="largest log-strain component")
    parser.add_argument("--seed", type=int, default=0, help="of all random numbers")
    parser.add_argument("--picture", type=Path, default=Path("structure_stability.png"))
    options = parser.parse_args()

    reference = atomistic.reference_calculator("stillinger-weber")
    relaxed = atomistic.relax_crystal(bulk("Si"), reference).atoms
    group = atomistic.ConfigurationGroup("strained and rattled", 150, 1, 1.15, 0.15, False, held_out=False)
    labelled = atomistic.label_configurations(
        relaxed, reference, max_strain=options.largest, seed=options.seed, groups=(group,)
    )
    descriptors = atomistic.BodyOrdered((14,), cutoff=4.5, angular_cutoff=4.5, radial=8, angular=5, degree=4)
    potential = atomistic.fit_gaussians(labelled, centres=200, descriptors=descriptors).potential
    crystal = atomistic.relax_crystal(relaxed, atomistic.NeuralCalculator(potential)).atoms

    generator = np.random.default_rng(options.seed + 1)
    F = np.array([random_stretch(generator, options.largest) for _ in range(2 * options.states)])
    response = atomistic.CauchyBorn(crystal, potential).evaluate(F)
    assert response.tangent is not None
    acoustic = GPA * acoustic_minimum(response.tangent).eigenvalue
    stable = (acoustic > 0.0) & response.stable
    labels = np.where(stable, *CLASSES)
    print(
        f"{len(F)} states, log-strain components up to {options.largest:g}: {(~stable).sum()} unstable, of these {(~response.stable).sum()} "
        f"by the internal Hessian; smallest acoustic eigenvalue {acoustic.min():.1f} to {acoustic.max():.1f} GPa"
    )

    logarithms = np.array([logm(one) for one in F])
    components = logarithms[:, [0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]]
    inputs = {
        "log-strain": components,
        "log-strain, degree 4": polynomials(components / options.largest, 4),
        "descriptors": np.array([structure_features(descriptors, atomistic.deform(crystal, one)) for one in F]),
    }
    half = options.states
    found: dict[str, tuple[Reliability, np.ndarray]] = {}
    for name, features in inputs.items():
        fit = fit_classifier(
            features[:half],
            labels[:half],
            range(half),
            classes=CLASSES,
            widths=(1.0, 3.0, 10.0, 30.0, 100.0),
            floor=1e-6,
            seed=0,
        )
        probabilities = fit.classifier.probabilities(features[half:])
        found[name] = reliability(probabilities, labels[half:], CLASSES), probabilities[:, 0]
        print(
            f"\n{name}: {features.shape[1]} numbers, prior width {fit.width:g}, temperature {fit.classifier.temperature:.2f}\n{found[name][0]}"
        )
    report, said = found["descriptors"]
    tested, wrong = acoustic[half:], (said > 0.5) != stable[half:]
    print("\nwhere the descriptors err, by the distance of the smallest acoustic eigenvalue from zero")
    for low, high in ((0, 2), (2, 5), (5, 10), (10, 20), (20, np.inf)):
        inside = (np.abs(tested) >= low) & (np.abs(tested) < high) & response.stable[half:]
        if inside.any():
            print(
                f"  {low:>3} to {high:<4} GPa: {wrong[inside].sum():>3} of {inside.sum():>4} wrong, {wrong[inside].mean():.1%}"
            )
    draw(tested[response.stable[half:]], said[response.stable[half:]], report, options.picture)


def draw(acoustic: np.ndarray, said: np.ndarray, report: Reliability, path: Path) -> None:
    """What is said of each state against its smallest eigenvalue; the reliability."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), width_ratios=(1.8, 1), layout="constrained")
    colours = np.where((said > 0.5) == (acoustic > 0.0), "#4477aa", "#ee6677")
    left.scatter(acoustic, said, s=12, c=colours)
    left.axvline(0.0, color="0.6", linewidth=1)
    left.axhline(0.5, color="0.6", linewidth=1)
    left.set(
        xlabel="smallest acoustic eigenvalue (GPa), exact",
        ylabel="probability said of stable",
        title=f"strained silicon, {report.accuracy:.1%} right (wrong ones red)",
    )
    right.plot([0.5, 1], [0.5, 1], color="0.7", linewidth=1)
    right.plot(report.confidence, report.accuracy_of_bin, "o-", color="#4477aa")
    right.set(xlabel="confidence", ylabel="accuracy", title=f"test states, ECE {report.calibration_error:.3f}")
    figure.savefig(path, dpi=85)


if __name__ == "__main__":
    main()
