"""The invariant law: a network of the group's invariants, with exact elastic constants. What isotropic materials are fitted with.

With the invariants i(F) of the group (multiscale.invariants), zero at F = I,

    W = N(i) - N(0) + sum_j a_j B_j(i) + growth(J),    N(i) = s.i + sum_h v_h softplus(w_h.i + b_h),

where the functions B_j (multiscale.quadratic_part) carry exactly the difference between the stress S0 and elastic constants C asked for and
what N has at F = I. Objectivity, symmetry, zero energy, S0 and C hold by construction, for any weights. Growth as in the orbit law.

The derivatives by strain are closed forms: with c = dW/di and K = d2W/di2 of network and B together,

    S = c . i',    D = c . i'' + i'^T K i'.

Networks of invariants: Linka et al., J. Comput. Phys. 429 (2021) 110010; Linden et al., J. Mech. Phys. Solids 179 (2023) 105363.
For finite groups an orbit law (multiscale.orbit_network) fits far better; this form is the alternative.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from atomistic.network_file import NetworkFileError, read_network_file, write_network_file
from fem.law import Response, check_deformation_gradient
from multiscale.domain import Domain
from multiscale.growth import growth
from multiscale.invariants import invariants_of
from multiscale.jets import Jet
from multiscale.material_symmetry import InfiniteGroup, MaterialSymmetry
from multiscale.orbit_fit import softplus
from multiscale.orbit_network import InvalidLaw, UnknownState
from multiscale.quadratic_part import QuadraticPart
from multiscale.strain import determinant, first_piola, green_lagrange, stress_components
from multiscale.strain import tangent as tangent_of
from multiscale.symmetry import PointGroup
from multiscale.symmetry_domain import domain_of

SCHEMA: Final = "atomlaw/invariant-law"
SCHEMA_VERSION: Final = 1
CHUNK: Final = 512
"""Points at a time."""

Derivatives = tuple[Float[ndarray, "n"], Float[ndarray, "n 6"], Float[ndarray, "n 6 6"]]


@dataclass(frozen=True, eq=False)
class InvariantLaw:
    """A network of invariants as a constitutive law (fem.law.Law).

    Attributes:
        symmetry: an InfiniteGroup or a PointGroup.
        weights: w (h, m), biases: b (h,), amplitudes: v (h,) in GPa, of m invariants.
        skip: s (m,) in GPa.
        constants: C (6, 6) in GPa, Voigt; invariant under the group.
        reference_stress: S0 (3, 3) in GPa at F = I; invariant under the group.
        growth_modulus: gamma in GPa. growth_threshold: J0.
        domain: what the law was made from; None where nobody says.
        provenance: what made it.

    Raises:
        InvalidLaw: shapes, numbers that are not finite, constants or stress that break the symmetry.
    """

    symmetry: MaterialSymmetry
    weights: Float[ndarray, "h m"]
    biases: Float[ndarray, "h"]
    amplitudes: Float[ndarray, "h"]
    skip: Float[ndarray, "m"]
    constants: Float[ndarray, "6 6"]
    reference_stress: Float[ndarray, "3 3"] = field(default_factory=lambda: np.zeros((3, 3)))
    growth_modulus: float = 0.0
    growth_threshold: float = 0.0
    domain: Domain | None = None
    provenance: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        h, m = len(np.atleast_1d(np.asarray(self.biases))), len(self.quadratic_part.invariants.orders)
        shapes = {
            "weights": (h, m), "biases": (h,), "amplitudes": (h,), "skip": (m,), "constants": (6, 6), "reference_stress": (3, 3)
        }  # fmt: skip
        settle_arrays(self, shapes)
        check_growth(self.growth_modulus, self.growth_threshold)
        stress = stress_components(self.reference_stress)
        for name, given, projected in (
            ("constants", self.constants, self.symmetry.project_stiffness(0.5 * (self.constants + self.constants.T))),
            ("reference_stress", stress, self.symmetry.project_stress(stress)),
        ):
            broken = float(np.abs(given - projected).max())
            if broken > 1e-9 * max(float(np.abs(given).max()), 1e-30):
                raise InvalidLaw(
                    f"{name} differ from their symmetric average over {self.symmetry.name} by {broken:.3g} GPa; project them on "
                    "the group (project_stiffness, project_stress) or use the group they have"
                )

    @cached_property
    def quadratic_part(self) -> QuadraticPart:
        """The functions that carry stress and elastic constants at F = I."""
        return QuadraticPart(invariants_of(self.symmetry))

    def elastic_constants(self) -> Float[ndarray, "6 6"]:
        """C = d2W/de2 at F = I in GPa, Voigt order xx, yy, zz, yz, xz, xy."""
        return self.constants.copy()

    def _network(
        self, i: Float[ndarray, "n m"]
    ) -> tuple[Float[ndarray, "n"], Float[ndarray, "n m"], Float[ndarray, "n m m"]]:
        """N, dN/di and d2N/di2."""
        f, f1, f2, _ = softplus(i @ self.weights.T + self.biases)
        value = f @ self.amplitudes + i @ self.skip
        curvature = np.swapaxes((f2 * self.amplitudes)[:, :, None] * self.weights, 1, 2) @ self.weights
        return value, (f1 * self.amplitudes) @ self.weights + self.skip, curvature

    @cached_property
    def _correction(self) -> tuple[float, Float[ndarray, "m"], Float[ndarray, "m m"]]:
        """sum_j a_j B_j - N(0) as a constant, a linear and a quadratic form of the invariants."""
        part = self.quadratic_part
        W, S, D = chained(part.origin, *self._network(part.origin.value))
        a = part.coefficients(stress_components(self.reference_stress) - S[0], self.constants - D[0])
        m = len(self.skip)
        linear, quadratic = np.zeros(m), np.zeros((m, m))
        for term, coefficient in zip(part.terms, a, strict=True):
            if len(term) == 1:
                linear[term[0]] += coefficient
            else:
                quadratic[term[0], term[1]] += coefficient
                quadratic[term[1], term[0]] += coefficient
        return -float(W[0]), linear, quadratic

    def potential(self, F: Float[ndarray, "n 3 3"]) -> Derivatives:
        """W, S = dW/de and D = d2W/de2, growth left out."""
        invariants = self.quadratic_part.invariants.jet(F)
        i = invariants.value
        value, slope, curvature = self._network(i)
        constant, linear, quadratic = self._correction
        bent = i @ quadratic
        value = value + constant + i @ linear + 0.5 * np.einsum("nm,nm->n", i, bent)
        return chained(invariants, value, slope + linear + bent, curvature + quadratic)

    def evaluate(
        self,
        deformation_gradient: Float[ndarray, "n 3 3"],
        state: Mapping[str, ndarray] | None = None,
        *,
        tangent: bool = True,
        trust: bool = False,
    ) -> Response:
        """W, P, A in GPa at F (n, 3, 3); with `trust`, the domain's gauge (None where the law has no domain).

        Raises:
            fem.law.ShapeError, fem.law.InadmissibleDeformation: F is not (n, 3, 3); det F <= 0 or not finite somewhere.
            UnknownState: a state was given; this law has none.
        """
        if state:
            raise UnknownState(f"the state holds {sorted(state)}; this law depends on F alone, expected no state")
        growing = (self.growth_modulus, self.growth_threshold)
        return respond(self.potential, growing, self.domain, deformation_gradient, tangent=tangent, trust=trust)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write safetensors with a JSON header, whole or not at all."""
        arrays = {name: np.asarray(getattr(self, name)) for name in STORED}
        header = {name: getattr(self, name) for name in SCALARS}
        write_law(path, SCHEMA, SCHEMA_VERSION, self.symmetry, self.domain, self.provenance, header, arrays)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "InvariantLaw":
        """Read what `save` wrote; the law is the same to the last bit.

        Raises:
            NetworkFileError: missing, truncated, foreign or inconsistent file, or of a later schema.
        """
        return read_law(cls, path, SCHEMA, SCHEMA_VERSION, STORED, SCALARS)


