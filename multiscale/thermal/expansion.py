"""What follows from a free energy psi(F, T): the crystal free of stress at T, its expansion and constants, and a new reference there.

The stress-free stretch U(T) is the right stretch at which dpsi/dF vanishes; it commutes with the material's symmetry, hence a
cubic crystal expands alike along all axes, and a triclinic one as it likes. With E = (U^2 - 1) / 2, second Piola-Kirchhoff
stress S and D = dS/dE,

    D : dE/dT = -dS/dT,        alpha = U^-1 (dE/dT) U^-1,

the thermal expansion tensor, and with the strain E' that is counted from U, E = U E' U + (U^2 - 1) / 2: an affine map M e' + e0 of the
strain components, under which an orbit network stays one: W(e) / det U has the weights M^T w, biases b + w.e0 and amplitudes v / det U
(D. C. Wallace, Thermodynamics of Crystals, 1972, for constants at a new reference).
"""

from dataclasses import replace
from math import comb
from typing import Final

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from multiscale.laws.orbit_network import OrbitLaw
from multiscale.laws.strain import (
    SHEAR_DOUBLING,
    green_lagrange,
    stiffness_components,
    strain_action,
    strain_tensor,
    stress_components,
    stress_tensor,
)
from multiscale.measured.specimen import NoEquilibrium
from multiscale.thermal.law import ThermalLaw
from multiscale.thermal.temperature import InvalidTemperature
from multiscale.trust.domain import Domain

ITERATIONS: Final = 50
"""Newton steps; six suffice unless the crystal is about to lose stability."""

LARGEST_STRAIN: Final = 0.2
"""Beyond it no thermal strain is believed."""


def free_stretch(law: ThermalLaw, temperature: float) -> Float[ndarray, "3 3"]:
    """U(T), symmetric: the stretch, from F = I of the law, at which the stress vanishes at `temperature` (K).

    Raises:
        InvalidTemperature: negative or not finite.
        NoEquilibrium: no stable stress-free state near F = I.
    """
    orbit, basis = law.at(temperature), law.symmetry.invariant_stresses() * SHEAR_DOUBLING
    basis /= np.linalg.norm(basis, axis=1)[:, None]
    e = np.zeros(6)
    for _ in range(ITERATIONS):
        _, S, D = strain_derivatives(orbit, stretch_of(e))
        stiffness = basis @ D @ basis.T
        if not np.linalg.eigvalsh(stiffness).min() > 0.0:
            break
        step = -np.linalg.solve(stiffness, basis @ S) @ basis
        e = e + step
        if np.abs(e).max() > LARGEST_STRAIN:
            break
        if np.abs(step).max() < 1e-15 + 1e-14 * np.abs(e).max():
            return stretch_of(e)
    raise NoEquilibrium(
        f"no stable stress-free state was found at {temperature:g} K within {100 * LARGEST_STRAIN:g} % of F = I; the law's "
        f"temperatures are {law.temperatures.tolist()} K"
    )


def thermal_expansion(law: ThermalLaw, temperature: float) -> Float[ndarray, "3 3"]:
    """alpha in 1/K, the rate at which the stress-free crystal stretches at `temperature` (K).

    Raises:
        InvalidTemperature, NoEquilibrium: as `free_stretch`.
    """
    U, basis = free_stretch(law, temperature), law.symmetry.invariant_stresses() * SHEAR_DOUBLING
    _, _, D = strain_derivatives(law.at(temperature), U)
    slope = law.stress_temperature_derivative(U[None], np.array([temperature]))[0]
    by_temperature = basis @ stress_components(np.linalg.solve(U, slope))
    rate = strain_tensor(-np.linalg.solve(basis @ D @ basis.T, by_temperature) @ basis)
    inverse = np.linalg.inv(U)
    return np.asarray(inverse @ rate @ inverse)


def elastic_constants_at(law: ThermalLaw, temperature: float) -> Float[ndarray, "6 6"]:
    """Isothermal C (6, 6) in GPa, Voigt, of the crystal free of stress at `temperature` (K): what is measured there.

    Those at F = I, where the crystal is under thermal stress, are `law.at(temperature).elastic_constants()`.

    Raises:
        InvalidTemperature, NoEquilibrium: as `free_stretch`.
    """
    U = free_stretch(law, temperature)
    M = strain_action(U)
    return np.asarray(M.T @ strain_derivatives(law.at(temperature), U)[2] @ M / np.linalg.det(U))


