r"""C code of the four-body functions b_t = sum_ijk C_ijk a_i a_j a_k of `atomistic.body_ordered` and their gradient, written out.

With two degrees of equal l put first (C is then symmetric in i, j), and with unordered pairs i <= j counted m_ij = 1 or 2 times,

    h_k = sum_{i<=j} m_ij C_ijk a_i a_j,     b = sum_k h_k a_k,
    T_ij = w sum_k C_ijk a_k:     d_k += w h_k,   d_i += m_ij T_ij a_j,   d_j += m_ij T_ij a_i,

where w = dE/db. Where all three degrees are equal, d_k += 3 w h_k is all of it. Vectors `a` hold one channel a lane.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from atomistic.harmonics import coupling

Triple = tuple[int, int, int]
Terms = list[tuple[int, int, list[tuple[int, float]]]]


def four_body_source(triples: Sequence[Triple]) -> str:
    """Definitions of `four_body(a, b)` and `four_body_gradient(a, w, d)`; component (l, m) stands at l^2 + l + m - 1."""
    values = "\n".join(line for n, triple in enumerate(triples) for line in _value(n, triple))
    gradients = "\n".join(line for n, triple in enumerate(triples) for line in _gradient(n, triple))
    return (
        f"static void four_body(const vd *restrict a, vd *restrict b) {{\n{values}\n}}\n"
        f"static void four_body_gradient(const vd *restrict a, const vd *restrict w, vd *restrict d) {{\n{gradients}\n}}\n"
    )


def _terms(triple: Triple) -> tuple[Terms, Triple]:
    """Pairs (i, j) of components with their k and C_ijk, and the degrees in the order used."""
    l1, l2, l3 = triple
    if l2 == l3 != l1:
        l1, l2, l3 = l2, l3, l1
    C = coupling(l1, l2, l3)
    starts = [degree * degree - 1 for degree in (l1, l2, l3)]
    terms = []
    for i, j in np.ndindex(C.shape[:2]):
        if l1 == l2 and j < i:
            continue
        third = [(starts[2] + int(k), float(C[i, j, k])) for k in np.flatnonzero(C[i, j])]
        if third:
            terms.append((starts[0] + i, starts[1] + j, third))
    return terms, (l1, l2, l3)


def _coupled_pairs(terms: Terms, symmetric: bool) -> Iterator[str]:
    """Lines that define h_k."""
    started = set()
    for i, j, third in terms:
        yield f"p = a[{i}] * a[{j}];"
        for k, value in third:
            factor = 2.0 * value if symmetric and i != j else value
            yield f"h{k} += {factor!r} * p;" if k in started else f"vd h{k} = {factor!r} * p;"
            started.add(k)


def _value(n: int, triple: Triple) -> Iterator[str]:
    terms, (l1, l2, _) = _terms(triple)
    yield "{ vd p;"
    yield from _coupled_pairs(terms, l1 == l2)
    components = sorted({k for _, _, third in terms for k, _ in third})
    yield f"b[{n}] = {' + '.join(f'h{k} * a[{k}]' for k in components)}; }}"


def _gradient(n: int, triple: Triple) -> Iterator[str]:
    terms, (l1, l2, l3) = _terms(triple)
    components = sorted({k for _, _, third in terms for k, _ in third})
    yield "{ vd p;"
    yield from _coupled_pairs(terms, l1 == l2)
    if l1 == l2 == l3:
        yield f"const vd v = 3.0 * w[{n}];"
        yield from (f"d[{k}] += v * h{k};" for k in components)
        yield "}"
        return
    yield f"const vd v = w[{n}];"
    yield from (f"d[{k}] += v * h{k}; const vd v{k} = v * a[{k}];" for k in components)
    for i, j, third in terms:
        factor = 2.0 if l1 == l2 else 1.0
        yield f"p = {' + '.join(f'{factor * value!r} * v{k}' for k, value in third)};"
        yield f"d[{i}] += p * a[{j}];"
        if l1 != l2 or i != j:
            yield f"d[{j}] += p * a[{i}];"
    yield "}"
