"""Train on labelled structures and print the errors on others, by group: energy (meV/atom), force (eV/A) and stress (GPa).

    python benchmarks/mlearn.py TRAIN TEST        # train on one file, try on the other
    python benchmarks/mlearn.py TRAIN             # cross-validation: every structure is held out once
    python benchmarks/mlearn.py TRAIN --folds 5 --model layers --members 4 --json errors.json

The potential is one of Gaussians in closed form (`atomistic.fit_gaussians`) or, with --model layers, of networks trained by descent, which
lost on both energies and forces. Files are extxyz with energy, forces, stress and info["group"], such as those of mlearn (Zuo and others,
J. Phys. Chem. A 124 (2020) 731).
With --members the mean of an ensemble of networks is tried.
"""

import argparse
import json
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Final

import numpy as np
from ase import Atoms
from ase.io import read

import atomistic
from atomistic import NeuralPotential, PotentialEnsemble, Prediction, TrainingSettings

SETTINGS = TrainingSettings(
    cutoff_over_nearest=2.95,
    angular_cutoff_over_nearest=2.5,
    angular=9,
    energy_error=20e-3,
    force_error=0.06,
    stress_error=0.6,
    epochs=80,
    batches=30,
    learning_rate=1e-2,
    cycles=0,
    decay=2e-2,
    precision="single",
)
"""Cutoffs of 6.5 and 5.5 A for hot silicon. A scale of stress below what liquids leave would make them the whole of the loss; energies
are few, and better predicted where the forces have the most of it."""

GAUSSIANS = replace(SETTINGS, energy_error=1e-3, force_error=0.05, stress_error=0.03, whitening_power=0.4)
"""The same descriptors; the errors are the noise of each number here, and energies are few."""

ELASTIC = "Elastic"

RESULTS: Final = Path(__file__).parent / "results.json"


def main(arguments: list[str]) -> int:
    """Runs the benchmark; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("train", type=Path)
    parser.add_argument("test", type=Path, nargs="?")
    parser.add_argument("--folds", type=int, default=5, help="of the cross-validation")
    parser.add_argument("--only", type=int, nargs="*", help="some folds alone")
    parser.add_argument("--model", choices=("gaussians", "layers"), default="gaussians")
    parser.add_argument("--centres", type=int, default=3000, help="Gaussians at most")
    parser.add_argument("--members", type=int, default=1, help="of an ensemble")
    parser.add_argument("--epochs", type=int, default=SETTINGS.epochs)
    parser.add_argument("--workers", type=int, default=1, help="processes that train members side by side")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="where the errors go")
    parser.add_argument("--record", action="store_true", help="add the errors to results.json")
    options = parser.parse_args(arguments)
    if options.model == "gaussians" and options.members > 1:
        parser.error("Gaussians have no seed and hence no members; ask for --model layers")
    structures = read(options.train, index=":")
    settings = replace(SETTINGS, epochs=options.epochs)
    if options.test is not None:
        tested = tried(structures, read(options.test, index=":"), settings, options)
    else:
        tested = []
        fold = folds(structures, options.folds, options.seed)
        for k in range(options.folds) if options.only is None else options.only:
            left, held = (
                [a for a, f in zip(structures, fold, strict=True) if (f == k) == out] for out in (False, True)
            )
            own = tried(left, held, settings, options)
            print(f"fold {k}", flush=True)
            table(own)
            tested += own
    numbers = table(tested)
    if options.json is not None:
        options.json.write_text(json.dumps(numbers, indent=2) + "\n")
    if options.record:
        record(numbers)
    return 0


def record(numbers: dict[str, float]) -> None:
    """Add to results.json."""
    results = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}
    results |= {f"mlearn.{key}": float(f"{value:.5g}") for key, value in numbers.items()}
    unfinished = RESULTS.with_suffix(".partial")
    unfinished.write_text(json.dumps(results, indent=2, sort_keys=True) + "\n")
    unfinished.replace(RESULTS)


def folds(structures: list[Atoms], count: int, seed: int) -> np.ndarray:
    """The fold of each structure; each group is dealt evenly."""
    generator = np.random.default_rng(seed)
    groups = np.array([atoms.info.get("group", "") for atoms in structures])
    fold = np.empty(len(structures), dtype=int)
    start = 0
    for group in np.unique(groups):
        members = generator.permutation(np.nonzero(groups == group)[0])
        fold[members] = (start + np.arange(len(members))) % count
        start += len(members)
    return fold


def tried(
    structures: list[Atoms], held: list[Atoms], settings: TrainingSettings, options: argparse.Namespace
) -> list[tuple[Atoms, Prediction]]:
    """Predictions of a potential or an ensemble trained on `structures`."""
    began = time.perf_counter()
    potential: NeuralPotential | PotentialEnsemble
    if options.model == "gaussians":
        fit = atomistic.fit_gaussians(structures, GAUSSIANS, centres=options.centres, progress=show)
        print(f"structures left out: {fit.left_out}")
        predictions = atomistic.predict_all(fit.potential, held)
    elif options.members == 1:
        potential = atomistic.train(structures, settings, seed=options.seed, progress=show).potential
        predictions = atomistic.predict_all(potential, held)
    else:
        seeds = range(options.seed, options.seed + options.members)
        with ProcessPoolExecutor(options.workers, mp_context=get_context("spawn")) as executor:
            potential = atomistic.train_ensemble(structures, settings, seeds=seeds, executor=executor, progress=show)
        predictions = [potential.predict(atoms).mean for atoms in held]
    print(f"trained on {len(structures)} in {time.perf_counter() - began:.0f} s", flush=True)
    return list(zip(held, predictions, strict=True))


def show(fraction: float, message: str) -> None:
    """Progress on the error stream."""
    print(f"\r{100 * fraction:3.0f} % {message} ", end="\n" if fraction == 1.0 else "", file=sys.stderr, flush=True)


def table(tested: list[tuple[Atoms, Prediction]]) -> dict[str, float]:
    """Prints the errors of all and of each group; returns the benchmark's numbers."""
    groups = sorted({str(atoms.info.get("group", "")) for atoms, _ in tested})
    print(f"{'group':<12} {'structures':>10} {'meV/atom':>10} {'eV/A':>10} {'GPa':>10}")
    errors = {}
    for group in ("all", *groups):
        chosen = [pair for pair in tested if group in ("all", str(pair[0].info.get("group", "")))]
        energy = [1e3 * (p.energy - a.get_potential_energy()) / len(a) for a, p in chosen]
        force = np.concatenate([np.ravel(p.forces - a.get_forces()) for a, p in chosen])
        voigt = ([0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1])
        stress = np.concatenate([(p.stress - a.get_stress(voigt=False))[voigt] for a, p in chosen])
        errors[group] = (rms(energy), rms(force), atomistic.EV_PER_CUBIC_ANGSTROM_IN_GPA * rms(stress))
        print(
            f"{group:<12} {len(chosen):>10} {errors[group][0]:>10.2f} {errors[group][1]:>10.4f} {errors[group][2]:>10.3f}"
        )
    sys.stdout.flush()
    numbers = {"mlearn_energy_rmse_mev_atom": errors["all"][0], "mlearn_force_rmse_ev_a": errors["all"][1]}
    if ELASTIC in errors:
        numbers["mlearn_elastic_stress_rmse_gpa"] = errors[ELASTIC][2]
    return numbers


def rms(values: np.ndarray | list[float]) -> float:
    """Root mean square."""
    return float(np.sqrt(np.mean(np.square(values))))


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
