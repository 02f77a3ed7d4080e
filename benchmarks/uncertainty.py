"""What the estimators of the potential's errors are worth on structures unlike the training data.

    python benchmarks/uncertainty.py [DATASET.extxyz] [--in-domain GROUP ...] [--members 4] [--seed 0]

Members of an ensemble are trained on the groups in domain, the estimators calibrated on a part of them that was kept from training, and
all of it tried on the test split of the same groups and on all other groups. The force error of an atom is |f - f_DFT|; forces that are
zero by symmetry are left out. For each estimator, and each group out of domain:

    rank        Spearman's correlation of predicted and true force errors of atoms
    recall      of the atoms whose error exceeds three times the root mean square error in domain, the fraction that the gate catches;
                the gate is the uncertainty that 10 % of the calibration's atoms exceed; beside it, at 5 %
    precision   of the atoms the gate catches, the fraction whose error is that large
    coverage    of the 90 % intervals of force components, energies and stress components in domain: structures that were not trained on
                are divided into halves, one calibrates, the other is tested; mean over ten divisions
    cost        of prediction and uncertainty together, in force calls of one potential (64 atoms, list of neighbours at hand)
"""

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import ase.io
import numpy as np
from ase import Atoms
from ase.build import bulk
from scipy.stats import spearmanr

import atomistic
from atomistic.calibration import BY_SYMMETRY
from atomistic.label_errors import label_error

DATASET: Final = Path(__file__).parents[1] / "examples/data/silicon_pbe/silicon_pbe.extxyz"
ABSENT: Final = ("amorphous", "beta-tin", "surface", "vacancy", "vacancy 63")
"""Kinds whose atoms are pooled for the figures that are recorded: those that the training data lack."""
CRYSTAL: Final = (
    "slightly strained",
    "strained primitive",
    "equation of state",
    "rattled 8",
    "rattled 16",
    "rattled 64",
)
DIVISIONS: Final = 10
COVERAGE: Final = 0.9
FALSE_ALARMS: Final = (0.1, 0.05)
DRAWS: Final = 16
"""Potentials drawn from the posterior of the last layer: what a cheaper estimate of the same is worth."""
CALIBRATION: Final = 0.25
"""Fraction of the structures in domain that are not for testing."""


@dataclass(frozen=True)
class Answers:
    """Of all atoms of some structures: the true force error, the predicted one, the structure's group; and what intervals covered."""

    error: np.ndarray
    predicted: np.ndarray
    group: np.ndarray
    covered: dict[str, float]


