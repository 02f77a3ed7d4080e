"""A polycrystal of copper: Voronoi grains meshed by gmsh, one law and a rotation of each grain.

Affine displacements of the boundary make the aggregate too stiff, uniform tractions too soft, each in a layer one grain deep: averaged over
realisations they approach the shear modulus from both sides as the share of that layer does, grains^(-1/3). Straight lines through them
end in the window of Hashin and Shtrikman, 45.96 to 49.45 GPa.

python examples/polycrystal.py [grains ...], or mpiexec -n 2 python examples/polycrystal.py 8 27 64 125 (the published figures);
draws polycrystal.png, polycrystal_bounds.png and .csv
"""

import sys
from pathlib import Path

from mpi4py import MPI  # isort: skip

import gmsh
import matplotlib.pyplot as plt
import numpy as np
from scipy.spatial import Voronoi
from scipy.spatial.transform import Rotation

import fem
from fem.laws import SaintVenantKirchhoff

COMM = MPI.COMM_WORLD
COPPER = SaintVenantKirchhoff.cubic(168.4, 121.4, 75.4)
WINDOW = (45.96, 49.45)
SMALL = 1e-5
# five orthonormal shears: every strain which keeps the volume is one of their sums
SHEARS = np.zeros((5, 3, 3))
for k, (i, j) in enumerate(((1, 2), (0, 2), (0, 1))):
    SHEARS[k, i, j] = SHEARS[k, j, i] = np.sqrt(0.5)
SHEARS[3], SHEARS[4] = np.diag([1.0, -1.0, 0.0]) / np.sqrt(2.0), np.diag([1.0, 1.0, -2.0]) / np.sqrt(6.0)
SIDES = {f"{'xyz'[i]} = {x:g}": (i, x) for i in range(3) for x in (0.0, 1.0)}


def spread_seeds(grains: int, random: np.random.Generator) -> np.ndarray:
    """Random points of the unit cube, none much closer to another than in a lattice: grains of similar size."""
    seeds: list[np.ndarray] = []
    while len(seeds) < grains:
        point = random.uniform(size=3)
        if all(np.linalg.norm(point - other) > 0.6 * grains ** (-1.0 / 3.0) for other in seeds):
            seeds.append(point)
    return np.array(seeds)


def mesh_grains(seeds: np.ndarray, path: Path) -> None:
    """Voronoi cells of the seeds in the unit cube, as named volumes which share their faces."""
    # mirrored in the sides of the cube, the seeds have cells which end at the sides
    mirrored = [np.where(np.arange(3) == i, 2.0 * x - seeds, seeds) for i, x in SIDES.values()]
    diagram = Voronoi(np.concatenate([seeds, *mirrored]))
    rounded = np.round(diagram.vertices, 6)
    gmsh.initialize(interruptible=False)
    gmsh.option.setNumber("General.Verbosity", 0)
    geo = gmsh.model.geo
    points: dict[tuple[float, ...], int] = {}
    lines: dict[tuple[int, int], int] = {}
    faces: list[list[int]] = [[] for _ in seeds]
    for owners, corners in zip(diagram.ridge_points, diagram.ridge_vertices, strict=True):
        grains = [int(owner) for owner in owners if owner < len(seeds)]
        if not grains:
            continue
        ring = []
        for x in rounded[corners]:
            key = tuple(np.abs(x))
            ring.append(points.setdefault(key, points.get(key) or geo.addPoint(*key)))
        ring = [a for a, b in zip(ring, [*ring[1:], ring[0]], strict=True) if a != b]
        if len(ring) < 3:
            continue
        loop = []
        for a, b in zip(ring, [*ring[1:], ring[0]], strict=True):
            if (b, a) in lines:
                loop.append(-lines[b, a])
            else:
                loop.append(lines.setdefault((a, b), lines.get((a, b)) or geo.addLine(a, b)))
        face = geo.addPlaneSurface([geo.addCurveLoop(loop)])
        for grain in grains:
            faces[grain].append(face)
    volumes = [geo.addVolume([geo.addSurfaceLoop(around)]) for around in faces]
    geo.synchronize()
    for number, volume in enumerate(volumes):
        gmsh.model.addPhysicalGroup(3, [volume], name=f"grain {number}")
    size = 0.6 * len(seeds) ** (-1.0 / 3.0)  # half of it lowers both moduli by 0.13 GPa
    gmsh.option.setNumber("Mesh.MeshSizeMin", size)
    gmsh.option.setNumber("Mesh.MeshSizeMax", size)
    gmsh.model.mesh.generate(3)
    gmsh.write(str(path))
    gmsh.finalize()


