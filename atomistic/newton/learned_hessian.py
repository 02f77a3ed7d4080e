"""The Hessian of a potential for the optimiser: the matrix where memory holds it, products with vectors on request."""

from collections.abc import Callable
from functools import partial

from ase import Atoms
from jaxtyping import Float
from numpy import ndarray
from scipy.sparse.linalg import LinearOperator

from atomistic.memory import allowed_memory, check_memory
from atomistic.neighbours import neighbour_table
from atomistic.potential import NeuralPotential
from atomistic.second_derivatives import hessian, hessian_operator

BYTES = 8
MATRICES = 8
"""3N x 3N matrices alive at once in a step: the Hessian, projected, corrected, its eigenvectors, what LAPACK takes beside them."""


def hessian_bytes(potential: NeuralPotential, atoms: Atoms) -> int:
    """Memory of a dense Hessian and a step by it, without what is small for many atoms: the edges' blocks twice, `MATRICES` of 3N x 3N."""
    edges = neighbour_table(atoms, potential.cutoff).mask.shape[1] + 1
    return BYTES * (2 * len(atoms) * (3 * edges) ** 2 + MATRICES * (3 * len(atoms)) ** 2)


def hessian_of(
    potential: NeuralPotential, *, matrix_free: bool = False, memory: float | None = None
) -> Callable[[Atoms], Float[ndarray, "coordinates coordinates"] | LinearOperator]:
    """The Hessian of a potential as `Newton` takes it.

    Args:
        potential: whose second derivatives are taken.
        matrix_free: products with vectors in place of the matrix; for minima of large structures.
        memory: bytes that the matrix and the step may take; half of the machine's where None.

    Raises:
        ValueError: for a memory that is not positive.
        HessianTooLarge: by what is returned, before anything is allocated.
    """
    if matrix_free:
        return partial(hessian_operator, potential)
    allowed = allowed_memory(memory)

    def dense(atoms: Atoms) -> Float[ndarray, "coordinates coordinates"]:
        check_memory(
            f"the Hessian of {len(atoms)} atoms and a step by it",
            hessian_bytes(potential, atoms),
            allowed,
            "take hessian_of(potential, matrix_free=True), which needs no matrix",
        )
        return hessian(potential, atoms)

    return dense
