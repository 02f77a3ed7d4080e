"""Minimum energy paths and barriers: a vacancy of silicon hops, diamond turns into beta-tin, a particle finds its way along a line.

Each path of atoms is found twice, by Stillinger and Weber's potential and by one that is fitted to its labels and learns the path as it
goes: its own path is labelled and fitted again, until the labels agree with it. The first round has seen structures about the ends alone.

python examples/reaction_paths.py [--images 7] [--cells 2] [--rounds 8] [--seed 0] [--picture reaction_paths.png]
"""

import argparse
import time
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from ase import Atoms
from ase.build import bulk
from ase.calculators.calculator import Calculator
from ase.geometry import find_mic
from matplotlib import pyplot as plt

import atomistic
from atomistic.configurations import label, random_stretch
from atomistic.paths import (
    LearnedPath,
    PathFailed,
    PathSettings,
    ReactionPath,
    learn_path,
    minimum_energy_path,
    phase_path,
)
from atomistic.paths.lattice import LEAPS, ClusterExpansion, cluster_products, fit_cluster_expansion
from atomistic.phases.prototypes import beta_tin, structure_name

torch.set_num_threads(1)
parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--images", type=int, default=7, help="of each path, with its ends")
parser.add_argument(
    "--cells", type=int, default=2, help="of eight atoms along each edge of the crystal with the vacancy"
)
parser.add_argument("--rounds", type=int, default=8, help="of learning at most")
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--picture", default="reaction_paths.png")
options = parser.parse_args()
generator = np.random.default_rng(options.seed)
reference = atomistic.reference_calculator("stillinger-weber")
DESCRIPTORS = atomistic.BodyOrdered((14,), cutoff=3.8, angular_cutoff=3.8, radial=12, angular=8, degree=2)
LATTICE_CONSTANT = 5.43095  # Angstrom; Stillinger and Weber's


def fit(labelled: list[Atoms]) -> Calculator:
    """A potential in closed form."""
    settings = atomistic.TrainingSettings(energy_error=1e-3, force_error=1e-2)
    fitted = atomistic.fit_gaussians(
        labelled, settings, centres=300, length=3.0, amplitudes=(3.0,), slope=10.0, descriptors=DESCRIPTORS
    )
    return atomistic.NeuralCalculator(fitted.potential)


def studied(
    name: str,
    known: Sequence[Atoms],
    find: Callable[..., ReactionPath],
    atoms: int,
    tolerance: float,
) -> tuple[ReactionPath, LearnedPath]:
    """The path by the reference and by a potential; `atoms` that energies are divided by."""
    began = time.process_time()
    learned = learn_path(known, reference, fit, find, tolerance=tolerance, most_rounds=options.rounds)
    middle = time.process_time()
    truth = find(reference, guess=learned.path.images)
    ended = time.process_time()
    unit = "eV" if atoms == 1 else "eV/atom"
    print(f"\n{name}\n{'round':>6}{'labels':>8}{'barrier':>10}  largest error along the path ({unit})")
    for k, one in enumerate(learned.rounds):
        barrier = "none" if one.barrier is None else f"{one.barrier / atoms:.4f}"
        print(f"{k:>6}{one.labels:>8}{barrier:>10}{one.error / atoms:>12.4f}")
    own = learned.path
    print(f"{'':<24}{'reference':>12}{'potential':>12}{'error':>10}  {unit}")
    for what in ("barrier", "reverse_barrier"):
        a, b = (getattr(path, what) / atoms for path in (truth, own))
        print(f"{what.replace('_', ' '):<24}{a:>12.4f}{b:>12.4f}{b - a:>10.4f}")
    for who, path in (("reference", truth), ("potential", own)):
        print(
            f"transition state of the {who}: {path.saddle.negative} negative curvature ({path.saddle.curvatures[0]:.3f} eV/A^2, the next "
            f"{path.saddle.curvatures[1]:.3f}), largest force {path.saddle.largest_force:.0e} eV/A; ends {path.initial.negative} and "
            f"{path.final.negative}"
        )
    print(f"{middle - began:.0f} s to learn, {ended - middle:.0f} s for the reference's path")
    return truth, learned


# --- a vacancy hops ---------------------------------------------------------------------------------------------------------------------
crystal = bulk("Si", a=LATTICE_CONSTANT, cubic=True).repeat(options.cells)
site = 10
neighbour = int(np.argsort(crystal.get_distances(site, range(len(crystal)), mic=True))[1])


def vacancy(empty: int) -> Atoms:
    """The crystal without an atom; the atom at `neighbour` keeps its index wherever it is. The four beside the hole lean into it."""
    atoms = crystal.copy()
    if empty != site:
        atoms.positions[empty] = crystal.positions[site]
    del atoms[site]
    arms, distances = find_mic(atoms.positions - crystal.positions[empty], atoms.cell, pbc=True)
    for k in np.argsort(distances)[:4]:
        atoms.positions[k] -= 0.4 * arms[k] / distances[k]
    return atoms


def rattled(atoms: Atoms, size: float) -> Atoms:
    moved = atoms.copy()
    moved.positions += generator.normal(0.0, size, moved.positions.shape)
    return moved


