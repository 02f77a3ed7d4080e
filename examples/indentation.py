"""A nearly incompressible block pressed to less than a third of its height: Reese's test, a quarter of it, p/p0 up to 80.

python examples/indentation.py, or mpiexec -n 2 python examples/indentation.py
"""

from mpi4py import MPI  # isort: skip

import dolfinx
import numpy as np

import fem
from fem.laws import SplitNeoHooke

CELLS, MU, POISSON = 4, 80.194, 0.4999
block = dolfinx.mesh.create_unit_cube(MPI.COMM_WORLD, *3 * [CELLS], dolfinx.mesh.CellType.hexahedron)
planes = {"x = 0": (0, 0.0), "y = 0": (1, 0.0), "bottom": (2, 0.0), "top": (2, 1.0)}
markers = {name: (lambda X, i=i, x=x: np.isclose(X[i], x)) for name, (i, x) in planes.items()}
markers["pressed"] = lambda X: np.isclose(X[2], 1.0) & (X[0] < 0.5 + 1e-9) & (X[1] < 0.5 + 1e-9)

kappa = 2.0 * MU * (1.0 + POISSON) / (3.0 * (1.0 - 2.0 * POISSON))
body = fem.Solid(fem.Mesh.of(block, markers), SplitNeoHooke(MU, kappa, "quadratic"), formulation="mixed")
for plane in ("x = 0", "y = 0", "bottom"):
    body.symmetry(plane)
body.prescribe("top", (0.0, 0.0, None))
body.traction("pressed", (0.0, 0.0, -4.0 * 80.0))
body.watch("centre", (0.0, 0.0, 1.0))
solution = body.solve(first_step=0.1, checkpoint="indentation.h5")

pressure = [0.0, *(80.0 * step.load_factor for step in solution.steps)]
compression = [0.0, *(-100.0 * step.probes["centre"][2] for step in solution.steps)]
assert abs(np.interp(60.0, pressure, compression) - 58.6) < 0.9  # published: 58.6 % at p/p0 = 60
solution.write_curve("indentation.csv")
solution.plot("indentation.png", "displacement")
if MPI.COMM_WORLD.rank == 0:
    print(
        f"compression {compression[-1]:.2f} % at p/p0 = 80, {len(solution.steps)} steps, {solution.iterations} iterations"
    )
