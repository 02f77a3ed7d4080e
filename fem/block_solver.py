"""Large nearly incompressible bodies: displacement and pressure apart in the linear solver, which then does not see the bulk modulus.

The tangent of a mixed form (`fem.mixed`) has a part C H C^T, C the columns c_a, which is as stiff as the bulk modulus: no multigrid is good
for it. A part of H sixteen times as stiff as shear stays with the displacement, the rest D becomes a pressure q again, one a polynomial:

    [ K - C D C^T    C    ] [ x ]   [ b ]
    [ C^T          -D^-1  ] [ q ] = [ 0 ]

GMRES, preconditioned by the upper triangle of these blocks: multigrid for K - C D C^T, whose Poisson's ratio is 0.47, and for the Schur
complement of q

    -(D^-1 + 1 / (2 mu + H - D)),

as the polynomials are orthonormal and C^T (2 mu laplacian)^-1 C is near the identity over 2 mu (augmented as by Benzi and Olshanskii 2006).
The number of iterations hardly grows with the mesh where the pressure of the element is stable, Q2-P1; it grows in P2-P0 tetrahedra, whose
pressure is not in space (their faces have no node).
"""

from __future__ import annotations

from typing import Any

from mpi4py import MPI  # isort: skip  # noqa: F401

import numpy as np
from dolfinx import fem as dfem
from jaxtyping import Float
from petsc4py import PETSc

from fem.linear_solver import BLOCK, tell_rigid_motions
from fem.mixed import MeanVolume

# of the shear modulus: what stays with the displacement
_KEPT = 16.0


class BlockSolver:
    """Context of a KSP of type "python", which solves with its operator by blocks. Collective.

    Args:
        cells: the eliminated fields.
        space: of the displacement.
        held: which owned unknowns are prescribed.
        prefix: of the PETSc options; `fem.linear_solver.BLOCK` is added.
    """

    def __init__(self, cells: MeanVolume, space: dfem.FunctionSpace, held: np.ndarray, prefix: str) -> None:
        self._cells, self._space, self._comm = cells, space, space.mesh.comm
        count, size = space.mesh.topology.index_map(space.mesh.topology.dim).size_local, space.dofmap.bs
        mark = dfem.Function(space)
        mark.x.array[: held.size] = held
        mark.x.scatter_forward()
        nodes = space.dofmap.list[:count]
        components, width = np.arange(size), nodes.shape[1] * size
        self._free = mark.x.array[nodes[:, :, None] * size + components].reshape(count, width) == 0.0
        numbers = space.dofmap.index_map.local_to_global(nodes.reshape(-1).astype(np.int32)).reshape(nodes.shape)
        self._unknowns = (numbers[:, :, None] * size + components).reshape(count, width).astype(PETSc.IntType)
        self._ksp = PETSc.KSP().create(self._comm)
        self._ksp.setOptionsPrefix(prefix + BLOCK)
        self._vectors: list[PETSc.Vec] = []
        self._state = -1

    def solve(self, ksp: PETSc.KSP, b: PETSc.Vec, x: PETSc.Vec) -> None:
        """PETSc wants x = K^-1 b."""
        K, _ = ksp.getOperators()
        if K.stateGet() != self._state:
            self._set_up(K)
            self._state = K.stateGet()
        right, left = self._vectors
        right.set(0.0)
        right.array[: b.local_size] = b.array_r  # on each rank: its x, and then its q
        self._ksp.solve(right, left)
        x.array[:] = left.array_r[: b.local_size]
        ksp.setIterationNumber(self._ksp.getIterationNumber())
        ksp.setConvergedReason(self._ksp.getConvergedReason())

    def destroy(self, ksp: PETSc.KSP) -> None:
        """PETSc frees its solver, and so does this one."""
        for thing in (self._ksp, *self._vectors):
            thing.destroy()

    def _set_up(self, K: PETSc.Mat) -> None:
        """The blocks of this K, and their preconditioner."""
        here = self._cells.latest
        assert here is not None
        count, rank, _ = here.volumetric.shape
        stiffnesses = self._comm.allgather(np.diagonal(here.tangent, axis1=1, axis2=2).reshape(-1))
        shear = float(np.median(np.concatenate(stiffnesses)))
        bulk = np.trace(here.bend, axis1=1, axis2=2) / rank
        kept = _KEPT * shear / (_KEPT * shear + bulk)
        D = (1.0 - kept)[:, None, None] * here.bend
        inverse = np.linalg.inv(D)
        schur = np.diagonal(inverse, axis1=1, axis2=2) + 1.0 / (2.0 * shear + kept * bulk)[:, None]

        c = here.volumetric * self._free[:, None, :]
        owned = K.getLocalSize()[0]
        first = self._comm.exscan(count * rank) or 0
        own = first + np.arange(count * rank).reshape(count, rank)
        C_transposed = self._matrix(c, np.repeat(self._unknowns[:, None, :], rank, axis=1), (count * rank, owned))
        square = (count * rank, count * rank)
        blocks = np.repeat(own[:, None, :], rank, axis=1)
        weights, compliance = self._matrix(D, blocks, square), self._matrix(-inverse, blocks, square)
        preconditioner = self._matrix(-schur[:, :, None], own[:, :, None], square)
        C, CDC = C_transposed.transpose(PETSc.Mat()), weights.ptap(C_transposed)
        soft = K.copy()
        within: Any = PETSc.Mat.Structure.SUBSET_NONZERO_PATTERN
        soft.axpy(-1.0, CDC, within)
        tell_rigid_motions(soft, self._space)
        system = PETSc.Mat().createNest([[soft, C], [C_transposed, compliance]], comm=self._comm)
        for vector in self._vectors:
            vector.destroy()
        self._vectors = [system.createVecLeft(), system.createVecRight()]
        self._ksp.reset()
        self._ksp.setOperators(system)
        pc: Any = self._ksp.getPC()
        pc.setType("fieldsplit")
        pc.setFieldSplitIS(*zip(("u", "q"), system.getNestISs()[0], strict=True))
        self._ksp.setFromOptions()
        pc.setFieldSplitSchurPreType(pc.SchurPreType.USER, preconditioner)
        # the solver keeps what it needs; collective, hence not left to the garbage collector
        for matrix in (C, CDC, C_transposed, weights, compliance, preconditioner, soft, system):
            matrix.destroy()

    def _matrix(self, values: Float[np.ndarray, "n s k"], columns: np.ndarray, shape: tuple[int, int]) -> PETSc.Mat:
        """Sparse, n s rows of k entries each, of this rank's rows and columns."""
        rows, entries = values.shape[0] * values.shape[1], values.shape[2]
        starts = (np.arange(rows + 1) * entries).astype(PETSc.IntType)
        sizes = ((shape[0], PETSc.DETERMINE), (shape[1], PETSc.DETERMINE))
        matrix = PETSc.Mat().createAIJ(sizes, comm=self._comm)
        matrix.setPreallocationCSR((starts, columns.reshape(-1).astype(PETSc.IntType), values.reshape(-1)))
        matrix.assemble()
        return matrix
