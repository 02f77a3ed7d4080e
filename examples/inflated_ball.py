"""A thick ball of nearly incompressible rubber inflated from within, in its cross-section: axisymmetric, mixed form, closed form.

python examples/inflated_ball.py, or mpiexec -n 2 python examples/inflated_ball.py
"""

from mpi4py import MPI  # isort: skip

import dolfinx
import numpy as np

import fem
from fem.laws import SplitNeoHooke

# a quarter of the cross-section: radii 1 to 1.5, the axis of revolution is y
quarter = dolfinx.mesh.create_unit_square(MPI.COMM_WORLD, 6, 16, dolfinx.mesh.CellType.quadrilateral)
X = quarter.geometry.x
radius, angle = 1.0 + 0.5 * X[:, 0], 0.5 * np.pi * X[:, 1]
X[:, 0], X[:, 1] = radius * np.cos(angle), radius * np.sin(angle)
X[np.abs(X) < 1e-12] = 0.0
mesh = fem.Mesh.of(
    quarter, {"inside": lambda X: np.hypot(X[0], X[1]) < 1.0 + 1e-9, "equator": lambda X: np.isclose(X[1], 0.0)}
)

mu, pressure = 1.0, 0.45
body = fem.Solid(mesh, SplitNeoHooke(mu, 2e3 * mu), kind="axisymmetric", formulation="mixed")
body.symmetry("equator")
body.pressure("inside", pressure)
solution = body.solve(load_steps=5)

stretch_a = 1.0 + solution.probe([1.0, 0.0])[0, 0]
stretch_b = ((1.5**3 + stretch_a**3 - 1.0) / 1.5**3) ** (1.0 / 3.0)
exact = 0.5 * mu * (4.0 / stretch_b + stretch_b**-4 - 4.0 / stretch_a - stretch_a**-4)
assert abs(exact / pressure - 1.0) < 0.005
solution.plot("inflated_ball.png", "stress")
if MPI.COMM_WORLD.rank == 0:
    print(f"stretch {stretch_a:.4f} at the inner wall; the incompressible ball has it at a pressure of {exact:.4f}")
