"""A rubber bar twisted by four turns and pulled to one and a half of its length, from one first step.

python examples/twisted_bar.py, or mpiexec -n 2 python examples/twisted_bar.py
"""

from mpi4py import MPI  # isort: skip

import dolfinx
import numpy as np

import fem
from fem.laws import NeoHooke

bar = dolfinx.mesh.create_box(
    MPI.COMM_WORLD, [[0.0, -0.5, -0.5], [6.0, 0.5, 0.5]], [20, 2, 2], dolfinx.mesh.CellType.hexahedron
)
mesh = fem.Mesh.of(bar, {"left": lambda X: np.isclose(X[0], 0.0), "right": lambda X: np.isclose(X[0], 6.0)})

body = fem.Solid(mesh, NeoHooke.from_young(2.8, 0.4))
body.clamp("left")
body.rotate("right", 8.0 * np.pi, axis=(1.0, 0.0, 0.0), along=3.0)
body.watch("corner", (6.0, 0.5, 0.5))
solution = body.solve(first_step=0.02, checkpoint="twisted_bar.h5")

assert np.allclose(solution.steps[-1].probes["corner"], (3.0, 0.0, 0.0), atol=1e-9)  # four turns, and it is back
assert not any(step.cut_backs for step in solution.steps)
torque, pull = solution.moment("right")[0], solution.resultant("right")[0]
assert abs(torque - 0.397) < 1e-3 and abs(pull - 0.596) < 1e-3  # on this mesh
solution.plot("twisted_bar.png", "stress")
if MPI.COMM_WORLD.rank == 0:
    print(f"torque {torque:.4f}, pull {pull:.4f}, {len(solution.steps)} steps, {solution.iterations} iterations")