def shear_moduli(mesh: fem.Mesh, rotations: np.ndarray) -> tuple[float, float, fem.Solution]:
    """By affine displacements and by uniform tractions, each averaged over the five shears."""
    orientation = {f"grain {number}": R for number, R in enumerate(rotations)}
    stiffness = compliance = 0.0
    for shear in SHEARS:
        affine = fem.Solid(mesh, COPPER, orientation=orientation)
        for side in SIDES:
            affine.prescribe(side, lambda X, shear=shear: SMALL * shear @ X)
        # one Newton step is all there is to such small strains
        held = affine.solve(progress=None, tolerance=1e-4, stable=False)
        stiffness += np.sum(shear * mean(held, held.at_quadrature().response.first_piola)) / SMALL

        pulled = fem.Solid(mesh, COPPER, orientation=orientation)
        for side, (axis, x) in SIDES.items():
            pulled.traction(side, (100.0 * SMALL * shear[:, axis] * (2.0 * x - 1.0)).tolist())
            pulled.foundation(side, normal=1e-5, tangential=1e-5)  # against drifting away, a millionth of the body
        free = pulled.solve(progress=None, tolerance=1e-4, stable=False)
        strain = mean(free, free.at_quadrature().deformation_gradient - np.eye(3))
        compliance += np.sum(shear * strain) / (100.0 * SMALL)
    return stiffness / 10.0, 5.0 / (2.0 * compliance), held


def mean(solution: fem.Solution, field: np.ndarray) -> np.ndarray:
    """Over the unit cube."""
    return np.asarray(COMM.allreduce(np.einsum("n,nij->ij", solution.at_quadrature().weight, field)))


def lines(rows: np.ndarray) -> np.ndarray:
    """Moduli of tractions and of displacements as a + b grains^(-1/3): least squares, large aggregates scatter less."""
    grains, realisations = rows[:, 0], rows[:, 1]
    weight = np.sqrt(grains * realisations)[:, None]
    basis = np.column_stack([np.ones_like(grains), grains ** (-1.0 / 3.0)])
    return np.linalg.lstsq(weight * basis, weight * rows[:, 2:4], rcond=None)[0]


def draw(rows: np.ndarray) -> None:
    figure, axes = plt.subplots(figsize=(6.0, 4.0), layout="constrained")
    x, to_zero = rows[:, 0] ** (-1.0 / 3.0), np.array([0.0, 0.53])
    axes.axhspan(*WINDOW, color="0.9", label="Hashin and Shtrikman")
    for k, (name, colour) in enumerate((("uniform tractions", "tab:blue"), ("affine displacements", "tab:red"))):
        axes.errorbar(x, rows[:, 2 + k], rows[:, 4 + k], fmt="o", color=colour, label=name, capsize=3)
        a, b = lines(rows)[:, k]
        axes.plot(to_zero, a + b * to_zero, "--", color=colour)
    axes.set_xticks(x, [f"{grains:.0f}" for grains in rows[:, 0]])
    axes.set(xlabel="grains, at their number to the power -1/3", ylabel="shear modulus, GPa", xlim=to_zero)
    axes.legend()
    figure.savefig("polycrystal_bounds.png", dpi=150)


def main(counts: list[int]) -> None:
    rows = []
    for grains in counts:
        found = []
        realisations = max(2, 100 // grains)
        for seed in range(realisations):
            random = np.random.default_rng([grains, seed])
            path = Path(f"polycrystal-{grains}-{seed}.msh")
            seeds, rotations = spread_seeds(grains, random), Rotation.random(grains, random).as_matrix()
            if COMM.rank == 0:
                mesh_grains(seeds, path)
            COMM.barrier()
            mesh = fem.read_mesh(path)
            mesh = fem.Mesh(mesh.domain, fem.Mesh.of(mesh.domain, _markers()).surfaces, mesh.volumes)
            stiff, soft, solution = shear_moduli(mesh, rotations)
            assert soft < stiff  # the same aggregate, bounded from both sides
            found.append((soft, stiff))
        errors = np.std(found, axis=0, ddof=1) / np.sqrt(realisations)
        rows.append((grains, realisations, *np.mean(found, axis=0), *errors))
        if COMM.rank == 0:
            means = " and ".join(f"{m:.2f} +- {e:.2f}" for m, e in zip(rows[-1][2:4], errors, strict=True))
            print(f"{grains} grains, {realisations} times: shear modulus between {means} GPa", flush=True)
    table = np.array(rows)
    assert np.all(np.diff(table[:, 2]) > 0.0) and np.all(np.diff(table[:, 3]) < 0.0)
    assert all(40.0 < row[2] < WINDOW[1] and WINDOW[0] < row[3] < 54.7 for row in rows)  # Reuss and Voigt outside
    solution.plot("polycrystal.png", "stress", unit="GPa", magnify=0.1 / SMALL)
    if len(counts) > 2:
        soft, stiff = lines(table)[0]
        # what a straight line cannot follow is a quarter of a GPa
        assert WINDOW[0] - 0.25 < soft < stiff < WINDOW[1] + 0.25
        if COMM.rank == 0:
            print(f"without a surface: between {soft:.2f} and {stiff:.2f} GPa; Hashin and Shtrikman {WINDOW}")
    if COMM.rank == 0:
        draw(table)
        header = "grains,realisations,traction_GPa,affine_GPa,traction_error_GPa,affine_error_GPa"
        np.savetxt("polycrystal.csv", table, delimiter=",", header=header, fmt="%g")


def _markers() -> dict[str, object]:
    return {side: (lambda X, i=i, x=x: np.isclose(X[i], x, atol=1e-6)) for side, (i, x) in SIDES.items()}


if __name__ == "__main__":
    main([int(argument) for argument in sys.argv[1:] if argument.isdigit()] or [8, 27, 64])
