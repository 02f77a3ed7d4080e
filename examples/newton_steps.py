"""Second derivatives at work: silicon by Stillinger and Weber relaxed by Newton steps with a learned Hessian, against ASE's LBFGS.

A potential is fitted to clusters and defects without and with Hessian labels. On others: the error of its Hessian, the quality of the step
-H^-1 g with the reference's gradient, the force calls of the reference to 1e-6 eV/A, and transition states.

python examples/newton_steps.py [--starts 2] [--training 3] [--seed 0] [--picture newton_steps.png]
"""

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.calculators.calculator import Calculator, all_changes
from ase.optimize import LBFGS
from matplotlib import pyplot as plt

import atomistic
from atomistic.newton import Newton, hessian_of, label_hessian, learn_hessians, reference_hessian, step_quality

FMAX = 1e-6
DEFECTS = ("vacancy", "divacancy", "interstitial")
SIZES = (7, 9, 11, 13)


class Counted(Calculator):
    """Stillinger and Weber's silicon, each force call counted."""

    implemented_properties = ("energy", "free_energy", "forces", "stress")

    def __init__(self) -> None:
        super().__init__()
        self.calculator, self.calls = atomistic.reference_calculator("stillinger-weber"), 0

    def calculate(self, atoms: Any = None, properties: Any = None, system_changes: Any = all_changes) -> None:
        super().calculate(atoms, properties, system_changes)
        self.calculator.calculate(self.atoms, ["energy", "forces", "stress"], all_changes)
        self.results, self.calls = dict(self.calculator.results), self.calls + 1


def cluster(size: int, generator: np.random.Generator) -> Atoms:
    """Points at random in a ball, 2.1 A apart or more."""
    radius = 0.85 * (3.0 * size / (4.0 * np.pi * 0.05)) ** (1 / 3)
    points: list[np.ndarray] = []
    while len(points) < size:
        point = generator.uniform(-radius, radius, 3)
        if np.linalg.norm(point) < radius and all(np.linalg.norm(point - other) > 2.1 for other in points):
            points.append(point)
    atoms = Atoms(f"Si{size}", positions=points, info={"stress_weight": 0.0})
    atoms.center(vacuum=6.0)
    return atoms


def defect(kind: str, rattle: float, generator: np.random.Generator) -> Atoms:
    """A defect in 64 sites, all atoms displaced at random."""
    atoms = bulk("Si", a=5.431, cubic=True).repeat(2)
    if kind == "interstitial":
        atoms += Atoms("Si", positions=[[2.7155, 2.7155, 2.7155]])
    else:
        neighbour = int(np.argsort(atoms.get_distances(10, range(64), mic=True))[1])
        del atoms[[10, neighbour] if kind == "divacancy" else [10]]
    atoms.positions += generator.normal(0.0, rattle, atoms.positions.shape)
    return atoms


def relaxed(atoms: Atoms, calculator: Calculator, fmax: float, optimiser: Any = LBFGS, **settings: Any) -> Atoms:
    """A relaxed copy."""
    atoms = atoms.copy()
    atoms.calc = calculator
    optimiser(atoms, logfile=None, **settings).run(fmax=fmax, steps=1000)
    return atoms


def training_set(count: int, calculator: Calculator, generator: np.random.Generator) -> list[Atoms]:
    """Clusters of 6 to 13 atoms half relaxed and near minima, defects rattled; labelled."""
    structures = []
    for size in range(6, 14):
        for _ in range(count):
            rough = relaxed(cluster(size, generator), calculator, 0.5)
            near = relaxed(rough, calculator, 0.01)
            rough.positions += generator.normal(0.0, 0.05, rough.positions.shape)
            near.positions += generator.normal(0.0, 0.05, near.positions.shape)
            structures += [rough, near]
    structures += [defect(kind, r, generator) for kind in DEFECTS for r in np.linspace(0.03, 0.12, count + 1)]
    return [atomistic.label(atoms, calculator) for atoms in structures]


def rms(array: Any) -> float:
    return float(np.sqrt(np.mean(np.square(array))))


