"""A clamped beam shortened by a tenth: it buckles at Euler's load, in one load step or in many.

python examples/buckled_beam.py, or mpiexec -n 2 python examples/buckled_beam.py
"""

from mpi4py import MPI  # isort: skip

import dolfinx
import numpy as np

import fem
from fem.laws import NeoHooke

THICKNESS, YOUNG, POISSON = 0.05, 1000.0, 0.3
EULER = 4.0 * np.pi**2 * YOUNG / (1.0 - POISSON**2) * THICKNESS**3 / 12.0  # plane strain, length 1, both ends clamped

corners = [[0.0, 0.0], [1.0, THICKNESS]]
beam = dolfinx.mesh.create_rectangle(MPI.COMM_WORLD, corners, [40, 2], dolfinx.mesh.CellType.quadrilateral)
mesh = fem.Mesh.of(beam, {"left": lambda X: np.isclose(X[0], 0.0), "right": lambda X: np.isclose(X[0], 1.0)})

body = fem.Solid(mesh, NeoHooke.from_young(YOUNG, POISSON))
body.clamp("left")
body.prescribe("right", (-0.1, 0.0))
body.body_force((0.0, 1e-3 * EULER / THICKNESS))  # says to which side
body.watch("middle", (0.5, 0.5 * THICKNESS))
solution = body.solve(load_steps=10)

force, deflection = -solution.steps[-1].reactions["right"][0], solution.steps[-1].probes["middle"][1]
# the elastica, shortened by what its compression leaves of the tenth: k^2 = 0.0904, load (2 K / pi)^2, deflection k / K
assert abs(force / EULER - 1.0481) < 0.002
assert abs(deflection - 0.1870) < 0.003
solution.plot("buckled_beam.png", "stress")
if MPI.COMM_WORLD.rank == 0:
    print(f"{force / EULER:.4f} of Euler's load, deflection {deflection:.4f}, {solution.iterations} Newton iterations")
