"""How invariant and polyconvex laws are parametrised, for a least-squares fit (multiscale.fits.argument_least_squares).

A form says what the arguments of the neurons are, how raw parameters make weights and amplitudes that the law allows, and which linear map
T takes out what the network has at F = I:

invariant     T leaves energy, stress and elastic constants at F = I to the functions that carry them (multiscale.laws.quadratic_part);
polyconvex    T makes the stress at F = I zero by polyconvex terms, and lets the elastic constants be.
"""

import copy
from typing import Protocol, Self

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from multiscale.laws.jets import UNIT, Jet
from multiscale.laws.polyconvex_arguments import argument_action, arguments, pressure_jet
from multiscale.laws.quadratic_part import QuadraticPart, expansion
from multiscale.laws.reference_state import ReferenceState
from multiscale.laws.strain import SHEAR_DOUBLING, UPPER_COLUMNS, UPPER_ROWS, stress_components, stress_tensor
from multiscale.symmetry.invariants import invariants_of
from multiscale.symmetry.material_symmetry import ISOTROPIC, InfiniteGroup, MaterialSymmetry


class Form(Protocol):
    """How one kind of law is parametrised. Everything is dimensionless.

    Attributes:
        symmetry: of the law.
        jet: arguments in units of their sizes at all states, then at F = I, derivatives by e / s.
        sizes: (m,).
        images: B (g, m, m).
        raw: parameters that make the weights of a neuron.
        extras: parameters besides the neurons.
        known: (n, 28) what is no unknown.
    """

    symmetry: MaterialSymmetry
    jet: Jet
    sizes: Float[ndarray, "m"]
    images: Float[ndarray, "g m m"]
    raw: int
    extras: int
    known: Float[ndarray, "n 28"]

    def at(self, deformation_gradient: Float[ndarray, "m 3 3"]) -> Self:
        """The same at other states."""
        ...

    def on(self, states: Bool[ndarray, "n"]) -> Self:
        """The same at some of the states."""
        ...

    def weights(self, raw: Float[ndarray, "r"]) -> tuple[Float[ndarray, "m"], Float[ndarray, "m r"]]:
        """w of a neuron, and the derivatives."""
        ...

    def amplitude(self, raw: float) -> tuple[float, float]:
        """v and its derivative."""
        ...

    def correction(self, at_rest: Float[ndarray, "28"]) -> Float[ndarray, "n 28 28"]:
        """T, for this sum of all neurons at F = I."""
        ...

    def extra(self, raw: Float[ndarray, "q"]) -> tuple[Float[ndarray, "n 28"], Float[ndarray, "n 28 q"]]:
        """What the extra parameters contribute, and its derivatives."""
        ...


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
        self.symmetry, self.reference = symmetry, reference
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

    def on(self, states: Bool[ndarray, "n"]) -> "InvariantForm":
        return narrowed(self, states, ("_correction", "_columns", "known"))

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
        self.symmetry, self.known = symmetry, np.zeros((len(F), 28))
        self._given = (symmetry, strain_scale)
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
        # where the largest eigenvalue is negative, and where it is positive
        self._volumes: Float[ndarray, "n 28 2"] = np.concatenate(
            [numbers(in_units(pressure_jet(F, p), strain_scale, np.full(1, strain_scale))) for p in (-1.0, 1.0)], axis=2
        )
        here = arguments(F)
        # the energies tr(E T) of unit stresses T
        self._strains = numbers(in_units(here[range(6)], strain_scale, np.full(6, strain_scale)))
        volume = here[[12]]
        self._bulk = 0.5 * numbers(in_units(volume * volume, strain_scale, np.full(1, strain_scale**2)))[:, :, 0]

    def at(self, deformation_gradient: Float[ndarray, "m 3 3"]) -> "PolyconvexForm":
        return PolyconvexForm(deformation_gradient, *self._given, self.sizes)

    def on(self, states: Bool[ndarray, "n"]) -> "PolyconvexForm":
        return narrowed(self, states, ("_volumes", "_strains", "_bulk", "known"))

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

    def raw_of(self, weights: Float[ndarray, "13"], least: float) -> Float[ndarray, "r"]:
        """What `weights` makes these of, up to roots that are at least so large."""
        parts = []
        for G in (weights[:6], weights[6:12]):
            if self._projectors is None:
                L = np.linalg.cholesky(stress_tensor(G) + least**2 * np.eye(3))
                parts.append(L[np.tril_indices(3)])
            else:
                size = np.linalg.lstsq(self._projectors.T, G)[0]
                parts.append(np.sqrt(np.maximum(size, least**2)))
        return np.concatenate([*parts, weights[12:]])

    def amplitude(self, raw: float) -> tuple[float, float]:
        return raw**2, 2.0 * raw

    def correction(self, at_rest: Float[ndarray, "28"]) -> Float[ndarray, "n 28 28"]:
        values, axes = np.linalg.eigh(stress_tensor(at_rest[1:7]))
        volume = self._volumes[:, :, int(values[-1] >= 0.0)]
        # the largest eigenvalue is n.T n, and so is its derivative, n held
        largest = stress_components(np.outer(axes[:, -1], axes[:, -1])) * SHEAR_DOUBLING
        T = np.zeros((len(volume), 28, 28))
        T[:, 0, 0] = 1.0
        T[:, :, 1:7] = (volume - self._strains @ UNIT)[:, :, None] * largest + self._strains
        return T

    def extra(self, raw: Float[ndarray, "1"]) -> tuple[Float[ndarray, "n 28"], Float[ndarray, "n 28 1"]]:
        return raw[0] ** 2 * self._bulk, 2.0 * raw[0] * self._bulk[:, :, None]


def narrowed[T: (InvariantForm, PolyconvexForm)](form: T, states: Bool[ndarray, "n"], fields: tuple[str, ...]) -> T:
    """A form with some of the states in the fields whose first axis is theirs."""
    other = copy.copy(form)
    other.jet = form.jet.on(np.append(states, True))
    for name in fields:
        setattr(other, name, getattr(form, name)[states])
    return other


def numbers(jet: Jet) -> Float[ndarray, "n 28 m"]:
    """Value, gradient and upper triangle of the Hessian of each function, one a column."""
    parts = [jet.value[:, :, None], jet.gradient, jet.hessian[:, :, UPPER_ROWS, UPPER_COLUMNS]]
    return np.asarray(np.concatenate(parts, axis=2).transpose(0, 2, 1))


def in_units(jet: Jet, strain_scale: float, sizes: Float[ndarray, "m"]) -> Jet:
    """The functions in units of their sizes, their derivatives by e / s."""
    s, u = strain_scale, sizes
    return Jet(jet.value / u, jet.gradient * s / u[:, None], jet.hessian * s**2 / u[:, None, None])