class Clocked:
    """A Hessian and the time that it took so far."""

    def __init__(self, hessian: Callable[[Atoms], Any]) -> None:
        self.hessian, self.seconds = hessian, 0.0

    def __call__(self, atoms: Atoms) -> Any:
        began = time.process_time()
        found = self.hessian(atoms)
        self.seconds += time.process_time() - began
        return found


def relaxation(atoms: Atoms, make: Callable[[Atoms], Any]) -> dict[str, Any]:
    """Force calls of the reference, largest force at each, time, energy reached."""
    atoms = atoms.copy()
    atoms.calc = Counted()
    forces: list[float] = []
    before = sum(hessian.seconds for hessian in hessians.values())
    started = time.process_time()
    optimiser = make(atoms)
    optimiser.attach(lambda: forces.append(float(np.linalg.norm(atoms.get_forces(), axis=1).max())))
    done = optimiser.run(fmax=FMAX, steps=1000)
    return {
        "calls": atoms.calc.calls,
        "done": done,
        "forces": forces,
        "seconds": time.process_time() - started,
        "hessians": getattr(optimiser, "hessians", 0),
        "hessian seconds": sum(hessian.seconds for hessian in hessians.values()) - before,
        "indefinite": getattr(optimiser, "indefinite", 0),
        "energy": atoms.get_potential_energy(),
    }


def told(run: dict[str, Any] | None) -> str:
    """Force calls, marked where the forces did not get small."""
    return "-" if run is None else f"{run['calls']}{'' if run['done'] else '!'}"


hessians: dict[str, Clocked] = {}
parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--starts", type=int, default=2, help="structures of each size or kind that are relaxed")
parser.add_argument("--training", type=int, default=3, help="training clusters of each size, and defects of each kind")
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--picture", default="newton_steps.png")
options = parser.parse_args()

# --- potentials without and with Hessian labels
counted = Counted()
training = training_set(options.training, counted, np.random.default_rng([options.seed, 0]))
label_calls = counted.calls
settings = atomistic.TrainingSettings(energy_error=1e-3, force_error=3e-3, stress_error=0.1)
descriptors = atomistic.BodyOrdered((14,), cutoff=4.0, angular_cutoff=4.0, radial=12, angular=8, degree=3)
started = time.process_time()
fit = atomistic.fit_gaussians(
    training, settings, centres=400, length=3.0, amplitudes=(1.0, 10.0, 100.0), slope=1.0, descriptors=descriptors
)
fitted = time.process_time()
directions = [4 if len(atoms) < 20 else 2 for atoms in training]
labels = [
    label_hessian(atoms, counted, k, seed=s) for s, (atoms, k) in enumerate(zip(training, directions, strict=True))
]
taught = learn_hessians(fit.posterior, labels, error=0.03)
potentials = {"without": fit.potential, "with": taught.potential}
print(
    f"{len(training)} structures: {label_calls} force calls to make and label them, {fitted - started:.0f} s to fit; "
    f"{sum(directions)} Hessian-vector labels: {counted.calls - label_calls} calls, {time.process_time() - fitted:.0f} s\n"
)

# --- errors of the Hessians, quality of the steps
generator = np.random.default_rng([options.seed, 1])
reference = Counted()
minima = {
    "clusters": [relaxed(cluster(size, generator), reference, 1e-3) for size in SIZES for _ in range(options.starts)],
    "defects": [relaxed(defect(kind, 0.02, generator), reference, 1e-3) for kind in DEFECTS],
}
print("held-out structures, atoms displaced by 0.03 A (standard deviation) from minima")
print(
    f"{'':<10}{'Hessian labels':<16}{'RMSE of H (eV/A^2)':>20}{'of |H|':>9}{'quality of -H^-1 g: median, 5 %, 95 %':>42}"
)
qualities: dict[str, list[float]] = {"without": [], "with": []}
errors: dict[tuple[str, str], float] = {}
shifted = steps = 0
for kind, structures in minima.items():
    displaced = []
    for atoms in structures:
        for _ in range(4 if kind == "clusters" else 1):
            displaced.append(atoms.copy())
            displaced[-1].positions += generator.normal(0.0, 0.03, atoms.positions.shape)
    exact = [reference_hessian(atoms, reference) for atoms in displaced]
    size = rms(np.concatenate([H.ravel() for H in exact]))
    for name, potential in potentials.items():
        learned = [atomistic.hessian(potential, atoms) for atoms in displaced]
        errors[kind, name] = rms(np.concatenate([(a - b).ravel() for a, b in zip(learned, exact, strict=True)]))
        found = [step_quality(atoms, reference, a, b) for atoms, a, b in zip(displaced, learned, exact, strict=True)]
        own = [one.quality for one in found]
        qualities[name] += own
        shifted, steps = shifted + sum(not one.definite for one in found), steps + len(found)
        low, middle, high = np.percentile(own, (5, 50, 95))
        share = 100 * errors[kind, name] / size
        print(f"{kind:<10}{name:<16}{errors[kind, name]:>20.3f}{share:>7.1f} %{middle:>26.4f}{low:>8.3f}{high:>8.3f}")
