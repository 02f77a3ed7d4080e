"""Cook's membrane at Poisson's ratio 0.4999: the displacement form locks, the mixed form does not.

python examples/cooks_membrane.py, or mpiexec -n 2 python examples/cooks_membrane.py
"""

from mpi4py import MPI  # isort: skip

import dolfinx
import numpy as np

import fem
from fem.laws import SplitNeoHooke

E, POISSON = 240.565, 0.4999
rubber = SplitNeoHooke(E / 2 / (1 + POISSON), E / 3 / (1 - 2 * POISSON), "logarithmic")
panel = dolfinx.mesh.create_unit_square(MPI.COMM_WORLD, 8, 8, dolfinx.mesh.CellType.quadrilateral)
X = panel.geometry.x
xi, eta = X[:, 0].copy(), X[:, 1].copy()
X[:, 0], X[:, 1] = 48.0 * xi, 44.0 * xi + eta * (44.0 - 28.0 * xi)
mesh = fem.Mesh.of(panel, {"wall": lambda X: np.isclose(X[0], 0.0), "tip": lambda X: np.isclose(X[0], 48.0)})

deflection = {}
for formulation, degree in (("displacement", 1), ("displacement", 2), ("mixed", 1), ("mixed", 2)):
    body = fem.Solid(mesh, rubber, degree=degree, formulation=formulation)
    body.clamp("wall")
    body.traction("tip", (0.0, 100.0 / 16.0))
    solution = body.solve(load_steps=4)
    deflection[formulation, degree] = solution.probe([48.0, 60.0])[0, 1]

assert abs(deflection["mixed", 2] - 6.9) < 0.05  # literature: about 6.9 mm
assert deflection["displacement", 1] < 2.5 < 6.0 < deflection["mixed", 1]
solution.plot("cooks_membrane.png", "stress", unit="MPa")
if MPI.COMM_WORLD.rank == 0:
    print(", ".join(f"{form} Q{k} {u:.3f} mm" for (form, k), u in deflection.items()))
