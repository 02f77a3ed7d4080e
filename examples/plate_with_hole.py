"""A hole in a sheet of copper pulled along [100], in plane stress: at the hole the stress is Lekhnitskii's 2.43 times the load.

python examples/plate_with_hole.py, or mpiexec -n 2 python examples/plate_with_hole.py
"""

from mpi4py import MPI  # isort: skip

import gmsh
import numpy as np

import fem
from fem.laws import SaintVenantKirchhoff

comm = MPI.COMM_WORLD
if comm.rank == 0:  # a quarter of the sheet: half side 12, radius 1; curved triangles, small at the hole
    gmsh.initialize(interruptible=False)
    gmsh.option.setNumber("General.Verbosity", 0)
    draw = gmsh.model.occ
    draw.cut([(2, draw.addRectangle(0, 0, 0, 12, 12))], [(2, draw.addDisk(0, 0, 0, 1, 1))])
    draw.synchronize()
    gmsh.model.addPhysicalGroup(2, [1], name="sheet")
    for name, box in {"left": (0, 0, 0, 12), "bottom": (0, 0, 12, 0), "right": (12, 0, 12, 12)}.items():
        lines = gmsh.model.getEntitiesInBoundingBox(*np.array([*box[:2], 0]) - 1e-3, *np.array([*box[2:], 0]) + 1e-3, 1)
        gmsh.model.addPhysicalGroup(1, [line for _, line in lines], name=name)
    field = gmsh.model.mesh.field.add("MathEval")
    gmsh.model.mesh.field.setString(field, "F", "0.05 + 0.25 * (sqrt(x*x + y*y) - 1)")
    gmsh.model.mesh.field.setAsBackgroundMesh(field)
    gmsh.model.mesh.generate(2)
    gmsh.model.mesh.setOrder(2)
    gmsh.write("plate_with_hole.msh")
    gmsh.finalize()
comm.barrier()

body = fem.Solid(
    fem.read_mesh("plate_with_hole.msh"), SaintVenantKirchhoff.cubic(168.4, 121.4, 75.4), kind="plane_stress"
)
body.symmetry("left")
body.symmetry("bottom")
body.traction("right", (1e-3, 0.0))
solution = body.solve()

points = solution.at_quadrature()
at_hole = np.where(np.hypot(*points.position.T) < 1.02, points.cauchy_stress[:, 0, 0], 0.0).max(initial=0.0)
concentration = comm.allreduce(at_hole, MPI.MAX) / 1e-3
assert abs(concentration - 2.4306) < 0.05
solution.plot("plate_with_hole.png", "stress", unit="GPa", magnify=1000.0)
if comm.rank == 0:
    print(f"the stress at the hole is {concentration:.3f} times the load")
