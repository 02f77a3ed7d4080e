"""A network of arguments of strain as a least-squares problem in its parameters: invariant and polyconvex laws alike.

With arguments x(e) (invariants, or the 13 of a polyconvex law), z = b + w.(B_R x) and the mean < > over the images B_R, a neuron has

    W = <f(z)>,    S = <f' s>,    D = <f'' s s^T + f' k>,    s = w.(B_R x'),    k = w.(B_R x''),

f being softplus, or the identity for the linear term. What it has at F = I is taken out by a linear map T of its 28 numbers there,
which differs between the two laws (multiscale.fits.argument_forms): r(e) = y(e) - T(e) y(0). The derivatives by w and b are closed
forms, so that Levenberg-Marquardt has its exact Jacobian. Strain is in units of its size s, energy in units of K s^2, arguments in units of
their size.
"""

import copy
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from multiscale.fits.argument_forms import Form
from multiscale.fits.observations import Observations
from multiscale.fits.orbit_least_squares import softplus
from multiscale.laws.strain import UPPER_COLUMNS, UPPER_ROWS


@dataclass(frozen=True, eq=False)
class Images:
    """B_R x at n states, with derivatives by strain.

    Attributes:
        value: (n, g, m). gradient: (n, g, m, 6). hessian: (n, g, m, 21); None where nothing looks at D.
    """

    value: Float[ndarray, "n g m"]
    gradient: Float[ndarray, "n g m 6"]
    hessian: Float[ndarray, "n g m 21"] | None

    def on(self, states: Bool[ndarray, "n"]) -> "Images":
        """Those at some of the states."""
        hessian = None if self.hessian is None else self.hessian[states]
        return Images(self.value[states], self.gradient[states], hessian)

    def neuron(
        self, w: Float[ndarray, "m"], b: float | None, *, derivatives: bool
    ) -> tuple[Float[ndarray, "n k"], Float[ndarray, "n k m"], Float[ndarray, "n k"]]:
        """One neuron of unit amplitude (linear where b is None), and its derivatives by w and b: k = 28 components, or the first 7."""
        X, G, H = self.value, self.gradient, self.hessian
        n, g, m = X.shape
        z, s = X @ w, np.einsum("ngmi,m->ngi", G, w)
        one, zero = np.ones_like(z), np.zeros_like(z)
        f, f1, f2, f3 = (z, one, zero, zero) if b is None else softplus(z + b)
        f, f1, f2, f3 = f / g, f1 / g, f2 / g, f3 / g
        curved = None
        if H is not None:
            curved = s[:, :, UPPER_ROWS] * s[:, :, UPPER_COLUMNS], np.einsum("ngmi,m->ngi", H, w)

        def total(a: ndarray, b: ndarray, c: ndarray) -> Float[ndarray, "n k"]:
            parts = [a.sum(1)[:, None], np.einsum("ng,ngi->ni", b, s)]
            if curved is not None:
                parts.append(np.einsum("ng,ngi->ni", c, curved[0]) + np.einsum("ng,ngi->ni", b, curved[1]))
            return np.concatenate(parts, axis=1)

        y = total(f, f1, f2)
        if not derivatives:
            return y, np.zeros((0, y.shape[1], m)), y
        by_w = np.empty((n, y.shape[1], m))
        by_w[:, 0] = np.einsum("ng,ngm->nm", f1, X)
        by_w[:, 1:7] = np.swapaxes(f2[:, :, None] * s, 1, 2) @ X + np.einsum("ng,ngmi->nim", f1, G)
        if H is not None and curved is not None:
            ss, k = curved
            bent = f3[:, :, None] * ss + f2[:, :, None] * k
            by_w[:, 7:] = np.swapaxes(bent, 1, 2) @ X + np.einsum("ng,ngmi->nim", f1, H)
            cross = (np.swapaxes(f2[:, :, None] * s, 1, 2) @ G.reshape(n, g, m * 6)).reshape(n, 6, m, 6)
            cross = cross.transpose(0, 1, 3, 2) + cross.transpose(0, 3, 1, 2)
            by_w[:, 7:] += cross[:, UPPER_ROWS, UPPER_COLUMNS]
        return y, by_w, total(f1, f2, f3)


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
        # without tangents nothing looks at D of the states, the last 21 of the 28 components; T looks at all 28 at F = I
        self._size = 28 if (observations.columns >= 7).any() else 7
        B, jet = form.images, form.jet
        value, gradient = np.einsum("gab,nb->nga", B, jet.value), np.einsum("gab,nbi->ngai", B, jet.gradient)
        bent = jet.hessian[:, :, UPPER_ROWS, UPPER_COLUMNS]
        if self._size == 7:
            bent = bent[-1:]
        hessian = np.einsum("gab,nbi->ngai", B, bent)
        self._rest = Images(value[-1:], gradient[-1:], hessian[-1:])
        self._states = Images(value[:-1], gradient[:-1], hessian[:-1] if self._size == 28 else None)
        units = K * np.concatenate([[s * s], np.full(6, s), np.ones(21)])
        self._rows = observations.rows * units[observations.columns]
        self.target = observations.targets - self._observe(form.known[:, :, None])[:, :, 0]

    def on(self, states: Bool[ndarray, "n"]) -> "ArgumentFit":
        """The same problem on some of the states."""
        other = copy.copy(self)
        other.observations, other.form = self.observations.select(states), self.form.on(states)
        other._states, other._rows, other.target = self._states.on(states), self._rows[states], self.target[states]
        return other

    def at(
        self, deformation_gradient: Float[ndarray, "m 3 3"], columns: Int[ndarray, "c"] | None = None
    ) -> "ArgumentFit":
        """The law's 28 components (or some) at other states, in GPa, as observations of zero."""
        return ArgumentFit(
            Observations.of_everything(deformation_gradient, columns),
            self.form.at(deformation_gradient),
            self.neurons,
            strain_scale=self.strain_scale,
            stiffness_scale=self.stiffness_scale,
            prior=self.prior,
        )

    def _observe(self, x: Float[ndarray, "n k p"]) -> Float[ndarray, "n c p"]:
        return np.asarray(self._rows @ x[:, self.observations.columns])

    def observed(self, components: Float[ndarray, "n 28"]) -> Float[ndarray, "r"]:
        """What the observations have of dimensionless components of W, S and D at the states."""
        return self._observe(components[:, : self._size, None]).ravel()

    def alone(self, raw: Float[ndarray, "q"], bias: float | None) -> Float[ndarray, "r"]:
        """What they have of one neuron of unit amplitude (linear where the bias is None), less what it has at F = I."""
        w = self.form.weights(raw)[0]
        y, at_rest = (images.neuron(w, bias, derivatives=False)[0] for images in (self._states, self._rest))
        return self.observed(y - self.form.correction(at_rest[0])[:, : self._size] @ at_rest[0])

    def residual(self, parameters: Float[ndarray, "p"]) -> Float[ndarray, "r"]:
        """All weighted residuals, then the prior's."""
        return self._linearised(parameters, derivatives=False)[0]

    def linearisation(self, parameters: Float[ndarray, "p"]) -> tuple[Float[ndarray, "r"], Float[ndarray, "r p"]]:
        """Residuals and their Jacobian."""
        return self._linearised(parameters, derivatives=True)

    def chi_square(self, parameters: Float[ndarray, "p"]) -> float:
        """Mean square of the weighted residuals, the prior's left out."""
        return float(np.mean(self.residual(parameters)[: self.observations.count] ** 2))

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
        extras, size = self.split(parameters)[2], self._size
        network, by = self._network(self._states, parameters, derivatives=derivatives)
        at_rest, by_at_rest = self._network(self._rest, parameters, derivatives=derivatives)
        T = self.form.correction(at_rest[0])[:, :size]
        more, by_extras = self.form.extra(extras)
        x = network - T @ at_rest[0] + more[:, :size]
        residual = np.concatenate(
            [(self._observe(x[:, :, None])[:, :, 0] - self.target).ravel(), parameters[: self.penalised] / self.prior]
        )
        if not derivatives:
            return residual, np.zeros((0, 0))
        J = np.concatenate([by - T @ by_at_rest[0], by_extras[:, :size]], axis=2)
        rows = self._observe(J).reshape(-1, self.unknowns)
        return residual, np.concatenate([rows, np.eye(self.penalised, self.unknowns) / self.prior])

    def _network(
        self, images: Images, parameters: Float[ndarray, "p"], *, derivatives: bool
    ) -> tuple[Float[ndarray, "n k"], Float[ndarray, "n k q"]]:
        """Sum of the neurons and the linear term, and its derivatives by their raw parameters."""
        neurons, linear, _ = self.split(parameters)
        form, r = self.form, self.form.raw
        size = 7 if images.hessian is None else 28
        total, columns = np.zeros((len(images.value), size)), [np.zeros((len(images.value), size, 0))]
        for row in [*neurons, linear]:
            biased = len(row) == self.each
            v, dv = form.amplitude(row[-1]) if biased else (1.0, 0.0)
            w, dw = form.weights(row[:r])
            y, by_w, by_b = images.neuron(w, float(row[r]) if biased else None, derivatives=derivatives)
            total += v * y
            if derivatives:
                columns.append(v * by_w @ dw)
                if biased:
                    columns += [v * by_b[:, :, None], dv * y[:, :, None]]
        return total, np.concatenate(columns, axis=2)
