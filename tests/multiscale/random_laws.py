"""Orbit laws with random parameters, so that no property rests on one fitted network."""

import numpy as np

from multiscale.laws.orbit_network import OrbitLaw
from multiscale.laws.strain import stress_tensor, stretch_of_log_strain
from multiscale.symmetry.point_group import PointGroup
from multiscale.trust.domain import Domain


def random_law(point_group: PointGroup, seed: int, *, neurons: int = 5, stressed: bool = False) -> OrbitLaw:
    """Elastic constants of about 100 GPa, neurons that switch within a few per cent of strain."""
    rng = np.random.default_rng(seed)
    factor = rng.normal(size=(6, 6))
    stress = point_group.project_stress(rng.normal(size=6)) if stressed else np.zeros(6)
    return OrbitLaw(
        symmetry=point_group,
        weights=rng.normal(size=(neurons, 6)) * 30.0,
        biases=rng.normal(size=neurons),
        amplitudes=rng.normal(size=neurons) * 0.2,
        constants=point_group.project_stiffness(20.0 * factor @ factor.T + 50.0 * np.eye(6)),
        reference_stress=stress_tensor(stress),
        growth_modulus=500.0,
        growth_threshold=0.8,
        domain=Domain(rng.uniform(-0.05, 0.05, (20, 6)), point_group),
        provenance={"made": f"at random, seed {seed}"},
    )


def random_strains(seed: int, count: int, *, largest: float = 0.08) -> np.ndarray:
    """Deformation gradients: random rotations of random stretches."""
    rng = np.random.default_rng(seed)
    return random_rotations(rng, count) @ stretch_of_log_strain(rng.uniform(-largest, largest, (count, 6)))


def random_rotations(rng: np.random.Generator, count: int) -> np.ndarray:
    Q, _ = np.linalg.qr(rng.normal(size=(count, 3, 3)))
    return Q * np.sign(np.linalg.det(Q))[:, None, None]
