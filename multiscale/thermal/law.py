"""A free energy psi(F, T): a polynomial in temperature whose coefficients are orbit laws.

With theta = (T - T0) / dT, T0 the reference temperature and dT the span of the data,

    psi(F, T) = f(T) + sum_k theta^k W_k(F),     f(T) = sum_k a_k theta^k - c (T ln(T / dT) - T),

W_k the potentials of an orbit network (multiscale.laws.orbit_network) whose neurons they share: amplitudes, elastic constants and stress at
F = I are polynomials in T. Hence the crystal's symmetry and objectivity are exact at every T, at any one T the law is an orbit law,
the stress at F = I is zero (or as prescribed) exactly at T0, and

    P = dpsi/dF,   A = dP/dF,   eta = -dpsi/dT,   U = psi + T eta

are closed forms that agree with each other (Maxwell: dP/dT = -deta/dF).

Why a polynomial, and of low degree: few temperatures are ever computed, and n of them determine n coefficients of anything. In
classical statistical mechanics, which molecular dynamics obeys, P is linear in T to leading order: psi = W + k T sum ln(h omega(F) / k T),
the quasi-harmonic theory (G. Leibfried and W. Ludwig, Solid State Phys. 12 (1961) 275); anharmonicity adds T^2. That is smooth down to
T = 0, where classical crystals keep a thermal expansion and a heat capacity that quantum ones lose. The same neurons at all
temperatures, because the bonds that stiffen under strain are those that soften with temperature.

Stress determines psi up to a function of T, hence entropy as well. The convention without internal energies is f = 0: entropy and
internal energy are those relative to F = I at the same temperature. Internal energies determine f up to a_1, an entropy
constant, which is set to zero; c is then the heat capacity at F = I as T -> 0, where a classical entropy tends to minus infinity.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Final

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from atomistic.network_file import NetworkFileError, read_network_file, write_network_file
from fem.c_function import CFunction, NoCFunction
from fem.law import Response, ShapeError, check_deformation_gradient
from multiscale.laws.fields import InvalidLaw, settle_arrays
from multiscale.laws.kernel import library, parameter_block
from multiscale.laws.orbit_network import OrbitLaw
from multiscale.symmetry.point_group import LAUE_CLASS_OF, PointGroup
from multiscale.thermal.temperature import (
    ORIENTATION,
    TEMPERATURE,
    InvalidTemperature,
    caloric,
    powers,
    temperature_of,
    temperature_trust,
)
from multiscale.trust.domain import Domain

SCHEMA: Final = "atomlaw/thermal-law"
SCHEMA_VERSION: Final = 1

PARAMETERS: Final = ("weights", "biases", "amplitudes", "constants", "reference_stress", "rest_energy")
"""Arrays that a fit determines, besides the heat capacity: what an error bar is about."""

NUMBERS: Final = ("reference_temperature", "temperature_span", "growth_modulus", "growth_threshold")


@dataclass(frozen=True, eq=False)
class ThermalLaw:
    """A free energy as a constitutive law (fem.law.Law) whose state is the temperature.

    Attributes:
        symmetry: the exact symmetry G.
        weights: w (h, 6), biases: b (h,), of all W_k.
        amplitudes: v (K + 1, h) in GPa, of W_0 ... W_K.
        constants: C (K + 1, 6, 6) in GPa, Voigt; invariant under the group.
        reference_stress: S (K + 1, 3, 3) in GPa at F = I; invariant under the group.
        reference_temperature: T0 in K. temperature_span: dT in K.
        rest_energy: a (K + 1,) in GPa. heat_capacity: c in GPa/K; None where no internal energies were given, and f = 0.
        growth_modulus: gamma in GPa. growth_threshold: J0.
        domain: the strained states it was made from. temperatures: (t,) those of the data, in K.
        provenance: what made it.
        uncertainty: (y, r), a factor of the covariance of all parameters, in the order of `PARAMETERS` and then the
            heat capacity; None where no fit made it.

    Raises:
        InvalidLaw: shapes, numbers that are not finite, constants that break the symmetry.
    """

    symmetry: PointGroup
    weights: Float[ndarray, "h 6"]
    biases: Float[ndarray, "h"]
    amplitudes: Float[ndarray, "k h"]
    constants: Float[ndarray, "k 6 6"]
    reference_stress: Float[ndarray, "k 3 3"]
    reference_temperature: float
    temperature_span: float
    rest_energy: Float[ndarray, "k"] = field(default_factory=lambda: np.zeros(0))
    heat_capacity: float | None = None
    growth_modulus: float = 0.0
    growth_threshold: float = 0.0
    domain: Domain | None = None
    temperatures: Float[ndarray, "t"] = field(default_factory=lambda: np.zeros(0))
    provenance: Mapping[str, str] = field(default_factory=dict)
    uncertainty: Float[ndarray, "y r"] | None = None

    def __post_init__(self) -> None:
        k, h = len(np.atleast_1d(np.asarray(self.constants))), len(np.atleast_1d(np.asarray(self.biases)))
        if np.size(self.rest_energy) == 0:
            object.__setattr__(self, "rest_energy", np.zeros(k))
        shapes: dict[str, tuple[int, ...]] = {
            "weights": (h, 6), "biases": (h,), "amplitudes": (k, h), "constants": (k, 6, 6),
            "reference_stress": (k, 3, 3), "rest_energy": (k,), "temperatures": np.shape(self.temperatures)[:1],
        }  # fmt: skip
        settle_arrays(self, shapes)
        if k < 2:
            raise InvalidLaw(
                f"the law has {k} coefficients in temperature, expected at least 2: else it is an OrbitLaw"
            )
        if not (0.0 <= self.reference_temperature < np.inf and 0.0 < self.temperature_span < np.inf):
            raise InvalidLaw(
                f"reference_temperature is {self.reference_temperature} K and temperature_span {self.temperature_span} K, "
                "expected T0 >= 0 and a positive span"
            )
        if self.heat_capacity is not None and not np.isfinite(self.heat_capacity):
            raise InvalidLaw(f"heat_capacity is {self.heat_capacity} GPa/K, expected a finite number or None")
        size = sum(getattr(self, name).size for name in PARAMETERS) + 1
        if self.uncertainty is not None and (np.ndim(self.uncertainty) != 2 or len(self.uncertainty) != size):
            raise InvalidLaw(f"uncertainty has shape {np.shape(self.uncertainty)}, expected ({size}, r)")
        _ = self.coefficients  # whose own checks are those of each power of T

    @cached_property
    def coefficients(self) -> tuple[OrbitLaw, ...]:
        """W_0 ... W_K; the growth term is W_0's."""
        return tuple(
            self._orbit_law(self.amplitudes[k], self.constants[k], self.reference_stress[k], growing=k == 0)
            for k in range(len(self.constants))
        )

    def _orbit_law(
        self,
        amplitudes: Float[ndarray, "h"],
        constants: Float[ndarray, "6 6"],
        stress: Float[ndarray, "3 3"],
        *,
        growing: bool,
    ) -> OrbitLaw:
        return OrbitLaw(
            symmetry=self.symmetry,
            weights=self.weights,
            biases=self.biases,
            amplitudes=amplitudes,
            constants=constants,
            reference_stress=stress,
            growth_modulus=self.growth_modulus if growing else 0.0,
            growth_threshold=self.growth_threshold if growing else 0.0,
            domain=self.domain if growing else None,
            provenance=self.provenance,
        )

    def at(self, temperature: float) -> OrbitLaw:
        """The law at one temperature (K): psi(F, T) - psi(I, T), which every function that takes an orbit law understands.

        Raises:
            InvalidTemperature: negative or not finite.
        """
        powers, _ = self.powers(np.array([temperature]))
        sums = (np.tensordot(powers[0], array, 1) for array in (self.amplitudes, self.constants, self.reference_stress))
        return self._orbit_law(*sums, growing=True)

    def powers(self, temperature: Float[ndarray, "n"]) -> tuple[Float[ndarray, "n k"], Float[ndarray, "n k"]]:
        """theta^k and its derivative by T.

        Raises:
            InvalidTemperature: negative or not finite.
        """
        return powers(temperature, self.reference_temperature, self.temperature_span, len(self.constants))

    def evaluate(
        self,
        deformation_gradient: Float[ndarray, "n 3 3"],
        state: Mapping[str, ndarray] | None = None,
        *,
        tangent: bool = True,
        trust: bool = False,
    ) -> Response:
        """psi, P, A (isothermal) in GPa at F (n, 3, 3) and state["temperature"] (n,) or (n, 1) in K.

        The state may hold orientations as well (multiscale.laws.strain_potential). With `trust`, that of W_0
        (multiscale.trust.gauge), times span / (span + distance) outside the range of the data's temperatures.

        Raises:
            fem.law.ShapeError, fem.law.InadmissibleDeformation: as every law; the state lacks the temperature.
            InvalidTemperature: negative or not finite. UnknownState: the state holds something else.
        """
        F = check_deformation_gradient(deformation_gradient)
        T = temperature_of(state, len(F))
        powers, _ = self.powers(T)
        oriented = {name: value for name, value in (state or {}).items() if name == ORIENTATION}
        if self._function is not None:
            rows = self._function.state_rows({**oriented, TEMPERATURE: T}, len(F))
            answer, point = self._function.response(F, rows, tangent=tangent, trust=trust)
            if point < 0:
                return answer
        # without a compiler; or to say what is wrong
        whole = self._sum(F, powers, oriented, tangent=tangent, trust=trust)
        gauge = (
            None
            if whole.trust is None
            else whole.trust * temperature_trust(T, self.temperatures, self.temperature_span)
        )
        return replace(whole, energy=self._rest(T)[0] + whole.energy, trust=gauge)

    def entropy(
        self, deformation_gradient: Float[ndarray, "n 3 3"], temperature: Float[ndarray, "n"]
    ) -> Float[ndarray, "n"]:
        """eta = -dpsi/dT in GPa/K per reference volume; relative to F = I at the same T where the heat capacity is not known.

        Raises:
            InvalidTemperature: besides those of `evaluate`, T = 0 K where the law has a (classical) heat capacity.
        """
        F, T = check_deformation_gradient(deformation_gradient), np.asarray(temperature, dtype=np.float64)
        if self.heat_capacity and (T == 0.0).any():
            raise InvalidTemperature(
                "temperature is 0 K, where the entropy of a classical crystal is minus infinity; ask above"
            )
        _, slopes = self.powers(T)
        return np.asarray(-self._rest(T)[1] - self._sum(F, slopes).energy)

    def internal_energy(
        self, deformation_gradient: Float[ndarray, "n 3 3"], temperature: Float[ndarray, "n"]
    ) -> Float[ndarray, "n"]:
        """U = psi + T eta in GPa per reference volume; relative to F = I at the same T where the heat capacity is not known.

        Raises:
            as `evaluate`.
        """
        F, T = check_deformation_gradient(deformation_gradient), np.asarray(temperature, dtype=np.float64)
        multipliers = self.energy_multipliers(T)
        at_rest = multipliers @ self.rest_energy + (self.heat_capacity or 0.0) * T
        return np.asarray(at_rest + self._sum(F, multipliers).energy)

    def energy_multipliers(self, temperature: Float[ndarray, "n"]) -> Float[ndarray, "n k"]:
        """u_k = theta^k - T d(theta^k)/dT, with which U = c T + sum_k u_k (a_k + W_k)."""
        powers, slopes = self.powers(temperature)
        return np.asarray(powers - np.asarray(temperature)[:, None] * slopes)

    def stress_temperature_derivative(
        self, deformation_gradient: Float[ndarray, "n 3 3"], temperature: Float[ndarray, "n"]
    ) -> Float[ndarray, "n 3 3"]:
        """dP/dT at fixed F in GPa/K: the thermal stress of a held body per kelvin.

        Raises:
            as `evaluate`.
        """
        F = check_deformation_gradient(deformation_gradient)
        return self._sum(F, self.powers(temperature)[1]).first_piola

    @property
    def backend(self) -> str:
        """What evaluates this law here: "c" or "numpy"."""
        return "numpy" if self._function is None else "c"

    def c_function(self) -> CFunction:
        """psi, P, A and trust as a function to be called from C (fem.c_function); its state holds orientation and temperature.

        Raises:
            NoCFunction: there is no compiler, or the environment asks for numpy.
        """
        if self._function is None:
            raise NoCFunction(f"install a C compiler (or name one in CC) and leave {library.NO_KERNEL_VARIABLE} unset")
        return self._function

    @cached_property
    def _function(self) -> CFunction | None:
        terms = [
            replace(each.terms, constant=each.terms.constant + rest)
            for each, rest in zip(self.coefficients, self.rest_energy, strict=True)
        ]
        low, high = (self.temperatures.min(), self.temperatures.max()) if len(self.temperatures) else (0.0, np.inf)
        capacity = self.heat_capacity or 0.0
        about = parameter_block.Temperature(
            self.reference_temperature, self.temperature_span, capacity, float(low), float(high)
        )
        return library.compiled(terms, self.coefficients[0].gauge, about)

    def _rest(self, T: Float[ndarray, "n"]) -> tuple[Float[ndarray, "n"], Float[ndarray, "n"]]:
        """f(T) and its derivative (finite at T = 0 where there is no heat capacity)."""
        (powers, slopes), heat = self.powers(T), caloric(T, self.heat_capacity or 0.0, self.temperature_span)
        return powers @ self.rest_energy + heat[0], slopes @ self.rest_energy + heat[1]

    def _sum(
        self,
        F: Float[ndarray, "n 3 3"],
        multipliers: Float[ndarray, "n k"],
        state: Mapping[str, ndarray] | None = None,
        *,
        tangent: bool = False,
        trust: bool = False,
    ) -> Response:
        """sum_k m_k W_k and its derivatives by F, with the trust in W_0."""
        if len(multipliers) != len(F):
            raise ShapeError(f"{len(multipliers)} temperatures are given for {len(F)} F, expected one each")
        parts = [
            coefficient.evaluate(F, state, tangent=tangent, trust=trust and k == 0)
            for k, coefficient in enumerate(self.coefficients)
        ]
        return Response(
            energy=np.einsum("nk,kn->n", multipliers, [part.energy for part in parts]),
            first_piola=np.einsum("nk,knij->nij", multipliers, [part.first_piola for part in parts]),
            tangent=np.einsum("nk,knijlm->nijlm", multipliers, [part.tangent for part in parts]) if tangent else None,
            trust=parts[0].trust,
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write safetensors with a JSON header, whole or not at all."""
        arrays = {name: getattr(self, name) for name in (*PARAMETERS, "temperatures")}
        arrays["rotations"] = self.symmetry.rotations
        arrays["domain_strain"] = np.zeros((0, 6)) if self.domain is None else self.domain.strain
        arrays["uncertainty"] = np.zeros((0, 0)) if self.uncertainty is None else self.uncertainty
        header: dict[str, Any] = {
            "symmetry": self.symmetry.name,
            **{name: getattr(self, name) for name in NUMBERS},
            "heat_capacity": self.heat_capacity,
            "units": "GPa, K",
            "provenance": dict(self.provenance),
        }
        write_network_file(path, SCHEMA, SCHEMA_VERSION, header, arrays)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "ThermalLaw":
        """Read what `save` wrote; the law is the same to the last bit.

        Raises:
            NetworkFileError: missing, truncated, foreign or inconsistent file, or of a later schema.
        """
        names = (*PARAMETERS, "temperatures", "rotations", "domain_strain", "uncertainty")
        header, arrays = read_network_file(path, SCHEMA, SCHEMA_VERSION, names)
        try:
            if header["symmetry"] not in LAUE_CLASS_OF:
                raise InvalidLaw(f"the point group {header['symmetry']!r} is not known")
            group = PointGroup(header["symmetry"], arrays.pop("rotations"))
            strain, factor = arrays.pop("domain_strain"), arrays.pop("uncertainty")
            fields: dict[str, Any] = {**arrays, **{name: float(header[name]) for name in NUMBERS}}
            return cls(
                symmetry=group,
                heat_capacity=None if header["heat_capacity"] is None else float(header["heat_capacity"]),
                domain=Domain(strain, group) if len(strain) else None,
                provenance=dict(header["provenance"]),
                uncertainty=factor if factor.size else None,
                **fields,
            )
        except (KeyError, TypeError, ValueError) as error:
            raise NetworkFileError(f"{path} holds no consistent law ({error}); save the law again") from error
