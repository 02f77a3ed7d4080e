"""A shallow arch pushed down at its crown snaps through: the load rises, falls and rises again along one path.

python examples/snap_through.py, or mpiexec -n 2 python examples/snap_through.py
"""

from mpi4py import MPI  # isort: skip

import dolfinx
import numpy as np

import fem
from fem.laws import NeoHooke

RISE, THICKNESS = 0.1, 0.03
half = dolfinx.mesh.create_rectangle(
    MPI.COMM_WORLD, [[0.0, 0.0], [1.0, THICKNESS]], [24, 1], dolfinx.mesh.CellType.quadrilateral
)
half.geometry.x[:, 1] += RISE * 0.5 * (1.0 + np.cos(np.pi * half.geometry.x[:, 0]))
mesh = fem.Mesh.of(half, {"crown": lambda X: np.isclose(X[0], 0.0), "end": lambda X: np.isclose(X[0], 1.0)})

body = fem.Solid(mesh, NeoHooke.from_young(1000.0, 0.3))
body.clamp("end")
body.symmetry("crown")
body.traction("crown", (0.0, -1.0))
body.watch("crown", (0.0, RISE))
solution = body.trace(first_step=0.05, longest_step=0.1)

load = np.array([step.load_factor for step in solution.steps])
turns = 1 + np.flatnonzero(np.diff(np.sign(np.diff(load))))
assert len(turns) == 2 and load[turns[0]] > 0.0 > load[turns[1]]  # it has to be held back before it carries load again
assert load[-1] == 1.0
solution.write_curve("snap_through.csv")
solution.plot("snap_through.png", "stress")
if MPI.COMM_WORLD.rank == 0:
    print(
        f"limit loads {load[turns[0]]:.4f} and {load[turns[1]]:.4f}, {len(load)} steps, {solution.iterations} iterations"
    )
