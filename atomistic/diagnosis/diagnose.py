r"""What the curvature of the loss says of a training: how stiff it is, what the data determine, and whether it is done.

With the eigenvalues h_i of the Hessian of the data's loss D and the strength lambda of the l2 regularisation, the whole loss has
h_i + lambda, and

    gamma = sum_i h_i / (h_i + lambda)

is the number of parameters that the data determine rather than the regularisation (MacKay, Neural Comput. 4 (1992) 415); negative
h_i determine nothing and count as zero, and without regularisation it is the number of positive curvatures. The condition is the ratio
of the largest to the least modulus of the curvatures that are not zero modes: gradient descent needs about so many steps.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from atomistic.diagnosis.lanczos import SpectralDensity, spectral_density
from atomistic.diagnosis.landscape import Landscape
from atomistic.diagnosis.stationary import (
    LEAST,
    SMALL,
    STATIONARY,
    ZERO,
    StationaryPoint,
    classify_point,
    warn_of_slope,
)
from atomistic.training import Training


@dataclass(frozen=True)
class Diagnosis:
    """Curvature of the loss at the parameters of a training.

    Attributes:
        parameters: their number.
        l2: strength lambda of the confining potential in the loss.
        point: what kind of stationary point it is, its loss and gradient, and the curvatures found.
        curvatures, counts: of the whole loss, ascending, and how many each stands for: all of them, one each; or the nodes of a
            stochastic quadrature.
        density: that quadrature, or None where all eigenvalues were computed.
    """

    parameters: int
    l2: float
    point: StationaryPoint
    curvatures: Float[ndarray, "nodes"]
    counts: Float[ndarray, "nodes"]
    density: SpectralDensity | None

    @property
    def largest(self) -> float:
        """The largest curvature."""
        return float(max(self.curvatures[-1], self.point.eigenvalues[-1]))

    @property
    def least(self) -> float:
        """The least curvature."""
        return float(min(self.curvatures[0], self.point.eigenvalues[0]))

    @property
    def condition(self) -> float:
        """Largest over least modulus of the curvatures that are not zero modes."""
        sizes = np.abs(np.concatenate([self.curvatures, self.point.eigenvalues]))
        kept = sizes[sizes > self.point.zero]
        return float(kept.max() / kept.min()) if len(kept) else np.inf

    def effective_parameters(self, l2: float | None = None) -> tuple[float, float]:
        """gamma and its standard error (0 where all eigenvalues are known), with another lambda if given.

        With another lambda it is what this spectrum of the data says, at these parameters and not at those a training with it would find.
        """
        strength = self.l2 if l2 is None else l2

        def determined(curvatures: ndarray) -> ndarray:
            of_data = np.maximum(curvatures - self.l2, 0.0)
            if strength == 0.0:
                return np.asarray((of_data > self.point.zero).astype(np.float64))
            return np.asarray(of_data / (of_data + strength))

        if self.density is None:
            return float(determined(self.curvatures).sum()), 0.0
        return self.density.trace(determined)

    def __str__(self) -> str:
        """A short report."""
        gamma, error = self.effective_parameters()
        spread = f" +- {error:.1f}" if error else ""
        least = "" if self.point.complete else "at least "
        known = (
            "all" if self.density is None else f"{len(self.density.nodes)} x {len(self.density.nodes[0])} Lanczos steps"
        )
        return "\n".join(
            [
                f"{self.parameters} parameters, loss {self.point.loss:.6g}, |grad E| {self.point.gradient_norm:.2g}, "
                f"would still fall by {self.point.fall:.2g}",
                f"{self.point.kind}: {least}{self.point.index} negative and {self.point.zero_modes} zero curvatures",
                f"curvatures {self.least:.3g} to {self.largest:.3g} ({known}), condition {self.condition:.2g}, l2 {self.l2:.3g}",
                f"effective number of parameters {gamma:.1f}{spread} of {self.parameters}",
            ]
        )

    def plot(self, path: str | Path) -> None:
        """The spectrum, and the number of parameters that the data determine against the strength of a regularisation."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(9.0, 3.8), layout="constrained")
        left, right = figure.subplots(1, 2)
        for sign, colour, name in ((1.0, "#0072B2", "positive"), (-1.0, "#D55E00", "negative")):
            chosen = sign * self.curvatures > self.point.zero
            if chosen.any():
                sizes, counts = sign * self.curvatures[chosen], self.counts[chosen]
                order = np.argsort(-sizes)
                left.step(sizes[order], np.cumsum(counts[order]), where="post", color=colour, label=name)
        if self.point.zero > 0.0:
            left.axvline(self.point.zero, color="#999999", linestyle=":", label="zero modes below")
        if self.l2 > 0.0:
            left.axvline(self.l2, color="#009E73", linestyle="--", label=f"l2 regularisation {self.l2:.3g}")
        left.set(
            xscale="log",
            xlabel="|curvature|",
            ylabel="number of curvatures above",
            title=f"{self.point.kind}, index {self.point.index}",
        )
        left.legend(frameon=False, fontsize=8)
        strengths = np.logspace(
            np.log10(max(self.largest, 1e-300)) - 12.0, np.log10(max(self.largest, 1e-300)) + 1.0, 120
        )
        right.plot(strengths, [self.effective_parameters(float(s))[0] for s in strengths], color="#0072B2")
        gamma, error = self.effective_parameters()
        if self.l2 > 0.0:
            right.errorbar([self.l2], [gamma], yerr=[error], fmt="o", color="#009E73", capsize=3, label="this training")
            right.legend(frameon=False, fontsize=8)
        right.set(
            xscale="log",
            xlabel="strength of l2 regularisation",
            ylabel="effective number of parameters",
            title=f"{gamma:.1f} of {self.parameters} determined by the data",
        )
        right.set_ylim(0.0, 1.05 * self.parameters)
        figure.savefig(path, dpi=110)


