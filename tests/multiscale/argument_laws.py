"""Invariant and polyconvex laws with random parameters, and the rotations that leave them as they are."""

import numpy as np

from multiscale.laws.invariant_network import InvariantLaw
from multiscale.laws.polyconvex_network import PolyconvexLaw
from multiscale.laws.strain import stress_components, stress_tensor
from multiscale.symmetry.invariants import invariants_of
from multiscale.symmetry.material_symmetry import InfiniteGroup, MaterialSymmetry
from multiscale.symmetry.point_group import PointGroup
from multiscale.trust.domain import Domain

from .random_laws import random_rotations

I = np.eye(3)[None]  # noqa: E741
FRAME = random_rotations(np.random.default_rng(7), 1)[0]
SYMMETRIES: dict[str, MaterialSymmetry] = {
    "isotropic": InfiniteGroup("isotropic"),
    "transversely isotropic": InfiniteGroup("transversely isotropic", FRAME[:, 2].tolist()),
    "m-3m": PointGroup.named("m-3m", FRAME),
    "-3": PointGroup.named("-3"),
    "2/m": PointGroup.named("2/m"),
    "-1": PointGroup.named("-1"),
}


def random_invariant_law(symmetry: MaterialSymmetry, seed: int) -> InvariantLaw:
    rng = np.random.default_rng(seed)
    factor, h, m = rng.normal(size=(6, 6)), 4, len(invariants_of(symmetry).orders)
    return InvariantLaw(
        symmetry=symmetry,
        weights=5.0 * rng.normal(size=(h, m)),
        biases=rng.normal(size=h),
        amplitudes=3.0 * rng.normal(size=h),
        skip=rng.normal(size=m),
        constants=symmetry.project_stiffness(20.0 * factor @ factor.T + 50.0 * np.eye(6)),
        reference_stress=stress_tensor(symmetry.project_stress(rng.normal(size=6))),
        growth_modulus=500.0,
        growth_threshold=0.8,
        domain=Domain(rng.uniform(-0.05, 0.05, (20, 6)), symmetry),
        provenance={"made": f"at random, seed {seed}"},
    )


def random_polyconvex_law(symmetry: MaterialSymmetry, seed: int) -> PolyconvexLaw:
    rng = np.random.default_rng(seed)
    h = 3

    def tensors(count: int) -> np.ndarray:
        if isinstance(symmetry, PointGroup):
            L = rng.normal(size=(count, 3, 3))
            return stress_components(L @ np.swapaxes(L, -1, -2))
        L = rng.uniform(0.0, 2.0, size=(count, 2))
        along = np.outer(FRAME[:, 2], FRAME[:, 2]) if symmetry.name != "isotropic" else np.eye(3)
        return stress_components(L[:, :1, None] * along + L[:, 1:, None] * np.eye(3))

    w, b, v = np.zeros((h, 13)), rng.normal(size=h), rng.uniform(0.0, 10.0, size=h)
    w[:, :6], w[:, 6:12], w[:, 12] = tensors(h), tensors(h), 3.0 * rng.normal(size=h)
    w *= 3.0
    skip = np.concatenate([tensors(1)[0], np.zeros(6), rng.normal(size=1)])
    domain, made = Domain(rng.uniform(-0.05, 0.05, (20, 6)), symmetry), {"made": f"at random, seed {seed}"}
    return PolyconvexLaw(
        symmetry, w, b, v, skip, 5.0, growth_modulus=50.0, growth_threshold=0.7, domain=domain, provenance=made
    )


RANDOM = {InvariantLaw: random_invariant_law, PolyconvexLaw: random_polyconvex_law}
"""How a law of each kind is drawn."""


def members(symmetry: MaterialSymmetry, seed: int) -> np.ndarray:
    if isinstance(symmetry, PointGroup):
        return symmetry.rotations
    assert isinstance(symmetry, InfiniteGroup)
    rng = np.random.default_rng(seed)
    if symmetry.name == "isotropic":
        return random_rotations(rng, 4)
    c, s = np.cos(angle := rng.uniform(0.0, 6.0)), np.sin(angle)
    about = np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])
    return symmetry.frame @ np.array([about, about @ np.diag([1.0, -1.0, -1.0])]) @ symmetry.frame.T


def relative(found: np.ndarray, expected: np.ndarray) -> float:
    return float(np.abs(found - expected).max() / np.abs(expected).max())
