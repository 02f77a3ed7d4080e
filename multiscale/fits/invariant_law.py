"""Fitting invariant and polyconvex laws to strain-stress data, by Levenberg-Marquardt from several starts.

The invariant law has the elastic constants of `data.reference_tangent` exactly (fitted where it is missing); a polyconvex law
cannot be given any: its constants are what the fit finds.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Final, Literal

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from multiscale.data.dataset import StressStrainData
from multiscale.fits.argument_least_squares import ArgumentFit, in_units, numbers
from multiscale.fits.observations import Observations
from multiscale.fits.orbit_law import (
    GROWTH_STIFFNESS,
    Progress,
    TooFewStates,
    check_sizes,
    growth_threshold,
    held_out_states,
    hooke_stiffness,
    normalised_mse,
    penalty_report,
    stiffness_size,
    strain_size,
    usable,
    warn_if_poor,
)
from multiscale.fits.penalty import penalised_minimum
from multiscale.fits.starts import best_of_starts
from multiscale.laws.invariant_network import InvariantLaw
from multiscale.laws.jets import UNIT, Jet
from multiscale.laws.polyconvex_network import PolyconvexLaw, argument_action, arguments, pressure_jet
from multiscale.laws.quadratic_part import QuadraticPart, expansion
from multiscale.laws.reference_state import ReferenceState, ReferenceStress
from multiscale.laws.strain import SHEAR_DOUBLING, stress_components, stress_tensor
from multiscale.symmetry.invariants import invariants_of
from multiscale.symmetry.material_symmetry import ISOTROPIC, InfiniteGroup, MaterialSymmetry
from multiscale.trust.symmetry_domain import domain_of

SHORT, LONG = 60, 300
"""Iterations of a start, and of the polish."""

PRIOR: Final = 1.0
"""Standard deviation of the dimensionless parameters."""


def fit_invariant_law(
    data: StressStrainData,
    symmetry: MaterialSymmetry,
    *,
    neurons: int = 6,
    seed: int = 0,
    starts: int = 4,
    progress: Progress | None = None,
    reference_stress: ReferenceStress = "zero",
    mode: Literal["free", "penalised"] = "free",
) -> InvariantLaw:
    """The network of invariants of a material; arguments as of multiscale.fit.

    Raises:
        FitError: TooFewStates, ContradictorySymmetry, ContradictoryReferenceStress, or itself.
    """
    check_sizes(neurons, starts)
    data = usable(data)
    reference = ReferenceState.of(data, symmetry, reference_stress)
    observations, s, K = scales(data, symmetry)
    form = InvariantForm(data.deformation_gradient, symmetry, reference, s, K)
    problem = ArgumentFit(observations, form, neurons, strain_scale=s, stiffness_scale=K, prior=PRIOR)
    domain = domain_of(observations.strain, symmetry)
    parameters, summary = minimised(problem, len(data), seed, starts, progress)
    if mode == "penalised":
        told = penalty_report(progress or (lambda fraction, message: None))
        parameters, _ = penalised_minimum(problem, parameters, domain, seed=seed, progress=told)
        summary = f"penalised, {summary}, {problem.chi_square(parameters):.3g} with the penalty"
    rows, linear, extras = problem.split(parameters)
    r, m = form.raw, len(reference.stiffness_basis)
    stiffness = reference.stiffness + K * np.einsum("m,mij->ij", extras[:m], reference.stiffness_basis)
    stress = reference.stress + K * s * extras[m:] @ reference.stress_basis
    law = InvariantLaw(
        symmetry=symmetry,
        weights=rows[:, :r] / form.sizes,
        biases=rows[:, r],
        amplitudes=rows[:, r + 1] * K * s**2,
        skip=linear / form.sizes * K * s**2,
        constants=symmetry.project_stiffness(stiffness),
        reference_stress=stress_tensor(symmetry.project_stress(stress)),
        growth_modulus=GROWTH_STIFFNESS * K,
        growth_threshold=growth_threshold(data),
        domain=domain,
        provenance={**data.provenance, "states": str(len(data)), "fit": summary},
    )
    if progress is not None:
        progress(1.0, summary)
    return checked(law, data)


def fit_polyconvex_law(
    data: StressStrainData,
    symmetry: MaterialSymmetry,
    *,
    neurons: int = 6,
    seed: int = 0,
    starts: int = 4,
    progress: Progress | None = None,
) -> PolyconvexLaw:
    """The polyconvex law of a material; arguments as of multiscale.fit. Its stress at F = I is zero.

    Raises:
        FitError: TooFewStates, ContradictorySymmetry, ContradictoryReferenceStress, or itself.
    """
    check_sizes(neurons, starts)
    data = usable(data)
    ReferenceState.of(data, symmetry, "zero")
    observations, s, K = scales(data, symmetry)
    form = PolyconvexForm(data.deformation_gradient, symmetry, s)
    problem = ArgumentFit(observations, form, neurons, strain_scale=s, stiffness_scale=K, prior=PRIOR)
    parameters, summary = minimised(problem, len(data), seed, starts, progress)
    rows, linear, extras = problem.split(parameters)
    made = [form.weights(row[: form.raw])[0] / form.sizes for row in rows]
    law = PolyconvexLaw(
        symmetry=symmetry,
        weights=np.stack(made),
        biases=rows[:, form.raw],
        amplitudes=rows[:, form.raw + 1] ** 2 * K * s**2,
        skip=form.weights(linear)[0] / form.sizes * K * s**2,
        bulk=float(extras[0] ** 2) * K,
        growth_modulus=GROWTH_STIFFNESS * K,
        growth_threshold=growth_threshold(data),
        domain=domain_of(observations.strain, symmetry),
        provenance={**data.provenance, "states": str(len(data)), "fit": summary},
    )
    if progress is not None:
        progress(1.0, summary)
    return checked(law, data)


class InvariantForm:
    """Free weights on the invariants; extras are elastic constants and stress at F = I where they are fitted."""

    def __init__(
        self,
        F: Float[ndarray, "n 3 3"],
        symmetry: MaterialSymmetry,
        reference: ReferenceState,
        strain_scale: float,
        stiffness_scale: float,
        sizes: Float[ndarray, "m"] | None = None,
    ) -> None:
        self._given = (symmetry, reference, strain_scale, stiffness_scale)
        part = QuadraticPart(invariants_of(symmetry))
        raw = part.invariants.jet(np.concatenate([F, np.eye(3)[None]]))
        found = np.sqrt(np.mean(raw.value**2, axis=0))
        self.sizes = np.where(found == 0.0, 1.0, found) if sizes is None else sizes
        self.jet = in_units(raw, strain_scale, self.sizes)
        m = len(self.sizes)
        self.images, self.raw = np.eye(m)[None], m
        carriers = part.jet(raw)
        carriers = in_units(carriers, strain_scale, np.ones(len(part.terms)))
        self._carriers = numbers(carriers)[:-1]
        # columns scaled for the pseudo-inverse: its cut-off is relative
        origin = expansion(carriers)[-1].T
        size = np.linalg.norm(origin, axis=0)
        self._solver = np.linalg.pinv(origin / size) / size[:, None]
        self._correction = np.zeros((len(F), 28, 28))
        self._correction[:, 0, 0] = 1.0
        self._correction[:, :, 1:] = self._carriers @ self._solver
        zero = np.zeros((6, 6))
        stiffnesses = self.carried(np.zeros((len(reference.stiffness_basis), 6)), reference.stiffness_basis)
        stresses = self.carried(reference.stress_basis, np.broadcast_to(zero, (len(reference.stress_basis), 6, 6)))
        self._columns = np.concatenate([stiffnesses, stresses], axis=2)
        self.extras = self._columns.shape[2]
        rest = (reference.stress[None] / (stiffness_scale * strain_scale), reference.stiffness[None] / stiffness_scale)
        self.known = self.carried(*rest)[:, :, 0]

    def at(self, deformation_gradient: Float[ndarray, "m 3 3"]) -> "InvariantForm":
        return InvariantForm(deformation_gradient, *self._given, self.sizes)

    def carried(self, stress: Float[ndarray, "q 6"], stiffness: Float[ndarray, "q 6 6"]) -> Float[ndarray, "n 28 q"]:
        """The energies that have these stresses and elastic constants (dimensionless) at F = I."""
        given = Jet(np.zeros((1, len(stress))), np.asarray(stress)[None], np.asarray(stiffness)[None])
        return np.asarray(self._carriers @ (self._solver @ expansion(given)[0].T))

    def weights(self, raw: Float[ndarray, "r"]) -> tuple[Float[ndarray, "m"], Float[ndarray, "m r"]]:
        return raw, np.eye(self.raw)

    def amplitude(self, raw: float) -> tuple[float, float]:
        return raw, 1.0

    def correction(self, at_rest: Float[ndarray, "28"]) -> Float[ndarray, "n 28 28"]:
        return self._correction

    def extra(self, raw: Float[ndarray, "q"]) -> tuple[Float[ndarray, "n 28"], Float[ndarray, "n 28 q"]]:
        return self._columns @ raw, self._columns


class PolyconvexForm:
    """Semidefinite tensors by their factors, amplitudes and bulk modulus by their square roots.

    A finite group has G = L L^T with L lower triangular; an infinite one G = sum_k q_k^2 P_k of its invariant projectors.
    """

    extras = 1

    def __init__(
        self,
        F: Float[ndarray, "n 3 3"],
        symmetry: MaterialSymmetry,
        strain_scale: float,
        sizes: Float[ndarray, "13"] | None = None,
    ) -> None:
        self._given, self.known = (symmetry, strain_scale), np.zeros((len(F), 28))
        whole = np.concatenate([F, np.eye(3)[None]])
        raw = arguments(whole)
        size = [np.sqrt(np.mean(raw.value[:, block] ** 2)) for block in (slice(0, 6), slice(6, 12), slice(12, 13))]
        self.sizes = np.repeat(np.maximum(size, 1e-3 * size[0]), [6, 6, 1]) if sizes is None else sizes
        self.jet = in_units(raw, strain_scale, self.sizes)
        self.images = argument_action(symmetry)
        self._projectors: Float[ndarray, "k 6"] | None = None
        if isinstance(symmetry, InfiniteGroup):
            a = np.asarray(symmetry.axis)
            along = np.outer(a, a)
            tensors = [np.eye(3)] if symmetry.name == ISOTROPIC else [along, np.eye(3) - along]
            self._projectors = np.stack([stress_components(tensor) for tensor in tensors])
        self._each = 6 if self._projectors is None else len(self._projectors)
        self.raw = 2 * self._each + 1
        self._volumes = [
            numbers(in_units(pressure_jet(F, p), strain_scale, np.full(1, strain_scale)))[:, :, 0] for p in (-1.0, 1.0)
        ]
        here = arguments(F)
        # the energies tr(E T) of unit stresses T
        self._strains = numbers(in_units(here[range(6)], strain_scale, np.full(6, strain_scale)))
        volume = here[[12]]
        self._bulk = 0.5 * numbers(in_units(volume * volume, strain_scale, np.full(1, strain_scale**2)))[:, :, 0]

    def at(self, deformation_gradient: Float[ndarray, "m 3 3"]) -> "PolyconvexForm":
        return PolyconvexForm(deformation_gradient, *self._given, self.sizes)

    def _tensor(self, raw: Float[ndarray, "k"]) -> tuple[Float[ndarray, "6"], Float[ndarray, "6 k"]]:
        if self._projectors is not None:
            return raw**2 @ self._projectors, (2.0 * raw[:, None] * self._projectors).T
        L, unit = np.zeros((3, 3)), np.zeros((6, 3, 3))
        rows, columns = np.tril_indices(3)
        L[rows, columns] = raw
        unit[np.arange(6), rows, columns] = 1.0
        # stress_components takes the symmetric part
        return stress_components(L @ L.T), 2.0 * stress_components(unit @ L.T).T

    def weights(self, raw: Float[ndarray, "r"]) -> tuple[Float[ndarray, "13"], Float[ndarray, "13 r"]]:
        k = self._each
        w, dw = np.zeros(13), np.zeros((13, self.raw))
        w[12], dw[12, -1] = raw[-1], 1.0
        w[:6], dw[:6, :k] = self._tensor(raw[:k])
        w[6:12], dw[6:12, k : 2 * k] = self._tensor(raw[k : 2 * k])
        return w, dw

    def amplitude(self, raw: float) -> tuple[float, float]:
        return raw**2, 2.0 * raw

    def correction(self, at_rest: Float[ndarray, "28"]) -> Float[ndarray, "n 28 28"]:
        values, axes = np.linalg.eigh(stress_tensor(at_rest[1:7]))
        volume = self._volumes[int(values[-1] >= 0.0)]
        # the largest eigenvalue is n.T n, and so is its derivative, n held
        largest = stress_components(np.outer(axes[:, -1], axes[:, -1])) * SHEAR_DOUBLING
        T = np.zeros((len(volume), 28, 28))
        T[:, 0, 0] = 1.0
        T[:, :, 1:7] = (volume - self._strains @ UNIT)[:, :, None] * largest + self._strains
        return T

    def extra(self, raw: Float[ndarray, "1"]) -> tuple[Float[ndarray, "n 28"], Float[ndarray, "n 28 1"]]:
        return raw[0] ** 2 * self._bulk, 2.0 * raw[0] * self._bulk[:, :, None]


def minimised(
    problem: ArgumentFit, states: int, seed: int, starts: int, progress: Progress | None
) -> tuple[Float[ndarray, "p"], str]:
    """The parameters of the best start by held-out states, polished on all of them, and what to say of it."""
    report: Callable[[float, str], None] = progress or (lambda fraction, message: None)
    rng = np.random.default_rng(seed)
    held_out = held_out_states(states, rng)
    count = int((~held_out).sum()) * len(problem.observations.columns)
    if count < problem.unknowns:
        raise TooFewStates(
            f"{states} admissible states give {count} numbers for training, fewer than the {problem.unknowns} unknowns of "
            f"{problem.neurons} neurons; add states, or use fewer neurons"
        )
    minimum = best_of_starts(
        problem,
        problem.on(~held_out),
        problem.on(held_out),
        lambda: rng.normal(scale=0.5, size=problem.unknowns),
        starts=starts,
        short=SHORT,
        long=LONG,
        report=report,
    )
    polished = minimum.parameters
    summary = f"{problem.neurons} neurons, seed {seed}, {starts} starts; chi square {problem.chi_square(polished):.3g} a number"
    return polished, summary


def scales(data: StressStrainData, symmetry: MaterialSymmetry) -> tuple[Observations, float, float]:
    """The observations, the size of the strains, and that of the stiffness by a fit of Hooke's law."""
    observations = Observations.of(data)
    s = strain_size(observations)
    stiffness = hooke_stiffness(observations, symmetry.invariant_stiffnesses(), np.zeros((0, 6)), symmetry.name)
    return observations, s, stiffness_size(stiffness)


def checked[L: (InvariantLaw, PolyconvexLaw)](law: L, data: StressStrainData) -> L:
    """The law with its error on its own data in the provenance, and a warning where that is large."""
    if data.first_piola is None:
        return law
    stress = law.evaluate(data.deformation_gradient, tangent=False).first_piola
    miss = normalised_mse(stress, data.first_piola)
    remedy = "use more neurons, check the data and the symmetry, or give up polyconvexity"
    warn_if_poor(miss, data, remedy=remedy, depth=4)
    return replace(law, provenance={**law.provenance, "stress NMSE on its own data": f"{miss:.3g}"})
