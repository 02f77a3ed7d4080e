r"""Diabatic Hamiltonians: what a model of coupled states offers, and a network that is one by construction.

In a diabatic basis the electronic states do not change with the positions R, so H(R) is a smooth symmetric n x n
matrix; energies, gradients and nonadiabatic couplings of the adiabatic states follow from it and its derivative
(`atomistic.excited.adiabatic`).

A symmetry operation maps R to O R and mixes the diabatic states by an orthogonal matrix S: permutations of like atoms,
reflections. A network h(R) of any kind becomes covariant, H(O R) = S H(R) S^T, by its mean over the group

    H(R) = 1/|G| sum_g S_g^T h(O_g R) S_g .

Off-diagonal elements between states of opposite parity are thus odd, a degenerate pair of representation E stays
degenerate where symmetry says so. Invariance under translations and rotations is the matter of the features: molecules
enter by their inverse distances, which are even under reflection as the energies are.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise, product
from typing import Final, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

FEATURES: Final = ("coordinates", "inverse distances")

_CLOSED: Final = 1e-9


class NotAGroup(ValueError):
    """Symmetry operations that are not orthogonal, or whose products are not among them with the product of their representations."""


@runtime_checkable
class Hamiltonian(Protocol):
    """A diabatic Hamiltonian, differentiable by torch."""

    @property
    def states(self) -> int: ...

    @property
    def dimensions(self) -> int:
        """Length of R."""
        ...

    def matrix(self, coordinates: Float[Tensor, "points dimensions"]) -> Float[Tensor, "points states states"]:
        """H, symmetric, at each point; of a point by itself alone."""
        ...


@dataclass(frozen=True)
class Symmetry:
    """R -> O R, under which the diabatic states transform by S.

    Attributes:
        coordinates: O, orthogonal.
        states: S, orthogonal.
    """

    coordinates: Float[np.ndarray, "dimensions dimensions"]
    states: Float[np.ndarray, "states states"]


@dataclass(frozen=True)
class DiabaticNetwork:
    """H_ij(R) from one network of tanh layers beside a linear part, averaged over the symmetry.

    Attributes:
        states: n.
        dimensions: length of R; 3 N for molecules, (x1, y1, z1, x2, ...).
        features: "coordinates" or "inverse distances" (of all pairs of atoms).
        symmetry: all operations of the group, the identity included; empty for none.
        mean, scale: of the features, which are standardised.
        unit: of H, by which what the layers give is multiplied.
        layers: weights (outputs, inputs) and biases; the last is linear and gives H_ij, i <= j, row by row.
        skip: the linear part (outputs, features).
    """

    states: int
    dimensions: int
    features: str
    symmetry: tuple[Symmetry, ...]
    mean: Float[Tensor, "features"]
    scale: Float[Tensor, "features"]
    unit: float
    layers: tuple[tuple[Tensor, Tensor], ...]
    skip: Float[Tensor, "outputs features"]
    _operations: tuple[Tensor, Tensor] | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_group(self.symmetry, self.dimensions, self.states)
        operations = None
        if self.symmetry:
            turns = (
                np.stack([one.coordinates for one in self.symmetry]),
                np.stack([one.states for one in self.symmetry]),
            )
            operations = torch.from_numpy(turns[0]), torch.from_numpy(turns[1])
        object.__setattr__(self, "_operations", operations)

    def matrix(self, coordinates: Float[Tensor, "points dimensions"]) -> Float[Tensor, "points states states"]:
        """H at each point."""
        if self._operations is None:
            return self._plain(coordinates)
        turns, mixings = self._operations
        images = torch.einsum("gde,pe->gpd", turns, coordinates)
        plain = self._plain(images.flatten(0, 1)).unflatten(0, images.shape[:2])
        mean = torch.einsum("gki,gpkl,glj->pij", mixings, plain, mixings) / len(turns)
        return 0.5 * (mean + mean.transpose(1, 2))  # round-off of the products

    def _plain(self, coordinates: Tensor) -> Tensor:
        inputs = (features_of(self.features, coordinates) - self.mean) / self.scale
        hidden = inputs
        for weight, bias in self.layers[:-1]:
            hidden = torch.tanh(hidden @ weight.T + bias)
        weight, bias = self.layers[-1]
        elements = self.unit * (hidden @ weight.T + bias + inputs @ self.skip.T)
        return elements[:, _places(self.states)]


def features_of(kind: str, coordinates: Float[Tensor, "points dimensions"]) -> Float[Tensor, "points features"]:
    """What a network sees of R.

    Raises:
        ValueError: for an unknown kind, or a length of R that is no multiple of three where atoms are asked for.
    """
    if kind == "coordinates":
        return coordinates
    if kind != "inverse distances":
        raise ValueError(f"features {kind!r}, expected one of {FEATURES}")
    if coordinates.shape[1] % 3 or coordinates.shape[1] < 6:
        raise ValueError(f"{coordinates.shape[1]} coordinates, expected three for each of at least two atoms")
    positions = coordinates.unflatten(1, (-1, 3))
    first, second = torch.triu_indices(positions.shape[1], positions.shape[1], 1)
    inverse: Tensor = 1.0 / (positions[:, first] - positions[:, second]).square().sum(-1).sqrt()
    return inverse


def check_group(symmetry: Sequence[Symmetry], dimensions: int, states: int) -> None:
    """Orthogonal operations of the right sizes that close.

    Raises:
        NotAGroup: otherwise.
    """
    for k, one in enumerate(symmetry):
        for name, matrix, size in (("coordinates", one.coordinates, dimensions), ("states", one.states, states)):
            if matrix.shape != (size, size) or not np.allclose(matrix @ matrix.T, np.eye(size), rtol=0.0, atol=_CLOSED):
                raise NotAGroup(
                    f"operation {k} of the {name} is no orthogonal {size} x {size} matrix: {matrix.tolist()}"
                )
    for (i, a), (j, b) in product(enumerate(symmetry), repeat=2):
        both = a.coordinates @ b.coordinates, a.states @ b.states
        if not any(
            np.allclose(both[0], c.coordinates, rtol=0.0, atol=_CLOSED)
            and np.allclose(both[1], c.states, rtol=0.0, atol=_CLOSED)
            for c in symmetry
        ):
            raise NotAGroup(
                f"the product of operations {i} and {j} is not among the {len(symmetry)} given, with the product of their effects on the "
                "states; give the whole group, the identity included"
            )


def random_network(
    states: int,
    coordinates: Float[np.ndarray, "points dimensions"],
    *,
    energies: Float[np.ndarray, "points states"],
    features: str = "coordinates",
    hidden: Sequence[int] = (20, 20),
    symmetry: Sequence[Symmetry] = (),
    generator: np.random.Generator,
) -> DiabaticNetwork:
    """A network to start from: features standardised by `coordinates`, the mean energy on the diagonal, small random elements."""
    seen = features_of(features, torch.from_numpy(np.ascontiguousarray(coordinates)))
    unit = float(np.std(energies)) or 1.0
    mean, scale = seen.mean(0), seen.std(0, correction=0)
    sizes = (seen.shape[1], *hidden, states * (states + 1) // 2)
    layers = []
    for into, out in pairwise(sizes):
        weight, bias = generator.normal(0.0, into**-0.5, (out, into)), generator.normal(0.0, 0.5, out)
        layers.append((torch.from_numpy(weight), torch.from_numpy(bias)))
    diagonal = torch.from_numpy(np.equal(*np.triu_indices(states)).astype(float))
    layers[-1] = (0.3 * layers[-1][0], diagonal * float(np.mean(energies)) / unit)
    return DiabaticNetwork(
        states,
        coordinates.shape[1],
        features,
        tuple(symmetry),
        mean,
        torch.where(scale > 0.0, scale, 1.0),
        unit,
        tuple(layers),
        torch.from_numpy(generator.normal(0.0, 0.3, (sizes[-1], sizes[0]))),
    )


def _places(states: int) -> Tensor:
    """Where the element (i, j) stands among those of the upper triangle."""
    places = np.zeros((states, states), dtype=int)
    places[np.triu_indices(states)] = np.arange(states * (states + 1) // 2)
    return torch.from_numpy(np.maximum(places, places.T))