STORED: Final = ("weights", "biases", "amplitudes", "skip", "constants", "reference_stress")
SCALARS: Final = ("growth_modulus", "growth_threshold")


def chained(
    invariants: Jet, value: Float[ndarray, "n"], slope: Float[ndarray, "n m"], curvature: Float[ndarray, "n m m"]
) -> Derivatives:
    """A function of invariants as one of strain: S = c.i', D = c.i'' + i'^T K i'."""
    n, m = invariants.value.shape
    G, H = invariants.gradient, invariants.hessian.reshape(n, m, 36)
    S = (slope[:, None] @ G)[:, 0]
    D = (slope[:, None] @ H).reshape(n, 6, 6) + np.swapaxes(G, 1, 2) @ curvature @ G
    return value, S, D


def respond(
    potential: Callable[[Float[ndarray, "n 3 3"]], Derivatives],
    growing: tuple[float, float],
    domain: Domain | None,
    deformation_gradient: Float[ndarray, "n 3 3"],
    *,
    tangent: bool,
    trust: bool,
) -> Response:
    """The response of a potential of strain with a growth term (modulus, J0), in chunks of points."""
    F = check_deformation_gradient(deformation_gradient)
    n, (modulus, threshold) = len(F), growing
    W, P = np.empty(n), np.empty((n, 3, 3))
    A = np.empty((n, 3, 3, 3, 3)) if tangent else None
    for start in range(0, n, CHUNK):
        part = slice(start, start + CHUNK)
        energy, S, D = potential(F[part])
        J = determinant(F[part])
        crushed = threshold > J
        if crushed.any():
            more = growth(F[part][crushed], J[crushed], modulus, threshold)
            for total, term in zip((energy, S, D), more, strict=True):
                total[crushed] += term
        W[part], P[part] = energy, first_piola(F[part], S)
        if A is not None:
            A[part] = tangent_of(F[part], S, D)
    gauge = domain.trust(green_lagrange(F)) if trust and domain is not None else None
    return Response(energy=W, first_piola=P, tangent=A, trust=gauge)


