r"""Derivatives of all descriptors of an atom by all its edge vectors, dG_id/dr_im.

Body-ordered descriptors are polynomials of moments, and moments are sums over edges: the derivative is a product of two small factors,

    dG_d/dr_m = sum_q dG_d/dM_q dM_q/dr_m,

the second from single edges by three passes of differentiation. Other sets are differentiated function by function.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from atomistic.body_ordered import BodyOrdered
from atomistic.descriptors import Descriptors
from atomistic.neighbours import NeighbourTable


def values_and_jacobian(
    descriptors: Descriptors, table: NeighbourTable
) -> tuple[Float[Tensor, "atoms functions"], Float[Tensor, "atoms functions neighbours 3"]]:
    """Descriptors of all atoms of a table and their derivatives by the edge vectors (1/A); zero where padded.

    Elements with fewer functions than others are padded with zeros.
    """
    functions = max(descriptors.count(number) for number in descriptors.numbers)
    atoms, neighbours = table.mask.shape
    values = torch.zeros(atoms, functions, dtype=torch.float64)
    slopes = torch.zeros(atoms, functions, neighbours, 3, dtype=torch.float64)
    for number in descriptors.numbers:
        centres = torch.nonzero(table.numbers == number)[:, 0]
        if not len(centres):
            continue
        arguments = table.vectors[centres], table.neighbour_numbers[centres], table.mask[centres]
        if isinstance(descriptors, BodyOrdered):
            own_values, own_slopes = _through_moments(descriptors, *arguments)
        else:
            own_values, own_slopes = _by_function(descriptors, number, *arguments)
        values[centres, : own_values.shape[1]] = own_values
        slopes[centres, : own_values.shape[1]] = own_slopes
    return values, slopes


def _through_moments(
    descriptors: BodyOrdered, vectors: Tensor, neighbour_numbers: Tensor, mask: Tensor
) -> tuple[Tensor, Tensor]:
    mix = vectors.new_tensor(descriptors.channels)
    edges, numbers = vectors[mask][:, None].requires_grad_(), neighbour_numbers[mask][:, None]
    two_body, moments = descriptors.moments(edges, numbers, torch.ones_like(numbers, dtype=torch.bool))
    of_edges = torch.cat([two_body, torch.einsum("nek,aekc->anc", mix, moments).flatten(1)], dim=1)
    # The derivative of every output along one direction is that of J^T w . e by w: three passes, not one an output.
    dummy = torch.ones_like(of_edges).requires_grad_()
    (pull,) = torch.autograd.grad(of_edges, edges, dummy, create_graph=True)
    derivatives = [torch.autograd.grad(pull[..., k].sum(), dummy, retain_graph=True)[0] for k in range(3)]
    atoms, neighbours = mask.shape
    edge_slopes = vectors.new_zeros(atoms, neighbours, 3, derivatives[0].shape[1])
    edge_slopes[mask] = torch.stack(derivatives, dim=1)
    two_body, moments = descriptors.moments(vectors, neighbour_numbers, mask)
    values, by_channels = _by_channels(descriptors, two_body, torch.einsum("nek,aekc->anc", mix, moments))
    first = two_body.shape[1]
    pairwise = edge_slopes[..., :first].permute(0, 3, 1, 2)
    many_body = torch.bmm(by_channels.flatten(2), edge_slopes[..., first:].flatten(1, 2).transpose(1, 2))
    return values, torch.cat([pairwise, many_body.unflatten(2, (neighbours, 3))], dim=1)


def _by_channels(descriptors: BodyOrdered, two_body: Tensor, channels: Tensor) -> tuple[Tensor, Tensor]:
    """All descriptors, and the derivatives of the many-body ones by the A_n,lm: (atoms, functions, channels, components).

    A function depends on few of the A_n,l. Functions that share none are differentiated together, and the sum is taken apart by what
    each depends on (Curtis, Powell and Reid, J. Inst. Math. Appl. 13 (1974) 117): a dozen passes rather than a hundred.
    """
    count = channels.shape[1]
    supports = [
        frozenset(((n, degree), (m, degree)))
        for n, m in descriptors.pairs
        for degree in range(1, descriptors.degree + 1)
    ]
    supports += [frozenset((n, degree) for degree in triple) for triple in descriptors.triples for n in range(count)]
    components = torch.zeros(len(supports), *channels.shape[1:], dtype=torch.bool)
    for d, support in enumerate(supports):
        for n, degree in support:
            components[d, n, degree * degree - 1 : degree * (degree + 2)] = True
    channels = channels.requires_grad_()
    # Channels as moments of one element, each its own Chebyshev function.
    values = descriptors.invariants(two_body, channels[:, None], torch.eye(count, dtype=channels.dtype)[:, None])
    many_body = values[:, two_body.shape[1] :]
    slopes = channels.new_empty(len(channels), len(supports), *channels.shape[1:])
    for group in _disjoint(supports):
        (together,) = torch.autograd.grad(many_body[:, group].sum(), channels, retain_graph=True)
        slopes[:, group] = together[:, None] * components[group]
    return values.detach(), slopes


def _disjoint(supports: list[frozenset[tuple[int, int]]]) -> list[list[int]]:
    """Groups of functions that have nothing in common, each function in the first group it fits in."""
    groups: list[tuple[set[tuple[int, int]], list[int]]] = []
    for d, support in enumerate(supports):
        for taken, members in groups:
            if not taken & support:
                taken |= support
                members.append(d)
                break
        else:
            groups.append((set(support), [d]))
    return [members for _, members in groups]


def _by_function(
    descriptors: Descriptors, number: int, vectors: Tensor, neighbour_numbers: Tensor, mask: Tensor
) -> tuple[Tensor, Tensor]:
    vectors = vectors.clone().requires_grad_()
    values = descriptors.values(number, vectors, neighbour_numbers, mask)
    slopes = [
        torch.autograd.grad(values[:, d].sum(), vectors, retain_graph=True)[0] * mask[..., None]
        for d in range(values.shape[1])
    ]
    return values.detach(), torch.stack(slopes, dim=1)
