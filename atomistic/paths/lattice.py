r"""Paths of a particle on a line of sites, whose barriers are known exactly, and what a fit of their energies can know of them.

A particle sits on site k with energy E_k; a hop between sites k and l passes over H_kl. The best path between two sites has the least
highest hop (a minimax or bottleneck path; Pollack, Operations Research 8 (1960) 733), found exactly by Dijkstra's search with the maximum
in place of the sum. With hops to nearest and next-nearest sites a particle may leap over a trap or a wall, so paths are a choice.

Every site carries a kind t_k = -1 or +1, and E and H are functions of the kinds beside: of (t_k-1, t_k, t_k+1), and of all kinds from
one before the hop to one behind it. Any such function is a sum of products of kinds (cluster expansion: Sanchez, Ducastelle and Gratias,
Physica A 128 (1984) 334; for barriers Van der Ven and others, Phys. Rev. B 64 (2001) 184307),

    E = sum_S c_S prod_{k in S} t_k,        S subsets of the neighbourhood,

orthogonal over all arrangements. The function class of order m has the subsets of at most m sites. A landscape of order m is in it: a
least-squares fit to enough lines is exact, and so is the barrier of a line it has not seen. A landscape of higher order is not,
and with all arrangements equally often in the data the root mean square error is |c| of what is left out, however many lines there are.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import combinations
from typing import Final

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

LEAPS: Final = (0, 1, 2)
"""How far from its site: a stay, a hop to the next site, a leap over one."""


class InvalidLandscape(ValueError):
    """A line, or energies on it, without a meaning."""


@dataclass(frozen=True)
class LatticePath:
    """The best way of a particle along a line.

    Attributes:
        sites: in the order visited.
        barrier: highest hop above the energy of the first site.
    """

    sites: tuple[int, ...]
    barrier: float


def minimax_path(
    sites: Sequence[float] | Float[ndarray, "sites"], hops: Mapping[tuple[int, int], float], start: int, end: int
) -> LatticePath:
    """The path with the least highest hop, the one with fewer hops of two.

    Args:
        sites: energy of each.
        hops: energy on top of the hop between two sites, either way.
        start: site where the path begins.
        end: where it ends.

    Raises:
        InvalidLandscape: for equal or unknown ends, energies not finite, hops below their sites (these are no minima then), no path.
    """
    count = len(sites)
    if not (0 <= start < count and 0 <= end < count) or start == end:
        raise InvalidLandscape(f"a path from site {start} to {end}, expected two different ones of 0 to {count - 1}")
    if not (np.isfinite(sites).all() and np.isfinite(list(hops.values())).all()):
        raise InvalidLandscape("energies of sites or hops contain NaN or infinity")
    beside: dict[int, list[tuple[int, float]]] = {k: [] for k in range(count)}
    for (k, other), top in hops.items():
        if top < max(sites[k], sites[other]):
            raise InvalidLandscape(
                f"the hop between sites {k} and {other} tops out at {top:.6g}, below {max(sites[k], sites[other]):.6g} of a site: "
                "that site is not a minimum"
            )
        beside[k].append((other, top))
        beside[other].append((k, top))
    waiting: list[tuple[float, int, tuple[int, ...]]] = [(-np.inf, 1, (start,))]
    done: set[int] = set()
    while waiting:
        highest, length, path = heappop(waiting)
        if path[-1] == end:
            return LatticePath(path, highest - sites[start])
        if path[-1] in done:
            continue
        done.add(path[-1])
        for other, top in beside[path[-1]]:
            if other not in done:
                heappush(waiting, (max(highest, top), length + 1, (*path, other)))
    raise InvalidLandscape(f"no hops lead from site {start} to {end}")


@dataclass(frozen=True)
class ClusterExpansion:
    """Energies of sites and hops from the kinds about them.

    Attributes:
        order: most sites in a product.
        coefficients: of a stay, a hop and a leap; as many as `cluster_products` has columns.
    """

    order: int
    coefficients: tuple[Float[ndarray, "_"], ...]

    def energies(self, kinds: Int[ndarray, "sites"], leap: int) -> Float[ndarray, "places"]:
        """Of every place of the line where a stay, hop or leap has its whole neighbourhood."""
        return np.asarray(cluster_products(kinds, leap, self.order) @ self.coefficients[leap])

    def path(self, kinds: Int[ndarray, "sites"]) -> LatticePath:
        """The best path from the first to the last site with a neighbour beyond it; sites are counted along `kinds`.

        Raises:
            InvalidLandscape: as `minimax_path`.
        """
        stays = self.energies(kinds, 0)
        hops = {(k, k + leap): float(e) for leap in LEAPS[1:] for k, e in enumerate(self.energies(kinds, leap))}
        found = minimax_path(stays, hops, 0, len(stays) - 1)
        return LatticePath(tuple(k + 1 for k in found.sites), found.barrier)


def fit_cluster_expansion(
    lines: Sequence[Int[ndarray, "_"]], energies: Sequence[tuple[Float[ndarray, "_"], ...]], order: int
) -> ClusterExpansion:
    """The expansion of an order with the least squared errors; `energies` of each line for a stay, a hop and a leap.

    Raises:
        InvalidLandscape: where the lines do not determine the coefficients.
    """
    coefficients = []
    for leap in LEAPS:
        products = np.vstack([cluster_products(kinds, leap, order) for kinds in lines])
        target = np.concatenate([own[leap] for own in energies])
        found, _, rank, _ = np.linalg.lstsq(products, target)
        if rank < products.shape[1]:
            raise InvalidLandscape(
                f"{len(products)} energies determine {rank} of {products.shape[1]} coefficients of order {order}, expected all: "
                "take more lines, or a lower order"
            )
        coefficients.append(found)
    return ClusterExpansion(order, tuple(coefficients))


def cluster_products(kinds: Int[ndarray, "sites"], leap: int, order: int) -> Float[ndarray, "places products"]:
    """Products of the kinds of all subsets of at most `order` sites of each neighbourhood, smaller subsets first.

    Raises:
        InvalidLandscape: for kinds other than -1 and 1, or a line too short.
    """
    kinds = np.asarray(kinds)
    width = 3 + leap
    if kinds.ndim != 1 or len(kinds) < width or not np.isin(kinds, (-1, 1)).all():
        raise InvalidLandscape(f"kinds {kinds.tolist()}, expected a line of {width} or more of -1 and 1")
    beside = np.lib.stride_tricks.sliding_window_view(kinds, width).astype(float)
    subsets = [s for size in range(min(order, width) + 1) for s in combinations(range(width), size)]
    return np.stack([beside[:, list(s)].prod(1) for s in subsets], axis=1)
