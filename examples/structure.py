"""Which phase every atom of a simulation is in: diamond, beta-tin, amorphous, liquid or surface, with calibrated probabilities.

    python examples/structure.py [--runs 8] [--cells 3] [--seed 0] [--picture structure.png]

A linear potential is fitted to the DFT-labelled silicon of data/silicon_pbe in closed form and makes the phases: crystals, melts, melts
quenched to 300 K, slabs. The classifier learns from these runs and from the DFT structures themselves. What every atom *is* is known
from how it was made, never from the classifier: a phase in which the whole cell is, or the depth below a surface; part of the runs and
structures is held out, whole, for the temperature of the probabilities. Then come simulations that it has not seen: a crystal that is
heated, melts and is quenched; crystal and melt side by side, of which one half was held while the other was molten; slabs hot enough to
move; and crystal and melt of another model, Stillinger and Weber's.
"""

import argparse
import warnings
from collections.abc import Iterator
from pathlib import Path

import ase.io
import matplotlib.pyplot as plt
import numpy as np
from ase import Atoms, units
from ase.build import bulk, diamond100, diamond111
from ase.constraints import FixAtoms
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution

import atomistic
from atomistic.structure import AtomClassifier, Reliability, UnfamiliarAtomsWarning, reliability

DATA = Path(__file__).parent / "data" / "silicon_pbe" / "silicon_pbe.extxyz"
CLASSES = ("diamond", "beta-tin", "amorphous", "liquid", "surface")
COLOURS = dict(zip(CLASSES, ("#4477aa", "#228833", "#ccbb44", "#ee6677", "#aa3377"), strict=True))
DIAMOND_GROUPS = {"slightly strained", "strained primitive", "rattled 8", "rattled 16", "rattled 64"}
LATTICE = 5.475
SURFACE_DEPTH = 2.0
"""Atoms at most so deep (Angstrom) are the surface: two layers of (100), a double layer of (111)."""
CRYSTALLISED = -106.84
"""Molten or quenched cells of the data below this energy (eV/atom), 0.25 above diamond, are crystals again. The quenched ones have a gap
there, from 0.137 to 0.399; those below it have 8 atoms and the symmetry of diamond or nearly so."""
TIMESTEP = 2.0
UNKNOWN = ""


def run(
    atoms: Atoms, kelvin: float, steps: int, seed: int, *, end: float | None = None, every: int = 0
) -> Iterator[Atoms]:
    """Langevin dynamics at a temperature, or from one to another evenly; yields copies of the frames, the last at least."""
    generator = np.random.default_rng(seed)
    # ASE's own removal of the drift of the centre is deprecated; a drift does no harm here
    dynamics = Langevin(
        atoms, TIMESTEP * units.fs, temperature_K=kelvin, friction=0.02 / units.fs, rng=generator, fixcm=False
    )
    interval = every or steps
    for done in range(interval, steps + 1, interval):
        if end is not None:
            dynamics.set_temperature(temperature_K=kelvin + (end - kelvin) * done / steps)
        dynamics.run(interval)
        yield atoms.copy()


def start(atoms: Atoms, potential: atomistic.NeuralPotential, kelvin: float, seed: int) -> Atoms:
    """The atoms with velocities and the potential."""
    atoms.calc = atomistic.NeuralCalculator(potential)
    MaxwellBoltzmannDistribution(atoms, temperature_K=2.0 * kelvin, rng=np.random.default_rng(seed))
    return atoms


def scaled(atoms: Atoms, factor: float) -> Atoms:
    """The atoms with volume times `factor`."""
    atoms.set_cell(atoms.cell.array * np.cbrt(factor), scale_atoms=True)
    return atoms


def beta_tin(volume: float) -> Atoms:
    """72 atoms of beta-tin, c/a = 0.55, of a volume an atom."""
    a = np.cbrt(4.0 * volume / 0.55)
    unit = Atoms(
        "Si4",
        cell=[a, a, 0.55 * a],
        pbc=True,
        scaled_positions=[[0, 0, 0], [0.5, 0.5, 0.5], [0, 0.5, 0.25], [0.5, 0, 0.75]],
    )
    return unit.repeat((2, 3, 3))


