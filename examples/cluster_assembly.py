"""Lennard-Jones clusters assembled on a potential that was fitted to atoms, dimers and trimers, and what it says of larger clusters.

First the many-body expansion, term by term, of two models of a pair potential (Lennard-Jones) and of a metal (effective medium, copper),
fitted to the same atoms, dimers and trimers: a linear one, which ends at three bodies, and Gaussians of the same descriptors, which do
not. Then the Gaussians are improved by labels of what they are least sure of among what basin hopping on them finds, until it finds the
lowest minima of 13 and 38 atoms; what is found is relaxed by the true potential at the end.

python examples/cluster_assembly.py [--seeds 4] [--steps 1500] [--processes 2] [--folder .]     draws cluster_assembly.png
"""

import argparse
import multiprocessing
import sys
import warnings
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import torch
from ase import Atoms
from ase.calculators.calculator import Calculator

import atomistic
from atomistic.clusters import (
    ActiveLearning,
    Bounds,
    LennardJones,
    basin_hopping,
    candidates_by_hopping,
    label_small_clusters,
    learn_while_hopping,
    many_body_expansion,
    quench,
    surface_of,
)
from atomistic.clusters.lennard_jones import ICOSAHEDRAL_38, LOWEST
from atomistic.clusters.moves import MoveSurfaceAtoms, Several, Shake, random_cluster

NEAREST = 2.0 ** (1.0 / 6.0)
BOUNDS = Bounds(closest=0.85, farthest=2.0)
MOVE = Several([Shake(0.4), MoveSurfaceAtoms(NEAREST)])
TEMPERATURE = 0.8
SETTINGS = atomistic.TrainingSettings(energy_error=1e-3, force_error=0.02)
SIZES = (4, 5, 6, 7, 8, 10, 13)
EXPANDED = 7


@dataclass(frozen=True)
class Material:
    """What a potential is fitted to: a reference, its nearest distance, and the range of the dimers, Angstrom."""

    name: str
    symbol: str
    calculator: Calculator
    nearest: float
    closest: float
    cutoff: float


@dataclass(frozen=True)
class Verdict:
    """What a model says of larger clusters: many-body terms of one, eV; errors and standard deviations of all, eV/atom."""

    terms: np.ndarray
    errors: np.ndarray
    deviations: np.ndarray | None


def descriptors(material: Material) -> atomistic.BodyOrdered:
    """Two- and three-body functions; of degree 1, so there are none of four bodies."""
    number = int(Atoms(material.symbol).numbers[0])
    return atomistic.BodyOrdered(
        (number,), cutoff=material.cutoff, angular_cutoff=material.cutoff, radial=24, angular=6, degree=1
    )


