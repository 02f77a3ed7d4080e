"""A network of arguments of strain as a least-squares problem in its parameters: invariant and polyconvex laws alike.

With arguments x(e) (invariants, or the 13 of a polyconvex law), z = b + w.(B_R x) and the mean < > over the images B_R, a neuron has

    W = <f(z)>,    S = <f' s>,    D = <f'' s s^T + f' k>,    s = w.(B_R x'),    k = w.(B_R x''),

f being softplus, or the identity for the linear term. What it has at F = I is taken out by a linear map T of its 28 numbers there,
which differs between the two laws: r(e) = y(e) - T(e) y(0). The derivatives by w and b are closed forms, so that Levenberg-Marquardt
has its exact Jacobian. Strain is in units of its size s, energy in units of K s^2, arguments in units of their size.
"""

from typing import Protocol

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from multiscale.fits.observations import Observations
from multiscale.fits.orbit_least_squares import softplus
from multiscale.laws.jets import Jet
from multiscale.laws.strain import UPPER_COLUMNS, UPPER_ROWS


class Form(Protocol):
    """How one kind of law is parametrised. Everything is dimensionless.

    Attributes:
        jet: arguments at all states, then at F = I, derivatives by e / s.
        images: B (g, m, m).
        raw: parameters that make the weights of a neuron.
        extras: parameters besides the neurons.
        known: (n, 28) what is no unknown.
    """

    jet: Jet
    images: Float[ndarray, "g m m"]
    raw: int
    extras: int
    known: Float[ndarray, "n 28"]

    def at(self, deformation_gradient: Float[ndarray, "m 3 3"]) -> "Form":
        """The same at other states."""
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