def slab(face: str, repeats: int, layers: int) -> Atoms:
    """A slab with its normal along z, between vacua of 4 Angstrom above and below; double layers of (111) are not split."""
    if face == "100":
        atoms = diamond100("Si", size=(repeats, repeats, layers), a=LATTICE, orthogonal=True)
    else:
        atoms = diamond111("Si", size=(repeats, repeats, layers + 2), a=LATTICE)
        height = atoms.positions[:, 2]
        atoms = atoms[(height > height.min() + 0.1) & (height < height.max() - 0.1)]
    atoms.center(vacuum=4.0, axis=2)
    atoms.pbc = True
    return atoms


def depth(atoms: Atoms, axis: int = 2) -> np.ndarray:
    """Distance of every atom below the nearer face of a slab that spans no boundary of the cell, Angstrom."""
    height = atoms.positions[:, axis]
    return np.minimum(height - height.min(), height.max() - height)


def by_depth(atoms: Atoms, axis: int = 2) -> np.ndarray:
    """Surface or diamond."""
    return np.where(depth(atoms, axis) <= SURFACE_DEPTH, "surface", "diamond").astype(object)


def dft_slab_labels(atoms: Atoms) -> np.ndarray:
    """Surface or diamond of a slab of the data, whose vacuum is the widest gap along any cell vector."""
    gaps = []
    for axis in range(3):
        fractions = np.sort(atoms.get_scaled_positions()[:, axis])
        jumps = np.diff(np.concatenate([fractions, fractions[:1] + 1.0]))
        gaps.append(
            (
                jumps.max() / np.linalg.norm(atoms.cell.reciprocal()[axis]),
                axis,
                fractions[(jumps.argmax() + 1) % len(atoms)],
            )
        )
    _, axis, first = max(gaps)
    height = (
        (atoms.get_scaled_positions()[:, axis] - first + 1e-9) % 1.0 / np.linalg.norm(atoms.cell.reciprocal()[axis])
    )
    return np.where(np.minimum(height, height.max() - height) <= SURFACE_DEPTH, "surface", "diamond").astype(object)


def dft_examples(structures: list[Atoms]) -> Iterator[tuple[Atoms, np.ndarray]]:
    """Structures of the data that are of one of the classes, with a label an atom."""
    for atoms in structures:
        group = str(atoms.info["group"])
        crystallised = atoms.get_potential_energy() / len(atoms) < CRYSTALLISED
        if group == "surface":
            yield atoms, dft_slab_labels(atoms)
        elif group in DIAMOND_GROUPS or group == "beta-tin" or (group in ("liquid", "amorphous") and not crystallised):
            yield atoms, np.array(["diamond" if group in DIAMOND_GROUPS else group] * len(atoms), dtype=object)