print(f"in {shifted} of {steps} a Hessian was not positive definite or a step too long: both were trust-region steps\n")

# --- force calls
potential = potentials["with"]
hessians["exact"] = Clocked(lambda atoms: reference_hessian(atoms, Counted()))
hessians["with"] = Clocked(hessian_of(potential))
hessians["without"] = Clocked(hessian_of(potentials["without"]))
methods: dict[str, Callable[[Atoms], Any]] = {
    "LBFGS": lambda atoms: LBFGS(atoms, logfile=None),
    "exact H": lambda atoms: Newton(atoms, hessians["exact"]),
    "learned H": lambda atoms: Newton(atoms, hessians["with"]),
    "no labels": lambda atoms: Newton(atoms, hessians["without"]),
    "no secants": lambda atoms: Newton(atoms, hessians["with"], secants=0),
}
cases = [(f"Si{size}", cluster(size, generator)) for size in SIZES for _ in range(options.starts)]
cases += [(kind, defect(kind, 0.1, generator)) for kind in DEFECTS for _ in range(options.starts)]
rows = []
print(
    f"force calls of the reference to {FMAX:g} eV/A; 'there' starts from the minimum of the potential, at no call; ! not reached"
)
print(f"{'':<14}" + "".join(f"{name:>12}" for name in methods) + f"{'LBFGS there':>14}{'Newton there':>14}{'same':>6}")
for name, atoms in cases:
    # matscipy's closed-form Hessian is a loop over triplets in Python: of clusters only.
    own = [method for method in methods if method != "exact H" or len(atoms) < 20]
    row = {method: relaxation(atoms, methods[method]) for method in own}
    began = time.process_time()
    there = relaxed(atoms, atomistic.NeuralCalculator(potential), 1e-3)
    seconds = time.process_time() - began
    for method, own in (("LBFGS", "LBFGS there"), ("learned H", "Newton there")):
        row[own] = relaxation(there, methods[method])
        row[own]["seconds"] += seconds
    rows.append((name, row))
    same = all(abs(row[m]["energy"] - row["LBFGS"]["energy"]) < 1e-6 for m in ("learned H", "Newton there"))
    print(
        f"{name:<14}"
        + "".join(f"{told(row.get(m)):>12}" for m in methods)
        + f"{told(row['LBFGS there']):>14}{told(row['Newton there']):>14}{'yes' if same else 'no':>6}"
    )
# Where LBFGS does not arrive there is nothing to divide by: listed above, left out below.
rows = [(name, row) for name, row in rows if row["LBFGS"]["done"]]
calls = {
    method: np.array([(row[method]["calls"], row["LBFGS"]["calls"]) for _, row in rows if method in row]).T
    for method in rows[0][1]
}
print(
    f"\n{'':<14}{'calls: median (5 % to 95 %)':>30}{'of LBFGS':>10}{'<= 1/5':>8}{'Hessians':>10}{'their time':>12}{'all time':>10}"
)
for method, (own, lbfgs) in calls.items():
    share = own / lbfgs
    low, high = np.percentile(own, (5, 95))
    count, *times = (
        sum(row[method][key] for _, row in rows if method in row) for key in ("hessians", "hessian seconds", "seconds")
    )
    print(
        f"{method:<14}{np.median(own):>12.0f} ({low:.0f} to {high:.0f})".ljust(44)
        + f"{own.sum() / lbfgs.sum():>10.3f}{100 * np.mean(share <= 0.2):>6.0f} %"
        + f"{count:>10}{times[0]:>10.1f} s{times[1]:>8.1f} s"
    )
