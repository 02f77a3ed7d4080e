"""Classical strain energies of isotropic materials, each a function of a few power sums of the isochoric principal stretches.

With the principal stretches lambda_a, J = lambda_1 lambda_2 lambda_3 and lambdabar_a = J^(-1/3) lambda_a, every law here is a function
Psi(K) of

    K_alpha = lambdabar_1^alpha + lambdabar_2^alpha + lambdabar_3^alpha - 3

for one exponent alpha or several: K_2 = Ibar1 - 3 and K_(-2) = Ibar2 - 3, since the principal stretches of cof F are 1 / lambdabar_a
where J = 1. So Ogden's law and the laws of invariants are one concept; `multiscale.classical.isotropic` turns all of them into stress and
tangent in one place. A potential gives Psi, its gradient and its Hessian in K; Psi(0) = 0.

The shear modulus at F = I is mu = 1/2 sum_i Psi_i alpha_i^2 (isotropic.py), hence the values in the docstrings.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from fem.law import InadmissibleDeformation

Derivatives = tuple[Float[ndarray, "n"], Float[ndarray, "n m"], Float[ndarray, "n m m"]]


class InvalidParameters(ValueError):
    """Parameters that make no law; the message names them and what was expected."""


class BeyondLocking(InadmissibleDeformation):
    """A state that a material of finite extensibility cannot reach; a solver rejects the iterate, as it does where det F <= 0.

    Attributes:
        point: index of the first such state.
        determinant: NaN: it is not what is wrong.
    """

    def __init__(self, point: int, invariant: float, limit: float) -> None:
        ValueError.__init__(
            self,
            f"Ibar1 - 3 = {invariant:.6g} at point {point}, expected less than {limit:.6g}, where the chains are fully extended; "
            "use smaller stretches, or a law whose limit lies beyond them",
        )
        self.point = point
        self.determinant = float("nan")


@runtime_checkable
class Potential(Protocol):
    """Psi as a function of power sums."""

    @property
    def exponents(self) -> tuple[float, ...]:
        """The alphas of the power sums, m of them."""
        ...

    def derivatives(self, K: Float[ndarray, "n m"]) -> Derivatives:
        """Psi (n,), dPsi/dK (n, m) and d2Psi/dK2 (n, m, m)."""
        ...


@runtime_checkable
class InC(Protocol):
    """A potential that the C text knows."""

    def in_c(self) -> tuple[str, Sequence[float]]:
        """Its kind there (isotropic.KINDS), and the kind's coefficients."""
        ...


class Parameters:
    """What the dataclasses below share: construction from, and return to, a row of numbers."""

    @classmethod
    def of(cls, values: Sequence[float]) -> "Parameters":
        """The potential whose parameters, in the order of its fields, are these."""
        return cls(*(float(value) for value in values))

    def __post_init__(self) -> None:
        for field in fields(self):  # type: ignore[arg-type]
            if not np.isfinite(getattr(self, field.name)).all():
                raise InvalidParameters(
                    f"{type(self).__name__}: {field.name} is {getattr(self, field.name)}, expected finite numbers"
                )


@dataclass(frozen=True)
class NeoHooke(Parameters):
    """Psi = mu/2 (Ibar1 - 3). Treloar, Trans. Faraday Soc. 39 (1943) 241."""

    mu: float
    exponents = (2.0,)

    def derivatives(self, K: Float[ndarray, "n 1"]) -> Derivatives:
        return polynomial(K, (self.mu / 2.0,))

    def in_c(self) -> tuple[str, Sequence[float]]:
        return "polynomial", (self.mu / 2.0, 0.0, 0.0)


@dataclass(frozen=True)
class MooneyRivlin(Parameters):
    """Psi = c1 (Ibar1 - 3) + c2 (Ibar2 - 3), mu = 2 (c1 + c2).

    Mooney, J. Appl. Phys. 11 (1940) 582; Rivlin, Phil. Trans. A 241 (1948) 379.
    """

    c1: float
    c2: float
    exponents = (2.0, -2.0)

    def derivatives(self, K: Float[ndarray, "n 2"]) -> Derivatives:
        n, slope = len(K), np.array([self.c1, self.c2])
        return K @ slope, np.tile(slope, (n, 1)), np.zeros((n, 2, 2))

    def in_c(self) -> tuple[str, Sequence[float]]:
        return "polynomial", (self.c1, 0.0, 0.0, self.c2, 0.0, 0.0)