def simulated(potential: atomistic.NeuralPotential, runs: int, seed: int) -> Iterator[tuple[str, Atoms, np.ndarray]]:
    """Name of the run, frame and labels: `runs` of each phase, at different temperatures and volumes."""
    generator = np.random.default_rng(seed)
    for k in range(runs):
        kelvin, factor = generator.uniform(300.0, 1400.0), generator.uniform(0.97, 1.04)
        atoms = start(scaled(bulk("Si", cubic=True, a=LATTICE).repeat(2), factor), potential, kelvin, seed + k)
        for frame in list(run(atoms, kelvin, 400, seed + k, every=100))[1:]:
            yield f"diamond {k}", frame, np.array(["diamond"] * len(frame), dtype=object)

        kelvin, volume = generator.uniform(100.0, 500.0), generator.uniform(13.5, 15.0)
        atoms = start(beta_tin(volume), potential, kelvin, seed + k)
        for frame in list(run(atoms, kelvin, 400, seed + k, every=100))[1:]:
            yield f"beta-tin {k}", frame, np.array(["beta-tin"] * len(frame), dtype=object)

        kelvin, factor = generator.uniform(1700.0, 3000.0), generator.uniform(0.86, 1.0)
        atoms = start(scaled(bulk("Si", cubic=True, a=LATTICE).repeat(2), factor), potential, 5000.0, seed + k)
        list(run(atoms, 5000.0, 1000, seed + k))
        for frame in list(run(atoms, kelvin, 1200, seed + k, every=300))[1:]:
            yield f"liquid {k}", frame, np.array(["liquid"] * len(frame), dtype=object)

        # beside the liquid's own run, so that its frames are held out with it
        scaled(atoms, generator.uniform(0.98, 1.03) / factor)
        list(run(atoms, 2000.0, 4000, seed + k, end=300.0, every=50))
        for frame in run(atoms, 300.0, 900, seed + k, every=300):
            yield f"liquid {k}", frame, np.array(["amorphous"] * len(frame), dtype=object)

        kelvin = generator.uniform(200.0, 1000.0)
        atoms = start(slab(("100", "111")[k % 2], 3, 8), potential, kelvin, seed + k)
        for frame in list(run(atoms, kelvin, 600, seed + k, every=150))[1:]:
            yield f"surface {k}", frame, by_depth(frame)


def examined(classifier: AtomClassifier, frames: list[tuple[Atoms, np.ndarray]]) -> Reliability:
    """The classifier on frames with known labels; prints how many atoms it says are unlike those it knows."""
    probabilities, labels, strange = [], [], 0
    for atoms, known in frames:
        found = classifier.classify(atoms)
        some = known != UNKNOWN
        probabilities.append(found.probabilities[some])
        labels.append(known[some])
        strange += int((~found.familiar[some]).sum())
    result = reliability(np.concatenate(probabilities), np.concatenate(labels), classifier.classes)
    print(f"{result}\nunlike all training atoms: {strange} of {int(result.confusion.sum())}\n")
    return result


def melt_and_quench(
    potential: atomistic.NeuralPotential, cells: int, seed: int
) -> tuple[list[float], list[Atoms], list[str]]:
    """Set temperature, frame and known phase ("" while it changes) of a crystal that is heated, molten and quenched."""
    atoms = start(bulk("Si", cubic=True, a=LATTICE).repeat(cells), potential, 900.0, seed)
    kelvins: list[float] = []
    frames: list[Atoms] = []
    phases: list[str] = []

    def stage(steps: int, begin: float, end: float, phase: str) -> None:
        for k, frame in enumerate(run(atoms, begin, steps, seed + len(frames), end=end, every=100), 1):
            kelvins.append(begin + (end - begin) * k * 100 / steps)
            frames.append(frame)
            phases.append(phase)

    stage(200, 900.0, 900.0, UNKNOWN)
    stage(600, 900.0, 900.0, "diamond")
    stage(1400, 900.0, 5000.0, UNKNOWN)
    stage(600, 5000.0, 2200.0, UNKNOWN)
    stage(800, 2200.0, 2200.0, "liquid")
    stage(5000, 2200.0, 300.0, UNKNOWN)
    stage(600, 300.0, 300.0, "amorphous")
    return kelvins, frames, phases


