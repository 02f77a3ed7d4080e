r"""Atom-centred symmetry functions after Behler, J. Chem. Phys. 134 (2011) 074106.

Radial, his G^2, over the neighbours j of one element:

    G2_i = sum_j exp(-eta (r_ij - r_s)^2) f_c(r_ij)

Angular, over the pairs of neighbours j, k of two elements, each pair once; narrow, his G^4, and wide, his G^5:

    G4_i = 2^(1-zeta) sum_{j<k} (1 + lambda cos theta_ijk)^zeta g(r_ij) g(r_ik) g(r_jk),        g(r) = exp(-eta (r - r_s)^2) f_c(r)
    G5_i = 2^(1-zeta) sum_{j<k} (1 + lambda cos theta_ijk)^zeta g(r_ij) g(r_ik)

with the shift r_s that later codes add. Weighted functions (Gastegger and others, J. Chem. Phys. 148 (2018) 241709) run over the
neighbours of all elements, each with its atomic number as a factor, so that their count does not grow with the number of elements.
"""

import math
from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import ClassVar, Final, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from atomistic.angular_sums import sums_by_moments, sums_by_pairs
from atomistic.cutoff_functions import CUTOFF_FUNCTIONS, WITHOUT_INNER_CUTOFF

MOMENT_DEGREE: Final = 8
"""Largest zeta of wide functions that are summed by moments; above, there are more moments than pairs."""

NEIGHBOURS: Final = {"radial": 1, "narrow": 2, "wide": 2}
"""Number of neighbours that a term of each kind of function has."""


class SymmetryFunction(NamedTuple):
    """One symmetry function of an atom.

    Attributes:
        kind: "radial" (G2), "narrow" (G4) or "wide" (G5).
        neighbours: atomic numbers of the neighbours, one or two in ascending order; empty for all, weighted by their atomic numbers.
        eta: 1/A^2.
        shift: r_s, Angstrom.
        cutoff: r_c, Angstrom.
        zeta: exponent, an integer or at least 2 (between 1 and 2 there is no second derivative at theta = 0 or pi); of angular functions.
        lambda_: lambda, from -1 to 1; of angular functions.
    """

    kind: str
    neighbours: tuple[int, ...]
    eta: float
    shift: float
    cutoff: float
    zeta: float = 1.0
    lambda_: float = 1.0

    @property
    def shape(self) -> tuple[float, float, float]:
        """(eta, r_s, r_c), which g(r) depends on."""
        return self.eta, self.shift, self.cutoff

    def check(self, numbers: tuple[int, ...]) -> "SymmetryFunction":
        """Itself, with numbers of the right types.

        Raises:
            ValueError: naming what is wrong.
        """
        if self.kind not in NEIGHBOURS:
            raise ValueError(f"kind of symmetry function {self.kind!r}, expected one of {sorted(NEIGHBOURS)}")
        neighbours = tuple(int(number) for number in self.neighbours)
        if neighbours and (len(neighbours) != NEIGHBOURS[self.kind] or not set(neighbours) <= set(numbers)):
            raise ValueError(
                f"neighbours {neighbours} of a {self.kind} function, expected {NEIGHBOURS[self.kind]} of the elements {numbers}"
            )
        eta, shift, cutoff, zeta, lambda_ = (float(value) for value in self[2:])
        if not all(map(math.isfinite, (eta, shift, cutoff, zeta, lambda_))) or eta < 0.0:
            raise ValueError(f"{self} has a parameter that is not finite, or eta < 0")
        if not cutoff > 0.0:
            raise ValueError(f"cutoff = {cutoff} A, expected a positive length")
        if zeta < 1.0 or 1.0 < zeta < 2.0:
            raise ValueError(
                f"zeta = {zeta}, expected an integer from 1 or a number from 2 (else a tangent is infinite)"
            )
        if not -1.0 <= lambda_ <= 1.0:
            raise ValueError(f"lambda = {lambda_}, expected -1 <= lambda <= 1")
        return SymmetryFunction(self.kind, tuple(sorted(neighbours)), eta, shift, cutoff, zeta, lambda_)