@dataclass(frozen=True)
class Yeoh(Parameters):
    """Psi = c1 K + c2 K^2 + c3 K^3 with K = Ibar1 - 3, mu = 2 c1. Yeoh, Rubber Chem. Technol. 66 (1993) 754."""

    c1: float
    c2: float
    c3: float
    exponents = (2.0,)

    def derivatives(self, K: Float[ndarray, "n 1"]) -> Derivatives:
        return polynomial(K, (self.c1, self.c2, self.c3))

    def in_c(self) -> tuple[str, Sequence[float]]:
        return "polynomial", (self.c1, self.c2, self.c3)


@dataclass(frozen=True)
class Ogden(Parameters):
    """Psi = sum_p mu_p / alpha_p (lambdabar_1^alpha_p + lambdabar_2^alpha_p + lambdabar_3^alpha_p - 3), mu = 1/2 sum_p mu_p alpha_p.

    Ogden, Proc. R. Soc. A 326 (1972) 565.

    Raises:
        InvalidParameters: as many mu as alpha are needed, and no alpha may be zero.
    """

    mu: tuple[float, ...]
    alpha: tuple[float, ...]

    def __post_init__(self) -> None:
        Parameters.__post_init__(self)
        if len(self.mu) != len(self.alpha) or not self.mu or 0.0 in self.alpha:
            raise InvalidParameters(
                f"Ogden: mu is {self.mu} and alpha is {self.alpha}, expected as many of both, at least one, and no alpha of zero"
            )

    @classmethod
    def of(cls, values: Sequence[float]) -> "Ogden":
        """mu_1, alpha_1, mu_2, alpha_2, ..."""
        row = [float(value) for value in values]
        return cls(tuple(row[::2]), tuple(row[1::2]))

    @property
    def exponents(self) -> tuple[float, ...]:
        return self.alpha

    def derivatives(self, K: Float[ndarray, "n m"]) -> Derivatives:
        n, slope = len(K), np.array(self.mu) / np.array(self.alpha)
        return K @ slope, np.tile(slope, (n, 1)), np.zeros((n, len(slope), len(slope)))

    def in_c(self) -> tuple[str, Sequence[float]]:
        return "polynomial", [c for mu, alpha in zip(self.mu, self.alpha, strict=True) for c in (mu / alpha, 0.0, 0.0)]


@dataclass(frozen=True)
class Gent(Parameters):
    """Psi = - mu Jm / 2 ln(1 - (Ibar1 - 3) / Jm). Gent, Rubber Chem. Technol. 69 (1996) 59.

    Raises:
        InvalidParameters: Jm <= 0.
        BeyondLocking: on evaluation, Ibar1 - 3 >= Jm.
    """

    mu: float
    jm: float
    exponents = (2.0,)

    def __post_init__(self) -> None:
        Parameters.__post_init__(self)
        if self.jm <= 0.0:
            raise InvalidParameters(f"Gent: jm is {self.jm}, expected a limit of Ibar1 - 3 above zero")

    def derivatives(self, K: Float[ndarray, "n 1"]) -> Derivatives:
        refuse_beyond(K[:, 0], self.jm)
        room = 1.0 - K / self.jm
        return (
            -0.5 * self.mu * self.jm * np.log1p(-K[:, 0] / self.jm),
            0.5 * self.mu / room,
            (0.5 * self.mu / self.jm / room**2)[:, :, None],
        )

    def in_c(self) -> tuple[str, Sequence[float]]:
        return "gent", (self.mu, self.jm)