def settle_arrays(law: object, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Store fields of a frozen law as float64 once their shapes and numbers are right."""
    for name, shape in shapes.items():
        array = np.array(getattr(law, name), dtype=np.float64)
        if array.shape != shape:
            raise InvalidLaw(f"{name} has shape {array.shape}, expected {shape}")
        if not np.isfinite(array).all():
            raise InvalidLaw(f"{name} holds NaN or infinity, expected finite numbers")
        object.__setattr__(law, name, array)


def check_growth(modulus: float, threshold: float) -> None:
    if not (0.0 <= threshold < 1.0 and 0.0 <= modulus < np.inf):
        raise InvalidLaw(
            f"the growth term has modulus {modulus} GPa and threshold J0 = {threshold}, expected a modulus >= 0 and 0 <= J0 < 1"
        )


def write_law(
    path: str | os.PathLike[str],
    schema: str,
    version: int,
    symmetry: MaterialSymmetry,
    domain: Domain | None,
    provenance: Mapping[str, str],
    header: Mapping[str, Any],
    arrays: Mapping[str, ndarray],
) -> None:
    """A law of either kind of symmetry as safetensors: rotations of a finite group, the axis of an infinite one."""
    infinite = isinstance(symmetry, InfiniteGroup)
    rotations = symmetry.rotations if isinstance(symmetry, PointGroup) else np.zeros((0, 3, 3))
    whole = {
        **arrays,
        "rotations": rotations,
        "axis": np.asarray(symmetry.axis) if isinstance(symmetry, InfiniteGroup) else np.zeros(3),
        "domain_strain": np.zeros((0, 6)) if domain is None else domain.strain,
    }
    header = {**header, "symmetry": symmetry.name, "infinite": infinite, "units": "GPa", "provenance": dict(provenance)}
    write_network_file(path, schema, version, header, whole)


def read_law[L](
    cls: Callable[..., L],
    path: str | os.PathLike[str],
    schema: str,
    version: int,
    names: tuple[str, ...],
    scalars: tuple[str, ...],
) -> L:
    """What `write_law` wrote, made into a law of this class."""
    header, arrays = read_network_file(path, schema, version, (*names, "rotations", "axis", "domain_strain"))
    try:
        rotations, axis, strain = (arrays.pop(name) for name in ("rotations", "axis", "domain_strain"))
        name = header["symmetry"]
        symmetry = InfiniteGroup(name, axis.tolist()) if header["infinite"] else PointGroup(name, rotations)
        return cls(
            symmetry=symmetry,
            domain=domain_of(strain, symmetry) if len(strain) else None,
            provenance=dict(header["provenance"]),
            **arrays,
            **{name: float(header[name]) for name in scalars},
        )
    except (KeyError, TypeError, ValueError) as error:
        raise NetworkFileError(f"{path} holds no consistent law ({error}); save the law again") from error