def fitted(labelled: Sequence[Atoms], material: Material) -> atomistic.gaussian_fit.GaussianFit:
    """Gaussians of those descriptors."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", atomistic.ExplodingStructures)  # near dimers are to be steep
        return atomistic.fit_gaussians(
            labelled, SETTINGS, centres=100, amplitudes=(0.02, 0.1), descriptors=descriptors(material)
        )


def relaxed_clusters(material: Material) -> list[Atoms]:
    """The lowest of three minima of the reference for each size."""
    found = []
    for size in SIZES:
        atoms = Atoms(f"{material.symbol}{size}", np.zeros((size, 3)))
        walk = basin_hopping(
            surface_of(atoms, material.calculator),
            lambda generator, size=size: random_cluster(size, material.nearest, generator),
            Shake(0.35 * material.nearest),
            steps=3,
            temperature=TEMPERATURE,
            seed=size,
            bounds=Bounds(0.6 * material.nearest, 1.9 * material.nearest),
        )
        atoms.positions = walk.best.positions
        found.append(atoms)
    return found


def expansions(material: Material) -> dict[str, Verdict]:
    """Truth, linear model and Gaussians of one material."""
    labelled = label_small_clusters(
        material.symbol, material.calculator, closest=material.closest, cutoff=material.cutoff, trimers=120, seed=0
    )
    clusters = relaxed_clusters(material)
    truth = np.array([surface_of(a, material.calculator)(a.positions)[0] for a in clusters])
    sizes = np.array(SIZES)
    example = clusters[SIZES.index(EXPANDED)]
    linear = atomistic.fit_linear(labelled, descriptors(material), energy_error=1e-3, force_error=0.02)
    gaussians = fitted(labelled, material)
    verdicts = {
        "truth": Verdict(many_body_expansion(example, material.calculator).terms, np.zeros(len(SIZES)), None),
    }
    for name, potential in (("three-body, linear", linear), ("Gaussians", gaussians.potential)):
        errors = np.array([p.energy for p in atomistic.predict_all(potential, clusters)]) - truth
        deviations = None
        if potential is gaussians.potential:
            deviations = np.array([gaussians.posterior.evaluate(a).energy for a in clusters]) / sizes
        terms = many_body_expansion(example, atomistic.NeuralCalculator(potential)).terms
        verdicts[name] = Verdict(terms, errors / sizes, deviations)
    return verdicts


def print_expansions(material: Material, verdicts: dict[str, Verdict]) -> None:
    """One table of terms, one of errors."""
    print(f"\n{material.name}: terms of a cluster of {EXPANDED}, eV")
    print(f"{'':<20}" + "".join(f"{f'{k}-body':>10}" for k in range(1, EXPANDED + 1)))
    for name, verdict in verdicts.items():
        print(f"{name:<20}" + "".join(f"{term:>10.3f}" for term in verdict.terms))
    print("error (standard deviation it gives itself), eV/atom, by number of atoms")
    print(f"{'':<20}" + "".join(f"{size:>16}" for size in SIZES))
    for name, verdict in verdicts.items():
        if name != "truth":
            said = [""] * len(SIZES) if verdict.deviations is None else [f" ({d:.3f})" for d in verdict.deviations]
            print(f"{name:<20}" + "".join(f"{f'{e:+.3f}{d}':>16}" for e, d in zip(verdict.errors, said, strict=True)))


def learned(
    labelled: Sequence[Atoms], material: Material, size: int, *, steps: int, tolerance: float
) -> ActiveLearning:
    """Labels of clusters of `size` atoms added until the search finds nothing that is not sure."""
    explore = candidates_by_hopping(
        Atoms(f"{material.symbol}{size}", np.zeros((size, 3))),
        lambda generator: random_cluster(size, NEAREST, generator),
        MOVE,
        steps=steps,
        temperature=TEMPERATURE,
        bounds=BOUNDS,
        seed=size,
        patience=30,
    )
    return learn_while_hopping(
        labelled,
        material.calculator,
        lambda known: fitted(known, material),
        explore,
        rounds=12,
        labels_per_round=5,
        tolerance=tolerance,
        progress=lambda r: print(
            f"  {r.labels} labels: the least sure of {r.candidates} found is sure to {r.deviation:.4f} eV/atom; "
            f"largest error of those labelled {r.errors.max(initial=0.0):.4f} eV/atom"
        ),
    )


@dataclass(frozen=True)
class Walk:
    """One walk on the model: lowest energy so far by the model, and of its best structure by model and, relaxed, by the truth."""

    lowest: np.ndarray
    model: float
    relaxed: float
    positions: np.ndarray


def walk(potential: atomistic.NeuralPotential, size: int, seed: int, steps: int) -> Walk:
    """Basin hopping on the model alone, started anew after 60 ways down without gain; the truth relaxes what it found.

    To save time it ends once it is within 0.1 eV of the published energy.
    """
    torch.set_num_threads(1)
    atoms = Atoms(f"He{size}", np.zeros((size, 3)))
    found = basin_hopping(
        surface_of(atoms, atomistic.NeuralCalculator(potential)),
        lambda generator: random_cluster(size, NEAREST, generator),
        MOVE,
        steps=steps,
        temperature=TEMPERATURE,
        seed=seed,
        bounds=BOUNDS,
        patience=60,
        stop_below=LOWEST[size] + 0.1,
    )
    relaxed = quench(LennardJones().energy_and_forces, found.best.positions, force_tolerance=1e-6)
    return Walk(np.minimum.accumulate(found.energies), found.best.energy, relaxed.energy, relaxed.positions)


def walks(potential: atomistic.NeuralPotential, size: int, seeds: int, steps: int, processes: int) -> list[Walk]:
    """One for each seed, in processes of their own where there are more than one."""
    arguments = ([potential] * seeds, [size] * seeds, range(seeds), [steps] * seeds)
    if processes == 1:
        return list(map(walk, *arguments))
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as executor:
        return list(executor.map(walk, *arguments))


def report_walks(found: list[Walk], size: int) -> int:
    """How many reached the published energy."""
    hits = [w for w in found if abs(w.relaxed - LOWEST[size]) < 1e-4]
    for seed, w in enumerate(found):
        print(
            f"  seed {seed}: {len(w.lowest):>5} ways down, lowest {w.model:.4f}, relaxed by the truth {w.relaxed:.6f}"
        )
    print(f"  {len(hits)} of {len(found)} walks end at {LOWEST[size]}")
    return len(hits)


def draw(path: Path, shown: dict[str, dict[str, Verdict]], learning: list[ActiveLearning], found: list[Walk]) -> None:
    """Terms and errors of both materials, the course of the learning, and the walks."""
    figure, axes = plt.subplots(2, 2, figsize=(10.0, 7.4), layout="constrained")
    colours = {"truth": "black", "three-body, linear": "tab:blue", "Gaussians": "tab:red"}
    for row, (material, verdicts) in zip(axes[0], shown.items(), strict=True):
        for name, verdict in verdicts.items():
            if name != "truth":
                row.semilogy(SIZES, np.abs(verdict.errors) + 1e-5, "o-", color=colours[name], label=f"{name}, error")
            if verdict.deviations is not None:
                row.semilogy(SIZES, verdict.deviations, "s--", color=colours[name], label=f"{name}, what it says of it")
        row.set(title=f"{material}, from atoms, dimers, trimers", xlabel="atoms", ylabel="|error| (eV/atom)")
        row.legend(fontsize=8)
    left, right = axes[1]
    for k, (size, learnt) in enumerate(zip((13, 38), learning, strict=True)):
        rounds = learnt.rounds
        colour = f"C{k}"
        left.semilogy(
            [r.labels for r in rounds],
            [r.deviation for r in rounds],
            "s--",
            color=colour,
            label=f"{size} atoms, what it says",
        )
        labelled = [r for r in rounds if len(r.errors)]
        left.semilogy(
            [r.labels for r in labelled],
            [r.errors.max() for r in labelled],
            "o-",
            color=colour,
            label=f"{size} atoms, error",
        )
    left.set(title="Labels where it is least sure", xlabel="labels", ylabel="largest among those found (eV/atom)")
    left.legend(fontsize=8)
    for seed, w in enumerate(found):
        right.plot(np.arange(1, len(w.lowest) + 1), w.lowest, drawstyle="steps-post", label=f"seed {seed}")
    right.axhline(LOWEST[38], color="black", linestyle=":")
    right.axhline(ICOSAHEDRAL_38, color="grey", linestyle=":")
    right.text(0.02, LOWEST[38] - 0.06, "fcc, -173.928", va="top", fontsize=8, transform=right.get_yaxis_transform())
    right.text(0.02, ICOSAHEDRAL_38 + 0.06, "icosahedral, -173.252", fontsize=8, transform=right.get_yaxis_transform())
    right.set(
        title="38 atoms: basin hopping on the model",
        xlabel="ways down",
        ylabel="lowest energy so far (eV)",
        ylim=(-174.5, -168.0),
    )
    right.set_xscale("log")
    right.legend(fontsize=8)
    figure.savefig(path, dpi=100)
    plt.close(figure)


def main(arguments: Sequence[str] | None = None) -> dict[str, float]:
    """Run all of it; the numbers that it asserts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=4, help="walks with 38 atoms (default: 4)")
    parser.add_argument("--steps", type=int, default=1500, help="ways down of each at most (default: 1500)")
    parser.add_argument("--processes", type=int, default=2, help="among which the walks are shared (default: 2)")
    parser.add_argument("--folder", type=Path, default=Path(), help="where the picture goes (default: here)")
    chosen = parser.parse_args(arguments)
    torch.set_num_threads(1)

    lj = Material("Lennard-Jones", "He", LennardJones(), NEAREST, 0.85, 4.5)
    copper = Material("copper", "Cu", atomistic.reference_calculator("emt"), 2.4, 1.9, 5.5)
    shown = {}
    for material in (lj, copper):
        shown[material.name] = verdicts = expansions(material)
        print_expansions(material, verdicts)
    pairs, metal = shown.values()
    # bodies of the model end where its functions end, whatever it was fitted to
    assert np.abs(pairs["three-body, linear"].terms[3:]).max() < 1e-6
    # more bodies than the truth has mislead, and it says so; fewer than it has mislead more
    misled = np.abs(pairs["Gaussians"].errors[-1])
    assert np.abs(pairs["three-body, linear"].errors[-1]) < 0.01 < misled < 3.0 * pairs["Gaussians"].deviations[-1]
    helped = np.abs(metal["three-body, linear"].errors / metal["Gaussians"].errors)
    assert helped[-1] > 2.0

    small = label_small_clusters("He", lj.calculator, closest=lj.closest, cutoff=lj.cutoff, seed=0)
    print(f"\n13 atoms, from {len(small)} atoms, dimers and trimers")
    of_13 = learned(small, lj, 13, steps=30, tolerance=3e-3)
    found_13 = walks(of_13.fit.potential, 13, 10, 60, 1)
    hits_13 = report_walks(found_13, 13)
    assert of_13.converged and hits_13 >= 8

    print(f"\n38 atoms, from those {len(of_13.labelled)} labels")
    of_38 = learned(of_13.labelled, lj, 38, steps=20, tolerance=1e-3)
    potential = of_38.fit.potential
    found_38 = walks(potential, 38, chosen.seeds, chosen.steps, chosen.processes)
    hits_38 = report_walks(found_38, 38)
    draw(chosen.folder / "cluster_assembly.png", shown, [of_13, of_38], found_38)

    numbers = {
        "labels_13": len(of_13.labelled),
        "labels_38": len(of_38.labelled),
        "hits_13": hits_13,
        "hits_38": hits_38,
        "lowest_13": min(w.relaxed for w in found_13),
        "lowest_38": min(w.relaxed for w in found_38),
        "misled": float(misled),
        "helped": float(helped[-1]),
    }
    print(f"\nlabels: {len(small)} small ones, {numbers['labels_13'] - len(small)} of 13 atoms, "
          f"{numbers['labels_38'] - numbers['labels_13']} of 38 atoms")  # fmt: skip
    assert abs(numbers["lowest_13"] - LOWEST[13]) < 1e-4
    if not hits_38:
        print(f"38 atoms: missed by {numbers['lowest_38'] - LOWEST[38]:.4f}; more --steps or --seeds")
        return numbers
    best = min(found_38, key=lambda w: w.relaxed)
    rival = icosahedral_rival(found_38)
    on_model = surface_of(Atoms("He38", best.positions), atomistic.NeuralCalculator(potential))
    numbers["gap_38"] = quench(on_model, rival).energy - quench(on_model, best.positions).energy
    print(f"38 atoms: the model ranks the fcc minimum {numbers['gap_38']:.4f} eV below its icosahedral rival (truth: "
          f"{ICOSAHEDRAL_38 - LOWEST[38]:.4f})")  # fmt: skip
    assert abs(numbers["lowest_38"] - LOWEST[38]) < 1e-4 and numbers["gap_38"] > 0.0
    return numbers


def icosahedral_rival(found: list[Walk]) -> np.ndarray:
    """The lowest minimum of icosahedral kind: from a walk that ended there, else by hopping on the true potential from the 39-atom one."""
    for w in found:
        if abs(w.relaxed - ICOSAHEDRAL_38) < 1e-4:
            return w.positions
    surface = LennardJones().energy_and_forces
    for seed in range(100, 140):
        walked = basin_hopping(
            surface, lambda g: random_cluster(38, NEAREST, g), MOVE, steps=1000, temperature=TEMPERATURE, seed=seed,
            bounds=Bounds(0.6, 2.0), patience=None, stop_below=ICOSAHEDRAL_38 + 1e-3,
        )  # fmt: skip
        for minimum in walked.minima():
            if abs(minimum.energy - ICOSAHEDRAL_38) < 1e-3:
                return minimum.positions
    raise RuntimeError(f"no walk on the true potential came across the minimum at {ICOSAHEDRAL_38}")


if __name__ == "__main__":
    main(sys.argv[1:])
