"""Thermal laws with random parameters, so that no property rests on one fitted network."""

import numpy as np

from multiscale.laws.strain import stress_tensor
from multiscale.symmetry.point_group import PointGroup
from multiscale.thermal.law import ThermalLaw
from multiscale.trust.domain import Domain


def random_thermal_law(
    symmetry: PointGroup, seed: int, *, degree: int = 2, neurons: int = 4, caloric: bool = False, stressed: bool = False
) -> ThermalLaw:
    """Constants of about 100 GPa that change by some 10 % over 600 K, thermal stresses of some 0.5 GPa; reference at 200 K."""
    rng = np.random.default_rng(seed)
    factor, changes = rng.normal(size=(6, 6)), rng.normal(size=(degree, 6, 6))
    constants = [20.0 * factor @ factor.T + 50.0 * np.eye(6), *(3.0 * (C + C.T) for C in changes)]
    stresses = [stressed * rng.normal(size=6), *(0.3 * rng.normal(size=(degree, 6)))]
    amplitudes = 0.2 * rng.normal(size=(degree + 1, neurons))
    amplitudes[1:] *= 0.2
    return ThermalLaw(
        symmetry=symmetry,
        weights=10.0 * rng.normal(size=(neurons, 6)),
        biases=rng.normal(size=neurons),
        amplitudes=amplitudes,
        constants=np.array([symmetry.project_stiffness(C) for C in constants]),
        reference_stress=np.array([stress_tensor(symmetry.project_stress(S)) for S in stresses]),
        reference_temperature=200.0,
        temperature_span=600.0,
        rest_energy=rng.normal(size=degree + 1) if caloric else np.zeros(degree + 1),
        heat_capacity=2e-3 if caloric else None,
        growth_modulus=500.0,
        growth_threshold=0.8,
        domain=Domain(rng.uniform(-0.05, 0.05, (20, 6)), symmetry),
        temperatures=np.array([0.0, 300.0, 600.0]),
        provenance={"made": f"at random, seed {seed}"},
    )