def diagnose(
    training: Training | Landscape,
    theta: Float[ndarray, "parameters"] | None = None,
    *,
    dense: bool | None = None,
    zero: float = ZERO,
    tolerance: float = STATIONARY,
    steps: int = 80,
    probes: int = 8,
    limit: int = 64,
    seed: int = 0,
) -> Diagnosis:
    """Curvature of the loss where a training has come to, or of any landscape at given parameters.

    Args:
        training: its parameters and loss (the descriptors of its structures are computed anew); or a landscape.
        theta: the parameters; those of the training where None.
        dense: all eigenvalues of the Hessian, or by products with it: the lowest, the largest, and the density by stochastic Lanczos
            quadrature; None for all where they are few.
        zero: curvatures up to this part of the largest are zero modes.
        tolerance: the point is stationary where the loss would fall by no more than this part of it.
        steps, probes: of the quadrature.
        limit: number of negative and zero curvatures that Lanczos looks for.
        seed: of all starts.

    Warns:
        NotStationary: where the point is none, and the spectrum that of a slope.

    Raises:
        HessianTooLarge: where `dense` does not fit into memory.
        NonFiniteLoss: where the loss or its derivatives are not finite.
        NoParameters: where there are none.
        TypeError: for anything but a training or a landscape.
        ValueError: for a landscape without `theta`.
    """
    if isinstance(training, Training):
        landscape = Landscape.of(training.objective())
        theta = training.parameters if theta is None else theta
    elif isinstance(training, Landscape):
        landscape = training
    else:
        raise TypeError(
            f"{type(training).__name__} is no training, expected what `atomistic.train` returns, or a landscape; a fit in closed form "
            "has no training to look into, and an ensemble has one for each member"
        )
    if theta is None:
        raise ValueError("a landscape without parameters, expected theta: where to look")
    at = landscape.point(theta)
    size = len(at)
    whole = size <= SMALL if dense is None else dense or size < LEAST
    found = classify_point(at, dense=whole, zero=zero, tolerance=tolerance, limit=limit, seed=seed)
    warn_of_slope(found, stacklevel=3)
    if whole:
        return Diagnosis(size, landscape.l2, found, found.eigenvalues, np.ones(size), None)
    density = spectral_density(at.product, size, steps=steps, probes=probes, seed=seed)
    return Diagnosis(size, landscape.l2, found, *density.counts(), density)
