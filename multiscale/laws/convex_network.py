"""An isotropic network that cannot explode: convex and non-decreasing in two polyconvex invariants.

    Psi = E [a_1 y_1 + a_2 y_2 + sum_h v_h (softplus(w_h y_1 + b_h) - softplus(b_h))],    a, v, w >= 0,
    y_1 = (Ibar1 - 3) / s_1,    y_2 = (Ibar2^(3/2) - 3 sqrt 3) / s_2.

Ibar1 and Ibar2^(3/2) are polyconvex, Ibar2 itself is not (Hartmann and Neff, Int. J. Solids Struct. 40 (2003) 2767); a convex,
non-decreasing function of polyconvex ones is polyconvex (Ball, Arch. Ration. Mech. Anal. 63 (1977) 337), and so is the law with
U(J) of multiscale.classical.isotropic added. Softplus has a bounded slope: Psi grows no faster than its arguments.

Uniaxial tension alone leaves open what Ibar2 costs, and equibiaxial tension pays it a hundredfold. Therefore y is scaled to what
equibiaxial tension reaches at the largest Ibar1 of the tests, whether it was tested or not, and normal priors about zero are put on
the parameters, weak on those of y_1 and less so on a_2: what the tests do not ask for is small in every test. Neurons that mix y_1 and y_2
were tried: from uniaxial data alone they take up Ibar2 to follow the last per cent, and miss equibiaxial tension by a factor of fifty.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.optimize import brentq

from fem.law import Law
from multiscale.classical.fitting import fit_model, invariants
from multiscale.classical.isotropic import IsotropicLaw
from multiscale.classical.models import Model, Parameter
from multiscale.classical.potentials import Derivatives, InvalidParameters
from multiscale.fits.orbit_least_squares import softplus
from multiscale.laws.reference_state import FitError
from multiscale.measured.measured_test import MeasuredTest

PRIOR, CAUTION = 100.0, 1.0
"""Standard deviations of the dimensionless parameters of y_1, and of a_2, where a residual of one is a typical stress. With a_2 of order
one the term in Ibar2 bears several typical stresses in equibiaxial tension."""


@dataclass(frozen=True, eq=False)
class ConvexNetworkPotential:
    """Psi above, a potential of multiscale.classical.

    Attributes:
        slopes: E a (2,), of a stress. weights: w (h,). biases: b (h,). amplitudes: E v (h,), of a stress.
        scales: s (2,).

    Raises:
        InvalidParameters: shapes, or one of a, v, w below zero.
    """

    slopes: Float[ndarray, "2"]
    weights: Float[ndarray, "h"]
    biases: Float[ndarray, "h"]
    amplitudes: Float[ndarray, "h"]
    scales: Float[ndarray, "2"]
    exponents = (2.0, -2.0)

    def __post_init__(self) -> None:
        h = len(self.biases)
        for name, shape in (("slopes", (2,)), ("weights", (h,)), ("amplitudes", (h,)), ("scales", (2,))):
            value = getattr(self, name)
            if value.shape != shape or not (value >= 0.0).all():
                raise InvalidParameters(
                    f"{name} has shape {value.shape} and minimum {value.min()}, expected {shape} and >= 0"
                )

    def derivatives(self, K: Float[ndarray, "n 2"]) -> Derivatives:
        root = np.sqrt(K[:, 1] + 3.0)
        # root^3 - sqrt(3)^3 without the difference of near numbers
        second = K[:, 1] / (root + np.sqrt(3.0)) * (root**2 + root * np.sqrt(3.0) + 3.0)
        y = np.stack([K[:, 0], second], axis=1) / self.scales
        slope = np.stack([np.ones_like(root), 1.5 * root], axis=1) / self.scales
        value, first, curvature, _ = softplus(y[:, :1] * self.weights + self.biases)
        rest, _, _, _ = softplus(self.biases)
        by_y = np.tile(self.slopes, (len(K), 1))
        by_y[:, 0] += first @ (self.amplitudes * self.weights)
        hessian = np.zeros((len(K), 2, 2))
        hessian[:, 0, 0] = curvature @ (self.amplitudes * self.weights**2) / self.scales[0] ** 2
        hessian[:, 1, 1] = by_y[:, 1] * 0.75 / root / self.scales[1]
        return y @ self.slopes + (value - rest) @ self.amplitudes, by_y * slope, hessian

    def in_c(self) -> tuple[str, Sequence[float]]:
        neurons = np.stack([self.weights, self.biases, self.amplitudes], axis=1)
        return "convex_network", [*self.slopes, *self.scales, len(neurons), *neurons.ravel()]


@dataclass(frozen=True)
class ConvexNetwork:
    """The network as a candidate for `rank`.

    Attributes:
        neurons: h.
    """

    neurons: int = 3

    def __post_init__(self) -> None:
        if self.neurons < 1:
            raise FitError(f"neurons is {self.neurons}, expected at least 1")

    @property
    def name(self) -> str:
        return f"convex network ({self.neurons})"

    def fit(self, tests: Sequence[MeasuredTest], *, seed: int) -> Law:
        """The law of least squares.

        Raises:
            FitError, UnitError: see multiscale.classical.fitting.fit_model; a neuron has three parameters, and there are two more.
        """
        return fit_model(self.model(tests), tests, seed=seed).law

    def model(self, tests: Sequence[MeasuredTest]) -> Model:
        """Its parameters, scaled for these tests."""
        if not tests:
            raise FitError("no tests are given, expected at least one")
        scales, h = reach(float(invariants(tests)[:, 0].max())), self.neurons
        parameters = [
            Parameter("a1", (0.0, 0.5), lower=0.0, prior=PRIOR),
            Parameter("a2", (0.0, 0.1), lower=0.0, prior=CAUTION),
        ]
        for k in range(1, h + 1):
            parameters.append(Parameter(f"v{k}", (0.0, 0.5), lower=0.0, prior=PRIOR))
            parameters.append(Parameter(f"w{k}", (0.0, 10.0), lower=0.0, modulus=False, prior=10.0 * PRIOR))
            parameters.append(Parameter(f"b{k}", (-8.0, 0.0), modulus=False, prior=10.0 * PRIOR))

        def build(values: Sequence[float], bulk_modulus: float | None) -> Law:
            row = np.array(values)
            neuron = row[2:].reshape(h, 3)
            # moduli are per unit of Ibar1 - 3, the network's energy is that at its largest
            potential = ConvexNetworkPotential(
                row[:2] * scales[0], neuron[:, 1], neuron[:, 2], neuron[:, 0] * scales[0], scales
            )
            return IsotropicLaw(potential, bulk_modulus)

        return Model(self.name, tuple(parameters), build)


def reach(largest: float) -> Float[ndarray, "2"]:
    """Ibar1 - 3 and Ibar2^(3/2) - 3 sqrt 3 of equibiaxial tension that reaches this Ibar1 - 3."""
    if not largest > 0.0:
        raise FitError("no test changes the shape of its specimen, expected one besides volumetric tests")
    stretch = brentq(lambda x: 2.0 * x**2 + x**-4 - 3.0 - largest, 1.0, np.sqrt(0.5 * (largest + 3.0)) + 1.0)
    return np.array([largest, (stretch**4 + 2.0 / stretch**2) ** 1.5 - 3.0 * np.sqrt(3.0)])