def coexistence(potential: atomistic.NeuralPotential, cells: int, seed: int) -> list[tuple[Atoms, np.ndarray]]:
    """Frames of crystal (lower half) and melt (upper half), with the labels of what is 7 Angstrom from either boundary and more."""
    atoms = bulk("Si", cubic=True, a=LATTICE).repeat((cells, cells, 3 * cells))
    height = atoms.positions[:, 2].copy()
    length = atoms.cell[2, 2]
    lower = height < 0.5 * length - 1e-6
    start(atoms, potential, 1000.0, seed)
    list(run(atoms, 1000.0, 200, seed))
    atoms.set_constraint(FixAtoms(mask=lower))
    list(run(atoms, 5000.0, 1500, seed + 1))
    list(run(atoms, 2000.0, 500, seed + 2))
    atoms.set_constraint()
    start(atoms, potential, 800.0, seed)
    frames = []
    for frame in run(atoms, 1300.0, 400, seed + 3, every=100):
        place = frame.positions[:, 2] % length
        to_boundary = np.abs((place + 0.25 * length) % (0.5 * length) - 0.25 * length)
        # an atom counts by where it was put and by where it is now: what crossed over is of neither phase
        labels = np.where(
            lower & (place < 0.5 * length), "diamond", np.where(~lower & (place >= 0.5 * length), "liquid", UNKNOWN)
        )
        frames.append((frame, np.where(to_boundary < 7.0, UNKNOWN, labels).astype(object)))
    return frames


def stillinger_weber(seed: int) -> list[tuple[Atoms, np.ndarray]]:
    """Crystal and melt of 64 atoms by Stillinger and Weber's potential."""
    labelled = []
    for kelvin, phase, molten in ((900.0, "diamond", False), (2500.0, "liquid", True)):
        atoms = bulk("Si", cubic=True, a=5.431).repeat(2)
        atoms.calc = atomistic.reference_calculator("stillinger-weber")
        MaxwellBoltzmannDistribution(atoms, temperature_K=2.0 * kelvin, rng=np.random.default_rng(seed))
        if molten:
            list(run(atoms, 8000.0, 150, seed))
        for frame in list(run(atoms, kelvin, 200, seed, every=50))[1:]:
            labelled.append((frame, np.array([phase] * len(frame), dtype=object)))
    return labelled


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=8, help="simulations of each phase to learn from")
    parser.add_argument("--cells", type=int, default=3, help="edge of the molten cell, in cubic cells")
    parser.add_argument("--seed", type=int, default=0, help="of all random numbers")
    parser.add_argument("--picture", type=Path, default=Path("structure.png"))
    options = parser.parse_args()
    warnings.simplefilter("ignore", UnfamiliarAtomsWarning)  # counted below

    data = ase.io.read(DATA, ":")
    known = [atoms for atoms in data if atoms.info["split"] == "train"]
    potential = atomistic.fit_linear(known, atomistic.BodyOrdered((14,)))
    examples = [(f"dft {k}", *one) for k, one in enumerate(dft_examples(known))]
    examples += simulated(potential, options.runs, options.seed)
    sources, structures, labels = zip(*examples, strict=True)
    descriptors = atomistic.BodyOrdered((14,), cutoff=5.5, angular_cutoff=5.0, radial=8, angular=5, degree=4)
    classifier = AtomClassifier.fit(
        structures, labels, descriptors, sources=sources, classes=CLASSES, seed=options.seed
    )
    fit = classifier.fits[14]
    count = len(set(sources))
    print(
        f"{len(structures)} structures of {count} sources, {len(fit.held_out)} atoms, {descriptors.count(14)} descriptors; "
        f"prior width {fit.width}, temperature {fit.classifier.temperature:.3f}\n\nheld-out sources, as fitted\n{fit.uncalibrated}\n\n"
        f"with the temperature\n{fit.calibrated}\n"
    )

    print("DFT structures of the test split")
    dft = examined(classifier, list(dft_examples([atoms for atoms in data if atoms.info["split"] == "test"])))

    seed = options.seed + 1000
    kelvins, frames, phases = melt_and_quench(potential, options.cells, seed)
    print("a crystal heated, molten and quenched: frames whose phase is known")
    trajectory = examined(
        classifier,
        [(frame, np.array([phase] * len(frame), dtype=object)) for frame, phase in zip(frames, phases, strict=True)],
    )
    print("crystal beside melt, 7 A from the boundary and more")
    beside = coexistence(potential, options.cells, seed)
    two_phases = examined(classifier, beside)
    print("slabs of (100) and (111), by depth")
    hot = []
    for k, face in enumerate(("100", "111")):
        atoms = start(slab(face, 4, 12), potential, 600.0, seed + k)
        hot += [(frame, by_depth(frame)) for frame in list(run(atoms, 600.0, 600, seed + k, every=200))]
    slabs = examined(classifier, hot)

    print("crystal and melt of Stillinger and Weber")
    other = examined(classifier, stillinger_weber(seed))

    draw(classifier, (kelvins, frames, phases), beside[-1], options.picture)
    assert fit.calibrated.log_loss <= fit.uncalibrated.log_loss and fit.calibrated.calibration_error < 0.04
    assert dft.accuracy > 0.9 and trajectory.accuracy > 0.9 and two_phases.accuracy > 0.85
    assert slabs.accuracy > 0.95 and other.accuracy > 0.8