indefinite = sum(row["learned H"]["indefinite"] for _, row in rows)
print(
    f"learned H: {indefinite} of {calls['learned H'][0].sum() - len(rows)} steps where it was not positive definite\n"
)

# --- transition states
print("transition states by partitioned rational functions, from minima displaced along their softest mode")
saddles = []
for atoms in minima["clusters"][:: options.starts]:
    softest = np.linalg.eigh(reference_hessian(atoms, reference))[1][:, 6].reshape(-1, 3)
    start = atoms.copy()
    start.positions += 0.5 * softest
    start.calc = Counted()
    search = Newton(start, hessians["with"], method="rfo", order=1, follow=softest[None])
    done = search.run(fmax=FMAX, steps=200)
    eigenvalues = np.linalg.eigvalsh(reference_hessian(start, reference))
    negative = int((eigenvalues < -1e-3).sum())
    saddles.append((done, negative))
    height = start.get_potential_energy() - atoms.get_potential_energy()
    print(
        f"Si{len(atoms):<4} {start.calc.calls:>4} force calls{'' if done else ', not converged'}, {height:6.3f} eV above the "
        f"minimum, {negative} negative eigenvalue of the reference ({eigenvalues[0]:.2f} eV/A^2)"
    )

# --- picture
shown = {
    "LBFGS": ("LBFGS", "C0", "o"),
    "exact H": ("exact Hessian", "C2", "x"),
    "no secants": ("learned Hessian, no secants", "C4", "^"),
    "learned H": ("learned Hessian", "C1", "o"),
    "Newton there": ("learned, from the potential's minimum", "C3", "s"),
}
figure, (left, middle, right) = plt.subplots(1, 3, figsize=(13.5, 4.0), layout="constrained")
for name, values in qualities.items():
    left.plot(np.sort(values), np.arange(1, len(values) + 1) / len(values), label=f"{name} Hessian labels")
left.axvline(1.0, color="grey", lw=0.8)
left.set(xlabel="energy gained / gained by the exact step", ylabel="share of the structures", xlim=(0.5, 1.1))
left.set_title("quality of $-H^{-1}g$")
left.legend(loc="upper left")
name, row = rows[-1]
for method in ("LBFGS", "no secants", "learned H", "Newton there"):
    forces, (text, colour, _) = row[method]["forces"], shown[method]
    middle.semilogy(np.arange(1, len(forces) + 1), forces, color=colour, marker=".", label=text)
middle.axhline(FMAX, color="grey", lw=0.8)
middle.set(
    xlabel="force calls of the reference", ylabel="largest force (eV/Å)", title=f"{name}, {len(cases[-1][1])} atoms"
)
middle.set_ylim(top=1e4)  # Room for the legend
middle.legend(loc="upper right", fontsize="small")
for method in ("exact H", "learned H", "Newton there"):
    (own, lbfgs), (text, colour, marker) = calls[method], shown[method]
    right.scatter(lbfgs, own, color=colour, marker=marker, label=text, alpha=0.8)
line = np.array([0.0, 1.05 * calls["LBFGS"][0].max()])
right.plot(line, line / 5.0, color="grey", lw=0.8)
right.annotate("one fifth", (0.3 * line[1], 0.3 * line[1] / 5.0), ha="right", va="bottom", color="grey")
right.set(
    xlabel="force calls of LBFGS",
    ylabel="force calls of Newton steps",
    title=f"to {FMAX:g} eV/Å",
    ylim=(0, 0.3 * line[1]),
)
right.legend(loc="upper left")
figure.savefig(options.picture, dpi=100)

assert errors["clusters", "with"] < errors["clusters", "without"]  # Hessian labels pay where structures are few
assert np.median(qualities["with"]) > 0.95
for method, share in (("learned H", 0.8), ("Newton there", 0.9)):
    own, lbfgs = calls[method]
    assert 5 * own.sum() <= lbfgs.sum() and np.mean(5 * own <= lbfgs) >= share
assert all(done and negative == 1 for done, negative in saddles)