holes = [vacancy(site), vacancy(neighbour)]
settings = PathSettings(images=options.images, relax_ends=True, max_steps=300)
known = [label(rattled(atoms, size), reference) for atoms in holes for size in (0.03, 0.06, 0.1)]
hop, hop_learned = studied(
    f"vacancy in {len(holes[0])} atoms of silicon",
    known,
    partial(minimum_energy_path, *holes, settings=settings),
    1,
    0.02,
)
formation = hop.initial.energy - len(holes[0]) / len(crystal) * label(crystal, reference).get_potential_energy()
print(f"formation energy {formation:.3f} eV (reference)")

# --- diamond turns into beta-tin --------------------------------------------------------------------------------------------------------
ends = beta_tin("Si", 20.0, np.sqrt(2.0)), beta_tin("Si", 17.2)
known = []
for end in ends:
    for size in np.linspace(0.0, 0.1, 60):
        strained = atomistic.deform(end, random_stretch(generator, 0.08))
        known.append(label(rattled(strained, size), reference))
settings = PathSettings(images=options.images + 2, relax_ends=True, bend=0.5, max_steps=400, seed=options.seed)
phase, phase_learned = studied(
    "diamond to beta-tin at zero pressure, two atoms", known, partial(phase_path, *ends, settings=settings), 2, 0.02
)
print("symmetry along the reference's path:", ", ".join(structure_name(atoms) for atoms in phase.images))
try:
    phase_path(*ends, reference, PathSettings(images=options.images + 2, relax_ends=True))
    ridge = 1
except PathFailed as failure:
    assert failure.curvatures is not None
    ridge = int((failure.curvatures < -1e-3).sum())
print(
    f"the straight tetragonal path tops out with {ridge} negative curvatures of cell and atoms: it is no transition state"
)

# --- a particle on a line ---------------------------------------------------------------------------------------------------------------
coefficients = []
for leap, mean in zip(LEAPS, (0.0, 0.6, 0.9), strict=True):
    own = generator.normal(0.0, 0.04, cluster_products(np.ones(3 + leap, dtype=int), leap, 2).shape[1])
    own[0] = mean
    coefficients.append(own)
landscape = ClusterExpansion(2, tuple(coefficients))
lines = [generator.choice([-1, 1], 12) for _ in range(40)]
labels = [tuple(landscape.energies(kinds, leap) for leap in LEAPS) for kinds in lines]
unseen = [generator.choice([-1, 1], 16) for _ in range(50)]
true_barriers = np.array([landscape.path(kinds).barrier for kinds in unseen])
fits = {order: fit_cluster_expansion(lines, labels, order) for order in (2, 1)}
errors = {order: np.array([own.path(kinds).barrier for kinds in unseen]) - true_barriers for order, own in fits.items()}
print("\nbarriers of 50 unseen lines of 16 sites; pairs of sites make the landscape")
for order, contains in ((2, "contains it"), (1, "does not")):
    print(
        f"products of at most {order} sites, a class that {contains}: largest error {np.abs(errors[order]).max():.1e} eV, "
        f"rms {np.sqrt(np.mean(errors[order] ** 2)):.1e} eV"
    )

# --- picture ----------------------------------------------------------------------------------------------------------------------------
figure, panels = plt.subplots(1, 3, figsize=(13.0, 3.9), layout="constrained")
for panel, truth, learned, atoms, unit, title in (
    (panels[0], hop, hop_learned, 1, "eV", "a vacancy of silicon hops"),
    (panels[1], phase, phase_learned, 2, "eV/atom", "diamond to beta-tin, cell and atoms"),
):
    for name, path, style in (("Stillinger-Weber", truth, "-"), ("learned potential", learned.path, "--")):
        (line,) = panel.plot(path.curve[0], (path.curve[1] - path.energies[0]) / atoms, style, label=name)
        panel.plot(path.distances, (path.energies - path.energies[0]) / atoms, "o", ms=4, color=line.get_color())
    panel.set(xlabel="length of the path (Å)", ylabel=f"energy ({unit})", title=title)
    panel.legend(loc="lower center")
kinds = unseen[int(np.abs(errors[1]).argmax())]
found = landscape.path(kinds)
for name, model, style in (("truth", landscape, "k-"), ("pairs", fits[2], "C0--"), ("single sites", fits[1], "C1-")):
    path = model.path(kinds)
    stays = model.energies(kinds, 0)
    places, heights = [path.sites[0]], [stays[path.sites[0] - 1]]
    for a, b in zip(path.sites, path.sites[1:], strict=False):
        places += [0.5 * (a + b), b]
        heights += [model.energies(kinds, abs(b - a))[min(a, b) - 1], stays[b - 1]]
    panels[2].plot(
        places, np.array(heights) - heights[0], style, marker=".", lw=1.2, label=f"{name}: {path.barrier:.3f} eV"
    )
panels[2].set(xlabel="site", ylabel="energy (eV)", title="minimax path along a line", ylim=(None, 1.45))
panels[2].legend(loc="upper left", title="barrier", fontsize="small")
figure.savefig(options.picture, dpi=100)

for truth, learned in ((hop, hop_learned), (phase, phase_learned)):
    for path in (truth, learned.path):
        assert path.saddle.negative == 1 and path.initial.negative == path.final.negative == 0
        assert path.saddle.largest_force < 1e-3
    assert abs(learned.path.barrier - truth.barrier) < 0.05
    assert abs(learned.path.reverse_barrier - truth.reverse_barrier) < 0.05
assert ridge > 1
assert np.abs(errors[2]).max() < 1e-10 and np.abs(errors[1]).max() > 0.01
