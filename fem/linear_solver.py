"""Which linear solver a Newton step uses, and what it must be told of the body.

Direct: MUMPS, exact and robust, for plane bodies and for up to 100,000 unknowns in space. Its factors also tell whether
an equilibrium is stable (`fem.stability`). Iterative: conjugate gradients preconditioned by smoothed aggregation (GAMG) with the six rigid
motions as near-nullspace, whose iteration counts hardly grow with the size. Where the tangent is symmetric but not positive definite, past
a buckling load say, conjugate gradients stop, and GMRES goes on with the same preconditioner. An unsymmetric tangent (follower pressure)
has GMRES from the start. Mixed forms, whose tangent is as ill-conditioned as the bulk modulus is large, have displacement and pressure
apart (`fem.block_solver`). Any PETSc option wins over all this.

Measured on a cube of P2 tetrahedra with silicon's constants, four Newton steps, one core of a busy machine, seconds in the linear
solver: 14,739 unknowns 1.4 direct, 1.8 iterative; 46,875 unknowns 10.6 and 8.7; 128,625 unknowns 77 and 35 (3.4 and 0.9 GiB of memory,
19 iterations a step). A slender or thin body needs more iterations than a cube, and MUMPS less time.
"""

from __future__ import annotations

from collections.abc import Mapping

from mpi4py import MPI  # isort: skip  # noqa: F401

from dolfinx import fem as dfem
from petsc4py import PETSc

from fem.rigid_motions import motions_of

LARGEST_DIRECT = 100_000

# LU although the tangent is symmetric: MUMPS' LDL^T does half the operations, but took 0.94 s against 0.80 s at 39,000 and
# 5.0 s against 3.0 s at 85,000 unknowns (one core, MUMPS and OpenBLAS of the dolfinx-solver-real wheel).
DIRECT: Mapping[str, object] = {
    "ksp_type": "preonly",
    "pc_type": "lu",
    "pc_factor_mat_solver_type": "mumps",
}

MULTIGRID: Mapping[str, object] = {
    "ksp_type": "cg",
    "ksp_rtol": 1e-8,
    "ksp_max_it": 500,
    "ksp_norm_type": "unpreconditioned",
    "pc_type": "gamg",
    "pc_gamg_agg_nsmooths": 1,
    "pc_gamg_threshold": 0.01,
    "mg_levels_ksp_type": "chebyshev",
    "mg_levels_pc_type": "sor",
    "mg_levels_ksp_max_it": 2,
}

BLOCK = "block_"
"""Prefix of the options of the two blocks, after the solver's own."""

BLOCKS: Mapping[str, object] = {
    "ksp_type": "python",
    f"{BLOCK}ksp_type": "fgmres",
    f"{BLOCK}ksp_rtol": 1e-8,
    f"{BLOCK}ksp_max_it": 500,
    f"{BLOCK}ksp_gmres_restart": 100,
    f"{BLOCK}pc_type": "fieldsplit",
    f"{BLOCK}pc_fieldsplit_type": "schur",
    f"{BLOCK}pc_fieldsplit_schur_fact_type": "upper",
    f"{BLOCK}pc_fieldsplit_schur_precondition": "user",
    f"{BLOCK}fieldsplit_u_ksp_type": "preonly",
    **{f"{BLOCK}fieldsplit_u_{key}": value for key, value in MULTIGRID.items() if not key.startswith("ksp")},
    f"{BLOCK}fieldsplit_u_mg_levels_ksp_max_it": 4,
    f"{BLOCK}fieldsplit_q_ksp_type": "preonly",
    f"{BLOCK}fieldsplit_q_pc_type": "jacobi",
}


def solver_options(space: dfem.FunctionSpace, *, symmetric: bool, mixed: bool = False) -> dict[str, object]:
    """PETSc options of the KSP for a body with that many unknowns in that many dimensions."""
    unknowns = space.dofmap.index_map.size_global * space.dofmap.bs
    if space.mesh.topology.dim == 2 or unknowns <= LARGEST_DIRECT:
        return dict(DIRECT)
    if mixed:
        return dict(BLOCKS)
    return dict(MULTIGRID) if symmetric else {**MULTIGRID, "ksp_type": "gmres", "ksp_gmres_restart": 100}


def tell_rigid_motions(matrix: PETSc.Mat, space: dfem.FunctionSpace) -> None:
    """Set the near-nullspace of the matrix: small rigid motions, orthonormal. Collective."""
    owned = space.dofmap.index_map.size_local
    modes = motions_of(space)[:owned]
    vectors: list[PETSc.Vec] = []
    for m in range(modes.shape[2]):
        vector = matrix.createVecLeft()
        vector.array[:] = modes[:, :, m].reshape(-1)
        for other in vectors:
            vector.axpy(-float(vector.dot(other)), other)
        vector.normalize()
        vectors.append(vector)
    nullspace = PETSc.NullSpace().create(vectors=vectors, comm=matrix.comm)
    matrix.setNearNullSpace(nullspace)
    nullspace.destroy()
    for vector in vectors:
        vector.destroy()