@dataclass(frozen=True)
class ArrudaBoyce(Parameters):
    """The eight-chain law with the exact inverse Langevin function. Arruda and Boyce, J. Mech. Phys. Solids 41 (1993) 389.

    With r = sqrt(Ibar1 / (3 n)) the extension of a chain of n links over its length and L(beta) = coth beta - 1 / beta = r,

        Psi = c n (beta r + ln(beta / sinh beta)) - the same at r = 1 / sqrt(n),
        dPsi/dIbar1 = c beta / (6 r),    d2Psi/dIbar1^2 = c / (36 n r) (beta' / r - beta / r^2),    beta' = 1 / L'(beta).

    c tends to the shear modulus as n grows. Raises BeyondLocking where Ibar1 >= 3 n.
    """

    c: float
    n: float
    exponents = (2.0,)

    def __post_init__(self) -> None:
        Parameters.__post_init__(self)
        if self.n <= 1.0:
            raise InvalidParameters(f"ArrudaBoyce: n is {self.n}, expected more than one link a chain")

    def derivatives(self, K: Float[ndarray, "n 1"]) -> Derivatives:
        limit = 3.0 * (self.n - 1.0)
        refuse_beyond(K[:, 0], limit)
        # the last entry is the state of rest
        r = np.sqrt((np.append(K[:, 0], 0.0) + 3.0) / (3.0 * self.n))
        beta, slope = inverse_langevin(r)
        # ln(sinh beta) = beta + ln(1 - exp(-2 beta)) - ln 2
        energy = self.c * self.n * (beta * (r - 1.0) + np.log(2.0 * beta) - np.log(-np.expm1(-2.0 * beta)))
        first = self.c * beta / (6.0 * r)
        second = self.c / (36.0 * self.n * r) * (slope / r - beta / r**2)
        return energy[:-1] - energy[-1], first[:-1, None], second[:-1, None, None]

    def in_c(self) -> tuple[str, Sequence[float]]:
        return "arruda_boyce", (self.c, self.n)


@dataclass(frozen=True)
class Carroll(Parameters):
    """Psi = a Ibar1 + b Ibar1^4 + c sqrt(Ibar2), less its value at rest; mu = 2 a + 216 b + c / sqrt 3.

    Carroll, J. Elast. 103 (2011) 173.
    """

    a: float
    b: float
    c: float
    exponents = (2.0, -2.0)

    def derivatives(self, K: Float[ndarray, "n 2"]) -> Derivatives:
        I1, root = K[:, 0] + 3.0, np.sqrt(K[:, 1] + 3.0)
        # I1^4 - 81 and sqrt(I2) - sqrt 3 without the difference of near numbers
        quartic = K[:, 0] * (I1 + 3.0) * (I1**2 + 9.0)
        energy = self.a * K[:, 0] + self.b * quartic + self.c * K[:, 1] / (root + np.sqrt(3.0))
        first = np.stack([self.a + 4.0 * self.b * I1**3, 0.5 * self.c / root], axis=1)
        second = np.zeros((len(K), 2, 2))
        second[:, 0, 0] = 12.0 * self.b * I1**2
        second[:, 1, 1] = -0.25 * self.c / root**3
        return energy, first, second

    def in_c(self) -> tuple[str, Sequence[float]]:
        return "carroll", (self.a, self.b, self.c)


def polynomial(K: Float[ndarray, "n 1"], coefficients: Sequence[float]) -> Derivatives:
    """c1 K + c2 K^2 + ... and its derivatives."""
    p = np.polynomial.Polynomial([0.0, *coefficients])
    return p(K[:, 0]), p.deriv(1)(K), p.deriv(2)(K)[:, :, None]


def refuse_beyond(K: Float[ndarray, "n"], limit: float) -> None:
    """Raise BeyondLocking at the first Ibar1 - 3 that is not below the limit."""
    beyond = ~(limit > K)
    if beyond.any():
        point = int(np.argmax(beyond))
        raise BeyondLocking(point, float(K[point]), limit)


def inverse_langevin(r: Float[ndarray, "n"]) -> tuple[Float[ndarray, "n"], Float[ndarray, "n"]]:
    """beta with coth beta - 1 / beta = r for 0 < r < 1, and d beta / dr.

    Newton from the Pade approximant r (3 - r^2) / (1 - r^2) of Cohen, Rheol. Acta 30 (1991) 270, which is within 5 %: five
    steps reach round-off.
    """
    beta = r * (3.0 - r**2) / (1.0 - r**2)
    for _ in range(5):
        value, slope = langevin(beta)
        beta = beta - (value - r) / slope
    return beta, 1.0 / langevin(beta)[1]


def langevin(beta: Float[ndarray, "n"]) -> tuple[Float[ndarray, "n"], Float[ndarray, "n"]]:
    """L = coth beta - 1 / beta and L' = 1 / beta^2 - 1 / sinh^2 beta, beta > 0; from exp(-2 beta), which cannot overflow."""
    t = np.exp(-2.0 * beta)
    return (1.0 + t) / -np.expm1(-2.0 * beta) - 1.0 / beta, 1.0 / beta**2 - 4.0 * t / np.expm1(-2.0 * beta) ** 2