@dataclass(frozen=True)
class SymmetryFunctions:
    """A set of symmetry functions for the elements `numbers`; each element may have functions of its own.

    Attributes:
        numbers: atomic numbers of the elements known, ascending.
        functions: of an atom of each element, in the order of `numbers`.
        cutoff_function: a name in `CUTOFF_FUNCTIONS`, for all functions.
        inner_cutoff: alpha: f_c = 1 up to alpha r_c; 0 <= alpha < 1.
    """

    kind: ClassVar[str] = "symmetry-functions"

    numbers: tuple[int, ...]
    functions: tuple[tuple[SymmetryFunction, ...], ...]
    cutoff_function: str = "polynomial"
    inner_cutoff: float = 0.0

    def __post_init__(self) -> None:
        if self.numbers != tuple(sorted(set(self.numbers))) or not self.numbers:
            raise ValueError(f"elements {self.numbers}, expected different atomic numbers in ascending order")
        if len(self.functions) != len(self.numbers) or not all(self.functions):
            raise ValueError(f"functions for {len(self.functions)} elements, expected some for each of {self.numbers}")
        if self.cutoff_function not in CUTOFF_FUNCTIONS:
            raise ValueError(f"cutoff function {self.cutoff_function!r}, expected one of {sorted(CUTOFF_FUNCTIONS)}")
        if not 0.0 <= self.inner_cutoff < 1.0:
            raise ValueError(
                f"inner_cutoff = {self.inner_cutoff}, expected 0 <= inner_cutoff < 1, a fraction of the cutoff"
            )
        if self.inner_cutoff and self.cutoff_function in WITHOUT_INNER_CUTOFF:
            raise ValueError(
                f"inner_cutoff = {self.inner_cutoff} with the cutoff function {self.cutoff_function!r}, which takes none"
            )
        checked = tuple(tuple(one.check(self.numbers) for one in own) for own in self.functions)
        object.__setattr__(self, "functions", checked)

    @classmethod
    def spread(
        cls,
        numbers: tuple[int, ...],
        *,
        nearest: float,
        cutoff: float,
        radial: int = 10,
        angular: int = 5,
        zetas: tuple[int, ...] = (1, 2, 4),
        angular_kind: str = "wide",
    ) -> "SymmetryFunctions":
        """A set that covers all distances of a crystal whose nearest neighbours are `nearest` (Angstrom) apart.

        Radial centres are spaced evenly from 0.75 `nearest` to the cutoff, each as wide as the spacing (eta = 1/(2 spacing^2)). The
        angular functions are centred at the atom; their exp(-eta r^2) at the nearest neighbour runs evenly from 0.9 to 0.1, and each
        is combined with every zeta and lambda = +1, -1. All elements have the same functions.

        Raises:
            ValueError: for a cutoff or nearest distance that is not positive.
        """
        if not cutoff > 0.0 or not nearest > 0.0:
            raise ValueError(f"cutoff = {cutoff} A and nearest = {nearest} A, expected positive lengths")
        first = 0.75 * nearest
        spacing = (cutoff - first) / radial
        centres = [first + spacing * k for k in range(radial)]
        heights = [0.9 - 0.8 * k / max(1, angular - 1) for k in range(angular)]
        functions = [
            SymmetryFunction("radial", (number,), 0.5 / spacing**2, centre, cutoff)
            for number in numbers
            for centre in centres
        ]
        functions += [
            SymmetryFunction(angular_kind, pair, -math.log(height) / nearest**2, 0.0, cutoff, float(zeta), sign)
            for pair in combinations_with_replacement(numbers, 2)
            for height in heights
            for zeta in zetas
            for sign in (1.0, -1.0)
        ]
        return cls(numbers, (tuple(functions),) * len(numbers))

    @property
    def cutoff(self) -> float:
        """Largest cutoff of the functions, Angstrom."""
        return max(function.cutoff for own in self.functions for function in own)

    def of(self, number: int) -> tuple[SymmetryFunction, ...]:
        """The functions of an atom of element `number`, in the order of their values."""
        return self.functions[self.numbers.index(number)]

    def count(self, number: int) -> int:
        """Number of symmetry functions of an atom of element `number`."""
        return len(self.of(number))

    def radial_orders(self, number: int) -> Float[np.ndarray, "functions"]:
        """All 0: they are no polynomials, their widths are chosen."""
        return np.zeros(self.count(number))

    def values(
        self,
        number: int,
        vectors: Float[Tensor, "atoms neighbours 3"],
        neighbour_numbers: Int[Tensor, "atoms neighbours"],
        mask: Bool[Tensor, "atoms neighbours"],
    ) -> Float[Tensor, "atoms functions"]:
        """Values of all symmetry functions of atoms of element `number`; differentiable in `vectors`, twice."""
        own = self.of(number)
        vectors = torch.where(mask[..., None], vectors, vectors.new_tensor((self.cutoff, 0.0, 0.0)))
        distance = vectors.square().sum(-1).sqrt()
        # Who counts, and how much: the neighbours of each element once, and all by their atomic numbers.
        weights = torch.stack([*((neighbour_numbers == z) for z in self.numbers), neighbour_numbers], dim=-1)
        weights = (weights * mask[..., None]).to(vectors)
        radial = [k for k, f in enumerate(own) if f.kind == "radial"]
        moments = [k for k, f in enumerate(own) if f.kind == "wide" and f.zeta in range(1, MOMENT_DEGREE + 1)]
        pairs = [k for k in range(len(own)) if k not in {*radial, *moments}]
        parts = []
        if radial:
            columns, used = self._columns([own[k] for k in radial], distance, weights)
            parts.append(columns.sum(1).index_select(1, torch.tensor([one for one, _ in used], device=vectors.device)))
        if moments:
            chosen = [own[k] for k in moments]
            columns, used = self._columns(chosen, distance, weights)
            sums = sums_by_moments(
                vectors / distance[..., None], columns, used, [(int(f.zeta), f.lambda_) for f in chosen]
            )
            parts.append(sums * sums.new_tensor([2.0 ** (1.0 - f.zeta) for f in chosen]))
        if pairs:
            parts.append(self._by_pairs([own[k] for k in pairs], vectors, distance, weights))
        order = torch.tensor([*radial, *moments, *pairs], device=vectors.device).argsort()
        return torch.cat(parts, dim=1).index_select(1, order)

    def _g(
        self, shapes: list[tuple[float, float, float]], distance: Float[Tensor, "*shape"]
    ) -> Float[Tensor, "*shape shapes"]:
        """g(r) = exp(-eta (r - r_s)^2) f_c(r) for each shape (eta, r_s, r_c); zero from r_c on."""
        eta, shift, _ = distance.new_tensor(shapes).T
        alpha = self.inner_cutoff
        radii = sorted({shape[2] for shape in shapes})
        scaled = (distance[..., None] / distance.new_tensor(radii) - alpha) / (1.0 - alpha)
        envelope = CUTOFF_FUNCTIONS[self.cutoff_function](scaled.clamp(0.0, 1.0))
        of_shape = torch.tensor([radii.index(shape[2]) for shape in shapes], device=distance.device)
        return torch.exp(-eta * (distance[..., None] - shift) ** 2) * envelope.index_select(-1, of_shape)

    def _columns(
        self,
        functions: list[SymmetryFunction],
        distance: Float[Tensor, "atoms neighbours"],
        weights: Float[Tensor, "atoms neighbours elements"],
    ) -> tuple[Float[Tensor, "atoms neighbours columns"], list[tuple[int, int]]]:
        """The different w_j g(r_ij) that the functions need, and which two of them (one, twice, where radial) each function takes."""
        shapes = sorted({function.shape for function in functions})
        keys = [
            [(self._weight(function, end), shapes.index(function.shape)) for end in (0, -1)] for function in functions
        ]
        distinct = sorted({key for both in keys for key in both})
        element, shape = (torch.tensor(column, device=distance.device) for column in zip(*distinct, strict=True))
        g = self._g(shapes, distance)
        columns = weights.index_select(2, element) * g.index_select(2, shape)
        return columns, [(distinct.index(first), distinct.index(second)) for first, second in keys]

    def _weight(self, function: SymmetryFunction, end: int) -> int:
        """Which column of the weights stands for a neighbour of a function: its element's, or the last for atomic numbers."""
        return self.numbers.index(function.neighbours[end]) if function.neighbours else len(self.numbers)

    def _by_pairs(
        self,
        functions: list[SymmetryFunction],
        vectors: Float[Tensor, "atoms neighbours 3"],
        distance: Float[Tensor, "atoms neighbours"],
        weights: Float[Tensor, "atoms neighbours elements"],
    ) -> Float[Tensor, "atoms functions"]:
        """Angular functions summed over pairs, of the neighbours within their own cutoff only."""
        cutoff = max(function.cutoff for function in functions)
        near = (distance.detach() < cutoff) & (weights[..., -1] > 0.0)
        width = int(near.sum(1).max()) if len(near) else 0
        nearest = near.to(torch.int8).argsort(dim=1, descending=True, stable=True)[:, :width]
        vectors = vectors.gather(1, nearest[..., None].expand(-1, -1, 3))
        distance = distance.gather(1, nearest)
        weights = weights.gather(1, nearest[..., None].expand(-1, -1, weights.shape[2]))
        columns, used = self._columns(functions, distance, weights)
        closing = sorted({function.shape for function in functions if function.kind == "narrow"})
        sums = sums_by_pairs(
            vectors,
            columns,
            used,
            [(function.zeta, function.lambda_) for function in functions],
            [closing.index(function.shape) if function.kind == "narrow" else -1 for function in functions],
            lambda opposite: self._g(closing, opposite),
        )
        return sums * sums.new_tensor([2.0 ** (1.0 - function.zeta) for function in functions])