def draw(
    classifier: AtomClassifier,
    trajectory: tuple[list[float], list[Atoms], list[str]],
    beside: tuple[Atoms, np.ndarray],
    path: Path,
) -> None:
    """Reliability of the held-out atoms, phases along the trajectory, the cell of two phases."""
    figure, panels = plt.subplot_mosaic(
        [["reliability", "trajectory"], ["cell", "cell"]],
        figsize=(10, 7.5),
        width_ratios=(1, 1.6),
        height_ratios=(1.2, 1),
        layout="constrained",
    )
    left, middle, below = panels["reliability"], panels["trajectory"], panels["cell"]
    fit = classifier.fits[14]
    left.plot([0, 1], [0, 1], color="0.7", linewidth=1)
    for name, one, marker in (
        ("T = 1", fit.uncalibrated, "s"),
        (f"T = {fit.classifier.temperature:.2f}", fit.calibrated, "o"),
    ):
        (line,) = left.plot(one.confidence, one.accuracy_of_bin, label=f"{name}, ECE {one.calibration_error:.4f}")
        left.scatter(
            one.confidence, one.accuracy_of_bin, 4.0 * np.sqrt(one.count), marker=marker, color=line.get_color()
        )
    left.set(
        xlabel="confidence",
        ylabel="accuracy",
        title="held-out structures",
        xlim=(0.2, 1.03),
        ylim=(0.0, 1.05),
    )
    left.legend(loc="upper left")

    kelvins, frames, phases = trajectory
    time = TIMESTEP * 1e-3 * 100 * np.arange(1, len(frames) + 1)
    shares = np.array([classifier.classify(frame).probabilities.mean(0) for frame in frames])
    for k, name in enumerate(classifier.classes):
        middle.plot(time, shares[:, k], color=COLOURS[name], label=name)
    for phase in ("diamond", "liquid", "amorphous"):
        inside = time[[one == phase for one in phases]]
        middle.axvspan(inside[0], inside[-1], color=COLOURS[phase], alpha=0.15)
    middle.set(
        xlabel="time (ps)", ylabel="mean probability of the atoms", ylim=(0, 1.02), title="heated, molten, quenched"
    )
    middle.legend(loc="center", fontsize=8)
    hotness = middle.twinx()
    hotness.plot(time, kelvins, color="0.5", linestyle=":", linewidth=1)
    hotness.set(ylabel="temperature set (K), dotted", ylim=(0, 5500))

    atoms, _ = beside
    found = classifier.classify(atoms)
    wrapped = atoms.get_positions(wrap=True)
    for name in classifier.classes:
        own = found.labels == name
        if own.any():
            below.scatter(wrapped[own, 2], wrapped[own, 0], s=18, color=COLOURS[name], label=f"{name} {own.sum()}")
    below.axvline(0.5 * atoms.cell[2, 2], color="0.3", linestyle="--", linewidth=1)
    below.set(
        xlabel="z (Å)",
        ylabel="x (Å)",
        title="left of the line held crystalline, right of it molten; then all moved for 0.8 ps",
        aspect="equal",
    )
    below.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    figure.savefig(path, dpi=90)


if __name__ == "__main__":
    main()
