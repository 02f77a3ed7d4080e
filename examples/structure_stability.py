"""Will a strained crystal hold? The sign of its smallest acoustic or internal Hessian eigenvalue, told from invariants alone.

    python examples/structure_stability.py [--states 1400] [--largest 0.10] [--seed 0] [--picture structure_stability.png]

A linear potential is fitted to the DFT-labelled silicon of data/silicon_pbe in closed form, and its exact Cauchy-Born tangents A(F) give
the labels: a state is stable where the internal Hessian is positive definite and the acoustic tensor Q_ik(n) = A_iJkL n_J n_L, minimised
over all directions n, is too. The classifier never sees a tangent. Its inputs are the means of descriptors over the atoms of the cell
strained homogeneously, not even relaxed inside: invariants of F^T F under the crystal's point group. Beside it the six components of the
logarithmic strain, and all their products up to degree 4, which know no symmetry.
"""

import argparse
from itertools import combinations_with_replacement
from pathlib import Path

import ase.io
import matplotlib.pyplot as plt
import numpy as np
from ase.build import bulk
from scipy.linalg import logm

import atomistic
from atomistic.configurations import random_stretch
from atomistic.structure import Reliability, fit_classifier, reliability, structure_features
from multiscale.trust.ellipticity import acoustic_minimum

DATA = Path(__file__).parent / "data" / "silicon_pbe" / "silicon_pbe.extxyz"
GPA = atomistic.EV_PER_CUBIC_ANGSTROM_IN_GPA
CLASSES = ("stable", "unstable")


def polynomials(components: np.ndarray, degree: int) -> np.ndarray:
    """All monomials of six numbers up to a degree, but the constant."""
    chosen = [c for order in range(1, degree + 1) for c in combinations_with_replacement(range(6), order)]
    return np.stack([components[:, list(c)].prod(1) for c in chosen], axis=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--states", type=int, default=1400, help="strained crystals to fit with; half as many test")
    parser.add_argument("--largest", type=float, default=0.10, help="largest log-strain component")
    parser.add_argument("--seed", type=int, default=0, help="of all random numbers")
    parser.add_argument("--picture", type=Path, default=Path("structure_stability.png"))
    options = parser.parse_args()

    known = [atoms for atoms in ase.io.read(DATA, ":") if atoms.info["split"] == "train"]
    potential = atomistic.fit_linear(known, atomistic.BodyOrdered((14,)))
    crystal = atomistic.relax_crystal(bulk("Si", a=5.47), atomistic.NeuralCalculator(potential)).atoms
    descriptors = atomistic.BodyOrdered((14,), cutoff=4.5, angular_cutoff=4.5, radial=8, angular=5, degree=4)

    generator = np.random.default_rng(options.seed)
    F = np.array([random_stretch(generator, options.largest) for _ in range(options.states * 3 // 2)])
    response = atomistic.CauchyBorn(crystal, potential).evaluate(F)
    assert response.tangent is not None
    acoustic = GPA * acoustic_minimum(response.tangent).eigenvalue
    stable = (acoustic > 0.0) & response.stable
    labels = np.where(stable, *CLASSES)
    print(
        f"{len(F)} states, log-strain components up to {options.largest:g}: {(~stable).sum()} unstable, of these "
        f"{(~response.stable).sum()} by the internal Hessian; smallest acoustic eigenvalue {acoustic.min():.1f} to {acoustic.max():.1f} GPa"
    )

    logarithms = np.array([logm(one) for one in F])
    components = logarithms[:, [0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]]
    inputs = {
        "log-strain": components,
        "log-strain, degree 4": polynomials(components / options.largest, 4),
        "descriptors": np.array([structure_features(descriptors, atomistic.deform(crystal, one)) for one in F]),
    }
    fitted = options.states
    found: dict[str, tuple[Reliability, np.ndarray]] = {}
    for name, features in inputs.items():
        fit = fit_classifier(
            features[:fitted],
            labels[:fitted],
            range(fitted),
            classes=CLASSES,
            widths=(0.1, 0.3, 1.0, 3.0, 10.0),
            floor=1e-5,
            seed=0,
        )
        probabilities = fit.classifier.probabilities(features[fitted:])
        found[name] = reliability(probabilities, labels[fitted:], CLASSES), probabilities[:, 0]
        print(
            f"\n{name}: {features.shape[1]} numbers, prior width {fit.width:g}, T = {fit.classifier.temperature:.2f}\n{found[name][0]}"
        )
    report, said = found["descriptors"]
    tested, wrong = acoustic[fitted:], (said > 0.5) != stable[fitted:]
    print("\nwhere the descriptors err, by the distance of the smallest acoustic eigenvalue from zero")
    for low, high in ((0, 2), (2, 5), (5, 10), (10, 20), (20, np.inf)):
        inside = (np.abs(tested) >= low) & (np.abs(tested) < high) & response.stable[fitted:]
        if inside.any():
            print(
                f"  {low:>3} to {high:<4} GPa: {wrong[inside].sum():>3} of {inside.sum():>4} wrong, {wrong[inside].mean():.1%}"
            )
    moved = np.linalg.norm(response.internal_displacement[fitted:, 1], axis=1)
    far = wrong & (np.abs(tested) >= 20.0)
    if far.any():
        print(
            f"relaxing inside, sublattices of these last moved by {np.sort(moved[far]).round(2)} A; median of all {np.median(moved):.2f}"
        )
    near = np.abs(tested) < 5.0
    print(
        f"nearer than 5 GPa lie {near.mean():.0%} of the states and {wrong[near].sum() / wrong.sum():.0%} of the errors"
    )
    assert report.accuracy > found["log-strain, degree 4"][0].accuracy > found["log-strain"][0].accuracy
    assert report.accuracy > 0.9 and report.calibration_error < 0.05
    assert wrong[near].sum() > 0.5 * wrong.sum()
    draw(tested[response.stable[fitted:]], said[response.stable[fitted:]], report, options.picture)


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
