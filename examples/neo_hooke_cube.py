"""The hyperelastic cube of libCEED's solid mechanics example: its strain energy is a published reference.

python examples/neo_hooke_cube.py, or mpiexec -n 2 python examples/neo_hooke_cube.py
"""

from mpi4py import MPI  # isort: skip

import dolfinx
import numpy as np

import fem
from fem.laws import NeoHooke

cube = dolfinx.mesh.create_unit_cube(MPI.COMM_WORLD, 2, 2, 2, dolfinx.mesh.CellType.hexahedron)
mesh = fem.Mesh.of(cube, {"left": lambda X: np.isclose(X[0], 0.0), "right": lambda X: np.isclose(X[0], 1.0)})

body = fem.Solid(mesh, NeoHooke.from_young(2.8, 0.4), degree=2, quadrature_degree=4)
body.clamp("left")
body.traction("right", (0.0, 0.0, -0.5))
solution = body.solve(load_steps=5)

assert abs(solution.energy - 0.2124627916174) < 1e-9
if MPI.COMM_WORLD.rank == 0:
    print(f"strain energy {solution.energy:.13f}, {solution.iterations} Newton iterations")