class ArgumentFit:
    """The problem of one network size on one set of observations.

    The parameters are raw weights, bias and raw amplitude of each neuron, raw weights of the linear term, and the extras.

    Args:
        observations: what is fitted. form: the kind of law, at the same states. neurons: how many.
        strain_scale: s. stiffness_scale: K in GPa.
        prior: standard deviation of a normal prior about zero on weights, biases and amplitudes.
    """

    def __init__(
        self,
        observations: Observations,
        form: Form,
        neurons: int,
        *,
        strain_scale: float,
        stiffness_scale: float,
        prior: float,
    ) -> None:
        s, K = strain_scale, stiffness_scale
        self.observations, self.form, self.neurons, self.prior = observations, form, neurons, prior
        self.strain_scale, self.stiffness_scale = s, K
        self.each = form.raw + 2
        self.penalised = self.each * neurons + form.raw
        self.unknowns = self.penalised + form.extras
        B, jet = form.images, form.jet
        self._value = np.einsum("gab,nb->nga", B, jet.value)
        self._gradient = np.einsum("gab,nbi->ngai", B, jet.gradient)
        self._hessian = np.einsum("gab,nbi->ngai", B, jet.hessian[:, :, UPPER_ROWS, UPPER_COLUMNS])
        units = K * np.concatenate([[s * s], np.full(6, s), np.ones(21)])
        self._rows = observations.rows * units[observations.columns]
        self._target = observations.targets - self._observe(form.known[:, :, None])[:, :, 0]
        self._used = np.ones(len(form.known), dtype=bool)

    def on(self, states: Bool[ndarray, "n"]) -> "ArgumentFit":
        """The same problem, its residuals those of some of the states."""
        other = object.__new__(ArgumentFit)
        other.__dict__.update(self.__dict__)
        other._used = states
        return other

    def at(self, deformation_gradient: Float[ndarray, "m 3 3"]) -> "ArgumentFit":
        """The law's 28 components themselves at other states, in GPa, as observations of zero."""
        return ArgumentFit(
            Observations.of_everything(deformation_gradient),
            self.form.at(deformation_gradient),
            self.neurons,
            strain_scale=self.strain_scale,
            stiffness_scale=self.stiffness_scale,
            prior=self.prior,
        )

    def _observe(self, x: Float[ndarray, "n 28 p"]) -> Float[ndarray, "n c p"]:
        return np.asarray(self._rows @ x[:, self.observations.columns])

    def residual(self, parameters: Float[ndarray, "p"]) -> Float[ndarray, "r"]:
        """All weighted residuals, then the prior's."""
        return self._linearised(parameters, derivatives=False)[0]

    def linearisation(self, parameters: Float[ndarray, "p"]) -> tuple[Float[ndarray, "r"], Float[ndarray, "r p"]]:
        """Residuals and their Jacobian."""
        return self._linearised(parameters, derivatives=True)

    def chi_square(self, parameters: Float[ndarray, "p"]) -> float:
        """Mean square of the weighted residuals, the prior's left out."""
        return float(np.mean(self.residual(parameters)[: -self.penalised] ** 2))

    def split(self, parameters: Float[ndarray, "p"]) -> tuple[Float[ndarray, "h t"], ndarray, ndarray]:
        """Raw parameters of the neurons, of the linear term, and the extras."""
        end = self.each * self.neurons
        return (
            parameters[:end].reshape(self.neurons, self.each),
            parameters[end : self.penalised],
            parameters[self.penalised :],
        )

    def _linearised(
        self, parameters: Float[ndarray, "p"], *, derivatives: bool
    ) -> tuple[Float[ndarray, "r"], Float[ndarray, "r p"]]:
        neurons, linear, extras = self.split(parameters)
        form, r = self.form, self.form.raw
        total = np.zeros((len(self._value), 28))
        columns = []
        for row in [*neurons, linear]:
            biased = len(row) == self.each
            v, dv = form.amplitude(row[-1]) if biased else (1.0, 0.0)
            w, dw = form.weights(row[:r])
            y, by_w, by_b = self._layer(w, float(row[r]) if biased else None, derivatives=derivatives)
            total += v * y
            if not derivatives:
                continue
            columns.append(v * by_w @ dw)
            if biased:
                columns += [v * by_b[:, :, None], dv * y[:, :, None]]
        T = form.correction(total[-1])
        more, by_extras = form.extra(extras)
        used = self._used
        prediction = self._observe((total[:-1] - T @ total[-1] + more)[:, :, None])[:, :, 0]
        residual = np.concatenate(
            [(prediction - self._target)[used].ravel(), parameters[: self.penalised] / self.prior]
        )
        if not derivatives:
            return residual, np.zeros((0, 0))
        J = np.concatenate(columns, axis=2)
        J = np.concatenate([J[:-1] - T @ J[-1], by_extras], axis=2)
        rows = self._observe(J)[used].reshape(-1, self.unknowns)
        return residual, np.concatenate([rows, np.eye(self.penalised, self.unknowns) / self.prior])

    def _layer(
        self, w: Float[ndarray, "m"], b: float | None, *, derivatives: bool
    ) -> tuple[Float[ndarray, "n 28"], Float[ndarray, "n 28 m"], Float[ndarray, "n 28"]]:
        """One neuron of unit amplitude (linear where b is None), and its derivatives by w and b."""
        X, G, H = self._value, self._gradient, self._hessian
        n, g, m = X.shape
        z, s, k = X @ w, np.einsum("ngmi,m->ngi", G, w), np.einsum("ngmi,m->ngi", H, w)
        one, zero = np.ones_like(z), np.zeros_like(z)
        f, f1, f2, f3 = (z, one, zero, zero) if b is None else softplus(z + b)
        f, f1, f2, f3 = f / g, f1 / g, f2 / g, f3 / g
        ss = s[:, :, UPPER_ROWS] * s[:, :, UPPER_COLUMNS]

        def total(a: ndarray, b: ndarray, c: ndarray) -> Float[ndarray, "n 28"]:
            parts = [a.sum(1)[:, None], np.einsum("ng,ngi->ni", b, s)]
            return np.concatenate([*parts, np.einsum("ng,ngi->ni", c, ss) + np.einsum("ng,ngi->ni", b, k)], axis=1)

        y = total(f, f1, f2)
        if not derivatives:
            return y, np.zeros((0, 28, m)), y
        by_w = np.empty((n, 28, m))
        by_w[:, 0] = np.einsum("ng,ngm->nm", f1, X)
        by_w[:, 1:7] = np.swapaxes(f2[:, :, None] * s, 1, 2) @ X + np.einsum("ng,ngmi->nim", f1, G)
        bent = f3[:, :, None] * ss + f2[:, :, None] * k
        by_w[:, 7:] = np.swapaxes(bent, 1, 2) @ X + np.einsum("ng,ngmi->nim", f1, H)
        cross = (np.swapaxes(f2[:, :, None] * s, 1, 2) @ G.reshape(n, g, m * 6)).reshape(n, 6, m, 6)
        cross = cross.transpose(0, 1, 3, 2) + cross.transpose(0, 3, 1, 2)
        by_w[:, 7:] += cross[:, UPPER_ROWS, UPPER_COLUMNS]
        return y, by_w, total(f1, f2, f3)


def numbers(jet: Jet) -> Float[ndarray, "n 28 m"]:
    """Value, gradient and upper triangle of the Hessian of each function, one a column."""
    parts = [jet.value[:, :, None], jet.gradient, jet.hessian[:, :, UPPER_ROWS, UPPER_COLUMNS]]
    return np.asarray(np.concatenate(parts, axis=2).transpose(0, 2, 1))


def in_units(jet: Jet, strain_scale: float, sizes: Float[ndarray, "m"]) -> Jet:
    """The functions in units of their sizes, their derivatives by e / s."""
    s, u = strain_scale, sizes
    return Jet(jet.value / u, jet.gradient * s / u[:, None], jet.hessian * s**2 / u[:, None, None])