def split(structures: Sequence[Atoms], groups: Sequence[str], seed: int) -> tuple[list[Atoms], ...]:
    """Training, calibration, test in domain, and all structures out of it; the file's own test split where it has one."""
    generator = np.random.default_rng(seed)
    inside = [atoms for atoms in structures if atoms.info["group"] in groups]
    outside = [atoms for atoms in structures if atoms.info["group"] not in groups]
    if not inside or not outside:
        raise SystemExit(
            f"{len(inside)} structures in domain, {len(outside)} out of it: the groups are {sorted(groups)}"
        )
    if all("split" in atoms.info for atoms in inside):
        test = [atoms for atoms in inside if atoms.info["split"] == "test"]
    else:
        test = [inside[k] for k in generator.permutation(len(inside))[: len(inside) // 5]]
    chosen = {id(atoms) for atoms in test}
    rest = [atoms for atoms in inside if id(atoms) not in chosen]
    order = generator.permutation(len(rest))
    kept = int(CALIBRATION * len(rest))
    return [rest[k] for k in order[kept:]], [rest[k] for k in order[:kept]], test, outside


def answers(uncertainty: atomistic.CalibratedUncertainty, structures: Sequence[Atoms]) -> Answers:
    """Errors and uncertainties of structures, the intervals' coverage."""
    error, predicted, group = [], [], []
    covered: dict[str, list[np.ndarray]] = {"forces": [], "energy": [], "stress": []}
    for atoms in structures:
        prediction, deviation = uncertainty.predict(atoms)
        truth, width = label_error(prediction, atoms), uncertainty.interval(atoms, COVERAGE)
        told = np.linalg.norm(prediction.forces, axis=1) > BY_SYMMETRY
        error.append(np.linalg.norm(truth.forces[told], axis=1))
        predicted.append(deviation.forces[told])
        group += [atoms.info["group"]] * int(told.sum())
        covered["forces"].append((np.abs(truth.forces) <= width.forces[:, None])[told].ravel())
        if width.energy is not None:
            covered["energy"].append(np.array([abs(truth.energy) <= width.energy]))
        if width.stress is not None and truth.stress is not None:
            covered["stress"].append((np.abs(truth.stress) <= width.stress)[np.triu_indices(3)])
    fractions = {name: float(np.concatenate(hits).mean()) for name, hits in covered.items() if hits}
    return Answers(np.concatenate(error), np.concatenate(predicted), np.array(group), fractions)


class Remembered:
    """An estimator that computes each structure once: the divisions into halves ask again and again."""

    def __init__(self, estimator: atomistic.UncertaintyEstimator) -> None:
        self.kind, self.cutoff, self.estimator = estimator.kind, estimator.cutoff, estimator
        self.known: dict[int, tuple[atomistic.Prediction, atomistic.Uncertainty]] = {}

    def predict(
        self, atoms: Atoms, neighbours: atomistic.NeighbourList | None = None
    ) -> tuple[atomistic.Prediction, atomistic.Uncertainty]:
        if id(atoms) not in self.known:
            self.known[id(atoms)] = self.estimator.predict(atoms, neighbours)
        return self.known[id(atoms)]

    def evaluate(self, atoms: Atoms, neighbours: atomistic.NeighbourList | None = None) -> atomistic.Uncertainty:
        return self.predict(atoms, neighbours)[1]


def coverage(estimator: Remembered, structures: Sequence[Atoms], seed: int) -> dict[str, float]:
    """Of intervals, averaged over divisions of the structures into halves."""
    generator = np.random.default_rng(seed)
    fractions = []
    for _ in range(DIVISIONS):
        order = generator.permutation(len(structures))
        first, second = order[: len(order) // 2], order[len(order) // 2 :]
        uncertainty = atomistic.calibrate(estimator, [structures[k] for k in first])
        fractions.append(answers(uncertainty, [structures[k] for k in second]).covered)
    return {name: float(np.mean([one[name] for one in fractions])) for name in fractions[0]}


def figures(inside: Answers, outside: Answers, gate: float, chosen: np.ndarray) -> tuple[float, float, float, float]:
    """Rank correlation, recall, precision, and fraction of large errors among the chosen atoms out of domain."""
    error, predicted = outside.error[chosen], outside.predicted[chosen]
    large = error > 3.0 * np.sqrt(np.mean(inside.error**2))
    caught = predicted > gate
    recall = float(caught[large].mean()) if large.any() else np.nan
    precision = float(large[caught].mean()) if caught.any() else np.nan
    return float(spearmanr(predicted, error).statistic), recall, precision, float(large.mean())


def cost(estimator: atomistic.UncertaintyEstimator, potential: atomistic.NeuralPotential, rounds: int = 5) -> float:
    """Processor time of prediction and uncertainty in force calls, in turns; least of each."""
    atoms = bulk("Si", a=5.47, cubic=True).repeat(2)
    atoms.rattle(0.1, seed=0)
    atoms.numbers[:] = potential.descriptors.numbers[0]
    neighbours = atomistic.NeighbourList(estimator.cutoff, 0.5)
    times = []
    for _ in range(rounds + 1):
        start = time.process_time()
        potential.predict(atoms, neighbours)
        between = time.process_time()
        estimator.predict(atoms, neighbours)
        times.append((between - start, time.process_time() - between))
    forces, both = np.min(times[1:], axis=0)
    return float(both / forces)


def study(
    structures: Sequence[Atoms],
    in_domain: Sequence[str],
    *,
    members: int,
    seed: int,
    settings: atomistic.TrainingSettings | None = None,
    ensemble_file: Path | None = None,
) -> dict[str, float]:
    """Train, calibrate, test, print; the figures by name. `ensemble_file` keeps the trained potentials, or has them."""
    train, held_out, test, outside = split(structures, in_domain, seed)
    print(f"{len(train)} to train, {len(held_out)} to calibrate, {len(test)} to test, {len(outside)} out of domain")
    if ensemble_file is not None and ensemble_file.is_file():
        ensemble = atomistic.PotentialEnsemble.load(ensemble_file)
    else:
        ensemble = atomistic.train_ensemble(train, settings, seeds=range(seed, seed + members))
        if ensemble_file is not None:
            ensemble.save(ensemble_file)
    first = ensemble.members[0]
    laplace = atomistic.LastLayerLaplace.fit(first, train)
    gaussians = atomistic.fit_gaussians(train, settings).posterior
    estimators: dict[str, atomistic.UncertaintyEstimator] = {
        "spread": atomistic.EnsembleSpread(ensemble),
        "laplace": laplace,
        "drawn": atomistic.EnsembleSpread(laplace.draw(DRAWS, seed=seed)),
        "gaussians": atomistic.EnsembleSpread(gaussians.draw(DRAWS, seed=seed)),
        "nearest": atomistic.NearestNeighbourDistance.fit(first, train),
        "mahalanobis": atomistic.MahalanobisDistance.fit(first, train),
    }
    groups = sorted({atoms.info["group"] for atoms in outside})
    numbers: dict[str, float] = {}
    print(f"{'':12} {'':18} {'rank':>6} {'recall':>7} {'precision':>10} {'large':>6} {'atoms':>6}")
    for name, estimator in estimators.items():
        remembered = Remembered(estimator)
        uncertainty = atomistic.calibrate(remembered, held_out)
        gate, narrow = (uncertainty.threshold(alarms) for alarms in FALSE_ALARMS)
        known, unknown = answers(uncertainty, test), answers(uncertainty, outside)
        asked = np.isin(unknown.group, ABSENT) if np.isin(unknown.group, ABSENT).any() else unknown.group != ""
        pools = {"kinds asked for": asked, "all out of domain": unknown.group != ""}
        for group, chosen in (pools | {group: unknown.group == group for group in groups}).items():
            if chosen.sum() < 5:
                continue
            rank, recall, precision, large = figures(known, unknown, gate, chosen)
            _, strict, precise, _ = figures(known, unknown, narrow, chosen)
            print(
                f"{name:12} {group:18} {rank:6.2f} {recall:7.3f} {precision:10.2f} {large:6.2f} {chosen.sum():6}",
                end="",
            )
            print(f"   at 5 %: {strict:6.3f} {precise:6.2f}")
            if group == "kinds asked for":
                numbers |= {f"{name}_rank": rank, f"{name}_recall": recall, f"{name}_precision": precision}
        covered = coverage(remembered, [*held_out, *test], seed)
        numbers |= {f"{name}_coverage_{quantity}": value for quantity, value in covered.items()}
        rmse = float(np.sqrt(np.mean(known.error**2) / 3.0))
        numbers |= {f"{name}_force_rmse_ev_a": rmse, f"{name}_cost": cost(estimator, first)}
        inside_rank = spearmanr(known.predicted, known.error).statistic
        print(
            f"{name:12} in domain: RMSE {rmse:.4f} eV/A, rank {inside_rank:.2f}, alarms {np.mean(known.predicted > gate):.3f}, coverage",
            " ".join(f"{quantity} {value:.3f}" for quantity, value in covered.items())
            + f", cost {numbers[f'{name}_cost']:.1f}",
            flush=True,
        )
    return numbers


def measure() -> dict[str, float]:
    """The figures on the dataset of the repository."""
    return study(ase.io.read(DATASET, ":"), CRYSTAL, members=4, seed=0)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", nargs="?", type=Path, default=DATASET)
    parser.add_argument("--in-domain", nargs="+", default=list(CRYSTAL))
    parser.add_argument("--members", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=None, help="of Adam; the package's default where not given")
    parser.add_argument("--ensemble", type=Path, default=None, help="file where the potentials are kept and taken from")
    given = parser.parse_args()
    chosen = None if given.epochs is None else atomistic.TrainingSettings(epochs=given.epochs)
    study(
        ase.io.read(given.dataset, ":"), given.in_domain, members=given.members, seed=given.seed, settings=chosen,
        ensemble_file=given.ensemble,
    )  # fmt: skip