def grueneisen_tensor(law: ThermalLaw, temperature: float, heat_capacity: float | None = None) -> Float[ndarray, "3 3"]:
    """gamma = C : alpha / c at the stress-free crystal: thermal stress per thermal energy; trace / 3 is Grueneisen's parameter.

    Args:
        heat_capacity: c at constant deformation in GPa/K per reference volume, 3 n k / V for n classical atoms in V; by default
            the law's own.

    Raises:
        InvalidTemperature: the heat capacity is not known, nor given; and as `free_stretch`.
        NoEquilibrium: as `free_stretch`.
    """
    if heat_capacity is None:
        if law.heat_capacity is None:
            raise InvalidTemperature(
                "the heat capacity is not known, since no internal energies were fitted; pass heat_capacity in GPa/K"
            )
        U, h = free_stretch(law, temperature), 0.05 * law.temperature_span
        around = np.array([max(temperature - h, 0.0), temperature + h])
        energies = law.internal_energy(np.broadcast_to(U, (2, 3, 3)), around)
        heat_capacity = float(np.diff(energies)[0] / np.diff(around)[0])
    C = elastic_constants_at(law, temperature)
    alpha = thermal_expansion(law, temperature)
    components = np.array([alpha[0, 0], alpha[1, 1], alpha[2, 2], *(2.0 * alpha[[1, 0, 0], [2, 2, 1]])])
    U = free_stretch(law, temperature)
    return np.asarray(stress_tensor(C @ components) * np.linalg.det(U) / heat_capacity)


def referred_to(law: ThermalLaw, temperature: float) -> ThermalLaw:
    """The same material with F = I at its stress-free state of `temperature` (K), where its stress is now zero exactly.

    psi'(F', T) = psi(F' U, T) / det U, U = `free_stretch(law, temperature)`; where no internal energies were given, energies are relative
    to the new F = I. Error bars belong to the fitted law: `standard_error(law, lambda one: ... referred_to(one, T) ...)`.

    Raises:
        InvalidTemperature, NoEquilibrium: as `free_stretch`.
        InvalidLaw: the growth term would reach F = I.
    """
    U = free_stretch(law, temperature)
    M, e0, volume = strain_action(U), green_lagrange(U), float(np.linalg.det(U))
    at_rest = [strain_derivatives(coefficient, U) for coefficient in law.coefficients]
    shift = recentring(len(at_rest), (temperature - law.reference_temperature) / law.temperature_span) / volume
    stresses = stress_tensor(shift @ np.array([S for _, S, _ in at_rest]) @ M)
    stresses[0] = 0.0  # what Newton's method left of it
    constants = M.T @ np.tensordot(shift, np.array([D for _, _, D in at_rest]), 1) @ M
    rest = law.rest_energy + np.array([W for W, _, _ in at_rest])
    domain = None
    if law.domain is not None:
        domain = Domain((law.domain.strain - e0) @ np.linalg.inv(M).T, law.symmetry)
    return replace(
        law,
        weights=law.weights @ M,
        biases=law.biases + law.weights @ e0,
        amplitudes=shift @ law.amplitudes,
        constants=np.array([law.symmetry.project_stiffness(C) for C in constants]),
        reference_stress=np.array([stress_tensor(law.symmetry.project_stress(stress_components(S))) for S in stresses]),
        reference_temperature=float(temperature),
        rest_energy=np.zeros(len(rest)) if law.heat_capacity is None else shift @ rest,
        heat_capacity=None if law.heat_capacity is None else law.heat_capacity / volume,
        growth_modulus=law.growth_modulus / volume,
        growth_threshold=law.growth_threshold / volume,
        domain=domain,
        uncertainty=None,
    )


def recentring(count: int, shift: float) -> Float[ndarray, "count count"]:
    """B with sum_k theta^k c_k = sum_j (theta - shift)^j (B c)_j: the binomial theorem."""
    return np.array([[comb(k, j) * shift ** (k - j) if k >= j else 0.0 for k in range(count)] for j in range(count)])


def stretch_of(e: Float[ndarray, "6"]) -> Float[ndarray, "3 3"]:
    """The right stretch with Green-Lagrange components e, principal stretches 1 + 2 E > 0."""
    principal, axes = np.linalg.eigh(strain_tensor(e))
    U = (axes * np.sqrt(1.0 + 2.0 * principal)) @ axes.T
    return np.asarray(0.5 * (U + U.T))


def strain_derivatives(
    law: OrbitLaw, F: Float[ndarray, "3 3"]
) -> tuple[float, Float[ndarray, "6"], Float[ndarray, "6 6"]]:
    """W, S = dW/de and D = d2W/de2 at one F, from its P and A: the chain rule of multiscale.laws.strain backwards."""
    response = law.evaluate(F[None])
    assert response.tangent is not None
    inverse = np.linalg.inv(F)
    S = inverse @ response.first_piola[0]
    material = response.tangent[0] - np.einsum("ik,jl->ijkl", np.eye(3), S)
    D = stiffness_components(np.einsum("mi,nk,ijkl->mjnl", inverse, inverse, material))
    return float(response.energy[0]), stress_components(S), np.asarray(0.5 * (D + D.T))
